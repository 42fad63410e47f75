"""The explanation of one file's verdict: a picture of its faces, scores and evidence maps.

The maps are from the same forward pass as the scores. A picture is read once, so the displayed,
hashed and judged bytes are the same.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope.draw import Terms, clip_sheet, most_suspicious, picture_sheet, square_of
from mesoscope.errors import OptionError, OutputError, SourceError
from mesoscope.files.atomic import write_bytes
from mesoscope.files.digest import hash_bytes, hash_file
from mesoscope.media.image import FileBytes, open_file, open_image, read_bytes
from mesoscope.media.kinds import SNIFF_BYTES, sniff
from mesoscope.media.video import frames_at

if TYPE_CHECKING:
    from mesoscope.detection.detector import Detector
    from mesoscope.types import Json, Pixels, Verdict

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_QUALITY = 92  # of JPEG and WebP
_WEBP_MAX_PX = 16_383  # along a side
_PLACES = (0.1, 0.5, 0.9)  # displayed frames of a clip without faces, as shares of its duration


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict, its picture, and the parameters of its maps.

    Attributes:
        verdict: The verdict, with evidence maps.
        picture: ``(h, 1200, 3) uint8`` RGB.
        sha256: Digest of the judged file.
        terms: Thresholds and margins of the model.
    """

    verdict: Verdict
    picture: Pixels
    sha256: str
    terms: Terms

    def to_dict(self) -> dict[str, Json]:
        """Return the verdict, the file's digest, and each face's crop square and map.

        ``evidence[i]`` belongs to ``verdict.faces[i]``: ``square`` is ``left, top, side`` in pixels
        of the frame; ``heat`` has the rows of the map from top to bottom.
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
    """Judge a file and draw the explanation of its verdict.

    Args:
        detector: A detector with ``heat=True``.
        path: A picture or a clip.

    Returns:
        The verdict and its picture, which names the file without its folder.

    Raises:
        SourceError: The file cannot be read.
        OptionError: The detector keeps no maps.
    """
    if not detector.options.heat:
        raise OptionError("this detector keeps no evidence maps: make it with heat=True")
    name = os.fspath(path)
    source: str | FileBytes = name
    with open_file(name) as file:
        video = sniff(file.read(SNIFF_BYTES) or b"") == "video"
        if video:  # may have many gigabytes, so it is hashed in blocks
            file.seek(0)
            sha256 = hash_file(file).sha256
    if not video:
        data = read_bytes(name, max_pixels=detector.options.max_pixels)
        source = FileBytes.of(name, data)
        sha256 = hash_bytes(source).sha256
    verdict = detector.check(source)
    terms = terms_of(detector)
    draw = _draw_clip if verdict.kind == "clip" else _draw_picture
    return Explanation(verdict, draw(detector, source, verdict, terms, sha256), sha256, terms)


def terms_of(detector: Detector) -> Terms:
    """Return the thresholds and margins of a detector."""
    return Terms.of(detector.card, detector.thresholds, detector.guard)


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
    """Write a picture atomically.

    Args:
        pixels: ``(H, W, 3) uint8`` RGB.
        path: The file; its suffix, one of :data:`FORMATS`, selects the format.

    Raises:
        OptionError: The suffix is unknown.
        OutputError: The file cannot be written.
    """
    from PIL import Image

    kind = format_of(path)
    if kind == "WEBP" and max(pixels.shape) > _WEBP_MAX_PX:
        raise OutputError(f"{path}: {pixels.shape[0]} pixels high, too many for WebP: write a PNG")
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, kind, quality=_QUALITY)
    write_bytes(path, data.getvalue(), parents=True)


def format_of(path: Path) -> str:
    """Return Pillow's name of the format of a suffix.

    Raises:
        OptionError: The suffix is none of :data:`FORMATS`.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise OptionError(f"{path}: name the picture {', '.join(FORMATS)}")
    return kind
