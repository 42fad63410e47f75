"""The one path: source → frame → faces → crops → scores → verdict."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import chain, islice
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.ahead import ahead, cores
from mesoscope.errors import MesoscopeError
from mesoscope.faces.crop import crop
from mesoscope.faces.finder import finder_for
from mesoscope.judge import judge
from mesoscope.media.image import Source, open_image, source_name
from mesoscope.media.walk import Unreadable
from mesoscope.model_file import find_model
from mesoscope.models import DEFAULT_MODEL
from mesoscope.scorer import OnnxScorer, Scorer
from mesoscope.types import DEFAULT_MAX_PIXELS, DetectOptions, FaceScore, Thresholds, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mesoscope.types import Face, ModelCard, Pixels

    Answer = tuple[Verdict, MesoscopeError | None]
    _Answer = tuple[float, np.ndarray | None, float | None]  # p_fake, heat, unfamiliar of a crop

CHUNK = 8  # sources a thread takes at a time: enough to fill batches across files


@dataclass(slots=True)
class _Read:
    """A source on its way: its faces and their crops, or what went wrong."""

    name: str
    faces: list[Face] = field(default_factory=list)
    crops: list[Pixels] = field(default_factory=list)
    skipped: int = 0
    read_s: float = 0.0
    find_s: float = 0.0
    error: MesoscopeError | None = None


class Detector:
    """Answers whether faces were forged; make one and keep it, as opening the model takes a while.

    Args:
        model: Name of a shipped model, path of a model file, or a scorer of your own.
        faces: ``"whole"`` takes each picture as a face, ``"auto"`` picks the best finder.
        threshold: One cut in place of the card's two.
        max_pixels: Pictures with more are refused before they are decoded.
        batch_size: Crops a call. On CPUs one or two are quickest, whose activations stay in the
            cache; ``benchmarks/scoring.py`` prints the rate of each.
        jobs: Threads; 0 = one a core.
        min_face_px: Faces whose longest side is shorter are not judged.
        heat: Keep each face's evidence map.
        guard: Leave faces undecided that are unlike those of the model's training.
        fpr: A false-positive rate for which the card holds a threshold: fake from that one on.

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
    ) -> None:
        self.options = DetectOptions(
            faces, threshold, max_pixels, batch_size, jobs, min_face_px, heat, guard, fpr
        )
        self._finder = finder_for(self.options)
        if isinstance(model, str | os.PathLike):
            self._scorer: Scorer = OnnxScorer(find_model(model))
        else:
            self._scorer = model
        self.thresholds = _thresholds(self.card, self.options)
        self._jobs = jobs or cores()

    @property
    def card(self) -> ModelCard:
        """What the model says of itself."""
        return self._scorer.card

    @property
    def model_id(self) -> str:
        """``name@first 8 digits of the file's SHA-256``."""
        return self._scorer.model_id

    def check(self, source: Source) -> Verdict:
        """Judge one picture.

        Args:
            source: A path, a file's bytes, a PIL image, or an RGB or grey ``uint8`` array.

        Raises:
            SourceError: It cannot be read.
            OptionError: An array of another shape or type.
        """
        return next(self.check_many([source]))

    def check_many(
        self, sources: Iterable[Source | Unreadable], *, keep_going: bool = False
    ) -> Iterator[Verdict]:
        """Judge any number of pictures, in their order and in flat memory.

        Threads take a few sources at a time through the whole path; batches are filled across
        files and faces, and while one thread waits for the disk or decodes, another scores.

        Args:
            sources: As for :meth:`check`; read only as far ahead as needed.
            keep_going: A source that cannot be read becomes a verdict with an error and no label
                instead of an exception.

        Yields:
            One verdict a source.

        Raises:
            SourceError: As :meth:`check`, at that source's turn, unless ``keep_going``.
        """
        chunks = _chunks(sources, max(CHUNK, self.options.batch_size))
        first = next(chunks, ())
        rest = chain([first] if first else [], chunks)
        if self._jobs == 1 or len(first) <= 1:  # one picture needs no threads
            answers: Iterator[list[Answer]] = map(self._check_chunk, rest)
        else:
            answers = ahead(self._check_chunk, rest, threads=self._jobs, depth=2 * self._jobs)
        for verdicts in answers:
            for verdict, error in verdicts:
                if error is not None and not keep_going:
                    raise error
                yield verdict

    def _check_chunk(self, sources: Sequence[Source | Unreadable]) -> list[Answer]:
        read = [self._read(source) for source in sources]
        crops = [one for item in read for one in item.crops]
        answers, score_s = self._score(crops)
        verdicts, at = [], 0
        for item in read:
            rows = range(at, at + len(item.crops))
            at = rows.stop
            scores = tuple(
                FaceScore(face.box, face.confidence, p_fake, heat=heat, unfamiliar=unfamiliar)
                for face, (p_fake, heat, unfamiliar) in zip(
                    item.faces, answers[rows.start : rows.stop], strict=True
                )
            )
            verdicts.append((self._verdict(item, scores, score_s * len(rows)), item.error))
        return verdicts

    def _read(self, source: Source | Unreadable) -> _Read:
        """Source → frame → faces → crops; a failure is kept, not raised."""
        started = perf_counter()
        if isinstance(source, Unreadable):
            return _Read(source.path, error=source.error)
        item = _Read(source_name(source))
        try:
            frame = open_image(source, max_pixels=self.options.max_pixels)
            item.read_s = perf_counter() - started
            (found,) = self._finder.find([frame])
            card = self.card
            for face in found.faces:
                x1, y1, x2, y2 = face.box
                if max(x2 - x1, y2 - y1) < self.options.min_face_px:
                    item.skipped += 1
                    continue
                item.faces.append(face)
                item.crops.append(
                    crop(
                        frame.pixels,
                        face.box,
                        margin=card.crop_margin,
                        size_px=card.input_px,
                        resize=card.resize,
                    )
                )
            item.find_s = perf_counter() - started - item.read_s
        except MesoscopeError as error:
            item.error = error
        return item

    def _score(self, crops: Sequence[Pixels]) -> tuple[list[_Answer], float]:
        """Score crops in batches; also the seconds that one of them took."""
        started = perf_counter()
        answers: list[_Answer] = []
        for at in range(0, len(crops), self.options.batch_size):
            some = crops[at : at + self.options.batch_size]
            batch = some[0][None] if len(some) == 1 else np.stack(some)  # (n, S, S, 3) uint8
            scores = self._scorer.score(batch, heat=self.options.heat)
            nothing = [None] * len(batch)
            heat = nothing if scores.heat is None else list(scores.heat)
            far = nothing if scores.unfamiliar is None else scores.unfamiliar.tolist()
            answers.extend(zip(scores.p_fake.tolist(), heat, far, strict=True))
        return answers, (perf_counter() - started) / max(len(crops), 1)

    def _verdict(self, item: _Read, faces: tuple[FaceScore, ...], score_s: float) -> Verdict:
        if item.error is not None:
            return Verdict(
                source=item.name,
                kind="image",
                label=None,
                p_fake=None,
                model=self.model_id,
                reason="unreadable",
                frames_read=0,
                error={"code": item.error.code, "message": str(item.error)},
            )
        label, p_fake, reason = judge(
            faces,
            self.thresholds,
            guard=self.card.guard if self.options.guard else None,
            skipped=item.skipped,
        )
        return Verdict(
            source=item.name,
            kind="image",
            label=label,
            p_fake=p_fake,
            model=self.model_id,
            reason=reason,
            faces=faces,
            elapsed_s={"read": item.read_s, "find": item.find_s, "score": score_s},
        )


def _thresholds(card: ModelCard, options: DetectOptions) -> Thresholds:
    """Those that labels are given by: the card's, or what was asked for in their place."""
    if options.threshold is not None:
        return Thresholds(options.threshold, options.threshold, "asked for")
    return card.thresholds if options.fpr is None else card.at_fpr(options.fpr)


def _chunks(
    sources: Iterable[Source | Unreadable], size: int
) -> Iterator[tuple[Source | Unreadable, ...]]:
    left = iter(sources)
    while chunk := tuple(islice(left, size)):
        yield chunk
