"""Shards read front to back: what is shown, in which order, and how much is held."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.data.manifest import Sample, read_dataset
from mesoscope.data.sample import open_sample, sample_bytes
from mesoscope.data.shards import stream as streaming
from mesoscope.data.shards.stream import read_in_order, shard_order, stream
from mesoscope.data.shards.writing import write_shards
from mesoscope.errors import DatasetError, OptionError, SourceError


def listed(shards, each):
    """Samples of so many shards, none of which is there."""
    return [
        Sample(
            f"{s:03}.tar/{i:04}.jpg",
            i % 2,
            "s",
            f"{s} {i}",
            "train",
            shard=f"{s:03}.tar",
            offset=512 * i,
            size=10,
        )
        for s in range(shards)
        for i in range(each)
    ]


@pytest.fixture
def shards(make_dataset, tmp_path):
    write_shards(make_dataset(train=20, validation=2), tmp_path / "shards", size_bytes=30_000)
    return read_dataset(tmp_path / "shards")


@given(
    drawn=st.lists(st.integers(0, 39), min_size=1, max_size=120),
    buffer=st.integers(1, 50),
    together=st.integers(1, 6),
    devices=st.integers(1, 3),
)
def test_what_was_drawn_is_shown_as_often_and_each_picture_read_once(
    drawn, buffer, together, devices
):
    samples = listed(5, 8)
    made = shard_order(
        np.array(drawn), samples, np.random.default_rng(0),
        buffer=buffer, together=together, devices=devices,
    )  # fmt: skip
    assert Counter(made.order.tolist()) == Counter(drawn)
    for device, reads in enumerate(made.reads):
        shown = made.order[device::devices].tolist()
        assert set(reads.tolist()) == set(shown)
        assert len(set(reads.tolist())) == len(reads)


def test_each_shard_is_read_from_its_begin_to_its_end_and_few_at_a_time():
    samples = listed(9, 100)
    made = shard_order(np.arange(900), samples, np.random.default_rng(1), buffer=50, together=3)
    reads = [samples[i] for i in made.reads[0]]
    for shard in {s.shard for s in reads}:
        offsets = [s.offset for s in reads if s.shard == shard]
        assert offsets == sorted(offsets)
    first = {s.shard: n for n, s in reversed(list(enumerate(reads)))}
    last = {s.shard: n for n, s in enumerate(reads)}
    at_once = [sum(first[s] <= n <= last[s] for s in first) for n in range(len(reads))]
    assert max(at_once) == 3
    assert [s for s, _ in sorted(first.items(), key=lambda one: one[1])] != sorted(first)


def test_shards_are_shared_out_among_devices():
    samples = listed(8, 64)
    made = shard_order(np.arange(512), samples, np.random.default_rng(1), devices=2)
    one, two = ({samples[i].shard for i in reads} for reads in made.reads)
    assert len(one) == len(two) == 4
    assert not one & two


def test_the_buffer_mixes_and_bounds_what_is_held():
    samples = listed(4, 500)
    place = {}
    for buffer in (1, 300):
        made = shard_order(np.arange(2000), samples, np.random.default_rng(2), buffer=buffer)
        read_at = {i: n for n, i in enumerate(made.reads[0].tolist())}
        ahead = [read_at[i] - n for n, i in enumerate(made.order.tolist())]
        place[buffer] = float(np.std(ahead))
        assert max(ahead) <= buffer  # so no more than the buffer was read and not yet shown
    assert place[1] < 2 < 100 < place[300]


def test_the_same_seed_gives_the_same_order_and_another_epoch_another(shards):
    one, again, other = (
        [s.file for s in stream(shards, seed=3, epoch=e, buffer=8)] for e in (0, 0, 1)
    )
    assert one == again
    assert one != other
    assert sorted(one) == sorted(other) == sorted(s.file for s in shards)


def test_a_stream_holds_the_bytes_that_lie_in_the_shards(shards):
    for sample in stream(shards, buffer=8):
        plain = next(s for s in shards if s == sample)
        assert sample.held == sample_bytes(sample) == sample_bytes(plain)
        np.testing.assert_array_equal(open_sample(sample), open_sample(plain))


def test_the_shares_of_devices_are_the_whole(shards):
    parts = [[s.file for s in stream(shards, buffer=5, device=d, devices=3)] for d in range(3)]
    assert sorted(chain.from_iterable(parts)) == sorted(s.file for s in shards)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_reading_is_never_far_ahead_of_what_is_shown(shards, monkeypatch):
    monkeypatch.setattr(streaming, "_RUN", 2)
    monkeypatch.setattr(streaming, "_RUNS_AHEAD", 2)
    read = []
    real = streaming._Shards.read
    monkeypatch.setattr(
        streaming._Shards, "read", lambda self, s: read.append(s.file) or real(self, s)
    )
    made = shard_order(np.arange(len(shards)).repeat(3), shards, np.random.default_rng(0), buffer=6)
    shown, most = [], 0
    for sample in read_in_order(shards, made):
        shown.append(sample.file)
        most = max(most, len(read) - len(set(shown)))
    assert shown == [shards[i].file for i in made.order]
    assert len(read) == len(shards) == 44  # each once, though each was shown three times
    assert most <= 6 + 2 * (2 + 2)  # the buffer, the runs that wait, the one that is read


def test_files_are_closed_once_they_are_read(shards, monkeypatch):
    opened = []
    real = streaming.Path.open

    def spy(path, mode):
        opened.append(real(path, mode))
        return opened[-1]

    monkeypatch.setattr(streaming.Path, "open", spy)
    assert len(list(stream(shards, buffer=4))) == len(shards)
    assert len(opened) == len({s.shard for s in shards})
    assert all(file.closed for file in opened)


def test_pictures_outside_shards_are_refused(make_dataset):
    samples = read_dataset(make_dataset())
    with pytest.raises(DatasetError, match="lies in no shard, and a stream is read from shards"):
        stream(samples)


def test_a_shard_that_went_away_or_shrank_is_named(shards):
    path = streaming.Path(shards[0].shard)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(SourceError, match="its shard ends within it"):
        list(stream(shards))
    path.unlink()
    with pytest.raises(SourceError, match=r"train-000000.tar: cannot be read: No such file"):
        list(stream([s for s in shards if s.shard == str(path)]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"buffer": 0}, "buffer must be at least 1"),
        ({"together": 0}, "together must be at least 1"),
        ({"device": 2, "devices": 2}, r"device must lie in 0..1"),
        ({"devices": 0}, "device must lie in"),
    ],
)
def test_numbers_out_of_range_are_refused(shards, options, message):
    with pytest.raises(OptionError, match=message):
        stream(shards, **options)
