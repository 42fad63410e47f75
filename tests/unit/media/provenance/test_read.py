"""Sources good and bad, what findings promise, and files that nobody wrote on purpose."""

import contextlib
import json
import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.errors import OptionError, SourceError, SourceMissing, SourceUnsupported
from mesoscope.media.provenance import TITLES, WEIGHTS, Finding, Provenance, read_provenance
from mesoscope.media.provenance.finding import LONGEST_VALUE

FORMS = ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"]


def test_a_path_and_its_bytes_tell_the_same(made, tmp_path):
    data = made.with_exif({0x0131: "GIMP 2.10"})
    path = tmp_path / "a picture.jpg"
    path.write_bytes(data)
    by_path, by_bytes = read_provenance(path), read_provenance(data)
    assert by_path.source == os.fspath(path)
    assert by_bytes.source == "<bytes>"
    assert by_path.findings == by_bytes.findings
    assert by_path.kind == "jpeg"


@pytest.mark.parametrize("form", FORMS)
def test_every_kind_of_picture_is_read(made, form):
    told = read_provenance(made.encode(form))
    assert told.kind == form.lower()
    assert [f for f in told.findings if f.kind == "damaged"] == []
    (nothing,) = [f for f in told.findings if f.kind == "metadata"]
    assert nothing.value == ("nothing of its origin" if form == "TIFF" else "none")


def test_strong_findings_come_first(made):
    attributes = 'xmp:CreatorTool="GIMP" photoshop:Credit="Made with Google AI"'
    weights = [f.weight for f in read_provenance(made.with_xmp(attributes=attributes)).findings]
    assert weights == sorted(weights, key=WEIGHTS.index)
    assert {"strong", "hint", "note"} == set(weights)


def test_it_goes_to_json_and_back(made):
    told = read_provenance(made.with_exif({0x0131: "Zürich \u2028 Editor"}))
    line = told.to_json()
    assert line.isascii()
    assert Provenance.from_dict(json.loads(line)) == told


@pytest.mark.parametrize(
    "data", [{}, {"schema": 2}, {"schema": 1, "source": "x"}, {"schema": 1, "findings": [{}]}]
)
def test_other_objects_are_refused(data):
    with pytest.raises(OptionError, match="provenance"):
        Provenance.from_dict(data)


def test_values_are_safe_to_show():
    """Control characters, and those that turn the direction of writing, reach no terminal."""
    nasty = "\x1b[31mred\x07\r\nname\u202egpj.exe\0" + "x" * 10_000
    finding = Finding("software", "Soft\x1bware", nasty, "EXIF", "meaning")
    assert finding.field == "Soft ware"
    assert finding.value.startswith("[31mred name gpj.exe x")
    assert finding.value.isprintable()
    assert len(finding.value) == LONGEST_VALUE


def test_kinds_and_weights_are_checked():
    with pytest.raises(OptionError, match="kind"):
        Finding("rumour", "", "", "", "")
    with pytest.raises(OptionError, match="weight"):
        Finding("software", "", "", "", "", "heavy")
    assert Finding("software", "", "", "", "").title == TITLES["software"]


# --- sources that cannot be read


def refused(source, error):
    with pytest.raises(SourceError) as caught:
        read_provenance(source)
    assert type(caught.value) is error
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_missing_file(tmp_path):
    assert "no such file" in refused(tmp_path / "nothing.jpg", SourceMissing)
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nothing.jpg")
    assert "points nowhere" in refused(tmp_path / "link.jpg", SourceMissing)


def test_a_folder_a_pipe_an_empty_file(tmp_path):
    assert "folder" in refused(tmp_path, SourceError)
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refused(tmp_path / "pipe", SourceError)
    (tmp_path / "empty.jpg").touch()
    assert "empty" in refused(tmp_path / "empty.jpg", SourceError)
    assert refused("a\0b", SourceError)


def test_what_is_no_picture():
    assert "neither a picture nor a clip" in refused(b"hello, world", SourceError)
    assert "not taken apart" in refused(b"8BPS\0\1" + bytes(100), SourceUnsupported)


def test_what_is_neither_a_path_nor_bytes():
    with pytest.raises(OptionError, match="give a path or a file's bytes"):
        read_provenance(7)


# --- files that nobody wrote on purpose


STARTS = [
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"II*\0", b"MM\0*",
    b"BM", b"\0\0\0\x10ftypisom", b"\0\0\0\x10ftypheic", b"RIFF\xff\0\0\0AVI ", b"",
    b"\x1aE\xdf\xa3\x80\x18\x53\x80\x67\xff",
]  # fmt: skip


@given(start=st.sampled_from(STARTS), rest=st.binary(max_size=400))
def test_random_bytes_raise_nothing_but_source_errors(start, rest):
    with contextlib.suppress(SourceError):
        assert read_provenance(start + rest).findings


@pytest.fixture(scope="module")
def rich(made):
    """One file of each kind with all that fits into it."""
    packet = made.packet(
        "<xmpMM:History><rdf:Seq><rdf:li stEvt:action='saved'/></rdf:Seq></xmpMM:History>",
        'xmp:CreatorTool="GIMP" xmp:CreateDate="2024-01-01T00:00:00Z"',
    )
    gps = {1: "S", 2: (33.0, 51.0, 36.0), 3: "E", 4: (151.0, 12.0, 0.0)}
    jpeg = made.with_exif({0x010F: "Canon"}, {0x9003: "2024:01:01 00:00:00"}, gps)
    block = b"8BIM\x04\x04\0\0\0\0\0\x09\x1c\x02\x41\0\x04Word\0"
    jpeg = made.insert(
        jpeg,
        made.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet),
        made.segment(0xED, b"Photoshop 3.0\0" + block),
        made.segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x30jumb\0\0\0\x28jumdc2pa" + bytes(32)),
    )
    exif = b"II*\0\x08\0\0\0\x01\0\x31\x01\x02\0\x0b\0\0\0\x1a\0\0\0\0\0\0\0Midjourney\0"
    chunks = [
        made.chunk(b"tEXt", b"parameters\0Steps: 20, Sampler: Euler, Seed: 1"),
        made.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet),
        made.chunk(b"eXIf", exif),
    ]
    return [
        jpeg,
        made.with_chunks(made.encode("PNG"), *chunks),
        made.encode("WEBP", exif=exif, xmp=packet),
        made.encode("TIFF", tiffinfo={700: packet, 305: "GIMP"}),
        made.encode("GIF", comment=b"made by hand"),
    ]


@given(seed=st.integers(0, 2**32 - 1), changes=st.integers(1, 30), cut=st.booleans())
def test_mutated_files_raise_nothing(rich, seed, changes, cut):
    """Bytes changed anywhere in well-made files; the same for a seed."""
    chance = random.Random(seed)
    data = bytearray(chance.choice(rich))
    for _ in range(changes):
        data[chance.randrange(16, len(data))] = chance.choice(
            [0, 1, 0x7F, 0xFF, chance.getrandbits(8)]
        )
    if cut:
        del data[chance.randrange(17, len(data)) :]
    told = read_provenance(bytes(data))
    for finding in told.findings:
        assert finding.value.isprintable()
        assert len(finding.value) <= LONGEST_VALUE


@given(seed=st.integers(0, 2**32 - 1))
def test_mutated_manifests_raise_nothing(made, signer, seed):
    """The library that reads manifests is native code: it must not end the process either."""
    chance = random.Random(seed)
    data = bytearray(_signed(made, signer))
    at, end = data.find(b"jumb"), data.find(b"jumb") + 3300
    for _ in range(chance.randrange(1, 20)):
        data[chance.randrange(at, end)] = chance.getrandbits(8)
    states = [f.value for f in read_provenance(bytes(data)).findings if f.kind == "credentials"]
    assert all("Trusted" not in value for value in states)


_KEPT = []


def _signed(made, signer):
    if not _KEPT:
        _KEPT.append(signer.sign(made.encode()))
    return _KEPT[0]
