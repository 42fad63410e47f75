import numpy as np
import pytest

from mesoscope.detection.scorer import Scores
from mesoscope.evaluation import throughput as speed
from mesoscope.types import ModelCard


class Clock:
    now = 0.0

    def thread_time(self):
        return self.now


class Taking:
    """A scorer that takes its time, on a clock of the test's."""

    def __init__(self, clock, seconds, side_px):
        self.card = ModelCard(name="m", architecture="a", input_px=side_px)
        self.model_id, self.shapes = "m@0", set()
        self._clock, self._seconds = clock, seconds

    def score(self, crops, *, heat=False):
        self.shapes.add(crops.shape)
        self._clock.now += self._seconds
        return Scores(np.zeros(1, np.float32), np.zeros(1, np.float32), None)


def test_rates_are_crops_over_processor_time_one_crop_a_call(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(speed, "time", clock)
    quick, slow = Taking(clock, 0.001, 32), Taking(clock, 0.5, 64)
    rates = speed.faces_per_second([quick, slow], rounds=3, seconds=0.15)
    assert rates == pytest.approx([1000, 2])
    assert quick.shapes == {(1, 32, 32, 3)}
    assert slow.shapes == {(1, 64, 64, 3)}
