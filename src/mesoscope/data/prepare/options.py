"""What one may choose when a public set is prepared, and which of it makes two data sets differ."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope.data.split import SHARES
from mesoscope.errors import ModelMissing, OptionError
from mesoscope.types import DEFAULT_MAX_PIXELS, DetectOptions

if TYPE_CHECKING:
    from mesoscope.types import Json

SPLITTINGS = ("official", "group")
FORMATS = ("png", "jpg")


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """How a set becomes a data set of faces.

    Attributes:
        frames: Of each clip and each folder of frames, so many, spread evenly over its length.
        faces: The finder, one of :data:`~mesoscope.types.FINDERS`; the same for both classes.
        finder_model: File of the finder's model, where it needs one that is not shipped.
        split: ``official`` keeps the set's own splits where it has some, ``group`` draws new ones.
        shares: Of train, validation and test, where splits are drawn.
        donors_apart: Leave out fakes that wear the face of a person of another split.
        quality: One compression of several (``c23``), where the set comes in several.
        margin: The crop's side in longest sides of the face's box; pictures that are taken whole
            get none.
        size_px: Side of the crops.
        format: ``png`` or ``jpg``, of every crop of both classes.
        jpeg_quality: Of ``jpg``, without chroma subsampling.
        limit: At most so many clips or pictures of each split, class and method; ``None``: all.
        seed: Of the split and of the limit's choice.
        all_faces: Keep every face in place of one: see :mod:`mesoscope.data.prepare.choice`.
        min_face_px: Faces whose longest side is shorter are left out.
        max_pixels: Pictures with more are left out.
    """

    frames: int = 32
    faces: str = "auto"
    finder_model: str | None = None
    split: str = "official"
    shares: tuple[float, float, float] = SHARES
    donors_apart: bool = False
    quality: str | None = None
    margin: float = 1.3
    size_px: int = 256
    format: str = "png"
    jpeg_quality: int = 95
    limit: int | None = None
    seed: int = 0
    all_faces: bool = False
    min_face_px: int = 40
    max_pixels: int = DEFAULT_MAX_PIXELS

    def __post_init__(self) -> None:
        self.detect()  # refuses what the finders refuse
        if self.split not in SPLITTINGS:
            raise OptionError(f"split must be one of {', '.join(SPLITTINGS)}, got {self.split!r}")
        if self.format not in FORMATS:
            raise OptionError(f"format must be one of {', '.join(FORMATS)}, got {self.format!r}")
        if len(self.shares) != 3 or min(self.shares) < 0 or abs(sum(self.shares) - 1) > 1e-6:
            raise OptionError(
                "shares must be three numbers of 0 or more that add up to 1, for train, validation "
                f"and test, got {', '.join(f'{share:g}' for share in self.shares)}"
            )
        ranges = {
            "margin": (1, 10), "size_px": (16, 4096), "jpeg_quality": (1, 100),
            "limit": (1, float("inf")),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise OptionError(f"{name} must lie between {low} and {high}, got {value}")

    def detect(self) -> DetectOptions:
        """Those that the finder and the reading of clips take."""
        return DetectOptions(
            faces=self.faces,
            finder_model=self.finder_model,
            frames=self.frames,
            min_face_px=self.min_face_px,
            max_pixels=self.max_pixels,
        )

    def identity(self, layout: str) -> dict[str, Json]:
        """All that must be equal for two runs to write into one folder, ready for JSON.

        Args:
            layout: Name of the set's reader.

        Raises:
            ModelMissing: The finder's model file is not there.
        """
        told: dict[str, Json] = {"set": layout} | asdict(self)
        told["shares"] = list(self.shares)
        if self.finder_model is not None:  # the file may have moved, or another stand at its path
            told["finder_model"] = _digest(Path(self.finder_model))
        if self.format != "jpg":
            del told["jpeg_quality"]
        return told


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelMissing(f"{path}: cannot be read: {error.strerror}") from error
