"""Parallel forging of many reals into a folder."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mesoscope.errors import OutputError, SourceError, SourceUnsuitable
from mesoscope.errors.failures import failure, source_failure
from mesoscope.files.atomic import write_bytes
from mesoscope.files.escape import RowWriter
from mesoscope.media.image import decode, read_bytes
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.synth.files import GO_ON
from mesoscope.synth.folder import LEFT_OUT, Parent, rng_for
from mesoscope.synth.reals import Real, RealFace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from mesoscope.synth.folder import ForgeryFolder
    from mesoscope.synth.forgery import Forgery, Landmarks
    from mesoscope.synth.reals import Framing
    from mesoscope.types import Json

    Maker = Callable[[RealFace, np.random.Generator], Forgery]


@dataclass(slots=True)
class ForgingSummary:
    """Counts of a run.

    Attributes:
        forged: Number of new forgeries.
        existing: Number of forgeries from earlier runs.
        left_out: Reasons why reals have no forgery, by name.
        unreadable: Number of these that could not be read.
        total: Number of forgeries in the folder at the end.
    """

    forged: int = 0
    existing: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    unreadable: int = 0
    total: int = 0

    def reasons(self) -> list[tuple[str, int]]:
        """Count the reasons, the most frequent first."""
        return Counter(why.partition(": ")[0] for why in self.left_out.values()).most_common()


def write_forgeries(
    folder: ForgeryFolder,
    reals: Sequence[Real],
    make: Maker,
    *,
    framing: Framing,
    landmarks: Mapping[str, Landmarks] | None = None,
    failed: Mapping[str, SourceError] | None = None,
    per_picture: int = 1,
    jobs: int = 0,
    watch: Callable[[dict[str, Json] | None], None] | None = None,
) -> ForgingSummary:
    """Forge reals and write the forgeries with their twins.

    A real that cannot be read or forged is listed in the summary and does not stop the run.

    Args:
        folder: The output folder; existing forgeries are skipped.
        reals: The real pictures.
        make: The maker, called in several threads. It raises a :class:`SourceError` for an
            unsuitable picture.
        framing: Crop of the pictures before forging.
        landmarks: Landmarks by name, in pixels of the uncropped picture; reals without are left
            out. ``None`` if the maker needs none.
        failed: Errors by name of reals whose landmarks could not be detected; they are left out.
        per_picture: Number of forgeries per real, each with its own generator.
        jobs: Number of threads; 0 = one per core.
        watch: Called after each attempt with the forgery's record, or ``None``.

    Raises:
        OutputError: The folder cannot be written; earlier files are complete.
    """
    summary = ForgingSummary()

    def work(task: tuple[Real, str]) -> dict[str, Json] | SourceError:
        real, key = task
        if failed is not None and real.name in failed:
            return failed[real.name]
        try:
            face, digest = read_face(real, framing, landmarks)
            forgery = make(face, rng_for(folder.seed, key))
            parent = Parent(key, real.group, real.split, real.source, str(real.path), digest)
            return folder.save(forgery, parent)
        except OutputError:
            raise
        except Exception as error:
            found = failure(str(real.path), error)
            if not isinstance(found, SourceError):
                raise found from error
            return found

    every = [(real, key_of(real, number)) for real in reals for number in range(per_picture)]
    tasks = [(real, key) for real, key in every if not folder.has(key)]
    summary.existing = len(every) - len(tasks)
    results = map_ordered(work, tasks, threads=jobs or cores(), depth=16)
    for (real, _), done in zip(tasks, results, strict=True):
        if isinstance(done, SourceError):
            if real.name not in summary.left_out:
                summary.unreadable += not isinstance(done, SourceUnsuitable)
            summary.left_out[real.name] = str(done).removeprefix(f"{real.path}: ")
        else:
            folder.add(done)
            summary.forged += 1
        if watch is not None:
            watch(None if isinstance(done, SourceError) else done)
    return summary


def write_left_out(root: Path, summary: ForgingSummary) -> None:
    """Write ``left_out.csv``, the list of reals without a forgery; remove it if there are none.

    Raises:
        OutputError: The file cannot be written.
    """
    path = root / LEFT_OUT
    if not summary.left_out:
        path.unlink(missing_ok=True)
        return
    rows = io.StringIO()
    table = RowWriter(rows, defuse=True)
    table.writerow(("path", "reason"))
    table.writerows(summary.left_out.items())
    write_bytes(path, rows.getvalue().encode("utf-8", "surrogateescape"), hint=GO_ON, parents=True)


def key_of(real: Real, number: int) -> str:
    """Return the key of a real's forgery of this number."""
    return f"{real.name}#{number}"


def read_face(
    real: Real, framing: Framing, landmarks: Mapping[str, Landmarks] | None
) -> tuple[RealFace, str]:
    """Read and frame a real; also return the SHA-256 of its file.

    Raises:
        SourceError: The picture cannot be read, has no landmarks, is too small, or raised another
            error.
    """
    try:
        data = read_bytes(real.picture)
        pixels = decode(data, str(real.path))
        digest = hashlib.sha256(data).hexdigest()
        if landmarks is None:
            return RealFace(framing.plain(pixels, str(real.path)), None, real), digest
        pixels, points = framing.face(pixels, landmarks.get(real.name), str(real.path))
    except Exception as error:
        raise source_failure(str(real.path), error) from error
    return RealFace(pixels, points, real), digest
