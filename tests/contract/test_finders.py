"""What every ``FaceFinder`` keeps to: three finders, and the one that chooses."""

import importlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from mesoscope.faces.crop import overlaps
from mesoscope.faces.finder import finder_for
from mesoscope.types import DetectOptions, Found, Frame

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
YUNET = Path(__file__).parents[3] / "shared/weights/yunet_n_dynamic.onnx"


@pytest.fixture(scope="module")
def scenes():
    """The module that composes scenes of known truth."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("scenes")


def made(name, **options):
    if name == "yunet" and not YUNET.is_file():
        pytest.skip("../shared is not there: it holds YuNet's model, which is not shipped")
    if name == "yunet" and int(cv2.__version__.split(".")[0]) < 5:
        pytest.skip("OpenCV 4 opens no YuNet of any input size, as the one in ../shared is")
    model = str(YUNET) if name == "yunet" else None
    return finder_for(DetectOptions(faces=name, finder_model=model, **options))


@pytest.fixture(params=["auto", "mtcnn", "yunet", "whole"])
def finder(request):
    return made(request.param)


@pytest.fixture(params=["auto", "mtcnn", "yunet"])
def looking(request):
    """Those that look for faces."""
    return made(request.param)


def black(height, width):
    return Frame(np.zeros((height, width, 3), np.uint8), "x")


def check_answer(found, frame):
    """Boxes lie within the frame, largest first; landmarks are five or none."""
    height, width = frame.pixels.shape[:2]
    assert isinstance(found, Found)
    assert found.finder in ("mtcnn", "yunet", "whole")
    areas = []
    for face in found.faces:
        x1, y1, x2, y2 = face.box
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        assert 0 <= face.confidence <= 1
        assert len(face.landmarks) == (0 if found.whole else 5)
        areas.append((x2 - x1) * (y2 - y1))
    assert areas == sorted(areas, reverse=True)


@pytest.mark.parametrize(
    "shape",
    [
        (1, 1),
        (1, 2),
        (11, 12),
        (12, 12),
        (40, 30),
        (30, 400),
        (5, 3000),
        (40_000, 13),
        (12, 33_000),
    ],
)
def test_any_size_has_an_answer(finder, shape):
    frame = black(*shape)
    (found,) = finder.find([frame])
    check_answer(found, frame)


def test_noise_and_flat_grey_hold_no_face(looking):
    rng = np.random.default_rng(0)
    grey = Frame(np.full((480, 640, 3), 127, np.uint8), "grey")
    noise = Frame(rng.integers(0, 256, (480, 640, 3), np.uint8), "noise")
    assert [found.faces for found in looking.find([grey, noise])] == [(), ()]


def test_no_frames_have_no_answers(finder):
    assert finder.find([]) == []


def test_a_name_and_an_untouched_frame(finder, astronaut_face):
    before = astronaut_face.copy()
    finder.find([Frame(astronaut_face, "x")])
    assert (astronaut_face == before).all()
    assert finder.name in ("auto", "mtcnn", "yunet", "whole")


def test_several_frames_at_once_are_as_one_by_one(finder, scenes, astronaut_face):
    frames = [Frame(scenes.scene(k).pixels, k) for k in ("one", "several", "tiny")]
    frames += [black(50, 60), Frame(astronaut_face, "crop"), frames[0]]
    together = finder.find(frames)
    assert len(together) == len(frames)
    for frame, found in zip(frames, together, strict=True):
        check_answer(found, frame)
        (alone,) = finder.find([frame])
        assert alone.whole == found.whole
        assert len(alone.faces) == len(found.faces)
        for one, other in zip(alone.faces, found.faces, strict=True):
            assert one.box == pytest.approx(other.box, abs=0.1)


def test_threads_share_one_object(finder, scenes):
    frames = [Frame(scenes.scene("one", n).pixels, str(n)) for n in range(3)]
    expected = [finder.find([frame])[0] for frame in frames]
    start = threading.Barrier(4)

    def work(offset):
        start.wait()
        order = [(offset + i) % 3 for i in range(3)]
        return {i: finder.find([frames[i]])[0] for i in order}

    with ThreadPoolExecutor(4) as pool:
        for answers in pool.map(work, range(4)):
            assert [answers[i] for i in range(3)] == expected


def overlap_with(found, scene):
    """Of each face of the scene: the best overlap with one that was found."""
    boxes = np.array([face.box for face in found.faces], np.float32).reshape(-1, 4)
    return overlaps(np.array(scene.boxes, np.float32), boxes).max(axis=1, initial=0)


@pytest.mark.parametrize(
    "kind",
    [
        "one", "several", "small", "large", "mirrored", "tilted 15°", "tilted 30°",
        "squeezed to 65 %", "cut by the border",
    ],
)  # fmt: skip
def test_known_faces_are_found_where_they_are(looking, scenes, kind):
    for number in range(2):
        scene = scenes.scene(kind, number)
        frame = Frame(scene.pixels, kind)
        (found,) = looking.find([frame])
        check_answer(found, frame)
        assert not found.whole
        assert len(found.faces) == len(scene.boxes)
        assert overlap_with(found, scene).min() > 0.5


@pytest.mark.parametrize("name", ["auto", "mtcnn", "yunet"])
def test_tiny_faces_are_found_where_they_are_asked_for(name, scenes):
    finder = made(name, min_face_px=20)
    for number in range(2):
        scene = scenes.scene("tiny", number)
        (found,) = finder.find([Frame(scene.pixels, "tiny")])
        assert len(found.faces) == 1
        assert overlap_with(found, scene).min() > 0.5


def test_two_hundred_faces(looking, scenes):
    scene = scenes.crowd()
    (found,) = looking.find([Frame(scene.pixels, "crowd")])
    assert len(scene.boxes) == 200
    assert (overlap_with(found, scene) > 0.5).mean() > 0.97
    assert len(found.faces) <= 204


def test_landmarks_lie_where_the_order_says(looking, scenes):
    for kind in ("one", "mirrored"):
        (found,) = looking.find([Frame(scenes.scene(kind).pixels, kind)])
        (left_eye, right_eye, nose, left_corner, right_corner) = found.faces[0].landmarks
        assert left_eye[0] < nose[0] < right_eye[0]
        assert left_corner[0] < right_corner[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_corner[1], right_corner[1])


@pytest.mark.parametrize("name", ["mtcnn", "yunet"])
def test_large_faces_are_all_that_a_large_min_face_asks_for(name, scenes):
    several = scenes.scene("several")
    smallest = min(y2 - y1 for _, y1, _, y2 in several.boxes)
    frame = Frame(several.pixels, "several")
    few = made(name, min_face_px=int(4 * smallest)).find([frame])[0].faces
    assert len(few) < len(made(name).find([frame])[0].faces) == 3


def test_whole_takes_the_picture_as_the_face():
    (found,) = made("whole").find([black(20, 30)])
    assert [f.box for f in found.faces] == [(0.0, 0.0, 30.0, 20.0)]
    assert found.whole
