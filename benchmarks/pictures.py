"""Pictures to measure with: real face crops where they are at hand, else made here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np

from measure import SHARED

FACES = SHARED / "data/openforensics"
SIDE = 256


def faces(folder: Path, n: int) -> tuple[str, int]:
    """Fill ``folder/{real,fake}`` with ``n`` face JPEGs of 256×256.

    Links to OpenForensics pictures of ``../shared/data`` (read-only) where those are; else
    variations of scikit-image's astronaut.

    Returns:
        What they are, and how many there are.
    """
    for name in ("real", "fake"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    if FACES.exists():
        each = {
            name: sorted(
                p for split in ("train", "validation") for p in FACES.glob(f"{split}/{name}/*")
            )
            for name in ("real", "fake")
        }
        done = 0
        for name, found in each.items():
            for i, path in enumerate(found[: n // 2]):
                # A link: nothing of these sets is copied.
                (folder / name / f"{i:06}{path.suffix}").symlink_to(path)
                done += 1
        return "OpenForensics crops of ../shared/data, JPEG 75", done
    for i in range(n):
        name = ("real", "fake")[i % 2]
        quality = 75 + i % 16
        path = folder / name / f"{i:06}.jpg"
        cv2.imwrite(str(path), face(i), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return "made here from scikit-image's astronaut, JPEG 75–90", n


def face(number: int) -> np.ndarray:
    """A face crop ``(256, 256, 3) uint8``: the astronaut's, moved, turned, tinted and grained."""
    from skimage.data import astronaut

    rng = np.random.default_rng(number)
    portrait = astronaut()[0:300, 80:380]
    side = portrait.shape[0]
    turn = cv2.getRotationMatrix2D(
        tuple(rng.uniform(0.4 * side, 0.6 * side, 2)), rng.uniform(-20, 20), rng.uniform(0.8, 1.3)
    )
    turned = cv2.warpAffine(portrait, turn, (side, side), borderMode=cv2.BORDER_REFLECT_101)
    tinted = turned * rng.uniform(0.8, 1.2, 3) + rng.uniform(-15, 15)
    grained = cv2.resize(tinted, (SIDE, SIDE)) + rng.normal(0, rng.uniform(0, 6), (SIDE, SIDE, 3))
    return np.clip(grained, 0, 255).astype(np.uint8)


def small(folder: Path, n: int, side: int = 64, distinct: int = 250) -> None:
    """Fill a folder with ``n`` small JPEGs; ``distinct`` of them are drawn, the others linked."""
    folder.mkdir(parents=True)
    for i in range(n):
        path = folder / f"{i:06}.jpg"
        if i < distinct:
            cv2.imwrite(str(path), cv2.resize(face(i), (side, side), interpolation=cv2.INTER_AREA))
        else:
            _same(folder / f"{i % distinct:06}.jpg", path)


def read_all(folder: Path) -> None:
    """Bring every file into the page cache: both sides then read from memory."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            path.read_bytes()


def _same(path: Path, other: Path) -> None:
    try:
        os.link(path, other)
    except OSError:  # a file system without hard links, or with a limit on them
        shutil.copyfile(path, other)
