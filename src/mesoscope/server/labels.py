"""What people said of results, written as a data set that training and evaluation take."""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesoscope.data.manifest import write_manifest
from mesoscope.files.csv_rows import RowWriter
from mesoscope.media.kinds import SNIFF_BYTES, sniff

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesoscope.server.keeping import Kept

LABEL = {"real": "real", "forged": "fake"}
_SUFFIX = {"jpeg": ".jpg", "tiff": ".tif"}
_VALIDATION = 0.2  # of the pictures; by the hash of their content, so that one never moves


def write_data_set(path: Path, rows: Iterable[Any], kept: Kept) -> int:
    """Write a ZIP archive with ``manifest.csv``, its pictures, and ``not_kept.csv``.

    Unpacked, it is a data set. A picture that was judged more than once is there once, with what
    was said last. Clips stand in ``not_kept.csv``, as a data set is of pictures.

    Args:
        path: Of the archive.
        rows: Results with what was said of them, the oldest first.
        kept: Where their files are.

    Returns:
        How many labels.

    Raises:
        OSError: It cannot be written.
    """
    said = {row.sha256: row for row in rows if row.says in LABEL and row.sha256}
    entries, others = [], []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for sha256, row in sorted(said.items()):
            label = LABEL[row.says]
            file = kept.find(row.place, row.kept)
            kind = None if file is None or row.kind == "clip" else _kind(file)
            if file is None or kind is None:
                others.append([row.name, label, sha256, row.kind])
                continue
            split = _split(sha256)
            name = f"{split}/{label}/{sha256[:16]}{_SUFFIX.get(kind, '.' + kind)}"
            archive.write(file, name)
            entries.append(
                {
                    "path": name, "label": label, "source": "feedback", "method": "",
                    "group": sha256, "split": split, "sha256": sha256,
                }
            )  # fmt: skip
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            manifest = Path(folder) / "manifest.csv"
            write_manifest(manifest, entries)
            archive.write(manifest, "manifest.csv")
        archive.writestr("not_kept.csv", _csv(others))
    return len(said)


def _kind(file: Path) -> str | None:
    with file.open("rb") as opened:
        kind = sniff(opened.read(SNIFF_BYTES))
    return None if kind == "video" else kind


def _split(sha256: str) -> str:
    share = int(hashlib.sha256(sha256.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    return "validation" if share < _VALIDATION else "train"


def _csv(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    writer = RowWriter(text, defuse=True)
    writer.writerow(["name", "label", "sha256", "kind"])
    writer.writerows(rows)
    return text.getvalue()
