"""One file's verdict as a picture that shows what it rests on.

The maps drawn are those of the pass that gave the scores, and a picture is read once: what is
shown, hashed and judged are the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope.draw import Terms, clip_sheet, most_suspicious, picture_sheet, square_of
from mesoscope.errors import OptionError, OutputError, SourceError
from mesoscope.files.whole import write_whole
from mesoscope.media.image import FileBytes, open_file, open_image, read_bytes
from mesoscope.media.kinds import SNIFF_BYTES, sniff
from mesoscope.media.video import frames_at

if TYPE_CHECKING:
    from mesoscope.detection.detector import Detector
    from mesoscope.types import Json, Pixels, Verdict

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_QUALITY = 92  # of JPEG and WebP
_WEBP_MAX_PX = 16_383  # along a side
_BLOCK = 1 << 20
_PLACES = (0.1, 0.5, 0.9)  # of a clip without faces: which frames are shown


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict, its picture, and what is needed to read its maps as numbers.

    Attributes:
        verdict: With evidence maps.
        picture: ``(h, 1200, 3) uint8`` RGB.
        sha256: Of the file that was judged.
        terms: By what faces were labelled and cut.
    """

    verdict: Verdict
    picture: Pixels
    sha256: str
    terms: Terms

    def to_dict(self) -> dict[str, Json]:
        """The verdict in its own shape, the file's hash, and each face's square and map.

        ``evidence[i]`` belongs to ``verdict.faces[i]``: ``square`` is ``left, top, side`` in pixels
        of the frame, ``heat`` the rows of the map from top to bottom.
        """
        evidence: list[Json] = []
        for face in self.verdict.faces:
            rows = [] if face.heat is None else face.heat.tolist()
            evidence.append(
                {
                    "square": [round(v) for v in square_of(face, self.verdict, self.terms)],
                    "heat": [[round(value, 6) for value in row] for row in rows],
                }
            )
        return {"verdict": self.verdict.to_dict(), "sha256": self.sha256, "evidence": evidence}


def explain(detector: Detector, path: str | os.PathLike[str]) -> Explanation:
    """Judge a file and draw what the verdict rests on.

    Args:
        detector: With ``heat=True``.
        path: A picture or a clip.

    Returns:
        The verdict with its picture, which shows the file's name and not its folder.

    Raises:
        SourceError: It cannot be read.
        OptionError: A detector that keeps no maps.
    """
    if not detector.options.heat:
        raise OptionError("this detector keeps no evidence maps: make it with heat=True")
    name = os.fspath(path)
    source: str | FileBytes = name
    digest = hashlib.sha256()
    with open_file(name) as file:
        video = sniff(file.read(SNIFF_BYTES) or b"") == "video"
        if video:  # a film of many gigabytes is read in pieces
            file.seek(0)
            while block := file.read(_BLOCK):
                digest.update(block)
    if not video:
        data = read_bytes(name, max_pixels=detector.options.max_pixels)
        source = FileBytes.of(name, data)
        digest.update(source)
    sha256 = digest.hexdigest()
    verdict = detector.check(source)
    terms = terms_of(detector)
    draw = _draw_clip if verdict.kind == "clip" else _draw_picture
    return Explanation(verdict, draw(detector, source, verdict, terms, sha256), sha256, terms)


def terms_of(detector: Detector) -> Terms:
    """By what a detector's faces are labelled and cut."""
    card = detector.card
    guard = card.guard if detector.options.guard else None
    return Terms(detector.thresholds, guard, card.face_margin, card.crop_margin)


def _draw_picture(
    detector: Detector, source: str | FileBytes, verdict: Verdict, terms: Terms, sha256: str
) -> Pixels:
    frame = open_image(source, max_pixels=detector.options.max_pixels)
    return picture_sheet(
        frame, verdict, terms=terms, title=Path(verdict.source).name, digest=sha256,
        crop_px=detector.card.input_px,
    )  # fmt: skip


def _draw_clip(
    detector: Detector, source: str | FileBytes, verdict: Verdict, terms: Terms, sha256: str
) -> Pixels:
    times = most_suspicious(verdict)
    if not times:
        times = tuple(place * (verdict.duration_s or 0) for place in _PLACES)
    frames = frames_at(source, times, max_pixels=detector.options.max_pixels)
    if not frames:
        raise SourceError(f"{verdict.source}: it was judged and can no longer be read: try again")
    return clip_sheet(
        frames, verdict, terms=terms, title=Path(verdict.source).name, digest=sha256,
        crop_px=detector.card.input_px,
    )  # fmt: skip


def save_picture(pixels: Pixels, path: Path) -> None:
    """Write a picture in one move, so that no half of it is ever seen.

    Args:
        pixels: ``(H, W, 3) uint8`` RGB.
        path: Its suffix, one of :data:`FORMATS`, decides the format.

    Raises:
        OptionError: Another suffix.
        OutputError: It cannot be written.
    """
    from PIL import Image

    kind = format_of(path)
    if kind == "WEBP" and max(pixels.shape) > _WEBP_MAX_PX:
        raise OutputError(f"{path}: {pixels.shape[0]} pixels high, too many for WebP: write a PNG")
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, kind, quality=_QUALITY)
    write_whole(path, data.getvalue(), parents=True)


def format_of(path: Path) -> str:
    """Pillow's name of the format that a suffix stands for.

    Raises:
        OptionError: None of :data:`FORMATS`.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise OptionError(f"{path}: name the picture {', '.join(FORMATS)}")
    return kind
