"""JSON becomes a dataclass by one function, and each schema has its version in one table."""

import ast
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import mesoscope
from mesoscope.data.prepare.ledger import ItemResult, LeftOut, WrittenFace
from mesoscope.errors import DatasetError, OptionError, ReportError
from mesoscope.media.provenance import Finding, Provenance
from mesoscope.types import ModelCard, Verdict
from mesoscope.types.schema import VERSIONS, decode, loads, read, refuse_version

SOURCE = Path(mesoscope.__file__).parent


@dataclass(frozen=True, slots=True)
class Part:
    at: tuple[float, float]
    n: int = 0


@dataclass(frozen=True, slots=True)
class Whole:
    name: str
    parts: tuple[Part, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)


def test_it_is_built_with_tuples_and_defaults():
    made = read(Whole, {"name": "a", "parts": [{"at": [1, 2.5]}]}, OptionError, what="no whole")
    assert made == Whole("a", (Part((1.0, 2.5)),))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([], "no whole: Expected object, got array"),
        ({}, "no whole: Object missing required field name"),
        ({"name": 7}, "no whole: Expected str, got int - at name"),
        ({"name": "a", "parts": [{"at": [1, "x"]}]}, "Expected float, got str - at parts[0].at[1]"),
        ({"name": "a", "parts": [{"at": [1, 2], "n": True}]}, "got bool - at parts[0].n"),
        ({"name": "a", "b\nc": 1}, "no whole: unknown field 'b c'"),
        ({"name": "a", "parts": [{"at": [1, 2], "z": 1}]}, "no whole: unknown field 'parts[0].z'"),
        ({"name": "a", "words": {"x": 1}}, "at words[...]"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(data, says):
    with pytest.raises(ReportError) as caught:
        read(Whole, data, ReportError, what="no whole")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_schema_is_written_in_its_last_version():
    assert Verdict("a", "image", None, None, "m").to_dict()["schema"] == VERSIONS["verdict"][-1]
    assert Provenance("a", None).to_dict()["schema"] == VERSIONS["provenance"][-1]
    assert ModelCard("m", "meso4").card_version == VERSIONS["card"][-1]
    from mesoscope.server.schemas import VerdictShape

    [taken] = [v for k, v in get_type_hints(VerdictShape).items() if k == "schema_"]
    assert get_args(taken) == VERSIONS["verdict"]


@pytest.mark.parametrize("found", [3, 0, "2", None, True, 2.0])
def test_another_version_is_refused_with_what_to_do(found):
    with pytest.raises(OptionError, match=r"^a verdict of schema .* reads up to 2: update meso"):
        refuse_version("verdict", found, OptionError, where="a verdict of schema")
    refuse_version("verdict", 1, OptionError, where="")


def test_json_has_no_nan():
    with pytest.raises(ValueError, match="NaN is not JSON"):
        loads('{"a": NaN}')


def test_provenance_comes_back_and_names_what_is_wrong():
    one = Provenance("a.jpg", "jpeg", (Finding("software", "tool", "GIMP", "XMP", "edited"),))
    data = json.loads(one.to_json())
    assert Provenance.from_dict(data) == one
    data["findings"][0]["value"] = 7
    with pytest.raises(OptionError, match=r"not provenance: Expected str, .* at findings\[0\]"):
        Provenance.from_dict(data)
    with pytest.raises(OptionError, match="update mesoscope"):
        Provenance.from_dict({**data, "schema": 2})


def test_an_answer_of_a_prepared_set_comes_back_and_names_what_is_wrong():
    face = WrittenFace("a.png", "v.mp4", None, 0.5, (1.0, 2.0, 3.0, 4.5), 0.9, "mtcnn", "0" * 64, 7)
    one = ItemResult("v", 1, "m", "g", "train", "s", (face,), (LeftOut("w", "no_face"),), ("n",))
    assert ItemResult.from_json(one.to_json()) == one
    data = json.loads(one.to_json())
    del data["written"][0]["sha256"]
    with pytest.raises(DatasetError, match=r"missing required field sha256 - at written\[0\]"):
        ItemResult.from_json(json.dumps(data))
    with pytest.raises(DatasetError, match="damaged line of the ledger"):
        ItemResult.from_json("{")


def test_reading_a_card_does_not_load_msgspec():
    code = (
        "import sys; from mesoscope.models.file import read_card, shipped\n"
        "read_card(shipped()['mesoscope']); sys.exit('msgspec' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_nobody_else_keeps_the_version_of_a_schema():
    for path in SOURCE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                names = {t.id for t in node.targets if isinstance(t, ast.Name)}
                assert not names & {"SCHEMA", "_SCHEMA", "SHAPE", "_FORMAT"}, path


@pytest.mark.parametrize(
    "text",
    ['{"a": [1, 2.5, null, true, "\\u00e9"]}', '{"name": "caf\\udce9.jpg"}', '{"a": "caf\udce9"}',
     '{"a": 1e400, "b": 18446744073709551617}', '{"a": 1, "a": 2}', b'"\xc3\xa9"'],
)  # fmt: skip
def test_verdicts_decode_as_pythons_json_does(text):
    assert decode(text) == json.loads(text)


@pytest.mark.parametrize("text", ["", "{", '{"a": }', "nul", '{"a": 1} 2'])
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"Expecting|Extra data"):
        decode(text)


def test_nan_decodes_as_in_pythons_json():
    assert str(decode('{"a": NaN}')["a"]) == "nan"
