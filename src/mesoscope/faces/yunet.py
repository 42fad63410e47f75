"""YuNet by OpenCV's ``FaceDetectorYN``, with a model file from the user."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mesoscope.errors import ModelError, ModelMissing
from mesoscope.faces.crop import largest_first
from mesoscope.types import Face, Found

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from mesoscope.types import Frame, Pixels

SMALLEST_PX = 20  # smallest face that YuNet finds reliably: pictures are downscaled to it
LONGEST_PX = 2048  # largest input side, to bound memory
P_FACE, OVERLAP = 0.7, 0.3
BEFORE_NMS = 5000
_OPENCV_4 = int(cv2.__version__.partition(".")[0]) < 5
_ERRORS = 2  # OpenCV's LOG_LEVEL_ERROR, which OpenCV 4 does not name
_VALUES = 15  # per face: x, y, width, height, five points, score


class YunetFinder:
    """Finds faces with five landmarks. Each thread has its own network, which is not thread-safe.

    Args:
        model: The ONNX file, of any input size.
        min_face_px: Side of the smallest face to find.

    Raises:
        ModelMissing: The file is missing.
        ModelError: OpenCV cannot open it as YuNet.
    """

    name = "yunet"

    def __init__(self, model: str | os.PathLike[str], min_face_px: int = 40) -> None:
        self._path = Path(model)
        self._scale = min(1.0, SMALLEST_PX / min_face_px)
        self._of_thread = threading.local()
        if not self._path.is_file():
            raise ModelMissing(f"{self._path}: no such file: give `finder_model` a YuNet .onnx")
        self._network()

    def find(self, frames: Sequence[Frame]) -> list[Found]:
        """Return the faces of each frame, largest first."""
        return [Found(self._faces(frame.pixels), self.name) for frame in frames]

    def _faces(self, pixels: Pixels) -> tuple[Face, ...]:
        height, width = pixels.shape[:2]
        scale = min(self._scale, LONGEST_PX / max(width, height))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        network = self._network()
        network.setInputSize(size)
        _, found = network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        rows = np.empty((0, _VALUES)) if found is None else np.asarray(found, np.float64)
        points = rows[:, :14].reshape(-1, 7, 2) * [width / size[0], height / size[1]]
        corner, extent, landmarks = points[:, 0], points[:, 1], points[:, 2:]
        boxes = np.concatenate([corner, corner + extent], axis=1)
        boxes = np.clip(boxes, 0, [width, height, width, height])
        return largest_first(boxes, np.clip(rows[:, 14], 0, 1), landmarks)

    def _network(self) -> cv2.FaceDetectorYN:
        network: cv2.FaceDetectorYN | None = getattr(self._of_thread, "network", None)
        if network is None:
            network = self._of_thread.network = _opened(self._path)
        return network


def _opened(path: Path) -> cv2.FaceDetectorYN:
    """Open a network and test it on a grey picture, as OpenCV opens other networks silently."""
    log: Any = getattr(cv2.utils, "logging", cv2)  # OpenCV 4 has both functions at its top level
    level = log.getLogLevel()
    log.setLogLevel(_ERRORS)  # OpenCV 5 warns of a backend that is not used
    try:
        network = cv2.FaceDetectorYN.create(str(path), "", (64, 64), P_FACE, OVERLAP, BEFORE_NMS)
        network.detect(np.full((64, 64, 3), 127, np.uint8))
    except (cv2.error, SystemError) as error:
        message = " ".join(str(error).split())[:200]
        hint = "; OpenCV 4 opens no network of any input size: take OpenCV 5" if _OPENCV_4 else ""
        raise ModelError(
            f"{path}: not a YuNet face detector that OpenCV opens: {message}{hint}"
        ) from error
    finally:
        log.setLogLevel(level)
    return network
