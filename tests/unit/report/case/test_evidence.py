import dataclasses
import io

import cv2
import numpy as np
import pytest
from PIL import Image

from mesoscope.detection.detector import Detector
from mesoscope.report.case.evidence import FACES, OF_A_PERSON, PICTURE_PX, collect_evidence
from mesoscope.report.case.items import ReportItem, hash_source
from mesoscope.types import FaceScore


@pytest.fixture(scope="module")
def judge():
    return Detector("meso4", faces="whole", heat=True, jobs=1)


def item_of(verdict, earlier=None):
    return ReportItem(verdict, hash_source(verdict.source), earlier)


def pixels_of(shot):
    return np.asarray(Image.open(io.BytesIO(shot.jpeg)).convert("RGB"))


def test_a_picture_is_shown_with_its_face_and_map(face_file, judge):
    path = face_file()
    verdict = dataclasses.replace(judge.check(str(path)), faces=tuple(
        dataclasses.replace(face, heat=None) for face in judge.check(str(path)).faces
    ))  # fmt: skip
    found = collect_evidence(item_of(verdict), judge)
    assert found.notes == []
    assert pixels_of(found.picture).shape == (224, 224, 3)
    (close,) = found.faces
    assert close.number == 1
    assert close.heat is not None
    assert not np.array_equal(pixels_of(close.heat), pixels_of(close.plain))
    assert found.verdict == verdict
    assert found.timeline is None
    assert found.findings  # a file without metadata is a finding, too


def test_large_pictures_are_scaled(tmp_path, judge):
    path = tmp_path / "large.png"
    cv2.imwrite(str(path), np.full((1000, 3000, 3), 200, np.uint8))
    found = collect_evidence(item_of(judge.check(str(path))), judge)
    assert (found.picture.width, found.picture.height) == (PICTURE_PX, PICTURE_PX // 3)


def test_a_file_that_is_gone_or_changed_is_told_and_not_shown(face_file, verdict_of, judge):
    path = face_file()
    item = item_of(verdict_of(path), earlier="0" * 64)
    found = collect_evidence(item, judge)
    assert found.picture is None
    assert "has changed since it was judged" in found.notes[0]
    found = collect_evidence(ReportItem(verdict_of("gone.jpg"), None), judge)
    assert found.picture is None
    assert "could not be read" in found.notes[0]


def test_a_file_that_vanishes_meanwhile_is_told(face_file, judge):
    path = face_file()
    item = item_of(judge.check(str(path)))
    path.unlink()
    found = collect_evidence(item, judge)
    assert found.picture is None
    assert any("judging it once more failed" in note for note in found.notes)
    assert any("picture could not be made" in note for note in found.notes)


def test_a_file_that_changes_before_its_picture_is_made_is_not_shown(face_file, judge):
    path = face_file()
    item = item_of(judge.check(str(path)))
    cv2.imwrite(str(path), np.full((224, 224, 3), 99, np.uint8))
    found = collect_evidence(item, None)
    assert (found.picture, found.faces, found.findings) == (None, [], ())
    (note,) = found.notes
    assert "has changed since it was judged" in note


def test_without_the_model_there_are_boxes_and_no_maps(face_file, verdict_of, judge):
    item = item_of(verdict_of(face_file()))  # of another model than the judge
    for other in (None, judge):
        found = collect_evidence(item, other)
        assert found.picture is not None
        assert found.faces[0].heat is None
        assert "Without evidence maps, as the model's file was not at hand." in found.notes


def test_another_answer_is_told_and_the_first_one_stays(face_file, judge):
    path = face_file()
    true = judge.check(str(path))
    p_fake = 1 - true.p_fake
    old = dataclasses.replace(
        true, p_fake=p_fake, label="fake" if true.label != "fake" else "real",
        faces=(FaceScore((0, 0, 224, 224), 1.0, p_fake),),
    )  # fmt: skip
    found = collect_evidence(item_of(old), judge)
    assert found.verdict is old
    assert found.faces[0].heat is None
    assert "it gives another answer" in found.notes[0]


def test_only_the_most_suspicious_of_many_faces_are_shown(face_file, verdict_of):
    faces = tuple(FaceScore((i, 0, i + 50, 60), 1.0, i / 100) for i in range(20))
    found = collect_evidence(
        item_of(verdict_of(face_file(), 0.9, faces=faces, finder="mtcnn")), None
    )
    assert [close.number for close in found.faces] == [20 - n for n in range(FACES)]


def test_a_clip_is_shown_by_its_frames_and_its_time(make_clip, astronaut_face, judge):
    pictures = [np.roll(astronaut_face, 4 * i, axis=1) for i in range(20)]
    path = make_clip(pictures)
    found = collect_evidence(item_of(judge.check(str(path))), judge)
    assert found.notes == []
    assert found.picture is None
    assert len(found.strip) == 6
    assert all(shot.caption.startswith("at 0:00.") for shot in found.strip)
    assert len(found.faces) == OF_A_PERSON
    assert found.faces[0].heat is not None
    assert len(found.timeline.lines[0].dots) == len(found.verdict.faces)


def test_what_holds_no_face_is_shown_too(face_file, verdict_of):
    found = collect_evidence(
        item_of(verdict_of(face_file(), None, reason="no_face", faces=())), None
    )
    assert found.picture is not None
    assert found.faces == []
