"""The globals that a pickle would import, found without loading it.

A pickle is a program that can call any importable function. Here its opcodes are only listed, by
the standard library's :mod:`pickletools`.
"""

from __future__ import annotations

import pickletools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

# Globals of torch's checkpoints, and of the options that training scripts save with them.
TENSOR_GLOBALS = frozenset(
    {
        "collections OrderedDict",
        "argparse Namespace",
        "torch._utils _rebuild_tensor",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        "torch Size",
        *(
            f"torch {kind}Storage"
            for kind in ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Byte",
                         "Char", "Bool")
        ),
        "torch.storage UntypedStorage",
        "torch.serialization _get_layout",
    }
)  # fmt: skip
_STRINGS = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING",
            "SHORT_BINSTRING"}  # fmt: skip
_PUT, _GET = {"PUT", "BINPUT", "LONG_BINPUT"}, {"GET", "BINGET", "LONG_BINGET"}
_QUIET = {"PROTO", "FRAME"}


def globals_of(file: BinaryIO, *, pickles: int = 1) -> list[str]:
    """Return the globals, ``module name``, that pickles would import.

    Args:
        file: Read from its position to the end of the last pickle.
        pickles: Number of consecutive pickles.

    Returns:
        Unique names in the order of use; ``?`` for a computed name.

    Raises:
        ValueError: The data is not a pickle, or is truncated.
    """
    found: dict[str, None] = {}
    for _ in range(pickles):
        found |= dict.fromkeys(_names(file))
    return list(found)


def _names(file: BinaryIO) -> Iterator[str]:
    strings = _Strings()
    try:
        for opcode, argument, _ in pickletools.genops(file):
            if opcode.name in ("GLOBAL", "INST"):
                yield str(argument)
            elif opcode.name == "STACK_GLOBAL":
                yield strings.named()
            elif opcode.name.startswith("EXT"):
                yield "?"
            strings.follow(opcode.name, argument)
    except (AssertionError, IndexError, KeyError, OverflowError, UnicodeDecodeError) as error:
        raise ValueError(f"not a complete pickle: {error}") from error


class _Strings:
    """The strings on top of a pickle's stack, the operands of ``STACK_GLOBAL``."""

    def __init__(self) -> None:
        self._memo: dict[int, str | None] = {}
        self._last: list[str | None] = []

    def named(self) -> str:
        """Return the two topmost strings; ``?`` for another object."""
        return " ".join(part or "?" for part in self._last[-2:]) if len(self._last) > 1 else "?"

    def follow(self, name: str, argument: object) -> None:
        """Update the stack by an opcode."""
        top = self._last[-1] if self._last else None
        if name in _STRINGS:
            self._last.append(str(argument))
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = top
        elif name in _PUT:
            self._memo[int(str(argument))] = top
        elif name in _GET:
            self._last.append(self._memo.get(int(str(argument))))
        elif name not in _QUIET:
            self._last = []


def unknown_globals(names: list[str]) -> list[str]:
    """Return the globals that plain tensors do not need, in dotted form."""
    return [name.replace(" ", ".") for name in names if name not in TENSOR_GLOBALS]
