"""A small FaceForensics++ of two photographed people, as published; made by code."""

import json
from fractions import Fraction

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="session")
def collins(astronaut_face):
    return cv2.resize(astronaut_face, (120, 120), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="session")
def hopper():
    from matplotlib import cbook
    from PIL import Image

    with Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as file:
        return np.asarray(file.convert("RGB").crop((126, 40, 386, 300)).resize((120, 120)))


def scene(people, ground=90):
    """(180, 320) with some pictures on it, each at its x."""
    pixels = np.full((180, 320, 3), ground, np.uint8)
    for person, x in people:
        pixels[30 : 30 + len(person), x : x + person.shape[1]] = person
    return pixels


def write_clip(path, pictures):
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "4"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for number, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


@pytest.fixture
def pair(tmp_path, collins, hopper):
    """UADFV with one pair, without masks: Collins, who is smaller, is forged; Hopper is not."""
    root = tmp_path / "UADFV"
    beside = cv2.resize(hopper, (145, 145))
    forged = np.ascontiguousarray(collins[:, :, ::-1])
    for name, person in (("real/0000", collins), ("fake/0000_fake", forged)):
        write_clip(root / f"{name}.mp4", [scene([(person, 20), (beside, 170)])] * 8)
    return root


@pytest.fixture
def make_ffpp(tmp_path, collins, hopper):
    """``make_ffpp(name="FaceForensics++", beside=…)``: three pairs, one a split; 12 clips.

    Real clips show Collins at the left; in forged ones her colours are turned round, which the
    mask tells. ``beside`` puts somebody at the right into the clips of target 000.
    """

    def make(name="FaceForensics++", *, beside=None):
        root = tmp_path / name
        white = np.full((120, 120, 3), 255, np.uint8)
        forged = np.ascontiguousarray(collins[:, :, ::-1])
        pairs = {"train": ("000", "001"), "val": ("002", "003"), "test": ("004", "005")}
        for split, pair in pairs.items():
            for target, source in (pair, pair[::-1]):
                others = [(beside, 180)] if beside is not None and target == "000" else []
                fakes = root / "manipulated_sequences/Deepfakes"
                for path, person, ground in (
                    (root / f"original_sequences/youtube/c23/videos/{target}.mp4", collins, 90),
                    (fakes / f"c23/videos/{target}_{source}.mp4", forged, 90),
                    (fakes / f"masks/videos/{target}_{source}.mp4", white, 0),
                ):
                    # No two clips hold the same picture.
                    lighter = cv2.add(person, np.full_like(person, 4 * int(target)))
                    people = [(lighter, 20), *(others if ground else [])]
                    write_clip(path, [scene(people, ground)] * 8)
            (root / f"{split}.json").write_text(json.dumps([pair]))
        return root

    return make
