"""Ledger of a data set in preparation: the finished items and their results.

Each item is one transaction. After a kill, an item is either in the ledger with all of its files in
place, or it is done again and its files get the same names. The database stays locked while a
process works; the operating system releases the lock of a killed one.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from mesoscope.errors import DatasetError, OutputError, SourceNoMemory
from mesoscope.errors.failures import cause
from mesoscope.types.schema import VERSIONS, loads, read
from mesoscope.types.verdict import Box

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mesoscope.types import Json


# Reasons why a picture, frame or face was left out, as counted for the user.
REASONS = {
    "unreadable": "files or frames that cannot be read",
    "no_face": "pictures or frames without a face",
    "small_face": "pictures or frames whose faces are all too small",
    "other_person": "frames without the person that was chosen of their clip",
    "untouched": "pictures or frames of fakes whose faces all lie beside the mask",
    "split": "items that fit no split without tearing a group apart",
}


@dataclass(frozen=True, slots=True)
class WrittenFace:
    """One face in the data set.

    Attributes:
        path: Path relative to the data set, with ``/`` as separator.
        parent: File it was cropped from, relative to the set's root.
        frame: Number of its frame in a clip or a folder of frames; ``None`` for a picture.
        time_s: Time of its frame; ``None`` except for clips.
        box: Box of the finder, in pixels of the frame.
        confidence: Confidence of the finder.
        finder: Name of the finder; ``whole`` if the picture was taken as it is.
        sha256: Digest of the file.
        size_bytes: Size of the file, to check later that it is whole.
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
    """A clip, picture or frame without a face.

    Attributes:
        path: The file, relative to the set's root.
        reason: One of :data:`REASONS`.
        time_s: Time of the frame, for a single frame of a clip.
        detail: The error's message; may be empty.
    """

    path: str
    reason: str
    time_s: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ItemResult:
    """Result of one item.

    Attributes:
        name: Name of the item.
        label: 1 = fake, 0 = real.
        method: Method of the item.
        group: Group of the item.
        split: Split of its faces.
        stamp: Fingerprint of its files when read: shows later changes.
        written: Its faces.
        left_out: Its parts without a face.
        notes: Notes for the user, such as a mask that is not readable.
    """

    name: str
    label: int
    method: str
    group: str
    split: str
    stamp: str
    written: tuple[WrittenFace, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> ItemResult:
        """Read a line from :meth:`to_json`.

        Raises:
            DatasetError: The line is not valid.
        """
        try:
            data = loads(line)
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"a damaged line of the ledger: {error}") from error
        return read(cls, data, DatasetError, what="a damaged line of the ledger")

    @property
    def failed(self) -> bool:
        """Whether a part of it was not readable."""
        return any(one.reason == "unreadable" for one in self.left_out)

    @property
    def out_of_memory(self) -> bool:
        """Whether memory ran short: another try may succeed."""
        code = SourceNoMemory.code
        return any(one.detail.startswith(f"{code}: ") for one in self.left_out)


NAME = "prepare.sqlite"
_NOT_WRITTEN = (
    "disk is full",
    "I/O error",
    "readonly database",
    "unable to open",
)  # SQLite's words


class PrepareLedger:
    """Results by item name, kept on disk; a context manager.

    Args:
        folder: Folder of the data set; created if missing.
        identity: Identity of the options, see :meth:`PrepareOptions.identity`.

    Raises:
        DatasetError: The folder holds something else or was begun with other options, another
            process works in it, or its ledger is damaged.
        OutputError: The disk is full, or the folder cannot be written.
    """

    def __init__(self, folder: Path, identity: dict[str, Json]) -> None:
        self._folder = folder
        _refuse_other_files(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(folder / NAME, timeout=0, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise OutputError(f"{folder}: cannot be written: {cause(error)}") from error
        try:
            self._open(identity)
        except BaseException:
            self._db.close()
            raise

    def _open(self, identity: dict[str, Json]) -> None:
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("BEGIN IMMEDIATE")  # takes the write lock until the end
            self._db.execute("CREATE TABLE IF NOT EXISTS begun (schema INTEGER, options TEXT)")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS done (name TEXT PRIMARY KEY, answer TEXT NOT NULL) "
                "WITHOUT ROWID"
            )
            begun = self._db.execute("SELECT schema, options FROM begun").fetchone()
            if begun is None:
                row = (VERSIONS["prepared set"][-1], json.dumps(identity))
                self._db.execute("INSERT INTO begun VALUES (?, ?)", row)
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise DatasetError(
                    f"{self._folder}: another prepare works in it: wait until it is done, or "
                    "choose another `out`"
                ) from error
            if any(words in str(error) for words in _NOT_WRITTEN):
                raise OutputError(
                    f"{self._folder / NAME}: cannot be written: {error}: see to it, then give the "
                    "same command again"
                ) from error
            raise self._damaged(error) from error
        except sqlite3.DatabaseError as error:
            raise self._damaged(error) from error
        if begun is not None:
            self._refuse_others(begun, identity)

    def _damaged(self, error: Exception) -> DatasetError:
        return DatasetError(
            f"{self._folder / NAME}: cannot be read: {error}: prepare into another folder"
        )

    def _refuse_others(self, begun: tuple[int, str], identity: dict[str, Json]) -> None:
        schema, settings = begun
        if schema != VERSIONS["prepared set"][-1]:
            raise DatasetError(
                f"{self._folder}: was begun by another version of mesoscope: go on with that one, "
                "or choose another `out`"
            )
        before = json.loads(settings)
        for key in before | identity:
            old, new = before.get(key), identity.get(key)
            if old != new:
                raise DatasetError(
                    f"{self._folder}: was begun with `{key}` {_option_text(old)}, and this is "
                    f"{_option_text(new)}: give the same options to go on, or choose another `out`"
                )

    def add(self, answer: ItemResult) -> None:
        """Store a result, replacing an older one; its item is then done.

        Raises:
            OutputError: The write failed, for example because the disk is full.
        """
        try:
            self._db.execute(
                "INSERT OR REPLACE INTO done VALUES (?, ?)", (answer.name, answer.to_json())
            )
        except sqlite3.Error as error:
            raise OutputError(
                f"{self._folder / NAME}: cannot be written: {error}: the same command goes on later"
            ) from error

    def answers(self) -> Iterator[ItemResult]:
        """Yield all results by name, one in memory at a time."""
        for (line,) in self._db.execute("SELECT answer FROM done ORDER BY name"):
            yield ItemResult.from_json(line)

    def of(self, names: Iterable[str]) -> Iterator[ItemResult]:
        """Yield the results of finished items, in the order of the names."""
        for name in names:
            row = self._db.execute("SELECT answer FROM done WHERE name = ?", (name,)).fetchone()
            if row is not None:
                yield ItemResult.from_json(row[0])

    def close(self) -> None:
        """Close the database and release the folder."""
        self._db.close()

    def __enter__(self) -> PrepareLedger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _option_text(value: Json) -> str:
    """Format an option's value as on a command line."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return "unset" if value is None else str(value)


def _refuse_other_files(folder: Path) -> None:
    if not folder.exists() or (folder / NAME).is_file():
        return
    if not folder.is_dir():
        raise DatasetError(f"{folder}: is a file: name a folder with `out`")
    if any(not path.name.startswith(".") for path in folder.iterdir()):  # .DS_Store
        raise DatasetError(
            f"{folder}: holds files that prepare did not write: choose an empty or a new folder"
        )
