"""A resumable folder of forgeries and their twins, in the project's layout.

::

    OUT/
    ├── train/{real,fake}/NAME.jpg   a forgery and its untouched twin have the same name
    ├── validation/{real,fake}/…
    ├── masks/train/NAME.png         mask of the forgery: 0 = untouched, 255 = forged
    ├── manifest.csv                 manifest of the data set, with method and parent
    ├── forgeries.jsonl              one line per forgery: all parameters
    ├── landmarks.jsonl              landmarks of the reals
    ├── left_out.csv                 reals without a forgery, with the reason
    └── synth.json                   options of the folder
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
from mesoscope.files.atomic import remove_temporary_files, write_bytes
from mesoscope.files.escape import RowWriter
from mesoscope.synth.files import GO_ON, append, locked, read_records, truncate
from mesoscope.synth.forgery import Encoding, encode_mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from typing_extensions import Self

    from mesoscope.synth.forgery import Forgery
    from mesoscope.types import Json

__all__ = ["COLUMNS", "LANDMARKS", "LEFT_OUT", "MANIFEST", "RECORDS", "SETTINGS", "ForgeryFolder",
           "Parent", "read_records", "rng_for"]  # fmt: skip

COLUMNS = ("path", "label", "source", "method", "group", "split", "sha256", "parent_sha256")
RECORDS, MANIFEST, SETTINGS = "forgeries.jsonl", "manifest.csv", "synth.json"
LANDMARKS, LEFT_OUT = "landmarks.jsonl", "left_out.csv"
_ENCODING_STREAM = 1  # random numbers of the encoding; those of the maker have stream 0


@dataclass(frozen=True, slots=True)
class Parent:
    """The parent picture of a forgery, and the split it belongs to.

    Attributes:
        key: Key that is unique in the folder and equal in every run, such as ``people/1.jpg#0``.
        group: Group of the parent picture; groups are not split.
        split: ``train``, ``validation`` or ``test``.
        source: Name of the data set.
        path: Path of the parent picture; empty without a parent.
        sha256: Digest of that file; empty without a parent.
    """

    key: str
    group: str
    split: str = "train"
    source: str = "synth"
    path: str = ""
    sha256: str = ""


def rng_for(seed: int, key: str, *, stream: int = 0) -> np.random.Generator:
    """Return the generator of one forgery; it depends only on seed, key and stream.

    Args:
        seed: Seed of the run.
        key: :attr:`Parent.key`.
        stream: 0 for the maker, 1 for the encoding.
    """
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    words = np.frombuffer(digest, np.uint32)
    return np.random.default_rng([seed, stream, *words.tolist()])


class ForgeryFolder:
    """Writes pairs of forgery and twin; a second run with the same options continues the first.

    :meth:`save` is thread-safe, :meth:`add` is not. Files are written atomically. The manifest is
    written on exit, also after an error.

    Args:
        root: The folder; created if missing.
        options: Options that the forgeries depend on: maker, its settings, the reals. A folder
            with other options is refused.
        encoding: Encoding of pairs.
        seed: Seed of all random numbers.

    Raises:
        OptionError: The folder has other options, or other content.
        OutputError: The folder cannot be written.
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
        self._keys: set[str] = set()
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
        _start(root, settings)
        end_of_records = 0
        for end, record in read_records(root / RECORDS):
            self._keys.add(record["key"])
            end_of_records = end
        truncate(root / RECORDS, end_of_records)

    def __len__(self) -> int:
        return len(self._keys)

    def has(self, key: str) -> bool:
        """Whether the folder has a forgery of this key."""
        return key in self._keys

    def save(self, forgery: Forgery, parent: Parent, *, twin: bool = True) -> dict[str, Json]:
        """Write the files of one forgery; :meth:`add` then adds its record to the folder.

        Args:
            forgery: The forgery.
            parent: Its parent picture.
            twin: Also write the twin.

        Returns:
            The record of the forgery.

        Raises:
            SourceUnsuitable: The encoded forgery and twin are identical.
            OutputError: The disk is full, or the folder cannot be written.
        """
        saving = self._encoding.draw(rng_for(self.seed, parent.key, stream=_ENCODING_STREAM))
        # Names must not reveal the label or the parent picture.
        seeded = f"{self.seed}\n{parent.key}".encode("utf-8", "surrogateescape")
        name = hashlib.sha256(seeded).hexdigest()[:16]
        files = {"fake": f"{parent.split}/fake/{name}.{saving.format}"}
        data = {"fake": saving.encode(forgery.pixels)}
        if twin:
            files["real"] = f"{parent.split}/real/{name}.{saving.format}"
            data["real"] = saving.encode(forgery.twin)
        files["mask"] = f"masks/{parent.split}/{name}.png"
        data["mask"] = encode_mask(forgery.mask)
        if data["fake"] == data.get("real"):  # else one picture would have both labels
            raise SourceUnsuitable(f"{parent.path}: the forgery cannot be told from its twin")
        for what, path in files.items():
            write_bytes(self.root / path, data[what], sync=False, hint=GO_ON, parents=True)
        return {
            "key": parent.key,
            "maker": forgery.maker,
            "seed": self.seed,
            "files": dict(files),
            "sha256": {what: hashlib.sha256(file).hexdigest() for what, file in data.items()},
            "saving": saving.numbers(),
            "numbers": forgery.numbers,
            "parent": {"path": parent.path, "sha256": parent.sha256},
            "source": parent.source,
            "group": parent.group,
            "split": parent.split,
            "versions": self._versions,
        }

    def add(self, record: dict[str, Json]) -> None:
        """Append a record to the folder, in one system call.

        Raises:
            OutputError: The disk is full, or the folder cannot be written.
        """
        line = json.dumps(record, allow_nan=False).encode() + b"\n"
        append(self.root / RECORDS, line)
        self._keys.add(str(record["key"]))

    def finish(self) -> None:
        """Write the manifest.

        Raises:
            OutputError: The manifest cannot be written.
        """
        rows = io.StringIO()
        table = RowWriter(rows, defuse=False)  # the manifest is read back
        table.writerow(COLUMNS)
        for _, record in read_records(self.root / RECORDS):
            table.writerows(_rows(record))
        data = rows.getvalue().encode("utf-8", "surrogateescape")
        write_bytes(self.root / MANIFEST, data, hint=GO_ON, parents=True)

    def __enter__(self) -> Self:
        """Lock the folder, and remove the temporary files of killed runs.

        Raises:
            OptionError: Another run is writing into the folder.
        """
        self._lock = locked(self.root / SETTINGS)
        remove_temporary_files(self.root)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.finish()
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None


def _start(root: Path, settings: dict[str, Json]) -> None:
    """Create the folder, or compare its settings; a folder without forgeries is started again."""
    path = root / SETTINGS
    if path.is_file():
        try:
            before: dict[str, Json] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise OptionError(f"{path}: cannot be read: choose a new folder for `out`") from error
        if before != settings and next(read_records(root / RECORDS), None) is None:
            (root / LANDMARKS).unlink(missing_ok=True)  # the reals may be others
            write_bytes(path, _as_json(settings), hint=GO_ON, parents=True)
            return
        for name in [*settings, *before]:
            was, now = before.get(name), settings.get(name)
            if was != now:
                raise OptionError(
                    f"{root}: was started with {name} {json.dumps(was)}, and now it is "
                    f"{json.dumps(now)}: repeat the first options, or choose a new folder"
                )
        return
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise OptionError(f"{root}: is not empty: choose a new folder for `out`")
    write_bytes(path, _as_json(settings), hint=GO_ON, parents=True)


def _as_json(settings: dict[str, Json]) -> bytes:
    return json.dumps(settings, indent=2).encode() + b"\n"


def _rows(record: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the manifest's rows of a forgery: the twin, then the forgery."""
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
