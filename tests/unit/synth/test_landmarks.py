"""Landmarks: found in whole photos and tight crops, kept, and read from a user's file."""

import json

import cv2
import numpy as np
import pytest

from mesoscope.errors import DatasetError
from mesoscope.faces import main_face
from mesoscope.faces.main_face import MainFaceFinder
from mesoscope.synth.landmarks import find_landmarks, landmarks_of, read_landmarks
from mesoscope.synth.reals import Real
from mesoscope.types import Frame

FIVE = [[91.5, 100], [134.2, 102.6], [113.3, 126.4], [89.9, 138.5], [132.2, 140.4]]


def test_the_face_is_found_where_it_is(astronaut_face):
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    larger = cv2.resize(astronaut_face, (448, 448), interpolation=cv2.INTER_CUBIC)
    frames = [Frame(p, str(i)) for i, p in enumerate((noise, astronaut_face, larger))]
    none, found, twice = find_landmarks(frames)
    assert none is None
    assert found.shape == (5, 2)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array(FIVE), abs=3)
    assert twice == pytest.approx(np.array(FIVE) * 2, abs=6)
    assert find_landmarks([]) == []


def test_a_tight_crop_is_looked_at_with_a_border(astronaut_face, monkeypatch):
    """The finder is told to see nothing at first, as it does in crops that cut the face."""
    seen = []
    plain = main_face._main_faces

    def blind_at_first(frames):
        seen.append([frame.pixels.shape for frame in frames])
        return [None] * len(frames) if len(seen) == 1 else plain(frames)

    monkeypatch.setattr(main_face, "_main_faces", blind_at_first)
    (found,) = find_landmarks([Frame(astronaut_face, "crop")])
    assert seen == [[(224, 224, 3)], [(380, 380, 3)]]
    assert found == pytest.approx(np.array(FIVE), abs=4)


def test_the_largest_face_near_the_middle_is_the_main_one(astronaut_face):
    two = np.full((300, 700, 3), 90, np.uint8)
    small = cv2.resize(astronaut_face, (140, 140), interpolation=cv2.INTER_AREA)
    two[20:160, 20:160] = small
    two[40:264, 300:524] = astronaut_face
    (found,) = find_landmarks([Frame(two, "two")])
    assert found == pytest.approx(np.array(FIVE) + np.array([300, 40]), abs=4)


@pytest.fixture
def faces(tmp_path, astronaut_face):
    root = tmp_path / "faces"
    root.mkdir()
    cv2.imwrite(str(root / "a.png"), astronaut_face[:, :, ::-1])
    cv2.imwrite(str(root / "blank.png"), np.full((100, 100, 3), 200, np.uint8))
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    return [
        Real(root / name, name, "faces", name, "train")
        for name in ("a.png", "blank.png", "broken.jpg")
    ]


def test_what_was_found_is_kept_and_not_looked_for_again(faces, tmp_path, monkeypatch):
    kept, counted = tmp_path / "out/landmarks.jsonl", []
    found = landmarks_of(faces, cache=kept, jobs=2, watch=counted.append)
    assert list(found) == ["a.png"]
    assert sum(counted) == 3
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    assert {row["path"]: row["landmarks"] is None for row in rows} == {
        "a.png": False, "blank.png": True,
    }  # fmt: skip

    def never(_finder, _frames):
        raise AssertionError("looked again")

    monkeypatch.setattr(MainFaceFinder, "find", never)
    again = landmarks_of(faces, cache=kept, jobs=1, watch=counted.append)
    assert sum(counted) == 4  # what could not be read is tried again
    assert again["a.png"] == pytest.approx(found["a.png"], abs=0.01)
    assert landmarks_of(faces[1:], cache=kept) == {}


def test_what_cannot_be_read_is_named_and_looked_at_again_once_it_is_mended(faces, tmp_path):
    kept, failed = tmp_path / "landmarks.jsonl", {}
    assert list(landmarks_of(faces, cache=kept, failed=failed)) == ["a.png"]
    assert list(failed) == ["broken.jpg"]
    assert str(failed["broken.jpg"]).startswith(f"{faces[2].path}: ")
    faces[2].path.write_bytes(faces[0].path.read_bytes())
    failed.clear()
    assert list(landmarks_of(faces, cache=kept, failed=failed)) == ["a.png", "broken.jpg"]
    assert failed == {}


def test_large_photos_are_looked_at_a_few_at_a_time(faces, monkeypatch):
    sizes, plain = [], MainFaceFinder.find

    def counted(finder, frames):
        sizes.append(len(frames))
        return plain(finder, frames)

    monkeypatch.setattr(MainFaceFinder, "find", counted)
    whole = landmarks_of(faces, jobs=1)
    monkeypatch.setattr("mesoscope.detection.reading.GROUP_PIXELS", 1)
    few = landmarks_of(faces, jobs=1)
    assert np.array_equal(whole["a.png"], few["a.png"])
    assert sizes == [2, 1, 1]


def test_half_a_line_of_a_killed_run_is_looked_for_again(faces, tmp_path):
    kept = tmp_path / "landmarks.jsonl"
    landmarks_of(faces, cache=kept)
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-9])
    found = landmarks_of(faces, cache=kept)
    assert list(found) == ["a.png"]
    assert landmarks_of(faces, cache=kept).keys() == found.keys()


def test_landmarks_are_read_from_json_lines(tmp_path):
    path, root = tmp_path / "l.jsonl", tmp_path / "faces"
    dense = np.random.default_rng(0).uniform(0, 99, (68, 2)).tolist()
    rows = [
        {"path": "train/real/1.jpg", "landmarks": FIVE},
        {"path": str(root / "2.jpg"), "landmarks": dense, "by": "hand"},
        {"path": "3.jpg", "landmarks": None},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_landmarks(path, root)
    assert {name: its.shape for name, its in found.items()} == {
        "train/real/1.jpg": (5, 2), "2.jpg": (68, 2),
    }  # fmt: skip
    path.write_text(json.dumps(rows[0]))  # a last line without its end counts, too
    assert list(read_landmarks(path, root)) == ["train/real/1.jpg"]


def test_landmarks_are_read_from_arrays(tmp_path):
    path = tmp_path / "l.npz"
    every = np.array([FIVE, np.full((5, 2), np.nan)], np.float32)
    np.savez(path, paths=np.array(["1.jpg", "2.jpg"]), landmarks=every)
    found = read_landmarks(path, tmp_path)
    assert list(found) == ["1.jpg"]
    assert np.array_equal(found["1.jpg"], every[0])


@pytest.mark.parametrize(
    "line",
    ["[]", "{}", '{"path": "1.jpg"}', '{"path": "1.jpg", "landmarks": [[1, 2]]}', "no json",
     '{"path": "1.jpg", "landmarks": [[1, 2], [3, 4], [5, "x"]]}',
     '{"path": "1.jpg", "landmarks": [[1, 2], [3, 4], [5, NaN]]}'],
)  # fmt: skip
def test_a_line_of_another_form_is_named(tmp_path, line):
    path = tmp_path / "l.jsonl"
    path.write_text('{"path": "0.jpg", "landmarks": null}\n' + line + "\n")
    with pytest.raises(DatasetError, match=r"l\.jsonl, line 2: must be"):
        read_landmarks(path, tmp_path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="cannot be read"):
        read_landmarks(tmp_path / "none.jsonl", tmp_path)
    with pytest.raises(DatasetError, match="no such file"):
        read_landmarks(tmp_path / "none.npz", tmp_path)
    path = tmp_path / "l.npz"
    for held in (
        {"points": np.zeros(3)},
        {"paths": np.array(["a"]), "landmarks": np.zeros((2, 5, 2))},
    ):
        np.savez(path, **held)
        with pytest.raises(DatasetError, match="with paths"):
            read_landmarks(path, tmp_path)
    path.write_bytes(b"PK no zip")
    with pytest.raises(DatasetError, match="with paths"):
        read_landmarks(path, tmp_path)
