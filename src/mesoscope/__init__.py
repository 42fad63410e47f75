"""mesoscope: tell real faces from forged ones.

>>> import mesoscope
>>> mesoscope.check("face.jpg").label  # doctest: +SKIP
'real'

The public names are those of ``__all__``; they are loaded when first used, so importing the
package costs nothing and changes nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mesoscope.models import DEFAULT_MODEL

if TYPE_CHECKING:
    import os

    from mesoscope.detection.detector import Detector
    from mesoscope.errors import MesoscopeError
    from mesoscope.media.image import Source
    from mesoscope.media.provenance import Finding, Provenance, read_provenance
    from mesoscope.types import Calibration, FaceScore, ModelCard, Person, Thresholds, Verdict

__version__ = "0.1.0"
__all__ = [
    "Calibration",
    "Detector",
    "FaceScore",
    "Finding",
    "MesoscopeError",
    "ModelCard",
    "Person",
    "Provenance",
    "Thresholds",
    "Verdict",
    "__version__",
    "check",
    "read_provenance",
]

_HOMES = {
    "Calibration": "mesoscope.types",
    "Detector": "mesoscope.detection.detector",
    "FaceScore": "mesoscope.types",
    "Finding": "mesoscope.media.provenance",
    "MesoscopeError": "mesoscope.errors",
    "ModelCard": "mesoscope.types",
    "Person": "mesoscope.types",
    "Provenance": "mesoscope.media.provenance",
    "Thresholds": "mesoscope.types",
    "Verdict": "mesoscope.types",
    "read_provenance": "mesoscope.media.provenance",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'mesoscope' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def check(
    source: Source,
    *,
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    faces: str = "auto",
    threshold: float | None = None,
    fpr: float | None = None,
    frames: int = 32,
    every_s: float | None = None,
    finder_model: str | os.PathLike[str] | None = None,
) -> Verdict:
    """Judge one picture or clip with one line; for many, make a :class:`Detector` and keep it.

    Args:
        source: A path, a file's bytes, a PIL image, or an RGB or grey ``uint8`` array.
        model: Name of a shipped model or path of a model file.
        faces: ``"auto"`` picks the best finder, ``"mtcnn"`` and ``"yunet"`` name one, ``"whole"``
            takes the picture as a face.
        threshold: One cut in place of the card's two.
        fpr: A false-positive rate for which the card holds a threshold.
        frames: Of a clip, so many frames, evenly spaced over its length.
        every_s: Of a clip, one frame every so many seconds in place of ``frames``.
        finder_model: File of the finder's model, where it needs one that is not shipped.

    Returns:
        The verdict; ``p_fake`` is higher the more the face looks forged.

    Raises:
        SourceError: The source cannot be read.
        ModelError: No such model.
        OptionError: An option outside its range.
    """
    from mesoscope.detection.detector import Detector

    detector = Detector(
        model,
        faces=faces,
        threshold=threshold,
        fpr=fpr,
        frames=frames,
        every_s=every_s,
        finder_model=finder_model,
    )
    return detector.check(source)
