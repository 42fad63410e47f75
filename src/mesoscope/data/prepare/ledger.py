"""The ledger of a data set that is being prepared: which items are done, and what became of each.

A transaction an item: whatever kills the process, an item is either in the ledger, and then all of
its files are in their places, or it is done again and its files take the same names. The database
stays locked while a process works, and a killed one lets go.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from mesoscope.errors import DatasetError, SourceNoMemory
from mesoscope.errors.failures import cause
from mesoscope.types.schema import VERSIONS, loads, read
from mesoscope.types.verdict import Box

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mesoscope.types import Json


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
class WrittenFace:
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
class ItemResult:
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
    written: tuple[WrittenFace, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> ItemResult:
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


NAME = "prepare.sqlite"


class PrepareLedger:
    """Answers by the names of their items, kept on disk; use it as a context manager.

    Args:
        folder: The data set's, which is made where it is missing.
        identity: Of the options, see :meth:`PrepareOptions.identity`.

    Raises:
        DatasetError: The folder holds something else, or was begun with other options, or another
            process works in it, or its ledger is damaged.
    """

    def __init__(self, folder: Path, identity: dict[str, Json]) -> None:
        self._folder = folder
        _refuse_strangers(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(folder / NAME, timeout=0, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise DatasetError(f"{folder}: cannot be written: {cause(error)}") from error
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
            self._db.execute("BEGIN IMMEDIATE")  # takes the lock, which stays until the end
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
        schema, told = begun
        if schema != VERSIONS["prepared set"][-1]:
            raise DatasetError(
                f"{self._folder}: was begun by another version of mesoscope: go on with that one, "
                "or choose another `out`"
            )
        before = json.loads(told)
        for key in before | identity:
            old, new = before.get(key), identity.get(key)
            if old != new:
                raise DatasetError(
                    f"{self._folder}: was begun with `{key}` {_said(old)}, and this is "
                    f"{_said(new)}: give the same options to go on, or choose another `out`"
                )

    def add(self, answer: ItemResult) -> None:
        """Keep an answer, in place of an older one; from here on its item is done.

        Raises:
            DatasetError: The disk is full, or the like.
        """
        try:
            self._db.execute(
                "INSERT OR REPLACE INTO done VALUES (?, ?)", (answer.name, answer.to_json())
            )
        except sqlite3.Error as error:
            raise DatasetError(
                f"{self._folder / NAME}: cannot be written: {error}: the same command goes on later"
            ) from error

    def answers(self) -> Iterator[ItemResult]:
        """All answers, one in memory at a time, by name."""
        for (line,) in self._db.execute("SELECT answer FROM done ORDER BY name"):
            yield ItemResult.from_json(line)

    def of(self, names: Iterable[str]) -> Iterator[ItemResult]:
        """The answers of items that are done, in the order of the names."""
        for name in names:
            row = self._db.execute("SELECT answer FROM done WHERE name = ?", (name,)).fetchone()
            if row is not None:
                yield ItemResult.from_json(row[0])

    def close(self) -> None:
        """Let go of the folder."""
        self._db.close()

    def __enter__(self) -> PrepareLedger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _said(value: Json) -> str:
    """An option's value as on a command line."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return "unset" if value is None else str(value)


def _refuse_strangers(folder: Path) -> None:
    if not folder.exists() or (folder / NAME).is_file():
        return
    if not folder.is_dir():
        raise DatasetError(f"{folder}: is a file: name a folder with `out`")
    if any(not path.name.startswith(".") for path in folder.iterdir()):  # .DS_Store
        raise DatasetError(
            f"{folder}: holds files that prepare did not write: choose an empty or a new folder"
        )
