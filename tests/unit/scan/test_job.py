"""The loop of a job, with a detector that only counts what it is asked."""

import contextlib
import io
import os

import pytest

from mesoscope.errors import JobError, OutputError
from mesoscope.media.image import FileBytes, source_name
from mesoscope.media.walk import Unreadable
from mesoscope.scan import job as job_module
from mesoscope.scan.folder import begin_or_resume, open_ledger
from mesoscope.scan.job import Job, renamed
from mesoscope.scan.plan import without_nested
from mesoscope.scan.reading import ONE_READING_BYTES, read
from mesoscope.scan.tables import Claim
from mesoscope.scan.workers import Worker
from mesoscope.types import DetectOptions, Verdict


class Counting:
    """Judges by a file's first byte; ``asked`` holds every name it was given."""

    model_id = "counting@00000000"

    def __init__(self, options=None):
        self.options = options or DetectOptions()
        self.asked = []
        self.stop_after = None

    def check_many(self, sources, *, keep_going):
        assert keep_going
        waiting = []
        for source in sources:
            waiting.append(source)
            if len(waiting) == 8:
                yield from map(self.judge, waiting)
                waiting = []
        yield from map(self.judge, waiting)

    def judge(self, source):
        name = source.path if isinstance(source, Unreadable) else source_name(source)
        if self.stop_after is not None and len(self.asked) == self.stop_after:
            raise KeyboardInterrupt
        self.asked.append(name)
        error = None
        if isinstance(source, Unreadable):
            error = {"code": "source.unreadable", "message": f"{name}: not to be read"}
        elif isinstance(source, FileBytes) and source.startswith(b"!"):
            error = {"code": "source.unreadable", "message": f"{name}: damaged"}
        label = None if error else "real"
        return Verdict(name, "image", label, None, self.model_id, error=error)


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@contextlib.contextmanager
def opened(folder, detector, on_verdict=None):
    ledger = begin_or_resume(folder, detector, resume=None)
    with contextlib.closing(ledger), Worker(ledger, folder) as worker:
        yield Job(detector, ledger, worker, folder, on_verdict=on_verdict), ledger


def scan(folder, root, detector=None, on_verdict=None):
    detector = detector or Counting()
    with opened(folder, detector, on_verdict) as (job, ledger):
        job.plan(without_nested([str(root)]))
        job.run()
        return detector.asked, ledger.counts(), list(ledger.results())


def fill(root, contents):
    for n, content in enumerate(contents):
        (root / f"{n:04d}.jpg").write_text(content)


def test_each_content_is_judged_once_whatever_its_copies(tmp_path, root):
    draw = [f"{'!' if n % 3 == 0 else ''}{n % 40}" for n in range(500)]
    fill(root, draw)
    judged = []
    asked, counts, results = scan(tmp_path / "job", root, on_verdict=judged.append)
    assert len(asked) == len(set(draw))
    assert len(judged) == len(results) == 500
    assert counts.duplicates == 500 - len(set(draw))
    assert counts.failed == sum(text.startswith("!") for text in draw)
    first_of = {r.sha256: r.path for r in results if r.duplicate_of is None}
    for result in results:
        verdict = Verdict.from_json(result.verdict)
        assert os.fsencode(verdict.source) == result.path
        assert result.duplicate_of in (None, first_of[result.sha256])
        if verdict.error:
            assert verdict.error["message"] == f"{verdict.source}: damaged"


def test_very_many_copies_of_one_file_are_written_down_on_the_way(tmp_path, root, monkeypatch):
    monkeypatch.setattr(job_module, "HELD", 8)
    fill(root, ["same"] * 300)
    asked, counts, _ = scan(tmp_path / "job", root)
    assert len(asked) == 1
    assert (counts.left, counts.duplicates) == (0, 299)


@pytest.mark.parametrize("after", [0, 1, 63, 64, 100, 199])
def test_an_interrupt_loses_nothing_that_was_judged(tmp_path, root, after):
    fill(root, map(str, range(200)))
    first = Counting()
    first.stop_after = after
    with pytest.raises(KeyboardInterrupt):
        scan(tmp_path / "job", root, first)
    with contextlib.closing(open_ledger(tmp_path / "job")) as ledger:
        counts = ledger.counts()
        assert (
            counts.states == {"done": after, "pending": 200 - after} if after else {"pending": 200}
        )
    asked, counts, _ = scan(tmp_path / "job", root)
    assert len(asked) == 200 - after
    assert not set(asked) & set(first.asked)
    assert counts.states == {"done": 200}


def test_a_disk_that_fills_up_ends_it_and_it_goes_on_later(tmp_path, root, monkeypatch):
    fill(root, map(str, range(200)))
    from mesoscope.scan.ledger import Ledger

    real, calls = Ledger.finish, []

    def full(self, owner, outcomes):
        calls.append(len(outcomes))
        if len(calls) > 2:
            raise OutputError("ledger: database or disk is full")
        return real(self, owner, outcomes)

    monkeypatch.setattr(Ledger, "finish", full)
    with pytest.raises(OutputError, match="disk is full"):
        scan(tmp_path / "job", root)
    monkeypatch.setattr(Ledger, "finish", real)
    asked, counts, _ = scan(tmp_path / "job", root)
    assert len(asked) == 200 - sum(calls[:2])
    assert counts.states == {"done": 200}


def test_files_that_go_between_plan_and_scan_are_removed(tmp_path, root):
    fill(root, map(str, range(20)))
    detector = Counting()
    with opened(tmp_path / "job", detector) as (job, ledger):
        job.plan(without_nested([str(root)]))
        (root / "0003.jpg").unlink()
        job.run()
        assert ledger.counts().states == {"done": 19, "removed": 1}
        assert job.plan(without_nested([str(root)])).removed == 0


def test_a_touched_file_of_the_same_content_is_not_judged_again(tmp_path, root):
    fill(root, ["a", "b"])
    scan(tmp_path / "job", root)
    os.utime(root / "0000.jpg", ns=(1, 1))
    asked, counts, results = scan(tmp_path / "job", root)
    assert asked == []
    assert results[0].mtime_ns == 1
    assert (counts.states, counts.duplicates) == ({"done": 2}, 0)


def test_files_that_another_process_never_finished_are_taken_over(tmp_path, root):
    fill(root, map(str, range(10)))
    detector = Counting()
    with opened(tmp_path / "job", detector) as (job, ledger):
        job.plan(without_nested([str(root)]))
        ledger.claim("a process that is no more", 4)
        waits = []

        def waited():
            waits.append(ledger.counts().states["claimed"])
            ledger.release("a process that is no more")

        job.run(wait=False)
        assert ledger.counts().states == {"done": 6, "claimed": 4}
        job.run(waits=waited)
        assert waits == [4]
        assert ledger.counts().states == {"done": 10}


def test_a_job_keeps_to_its_model_and_options(tmp_path, root):
    fill(root, ["a"])
    scan(tmp_path / "job", root, Counting(DetectOptions(jobs=1, batch_size=1)))
    scan(tmp_path / "job", root, Counting(DetectOptions(jobs=3, batch_size=9)))  # same verdicts
    other = Counting(DetectOptions(min_face_px=80))
    with pytest.raises(JobError, match="min_face_px = 40, and this scan has 80"):
        scan(tmp_path / "job", root, other)
    other = Counting()
    other.model_id = "other@1"
    with pytest.raises(JobError, match="begun with the model counting@00000000"):
        scan(tmp_path / "job", root, other)
    kept = Counting(DetectOptions(finder_model="/kept/yunet.onnx"))
    with pytest.raises(JobError, match=r"finder_model = None.*mesoscope models remove yunet"):
        scan(tmp_path / "job", root, kept)
    assert not {"jobs", "batch_size", "heat"} & DetectOptions().deciding().keys()


def test_small_files_are_read_once_and_large_ones_and_clips_by_path(tmp_path):
    import hashlib

    def claim(name, data):
        (tmp_path / name).write_bytes(data)
        return Claim(os.fsencode(tmp_path / name), None)

    large = b"x" * (2 * ONE_READING_BYTES + 1)
    clip = b"\x1aE\xdf\xa3" + b"x" * 100
    for name, data, whole in (
        ("s.jpg", b"x", True),
        ("l.jpg", large, False),
        ("c.mkv", clip, False),
    ):
        content = read(claim(name, data))
        assert content.sha256 == hashlib.sha256(data).digest()
        assert (content.size_bytes, content.gone) == (len(data), False)
        assert content.source == (data if whole else str(tmp_path / name))
        assert source_name(content.source) == str(tmp_path / name)
    assert read(Claim(os.fsencode(tmp_path / "none"), None)).gone
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    for odd in ("link", "pipe"):
        content = read(Claim(os.fsencode(tmp_path / odd), None))
        assert (content.source, content.sha256, content.gone) == (str(tmp_path / odd), None, False)


def test_the_hash_of_a_small_file_that_grows_is_of_the_bytes_that_are_judged(tmp_path, monkeypatch):
    import hashlib

    path = tmp_path / "grows.jpg"
    path.write_bytes(b"first")

    def open_growing(*arguments, **_):
        class Growing(io.FileIO):
            def read(self, size=-1):
                data = super().read(size)
                with path.open("ab") as more:
                    more.write(b" and more")
                return data

        return Growing(arguments[0])

    monkeypatch.setattr("mesoscope.scan.reading.open", open_growing, raising=False)
    content = read(Claim(os.fsencode(path), None))
    assert content.source == b"first"
    assert content.sha256 == hashlib.sha256(b"first").digest()


def test_of_a_file_that_may_not_be_opened_size_and_time_are_known(tmp_path, monkeypatch):
    path = tmp_path / "secret.jpg"
    path.write_bytes(b"12345")
    os.utime(path, ns=(10**18, 10**18))

    def deny(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)
    content = read(Claim(os.fsencode(path), None))
    assert content[1:] == (str(path), 5, 10**18, None, False)


def test_a_verdict_under_another_name():
    error = {"code": "source.unreadable", "message": "/a/x.jpg: damaged: /a/x.jpg"}
    verdict = renamed(Verdict("/a/x.jpg", "image", None, None, "m@1", error=error), "/b/y.jpg")
    assert verdict.source == "/b/y.jpg"
    assert verdict.error == {"code": error["code"], "message": "/b/y.jpg: damaged: /a/x.jpg"}
