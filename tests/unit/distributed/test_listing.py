"""Listings of object stores and lists: complete, in order, each once, and in bounded memory."""

import json
import random
import sqlite3
import sys

import pytest

from in_process import InProcess
from made_bucket import MadeBucket, Numbered
from mesoscope.detection.detector import DetectorSpec
from mesoscope.distributed import listing
from mesoscope.distributed.listing import ListedCounts, list_sources
from mesoscope.distributed.scan import scan_into_parts
from mesoscope.errors import OutputError
from mesoscope.files.listing import LISTERS
from mesoscope.scan.results import open_results

fsspec = pytest.importorskip("fsspec", reason="object stores are reached by fsspec")
pa = pytest.importorskip("pyarrow", reason="lists are Parquet, and pyarrow is not installed")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def bucket(monkeypatch):
    """Puts made keys into ``s3://archive``."""

    def filled(keys, **how):
        made = MadeBucket(keys, **how)
        monkeypatch.setattr(fsspec, "filesystem", lambda *_, **__: made)
        return made

    return filled


def listed(*places, counts=None, **options):
    options = {"leave_out": "job", **options}
    return list_sources(list(places), counts or ListedCounts(), **options)


def below(place="s3://archive", **options):
    return [one.name.removeprefix("s3://archive/") for one in listed(place, **options)]


class Alive:
    """Counts the blocks of memory that are taken while sources are found, at most."""

    def __init__(self):
        self.before, self.told, self.most = sys.getallocatedblocks(), 0, 0

    def __call__(self):
        self.told += 1
        if self.told % 100 == 0:
            self.most = max(self.most, sys.getallocatedblocks() - self.before)


def test_many_keys_are_listed_in_their_order_and_few_are_in_memory(bucket, monkeypatch):
    """A set of these URLs alone would be 40,000 blocks, and of what a bucket tells more."""
    count = 40_000
    made = bucket(Numbered(count), page=100)
    monkeypatch.setattr("mesoscope.files.listing.LISTERS", 4)
    alive, before, total = Alive(), None, 0
    for one in listed("s3://archive/", listed=alive):
        assert before is None or before < one.path
        before, total = one.path, total + 1
    assert (total, alive.told) == (count, count)
    assert before == b"s3://archive/000/039/photo000039999.jpg"
    assert alive.most < count / 2
    assert made.requests < 450  # 400 pages, and few requests besides


def test_pages_are_asked_for_side_by_side(bucket):
    made = bucket(Numbered(20_000), delay_s=0.001, page=500)
    assert len(list(listed("s3://archive"))) == 20_000
    assert 1 < made.together <= LISTERS


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_one_long_folder_is_split_at_its_sub_folders(bucket, scheme):
    """Most keys lie in one of few folders, and deep: it is split once others are listed."""
    keys = sorted(
        [f"a/{n:06}.jpg" for n in range(300)]
        + [f"b/c/d/{n % 40:02}/{n:06}.jpg" for n in range(6_000)]
        + ["b/c/d/1!.jpg", "b/c/d.jpg", "b/c-d.jpg", "c.jpg"]
    )
    made = bucket(keys, delay_s=0.0005, page=100)
    found = list(listed(f"{scheme}://archive"))
    assert [one.name.removeprefix(f"{scheme}://archive/") for one in found] == keys
    assert {(one.size_bytes, one.mtime_ns) for one in found} == {(7, 1_767_323_045_000_000_000)}
    assert made.together > 4


def test_a_long_folder_is_split_once_the_others_are_listed(bucket):
    """It is one of so many that it is listed as a whole at first."""
    keys = [f"a{n:02}/x.jpg" for n in range(40)]
    keys += [f"b/{n:02}/{m:04}.jpg" for n in range(20) for m in range(400)]
    made = bucket(keys, delay_s=0.001, page=100)
    assert below() == keys
    assert {prefix for prefix in made.prefixes if prefix.startswith("b/")} > {"b/", "b/19/"}
    assert made.requests < 200


def test_a_folder_of_very_many_folders_is_not_listed_one_by_one(bucket):
    keys = [f"{n:06}/x.jpg" for n in range(20_000)]
    made = bucket(keys)
    assert below() == keys
    assert made.requests < 1_200  # and not 20,000


def test_keys_with_odd_names_are_listed_and_those_of_folders_are_not(bucket):
    odd = [
        "a.jpg", "a.jpg/b.jpg", "a.jpg-c.jpg", "a/b.jpg", "a/b.jpg/", "a/../b.jpg", "a//b.jpg",
        "a/./b.jpg", " .jpg", "x\ny.jpg", "50%.jpg", "%20.jpg", "what?.jpg", "#1.jpg",
        "?versionId=1.jpg", "é.jpg", "e\u0301.jpg", "日本.JPG", "\U0001f600.jpg", "\uffff.jpg",
        "*[a].jpg", "'\".jpg", "~.jpg", ".jpg", "photo", "empty/", "notes.txt", "a.jpg\\b.jpg",
    ]  # fmt: skip
    bucket(sorted(odd))
    counts = ListedCounts()
    found = {
        one.name.removeprefix("s3://archive/"): one for one in listed("s3://archive", counts=counts)
    }
    others = {"a/b.jpg/", ".jpg", "photo", "empty/", "notes.txt"}
    assert set(found) == set(odd) - others
    assert list(found) == sorted(found, key=str.encode)
    assert counts.skipped == len(others)
    assert {name: one.code for name, one in found.items() if one.code} == {
        "?versionId=1.jpg": "source.unreadable",
    }  # fmt: skip
    assert {(one.size_bytes, one.mtime_ns) for one in found.values()} == {
        (7, 1_767_323_045_000_000_000),
    }  # fmt: skip


def test_a_key_that_begins_others_is_listed_as_itself(bucket):
    bucket(sorted(["in", "in/a.jpg", "in/b.txt", "in.jpg", "in2/c.jpg"]))
    assert below("s3://archive/in") == ["in", "in/a.jpg"]  # it is named, whatever its suffix
    assert below("s3://archive/in.jpg") == ["in.jpg"]
    assert below("s3://archive/in2") == ["in2/c.jpg"]
    (gone,) = listed("s3://archive/i")
    assert (gone.code, gone.message) == (
        "source.missing",
        "s3://archive/i: no such object, and none below it: check the URL",
    )


def test_places_within_others_are_listed_once_and_a_job_is_left_out(bucket):
    keys = sorted(["a/x.jpg", "a-b/y.jpg", "a/job/parts/z.jpg", "a/job2/z.jpg"])
    bucket(keys)
    places = [f"s3://archive/{name}" for name in ("a/", "a", "a/x.jpg", "a-b")]
    found = listed(*places, leave_out="s3://archive/a/job/")
    assert [one.name.removeprefix("s3://archive/") for one in found] == [
        "a-b/y.jpg", "a/job2/z.jpg", "a/x.jpg",
    ]  # fmt: skip


def test_a_listing_that_breaks_off_plans_nothing_and_is_begun_again(bucket, tmp_path):
    bucket(Numbered(5000), fails_at=4)
    spec = DetectorSpec("meso4", faces="whole", jobs=1)
    out = tmp_path / "job"
    with pytest.raises(OutputError, match=r"^s3://archive: cannot be read: the line was cut: see"):
        scan_into_parts(spec, ["s3://archive"], str(out), InProcess())
    assert sorted(path.name for path in out.iterdir()) == ["job.json"]
    bucket(Numbered(3000))
    with pytest.raises(KeyboardInterrupt):
        scan_into_parts(spec, ["s3://archive"], str(out), InProcess(most=0), resume=True)
    assert open_results(str(out)).open_count() == 3000
    assert json.loads((out / "plan.json").read_text())["tasks"] == 12


def test_a_long_list_is_sorted_on_disk_and_each_source_is_there_once(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "LIST_ROWS", 1000)
    count, again = 40_000, 10_000
    urls = [f"s3://archive/{n:09}/photo.jpg" for n in range(count)]
    random.Random(1).shuffle(urls)
    table = pa.table({"url": urls + urls[:again], "other": range(count + again)})
    parquet.write_table(table, tmp_path / "list.parquet", row_group_size=20_000)
    del urls, table
    alive = Alive()
    found = listed(str(tmp_path / "list.parquet"), listed=alive)
    total = sum(1 for n, one in enumerate(found) if one.path == b"s3://archive/%09d/photo.jpg" % n)
    assert (total, alive.told) == (count, count + again)
    assert alive.most < count / 2


def test_a_full_disk_is_named(bucket, monkeypatch):
    bucket(Numbered(2000))

    class Full(sqlite3.Connection):
        def execute(self, sql):
            if "ORDER BY" in sql:
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(sql)

    opened = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda place: opened(place, factory=Full))
    with pytest.raises(OutputError, match=r"database or disk is full: make room, .* TMPDIR$"):
        list(listed("s3://archive"))
