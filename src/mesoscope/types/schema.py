"""What is kept as JSON: the version of each schema, and the one way back into a dataclass.

Writing is each class's own, as it rounds numbers and leaves out what is not known. Reading goes by
the annotations of the class, checked by msgspec, which says where a value of another kind stands.
The card of a model alone is read by hand (:mod:`mesoscope.types.card`): it is read at every start,
and loading msgspec would take a fifteenth of it.
"""

from __future__ import annotations

import dataclasses
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesoscope.errors import MesoscopeError

__all__ = ["VERSIONS", "loads", "read", "refuse_version"]

T = TypeVar("T")

# The versions that are read, the last of which is written. A change that an older mesoscope would
# misread adds one; the keys are what messages call it.
VERSIONS: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "card": (1,),  # in a model file: card_version
        "verdict": (1, 2),  # of version 1: a picture without persons
        "provenance": (1,),
        "evaluation": (1,),  # metrics.json
        "report": (1,),  # the record inside a report: mesoscope_report
        "audit": (1,),
        "prepared set": (1,),  # its ledger
        "generator": (1,),  # of StyleGAN, in a safetensors file
    }
)


def refuse_version(what: str, found: object, error: type[MesoscopeError], *, where: str) -> None:
    """Refuse what a later mesoscope has written.

    Args:
        what: A key of :data:`VERSIONS`.
        found: The version that the file names.
        error: What is raised.
        where: Begins the message: what is read, and that its version follows, as in
            ``a verdict of schema``.

    Raises:
        MesoscopeError: ``error``, with the versions that are read.
    """
    read_here = VERSIONS[what]
    if type(found) is not int or found not in read_here:
        upto = f"up to {read_here[-1]}" if len(read_here) > 1 else str(read_here[-1])
        raise error(f"{where} {found}, and this version reads {upto}: update mesoscope")


def loads(text: str | bytes) -> Any:  # noqa: ANN401 - whatever stands there
    """JSON as it is defined: ``NaN`` and ``Infinity``, which Python reads, are refused.

    Raises:
        ValueError: It is no JSON.
    """
    return json.loads(text, parse_constant=_refuse)


def read(cls: type[T], data: object, error: type[MesoscopeError], *, what: str) -> T:
    """Build a dataclass from what JSON holds.

    Args:
        cls: A dataclass whose annotations can be resolved where it is defined.
        data: Of :func:`loads`, without the version.
        error: What is raised.
        what: Begins the message, as ``not a verdict``.

    Raises:
        MesoscopeError: ``error``, naming the field: one is missing, of another kind, or one that
            the class does not have. Errors of the class's own checks come as they are.
    """
    import msgspec

    try:
        made = msgspec.convert(data, cls)
    except msgspec.ValidationError as wrong:
        raise error(f"{what}: {_plain(str(wrong))}") from wrong
    surplus = _surplus(data, made)
    if surplus:
        raise error(f"{what}: it has a field that is not known, {_plain(surplus)!r}")
    return made


def _surplus(data: object, made: object, path: str = "") -> str:
    """The first key that no dataclass has taken; empty where there is none."""
    if isinstance(data, dict) and dataclasses.is_dataclass(made):
        fields = {field.name for field in dataclasses.fields(made)}
        for key, value in data.items():
            here = f"{path}.{key}" if path else str(key)
            found = here if key not in fields else _surplus(value, getattr(made, key), here)
            if found:
                return found
    elif isinstance(data, list) and isinstance(made, tuple):
        for number, (one, other) in enumerate(zip(data, made, strict=True)):
            if found := _surplus(one, other, f"{path}[{number}]"):
                return found
    return ""


def _plain(text: str) -> str:
    """As one line."""
    return " ".join(text.replace("`", "").replace("$.", "").split())[:300]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
