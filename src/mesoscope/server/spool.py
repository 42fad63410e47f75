"""Temporary storage of uploads, and the folder of kept files."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import threading
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mesoscope.errors import OutputError
from mesoscope.errors.failures import cause
from mesoscope.files.atomic import atomic_path
from mesoscope.files.escape import is_invisible
from mesoscope.media.image import FileBytes
from mesoscope.media.kinds import SNIFF_BYTES, sniff
from mesoscope.server.problems import Problem, of_os_error

if TYPE_CHECKING:
    from mesoscope.media.kinds import Kind


IN_MEMORY_BYTES = 1 << 20  # of an upload; larger ones go to disk
LONGEST_NAME = 200
NAMELESS = "upload"


def clean_name(raw: bytes | str) -> str:
    """Sanitise an upload's name: the last part of its path, without control characters.

    Bytes that are not UTF-8 become U+FFFD, so every database and JSON can hold the name.
    """
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    text = text.replace("\\", "/").rstrip("/").rpartition("/")[2]
    text = "".join("\ufffd" if is_invisible(c) else c for c in text)
    text = unicodedata.normalize("NFC", text).strip()
    if len(text) > LONGEST_NAME:
        stem, dot, suffix = text.rpartition(".")
        suffix = dot + suffix if dot and len(suffix) <= 8 else ""
        text = (stem if suffix else text)[: LONGEST_NAME - len(suffix)] + suffix
    return NAMELESS if text in ("", ".", "..") else text


def private_folder(path: Path) -> Path:
    """Return a folder that only this user can read; created if missing.

    Raises:
        OutputError: The folder cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise OutputError(f"{path}: cannot be made: {cause(error)}") from error
    return path


class UploadSpool:
    """The private folder of uploads; leftovers of a killed process are removed when it opens.

    Args:
        folder: The folder; created if missing.
        budget_bytes: Total size of uploads.
    """

    def __init__(self, folder: Path, budget_bytes: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.folder = private_folder(folder)
        self._left = budget_bytes
        self._lock = threading.Lock()

    def reserve(self, size_bytes: int) -> None:
        """Reserve bytes before they are written.

        Raises:
            Problem: The budget is spent.
        """
        with self._lock:
            if size_bytes > self._left:
                raise Problem(
                    "storage.full",
                    "other uploads take all the room: try again later",
                    retry_after_s=60,
                )
            self._left -= size_bytes

    def release(self, size_bytes: int) -> None:
        """Release bytes."""
        with self._lock:
            self._left += size_bytes

    def new_path(self) -> Path:
        """Return an unguessable path of a new file."""
        return self.folder / secrets.token_hex(16)


class Upload:
    """An uploaded file: in memory while it is small, else in the spool.

    Args:
        spool: Storage of large uploads.
        name: Name from :func:`clean_name`.
    """

    def __init__(self, spool: UploadSpool, name: str) -> None:
        self.name = name
        self.size = 0
        self.path: Path | None = None
        self._spool = spool
        self._parts: list[bytes] = []
        self._held = 0
        self._counted = 0
        self._file: BinaryIO | None = None
        self._head = b""

    def add(self, data: bytes) -> None:
        """Buffer some bytes; :meth:`flush` writes them to disk."""
        self._parts.append(data)
        self._held += len(data)
        self.size += len(data)
        if len(self._head) < SNIFF_BYTES:
            self._head += data[: SNIFF_BYTES - len(self._head)]

    @property
    def due(self) -> bool:
        """Whether the buffer should be flushed."""
        return self._held >= IN_MEMORY_BYTES

    def flush(self) -> None:
        """Write the buffer to disk.

        Raises:
            Problem: There is no room, or the disk fails.
        """
        self._spool.reserve(self._held)
        self._counted += self._held
        try:
            if self._file is None:
                self.path = self._spool.new_path()
                descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                self._file = os.fdopen(descriptor, "wb", buffering=0)
            for part in self._parts:
                view = memoryview(part)
                while view:
                    view = view[self._file.write(view) :]
        except OSError as error:
            raise of_os_error(error) from error
        self._parts.clear()
        self._held = 0

    def finish(self, *, on_disk: bool = False) -> None:
        """Mark the upload as complete.

        Args:
            on_disk: Write it to disk whatever its size, and sync.

        Raises:
            Problem: There is no room, or the disk fails.
        """
        if on_disk or self._file is not None:
            self.flush()
        if self._file is not None:
            try:
                if on_disk:
                    os.fsync(self._file.fileno())
                self._file.close()
            except OSError as error:
                raise of_os_error(error) from error

    @property
    def kind(self) -> Kind | None:
        """Its kind by content; ``None`` for neither picture nor clip."""
        return sniff(self._head)

    @property
    def is_zip(self) -> bool:
        """Whether it begins as a ZIP archive, an empty one included."""
        return self._head.startswith((b"PK\3\4", b"PK\5\6"))

    def source(self) -> FileBytes:
        """Return all of it, under its name."""
        if self.path is None:
            if len(self._parts) > 1:
                self._parts = [b"".join(self._parts)]
            return FileBytes.of(self.name, self._parts[0] if self._parts else b"")
        return FileBytes.of(self.name, self.path.read_bytes())

    def close(self) -> None:
        """Release it, and its file unless that was moved."""
        self._parts.clear()
        if self._file is not None:
            self._file.close()
        if self.path is not None:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
        self._spool.release(self._counted)
        self._counted = 0


MEDIA_TYPES = {
    "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp",
    "bmp": "image/bmp", "tiff": "image/tiff", "avif": "image/avif", "video": "video/mp4",
}  # fmt: skip


class KeptFiles:
    """The folder of kept files; each is named by its result's id.

    Args:
        folder: The folder; created if missing.
        place: Name of this data folder in the database.
        days: Retention in days; 0 = none.
    """

    def __init__(self, folder: Path, place: str, days: float) -> None:
        self.folder = private_folder(folder)
        self.place = place
        self.days = days

    @property
    def wanted(self) -> bool:
        """Whether files are kept at all."""
        return self.days > 0

    def add(self, result_id: str, data: bytes | Path) -> str:
        """Keep a file; return the name to find it by.

        Raises:
            OSError: There is no room.
        """
        folder = self.folder / result_id[:2]
        folder.mkdir(mode=0o700, exist_ok=True)
        target = folder / result_id
        with atomic_path(target, sync=False) as part:
            if isinstance(data, bytes):
                descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
            else:
                _link_or_copy(data, part)
        return f"{result_id[:2]}/{result_id}"

    def find(self, place: str, kept: str | None) -> Path | None:
        """Return the file of a result; ``None`` if it was not kept, or not here."""
        if kept is None or place != self.place:
            return None
        path = self.folder / kept
        return path if path.is_file() else None

    def remove(self, kept: str) -> None:
        """Remove a file."""
        with contextlib.suppress(OSError):
            (self.folder / kept).unlink()


def _link_or_copy(source: Path, target: Path) -> None:
    """Hard-link a file, or copy it if the disk has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    target.chmod(0o600)


def media_type(path: Path) -> str | None:
    """Return the media type of a file by content; ``None`` if no browser should show it."""
    with path.open("rb") as file:
        kind = sniff(file.read(SNIFF_BYTES))
    return None if kind is None else MEDIA_TYPES.get(kind)
