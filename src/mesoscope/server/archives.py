"""Untrusted ZIP archives: listed and read member by member, never unpacked into a folder."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import zipfile
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from mesoscope.errors import SourceError, SourceTooLarge, SourceUnsupported
from mesoscope.media.image import FileBytes
from mesoscope.media.kinds import CLIP_SUFFIXES
from mesoscope.server.problems import Problem
from mesoscope.server.spool import clean_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mesoscope.server.settings import Limits

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz")
_HIDDEN = ("__MACOSX/", ".DS_Store", "Thumbs.db")  # files of operating systems
_READ = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # other methods may need unbounded memory
_MEBI = 1 << 20
DIRECTORY_BYTES = 8 * _MEBI  # 20,000 files with names of 350 characters
_BLOCK = 1 << 18


class _Bounded(io.FileIO):
    """A file with a limit on single reads.

    ``zipfile`` reads an archive's directory whole, whatever its claimed size, and makes an object
    per entry: a directory of gigabytes would exhaust memory.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to ``size`` bytes.

        Raises:
            BadZipFile: The read is larger than any directory needs.
        """
        if size is None or size < 0:  # the rest
            size = os.fstat(self.fileno()).st_size - self.tell()
        if size > DIRECTORY_BYTES:
            raise zipfile.BadZipFile("its directory is too large")
        return super().read(size) or b""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive.

    Attributes:
        archive: The open archive; shared by threads.
        entry: Its directory entry.
        name: Its sanitised path in the archive; for display only.
        refused: Reason why it is not read; ``None`` if it is.
        most_bytes: Largest unpacked size.
    """

    archive: zipfile.ZipFile
    entry: zipfile.ZipInfo
    name: str
    refused: str | None
    most_bytes: int

    @property
    def size(self) -> int:
        """Size in bytes by the archive's directory."""
        return self.entry.file_size

    @property
    def is_clip(self) -> bool:
        """Whether it has the suffix of a clip."""
        return PurePath(self.name).suffix.lower() in CLIP_SUFFIXES

    def blocks(self) -> Iterator[bytes]:
        """Yield its bytes in blocks.

        Raises:
            SourceUnsupported: It is a link, an archive, encrypted, or in a rare compression.
            SourceTooLarge: It is larger than allowed; unpacking stops at the limit.
            SourceError: The archive is damaged there.
        """
        if self.refused is not None:
            raise SourceUnsupported(f"{self.name}: {self.refused}")
        left = self.most_bytes
        self._refuse(self.size > left)
        try:
            with self.archive.open(self.entry) as file:
                while block := file.read(_BLOCK):
                    left -= len(block)
                    self._refuse(left < 0)
                    yield block
        except SourceError:
            raise
        except Exception as error:  # damaged archives make zipfile raise a dozen types
            raise SourceError(
                f"{self.name}: the archive is damaged there: pack it again"
            ) from error

    def _refuse(self, too_large: bool) -> None:
        if too_large:
            raise SourceTooLarge(
                f"{self.name}: more than the {self.most_bytes / _MEBI:,.0f} MiB that one file may "
                "have"
            )

    def source(self) -> FileBytes:
        """Read the whole file, under its name.

        Raises:
            SourceError: As for :meth:`blocks`.
        """
        return FileBytes.of(self.name, b"".join(self.blocks()))


@contextlib.contextmanager
def members(path: Path, limits: Limits) -> Iterator[list[Member]]:
    """Open an archive and list its files, in order.

    Nothing is unpacked. Names never open or write anything, so ``../`` and absolute paths are
    harmless; they are sanitised for display.

    Args:
        path: Path of the archive.
        limits: Limits of files and bytes.

    Yields:
        Its files, readable inside the context.

    Raises:
        Problem: It is no ZIP archive, damaged, empty, or has too many files or bytes.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(_Bounded(path))
            archive = stack.enter_context(zipfile.ZipFile(file))
            listed = _list(archive, limits)
        except Problem:
            raise
        except Exception as error:  # as above
            raise Problem(
                "archive.invalid",
                "the ZIP archive is damaged or of too many files, it cannot be listed: pack it "
                "again",
            ) from error
        yield listed


def _list(archive: zipfile.ZipFile, limits: Limits) -> list[Member]:
    found = [
        _member(archive, entry, limits)
        for entry in archive.infolist()
        # Not entry.is_dir(), which fails on an entry without a name.
        if not entry.filename.endswith("/") and not _is_hidden(entry.filename)
    ]
    if len(found) > limits.files:
        raise _too_many(limits)
    if not found:
        raise Problem("archive.invalid", "the ZIP archive holds no files: pack some pictures")
    unpacked_bytes = sum(member.size for member in found)
    if unpacked_bytes > limits.unpacked_bytes:
        raise Problem(
            "archive.invalid",
            f"the ZIP archive would unpack to {unpacked_bytes / _MEBI:,.0f} MiB, and the limit is "
            f"{limits.unpacked_bytes / _MEBI:,.0f}: pack fewer files",
            status=413,
        )
    return found


def _too_many(limits: Limits) -> Problem:
    return Problem(
        "archive.invalid",
        f"the ZIP archive holds more than {limits.files:,} files: pack several archives",
        status=413,
    )


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: Limits) -> Member:
    parts = [clean_name(part) for part in entry.filename.replace("\\", "/").split("/")]
    name = "/".join(part for part in parts if part != "upload") or "upload"
    if len(name) > 400:
        name = clean_name(name)
    suffix = PurePath(name).suffix.lower()
    clip = suffix in CLIP_SUFFIXES
    mode = entry.external_attr >> 16
    refused = None
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        refused = "a link or a device, which is not read: pack the file itself"
    elif entry.flag_bits & 0x1:
        refused = "encrypted, so it cannot be read: pack it without a password"
    elif entry.compress_type not in _READ:
        refused = "packed in a way that is not read: pack it as deflate"
    elif suffix in _ARCHIVES:
        refused = "an archive within an archive, which is not read: pack its files themselves"
    most = limits.clip_bytes if clip else limits.picture_bytes
    return Member(archive, entry, name, refused, most)


def _is_hidden(name: str) -> bool:
    return name.startswith(_HIDDEN[0]) or name.rpartition("/")[2] in _HIDDEN[1:]
