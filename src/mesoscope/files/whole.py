"""Files that are whole or not there: written beside their place, and moved there in one step."""

from __future__ import annotations

import contextlib
import itertools
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mesoscope.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PART = ".part"  # ends the names of files that are not whole yet
_numbers = itertools.count()


@contextmanager
def whole(path: Path, *, then: str = "") -> Iterator[Path]:
    """Where to write a file, which takes its place when it is done, and else leaves nothing.

    A file that stood there before stays until then. What a link points to is replaced, and not the
    link. Devices and pipes are written as they are, as nothing can take their place.

    Args:
        path: The file; its folder is made.
        then: The next step, told behind what cannot be written.

    Yields:
        The file to write.

    Raises:
        OutputError: It cannot be written.
    """
    part = None
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            if target.is_dir():
                raise OutputError(f"{path}: cannot be written: a folder stands there: name a file")
            yield path
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own: that of the file, with more behind it, may be longer than names can be.
        part = target.with_name(f".{os.getpid()}-{next(_numbers)}{PART}")
        yield part
        part.replace(target)
    except OSError as error:
        said = f"{path}: cannot be written: {error.strerror or error}"
        raise OutputError(f"{said}: {then}" if then else said) from error
    finally:  # an interrupt leaves nothing behind either
        if part is not None:
            with contextlib.suppress(OSError):
                part.unlink()


def write_whole(path: Path, data: bytes, *, then: str = "") -> None:
    """Write a file in one move, see :func:`whole`.

    Raises:
        OutputError: It cannot be written.
    """
    with whole(path, then=then) as part:
        part.write_bytes(data)


def write_text(path: Path, text: str, *, then: str = "") -> None:
    """Write a text file in one move; a name in it that is not UTF-8 is written as an escape.

    Raises:
        OutputError: It cannot be written.
    """
    write_whole(path, text.encode("utf-8", "backslashreplace"), then=then)
