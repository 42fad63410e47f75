"""Make the files in this folder: `.venv/bin/python samples/make_samples.py [FOLDER]`.

Two portraits in the public domain are the source: Eileen Collins (NASA), which scikit-image
brings as `astronaut`, and Grace Hopper (US Navy), which matplotlib brings as `grace_hopper.jpg`.
The forged pictures are made from them here, by hand-set points and plain blending, so that every
reader can see how each came to be.
"""

from __future__ import annotations

import io
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
from matplotlib import cbook
from PIL import Image
from skimage import data

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

# Left eye, right eye, mouth, as (x, y) in the 256×256 crops of `make`.
COLLINS_POINTS = np.float32([(92, 96), (151, 95), (121, 161)])
HOPPER_POINTS = np.float32([(86, 89), (164, 88), (128, 170)])


def portraits() -> tuple[Image.Image, Image.Image]:
    """The two sources, 512×512 and 512×600."""
    with Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as file:
        return Image.fromarray(data.astronaut()), file.convert("RGB")


def cut(portrait: Image.Image, box: tuple[int, int, int, int], size: tuple[int, int]) -> Picture:
    """A part of a portrait, at the given size."""
    return np.asarray(portrait.crop(box).resize(size, Image.Resampling.LANCZOS))


def ellipse(
    centre: tuple[float, float], axes: tuple[float, float], soft_px: float
) -> NDArray[np.float32]:
    """A soft mask, `(256, 256, 1)`, 0 to 1."""
    mask = np.zeros((256, 256), np.float32)
    whole = tuple(round(v) for v in centre), tuple(round(v) for v in axes)
    cv2.ellipse(mask, *whole, 0, 0, 360, 1.0, -1)
    return cv2.GaussianBlur(mask, (0, 0), soft_px)[:, :, None]


def blend(under: Picture, over: Picture, mask: NDArray[np.float32]) -> Picture:
    """Lay one picture over another, its colours brought to the other's mean and spread there."""
    inside = mask[:, :, 0] > 0.5
    there, here = under[inside].astype(np.float32), over[inside].astype(np.float32)
    gain = there.std(0) / np.maximum(here.std(0), 1)
    matched = (over - here.mean(0)) * gain + there.mean(0)
    return np.clip(under * (1 - mask) + matched * mask, 0, 255).astype(np.uint8)


def lay_on(donor: Picture, points: Picture, onto: Picture) -> Picture:
    """Bring the donor's eyes and mouth to the given places."""
    matrix = cv2.getAffineTransform(points, onto)
    return cv2.warpAffine(
        donor, matrix, (256, 256), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )


def bulge(face: Picture, centre: tuple[float, float], radius_px: float, strength: float) -> Picture:
    """Pull a round part of the face outwards, as a retouching brush does."""
    y, x = np.mgrid[0:256, 0:256].astype(np.float32)
    dx, dy = x - centre[0], y - centre[1]
    near = np.clip(1 - np.hypot(dx, dy) / radius_px, 0, 1)
    shrink = 1 - strength * near
    return cv2.remap(face, centre[0] + dx * shrink, centre[1] + dy * shrink, cv2.INTER_CUBIC)


def jpeg(face: Picture, quality: int = 90, **options: object) -> bytes:
    """The bytes of a JPEG."""
    file = io.BytesIO()
    Image.fromarray(face).save(file, "JPEG", quality=quality, **options)
    return file.getvalue()


def forged(collins: Picture, hopper: Picture) -> dict[str, bytes]:
    """Four forgeries, each of another kind."""
    inner = ellipse((121, 122), (54, 66), 7)
    swapped = blend(collins, lay_on(hopper, HOPPER_POINTS, COLLINS_POINTS), inner)
    mouth = ellipse((128, 168), (42, 24), 5)
    smile = blend(hopper, lay_on(collins, COLLINS_POINTS, HOPPER_POINTS), mouth)
    warped = bulge(bulge(collins, (92, 96), 40, 0.35), (151, 95), 40, 0.35)
    warped = blend(collins, bulge(warped, (121, 161), 50, 0.3), ellipse((121, 126), (66, 62), 6))
    smooth = hopper
    for _ in range(4):
        smooth = cv2.bilateralFilter(smooth, 9, 60, 5)
    return {
        "face_swapped.jpg": jpeg(swapped),
        "mouth_swapped.jpg": jpeg(smile),
        "eyes_and_mouth_enlarged.jpg": jpeg(warped),
        "skin_smoothed.jpg": jpeg(smooth),
    }


def odd(collins: Picture, hopper: Picture) -> dict[str, bytes]:
    """Files that a careless reader gets wrong."""
    sideways = Image.Exif()
    sideways[0x0112] = 6  # orientation: turn a quarter to the right to see it upright
    cut_out = np.dstack([collins, np.uint8(ellipse((121, 118), (90, 112), 3)[:, :, 0] * 255)])
    see_through = io.BytesIO()
    Image.fromarray(cut_out).resize((128, 128)).save(see_through, "PNG", optimize=True)
    grey = cv2.cvtColor(collins, cv2.COLOR_RGB2GRAY)
    whole = jpeg(hopper)
    return {
        "grey.jpg": jpeg(grey),
        "stored_sideways.jpg": jpeg(np.rot90(hopper).copy(), exif=sideways),
        "transparent.png": see_through.getvalue(),
        "cut_short.jpg": whole[: len(whole) // 2],
        "notes.txt": b"Not a picture: a scan of the folder passes over it.\n",
    }


def spoken(face: Picture, seconds: float = 2.0, rate: int = 44100) -> bytes:
    """An MP4 of one person with a sound track, a tone that swells."""
    file, fps = io.BytesIO(), 25
    samples = np.arange(round(seconds * rate)) / rate
    tone = np.float32(0.2 * np.sin(2 * np.pi * 220 * samples) * np.sin(np.pi * samples / seconds))
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "26", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 320, 320, "yuv420p"
        sound = container.add_stream("aac", rate=rate, layout="mono", bit_rate=32_000)
        for number in range(round(seconds * fps)):
            pixels = np.full((320, 320, 3), 100, np.uint8)
            x = round(32 + 12 * np.sin(number / 8))
            pixels[32:288, x : x + 256] = face
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        for start in range(0, len(tone), 1024):
            heard = av.AudioFrame.from_ndarray(
                tone[None, start : start + 1024], format="fltp", layout="mono"
            )
            heard.sample_rate, heard.pts, heard.time_base = rate, start, Fraction(1, rate)
            container.mux(sound.encode(heard))
        container.mux(stream.encode())
        container.mux(sound.encode())
    return file.getvalue()


def clip(collins: Picture, forged: Picture, seconds: float = 4.0) -> bytes:
    """An MP4 of two people who move a little, at an uneven rate; the one on the right is forged."""
    file, unit, time_s = io.BytesIO(), Fraction(1, 1000), 0.0
    room = np.linspace(70, 130, 360)[:, None, None] * np.ones((1, 640, 3))
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "26", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.codec_context.time_base = unit
        while time_s < seconds:
            pixels = room.astype(np.uint8)
            sway = 12 * np.sin(time_s * 1.7)
            for face, x, y in ((collins, 40 + sway, 60), (forged, 350 - sway, 56 + sway / 2)):
                x, y = round(x), round(y)
                pixels[y : y + 240, x : x + 240] = cv2.resize(
                    face, (240, 240), interpolation=cv2.INTER_AREA
                )
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), unit
            container.mux(stream.encode(frame))
            time_s += 0.030 if int(time_s) % 2 else 0.055  # as telephones do
        container.mux(stream.encode())
    return file.getvalue()


def make(folder: Path) -> None:
    """Write all samples below a folder."""
    astronaut, admiral = portraits()
    collins = cut(astronaut, (140, 34, 312, 206), (256, 256))
    hopper = cut(admiral, (123, 91, 403, 371), (256, 256))
    real = {
        "collins.jpg": jpeg(collins),
        "collins_portrait_shape.jpg": jpeg(cut(astronaut, (158, 34, 294, 204), (144, 180))),
        "hopper.jpg": jpeg(hopper),
        "hopper_400px.jpg": jpeg(cut(admiral, (63, 31, 463, 431), (400, 400))),
    }
    fakes = forged(collins, hopper)
    with Image.open(io.BytesIO(fakes["mouth_swapped.jpg"])) as image:
        swapped = np.asarray(image)
    clips = {"two_people.mp4": clip(collins, swapped), "with_sound.mp4": spoken(hopper)}
    kinds = {"real": real, "forged": fakes, "odd": odd(collins, hopper), "clips": clips}
    for kind, files in kinds.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / kind / name).write_bytes(content)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
