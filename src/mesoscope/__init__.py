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

    from mesoscope.detector import Detector
    from mesoscope.errors import MesoscopeError
    from mesoscope.media.image import Source
    from mesoscope.types import Calibration, FaceScore, ModelCard, Thresholds, Verdict

__version__ = "0.1.0"
__all__ = [
    "Calibration",
    "Detector",
    "FaceScore",
    "MesoscopeError",
    "ModelCard",
    "Thresholds",
    "Verdict",
    "__version__",
    "check",
]

_HOMES = {
    "Calibration": "mesoscope.types",
    "Detector": "mesoscope.detector",
    "FaceScore": "mesoscope.types",
    "MesoscopeError": "mesoscope.errors",
    "ModelCard": "mesoscope.types",
    "Thresholds": "mesoscope.types",
    "Verdict": "mesoscope.types",
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
) -> Verdict:
    """Judge one picture with one line; for many, make a :class:`Detector` and keep it.

    Args:
        source: A path, a file's bytes, a PIL image, or an RGB or grey ``uint8`` array.
        model: Name of a shipped model or path of a model file.
        faces: ``"whole"`` takes the picture as a face, ``"auto"`` picks the best finder.
        threshold: One cut in place of the card's two.

    Returns:
        The verdict; ``p_fake`` is higher the more the face looks forged.

    Raises:
        SourceError: The picture cannot be read.
        ModelError: No such model.
        OptionError: An option outside its range.
    """
    from mesoscope.detector import Detector

    return Detector(model, faces=faces, threshold=threshold, jobs=1).check(source)
