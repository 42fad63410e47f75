"""What all recipes share: strict reading of TOML into dataclasses, and writing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import pytest

from mesoscope.errors import RecipeError
from mesoscope.files.recipe_file import fill, parse_value, read_toml, to_toml


@dataclass(frozen=True)
class Light:
    gain: float = 1.0
    names: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (1, 2)
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Camera:
    name: str = "a"
    on: bool = True
    light: Light = field(default_factory=Light)


def hint(key: str) -> str:
    return f" ({key} is not known)"


def test_values_come_as_their_fields_types():
    data = {"name": "b", "light": {"gain": 2, "names": ["x"], "counts": {"y": 3}}}
    made = fill(Camera, data, hint=hint)
    assert made == Camera("b", light=Light(2.0, ("x",), counts={"y": 3}))
    assert type(made.light.gain) is float


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"light": {"gian": 1}}, "unknown key 'light.gian' (light.gian is not known)"),
        ({"light": 1}, "light must be a section, got 1"),
        ({"on": 1}, "on must be bool, got int 1"),
        ({"light": {"gain": True}}, "light.gain must be float, got bool True"),
        ({"light": {"names": "x"}}, "light.names must be a list of strings, got 'x'"),
        ({"light": {"sizes": [1.5]}}, "light.sizes must be a list of whole numbers, got [1.5]"),
        ({"light": {"counts": 1}}, "light.counts must be a table of whole numbers, got 1"),
    ],
)
def test_what_does_not_belong_is_named(data, said):
    with pytest.raises(RecipeError) as error:
        fill(Camera, data, hint=hint)
    assert str(error.value) == said


def test_what_is_written_is_read_back_whole(tmp_path):
    made = Camera('q"\x7f\n😀', light=Light(0.1, ("é",), (), {"k": 1}), on=False)
    (tmp_path / "c.toml").write_text(to_toml(asdict(made)), encoding="utf-8")
    assert fill(Camera, read_toml(tmp_path / "c.toml", missing="none"), hint=hint) == made


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(RecipeError, match=r"none\.toml: no such camera$"):
        read_toml(tmp_path / "none.toml", missing="no such camera")
    (tmp_path / "bad.toml").write_text("a = = 1", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"bad\.toml: not TOML: "):
        read_toml(tmp_path / "bad.toml", missing="")


def test_a_bare_word_is_a_string():
    assert [parse_value(text) for text in ("3", "[1, 2]", " random ")] == [3, [1, 2], "random"]
