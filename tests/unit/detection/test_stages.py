"""The stages by themselves: functions on batches, whose errors stay with their own source."""

import numpy as np
import pytest

from mesoscope.detection.deciding import (
    DecisionRules,
    FrameRecord,
    InspectedBatch,
    decide,
    source_records,
)
from mesoscope.detection.reading import (
    SourceEnd,
    SourceFrame,
    SourceInfo,
    media_opener,
    read_frames,
)
from mesoscope.detection.scorer import Scores
from mesoscope.detection.stages import (
    CropRules,
    crop_faces,
    find_faces,
    find_in_pictures,
    retry_singly,
    score_faces,
)
from mesoscope.errors import MesoscopeError, SourceError, SourceFailed
from mesoscope.faces.finder import WholeFinder
from mesoscope.media.walk import Unreadable
from mesoscope.types import DetectOptions, Face, Found, Frame, ModelCard, Thresholds
from mesoscope.types.card import Aggregation

RULES = DecisionRules("m@00000000", Thresholds(0.3, 0.7), Aggregation(), None)


def grey(level, side=64):
    return np.full((side, side, 3), level, np.uint8)


def read(sources, **options):
    return list(read_frames(sources, media_opener(DetectOptions(**options))))


def info(place, kind="image"):
    return SourceInfo(place, f"{place}.png", kind)


def frame(index=0, found=None):
    found = found or Found((), "f")
    return FrameRecord(index, None, 64, None, found, (), (), 0.25, 0.5)


def test_frames_of_several_sources_are_one_batch_and_every_source_ends():
    lost = Unreadable("gone", SourceError("gone: no such file"))
    (batch,) = read([grey(1), lost, b"no picture", grey(2)])
    assert [(one.source.place, int(one.frame.pixels[0, 0, 0])) for one in batch.frames] == [
        (0, 1), (3, 2),
    ]  # fmt: skip
    assert [(end.source.place, end.error is None) for end in batch.ended] == [
        (0, True), (1, False), (2, False), (3, True),
    ]  # fmt: skip
    assert batch.ended[1].error is lost.error


def test_batches_are_bounded_by_pixels_and_by_number(monkeypatch):
    assert [len(batch.frames) for batch in read([grey(n) for n in range(20)])] == [8, 8, 4]
    batches = read_frames(
        [grey(n) for n in range(20)], media_opener(DetectOptions()), batch_size=16
    )
    assert [len(batch.frames) for batch in batches] == [16, 4]
    monkeypatch.setattr("mesoscope.detection.reading.GROUP_PIXELS", 2 * 64 * 64)
    assert [len(b.frames) for b in read([grey(1), grey(2, side=200), grey(3), grey(4)])] == [
        1,
        1,
        2,
    ]


def test_a_clip_tells_its_length_at_once_and_its_reading_time_at_the_end(make_clip):
    path = make_clip([grey(n) for n in range(20)])
    batches = read([path], frames=10)
    assert [len(batch.frames) for batch in batches] == [8, 2]
    assert {one.source.kind for batch in batches for one in batch.frames} == {"clip"}
    assert batches[0].frames[0].source.duration_s == pytest.approx(0.8, abs=0.05)
    assert not batches[0].ended
    (end,) = batches[1].ended
    assert end.read_s > 0
    assert end.error is None


def test_small_faces_are_told_from_those_that_are_judged():
    class Two:
        name = "two"

        def find(self, frames):
            faces = (Face((0, 0, 50, 30)), Face((0, 0, 39, 39)))
            return [Found(faces, self.name) for _ in frames]

    (its,) = find_faces([Frame(grey(1), "a", 3, 1.5)], Two(), min_face_px=40)
    assert its.large == its.found.faces[:1]
    assert [(face.box, face.frame_index, face.time_s) for face in its.skipped] == [
        ((0, 0, 39, 39), 3, 1.5)
    ]


def test_a_found_face_has_a_crop_a_margin_and_a_whole_frame_has_one():
    frames = [Frame(grey(1), "a"), Frame(grey(2), "b")]
    faces = find_faces(frames, WholeFinder(), min_face_px=1)
    rules = CropRules.of_card(ModelCard("m", "none", face_margin=1.5, further_margins=(2.0,)))
    assert rules.margins == (1.5, 2.0)
    assert [len(its) for its in crop_faces(frames, faces, rules)] == [1, 1]
    found = [type(its)(Found(its.found.faces, "f"), its.large, ()) for its in faces]
    crops = crop_faces(frames, found, CropRules((1.0, 2.0), size_px=32))
    assert [[crop.shape for crop in its] for its in crops] == [[(32, 32, 3)] * 2] * 2


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_a_face_has_the_mean_logit_of_its_crops(batch_size):
    class Levels:
        def score(self, crops, *, heat):
            logit = crops[:, 0, 0, 0].astype(np.float32)
            p_fake = 1 / (1 + np.exp(-logit))
            return Scores(p_fake, logit, logit[:, None, None] if heat else None, logit)

    faces = [Face((0, 0, n + 1.0, 9)) for n in range(3)]
    crops = [[grey(1)], [grey(0), grey(2), grey(4)], [grey(3)]]
    scored = score_faces(faces, crops, Levels(), batch_size=batch_size, heat=True)
    assert [one.face for one in scored] == faces
    assert [one.p_fake for one in scored] == pytest.approx(
        [1 / (1 + np.exp(-mean)) for mean in (1, 2, 3)]
    )
    assert [one.unfamiliar for one in scored] == [1, 2, 3]
    assert [float(one.heat[0, 0]) for one in scored] == [1, 0, 3]


def test_a_frame_that_fails_is_tried_apart_and_the_others_have_their_answers():
    tried = []

    def work(frames):
        tried.append(len(frames))
        if any(one.source.place == 2 for one in frames):
            raise ValueError("odd")
        return [one.source.place for one in frames]

    frames = [SourceFrame(info(n), Frame(grey(n), "a")) for n in range(4)]
    answers = retry_singly(work, frames)
    assert answers[:2] + answers[3:] == [0, 1, 3]
    assert isinstance(answers[2], SourceFailed)
    assert "2.png" in str(answers[2])
    assert tried == [4, 1, 1, 1, 1]
    assert retry_singly(work, []) == []


def test_records_are_put_together_across_batches():
    first, later = SourceFailed("first"), SourceFailed("later")
    batches = [
        InspectedBatch(((info(0), frame(0)), (info(1), frame(0))), ()),
        InspectedBatch(((info(1), first), (info(1), later)), (SourceEnd(info(0), 2.0, ("n",)),)),
        InspectedBatch((), (SourceEnd(info(2), error=later),)),
    ]
    records = source_records(batches)
    assert [(r.source.place, len(r.frames), r.read_s, r.notes) for r in records] == [
        (0, 1, 2.0, ("n",)), (1, 1, 0.0, ()), (2, 0, 0.0, ()),
    ]  # fmt: skip
    assert [record.error for record in records] == [None, first, later]
    assert [batch.failed for batch in batches] == [False, True, False]


def test_deciding_gives_a_verdict_a_record_and_keeps_errors_apart():
    records = source_records(
        [
            InspectedBatch(
                ((info(0), frame()), (info(1), SourceFailed("1.png: odd"))),
                (SourceEnd(info(0), 0.125),),
            )
        ]
    )
    (good, none), (bad, error) = decide(records, RULES)
    assert none is None
    assert (good.reason, good.frames_read, good.finder) == ("no_face", 1, "f")
    assert good.elapsed_s == {"read": 0.125, "find": 0.25, "score": 0.5}
    assert (bad.label, bad.reason, bad.error["message"]) == (None, "unreadable", "1.png: odd")
    assert error is records[1].error


@pytest.mark.parametrize("threads", [1, 3])
def test_a_finders_answers_for_many_pictures_come_in_their_order(threads):
    at_once = []

    class Bright:
        name = "bright"

        def find(self, frames):
            at_once.append(len(frames))
            if any(one.pixels[0, 0, 0] == 13 for one in frames):
                raise ValueError("unlucky")
            return [Found((Face((0, 0, int(f.pixels[0, 0, 0]), 9)),), self.name) for f in frames]

    sources = [b"none" if n == 7 else grey(n) for n in range(1, 31)]
    answers = list(find_in_pictures(sources, Bright(), threads=threads))
    widths = [None if isinstance(a, MesoscopeError) else a.faces[0].box[2] for a in answers]
    assert widths == [None if n in (7, 13) else n for n in range(1, 31)]
    assert isinstance(answers[12], SourceFailed)
    assert max(at_once) > 1


def test_a_clip_that_fails_is_not_read_to_its_end(make_clip, monkeypatch):
    from mesoscope.detection.detector import Detector
    from mesoscope.media.video import Clip

    class Broken:
        card = ModelCard("broken", "none")
        model_id = "broken@00000000"

        def score(self, crops, *, heat=False):
            raise ValueError("odd")

    decoded, frames = [], Clip.frames

    def counted(clip):
        for one in frames(clip):
            decoded.append(one.index)
            yield one

    monkeypatch.setattr(Clip, "frames", counted)
    detector = Detector(Broken(), faces="whole", jobs=1, frames=64)
    with pytest.raises(SourceFailed, match="odd"):
        detector.check(make_clip([grey(n) for n in range(64)]))
    assert len(decoded) <= 9
