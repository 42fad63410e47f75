"""Which faces are kept: one person, by the mask where there is one, else by size over the clip."""

import numpy as np
import pytest
from PIL import Image

from mesoscope.data.prepare.choice import Candidate, choose
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


def test_no_face_is_no_error():
    assert choose([], fake=True, mask=None).kept == ()
