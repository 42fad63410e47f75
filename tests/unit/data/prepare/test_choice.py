"""Which faces are kept: one person, by the mask where there is one, else by size over the clip."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from mesoscope.data.prepare.choice import Candidate, choose, shrunk
from mesoscope.types import Face

SCENE = np.full(64, 1 / 64, np.float32)
LEFT, RIGHT = (10.0, 20.0, 50.0, 70.0), (120.0, 20.0, 180.0, 95.0)


def seen(place, box, *, time_s=None):
    return Candidate(
        place, place / 8, place, time_s, Face(box), 200, 100, SCENE, "mtcnn",
        np.full((4, 4, 3), place, np.uint8),
    )  # fmt: skip


@pytest.fixture
def mask(tmp_path):
    """``mask(box)``: a picture, white within the box, black elsewhere."""

    def make(box, *, size=(100, 200)):
        pixels = np.zeros((*size, 3), np.uint8)
        x1, y1, x2, y2 = (round(v * size[1] / 200) for v in box)
        pixels[y1:y2, x1:x2] = 255
        path = tmp_path / "mask.png"
        Image.fromarray(pixels).save(path)
        return path

    return make


def boxes(choice):
    return {candidate.face.box for candidate in choice.kept}


def both(places=range(4)):
    return [seen(place, box) for place in places for box in (RIGHT, LEFT)]


def test_the_larger_person_is_kept_in_every_frame():
    choice = choose(both(), fake=False, mask=None)
    assert boxes(choice) == {RIGHT}
    assert [c.place for c in choice.kept] == [0, 1, 2, 3]
    assert choice.notes == ()
    assert not choice.untouched


def test_who_stays_is_worth_more_than_who_passes_by():
    faces = [seen(place, LEFT) for place in range(8)] + [seen(8, RIGHT), seen(8, LEFT)]
    choice = choose(faces, fake=False, mask=None)
    assert boxes(choice) == {LEFT}
    assert [c.place for c in choice.kept] == list(range(9))


@pytest.mark.parametrize("size", [(100, 200), (50, 100)])
def test_the_mask_says_who_was_forged_at_any_size(mask, size):
    choice = choose(both(), fake=True, mask=mask(LEFT, size=size))
    assert boxes(choice) == {LEFT}
    assert len(choice.kept) == 4


def test_a_real_clip_is_asked_with_the_mask_of_its_forgery(mask):
    assert boxes(choose(both(), fake=False, mask=mask(LEFT))) == {LEFT}
    elsewhere = mask((80.0, 0.0, 100.0, 10.0))
    assert boxes(choose(both(), fake=False, mask=elsewhere)) == {RIGHT}


@pytest.mark.parametrize("faces", [both(), [seen(n, RIGHT) for n in range(3)]])
def test_a_fake_whose_faces_lie_beside_its_mask_gives_none(mask, faces):
    choice = choose(faces, fake=True, mask=mask((80.0, 0.0, 100.0, 10.0)))
    assert choice.kept == ()
    assert choice.untouched


def test_a_mask_that_cannot_be_used_is_told(tmp_path, mask):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no clip")
    choice = choose(both(), fake=True, mask=broken)
    assert boxes(choice) == {RIGHT}
    assert choice.notes == ("mask not used as it cannot be read: broken.mp4",)
    choice = choose(both(), fake=True, mask=mask((0, 0, 0, 0)))
    assert boxes(choice) == {RIGHT}
    assert choice.notes == ("mask not used as it shows no region: mask.png",)


def test_all_faces_leave_out_those_of_a_fake_that_nobody_touched(mask):
    assert len(choose(both(), fake=True, mask=None, all_faces=True).kept) == 8
    assert len(choose(both(), fake=False, mask=mask(LEFT), all_faces=True).kept) == 8
    choice = choose(both(), fake=True, mask=mask(LEFT), all_faces=True)
    assert boxes(choice) == {LEFT}
    assert [c.place for c in choice.kept] == [0, 1, 2, 3]
    across = mask((10.0, 30.0, 180.0, 70.0))
    assert boxes(choose(both(), fake=True, mask=across, all_faces=True)) == {LEFT, RIGHT}


def test_a_mask_clip_is_looked_at_at_the_frames_moments(make_clip):
    """The forgery moves from one person to the other; the one that it covers longer is meant."""
    pictures = []
    for number in range(24):
        pixels = np.zeros((100, 200, 3), np.uint8)
        x1, y1, x2, y2 = map(int, RIGHT if number < 6 else LEFT)
        pixels[y1:y2, x1:x2] = 255
        pictures.append(pixels)
    path = make_clip(pictures)
    choice = choose(both(range(8)), fake=True, mask=path)
    assert boxes(choice) == {LEFT}


def test_what_differs_from_the_original_says_who_was_forged(make_clip):
    """Without a mask; and in spite of the noise that encoding leaves everywhere."""
    rng = np.random.default_rng(0)
    room = cv2.resize(rng.integers(60, 200, (7, 14, 3), np.uint8), (200, 100))
    x1, y1, x2, y2 = map(int, LEFT)
    swapped = room.copy()
    swapped[y1 + 10 : y2 - 10, x1 + 10 : x2 - 10] += 50
    original = make_clip([room] * 12, "original.mp4")
    forged = make_clip([swapped] * 12, "forged.mp4", options={"crf": "30"})
    large = make_clip([np.zeros((120, 240, 3), np.uint8)] * 12, "large.mp4")
    broken = original.with_name("broken.mp4")
    broken.write_bytes(b"no clip")
    ours = {fake: [replace(c, small=shrunk((room, swapped)[fake])) for c in both()]
            for fake in (False, True)}  # fmt: skip
    for fake, other, box in (
        (True, original, LEFT),
        (False, forged, LEFT),
        (True, forged, RIGHT),  # nothing differs, as where the voice alone was forged
        (True, large, RIGHT),
        (True, broken, RIGHT),
    ):
        assert boxes(choose(ours[fake], fake=fake, mask=None, other=other)) == {box}
    assert boxes(choose(both(), fake=True, mask=None, other=original)) == {RIGHT}
    every = choose(ours[True], fake=True, mask=None, other=original, all_faces=True)
    assert len(every.kept) == 8


def test_frames_are_compared_small():
    assert shrunk(np.zeros((720, 1280, 3), np.uint8)).shape == (180, 320, 3)
    assert shrunk(np.zeros((90, 60, 3), np.uint8)).shape == (90, 60, 3)
    assert shrunk(np.zeros((4000, 1, 3), np.uint8)).shape == (320, 1, 3)


def test_no_face_is_no_error():
    assert choose([], fake=True, mask=None).kept == ()
