"""Reports from Python: of pictures, of verdicts, of a job folder."""

import json

import cv2
import pytest

from mesoscope.detection.detector import Detector
from mesoscope.errors import JobError, OptionError
from mesoscope.report.case.make import ReportOptions
from mesoscope.report.case.record import verify
from mesoscope.report.case.seal import make_keys, read_private, read_public
from mesoscope.scan.into_job import scan_into_job
from mesoscope.scan.local import scan
from mesoscope.scan.reporting import job_among, report_job, report_sources
from mesoscope.scan.sinks import open_sink


@pytest.fixture(scope="module")
def detector():
    return Detector("meso4", faces="whole", jobs=1)


@pytest.fixture
def photos(tmp_path, astronaut_face, make_face):
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), astronaut_face[:, :, ::-1])
    cv2.imwrite(str(folder / "b.png"), make_face(1, 128))
    (folder / "broken.jpg").write_bytes(b"nothing")
    return folder


def record_of(path):
    text = path.read_text("utf-8")
    return json.loads(text.partition('id="mesoscope-record">')[2].partition("</script>")[0])


def test_pictures_are_judged_and_reported_signed(photos, tmp_path, detector):
    public, _ = make_keys(tmp_path / "k.pem")
    seen, shown = [], []
    options = ReportOptions(
        title="Two faces", pictures=1, key=read_private(tmp_path / "k.pem"),
        watch=lambda done, total: shown.append((done, total)),
    )  # fmt: skip
    written, failed = report_sources(
        [str(photos)], tmp_path / "r.html", detector,
        model="meso4", options=options, watch=seen.append,
    )  # fmt: skip
    assert (written.files, written.with_evidence, written.signed, failed) == (3, 1, True, 1)
    assert shown == [(1, 1)]
    assert len(seen) == 3
    found = verify(written.path, key=read_public(public))
    assert found.trusted
    assert found.seal.content_sha256 == written.digest
    assert "Two faces" in written.path.read_text("utf-8")
    assert record_of(written.path)["settings"]["faces"] == "whole"


def test_verdicts_of_a_scan_stay_as_they_are(photos, tmp_path, detector):
    with open_sink(tmp_path / "v.jsonl") as sink:
        scan(detector, [str(photos)], [sink])
    written, failed = report_sources(
        [str(tmp_path / "v.jsonl")], tmp_path / "r.html", detector, model="meso4"
    )
    assert (written.files, written.signed, failed) == (3, False, 0)
    assert record_of(written.path)["settings"] is None  # by which they were given is not known


def test_a_job_is_reported_by_its_own_settings(photos, tmp_path, detector):
    job = tmp_path / "job"
    scan_into_job(detector, [str(photos)], job)
    assert job_among([str(job)], tmp_path / "r.pdf") == str(job)
    written, left = report_job(job, tmp_path / "r.html", model="meso4")
    assert (written.files, left) == (3, 0)
    assert record_of(written.path)["settings"]["faces"] == "whole"
    with pytest.raises(OptionError, match="a job folder is reported alone"):
        job_among([str(job), str(photos)], tmp_path / "r.pdf")
    with pytest.raises(JobError, match="no job folder"):
        report_job(photos, tmp_path / "r.html", model="meso4")


def test_a_report_that_cannot_be_is_refused(photos, tmp_path, detector):
    for name, says in [
        ("r.txt", r"written as \.html or \.pdf"),
        ("photos.html/..", "written as"),
        ("none/r.html", "there is no folder"),
    ]:
        with pytest.raises(OptionError, match=says):
            report_sources([str(photos)], tmp_path / name, detector, model="meso4")
    with pytest.raises(OptionError, match="this is a file to report on"):
        job_among([str(photos / "a.png")], photos / "a.png")
