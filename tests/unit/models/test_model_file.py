"""Reading a model's card by hand, and what its bytes must hold to."""

import dataclasses
import json
import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.errors import ModelError, ModelMismatch, ModelMissing, OutputError
from mesoscope.models import file as model_file
from mesoscope.models.file import (
    file_sha256,
    find_model,
    graph_sha256,
    model_id,
    open_model,
    read_card,
    sealed,
    shipped,
    verify_bytes,
    write_sums,
)
from mesoscope.types import Calibration, ModelCard, Thresholds

GRAPH = b"\x0a\x05nodes" * 7


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    """A protobuf field: an integer as varint, bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def metadata(key, value):
    return field(14, field(1, key) + field(2, value))


def model_bytes(card, graph=GRAPH):
    text = card if isinstance(card, bytes) else card.to_json().encode()
    parts = [field(1, 10), field(2, b"mesoscope"), field(7, graph)]
    parts += [metadata(b"other", b"entry"), metadata(b"mesoscope.card", text)]
    return b"".join(parts)


def digest(graph=GRAPH):
    return graph_sha256(field(1, 10) + field(7, graph))


@pytest.fixture
def card():
    return ModelCard(
        name="tiny",
        architecture="meso4",
        calibration=Calibration(1.5, -0.25, "Platt scaling", "4 faces"),
        thresholds=Thresholds(0.25, 0.75, "words"),
        metrics={"auc": 0.5, "by_source": {"a": {"n": 3}}},
        graph_sha256=digest(),
        self_check=(0.1, 0.2, 0.3, 0.4),
    )


@pytest.fixture
def written(tmp_path):
    def write(data, name="tiny.onnx"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.fixture
def package(tmp_path, monkeypatch, card):
    """A folder of shipped models with its sums."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "tiny.onnx").write_bytes(model_bytes(card))
    monkeypatch.setattr(model_file, "_FOLDER", folder)
    write_sums(folder)
    return folder


def test_card_comes_back_as_it_was_written(written, card):
    assert read_card(written(model_bytes(card))) == card


def test_fields_of_all_wire_types_are_stepped_over(written, card):
    fixed = varint(900 << 3 | 1) + bytes(8) + varint(901 << 3 | 5) + bytes(4)
    assert read_card(written(fixed + model_bytes(card) + field(300, 1 << 60))) == card


def test_real_onnx_file_is_read_as_onnx_itself_reads_it(tmp_path, card):
    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    value = [onnx.helper.make_tensor_value_info(n, 1, [1]) for n in "xy"]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", value[:1], value[1:]))
    onnx.helper.set_model_props(model, {"a": "b", "mesoscope.card": card.to_json()})
    path = tmp_path / "real.onnx"
    onnx.save(model, path)
    assert read_card(path) == card
    import hashlib

    graph = model.graph.SerializeToString()
    assert graph_sha256(path.read_bytes()) == hashlib.sha256(graph).hexdigest()


def test_model_id_is_name_and_digits_of_the_file(written, card):
    path = written(model_bytes(card))
    done = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True)
    whole = done.stdout.split()[0]
    assert file_sha256(path) == whole
    assert model_id(path) == f"tiny@{whole[:8]}"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not an ONNX model"),
        (b"hello, I am a text file called .onnx\n" * 9, "not an ONNX model"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(99), "not an ONNX model"),
        (b"\xff" * 40, "not an ONNX model"),
        (field(1, 10) + field(2, b"torch"), "0 graphs"),
        (field(1, 10) + field(7, b"a") + field(7, b"b"), "2 graphs"),
        (field(1, 10) + field(7, b"a"), "without a mesoscope card"),
        (field(1, 10) + field(7, b"a") + metadata(b"other", b"{}"), "without a mesoscope card"),
        (field(1, 10) + field(7, b"a") + field(14, 3), "metadata is damaged"),
        (field(1, 10) + field(7, b"a") + field(14, b"\x0a\x7fk"), "metadata is damaged"),
        (field(1, 10) * 3000, "0 graphs"),
    ],
)
def test_bytes_that_are_no_model_are_refused_in_one_line(written, data, says):
    with pytest.raises(ModelError, match=re.escape(says)) as caught:
        read_card(written(data))
    assert "\n" not in str(caught.value)
    assert "tiny.onnx" in str(caught.value)


def test_every_truncation_is_refused(written, card):
    whole = model_bytes(card)
    for length in range(len(whole)):
        with pytest.raises(ModelError):
            read_card(written(whole[:length]))
    with pytest.raises(ModelError, match="truncated"):
        read_card(written(whole[:30]))


def wrong_cards():
    good = json.loads(ModelCard(name="tiny", architecture="meso4").to_json())
    yield b"not json", "cannot be read"
    yield b"\xff\xfe", "not UTF-8"
    yield b"[" * 100_000, "recursion"
    yield b"[1, 2]", "cannot be read"
    yield json.dumps({**good, "card_version": 2}).encode(), "update mesoscope"
    yield json.dumps({**good, "surplus\nkey": 1}).encode(), "surplus key"
    for key, value in [
        ("name", ""),
        ("name", 7),
        ("parameters", "28,000"),
        ("input_px", 0),
        ("input_px", True),
        ("input_px", 1),
        ("input_px", 100_000),
        ("crop_margin", 0),
        ("face_margin", 1e9),
        ("further_margins", [1e9]),
        ("further_margins", [1.5] * 9),
        ("name", "red\x1b[31m"),
        ("name", "two\nlines"),
        ("name", "n" * 121),
        ("licence", "\x1b]0;title\x07"),
        ("source", "tx\u202etxe"),
        ("architecture", ["meso4"]),
        ("self_check", ["a"]),
        ("self_check", [2.0]),
        ("metrics", [1]),
        ("parameters", -1),
        ("licence", None),
    ]:
        yield json.dumps({**good, key: value}).encode(), key
    yield json.dumps({**good, "crop_margin": float("nan")}).encode(), "NaN is not JSON"
    yield json.dumps({**good, "metrics": {"auc": float("inf")}}).encode(), "Infinity is not JSON"
    calibration = {**good["calibration"], "scale": 10**400}
    yield json.dumps({**good, "calibration": calibration}).encode(), "scale"
    thresholds = {**good["thresholds"], "real_below": 0.9, "fake_above": 0.1}
    yield json.dumps({**good, "thresholds": thresholds}).encode(), "thresholds"
    thresholds = {**good["thresholds"], "fake_above": 1.5}
    yield json.dumps({**good, "thresholds": thresholds}).encode(), "thresholds"


@pytest.mark.parametrize(("text", "says"), list(wrong_cards()))
def test_cards_that_cannot_be_trusted_are_refused(written, text, says):
    with pytest.raises(ModelError) as caught:
        read_card(written(model_bytes(text)))
    assert "\n" not in str(caught.value)
    assert says in str(caught.value)


@given(st.data())
def test_mutated_bytes_raise_nothing_but_model_error(tmp_path_factory, data):
    card = ModelCard(name="tiny", architecture="meso4", graph_sha256=digest())
    mutated = bytearray(model_bytes(card))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(mutated) - 1))
        end = place + data.draw(st.integers(0, 4))
        mutated[place:end] = data.draw(st.binary(max_size=6))
    path = tmp_path_factory.getbasetemp() / "mutated.onnx"
    path.write_bytes(mutated)
    try:
        found = read_card(path)
        verify_bytes(path)
    except ModelError:
        return
    assert isinstance(found, ModelCard)
    assert found.graph_sha256 == graph_sha256(bytes(mutated))


def test_sealed_bytes_stand_for_the_card_too(written, card):
    whole = sealed(model_bytes(card))
    opened = open_model(written(whole))
    assert opened.card == card
    assert opened.data == whole
    assert opened.model_id == model_id(written(whole))
    renamed = whole.replace(b"tiny", b"tony")
    assert len(renamed) == len(whole)
    with pytest.raises(ModelMismatch, match="its bytes differ from the digest"):
        open_model(written(renamed))
    with pytest.raises(ModelMismatch, match="its bytes differ from the digest"):
        verify_bytes(written(whole + metadata(b"more", b"behind")))


@pytest.mark.parametrize("place", range(0, 700, 7))
def test_no_bit_of_a_sealed_file_can_turn_unseen(written, card, place):
    whole = bytearray(sealed(model_bytes(card)))
    place %= len(whole)
    whole[place] ^= 1 << place % 8
    try:
        opened = open_model(written(bytes(whole)))
    except ModelError:
        return
    assert (opened.card, opened.data[: len(GRAPH)]) == (card, bytes(whole[: len(GRAPH)]))


def test_file_of_forty_gigabytes_is_refused_by_its_size(tmp_path):
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(40 << 30)
    with pytest.raises(ModelError, match="at most 2 GB"):
        open_model(path)


def test_a_million_entries_of_metadata_end_early(written, card):
    whole = model_bytes(card) + metadata(b"k", b"v") * 1_000_000
    assert open_model(written(whole)).card == card
    crowded = metadata(b"k", b"v") * 1_000_000 + model_bytes(card)
    with pytest.raises(ModelError, match="0 graphs"):
        open_model(written(crowded))


@given(st.binary(max_size=200))
def test_any_bytes_raise_nothing_but_model_error(data):
    try:
        found = graph_sha256(data)
    except ModelError:
        return
    assert re.fullmatch("[0-9a-f]{64}", found)


def test_graph_hash_covers_the_graph_and_not_the_card(written, card):
    path = written(model_bytes(card))
    verify_bytes(path)
    renamed = dataclasses.replace(card, name="another")
    assert graph_sha256(model_bytes(renamed)) == graph_sha256(model_bytes(card))
    with pytest.raises(ModelMismatch, match="graph check"):
        verify_bytes(written(model_bytes(card, graph=GRAPH + b"!")))


def test_card_without_a_graph_hash_does_not_verify(written, card):
    unsigned = dataclasses.replace(card, graph_sha256="")
    with pytest.raises(ModelMismatch, match="nothing"):
        verify_bytes(written(model_bytes(unsigned)))


def test_shipped_model_must_be_the_file_in_the_sums(package, card):
    path = find_model("tiny")
    assert path == package / "tiny.onnx"
    assert shipped() == {"tiny": path}
    verify_bytes(path)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=package, check=True)
    path.write_bytes(model_bytes(dataclasses.replace(card, licence="another")))  # graph unchanged
    with pytest.raises(ModelMismatch, match="file check"):
        verify_bytes(path)
    (package / "SHA256SUMS").write_text("")
    with pytest.raises(ModelMismatch, match="does not list it"):
        verify_bytes(path)
    (package / "SHA256SUMS").unlink()
    with pytest.raises(ModelMismatch, match="cannot be read"):
        verify_bytes(path)


def test_sums_that_cannot_be_written_are_an_output_error(tmp_path):
    (tmp_path / "SHA256SUMS").mkdir()
    with pytest.raises(OutputError, match="SHA256SUMS"):
        write_sums(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["SHA256SUMS"]


def test_name_goes_before_file_and_file_before_nothing(package, written, card, monkeypatch):
    other = written(model_bytes(card), "other.onnx")
    assert find_model(other) == other
    assert find_model(str(other)) == other
    monkeypatch.chdir(other.parent)
    written(model_bytes(card), "tiny")
    assert find_model("tiny") == package / "tiny.onnx"
    assert find_model("./tiny").samefile(other.parent / "tiny")


def test_missing_model_lists_the_shipped_names(package, tmp_path):
    with pytest.raises(ModelMissing, match=r"nothing.*\(tiny\)"):
        find_model("nothing")
    with pytest.raises(ModelMissing, match="a folder"):
        find_model(tmp_path)
    with pytest.raises(ModelMissing, match="no such file"):
        read_card(tmp_path / "gone.onnx")
    with pytest.raises(ModelError, match="cannot be read"):
        read_card(tmp_path)


@pytest.mark.parametrize("name", list(shipped()))
def test_shipped_models_are_whole(name):
    path = find_model(name)
    verify_bytes(path)
    card = read_card(path)
    assert card.name == name
    assert card.label_convention == "p_fake: fake = 1, real = 0"
