"""Verdicts and pictures to be drawn; no model is asked."""

from __future__ import annotations

import numpy as np
import pytest

from mesoscope.draw import Terms
from mesoscope.types import FaceScore, Person, Verdict
from mesoscope.types.card import Guard, Thresholds


@pytest.fixture
def terms():
    return Terms(Thresholds(0.3, 0.7, "for a test"), Guard(1.0, 0.01), face_margin=1.3)


@pytest.fixture
def make_verdict():
    """``make_verdict((box, p_fake), …)``: a picture's verdict with maps of 8 × 8."""

    def make(*faces, finder="mtcnn", heat=True, label="fake", **fields):
        rng = np.random.default_rng(len(faces))
        scored = tuple(
            FaceScore(
                tuple(map(float, box)),
                0.99,
                p_fake,
                heat=rng.uniform(0, 0.2, (8, 8)).astype(np.float32) if heat else None,
                unfamiliar=0.5,
            )
            for box, p_fake in faces
        )
        best = max((p_fake for _, p_fake in faces), default=None)
        return Verdict(
            "photos/a.jpg",
            "image",
            label if faces else None,
            best,
            "test@00000000",
            reason=None if faces else "no_face",
            faces=scored,
            finder=finder,
            **fields,
        )

    return make


@pytest.fixture
def clip_verdict():
    """Ten seconds, 20 frames, two persons; the first is away from 4 s to 6 s."""
    faces = []
    for number in range(20):
        time_s = number * 0.5
        if not 4 <= time_s < 6:
            faces.append(
                FaceScore(
                    (40.0, 30.0, 90.0, 90.0), 1.0, 0.75 + 0.01 * number, number, time_s,
                    heat=np.full((8, 8), 0.05, np.float32), person=0,
                )
            )  # fmt: skip
        faces.append(FaceScore((150.0, 30.0, 200.0, 90.0), 1.0, 0.2, number, time_s, person=1))
    persons = (
        Person(0, "fake", 0.85, 16, 0.0, 9.5),
        Person(1, "real", 0.2, 20, 0.0, 9.5),
    )
    return Verdict(
        "clips/a.mp4", "clip", "fake", 0.85, "test@00000000", faces=tuple(faces), frames_read=20,
        finder="mtcnn", persons=persons, duration_s=10.0,
    )  # fmt: skip
