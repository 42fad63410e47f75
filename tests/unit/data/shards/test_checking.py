"""Every picture is read and compared with the manifest's SHA-256."""

from pathlib import Path

from mesoscope.data.manifest import read_dataset
from mesoscope.data.sample import verify_samples
from mesoscope.data.shards.writing import write_shards


def test_what_is_wrong_is_named_in_its_place(make_dataset, tmp_path):
    root = make_dataset(train=3, validation=1)
    write_shards(root, tmp_path / "shards", size_bytes=1_000_000)
    samples = read_dataset(tmp_path / "shards")
    assert list(verify_samples(samples)) == [None] * len(samples)
    at = samples[2]
    with Path(at.shard).open("r+b") as shard:
        shard.seek(at.offset + at.size - 1)
        shard.write(b"\0")
    faults = list(verify_samples(samples))
    assert [fault is None for fault in faults].count(False) == 1
    assert "is not the file that the manifest means" in str(faults[2])
    plain = read_dataset(root)  # without a manifest: what can be read is well
    plain[0].path.write_bytes(b"no picture")
    assert [fault is None for fault in verify_samples(plain)] == [False] + [True] * (len(plain) - 1)
