"""The detector: source → frames → faces → crops → scores → verdict."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import chain, islice
from time import perf_counter
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol

from mesoscope.detection.deciding import (
    DecisionRules,
    FrameRecord,
    InspectedBatch,
    decide,
    source_records,
)
from mesoscope.detection.persons import scene_of
from mesoscope.detection.reading import CHUNK, chunks_of, media_opener, read_frames
from mesoscope.detection.scorer import OnnxScorer, Scorer
from mesoscope.detection.stages import (
    CropRules,
    crop_faces,
    find_faces,
    retry_singly,
    score_faces,
)
from mesoscope.errors import OptionError, SourceNoMemory
from mesoscope.faces.finder import finder_for
from mesoscope.media.image import Source
from mesoscope.models import DEFAULT_MODEL
from mesoscope.models.file import find_model
from mesoscope.runtime.keywords import show_fields_of, takes_fields_of
from mesoscope.runtime.threads import SharedLock, cores, map_ordered
from mesoscope.types import DetectOptions, Thresholds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from typing_extensions import Self

    from mesoscope.detection.reading import FrameBatch, SourceFrame
    from mesoscope.errors import MesoscopeError
    from mesoscope.media.walk import Unreadable
    from mesoscope.types import Guard, ModelCard, Verdict

    Answer = tuple[Verdict, MesoscopeError | None]

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class DetectorSpec(DetectOptions):
    """The model and options of a :class:`Detector`.

    Frozen and hashable. With a model by name or path it can be pickled, and built in another
    process.

    Attributes:
        model: Name of a shipped model, path of a model file, or a scorer of your own.
    """

    model: str | os.PathLike[str] | Scorer = field(default=DEFAULT_MODEL, kw_only=False)

    def __post_init__(self) -> None:
        if isinstance(self.model, os.PathLike):
            object.__setattr__(self, "model", os.fspath(self.model))
        DetectOptions.__post_init__(self)

    @classmethod
    def of(cls, model: str | os.PathLike[str] | Scorer, options: DetectOptions) -> Self:
        """Return the spec of a model with these options."""
        return cls(model, **_values(options, DetectOptions))

    @property
    def options(self) -> DetectOptions:
        """Options without the model."""
        return DetectOptions(**_values(self, DetectOptions))

    def build(self) -> Detector:
        """Open the model and the face finder.

        Raises:
            ModelError: The model does not exist, or the file is no model.
            OptionError: The card has no threshold for the rate, or a finder's model is missing.
        """
        return Detector.from_spec(self)


def _values(spec: DetectOptions, kind: type[DetectOptions]) -> dict[str, Any]:
    """Return the fields of ``kind``, without copying a scorer."""
    return {one.name: getattr(spec, one.name) for one in fields(kind)}


class Detector:
    """Detects forged faces. Reuse it, as opening the model takes a while.

    ``Detector(model, faces="mtcnn", …)`` takes the fields of :class:`DetectorSpec` as arguments.

    Raises:
        ModelError: The model does not exist, or the file is no model.
        OptionError: An option is out of range, or the card has no threshold for the rate, or no
            guard for its threshold.
    """

    @takes_fields_of(DetectorSpec)
    def __init__(self, spec: DetectorSpec) -> None:
        self.spec = spec
        self.options = spec.options
        self._finder = finder_for(self.options)
        if isinstance(spec.model, str | os.PathLike):
            self._scorer: Scorer = OnnxScorer(find_model(spec.model))
        else:
            self._scorer = spec.model
        self.thresholds = _thresholds(self.card, self.options)
        self.guard = _guard(self.card, self.options, self.model_id)
        self._jobs = self.options.jobs or cores()
        self._memory = SharedLock()  # sources that ran out of memory are retried alone

    @classmethod
    def from_spec(cls, spec: DetectorSpec) -> Self:
        """Build a detector, as :meth:`DetectorSpec.build`."""
        return cls(**_values(spec, DetectorSpec))

    @property
    def card(self) -> ModelCard:
        """Card of the model."""
        return self._scorer.card

    @property
    def model_id(self) -> str:
        """Id of the model: ``name@first 8 digits of the file's SHA-256``."""
        return self._scorer.model_id

    def check(self, source: Source) -> Verdict:
        """Judge one picture or one clip; a clip uses all threads.

        Args:
            source: A path, a file's bytes, a PIL image, or an RGB or grey ``uint8`` array.

        Raises:
            SourceError: The source cannot be read, or judging it failed.
            OptionError: An array has another shape or type.
        """
        return next(self.check_many([source]))

    def check_many(
        self,
        sources: Iterable[Source | Unreadable],
        *,
        keep_going: bool = False,
        clips: bool = True,
    ) -> Iterator[Verdict]:
        """Judge any number of pictures and clips, in order and in constant memory.

        Each thread takes a few pictures or one clip through all stages. Batches are filled across
        files, frames and faces, and one thread scores while another reads or decodes. Only a few
        frames of a clip are in memory at a time.

        Args:
            sources: As for :meth:`check`; read ahead only as far as needed.
            keep_going: Return a verdict with an error and without a label for a source that fails,
                instead of raising the error.
            clips: ``False`` for labelled pictures: videos are refused, and the first frame of
                animated pictures is judged.

        Yields:
            One verdict per source.

        Raises:
            SourceError: As for :meth:`check`, when the source's turn comes, unless ``keep_going``.
        """
        batch = self.options.batch_size
        chunks = chunks_of(sources, max(CHUNK, batch), least=batch, threads=self._jobs)
        first = list(islice(chunks, 2))
        rest = chain(first, chunks)
        alone = len(first) == 1 and len(first[0]) == 1
        work = partial(self._check_chunk, clips=clips, alone=alone)
        if self._jobs == 1 or alone:  # one picture needs no threads; a clip uses its own
            answers: Iterator[list[Answer]] = map(work, rest)
        else:
            answers = map_ordered(work, rest, threads=self._jobs, depth=2 * self._jobs)
        for verdicts in answers:
            for verdict, error in verdicts:
                if error is not None and not keep_going:
                    raise error
                yield verdict

    def _check_chunk(
        self, sources: Sequence[Source | Unreadable], *, clips: bool, alone: bool
    ) -> list[Answer]:
        with self._memory.shared():
            answers = self._attempt(sources, clips=clips, threads=self._jobs if alone else 1)
        for at, (_, error) in enumerate(answers):
            if isinstance(error, SourceNoMemory):
                with self._memory.alone():  # while no other thread holds pictures
                    answers[at] = self._attempt(sources[at : at + 1], clips=clips, threads=1)[0]
        return answers

    def _attempt(
        self, sources: Sequence[Source | Unreadable], *, clips: bool, threads: int
    ) -> list[Answer]:
        """Read, inspect, group by source, decide."""
        opener = media_opener(self.options, clips=clips, threads=threads)
        with closing(read_frames(sources, opener, batch_size=self.options.batch_size)) as batches:
            inspected: Iterator[InspectedBatch] = (
                map_ordered(self._inspect, batches, threads=threads, depth=threads)
                if threads > 1
                else map(self._inspect, batches)
            )
            done = []
            for batch in inspected:
                done.append(batch)
                if len(sources) == 1 and batch.failed:
                    batches.close()  # the rest is not needed
        return decide(source_records(done), self._rules)

    @property
    def _rules(self) -> DecisionRules:
        return DecisionRules(self.model_id, self.thresholds, self.card.aggregation, self.guard)

    def _inspect(self, batch: FrameBatch) -> InspectedBatch:
        """Find, crop and score the faces of a batch."""
        lost = {end.source.place for end in batch.ended if end.error is not None}
        frames = [one for one in batch.frames if one.source.place not in lost]
        answers = retry_singly(self._inspect_frames, frames)
        sources = (one.source for one in frames)
        return InspectedBatch(tuple(zip(sources, answers, strict=True)), batch.ended)

    def _inspect_frames(self, batch: Sequence[SourceFrame]) -> list[FrameRecord]:
        started = perf_counter()
        frames = [one.frame for one in batch]
        faces = find_faces(frames, self._finder, min_face_px=self.options.min_face_px)
        crops = crop_faces(frames, faces, CropRules.of_card(self.card))
        clips = [one.source.kind == "clip" for one in batch]
        scenes = [scene_of(f.pixels) if c else None for f, c in zip(frames, clips, strict=True)]
        found_at = perf_counter()
        scored = score_faces(
            [face for its in faces for face in its.large], crops, self._scorer,
            batch_size=self.options.batch_size, heat=self.options.heat,
        )  # fmt: skip
        find_s = (found_at - started) / len(batch)
        score_s = (perf_counter() - found_at) / max(len(scored), 1)
        left = iter(scored)
        return [
            FrameRecord(
                index=frame.index,
                time_s=frame.time_s,
                width_px=frame.pixels.shape[1],
                scene=scene,
                found=its.found,
                scored=tuple(islice(left, len(its.large))),
                skipped=its.skipped,
                find_s=find_s,
                score_s=score_s * len(its.large),
            )
            for frame, its, scene in zip(frames, faces, scenes, strict=True)
        ]


def _thresholds(card: ModelCard, options: DetectOptions) -> Thresholds:
    """Return the thresholds of the options, or else of the card."""
    if options.threshold is not None:
        return Thresholds(options.threshold, options.threshold, "asked for")
    return card.thresholds if options.fpr is None else card.at_fpr(options.fpr)


def _guard(card: ModelCard, options: DetectOptions, model_id: str) -> Guard | None:
    """Return the guard of the card, with the threshold of the options; ``None`` without one."""
    above = options.unfamiliar_above
    if above is None:
        return card.guard if options.guard else None
    if card.guard is None:
        raise OptionError(
            f"unfamiliar_above is a threshold of the guard, and {model_id} has none: leave it out"
        )
    return replace(card.guard, unfamiliar_above=above)


class _Check(Protocol[P]):
    def __call__(self, source: Source, *args: P.args, **options: P.kwargs) -> Verdict: ...


def _check_with(kind: Callable[P, DetectorSpec]) -> _Check[P]:
    def check(source: Source, *args: P.args, **options: P.kwargs) -> Verdict:
        """Judge one picture or clip; for many, reuse a :class:`Detector`.

        Args:
            source: A path, a file's bytes, a PIL image, or an RGB or grey ``uint8`` array.
            args: The model: name of a shipped model, or path of a model file.
            options: Options of :class:`DetectorSpec`.

        Returns:
            The verdict; ``p_fake`` is higher the more the face looks forged.

        Raises:
            SourceError: The source cannot be read.
            ModelError: The model does not exist.
            OptionError: An option is out of range.
        """
        return kind(*args, **options).build().check(source)

    show_fields_of(kind, check)
    return check


check = _check_with(DetectorSpec)
