"""Hashes of pictures: near for copies, far for others, and the mirror's without a second look."""

import cv2
import numpy as np
import pytest

from mesoscope.data.audit.header import THUMBNAIL_PX, pixel_features
from mesoscope.data.audit.repeats import NEAR_BITS, distance


def apart(a, b):
    return int(distance(np.array([a], np.uint64), np.array([b], np.uint64))[0])


def saved(pixels, quality):
    data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1])


@pytest.mark.parametrize(
    "change",
    [
        lambda p: saved(p, 30),
        lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        lambda p: cv2.resize(p, (300, 180), interpolation=cv2.INTER_LINEAR),
        lambda p: cv2.convertScaleAbs(p, alpha=1.1, beta=8),
    ],
)
def test_a_changed_copy_has_a_near_hash(astronaut_face, change) -> None:
    before, after = pixel_features(astronaut_face), pixel_features(change(astronaut_face))
    assert apart(before.hashes[0], after.hashes[0]) <= NEAR_BITS


def test_another_picture_has_a_far_hash(astronaut_face, make_face) -> None:
    assert (
        apart(pixel_features(astronaut_face).hashes[0], pixel_features(make_face(1)).hashes[0])
        > NEAR_BITS
    )


def test_the_second_hash_is_the_mirror_images(astronaut_face) -> None:
    mirror = np.ascontiguousarray(astronaut_face[:, ::-1])
    assert apart(pixel_features(astronaut_face).hashes[1], pixel_features(mirror).hashes[0]) <= 1
    assert (
        apart(pixel_features(astronaut_face).hashes[0], pixel_features(mirror).hashes[0])
        > NEAR_BITS
    )


def test_figures_of_a_flat_and_of_a_blurred_picture(astronaut_face) -> None:
    flat = pixel_features(np.full((40, 60, 3), 100, np.uint8))
    assert (flat.brightness, flat.spread, flat.sharpness) == (100, 0, 0)
    assert flat.thumbnail.shape == (THUMBNAIL_PX, THUMBNAIL_PX)
    sharp, soft = (
        pixel_features(astronaut_face),
        pixel_features(cv2.GaussianBlur(astronaut_face, (0, 0), 2)),
    )
    assert soft.sharpness < sharp.sharpness / 2
    assert soft.brightness == pytest.approx(sharp.brightness, abs=1)
