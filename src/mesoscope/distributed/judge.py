"""Judge one task after another, wherever an engine puts this: read, judge, write one part."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import multiprocessing
import os
import platform
import tempfile
from collections import Counter, deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mesoscope import __version__
from mesoscope.detection.detector import Detector, DetectorSpec
from mesoscope.distributed.fetching import fetch_all
from mesoscope.distributed.members import fetch_shards
from mesoscope.distributed.tasks import read_task
from mesoscope.errors import JobError, MesoscopeError, OptionError, SourceFailed
from mesoscope.errors.failures import describe
from mesoscope.files.store import open_store
from mesoscope.media.walk import Unreadable
from mesoscope.models.file import file_sha256, find_model
from mesoscope.scan.job import renamed, without_stale_hash
from mesoscope.scan.parts import Part, part_file, read_part, write_part
from mesoscope.scan.tables import Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mesoscope.detection.scorer import Scorer
    from mesoscope.distributed.fetching import Fetched
    from mesoscope.files.store import Store
    from mesoscope.media.image import Source
    from mesoscope.types import Verdict

__all__ = ["TaskJudge", "TaskOrder", "spec_digest"]

CORES = 1  # of a judge: it has one thread
MOST_ENDS = 2  # of judges at one file, each in a process of its own, before it is not tried again


@dataclass(frozen=True, slots=True)
class TaskOrder:
    """What a judge is told, in plain values, so that another version can read and refuse it.

    Attributes:
        place: Folder or URL of the job.
        version: Of the package that began the scan.
        model: Name of a shipped model, or path of a model file on every machine.
        options: Of the detector, by name.
        spec: As :func:`spec_digest` gave it where the scan began.
        shards: Whether the sources are tar files.
    """

    place: str
    version: str
    model: str
    options: dict[str, Any]
    spec: str
    shards: bool = False

    @classmethod
    def of(cls, place: str, spec: DetectorSpec, *, shards: bool = False) -> TaskOrder:
        """The order of a scan that begins on this machine.

        Raises:
            OptionError: The model is an object, which another machine cannot open.
            ModelMissing: There is no such model.
        """
        digest = spec_digest(spec)
        model = str(spec.model)
        if find_model(model) == Path(model):
            model = os.path.abspath(model)  # noqa: PTH100
        options = dataclasses.asdict(dataclasses.replace(spec, jobs=CORES).options)
        return cls(place, __version__, model, options, digest, shards)


def spec_digest(spec: DetectorSpec) -> str:
    """Return the digest of all that verdicts depend on: version, options, and the model's bytes.

    Raises:
        OptionError: The model is an object, which another machine cannot open.
        ModelMissing: There is no such model.
    """
    if not isinstance(spec.model, str):
        raise OptionError("a scan on several machines needs a model by name or file")
    options = spec.deciding()
    finder = options.pop("finder_model")
    files = [find_model(spec.model), *([] if finder is None else [Path(str(finder))])]
    told = {"version": __version__, "options": options, "files": [file_sha256(f) for f in files]}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


class TaskJudge:
    """Judges tasks one after the other; an actor holds one, and so does a test.

    Args:
        order: A machine of another version, or with another model, does nothing but say so.
        scorer: Scores in place of this process; ``None`` for the CPU.
    """

    def __init__(self, order: TaskOrder, scorer: Scorer | None = None) -> None:
        self._order = order
        self._refusal = ""
        try:
            self._store = open_store(order.place)
            self._detector = _build(order, scorer)
        except MesoscopeError as error:
            self._refusal = f"{platform.node()}: {error}"

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Judge a task, unless its part stands.

        Args:
            row: ``{"task": number}``.

        Returns:
            ``part``, JSON of :meth:`Part.to_dict`; or a line that ends the scan, as ``refusal`` of
            this machine or ``fault`` of a store. The others are empty.
        """
        answer = {"part": "", "refusal": self._refusal, "fault": ""}
        if not self._refusal:
            try:
                answer["part"] = json.dumps(self._judge(int(row["task"])).to_dict())
            except (MesoscopeError, OSError, ValueError) as error:
                said = str(error) if isinstance(error, MesoscopeError) else describe(error)
                answer["fault"] = said
        return answer

    def _judge(self, task: int) -> Part:
        started = perf_counter()
        if self._store.exists(part_file(task)):  # of a block that the engine repeats
            stands = read_part(self._store, task)
            if stands.spec == self._order.spec:
                return stands
        mark = f"begun/{task:09}"
        again = self._store.exists(mark)  # whoever began it before was ended by something
        if not again:
            self._store.write(mark, b"")
        sources = read_task(self._store, task)
        with contextlib.ExitStack() as kept:
            folder = kept.enter_context(tempfile.TemporaryDirectory(prefix="mesoscope-"))
            judge = (
                kept.enter_context(_Apart(self._order, _Ends(self._store, mark)))
                if again
                else self._detector
            )
            if self._order.shards:
                fetched = fetch_shards(sources, Path(folder))
            else:
                fetched = fetch_all(sources, Path(folder), ranged=not again)
            results = list(_judged(judge, fetched))
        verdicts = [json.loads(result.verdict) for result in results]
        part = Part(
            task,
            self._order.spec,
            labels=Counter(verdict["label"] or "none" for verdict in verdicts),
            failed=sum(verdict["error"] is not None for verdict in verdicts),
            core_s=CORES * (perf_counter() - started),
            rows=len(results),
            shards=len(sources) if self._order.shards else 0,
        )
        write_part(self._store, part, results)
        self._store.remove(mark)
        return part


def _build(order: TaskOrder, scorer: Scorer | None = None) -> Detector:
    """The detector of an order.

    Raises:
        JobError: This machine would judge differently.
        MesoscopeError: It cannot judge at all.
    """
    if order.version != __version__:
        raise JobError(
            f"has mesoscope {__version__}, and the scan was begun by {order.version}: install "
            "the same version on all machines"
        )
    spec = DetectorSpec(order.model, **order.options)
    if spec_digest(spec) != order.spec:
        raise JobError(
            f"its model {order.model}, or its finder's, has other bytes than that of the scan: "
            "copy the same file to all machines"
        )
    return Detector.from_spec(spec if scorer is None else dataclasses.replace(spec, model=scorer))


def _judged(judge: Detector | _Apart, fetched: Iterable[Fetched]) -> Iterator[Result]:
    """The verdicts of sources, in their order; copies are removed behind them."""
    flight: deque[Fetched] = deque()

    def sources() -> Iterator[Source | Unreadable]:
        for one in fetched:
            flight.append(one._replace(source=""))
            yield one.source

    for verdict in judge.check_many(sources(), keep_going=True):
        one = flight.popleft()
        one.refuse_outage()
        if one.copy is not None:
            one.copy.unlink()
        yield _result(one, verdict)


def _result(one: Fetched, verdict: Verdict) -> Result:
    if one.copy is not None:
        verdict = renamed(verdict, one.planned.name)
    digest, size, mtime_ns = one.sha256, one.size_bytes, one.planned.mtime_ns
    if one.content is not None:
        content, verdict = without_stale_hash(one.content, verdict)
        digest, mtime_ns = content.sha256, content.mtime_ns
    return Result(one.planned.path, size, mtime_ns, digest, None, verdict.to_json())


_alone: Detector | None = None  # of a process of _Apart


class _Ends:
    """Counts at which file of a task judges were ended, in the task's mark.

    Where memory runs out, the judge itself may be ended instead of the file's process, as Ray's
    monitor of memory does. Without a count, the task would be tried for ever.
    """

    def __init__(self, store: Store, mark: str) -> None:
        self._store, self._mark = store, mark
        with store.open(mark) as opened:
            text = opened.read()
        self._ends: dict[str, int] = json.loads(text) if text else {}

    def begin(self, number: int) -> bool:
        """Note that a file is begun; ``False`` if too many judges were ended at it."""
        name = str(number)
        if self._ends.get(name, 0) >= MOST_ENDS:
            return False
        self._ends[name] = self._ends.get(name, 0) + 1
        self._store.write(self._mark, json.dumps(self._ends).encode())
        return True

    def done(self, number: int) -> None:
        """Forget a file that was judged; that is written with the next one."""
        self._ends.pop(str(number), None)


class _Apart:
    """As the detector, with each source judged in another process, which may be ended by it.

    A file that crashes a decoder, or takes more memory than there is, would else end whoever
    judges it, and the engine would try its task again for ever.
    """

    def __init__(self, order: TaskOrder, ends: _Ends) -> None:
        self._order, self._ends = order, ends
        self._pool = self._new()

    def __enter__(self) -> _Apart:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def check_many(
        self,
        sources: Iterable[Source | Unreadable],
        *,
        keep_going: bool,  # noqa: ARG002 - as in Detector
    ) -> Iterator[Verdict]:
        """As :meth:`Detector.check_many` with ``keep_going``."""
        for number, source in enumerate(sources):
            given = source if self._ends.begin(number) else _fatal(source)
            try:
                verdict = self._pool.submit(_check_alone, given).result()
            except BrokenProcessPool:
                self._pool.shutdown()
                self._pool = self._new()
                verdict = self._pool.submit(_check_alone, _fatal(source)).result()
            if given is source:
                self._ends.done(number)
            yield verdict

    def _new(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, context, initializer=_open_alone, initargs=(self._order,))


def _open_alone(order: TaskOrder) -> None:
    global _alone  # a process of a pool has no other place for it
    _alone = _build(order)


def _check_alone(source: Source | Unreadable) -> Verdict:
    assert _alone is not None  # noqa: S101 - the pool has called _open_alone
    return next(_alone.check_many([source], keep_going=True))


def _fatal(source: Source | Unreadable) -> Unreadable:
    from mesoscope.media.image import source_name

    name = source.path if isinstance(source, Unreadable) else source_name(source)
    return Unreadable(
        name,
        SourceFailed(
            f"{name}: the process that judged it was ended: the file is odd or damaged, or needs "
            "more memory than there is"
        ),
    )
