"""What ``import mesoscope`` gives, and that it costs nothing."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import mesoscope

PUBLIC = [
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


def test_the_public_names_are_these():
    assert mesoscope.__all__ == PUBLIC
    assert dir(mesoscope) == PUBLIC
    for name in PUBLIC:
        assert getattr(mesoscope, name) is not None
        if not name.startswith("__"):
            assert getattr(mesoscope, name).__doc__


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'detect'"):
        mesoscope.detect  # noqa: B018


def test_importing_loads_nothing():
    code = (
        "import sys, mesoscope\n"
        "heavy = {'numpy', 'cv2', 'onnxruntime', 'PIL', 'click', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_check_answers_a_path_bytes_an_array_and_an_image_alike(tmp_path, astronaut_face):
    path = tmp_path / "face.png"
    Image.fromarray(astronaut_face).save(path)
    sources = [path, path.read_bytes(), astronaut_face, Image.fromarray(astronaut_face)]
    verdicts = [mesoscope.check(source) for source in sources]
    assert len({v.p_fake for v in verdicts}) == 1
    assert verdicts[0].label in ("fake", "real", "inconclusive")
    assert verdicts[0].model.startswith("mesoscope@")
    assert verdicts[0].faces[0].box == (0.0, 0.0, 224.0, 224.0)


def test_check_takes_a_threshold_and_a_model(astronaut_face):
    assert mesoscope.check(astronaut_face, threshold=0.0).label == "fake"
    other = mesoscope.check(astronaut_face, model="mesoinception4")
    assert other.model.startswith("mesoinception4@")


def test_a_detector_keeps_the_evidence_map(astronaut_face):
    verdict = mesoscope.Detector(heat=True).check(astronaut_face)
    heat = verdict.faces[0].heat
    assert heat.shape == (8, 8)
    assert heat.dtype == np.float32
    assert (heat >= 0).all()
