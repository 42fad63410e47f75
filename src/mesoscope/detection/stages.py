"""Stages two to four, as functions on batches: find faces, crop them, score the crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from mesoscope.detection.reading import CHUNK, chunks_of, read_frames
from mesoscope.errors import MesoscopeError
from mesoscope.errors.failures import failure
from mesoscope.faces.crop import crop
from mesoscope.media.image import open_image
from mesoscope.runtime.threads import map_ordered
from mesoscope.types import DEFAULT_MAX_PIXELS, Face, Found, SkippedFace
from mesoscope.types.verdict import longest_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from mesoscope.detection.reading import SourceFrame
    from mesoscope.detection.scorer import Scorer
    from mesoscope.faces.finder import FaceFinder
    from mesoscope.media.image import Source
    from mesoscope.media.walk import Unreadable
    from mesoscope.types import Frame, ModelCard, Pixels

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class FrameFaces:
    """The faces of one frame.

    Attributes:
        found: Detections.
        large: Faces that are large enough to be scored, in the finder's order.
        skipped: Faces that are too small.
    """

    found: Found
    large: tuple[Face, ...]
    skipped: tuple[SkippedFace, ...]


@dataclass(frozen=True, slots=True)
class CropRules:
    """Margins and size of the face crops.

    Attributes:
        margins: Side of each crop of a detected face, relative to the longest side of its box.
        whole_margin: The same for a whole frame that is taken as a face.
        size_px: Side of the crops.
        resize: Filter of the crops.
    """

    margins: tuple[float, ...]
    whole_margin: float = 1.0
    size_px: int = 256
    resize: str = "area"

    @classmethod
    def of_card(cls, card: ModelCard) -> CropRules:
        """Return the crops that a model expects; the first one has the evidence map."""
        margins = (card.face_margin, *card.further_margins)
        return cls(margins, card.crop_margin, card.input_px, card.resize)


@dataclass(frozen=True, slots=True)
class ScoredFace:
    """Scores of one face; ``heat`` and ``unfamiliar`` if the model has them."""

    face: Face
    p_fake: float
    heat: NDArray[np.float32] | None
    unfamiliar: float | None


def find_faces(
    frames: Sequence[Frame], finder: FaceFinder, *, min_face_px: int
) -> list[FrameFaces]:
    """Detect the faces of frames, and separate those that are too small.

    Args:
        frames: Frames; a batch is faster than single frames.
        finder: The face finder.
        min_face_px: Smallest longest side of a face to score.
    """
    answers = []
    for frame, found in zip(frames, finder.find(frames), strict=True):
        large = tuple(face for face in found.faces if longest_side(face.box) >= min_face_px)
        skipped = tuple(
            SkippedFace(face.box, face.confidence, frame.index, frame.time_s)
            for face in found.faces
            if longest_side(face.box) < min_face_px
        )
        answers.append(FrameFaces(found, large, skipped))
    return answers


def crop_faces(
    frames: Sequence[Frame], faces: Sequence[FrameFaces], rules: CropRules
) -> list[list[Pixels]]:
    """Crop the large faces of frames.

    Returns:
        For each face, in the order of the frames, its crops, ``(S, S, 3) uint8`` each.
    """
    return [
        [
            crop(
                frame.pixels, face.box,
                margin=margin, size_px=rules.size_px, resize=rules.resize,
            )
            for margin in ((rules.whole_margin,) if its.found.whole else rules.margins)
        ]
        for frame, its in zip(frames, faces, strict=True)
        for face in its.large
    ]  # fmt: skip


def score_faces(
    faces: Sequence[Face],
    crops: Sequence[Sequence[Pixels]],
    scorer: Scorer,
    *,
    batch_size: int,
    heat: bool,
) -> list[ScoredFace]:
    """Score faces by their crops, in batches across faces.

    The score of a face is the mean logit of its crops, ``unfamiliar`` their median, and the
    evidence map that of the first crop.

    Args:
        faces: The faces.
        crops: The crops of each face, from :func:`crop_faces`.
        scorer: The model.
        batch_size: Crops per call.
        heat: Also make evidence maps.
    """
    flat = [one for its in crops for one in its]
    scored: list[_ScoredCrop] = []
    for at in range(0, len(flat), batch_size):
        some = flat[at : at + batch_size]
        batch = some[0][None] if len(some) == 1 else np.stack(some)  # (n, S, S, 3) uint8
        scores = scorer.score(batch, heat=heat)
        nothing = [None] * len(batch)
        maps = nothing if scores.heat is None else list(scores.heat)
        far = nothing if scores.unfamiliar is None else scores.unfamiliar.tolist()
        of_crops = zip(scores.logit.tolist(), scores.p_fake.tolist(), maps, far, strict=True)
        scored.extend(_ScoredCrop(*one) for one in of_crops)
    left = iter(scored)
    return [
        _face_of_crops(face, [next(left) for _ in its])
        for face, its in zip(faces, crops, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _ScoredCrop:
    logit: float
    p_fake: float
    heat: NDArray[np.float32] | None
    unfamiliar: float | None


def _face_of_crops(face: Face, crops: Sequence[_ScoredCrop]) -> ScoredFace:
    first = crops[0]
    if len(crops) == 1:
        return ScoredFace(face, first.p_fake, first.heat, first.unfamiliar)
    p_fake = float(1 / (1 + np.exp(-np.mean([one.logit for one in crops]))))
    unfamiliar = [one.unfamiliar for one in crops if one.unfamiliar is not None]
    return ScoredFace(
        face, p_fake, first.heat, float(np.median(unfamiliar)) if unfamiliar else None
    )


def retry_singly(
    work: Callable[[Sequence[SourceFrame]], list[R]], frames: Sequence[SourceFrame]
) -> list[R | MesoscopeError]:
    """Run a stage on a batch; if it fails, run it on each frame alone.

    Args:
        work: Returns a result per frame.
        frames: The batch.

    Returns:
        Result or error of each frame.
    """
    if not frames:
        return []
    try:
        return [*work(frames)]
    except Exception as error:  # noqa: BLE001 - any error of a finder, crop or scorer
        if len(frames) == 1:
            return [failure(frames[0].source.name, error)]
    return [answer for one in frames for answer in retry_singly(work, [one])]


def find_in_pictures(
    pictures: Iterable[Source | Unreadable],
    finder: FaceFinder,
    *,
    threads: int,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Iterator[Found | MesoscopeError]:
    """Detect faces in any number of pictures, in constant memory.

    Args:
        pictures: Pictures, read ahead only as far as needed; of animations the first frame.
        finder: The face finder.
        threads: Number of threads.
        max_pixels: Limit of pixels per picture.

    Yields:
        The detections of each picture in order, or its error.
    """

    def opener(source: Source) -> Frame:
        return open_image(source, max_pixels=max_pixels)

    def find(frames: Sequence[SourceFrame]) -> list[Found]:
        return finder.find([one.frame for one in frames])

    def work(chunk: Sequence[Source | Unreadable]) -> list[Found | MesoscopeError]:
        answers: dict[int, Found | MesoscopeError] = {}
        for batch in read_frames(chunk, opener):
            found = retry_singly(find, batch.frames)
            answers |= {
                one.source.place: answer for one, answer in zip(batch.frames, found, strict=True)
            }
            answers |= {e.source.place: e.error for e in batch.ended if e.error is not None}
        return [answers[place] for place in range(len(chunk))]

    chunks = chunks_of(pictures, CHUNK, threads=threads)
    for answers in map_ordered(work, chunks, threads=threads, depth=2 * threads):
        yield from answers
