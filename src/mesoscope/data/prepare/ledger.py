"""The ledger of a data set that is being prepared: which items are done. SQLite, in its folder.

A transaction an item: whatever kills the process, an item is either in the ledger, and then all of
its files are in their places, or it is done again and its files take the same names. The database
stays locked while a process works, and a killed one lets go.
"""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

from mesoscope.data.prepare.answer import Answer
from mesoscope.errors import DatasetError
from mesoscope.types.schema import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mesoscope.types import Json

NAME = "prepare.sqlite"


class Ledger:
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
            raise DatasetError(f"{folder}: cannot be written: {error}") from error
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

    def add(self, answer: Answer) -> None:
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

    def answers(self) -> Iterator[Answer]:
        """All answers, one in memory at a time, by name."""
        for (line,) in self._db.execute("SELECT answer FROM done ORDER BY name"):
            yield Answer.from_json(line)

    def of(self, names: Iterable[str]) -> Iterator[Answer]:
        """The answers of items that are done, in the order of the names."""
        for name in names:
            row = self._db.execute("SELECT answer FROM done WHERE name = ?", (name,)).fetchone()
            if row is not None:
                yield Answer.from_json(row[0])

    def close(self) -> None:
        """Let go of the folder."""
        self._db.close()

    def __enter__(self) -> Ledger:
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
