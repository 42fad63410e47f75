"""Versions of the JSON schemas, and conversion of JSON into dataclasses.

Each class writes its own JSON, because it rounds numbers and omits unknown values. Reading follows
the annotations of the class; msgspec checks them and names the field that does not fit. Model cards
are read without msgspec (:mod:`mesoscope.types.card`): every start reads one, and importing msgspec
would take a fifteenth of the start.
"""

from __future__ import annotations

import dataclasses
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesoscope.errors import MesoscopeError

__all__ = ["VERSIONS", "decode", "loads", "read", "refuse_version"]

T = TypeVar("T")

# The versions that can be read; the last one is written. A change that an older mesoscope would
# misread adds a version. Messages use the keys as names.
VERSIONS: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "card": (1,),  # in a model file: card_version
        "verdict": (1, 2),  # version 1: pictures only, without persons
        "provenance": (1,),
        "evaluation": (1,),  # metrics.json
        "report": (1,),  # the record in a report: mesoscope_report
        "audit": (1,),
        "prepared set": (1,),  # the ledger in its folder
        "generator": (1,),  # a StyleGAN in a safetensors file
    }
)


def refuse_version(what: str, found: object, error: type[MesoscopeError], *, where: str) -> None:
    """Raise an error if a file was written by a later version of mesoscope.

    Args:
        what: A key of :data:`VERSIONS`.
        found: Version named by the file.
        error: Class of the error.
        where: Start of the message, followed by the version, as in ``a verdict of schema``.

    Raises:
        MesoscopeError: An ``error`` that lists the supported versions.
    """
    supported = VERSIONS[what]
    if type(found) is not int or found not in supported:
        listed = f"up to {supported[-1]}" if len(supported) > 1 else str(supported[-1])
        raise error(f"{where} {found}, and this version reads {listed}: update mesoscope")


def decode(text: str | bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Parse JSON as Python's json does, three times as quickly: for millions of verdicts.

    Raises:
        ValueError: This is not JSON.
        RecursionError: It is nested too deeply.
    """
    import msgspec

    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):  # \udcXX of a name, or NaN
        return json.loads(text)


def loads(text: str | bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Parse strict JSON: ``NaN`` and ``Infinity``, which Python accepts, are errors.

    Raises:
        ValueError: The text is not JSON.
    """
    return json.loads(text, parse_constant=_refuse_constant)


def read(cls: type[T], data: object, error: type[MesoscopeError], *, what: str) -> T:
    """Convert parsed JSON into a dataclass.

    Args:
        cls: Dataclass whose annotations can be resolved at run time.
        data: Result of :func:`loads`, without the version.
        error: Class of the error.
        what: Start of the message, as in ``not a verdict``.

    Raises:
        MesoscopeError: An ``error`` that names a missing, mistyped or unknown field. Errors raised
            by the class's own checks pass unchanged.
    """
    import msgspec

    try:
        value = msgspec.convert(data, cls)
    except msgspec.ValidationError as failure:
        raise error(f"{what}: {_one_line(str(failure))}") from failure
    unknown = _unknown_field(data, value)
    if unknown:
        raise error(f"{what}: unknown field {_one_line(unknown)!r}")
    return value


def _unknown_field(data: object, value: object, path: str = "") -> str:
    """Return the path of the first key that is no field of its dataclass, or an empty string."""
    if isinstance(data, dict) and dataclasses.is_dataclass(value):
        names = {field.name for field in dataclasses.fields(value)}
        for key, item in data.items():
            here = f"{path}.{key}" if path else str(key)
            if key not in names:
                return here
            if unknown := _unknown_field(item, getattr(value, key), here):
                return unknown
    elif isinstance(data, list) and isinstance(value, tuple):
        for index, (item, converted) in enumerate(zip(data, value, strict=True)):
            if unknown := _unknown_field(item, converted, f"{path}[{index}]"):
                return unknown
    return ""


def _one_line(text: str) -> str:
    return " ".join(text.replace("`", "").replace("$.", "").split())[:300]


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
