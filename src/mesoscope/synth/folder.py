"""A folder of forgeries and their twins, in the project's layout, that can be gone on with.

::

    OUT/
    ├── train/{real,fake}/NAME.jpg   a forgery and its untouched twin have one name
    ├── validation/{real,fake}/…
    ├── masks/train/NAME.png         what was changed: 0 = untouched, 255 = all forged
    ├── manifest.csv                 as data sets have it, with method and parent besides
    ├── forgeries.jsonl              a line a forgery: all that was drawn or set to make it
    ├── landmarks.jsonl              what was found in the reals
    ├── left_out.csv                 the reals without a forgery, with the reason
    └── synth.json                   what the folder was begun with
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mesoscope import __version__
from mesoscope.errors import OptionError, SourceUnsuitable
from mesoscope.files.csv_rows import RowWriter
from mesoscope.files.whole import sweep, write_whole
from mesoscope.synth.files import GO_ON, append, cut, locked, read_records
from mesoscope.synth.forgery import Encoding, encode_mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from mesoscope.synth.forgery import Forgery
    from mesoscope.types import Json

__all__ = ["COLUMNS", "LANDMARKS", "LEFT_OUT", "MANIFEST", "RECORDS", "SETTINGS", "ForgeryFolder",
           "Parent", "read_records", "rng_for"]  # fmt: skip

COLUMNS = ("path", "label", "source", "method", "group", "split", "sha256", "parent_sha256")
RECORDS, MANIFEST, SETTINGS = "forgeries.jsonl", "manifest.csv", "synth.json"
LANDMARKS, LEFT_OUT = "landmarks.jsonl", "left_out.csv"
_ENCODING_STREAM = 1  # of a forgery's random numbers; the maker's own is 0


@dataclass(frozen=True, slots=True)
class Parent:
    """Where a forgery comes from, and where it belongs.

    Attributes:
        key: Unique within the folder and the same in every run, such as ``people/1.jpg#0``.
        group: Of the parent picture: what must not be split.
        split: ``train``, ``validation`` or ``test``.
        source: Name of the set.
        path: The parent picture; empty where a forgery has none.
        sha256: Of that file; empty where a forgery has none.
    """

    key: str
    group: str
    split: str = "train"
    source: str = "synth"
    path: str = ""
    sha256: str = ""


def rng_for(seed: int, key: str, *, stream: int = 0) -> np.random.Generator:
    """The random numbers of one forgery: they depend on seed and key, and on no other forgery.

    Args:
        seed: The user's.
        key: :attr:`Parent.key`.
        stream: 0 is for the maker, 1 for the encoding; others are free.
    """
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    words = np.frombuffer(digest, np.uint32)
    return np.random.default_rng([seed, stream, *words.tolist()])


class ForgeryFolder:
    """Writes pairs; a second run with the same options goes on where the first one ended.

    :meth:`save` may be called by several threads, :meth:`add` by one. Files are written whole or
    not at all. On leaving, however that happens, the manifest lists what is there.

    Args:
        root: The folder; it is made.
        options: All that decides what is made: maker, its settings, the reals. A folder that was
            begun with others is refused.
        encoding: How pairs are saved.
        seed: Of everything that is drawn.

    Raises:
        OptionError: The folder was begun with other options, or holds something else.
        OutputError: It cannot be written.
    """

    def __init__(
        self,
        root: Path,
        *,
        options: Mapping[str, Json],
        encoding: Encoding | None = None,
        seed: int = 0,
    ) -> None:
        self.root = root
        self.seed = seed
        self._encoding = encoding or Encoding()
        self._made: set[str] = set()
        self._lock: int | None = None
        self._versions: dict[str, Json] = {
            "mesoscope": __version__,
            "numpy": np.__version__,
            "opencv": version("opencv-python-headless"),
        }
        settings: dict[str, Json] = {
            **options,
            "seed": seed,
            "format": self._encoding.format,
            "quality": list(self._encoding.quality),
        }
        _begin(root, settings)
        kept = 0
        for end, record in read_records(root / RECORDS):
            self._made.add(record["key"])
            kept = end
        cut(root / RECORDS, kept)

    def __len__(self) -> int:
        return len(self._made)

    def has(self, key: str) -> bool:
        """Whether a forgery of this key is there already."""
        return key in self._made

    def save(self, forgery: Forgery, parent: Parent, *, twin: bool = True) -> dict[str, Json]:
        """Write the files of one forgery; it counts once :meth:`add` has its record.

        Args:
            forgery: What was made.
            parent: Where it comes from.
            twin: Write the untouched picture beside it.

        Returns:
            Its record.

        Raises:
            SourceUnsuitable: Saved, both are the same file.
            OutputError: The disk is full, or the folder cannot be written.
        """
        saving = self._encoding.draw(rng_for(self.seed, parent.key, stream=_ENCODING_STREAM))
        # Names tell nothing: neither the class nor the parent picture, and both have the same.
        seeded = f"{self.seed}\n{parent.key}".encode("utf-8", "surrogateescape")
        name = hashlib.sha256(seeded).hexdigest()[:16]
        files = {"fake": f"{parent.split}/fake/{name}.{saving.format}"}
        data = {"fake": saving.encode(forgery.pixels)}
        if twin:
            files["real"] = f"{parent.split}/real/{name}.{saving.format}"
            data["real"] = saving.encode(forgery.twin)
        files["mask"] = f"masks/{parent.split}/{name}.png"
        data["mask"] = encode_mask(forgery.mask)
        if data["fake"] == data.get("real"):  # labelled both ways, it would teach nothing
            raise SourceUnsuitable(f"{parent.path}: the forgery cannot be told from its twin")
        for what, path in files.items():
            write_whole(self.root / path, data[what], sync=False, hint=GO_ON, parents=True)
        return {
            "key": parent.key,
            "maker": forgery.maker,
            "seed": self.seed,
            "files": dict(files),
            "sha256": {what: hashlib.sha256(held).hexdigest() for what, held in data.items()},
            "saving": saving.numbers(),
            "numbers": forgery.numbers,
            "parent": {"path": parent.path, "sha256": parent.sha256},
            "source": parent.source,
            "group": parent.group,
            "split": parent.split,
            "versions": self._versions,
        }

    def add(self, record: dict[str, Json]) -> None:
        """Make a record part of the folder: one line, in one system call.

        Raises:
            OutputError: The disk is full, or the folder cannot be written.
        """
        line = json.dumps(record, allow_nan=False).encode() + b"\n"
        append(self.root / RECORDS, line)
        self._made.add(str(record["key"]))

    def finish(self) -> None:
        """Write the manifest of all that is there.

        Raises:
            OutputError: It cannot be written.
        """
        rows = io.StringIO()
        table = RowWriter(rows, defuse=False)  # it is read back
        table.writerow(COLUMNS)
        for _, record in read_records(self.root / RECORDS):
            table.writerows(_rows(record))
        data = rows.getvalue().encode("utf-8", "surrogateescape")
        write_whole(self.root / MANIFEST, data, hint=GO_ON, parents=True)

    def __enter__(self) -> Self:
        """Keep other runs off, and remove what a killed one left half written.

        Raises:
            OptionError: Another run is writing into the folder.
        """
        self._lock = locked(self.root / SETTINGS)
        sweep(self.root)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.finish()
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None


def _begin(root: Path, settings: dict[str, Json]) -> None:
    """Make the folder, or see that it was begun with the same settings.

    One that holds no forgery yet, as of a run that failed at once, may be begun anew.
    """
    path = root / SETTINGS
    if path.is_file():
        try:
            before: dict[str, Json] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise OptionError(f"{path}: cannot be read: choose a new folder for `out`") from error
        if before != settings and next(read_records(root / RECORDS), None) is None:
            (root / LANDMARKS).unlink(missing_ok=True)  # of other reals, maybe
            write_whole(path, _as_json(settings), hint=GO_ON, parents=True)
            return
        for name in [*settings, *before]:
            was, now = before.get(name), settings.get(name)
            if was != now:
                raise OptionError(
                    f"{root}: was begun with {name} {json.dumps(was)}, and now it is "
                    f"{json.dumps(now)}: repeat the first options to go on, or choose a new folder"
                )
        return
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise OptionError(f"{root}: holds something else already: choose a new folder for `out`")
    write_whole(path, _as_json(settings), hint=GO_ON, parents=True)


def _as_json(settings: dict[str, Json]) -> bytes:
    return json.dumps(settings, indent=2).encode() + b"\n"


def _rows(record: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The manifest's rows of one forgery: its twin, then itself."""
    for label in ("real", "fake"):
        if label in record["files"]:
            yield (
                record["files"][label],
                label,
                record["source"],
                record["maker"] if label == "fake" else "",
                record["group"],
                record["split"],
                record["sha256"][label],
                record["parent"]["sha256"],
            )
