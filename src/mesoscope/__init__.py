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

if TYPE_CHECKING:
    from mesoscope.detection.detector import Detector, DetectorSpec, check
    from mesoscope.errors import MesoscopeError
    from mesoscope.media.provenance import Finding, Provenance, read_provenance
    from mesoscope.types import Calibration, FaceScore, ModelCard, Person, Thresholds, Verdict

__version__ = "0.2.0"
__all__ = [
    "Calibration",
    "Detector",
    "DetectorSpec",
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
    "DetectorSpec": "mesoscope.detection.detector",
    "FaceScore": "mesoscope.types",
    "Finding": "mesoscope.media.provenance",
    "MesoscopeError": "mesoscope.errors",
    "ModelCard": "mesoscope.types",
    "Person": "mesoscope.types",
    "Provenance": "mesoscope.media.provenance",
    "Thresholds": "mesoscope.types",
    "Verdict": "mesoscope.types",
    "check": "mesoscope.detection.detector",
    "read_provenance": "mesoscope.media.provenance",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'mesoscope' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
