"""What became of one item: faces written, pictures left out and why. JSON there and back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from mesoscope.errors import DatasetError, SourceNoMemory
from mesoscope.types.schema import loads, read
from mesoscope.types.verdict import Box

# Why a picture, a frame or a face was left out, as it is counted for the user.
REASONS = {
    "unreadable": "files or frames that cannot be read",
    "no_face": "pictures or frames without a face",
    "small_face": "pictures or frames whose faces are all too small",
    "other_person": "frames without the person that was chosen of their clip",
    "untouched": "pictures or frames of fakes whose faces all lie beside the mask",
    "split": "items that fit no split without tearing a group apart",
}


@dataclass(frozen=True, slots=True)
class Written:
    """One face that lies in the data set.

    Attributes:
        path: Relative to the data set, with ``/`` between.
        parent: The file it was cut from, relative to the set's root.
        frame: Its frame's number within a clip or a folder of frames; ``None`` for a picture.
        time_s: The frame's own time; ``None`` but for clips.
        box: In pixels of the frame, as the finder gave it.
        confidence: How sure the finder was.
        finder: Its name; ``whole`` where the picture was taken as it is.
        sha256: Of the file.
        size_bytes: Of the file, so that a later run sees whether it is still whole.
    """

    path: str
    parent: str
    frame: int | None
    time_s: float | None
    box: Box
    confidence: float
    finder: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A clip, a picture or a frame that gave no face.

    Attributes:
        path: Of the file, relative to the set's root.
        reason: One of :data:`REASONS`.
        time_s: The frame's time, where one frame of a clip is meant.
        detail: The error's message, or empty.
    """

    path: str
    reason: str
    time_s: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one item.

    Attributes:
        name: The item's.
        label: 1 = fake, 0 = real.
        method: The item's.
        group: The item's.
        split: Where its faces went.
        stamp: Of its file when it was read: tells whether the file has changed since.
        written: Its faces.
        left_out: What gave none.
        notes: What the user should know, such as a mask that could not be read.
    """

    name: str
    label: int
    method: str
    group: str
    split: str
    stamp: str
    written: tuple[Written, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> Answer:
        """The answer that :meth:`to_json` wrote.

        Raises:
            DatasetError: It is none.
        """
        try:
            told = loads(line)
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"a damaged line of the ledger: {error}") from error
        return read(cls, told, DatasetError, what="a damaged line of the ledger")

    @property
    def failed(self) -> bool:
        """Something of it could not be read."""
        return any(one.reason == "unreadable" for one in self.left_out)

    @property
    def ran_short(self) -> bool:
        """Memory ran short at something of it: it may well be whole, and another try go through."""
        code = SourceNoMemory.code
        return any(one.detail.startswith(f"{code}: ") for one in self.left_out)
