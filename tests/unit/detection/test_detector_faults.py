"""Whatever fails while a file is judged is that file's error, and of no other."""

import cv2
import numpy as np
import pytest

from mesoscope.detection.detector import Detector
from mesoscope.detection.reading import chunks_of
from mesoscope.detection.scorer import Scores
from mesoscope.errors import SourceFailed, SourceNoMemory
from mesoscope.types import ModelCard, Thresholds

BAD = 77  # the level of the picture that something fails at


class Scorer:
    card = ModelCard("plain", "none", thresholds=Thresholds(0.3, 0.7))
    model_id = "plain@00000000"

    def __init__(self, error=None, times=10**9):
        self.error, self.times = error, times

    def score(self, crops, *, heat=False):
        if self.error is not None and self.times and (crops[:, 0, 0, 0] == BAD).any():
            self.times -= 1
            raise self.error
        p = crops.mean(axis=(1, 2, 3), dtype=np.float64).astype(np.float32) / 255
        return Scores(p, p, None)


def grey(level):
    return np.full((64, 64, 3), level, np.uint8)


LEVELS = [1, 2, BAD, 3, 4, 5, 6, 7, 8, 9, 10, 11]
ERRORS = [
    cv2.error("size.width < SHRT_MAX"), RecursionError("deep"), AssertionError(), ValueError("x"),
    RuntimeError("[ONNXRuntimeError] : 1 : FAIL"), KeyError("k"), ZeroDivisionError(), OSError(5),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize(("jobs", "batch"), [(1, 1), (2, 8)])
def test_any_exception_of_the_scorer_is_the_guilty_files_error(error, jobs, batch):
    detector = Detector(Scorer(error), faces="whole", jobs=jobs, batch_size=batch)
    verdicts = list(detector.check_many([grey(n) for n in LEVELS], keep_going=True))
    assert [v.error is not None for v in verdicts] == [n == BAD for n in LEVELS]
    assert verdicts[2].error["code"] == "source.failed"
    assert type(error).__name__ in verdicts[2].error["message"]
    assert "\n" not in verdicts[2].error["message"]
    with pytest.raises(SourceFailed) as caught:
        detector.check(grey(BAD))
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("where", ["finder", "crop", "reading", "judge"])
def test_of_finder_crop_reading_and_judge_too(where, monkeypatch):
    def fails(level):
        if level == BAD:
            raise cv2.error("a fault")

    detector = Detector(Scorer(), faces="whole", jobs=2)
    if where == "finder":
        find = detector._finder.find

        def found(frames):
            [fails(frame.pixels[0, 0, 0]) for frame in frames]
            return find(frames)

        monkeypatch.setattr(detector._finder, "find", found, raising=False)
    elif where == "crop":
        from mesoscope.faces.crop import crop

        def cropped(pixels, *args, **more):
            fails(pixels[0, 0, 0])
            return crop(pixels, *args, **more)

        monkeypatch.setattr("mesoscope.detection.stages.crop", cropped)
    elif where == "reading":
        from mesoscope.detection.reading import open_media

        def opened(source, **more):
            fails(source[0, 0, 0])
            return open_media(source, **more)

        monkeypatch.setattr("mesoscope.detection.reading.open_media", opened)
    else:
        from mesoscope.detection.deciding import judge

        def judged(faces, *args, **more):
            fails(round(faces[0].p_fake * 255))
            return judge(faces, *args, **more)

        monkeypatch.setattr("mesoscope.detection.deciding.judge", judged)
    verdicts = list(detector.check_many([grey(n) for n in LEVELS], keep_going=True))
    assert [v.error is not None for v in verdicts] == [n == BAD for n in LEVELS]
    assert verdicts[2].error["code"] == "source.failed"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_interrupts_pass(stop):
    detector = Detector(Scorer(stop()), faces="whole", jobs=1)
    with pytest.raises(stop):
        list(detector.check_many([grey(n) for n in LEVELS], keep_going=True))


@pytest.mark.parametrize(
    "error",
    [MemoryError(), cv2.error("(-4:Insufficient memory) Failed to allocate 9 bytes"),
     RuntimeError("Failed to allocate memory for requested buffer of size 9")],
    ids=["python", "opencv", "onnxruntime"],
)  # fmt: skip
@pytest.mark.parametrize("jobs", [1, 3])
def test_what_ran_short_of_memory_is_tried_again_once_alone(error, jobs):
    # It fails in its group, then by itself, and goes through when nothing else is at work.
    detector = Detector(Scorer(error, times=2), faces="whole", jobs=jobs, batch_size=4)
    verdicts = list(detector.check_many([grey(n) for n in LEVELS], keep_going=True))
    assert all(v.error is None for v in verdicts)
    detector = Detector(Scorer(error), faces="whole", jobs=jobs, batch_size=4)
    verdicts = list(detector.check_many([grey(n) for n in LEVELS], keep_going=True))
    assert [v.error and v.error["code"] for v in verdicts if v.error] == ["source.no_memory"]
    with pytest.raises(SourceNoMemory):
        detector.check(grey(BAD))


@pytest.mark.parametrize("side", [(33_000, 1), (1, 33_000), (1, 1)])
@pytest.mark.parametrize("faces", ["mtcnn", "whole", "auto"])
def test_degenerate_pictures_never_end_a_scan(side, faces):
    odd = np.full((*side, 3), 90, np.uint8)
    detector = Detector(Scorer(), faces=faces, jobs=2)
    verdicts = list(detector.check_many([grey(1), odd, grey(2)], keep_going=True))
    assert len(verdicts) == 3
    assert verdicts[0].error is None
    assert verdicts[2].error is None


@pytest.mark.parametrize("count", [1, 2, 5, 8, 16, 17, 100])
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_chunks_keep_the_order_and_leave_no_thread_idle(count, threads):
    chunks = list(chunks_of((f"{n}.jpg" for n in range(count)), 8, threads=threads))
    assert [s for chunk in chunks for s in chunk] == [f"{n}.jpg" for n in range(count)]
    assert max(map(len, chunks)) <= 8
    assert len(chunks) >= min(threads, count)
    assert max(map(len, chunks)) <= max(1, -(-count // threads))


def test_a_batch_is_filled_all_the_same():
    assert [len(c) for c in chunks_of(map(str, range(20)), 8, least=8, threads=4)] == [8, 8, 4]


def test_a_clip_is_a_chunk_by_itself():
    chunks = list(chunks_of(["a.jpg", "b.jpg", "c.mp4", "d.jpg"], 8, threads=1))
    assert chunks == [("a.jpg", "b.jpg"), ("c.mp4",), ("d.jpg",)]
