"""Files that are kept: where they lie, who may see them, and when they go."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from mesoscope.files.whole import beside
from mesoscope.media.kinds import SNIFF_BYTES, sniff
from mesoscope.server.spool import private_folder

if TYPE_CHECKING:
    from pathlib import Path

MEDIA_TYPES = {
    "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp",
    "bmp": "image/bmp", "tiff": "image/tiff", "avif": "image/avif", "video": "video/mp4",
}  # fmt: skip


class Kept:
    """The folder of kept files; each goes by the id of its result.

    Args:
        folder: Made where it is missing.
        place: Name of this data folder in the database.
        days: So long a file is kept; 0 = never.
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
        """Keep a file; gives back the name to find it by.

        Raises:
            OSError: There is no room.
        """
        folder = self.folder / result_id[:2]
        folder.mkdir(mode=0o700, exist_ok=True)
        target = folder / result_id
        with beside(target, sync=False) as part:
            if isinstance(data, bytes):
                descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
            else:
                _link_or_copy(data, part)
        return f"{result_id[:2]}/{result_id}"

    def find(self, place: str, kept: str | None) -> Path | None:
        """The file of a result; ``None`` where it was not kept, or not here."""
        if kept is None or place != self.place:
            return None
        path = self.folder / kept
        return path if path.is_file() else None

    def remove(self, kept: str) -> None:
        """Take a file away."""
        with contextlib.suppress(OSError):
            (self.folder / kept).unlink()


def _link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name; where the disk knows no such thing, copy it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    target.chmod(0o600)


def media_type(path: Path) -> str | None:
    """The media type of a file by its content; ``None`` for what no browser should show."""
    with path.open("rb") as file:
        kind = sniff(file.read(SNIFF_BYTES))
    return None if kind is None else MEDIA_TYPES.get(kind)
