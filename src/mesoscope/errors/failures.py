"""Any exception, whatever its class, as an error of the one file that it came up at."""

from __future__ import annotations

from mesoscope.errors import MesoscopeError, SourceError, SourceFailed, SourceNoMemory

_LONGEST = 200  # characters of a library's own words
# OpenCV, ONNX Runtime and libav have classes of their own for what Python calls MemoryError.
_NO_MEMORY = ("insufficient memory", "failed to allocate memory", "cannot allocate memory",
              "bad_alloc", "out of memory", "std::bad_array_new_length")  # fmt: skip


def failure(name: str, error: Exception) -> MesoscopeError:
    """The error of a file whose reading or judging raised something.

    Args:
        name: The file, as shown to the user.
        error: What was raised.

    Returns:
        The error itself where mesoscope raised it on purpose; else one that names the file, says
        what was raised, and has it as its cause.
    """
    if isinstance(error, MesoscopeError):
        return error
    if ran_short(error):
        made: MesoscopeError = SourceNoMemory(
            f"{name}: memory ran short: close other programs, or "
            "lower `max_pixels` or `jobs`, and scan it again"
        )
    else:
        made = SourceFailed(
            f"{name}: could not be judged, {describe(error)}: the file may be odd or damaged; "
            "please report it"
        )
    made.__cause__ = error
    return made


def source_failure(name: str, error: Exception) -> SourceError:
    """As :func:`failure`, where whatever was raised is the file's own error and ends nothing."""
    found = failure(name, error)
    if isinstance(found, SourceError):
        return found
    made = SourceFailed(f"{name}: could not be judged: {found}")
    made.__cause__ = error
    return made


def ran_short(error: BaseException) -> bool:
    """Whether an exception says that memory ran short: another try may well go through."""
    if isinstance(error, MemoryError | SourceNoMemory):
        return True
    if isinstance(error, MesoscopeError):
        return False
    said = str(error).lower()
    return any(words in said for words in _NO_MEMORY)


def cause(error: BaseException) -> str:
    """What an exception says is the matter, in one line without its number: "File too large".

    An ``OSError`` that a library raises by hand, as zipfile and tarfile do, has no ``strerror``.
    """
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(said.split())


def describe(error: BaseException) -> str:
    """An exception in a few words: its class, and the first line of what it says."""
    lines = str(error).strip().splitlines()
    first = lines[0][:_LONGEST] if lines else ""
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
