"""What a mended copy leaves in the pixels of how the classes were compressed before."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mesoscope.data.audit.fix_pixels import Degradation, FinalEncoding, reencode
from mesoscope.media.image import decode

COUNT = 100
WORSE = Degradation(side_px=128, quality=70, half_chroma=True)  # of a real and a fake one
FREQUENCIES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (2, 2))
PLACES = np.arange(8)
COSINES = np.cos(np.pi * (2 * PLACES[None] + 1) * PLACES[:, None] / 16) / 2
COSINES[0] /= np.sqrt(2)


def jpeg(pixels, quality):
    _, data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def face(number):
    """The astronaut's face, turned, tinted and grained, (256, 256, 3)."""
    rng = np.random.default_rng(number)
    portrait = astronaut()[0:256, 96:352]
    turn = cv2.getRotationMatrix2D((128, 110), rng.uniform(-20, 20), rng.uniform(0.9, 1.4))
    turned = cv2.warpAffine(portrait, turn, (256, 256), borderMode=cv2.BORDER_REFLECT_101)
    grained = turned * rng.uniform(0.8, 1.2, 3) + rng.normal(0, rng.uniform(0, 5), turned.shape)
    return np.clip(grained, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def classes():
    """Reals as large PNG, and fakes as small JPEG, of the same kind of pictures."""
    reals = [cv2.imencode(".png", face(n)[:, :, ::-1])[1].tobytes() for n in range(COUNT)]
    small = [
        cv2.resize(face(COUNT + n), (128, 128), interpolation=cv2.INTER_AREA) for n in range(COUNT)
    ]
    return reals, [jpeg(pixels, 70) for pixels in small]


def block_frequencies(data):
    """How often each value of each low frequency comes in the blocks that JPEG works on."""
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE).astype(float)
    height, width = (side // 8 * 8 for side in grey.shape)
    blocks = grey[:height, :width].reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2)
    waves = np.rint(COSINES @ blocks.reshape(-1, 8, 8) @ COSINES.T)
    edges = np.arange(-20.5, 21)
    return np.concatenate(
        [np.histogram(waves[:, u, v], edges, density=True)[0] for u, v in FREQUENCIES]
    )


def told(reals, fakes):
    """AUC of a linear model of block frequencies, cross-fitted."""
    features = np.array([block_frequencies(data) for data in (*reals, *fakes)])
    labels = np.repeat([0, 1], COUNT)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    return roc_auc_score(
        labels, cross_val_predict(model, features, labels, cv=5, method="decision_function")
    )


def test_one_encoding_for_all_is_not_enough(classes):
    plain = [
        [
            jpeg(
                cv2.resize(
                    decode(data, "", max_pixels=10**7), (128, 128), interpolation=cv2.INTER_AREA
                ),
                90,
            )
            for data in some
        ]
        for some in classes
    ]
    assert told(*plain) > 0.95


def test_one_history_and_one_encoding_hide_nearly_all(classes):
    final = FinalEncoding(120, 120, 90)  # as the plan takes for 128 px
    mended = [[reencode(data, "", WORSE, final, 10**7) for data in some] for some in classes]
    assert told(*mended) < 0.65
    sizes = [len(data) for some in mended for data in some]
    assert 0.4 < roc_auc_score(np.repeat([0, 1], COUNT), sizes) < 0.6
