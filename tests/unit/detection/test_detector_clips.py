"""Clips on the one path: persons, timeline, bounded memory, and answers that hang on no threads."""

import threading

import av
import numpy as np
import pytest

from mesoscope.detection.detector import Detector
from mesoscope.detection.scorer import Scores
from mesoscope.errors import SourceError, SourceUnsupported
from mesoscope.types import Face, Found, ModelCard, Thresholds, Verdict
from mesoscope.types.card import Aggregation

FAKE, REAL, ROOM = 230, 25, 120


class Brightness:
    """p_fake = mean brightness of the crop; remembers the batches."""

    card = ModelCard("brightness", "none", thresholds=Thresholds(0.3, 0.7), face_margin=1.0)
    model_id = "brightness@00000000"

    def __init__(self, **card):
        self.batches = []

    def score(self, crops, *, heat=False):
        self.batches.append(len(crops))
        p = crops.mean(axis=(1, 2, 3), dtype=np.float64).astype(np.float32) / 255
        return Scores(p, p, crops[:, ::8, ::8, 0].astype(np.float32) if heat else None)


class Patches:
    """Finds what is not of the room's brightness; remembers how much it was given at once."""

    name = "patches"

    def __init__(self):
        self.pixels_at_once = []
        self.lock = threading.Lock()

    def find(self, frames):
        with self.lock:
            self.pixels_at_once.append(sum(frame.pixels.size // 3 for frame in frames))
        return [Found(tuple(self._faces(frame.pixels)), self.name) for frame in frames]

    def _faces(self, pixels):
        grey = pixels.mean(2)
        for bright in (True, False):
            inside = grey > 180 if bright else grey < 70
            if inside.any():
                y, x = np.nonzero(inside)
                yield Face((float(x.min()), float(y.min()), x.max() + 1.0, y.max() + 1.0), 0.9)


def detector(**options):
    made = Detector(Brightness(), **options)
    made._finder = Patches()
    return made


def scene(patches, height=240, width=320):
    """A frame with square patches: ``(x, y, side, level)`` each."""
    pixels = np.full((height, width, 3), ROOM, np.uint8)
    for x, y, side, level in patches:
        pixels[y : y + side, x : x + side] = level
    return pixels


def two_people(count=50):
    """One dark on the left all the time, one bright on the right from the middle on."""
    return [
        scene([(20 + n, 60, 80, REAL), *([(200, 60, 80, FAKE)] if n >= count // 2 else [])])
        for n in range(count)
    ]


@pytest.mark.parametrize("jobs", [1, 2, 4])
@pytest.mark.parametrize("batch_size", [1, 5])
def test_each_person_is_judged_and_the_worst_decides(make_clip, jobs, batch_size):
    path = make_clip(two_people())
    verdict = detector(jobs=jobs, batch_size=batch_size, frames=20).check(path)
    assert (verdict.kind, verdict.label, verdict.reason) == ("clip", "fake", None)
    assert [(p.label, p.frames) for p in verdict.persons] == [("real", 20), ("fake", 10)]
    assert verdict.p_fake == verdict.persons[1].p_fake == pytest.approx(FAKE / 255, abs=0.03)
    assert verdict.persons[1].first_s >= 1.0 > verdict.persons[0].first_s
    assert verdict.duration_s == pytest.approx(2.0, abs=0.05)
    assert verdict.frames_read == 20
    assert verdict.finder == "patches"
    times = [(face.time_s, face.person) for face in verdict.faces]
    assert times == sorted(times)
    assert len(times) == 30
    for face in verdict.faces:
        assert face.frame_index * 0.04 == pytest.approx(face.time_s)
    assert set(verdict.elapsed_s) == {"read", "find", "score"}
    assert Verdict.from_json(verdict.to_json()).to_dict() == verdict.to_dict()


def test_answers_do_not_hang_on_threads_or_company(make_clip):
    path = str(make_clip(two_people()))
    alone = detector(jobs=4, frames=12).check(path)
    array = scene([(10, 10, 90, FAKE)])
    sources = [array, path, array, array, path]
    for jobs in (1, 3):
        verdicts = list(detector(jobs=jobs, frames=12).check_many(sources))
        assert [v.kind for v in verdicts] == ["image", "clip", "image", "image", "clip"]
        for clip in (verdicts[1], verdicts[4]):
            assert (clip.faces, clip.persons) == (alone.faces, alone.persons)


def test_every_so_many_seconds(make_clip):
    verdict = detector(every_s=0.5).check(make_clip(two_people()))
    assert [face.time_s for face in verdict.faces if face.person == 0] == pytest.approx(
        [0.0, 0.48, 1.0, 1.48], abs=0.03
    )


def test_few_frames(make_clip):
    path = make_clip([scene([(20, 60, 80, FAKE)])] * 2 + [scene([])] * 20)
    verdict = detector().check(path)
    assert (verdict.label, verdict.reason) == (None, "few_frames")
    assert verdict.p_fake == pytest.approx(FAKE / 255, abs=0.03)
    assert "no face was seen in 3 frames or more" in verdict.notes[-1]
    one = detector().check(make_clip([scene([(20, 60, 80, FAKE)])], "one.mp4"))
    assert (one.kind, one.reason, one.frames_read) == ("clip", "few_frames", 1)


def test_who_is_seen_for_a_moment_is_left_out_and_told(make_clip):
    pictures = [scene([(20, 60, 80, REAL)]) for _ in range(20)]
    pictures[7] = scene([(20, 60, 80, REAL), (200, 60, 80, FAKE)])
    verdict = detector().check(make_clip(pictures))
    assert verdict.label == "real"
    assert [p.reason for p in verdict.persons] == [None, "few_frames"]
    assert verdict.notes == ("1 face was seen in fewer than 3 frames and left out of the verdict",)


@pytest.mark.parametrize("level", [FAKE, REAL])
def test_a_face_in_the_background_does_not_decide_and_is_told(make_clip, level):
    side = 44
    pictures = [scene([(20, 20, 180, FAKE + REAL - level), (250, 150, side, level)])] * 8
    verdict = detector().check(make_clip(pictures))
    (behind,) = [person for person in verdict.persons if person.background]
    assert len(verdict.persons) == 2
    assert behind.face_px == pytest.approx(side, abs=2)
    if level == FAKE:
        assert (verdict.label, verdict.reason) == ("inconclusive", "background_face")
        assert verdict.p_fake == pytest.approx(REAL / 255, abs=0.03)
        assert "in the background, from 0.0 to 0.3 s, looks forged by itself" in verdict.notes[1]
    else:
        assert (verdict.label, verdict.reason) == ("fake", None)
        assert len(verdict.notes) == 1
    assert verdict.notes[0] == "1 face in the background was left out of the verdict"
    assert Verdict.from_json(verdict.to_json()).to_dict() == verdict.to_dict()


def test_the_cards_rule_is_used(make_clip):
    made = detector(frames=10)
    made._scorer.card = ModelCard("b", "none", aggregation=Aggregation(min_frames=11))
    assert made.check(make_clip(two_people())).reason == "few_frames"


def test_no_face_and_small_faces(make_clip):
    assert detector().check(make_clip([scene([])] * 5)).reason == "no_face"
    verdict = detector().check(make_clip([scene([(20, 60, 24, FAKE)])] * 5, "small.mp4"))
    assert (verdict.label, verdict.reason, verdict.persons) == (None, "face_too_small", ())
    assert len(verdict.skipped) == 5
    assert verdict.skipped[1].time_s == pytest.approx(0.04)


def test_skipped_faces_of_a_picture_are_told():
    verdict = detector().check(scene([(20, 60, 80, REAL), (200, 60, 20, FAKE)]))
    assert (verdict.label, len(verdict.faces), len(verdict.skipped)) == ("real", 1, 1)
    assert verdict.skipped[0].box == (200.0, 60.0, 220.0, 80.0)


def test_whole_frames_and_found_faces_are_not_averaged(make_clip):
    class Sometimes(Patches):
        def find(self, frames):
            answers = super().find(frames)
            whole = Found((Face((0.0, 0.0, 320.0, 240.0)),), "whole", whole=True, note="a crop")
            return [found if found.faces else whole for found in answers]

    made = detector()
    made._finder = Sometimes()
    pictures = [scene([(20, 60, 80, REAL)] if n % 3 else []) for n in range(15)]
    verdict = made.check(make_clip(pictures))
    assert {face.box[2] - face.box[0] for face in verdict.faces} <= {79.0, 80.0, 81.0}
    assert (verdict.finder, len(verdict.faces), verdict.notes) == ("patches", 10, ())
    pictures = [scene([(20, 60, 80, REAL)] if n % 3 == 0 else []) for n in range(15)]
    verdict = made.check(make_clip(pictures, "mostly_whole.mp4"))
    assert (verdict.finder, len(verdict.faces), verdict.notes) == ("whole", 10, ("a crop",))


def test_margins_of_found_faces_and_of_whole_pictures():
    made = detector()
    made._scorer.card = ModelCard("b", "none", crop_margin=1.0, face_margin=2.0)
    face = made.check(scene([(100, 80, 80, FAKE)])).faces[0]
    quarter = (FAKE + 3 * ROOM) / 4 / 255  # twice as wide, four times the area
    assert face.p_fake == pytest.approx(quarter, abs=0.01)


def test_frames_are_held_in_groups_of_bounded_size(make_clip, monkeypatch):
    monkeypatch.setattr("mesoscope.detection.reading.GROUP_PIXELS", 3 * 320 * 240)
    made = detector(jobs=2)
    made.check(make_clip(two_people()))
    assert max(made._finder.pixels_at_once) == 3 * 320 * 240
    assert len(made._finder.pixels_at_once) == 11


def test_heat_is_kept_for_each_face_when_asked_for(make_clip):
    verdict = detector(heat=True, frames=4).check(make_clip(two_people()))
    assert all(face.heat.shape == (32, 32) for face in verdict.faces)


def test_broken_clips_are_rows_among_others(make_clip, tmp_path):
    good = make_clip(two_people())
    (tmp_path / "cut.mp4").write_bytes(good.read_bytes()[:900])
    (tmp_path / "empty.mp4").write_bytes(b"")
    sources = [str(tmp_path / "cut.mp4"), good, str(tmp_path / "empty.mp4"), "none.mkv"]
    verdicts = list(detector(jobs=2).check_many(sources, keep_going=True))
    assert [v.label for v in verdicts] == [None, "fake", None, None]
    for verdict in (verdicts[0], *verdicts[2:]):
        assert (verdict.kind, verdict.reason, verdict.frames_read) == ("clip", "unreadable", 0)
        assert verdict.error["message"].count("\n") == 0
    with pytest.raises(SourceError):
        detector().check(tmp_path / "cut.mp4")


def test_labelled_pictures_are_pictures(make_clip):
    path = make_clip(two_people())
    with pytest.raises(SourceUnsupported, match="a clip, and a picture is wanted here"):
        next(detector().check_many([path], clips=False))
    (row,) = detector().check_many([path], clips=False, keep_going=True)
    assert (row.label, row.reason) == (None, "unreadable")
    assert row.error["code"] == "source.unsupported"


def test_a_damaged_clip_is_judged_by_what_is_left(make_clip):
    random = np.random.default_rng(0)
    pictures = [
        np.clip(picture + random.normal(0, 12, picture.shape), 0, 255).astype(np.uint8)
        for picture in two_people(100)
    ]
    data = bytearray(make_clip(pictures, options={"g": "10"}).read_bytes())
    start = data.index(b"mdat")
    part = (data.index(b"moov") - start) // 4
    data[start + part : start + 2 * part] = bytes(part)
    verdict = detector(frames=40).check(bytes(data))
    assert verdict.label == "fake"
    assert 20 <= verdict.frames_read < 40
    assert "pictures could not be decoded, between" in verdict.notes[0]


def test_the_codecs_of_these_tests_are_there():
    assert {"libx264", "libvpx", "mpeg4", "mjpeg"} <= av.codecs_available
