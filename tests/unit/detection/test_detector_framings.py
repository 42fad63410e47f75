"""A found face that is scored in several framings."""

import cv2
import numpy as np
import pytest

from mesoscope.detection.detector import Detector
from mesoscope.detection.scorer import Scores
from mesoscope.errors import ModelError
from mesoscope.faces.crop import crop
from mesoscope.faces.mtcnn import MtcnnFinder
from mesoscope.types import Frame, Guard, Thresholds
from mesoscope.types.card import ModelCard

THRESHOLDS = Thresholds(0.3, 0.7)


class Brightness:
    """Scores a crop by its mean, and keeps what it was shown."""

    model_id = "brightness@00000000"

    def __init__(self, **of_card):
        self.card = ModelCard("brightness", "none", thresholds=THRESHOLDS, **of_card)
        self.shown = []

    def score(self, batch, *, heat=False):
        self.shown.extend(batch)
        p = batch.mean((1, 2, 3)) / 255
        maps = np.repeat(p[:, None, None], 4, 1).repeat(4, 2).astype(np.float32)
        logit = np.log(p / (1 - p)).astype(np.float32)
        return Scores(p.astype(np.float32), logit, maps if heat else None, 2 * p)


@pytest.fixture
def photo(tmp_path, astronaut_face):
    """A bright face in the middle of a dark picture: the looser the crop, the darker."""
    pixels = np.full((480, 640, 3), 20, np.uint8)
    pixels[128:352, 208:432] = astronaut_face
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), pixels[:, :, ::-1])
    return path, pixels


def expected(pixels, margins):
    (found,) = MtcnnFinder().find([Frame(pixels, "photo")])
    (face,) = found.faces
    crops = [crop(pixels, face.box, margin=m, size_px=256) for m in margins]
    return crops, np.array([one.mean() / 255 for one in crops])


def test_the_score_is_that_of_the_mean_logit(photo):
    path, pixels = photo
    scorer = Brightness(
        face_margin=1.5, further_margins=(1.15, 2.5), guard=Guard(0.9, 0.01, "for a test")
    )
    detector = Detector(scorer, faces="mtcnn", heat=True, batch_size=2)
    (face,) = detector.check(path).faces
    crops, p = expected(pixels, (1.5, 1.15, 2.5))
    assert all(np.array_equal(a, b) for a, b in zip(scorer.shown, crops, strict=True))
    logits = np.log(p / (1 - p))
    assert face.p_fake == pytest.approx(1 / (1 + np.exp(-logits.mean())), abs=1e-6)
    assert p.min() < face.p_fake < p.max()
    assert face.unfamiliar == pytest.approx(np.median(2 * p), abs=1e-5)
    # The evidence map is that of the crop of face_margin.
    assert np.asarray(face.heat)[0, 0] == pytest.approx(p[0], abs=1e-6)


def test_one_crop_is_scored_as_it_is(photo):
    path, pixels = photo
    scorer = Brightness(face_margin=1.5)
    (face,) = Detector(scorer, faces="mtcnn").check(path).faces
    _, p = expected(pixels, (1.5,))
    assert len(scorer.shown) == 1
    assert face.p_fake == pytest.approx(p[0], abs=1e-6)


def test_a_picture_taken_as_a_face_is_scored_once(photo):
    path, _ = photo
    scorer = Brightness(face_margin=1.5, further_margins=(1.15, 1.75))
    Detector(scorer, faces="whole").check(path)
    assert len(scorer.shown) == 1


def test_cards_keep_their_margins_and_refuse_impossible_ones():
    card = ModelCard("m", "none", face_margin=1.5, further_margins=(1.15, 1.75))
    assert ModelCard.from_json(card.to_json()) == card
    assert ModelCard.from_json(ModelCard("m", "none").to_json()).further_margins == ()
    for margins in ((0.5,), (1.5,) * 9, (float("inf"),)):
        with pytest.raises(ModelError, match="further_margins must be at most 8 numbers from 1"):
            ModelCard("m", "none", further_margins=margins)
