"""A public set → a data set of faces: planned, worked off by threads, gone on with after a kill."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from mesoscope.data.prepare.ledger import PrepareLedger
from mesoscope.data.prepare.plan import AUTO, PrepareOptions, PreparePlan, make_plan
from mesoscope.data.prepare.work import UNFINISHED, FaceExtractor, stamp_of
from mesoscope.data.prepare.writing import write_up
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
    """A data set that is ready.

    Attributes:
        folder: Where it lies.
        plan: What was to be done.
        census: What came of it.
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

    Run again after whatever ended it, it goes on: items that are done are not done again, but for
    those that could not be read and have changed since, those that memory ran short at, and those
    whose files have gone.

    Args:
        root: The set's folder.
        out: The data set's; new, empty, or begun with the same options.
        layout: Name of the set's reader; ``auto`` recognises it.
        options: How; the defaults where left out.
        jobs: Threads; 0 = one a core.
        plan: Made by :func:`~mesoscope.data.prepare.plan.make_plan` from the same, to read the set
            once.
        watch: Called with the number of items done, at the begin and after each one.

    Raises:
        DatasetError: A root or a folder that cannot be used.
        OptionError: An option outside its range.
        ModelError: The finder's model cannot be used.
        OutputError: A file cannot be written.
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
        # Not more ahead than a thread or two need: what is not in the ledger is done again.
        answers = map_ordered(extractor.prepare, _chunks(left), threads=threads, depth=2 * threads)
        for answer in chain.from_iterable(answers):
            ledger.add(answer)
            done += 1
            if watch is not None:
                watch(done)
        census = write_up(plan, ledger, out, options)
    shutil.rmtree(out / UNFINISHED, ignore_errors=True)
    return Prepared(out, plan, census, len(left))


def _left(plan: PreparePlan, ledger: PrepareLedger, out: Path) -> list[ItemJob]:
    """The items that are still to be done.

    Raises:
        DatasetError: An item that is done is not in the set any more, or goes elsewhere now.
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
        again = changed or answer.ran_short
        if not again and all(_stands(out / w.path, w.size_bytes) for w in answer.written):
            whole.add(answer.name)
    return [job for job in plan.jobs if job.item.name not in whole]


def _stands(path: Path, size_bytes: int) -> bool:
    try:
        return path.stat().st_size == size_bytes
    except OSError:
        return False


def _chunks(jobs: Iterable[ItemJob]) -> Iterator[Sequence[ItemJob]]:
    """Work for one thread each: a handful of pictures, or one clip or folder of frames."""
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
    """All folders, and none of the files that a killed run left half written."""
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
