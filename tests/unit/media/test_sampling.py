"""Which pictures of a clip are looked at, whatever its times."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.errors import OptionError
from mesoscope.media.video import choose, on_show

gaps = st.lists(st.floats(0, 30), max_size=80)


def clip_of(between, last):
    times = np.concatenate([[0.0], np.cumsum(between)])
    return times, float(times[-1]) + last


@given(gaps, st.floats(0, 30), st.integers(1, 100))
def test_so_many_frames_over_the_whole_length(between, last, count):
    times, length = clip_of(between, last)
    chosen = choose(times, length, frames=count, every_s=None)
    assert 1 <= len(chosen) <= min(count, len(times))
    assert (np.diff(chosen) > 0).all()
    if len(times) <= count:
        assert chosen.tolist() == list(range(len(times)))
    else:
        part = length / count
        for middle in (np.arange(count) + 0.5) * part:  # every moment's picture is there
            assert on_show(times, np.array([middle]))[0] in chosen


@given(gaps, st.floats(0, 30), st.floats(0.001, 40))
def test_every_so_many_seconds(between, last, every):
    times, length = clip_of(between, last)
    chosen = choose(times, length, frames=1, every_s=every)
    assert 1 <= len(chosen) <= len(times)
    assert (np.diff(chosen) > 0).all()
    assert chosen[0] == np.flatnonzero(times <= 1e-6)[-1] or len(chosen) == len(times)
    assert len(chosen) <= max(length / every + 1, len(times))


@given(gaps.filter(len), st.floats(0.001, 30))
def test_a_picture_is_on_show_from_its_begin_to_the_next(between, last):
    times, length = clip_of(between, last)
    for moment in np.linspace(0, length, 20):
        number = int(on_show(times, np.array([moment]))[0])
        assert times[number] <= moment + 1e-6
        assert number == len(times) - 1 or times[number + 1] > moment + 1e-6


def test_even_clips():
    times = np.arange(100) * 0.04
    assert choose(times, 4.0, frames=4, every_s=None).tolist() == [12, 37, 62, 87]
    assert choose(times, 4.0, frames=1, every_s=None).tolist() == [50]
    assert choose(times, 4.0, frames=1, every_s=1.0).tolist() == [0, 25, 50, 75]
    assert choose(times, 4.0, frames=1, every_s=9.0).tolist() == [0]
    assert choose(times, 4.0, frames=1, every_s=1e-9).tolist() == list(range(100))


def test_a_picture_that_stands_for_long_counts_once():
    times = np.array([0.0, 0.1, 0.2, 9.9, 10.0])
    assert choose(times, 10.1, frames=4, every_s=None).tolist() == [2]
    assert choose(times, 10.1, frames=3, every_s=None).tolist() == [2]


def test_times_of_json_find_their_pictures_again():
    times = np.arange(1000) * 1001 / 30000
    rounded = np.array([round(t, 6) for t in times])
    assert on_show(times, rounded).tolist() == list(range(1000))


@pytest.mark.parametrize(
    ("frames", "every"), [(0, None), (1, 0.0), (1, -1.0), (1, float("nan")), (1, float("inf"))]
)
def test_numbers_out_of_range(frames, every):
    with pytest.raises(OptionError):
        choose(np.array([0.0]), 1.0, frames=frames, every_s=every)
