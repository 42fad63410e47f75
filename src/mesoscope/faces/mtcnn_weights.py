"""MTCNN's weights out of the PyPI package ``mtcnn`` (MIT), none of whose code is imported.

The package keeps each network as an LZ4 file around a pickle that joblib wrote. A pickle can run
code when it is loaded, so it is not: the files' SHA-256 are known, and with them where in the
unpacked bytes each array begins.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.errors import ModelMismatch, ModelMissing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Weights = list[NDArray[np.float32]]

PACKAGE = "mtcnn==1.0.0"
_HINT = f"install it (pip install '{PACKAGE}'), or choose another finder with `faces`"


@dataclass(frozen=True, slots=True)
class _File:
    """Where the arrays of one network lie: each one's first byte in the unpacked file, and shape.

    Arrays are in Keras' order and layout: of a convolution the kernel ``(height, width, in, out)``,
    the bias and the slopes of its PReLU; of a dense layer ``(in, out)`` and the bias.
    """

    sha256: str
    arrays: tuple[tuple[int, tuple[int, ...]], ...]


FILES = {
    "pnet": _File(
        "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
        (
            (240, (3, 3, 3, 10)), (1376, (10,)), (1472, (10,)),
            (1568, (3, 3, 10, 16)), (7376, (16,)), (7504, (16,)),
            (7632, (3, 3, 16, 32)), (26112, (32,)), (26304, (32,)),
            (26496, (1, 1, 32, 4)), (27056, (4,)), (27136, (1, 1, 32, 2)), (27440, (2,)),
        ),
    ),
    "rnet": _File(
        "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
        (
            (240, (3, 3, 3, 28)), (3312, (28,)), (3488, (28,)),
            (3664, (3, 3, 28, 48)), (52096, (48,)), (52352, (48,)),
            (52608, (2, 2, 48, 64)), (101808, (64,)), (102128, (64,)),
            (102448, (576, 128)), (397408, (128,)), (397968, (128,)),
            (398528, (128, 4)), (400624, (4,)), (400688, (128, 2)), (401760, (2,)),
        ),
    ),
    "onet": _File(
        "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
        (
            (240, (3, 3, 3, 32)), (3744, (32,)), (3936, (32,)),
            (4128, (3, 3, 32, 64)), (77904, (64,)), (78224, (64,)),
            (78544, (3, 3, 64, 64)), (226048, (64,)), (226368, (64,)),
            (226688, (2, 2, 64, 128)), (357808, (128,)), (358384, (128,)),
            (358960, (1152, 256)), (1538656, (256,)), (1539728, (256,)),
            (1540816, (256, 4)), (1544960, (4,)), (1545040, (256, 10)), (1555328, (10,)),
            (1555424, (256, 2)), (1557520, (2,)),
        ),
    ),
}  # fmt: skip


def read_weights(net: str) -> Weights:
    """The arrays of ``pnet``, ``rnet`` or ``onet``.

    Raises:
        ModelMissing: The package, or its weight file, is not installed.
        ModelMismatch: It is another version, with other weights.
    """
    path = _folder() / f"{net}.lz4"
    try:
        import lz4.frame

        packed = path.read_bytes()
    except ModuleNotFoundError as error:
        raise ModelMissing(f"the face finder mtcnn needs the package lz4: {_HINT}") from error
    except OSError as error:
        raise ModelMissing(
            f"{path}: the face finder's weights cannot be read ({error.strerror}): {_HINT}"
        ) from error
    known = FILES[net]
    if hashlib.sha256(packed).hexdigest() != known.sha256:  # before a byte of it is looked at
        raise ModelMismatch(
            f"{path}: its SHA-256 is not that of the weights that mesoscope knows: {_HINT}"
        )
    data = lz4.frame.decompress(packed)
    return [
        np.frombuffer(data, "<f4", int(np.prod(shape)), at).reshape(shape)
        for at, shape in known.arrays
    ]


def _folder() -> Path:
    """Where the installed package keeps its weights.

    Raises:
        ModelMissing: It is not installed.
    """
    spec = PathFinder.find_spec("mtcnn")
    for place in (spec.submodule_search_locations if spec else None) or ():
        return Path(place, "assets", "weights")
    raise ModelMissing(
        f"the face finder mtcnn takes its weights from the package mtcnn, which is not "
        f"installed: {_HINT}"
    )
