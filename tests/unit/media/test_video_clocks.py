"""Clips whose clocks are bad."""

from fractions import Fraction

import av
import numpy as np
import pytest

from mesoscope.media.video import open_clip


@pytest.fixture
def twice(tmp_path):
    """Ten pictures a moment apart, of which the fifth and the sixth have the same moment."""
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * number, np.uint8), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            for packet in stream.encode(frame):
                if number == 5:
                    packet.pts = packet.dts = 4
                file.mux(packet)
    return path


def test_two_pictures_of_one_moment_are_both_there_and_nothing_is_called_damaged(twice):
    with open_clip(twice) as clip:
        frames = list(clip.frames())
    assert clip.notes == ()
    assert [frame.index for frame in frames] == list(range(10))
    times = [n * 0.04 for n in (0, 1, 2, 3, 4, 4, 6, 7, 8, 9)]
    assert [frame.time_s for frame in frames] == pytest.approx(times, abs=0.002)
    assert [round(frame.pixels.mean() / 20) for frame in frames] == list(range(10))
