"""Many forgeries, in parallel, of the reals of a folder or data set, into a folder."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mesoscope.errors import OutputError, SourceError, SourceUnsuitable
from mesoscope.errors.failures import failure, source_failure
from mesoscope.files.csv_rows import RowWriter
from mesoscope.files.whole import write_whole
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
    """What came of a run.

    Attributes:
        made: Forgeries that are new.
        there: Forgeries that an earlier run had made.
        left_out: Reals without a forgery, each with the reason.
        unreadable: How many of these could not be read at all.
        held: Forgeries in the folder at the end.
    """

    made: int = 0
    there: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    unreadable: int = 0
    held: int = 0

    def reasons(self) -> list[tuple[str, int]]:
        """How often each reason was given, the most frequent first."""
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
    """Make forgeries of reals and write them with their twins.

    A real that cannot be read or forged costs no other one anything: it is counted and named.

    Args:
        folder: Where they go; what is there already is not made again.
        reals: What they are made from.
        make: Makes one. Called by several threads at once; it raises a :class:`SourceError` where
            a picture does not do.
        framing: What is cut out of each picture before it is forged.
        landmarks: Of each real by its name, in pixels of the whole picture; reals without are left
            out. ``None`` where the maker needs none.
        failed: By name, reals whose landmarks could not be looked for: they are left out for that.
        per_picture: Forgeries of each real, each with its own random numbers.
        jobs: Threads; 0 = one a core.
        watch: Called after each try of this run, with the forgery's record or ``None``.

    Raises:
        OutputError: The folder cannot be written; what was written before is whole.
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
    summary.there = len(every) - len(tasks)
    results = map_ordered(work, tasks, threads=jobs or cores(), depth=16)
    for (real, _), done in zip(tasks, results, strict=True):
        if isinstance(done, SourceError):
            if real.name not in summary.left_out:
                summary.unreadable += not isinstance(done, SourceUnsuitable)
            summary.left_out[real.name] = str(done).removeprefix(f"{real.path}: ")
        else:
            folder.add(done)
            summary.made += 1
        if watch is not None:
            watch(None if isinstance(done, SourceError) else done)
    return summary


def write_left_out(root: Path, summary: ForgingSummary) -> None:
    """List the reals without a forgery in ``left_out.csv``, or remove an earlier run's list.

    Raises:
        OutputError: It cannot be written.
    """
    path = root / LEFT_OUT
    if not summary.left_out:
        path.unlink(missing_ok=True)
        return
    rows = io.StringIO()
    table = RowWriter(rows, defuse=True)
    table.writerow(("path", "reason"))
    table.writerows(summary.left_out.items())
    write_whole(path, rows.getvalue().encode("utf-8", "surrogateescape"), hint=GO_ON, parents=True)


def key_of(real: Real, number: int) -> str:
    """The key of a real's forgery of this number."""
    return f"{real.name}#{number}"


def read_face(
    real: Real, framing: Framing, landmarks: Mapping[str, Landmarks] | None
) -> tuple[RealFace, str]:
    """Read and frame a real, and hash its file.

    Raises:
        SourceError: It cannot be read, has no landmarks, or is too small; or whatever else failed
            at it.
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
