"""Job folders from Python: scanned into, interrupted, gone on with, watched."""

import contextlib

import pytest

from mesoscope.errors import JobError, OptionError
from mesoscope.media.image import source_name
from mesoscope.scan.folder import open_ledger
from mesoscope.scan.into_job import scan_into_job, watch_into_job
from mesoscope.scan.progress import JobInterrupted, JobWatcher
from mesoscope.types import DetectOptions, Verdict


class Obliging:
    """Calls everything real; stops as by Ctrl-C after some verdicts."""

    model_id = "obliging@00000000"

    def __init__(self, stop_after=None):
        self.options = DetectOptions()
        self.left = stop_after

    def check_many(self, sources, *, keep_going):
        assert keep_going
        for source in sources:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left = None if self.left is None else self.left - 1
            yield Verdict(source_name(source), "image", "real", 0.1, self.model_id)


class Seen(JobWatcher):
    def __init__(self):
        self.calls = []

    def opened(self):
        self.calls.append("begun")

    def listed(self):
        self.calls.append("listed")

    def planned(self, total):
        self.calls.append(total)

    def judged(self, verdict):
        self.calls.append(verdict.label)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.jpg").write_bytes(name.encode())
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_a_scan_counts_what_it_did(photos, tmp_path):
    seen, job = Seen(), tmp_path / "job"
    done = scan_into_job(Obliging(), [str(photos)], job, watcher=seen)
    assert (done.judged, done.skipped, done.counts.labels) == (3, 1, {"real": 3})
    assert (done.folder, done.counts.left) == (job, 0)
    assert seen.calls == ["begun", *["listed"] * 3, 3, *["real"] * 3]
    again = scan_into_job(Obliging(), [str(photos)], job)
    assert (again.judged, again.counts.labels) == (0, {"real": 3})


def test_what_was_judged_before_an_interrupt_is_kept(photos, tmp_path):
    job = tmp_path / "job"
    with pytest.raises(KeyboardInterrupt) as caught:
        scan_into_job(Obliging(stop_after=2), [str(photos)], job)
    assert isinstance(caught.value, JobInterrupted)
    summary = caught.value.summary
    assert (summary.judged, summary.counts.left) == (2, 1)
    assert scan_into_job(Obliging(), [str(photos)], job, resume=True).judged == 1
    with contextlib.closing(open_ledger(job)) as kept:
        assert kept.open_count() == 0


def test_a_job_that_is_there_is_begun_by_nobody_else(photos, tmp_path):
    scan_into_job(Obliging(), [str(photos)], tmp_path / "job", resume=False)
    with pytest.raises(JobError, match="holds a job already"):
        scan_into_job(Obliging(), [str(photos)], tmp_path / "job", resume=False)
    with pytest.raises(JobError, match="there is no job to go on with"):
        scan_into_job(Obliging(), [str(photos)], tmp_path / "other", resume=True)


def test_what_arrives_is_judged(photos, tmp_path):
    job = tmp_path / "job"
    done = watch_into_job(Obliging(), [str(photos)], job, settle_s=0, looks=1)
    assert (done.judged, done.counts.labels) == (3, {"real": 3})
    (photos / "d.jpg").write_bytes(b"d")
    assert watch_into_job(Obliging(), [str(photos)], job, settle_s=0, looks=1).judged == 1
    (photos / "e.jpg").write_bytes(b"e")
    with pytest.raises(JobInterrupted) as caught:
        watch_into_job(Obliging(stop_after=0), [str(photos)], job, settle_s=0)
    assert caught.value.summary.counts.left == 1


def test_a_folder_to_watch_must_be_there(tmp_path):
    with pytest.raises(OptionError, match="no folder to watch"):
        watch_into_job(Obliging(), [str(tmp_path / "none")], tmp_path / "job")
    assert not (tmp_path / "job").exists()
