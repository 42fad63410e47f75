"""Verdicts as scans give them, and reports made of them."""

import cv2
import pytest

from mesoscope.report.case.contents import CaseDetails, collect, model_facts, settings_of
from mesoscope.report.case.items import VerdictSpool
from mesoscope.types import DetectOptions, FaceScore, Thresholds, Verdict

MODEL = "meso4@12345678"
THRESHOLDS = Thresholds(0.3, 0.7, "made up")


@pytest.fixture
def face_file(tmp_path, astronaut_face):
    """``face_file("a.jpg")`` writes a photographed face there."""

    def write(name="face.jpg"):
        path = tmp_path / name
        cv2.imwrite(str(path), astronaut_face[:, :, ::-1])
        return path

    return write


@pytest.fixture
def verdict_of():
    """``verdict_of(source, p_fake)`` as a scan with thresholds of .3 and .7 gives it."""

    def make(source, p_fake=0.5, **changes):
        label = (
            None
            if p_fake is None
            else "fake"
            if p_fake >= 0.7
            else "real"
            if p_fake < 0.3
            else "inconclusive"
        )
        values = {
            "source": str(source), "kind": "image", "label": label, "p_fake": p_fake,
            "model": MODEL, "reason": "between_thresholds" if label == "inconclusive" else None,
            "faces": (FaceScore((0, 0, 224, 224), 1.0, p_fake or 0.0),), "finder": "whole",
        }  # fmt: skip
        return Verdict(**{**values, **changes})

    return make


@pytest.fixture
def unreadable():
    def make(source, message="damaged"):
        return Verdict(
            source=str(source), kind="image", label=None, p_fake=None, model=MODEL,
            reason="unreadable", frames_read=0,
            error={"code": "source.unreadable", "message": f"{source}: {message}"},
        )  # fmt: skip

    return make


@pytest.fixture
def spool():
    with VerdictSpool() as items:
        yield items


@pytest.fixture
def contents_of(spool):
    """``contents_of(verdicts)`` → what a report of them shows."""

    def make(verdicts, *, title="Case", analyst="", judge=None, pictures=24, settings=True):
        for verdict in verdicts:
            spool.write(verdict)
        options = DetectOptions(faces="whole")
        return collect(
            spool,
            CaseDetails.now(title, version="0", reference="7/2026", analyst=analyst),
            models=model_facts,
            settings=settings_of(options, THRESHOLDS) if settings else None,
            thresholds=THRESHOLDS,
            judge=judge,
            pictures=pictures,
        )

    return make
