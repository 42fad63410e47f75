import json
import os

import numpy as np
import pypdf
import pytest

from mesoscope.detection.detector import Detector
from mesoscope.errors import OptionError, OutputError
from mesoscope.report.case.pdf import PDF_MOST, write_pdf
from mesoscope.report.case.seal import make_keys, read_private, read_seal
from mesoscope.types import FaceScore, Person


def text_of(path):
    pages = pypdf.PdfReader(path).pages
    return [" ".join(page.extract_text().split()) for page in pages]


@pytest.fixture
def written(contents_of, tmp_path):
    def make(verdicts, key=None, **options):
        path = tmp_path / "case.pdf"
        write_pdf(contents_of(verdicts, **options), path, key=key)
        return path

    return make


def test_a_case_holds_what_the_page_holds(written, verdict_of, unreadable, face_file):
    path = written(
        [verdict_of(face_file(), 0.93), unreadable("broken.jpg")], title="Größe & Привет <b>"
    )
    pages = text_of(path)
    text = " ".join(pages)
    for words in (
        "Größe & Привет <b>", "7/2026", "2 files: 1 fake, 1 not readable.", "broken.jpg",
        "Called fake: p_fake is 0.930", "What the file says of itself", "What the score means",
        "Where it fails", "SHA-256 of the settings", "How to check this report", "It is not signed",
    ):  # fmt: skip
        assert words in text, words
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page.replace("  ", " ")
    reader = pypdf.PdfReader(path)
    assert [len(page.images) for page in reader.pages].count(0) < len(pages)
    assert reader.outline
    assert reader.root_object["/Lang"] == "en"


def test_names_that_the_font_lacks_are_spelled_out(written, verdict_of):
    names = ["人<para>&.jpg", "\u05d0.jpg", os.fsdecode(b"caf\xe9"), "\u202e.exe", "<b>x</b>"]
    text = " ".join(text_of(written([verdict_of(n, 0.9) for n in names]))).replace(" ", "")
    for seen in ("\\u4eba<para>&.jpg", "\\u05d0.jpg", "caf\\xe9", "\\u202e.exe", "<b>x</b>"):
        assert seen in text


def test_the_record_is_attached_and_the_file_is_sealed(written, verdict_of, tmp_path):
    make_keys(tmp_path / "k.pem")
    path = written([verdict_of("a", 0.9)], read_private(tmp_path / "k.pem"))
    attached = pypdf.PdfReader(path).attachments
    assert set(attached) == {"record.json", "seal.json"}
    record = json.loads(attached["record.json"][0])
    assert record["items"][0]["source"] == "a"
    seal = json.loads(attached["seal.json"][0])
    found = read_seal(path)
    assert found.intact
    assert found.signature_holds
    assert seal["content_sha256"] == found.content_sha256
    data = path.read_bytes()
    for at in range(0, len(data), 997):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert not read_seal(path).intact


def test_a_title_cannot_look_like_a_seal(written, verdict_of):
    fake = f'{{"mesoscope_seal":1,"content_sha256":"{"0" * 64}","signature":"","public_key":""}}'
    path = written([verdict_of(fake)], title=fake, analyst=fake)
    assert read_seal(path).intact


def test_a_clip_with_its_persons(written, make_clip, astronaut_face):
    judge = Detector("meso4", faces="whole", heat=True, jobs=1)
    clip = make_clip([np.roll(astronaut_face, 4 * i, axis=1) for i in range(12)])
    text = " ".join(text_of(written([judge.check(str(clip))], judge=judge)))
    for words in ("Its most suspicious frames", "Over time", "Person", "clip of 0:00.48"):
        assert words in text


def test_who_has_no_say_is_named(written, verdict_of):
    faces = tuple(FaceScore((0, 0, 9, 9), 1.0, 0.9, time_s=t / 2, person=0) for t in range(4))
    behind = Person(0, "fake", 0.9, 4, 0.0, 1.5, face_px=63.0, background=True)
    clip = verdict_of("c.mp4", 0.9, kind="clip", faces=faces, persons=(behind,))
    assert "in the background: no say" in " ".join(text_of(written([clip])))


def test_an_archive_is_refused(written, verdict_of, tmp_path):
    with pytest.raises(OptionError, match=rf"up to {PDF_MOST} files"):
        written([verdict_of("a")] * (PDF_MOST + 1))
    assert not (tmp_path / "case.pdf").exists()


def test_a_place_that_cannot_be_written(contents_of, verdict_of, tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_pdf(contents_of([verdict_of("a")]), tmp_path / "none" / "r.pdf")
