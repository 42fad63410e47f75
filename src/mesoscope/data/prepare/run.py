"""Prepare a public set as a data set of faces: planned, parallel, resumable."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from mesoscope.data.prepare.ledger import PrepareLedger
from mesoscope.data.prepare.plan import AUTO, PrepareOptions, PreparePlan, make_plan
from mesoscope.data.prepare.work import UNFINISHED, FaceExtractor, stamp_of
from mesoscope.data.prepare.writing import write_summary_files
from mesoscope.data.sample import SPLITS
from mesoscope.detection.reading import CHUNK
from mesoscope.errors import DatasetError, OutputError
from mesoscope.errors.failures import cause
from mesoscope.faces.finder import finder_for
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from mesoscope.data.prepare.work import ItemJob
    from mesoscope.data.prepare.writing import PrepareSummary


@dataclass(frozen=True, slots=True)
class Prepared:
    """A finished preparation.

    Attributes:
        folder: Folder of the data set.
        plan: The plan.
        census: Counts of the results.
        new: Items done by this run; the others were done before.
    """

    folder: Path
    plan: PreparePlan
    census: PrepareSummary
    new: int


def prepare(
    root: Path,
    out: Path,
    *,
    layout: str = AUTO,
    options: PrepareOptions | None = None,
    jobs: int = 0,
    plan: PreparePlan | None = None,
    watch: Callable[[int], None] | None = None,
) -> Prepared:
    """Make a data set of faces from a public set.

    A later run resumes: finished items are skipped, except those that were not readable and have
    changed since, those that ran out of memory, and those whose files are missing.

    Args:
        root: Folder of the set.
        out: Folder of the data set; new, empty, or begun with the same options.
        layout: Name of the set's reader; ``auto`` recognises it.
        options: The options; defaults where ``None``.
        jobs: Number of threads; 0 = one per core.
        plan: Result of :func:`~mesoscope.data.prepare.plan.make_plan` for the same arguments, to
            read the set once.
        watch: Called with the number of finished items, at the start and after each.

    Raises:
        DatasetError: A root or folder is not usable.
        OptionError: An option is out of range.
        ModelError: The finder's model is not usable.
        OutputError: A file is not writable.
    """
    options = options or PrepareOptions()
    finder = finder_for(options.detect())
    plan = plan or make_plan(root, layout=layout, options=options)
    _refuse_inside(out, plan.root)
    threads = jobs or cores()
    with PrepareLedger(out, options.identity(plan.reading.layout)) as ledger:
        left = _left(plan, ledger, out)
        _make_folders(out)
        done = len(plan.jobs) - len(left)
        if watch is not None:
            watch(done)
        extractor = FaceExtractor(plan.root, out, options, finder)
        # Little read-ahead: what is not in the ledger is done again.
        answers = map_ordered(extractor.prepare, _chunks(left), threads=threads, depth=2 * threads)
        for answer in chain.from_iterable(answers):
            ledger.add(answer)
            done += 1
            if watch is not None:
                watch(done)
        census = write_summary_files(plan, ledger, out, options)
    shutil.rmtree(out / UNFINISHED, ignore_errors=True)
    return Prepared(out, plan, census, len(left))


def _left(plan: PreparePlan, ledger: PrepareLedger, out: Path) -> list[ItemJob]:
    """Return the items to do.

    Raises:
        DatasetError: A finished item is no longer in the set, or has another split.
    """
    jobs = {job.item.name: job for job in plan.jobs}
    whole = set()
    for answer in ledger.answers():
        job = jobs.get(answer.name)
        before = (answer.label, answer.method, answer.group, answer.split)
        if job is None or before != (
            job.item.label, job.item.method, job.item.group, job.split
        ):  # fmt: skip
            what = "is gone" if job is None else "has another label, group or split"
            raise DatasetError(
                f"{out}: the set has changed since it was begun: {answer.name} {what}: put it "
                "back, or choose another `out`"
            )
        changed = answer.failed and answer.stamp != stamp_of(job.item)
        again = changed or answer.out_of_memory
        if not again and all(_is_complete(out / w.path, w.size_bytes) for w in answer.written):
            whole.add(answer.name)
    return [job for job in plan.jobs if job.item.name not in whole]


def _is_complete(path: Path, size_bytes: int) -> bool:
    try:
        return path.stat().st_size == size_bytes
    except OSError:
        return False


def _chunks(jobs: Iterable[ItemJob]) -> Iterator[Sequence[ItemJob]]:
    """Yield work for one thread: a few pictures, or one clip or folder of frames."""
    pictures: list[ItemJob] = []
    for job in jobs:
        if job.item.is_clip or len(job.item.paths) > 1:
            yield (job,)
            continue
        pictures.append(job)
        if len(pictures) == CHUNK:
            yield pictures
            pictures = []
    if pictures:
        yield pictures


def _make_folders(out: Path) -> None:
    """Create all folders, and remove partial files of a killed run."""
    try:
        shutil.rmtree(out / UNFINISHED, ignore_errors=True)
        for name in (UNFINISHED, *(f"{s}/{label}" for s in SPLITS for label in CLASSES)):
            (out / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {cause(error)}") from error


def _refuse_inside(out: Path, root: Path) -> None:
    here, there = out.resolve(), root.resolve()
    if here == there or there in here.parents:
        raise DatasetError(
            f"{out}: lies in the set itself, which would be read with it: choose a folder beside it"
        )
