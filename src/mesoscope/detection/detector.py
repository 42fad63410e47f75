"""The one path: source → frame → faces → crops → scores → verdict."""

from __future__ import annotations

import os
from functools import partial
from itertools import chain, islice
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.detection.persons import scene_of
from mesoscope.detection.reading import CHUNK, chunks_of, groups_of
from mesoscope.detection.record import FrameSeen, Gathered, Scored, Terms
from mesoscope.detection.scorer import OnnxScorer, Scorer
from mesoscope.errors import SourceNoMemory
from mesoscope.errors.failures import failure
from mesoscope.faces.crop import crop
from mesoscope.faces.finder import finder_for
from mesoscope.media.image import Source
from mesoscope.models import DEFAULT_MODEL
from mesoscope.models.file import find_model
from mesoscope.runtime.threads import SharedLock, cores, map_ordered
from mesoscope.types import DEFAULT_MAX_PIXELS, DetectOptions, SkippedFace, Thresholds
from mesoscope.types.verdict import longest_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mesoscope.detection.reading import Group
    from mesoscope.errors import MesoscopeError
    from mesoscope.media.walk import Unreadable
    from mesoscope.types import Face, Found, Frame, ModelCard, Pixels, Verdict

    Answer = tuple[Verdict, MesoscopeError | None]
    _Answer = tuple[float, np.ndarray | None, float | None]  # p_fake, heat, unfamiliar


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
        ahead_of = list(islice(chunks, 2))
        rest = chain(ahead_of, chunks)
        alone = len(ahead_of) == 1 and len(ahead_of[0]) == 1
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
            answers = self._attempt(sources, clips=clips, alone=alone)
        for at, (_, error) in enumerate(answers):
            if isinstance(error, SourceNoMemory):
                with self._memory.alone():  # while no other thread holds pictures
                    answers[at] = self._attempt(sources[at : at + 1], clips=clips, alone=False)[0]
        return answers

    def _attempt(
        self, sources: Sequence[Source | Unreadable], *, clips: bool, alone: bool
    ) -> list[Answer]:
        items: list[Gathered] = []
        threads = self._jobs if alone else 1
        groups = groups_of(sources, items, self.options, clips=clips, threads=threads)
        if alone and self._jobs > 1:
            looked = map_ordered(self._look, groups, threads=self._jobs, depth=self._jobs)
        else:
            looked = map(self._look, groups)
        for seen in looked:
            for item, frame in seen:
                item.seen.append(frame)
        guard = self.card.guard if self.options.guard else None
        terms = Terms(self.model_id, self.thresholds, self.card.aggregation, guard)
        return [(item.verdict(terms), item.error) for item in items]

    def _look(self, group: Group) -> list[tuple[Gathered, FrameSeen]]:
        """Look at some frames; what fails is the error of its own source, and of no other."""
        group = [(item, frame) for item, frame in group if item.error is None]
        try:
            return self._look_at(group) if group else []
        except Exception as error:  # noqa: BLE001 - of finder, crop or scorer, whatever they are
            if len(group) == 1:
                item = group[0][0]
                item.error = failure(item.name, error)
                return []
        return [seen for one in group for seen in self._look([one])]

    def _look_at(self, group: Group) -> list[tuple[Gathered, FrameSeen]]:
        """Find, crop and score the faces of some frames."""
        started = perf_counter()
        answers = self._finder.find([frame for _, frame in group])
        sorted_out = [
            self._sort_out(frame, found) for (_, frame), found in zip(group, answers, strict=True)
        ]
        framings = [
            self._crops(frame, face, whole=found.whole)
            for (_, frame), found, (faces, _) in zip(group, answers, sorted_out, strict=True)
            for face in faces
        ]
        scenes = [scene_of(frame.pixels) if item.kind == "clip" else None for item, frame in group]
        find_s = (perf_counter() - started) / len(group)
        scores, score_s = self._score(framings)
        left = iter(scores)
        seen = []
        for (item, frame), found, (faces, skipped), scene in zip(
            group, answers, sorted_out, scenes, strict=True
        ):
            scored = tuple(Scored(face, *next(left)) for face in faces)
            seen.append(
                (
                    item,
                    FrameSeen(
                        frame.index,
                        frame.time_s,
                        frame.pixels.shape[1],
                        scene,
                        found,
                        scored,
                        skipped,
                        find_s,
                        score_s * len(scored),
                    ),
                )
            )
        return seen

    def _sort_out(self, frame: Frame, found: Found) -> tuple[list[Face], tuple[SkippedFace, ...]]:
        """Which faces are judged and which are too small."""
        large = [face for face in found.faces if longest_side(face.box) >= self.options.min_face_px]
        small = tuple(
            SkippedFace(face.box, face.confidence, frame.index, frame.time_s)
            for face in found.faces
            if longest_side(face.box) < self.options.min_face_px
        )
        return large, small

    def _crops(self, frame: Frame, face: Face, *, whole: bool) -> list[Pixels]:
        """The crops of a face that are scored; the first is that of its evidence map."""
        card = self.card
        margins = (card.crop_margin,) if whole else (card.face_margin, *card.further_margins)
        return [
            crop(frame.pixels, face.box, margin=margin, size_px=card.input_px, resize=card.resize)
            for margin in margins
        ]

    def _score(self, framings: Sequence[Sequence[Pixels]]) -> tuple[list[_Answer], float]:
        """Score faces, of each some crops, in batches; also the seconds that one face took."""
        started = perf_counter()
        crops = [one for face in framings for one in face]
        answers: list[tuple[float, _Answer]] = []
        for at in range(0, len(crops), self.options.batch_size):
            some = crops[at : at + self.options.batch_size]
            batch = some[0][None] if len(some) == 1 else np.stack(some)  # (n, S, S, 3) uint8
            scores = self._scorer.score(batch, heat=self.options.heat)
            nothing = [None] * len(batch)
            heat = nothing if scores.heat is None else list(scores.heat)
            far = nothing if scores.unfamiliar is None else scores.unfamiliar.tolist()
            of_crops = zip(scores.p_fake.tolist(), heat, far, strict=True)
            answers.extend(zip(scores.logit.tolist(), of_crops, strict=True))
        left = iter(answers)
        faces = [_together([next(left) for _ in face]) for face in framings]
        return faces, (perf_counter() - started) / max(len(faces), 1)


def _together(crops: Sequence[tuple[float, _Answer]]) -> _Answer:
    """One answer of a face from those of its crops: the mean logit, the median strangeness."""
    _, (p_fake, heat, unfamiliar) = crops[0]
    if len(crops) > 1:
        p_fake = float(1 / (1 + np.exp(-np.mean([logit for logit, _ in crops]))))
        strange = [far for _, (_, _, far) in crops if far is not None]
        unfamiliar = float(np.median(strange)) if strange else None
    return p_fake, heat, unfamiliar


def _thresholds(card: ModelCard, options: DetectOptions) -> Thresholds:
    """Those that labels are given by: the card's, or what was asked for in their place."""
    if options.threshold is not None:
        return Thresholds(options.threshold, options.threshold, "asked for")
    return card.thresholds if options.fpr is None else card.at_fpr(options.fpr)
