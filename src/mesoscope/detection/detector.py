"""The one path: source → frames → faces → crops → scores → verdict."""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from itertools import chain, islice
from time import perf_counter
from typing import TYPE_CHECKING

from mesoscope.detection.persons import scene_of
from mesoscope.detection.reading import CHUNK, chunks_of, media_opener, read_frames
from mesoscope.detection.record import (
    DecisionRules,
    FrameRecord,
    InspectedBatch,
    decide,
    source_records,
)
from mesoscope.detection.scorer import OnnxScorer, Scorer
from mesoscope.detection.stages import (
    CropRules,
    apart_on_failure,
    crop_faces,
    find_faces,
    score_faces,
)
from mesoscope.errors import SourceNoMemory
from mesoscope.faces.finder import finder_for
from mesoscope.media.image import Source
from mesoscope.models import DEFAULT_MODEL
from mesoscope.models.file import find_model
from mesoscope.runtime.threads import SharedLock, cores, map_ordered
from mesoscope.types import DEFAULT_MAX_PIXELS, DetectOptions, Thresholds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mesoscope.detection.reading import FrameBatch, SourceFrame
    from mesoscope.errors import MesoscopeError
    from mesoscope.media.walk import Unreadable
    from mesoscope.types import ModelCard, Verdict

    Answer = tuple[Verdict, MesoscopeError | None]


class Detector:
    """Answers whether faces were forged; make one and keep it, as opening the model takes a while.

    Args:
        model: Name of a shipped model, path of a model file, or a scorer of your own.
        faces: ``"auto"`` picks the best finder, ``"mtcnn"`` and ``"yunet"`` name one, ``"whole"``
            takes each picture as a face.
        threshold: One cut in place of the card's two.
        max_pixels: Pictures with more are refused before they are decoded.
        batch_size: Crops a call. On CPUs one or two are quickest, whose activations stay in the
            cache; ``benchmarks/scoring.py`` prints the rate of each.
        jobs: Threads; 0 = one a core.
        min_face_px: Faces whose longest side is shorter are not judged.
        heat: Keep each face's evidence map.
        guard: Leave faces undecided that are unlike those of the model's training.
        fpr: A false-positive rate for which the card holds a threshold: fake from that one on.
        frames: Of a clip, so many frames, evenly spaced over its length.
        every_s: Of a clip, one frame every so many seconds in place of ``frames``.
        finder_model: File of the finder's model, where it needs one that is not shipped.

    Raises:
        ModelError: No such model, or not a model file.
        OptionError: An option outside its range, or a rate that the card holds no threshold for.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Scorer = DEFAULT_MODEL,
        *,
        faces: str = "auto",
        threshold: float | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        batch_size: int = 1,
        jobs: int = 0,
        min_face_px: int = 40,
        heat: bool = False,
        guard: bool = True,
        fpr: float | None = None,
        frames: int = 32,
        every_s: float | None = None,
        finder_model: str | os.PathLike[str] | None = None,
    ) -> None:
        self.options = DetectOptions(
            faces=faces,
            threshold=threshold,
            max_pixels=max_pixels,
            batch_size=batch_size,
            jobs=jobs,
            min_face_px=min_face_px,
            heat=heat,
            guard=guard,
            fpr=fpr,
            frames=frames,
            every_s=every_s,
            finder_model=None if finder_model is None else os.fspath(finder_model),
        )
        self._finder = finder_for(self.options)
        if isinstance(model, str | os.PathLike):
            self._scorer: Scorer = OnnxScorer(find_model(model))
        else:
            self._scorer = model
        self.thresholds = _thresholds(self.card, self.options)
        self._jobs = jobs or cores()
        self._memory = SharedLock()  # what ran short of memory is tried again alone

    @property
    def card(self) -> ModelCard:
        """What the model says of itself."""
        return self._scorer.card

    @property
    def model_id(self) -> str:
        """``name@first 8 digits of the file's SHA-256``."""
        return self._scorer.model_id

    def check(self, source: Source) -> Verdict:
        """Judge one picture or one clip; a clip takes all of the threads.

        Args:
            source: A path, a file's bytes, a PIL image, or an RGB or grey ``uint8`` array.

        Raises:
            SourceError: It cannot be read, or judging it failed.
            OptionError: An array of another shape or type.
        """
        return next(self.check_many([source]))

    def check_many(
        self,
        sources: Iterable[Source | Unreadable],
        *,
        keep_going: bool = False,
        clips: bool = True,
    ) -> Iterator[Verdict]:
        """Judge any number of pictures and clips, in their order and in flat memory.

        Threads take a few pictures or one clip at a time through the whole path; batches are filled
        across files, frames and faces, and while one thread waits for the disk or decodes, another
        scores. Of a clip only a few frames are in memory at once.

        Args:
            sources: As for :meth:`check`; read only as far ahead as needed.
            keep_going: A source that cannot be read, or at which anything else fails, becomes a
                verdict with an error and no label instead of an exception.
            clips: ``False`` for labelled pictures: a video is an error, and an animated picture
                is its first picture.

        Yields:
            One verdict a source.

        Raises:
            SourceError: As :meth:`check`, at that source's turn, unless ``keep_going``.
        """
        batch = self.options.batch_size
        chunks = chunks_of(sources, max(CHUNK, batch), least=batch, threads=self._jobs)
        first = list(islice(chunks, 2))
        rest = chain(first, chunks)
        alone = len(first) == 1 and len(first[0]) == 1
        work = partial(self._check_chunk, clips=clips, alone=alone)
        if self._jobs == 1 or alone:  # one picture needs no threads, and one clip is shared out
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
        """The one path: read, inspect, put together, decide."""
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
                    batches.close()  # the rest of it would be read for nothing
        return decide(source_records(done), self._rules)

    @property
    def _rules(self) -> DecisionRules:
        guard = self.card.guard if self.options.guard else None
        return DecisionRules(self.model_id, self.thresholds, self.card.aggregation, guard)

    def _inspect(self, batch: FrameBatch) -> InspectedBatch:
        """Find, crop and score; the frames are let go of."""
        answers = apart_on_failure(self._inspect_frames, batch.frames)
        sources = (one.source for one in batch.frames)
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
    """Those that labels are given by: the card's, or what was asked for in their place."""
    if options.threshold is not None:
        return Thresholds(options.threshold, options.threshold, "asked for")
    return card.thresholds if options.fpr is None else card.at_fpr(options.fpr)
