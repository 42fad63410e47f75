"""A training recipe: TOML in, one frozen dataclass out; what does not belong is named."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import sys
import typing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mesoscope.errors import RecipeError
from mesoscope.training.recipe_keys import (
    AugmentKeys,
    DataKeys,
    DecideKeys,
    DistilKeys,
    MixKeys,
    NetworkKeys,
    OptimiseKeys,
    SynthKeys,
)
from mesoscope.training.recipe_rules import broken_rule

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides what comes out of a training run, besides the data.

    Attributes:
        name: Of the model.
        seed: Of everything random.
        precision: ``32`` or ``bf16``.
        licence: Of the weights, for the card.
        notes: What else the card should say, such as the terms of the training data.
    """

    name: str = "meso4"
    seed: int = 1
    precision: str = "32"
    licence: str = ""
    notes: str = ""
    network: NetworkKeys = field(default_factory=NetworkKeys)
    data: DataKeys = field(default_factory=DataKeys)
    augment: AugmentKeys = field(default_factory=AugmentKeys)
    synth: SynthKeys = field(default_factory=SynthKeys)
    mix: MixKeys = field(default_factory=MixKeys)
    distil: DistilKeys = field(default_factory=DistilKeys)
    optimise: OptimiseKeys = field(default_factory=OptimiseKeys)
    decide: DecideKeys = field(default_factory=DecideKeys)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values."""
        return dataclasses.asdict(self)

    def sha256(self) -> str:
        """Digest of the resolved recipe.

        What later versions added is left out where it says what was always done, so that digests
        of before stay true.
        """
        values = self.to_dict()
        if not values["network"]["channels"]:
            del values["network"]["channels"]
        if values["decide"]["guard"]:
            del values["decide"]["guard"]
        if not any(values["synth"].values()):
            del values["synth"]
        if values["data"]["read"] == "random":
            del values["data"]["read"], values["data"]["buffer"]
        if not values["data"]["pairs"]:
            del values["data"]["pairs"]
        if values["augment"]["crop_scale_max"] == 1:
            del values["augment"]["crop_scale_max"]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def to_toml(self) -> str:
        """The resolved recipe as TOML, every key written out."""
        top, sections = [], []
        for key, value in self.to_dict().items():
            if isinstance(value, dict):
                lines = [f"{k} = {_toml(v)}" for k, v in value.items()]
                sections.append("\n".join([f"\n[{key}]", *lines]))
            else:
                top.append(f"{key} = {_toml(value)}")
        return "\n".join(top + sections) + "\n"


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply ``key=value`` overrides (dotted keys, TOML values).

    Raises:
        RecipeError: No such file, not TOML, an unknown key (with the nearest right one), a wrong
            type, a value out of range.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise RecipeError(f"{path}: no such recipe: recipes/ holds the project's own") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: not TOML: {error}") from error
    for override in overrides:
        _override(data, override)
    recipe: Recipe = _fill(Recipe, data, str(path), "")
    broken = broken_rule(recipe)
    if broken:
        raise RecipeError(f"{path}: {broken}")
    return recipe


def _override(data: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {text!r}: write key=value, as in optimise.epochs=3")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()  # a bare word is a string
    *sections, last = key.strip().split(".")
    for section in sections:
        data = data.setdefault(section, {})
        if not isinstance(data, dict):
            raise RecipeError(f"--set {text!r}: {section} is a value, not a section")
    data[last] = parsed


def _fill(kind: type[Any], data: Mapping[str, Any], where: str, prefix: str) -> Any:  # noqa: ANN401
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in hints:
            raise RecipeError(f"{where}: unknown key {prefix + key!r}{_nearest(prefix + key)}")
        wanted = hints[key]
        if dataclasses.is_dataclass(wanted):
            if not isinstance(value, dict):
                raise RecipeError(f"{where}: {prefix + key} must be a section, got {value!r}")
            values[key] = _fill(typing.cast("type[Any]", wanted), value, where, f"{key}.")
        elif wanted is float and type(value) is int:
            values[key] = float(value)
        elif key == "channels":
            values[key] = _counts(value, f"{where}: {prefix + key}")
        elif typing.get_origin(wanted) is tuple:
            values[key] = _list(value, typing.get_args(wanted)[0], f"{where}: {prefix + key}")
        elif type(value) is not wanted:
            raise RecipeError(
                f"{where}: {prefix + key} must be {wanted.__name__}, "
                f"got {type(value).__name__} {value!r}"
            )
        else:
            values[key] = value
    return kind(**values)


def _list(value: object, of: type, what: str) -> tuple[Any, ...]:
    if not isinstance(value, list) or any(type(one) is not of for one in value):
        kind = {int: "whole numbers", str: "strings"}[of]
        raise RecipeError(f"{what} must be a list of {kind}, got {value!r}")
    return tuple(value)


def _counts(value: object, what: str) -> dict[str, int]:
    if not isinstance(value, dict) or any(type(one) is not int for one in value.values()):
        raise RecipeError(f"{what} must be a table of whole numbers, got {value!r}")
    return value


def _nearest(key: str) -> str:
    recipe = Recipe().to_dict()
    known = [
        f"{top}.{sub}" if isinstance(value, dict) else top
        for top, value in recipe.items()
        for sub in (value if isinstance(value, dict) else [""])
    ]
    last = {k.rpartition(".")[2]: k for k in known}
    close = difflib.get_close_matches(key, [*recipe, *known], 1, 0.5) or [
        last[k] for k in difflib.get_close_matches(key.rpartition(".")[2], list(last), 1, 0.5)
    ]
    return f": did you mean {close[0]!r}?" if close else f": known are {', '.join(known)}"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but TOML has no surrogate pairs and wants DEL escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(one) for one in value)}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{k} = {_toml(v)}' for k, v in value.items())} }}"
    return repr(value)
