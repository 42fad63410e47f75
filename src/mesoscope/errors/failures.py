"""Conversion of any exception to the error of the file that raised it."""

from __future__ import annotations

import re

from mesoscope.errors import MesoscopeError, SourceError, SourceFailed, SourceNoMemory

_NUMBERS = re.compile(r"\[errno -?\d+\] ?| ?\(os error \d+\)", re.IGNORECASE)
_LONGEST = 200  # characters of a library's message
# OpenCV, ONNX Runtime and libav raise other classes than MemoryError when memory runs out.
_NO_MEMORY = ("insufficient memory", "failed to allocate memory", "cannot allocate memory",
              "bad_alloc", "out of memory", "std::bad_array_new_length")  # fmt: skip


def failure(name: str, error: Exception) -> MesoscopeError:
    """Convert an exception to an error of a file.

    Args:
        name: The file, as shown to the user.
        error: The exception.

    Returns:
        The exception if mesoscope raised it on purpose; else an error that names the file and
        describes the exception, with the exception as its cause.
    """
    if isinstance(error, MesoscopeError):
        return error
    if out_of_memory(error):
        converted: MesoscopeError = SourceNoMemory(
            f"{name}: memory ran short: close other programs, or "
            "lower `max_pixels` or `jobs`, and scan it again"
        )
    else:
        converted = SourceFailed(
            f"{name}: could not be judged, {describe(error)}: the file may be odd or damaged; "
            "please report it"
        )
    converted.__cause__ = error
    return converted


def source_failure(name: str, error: Exception) -> SourceError:
    """Convert an exception as :func:`failure` does, always to a :class:`SourceError`."""
    converted = failure(name, error)
    if isinstance(converted, SourceError):
        return converted
    of_source = SourceFailed(f"{name}: could not be judged: {converted}")
    of_source.__cause__ = error
    return of_source


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, so that a retry may succeed."""
    if isinstance(error, MemoryError | SourceNoMemory):
        return True
    if isinstance(error, MesoscopeError):
        return False
    message = str(error).lower()
    return any(words in message for words in _NO_MEMORY)


def cause(error: BaseException) -> str:
    """Return an exception's message in one line, without an error number: "File too large".

    An ``OSError`` that a library raises itself, as zipfile and tarfile do, has no ``strerror``.
    """
    message = getattr(error, "strerror", None) or str(error) or type(error).__name__
    message = message.rpartition(" Detail: ")[2]  # pyarrow's words for the system's
    return " ".join(_NUMBERS.sub("", message).split()) or type(error).__name__


def describe(error: BaseException) -> str:
    """Return an exception's class and the first line of its message."""
    lines = str(error).strip().splitlines()
    first = lines[0][:_LONGEST] if lines else ""
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
