"""Recipes: TOML files that are read into frozen dataclasses, validated, and written back.

The dataclasses define the keys and their types; a section is a field that is a dataclass.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import sys
import typing
from typing import TYPE_CHECKING, Any, TypeVar

from mesoscope.errors import RecipeError
from mesoscope.errors.failures import cause

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["fill", "parse_value", "read_toml", "to_toml"]

_Recipe = TypeVar("_Recipe")
_LARGEST = 1 << 20  # bytes
_KINDS = {int: "whole numbers", float: "numbers", str: "strings"}


def read_toml(path: Path, *, missing: str) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: The file.
        missing: Message if there is no such file.

    Raises:
        RecipeError: No such file, one that cannot be read, or not TOML.
    """
    try:
        found: dict[str, Any] = tomllib.loads(_text(path))
    except FileNotFoundError as error:
        raise RecipeError(f"{path}: {missing}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read: {cause(error)}") from error
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        # ValueError: an integer of thousands of digits
        raise RecipeError(f"{path}: not TOML: {' '.join(str(error).split())[:200]}") from error
    return found


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise RecipeError(f"{path}: larger than 1 MB: that is no recipe")
    return data.decode("utf-8-sig").replace("\r\n", "\n")


def parse_value(text: str) -> Any:  # noqa: ANN401 - any value of TOML
    """Parse a TOML value; a bare word is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError, ValueError, KeyError):
        return text.strip()


def fill(
    kind: type[_Recipe], data: Mapping[str, Any], *, hint: Callable[[str], str], prefix: str = ""
) -> _Recipe:
    """Build a recipe, or a section of one, from parsed TOML.

    Args:
        kind: The dataclass to build.
        data: Values by key; missing keys keep their defaults.
        hint: Returns the end of the message for an unknown dotted key, see :func:`nearest`.
        prefix: Prefix of keys in messages: the section and a dot.

    Raises:
        RecipeError: A key is unknown, or a value has the wrong type.
    """
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in data.items():
        name = prefix + key
        if key not in hints:
            raise RecipeError(f"unknown key {_shown(name)}{hint(name[:200])}")
        expected = hints[key]
        if dataclasses.is_dataclass(expected):
            if not isinstance(value, dict):
                raise RecipeError(f"{name} must be a section, got {_shown(value)}")
            section = typing.cast("type[Any]", expected)
            values[key] = fill(section, value, hint=hint, prefix=f"{name}.")
        else:
            values[key] = _value(value, expected, name)
    return kind(**values)


def nearest(values: Mapping[str, Any], key: str) -> str:
    """Return the end of a message about an unknown key: the most similar key, or all keys.

    Args:
        values: A complete recipe, nested.
        key: The unknown key, dotted.
    """
    known = [
        f"{top}.{name}" if name else top
        for top, value in values.items()
        for name in (("", *value) if isinstance(value, dict) else ("",))
    ]
    section, _, last = key.rpartition(".")
    in_section = [one for one in known if one.startswith(f"{section}.")] if section else known
    by_last = {one.rpartition(".")[2]: one for one in [*known, *in_section]}
    close = difflib.get_close_matches(key, known, 1, 0.6) or [
        by_last[one] for one in difflib.get_close_matches(last, list(by_last), 1, 0.5)
    ]
    if close:
        return f": did you mean {close[0]!r}?"
    return f": known are {', '.join(in_section or known)}"


def _value(value: object, expected: Any, name: str) -> object:  # noqa: ANN401 - a type or generic
    if type(value) is int and abs(value) >= 1 << 63:
        raise RecipeError(f"{name} must be a number of at most 64 bits")
    if expected is float and type(value) is int:
        return float(value)
    container, types = typing.get_origin(expected), typing.get_args(expected)
    if container is dict:
        if not isinstance(value, dict) or any(type(one) is not types[1] for one in value.values()):
            raise RecipeError(f"{name} must be a table of {_KINDS[types[1]]}, got {_shown(value)}")
    elif container is tuple:
        if types[0] is float and isinstance(value, list):
            value = [float(one) if type(one) is int else one for one in value]
        if not isinstance(value, list) or any(type(one) is not types[0] for one in value):
            raise RecipeError(f"{name} must be a list of {_KINDS[types[0]]}, got {_shown(value)}")
        return tuple(value)
    elif type(value) is not expected:
        got = f"{type(value).__name__} {_shown(value)}"
        raise RecipeError(f"{name} must be {expected.__name__}, got {got}")
    return value


def _shown(value: object) -> str:
    """Format a value for a message, shortened to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def to_toml(values: Mapping[str, Any]) -> str:
    """Format a recipe's nested values as TOML, with all keys."""
    top, sections = [], []
    for key, value in values.items():
        if isinstance(value, dict):
            lines = [f"{name} = {_toml(one)}" for name, one in value.items()]
            sections.append("\n".join([f"\n[{key}]", *lines]))
        else:
            top.append(f"{key} = {_toml(value)}")
    return "\n".join(top + sections) + "\n"


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
