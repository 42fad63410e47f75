"""Pictures and data sets that several tests ask for; all are made here by code."""

import importlib
import io
import os
import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run and no clock: what fails for one fails for all, on any machine.
settings.register_profile(
    "mesoscope",
    derandomize=True,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("mesoscope")

SHARED = Path(__file__).parents[1] / "../shared"


@pytest.fixture(scope="session")
def shared():
    """The folder of real faces and published weights beside the repository."""
    if not SHARED.is_dir():
        pytest.skip("../shared is not there: it holds real faces that are not part of the project")
    return SHARED.resolve()


@pytest.fixture(scope="session")
def yunet(shared):
    """The path of a YuNet model of any input size."""
    if int(cv2.__version__.split(".")[0]) < 5:
        pytest.skip("OpenCV 4 opens no YuNet of any input size, as the one in ../shared is")
    return shared / "weights/yunet_n_dynamic.onnx"


@pytest.fixture
def quick_export(monkeypatch):
    """Trace networks with torch's older exporter, some 30 times as quick as the one that users get.

    The graphs differ, but each is compared with the network all the same. Tests of the exporter,
    of the shipped models and of whole processes do not use it.
    """
    torch = pytest.importorskip("torch", reason="exporting needs mesoscope[train]")
    import onnx

    from mesoscope.training.export import onnx_export

    slow = onnx_export._trace

    def trace(judging, example, outputs):
        if any(getattr(module, "padding", None) == "same" for module in judging.modules()):
            return slow(judging, example, outputs)  # the older exporter's file cannot be computed
        file = io.BytesIO()
        torch.onnx.export(
            judging,
            (example,),
            file,
            dynamo=False,
            opset_version=onnx_export.OPSET,
            input_names=["crops"],
            output_names=outputs,
            dynamic_axes={name: {0: "n"} for name in ["crops", *outputs]},
        )
        return onnx.load_model_from_string(file.getvalue())

    monkeypatch.setattr(onnx_export, "_trace", trace)


@pytest.fixture(scope="session")
def trees():
    """Public sets as they lie on disk: the builders of ``tests/trees.py``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        yield importlib.import_module("trees")


@pytest.fixture(scope="session")
def astronaut_face():
    """A photographed face, (224, 224, 3) uint8 RGB."""
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[0:224, 112:336])


@pytest.fixture(scope="session")
def make_face():
    """A drawn face: ``make_face(seed, size_px=64)`` → (size, size, 3) uint8 RGB."""
    return _face


@pytest.fixture(scope="session")
def write_faces():
    """``write_faces(root, train=4, validation=4, size_px=64)``: see ``make_dataset``."""
    return _write_faces


@pytest.fixture
def make_dataset(tmp_path):
    """A small data set that can be learnt: fakes carry a faint checker pattern.

    ``make_dataset(name="set", train=4, validation=4, size_px=64)`` writes
    ``name/{train,validation}/{real,fake}/NN.jpg``, so many of each class, and returns the folder.
    """

    def make(name="set", *, train=4, validation=4, size_px=64):
        return _write_faces(tmp_path / name, train=train, validation=validation, size_px=size_px)

    return make


def _write_faces(root, *, train=4, validation=4, size_px=64):
    seed = sum(map(ord, root.name)) * 1000
    for split, count in (("train", train), ("validation", validation)):
        for label in ("real", "fake"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                seed += 1
                pixels = _face(seed, size_px)
                if label == "fake":
                    pixels = _with_checker(pixels)
                # No chroma subsampling and mild quantisation: the pattern must survive.
                flags = [cv2.IMWRITE_JPEG_QUALITY, 95]
                cv2.imwrite(str(folder / f"{number:02}.jpg"), pixels[:, :, ::-1], flags)
    return root


@pytest.fixture
def make_clip(tmp_path):
    """A clip made by PyAV: ``make_clip(pictures, name="clip.mp4", …)`` → its path.

    ``pictures`` are RGB arrays, ``times`` their begins in milliseconds (default: 25 a second).
    ``rotate`` asks players to turn the pictures counter-clockwise by so many degrees, ``wide`` says
    how much wider than high a pixel is.
    """

    def make(
        pictures,
        name="clip.mp4",
        *,
        times=None,
        codec="libx264",
        rotate=0,
        options=None,
        rate=25,
        wide=1,
    ):
        import av

        path = tmp_path / name
        times = [40 * n for n in range(len(pictures))] if times is None else times
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=rate, options=options or {})
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.bit_rate = 4_000_000  # enough to tell grey levels apart
            unit = Fraction(1, 1000 if name.endswith(("mp4", "mov", "mkv", "webm")) else rate)
            stream.codec_context.time_base = unit
            stream.codec_context.sample_aspect_ratio = Fraction(wide)
            if rotate:
                stream.set_display_rotation(rotate)
            for pixels, time in zip(pictures, times, strict=True):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = round(time / 1000 / unit), unit
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return make


def _face(seed, size_px=64):
    rng = np.random.default_rng(seed)
    skin, hair, ground = rng.integers((150, 20, 20), (240, 110, 230), (3, 3)).T.tolist()
    face = np.full((size_px, size_px, 3), ground, np.uint8)
    s = size_px / 64
    middle = (round(32 * s), round(34 * s))
    cv2.ellipse(
        face, (middle[0], round(26 * s)), (round(21 * s), round(22 * s)), 0, 0, 360, hair, -1
    )
    cv2.ellipse(face, middle, (round(17 * s), round(22 * s)), 0, 0, 360, skin, -1)
    for x in (25, 39):
        cv2.circle(face, (round(x * s), round(29 * s)), round(2.5 * s), (30, 30, 30), -1)
    cv2.ellipse(
        face, (middle[0], round(45 * s)), (round(6 * s), round(2 * s)), 0, 0, 180, (150, 50, 60), -1
    )
    noise = rng.normal(0, 4, face.shape)
    return np.clip(cv2.GaussianBlur(face, (0, 0), s) + noise, 0, 255).astype(np.uint8)


def _with_checker(pixels):
    y, x = np.indices(pixels.shape[:2]) // 4
    return np.clip(pixels + 12.0 * ((x + y) % 2 * 2 - 1)[:, :, None], 0, 255).astype(np.uint8)


@pytest.fixture
def make_honest_or_not(tmp_path):
    """A set whose classes differ in nothing, but for what is asked: ``make(name, "format", …)``.

    ``name/{train,validation}/{real,fake}`` with random patches as pictures, 60 and 30 of a class.
    Cheats: ``format`` (fakes are PNG), ``size`` (fakes are smaller), ``quality`` (fakes are
    compressed more), ``exif`` (reals name a camera), ``names``, ``dates``, ``profile`` (reals have
    a colour profile), ``copies`` (training pictures in validation), ``both`` (one file under both
    labels), ``groups`` (a manifest whose groups of five stand in both splits), ``spoilt`` (files
    that cannot be read, and a blank one).
    """

    def make(name, *cheats, train=60, validation=30, size_px=72):
        root = tmp_path / name
        rng = np.random.default_rng(sum(map(ord, name)))
        for split, count in (("train", train), ("validation", validation)):
            for label in ("real", "fake"):
                (root / split / label).mkdir(parents=True)
                for _ in range(count):
                    _save_patch(_patch(rng, size_px), root / split / label, label, cheats, rng)
        _cheat_whole(root, cheats, rng)
        for number, path in enumerate(sorted(root.rglob("*.*"))):
            later = 86400 * 30 if "dates" in cheats and path.parent.name == "fake" else 0
            os.utime(path, (1.7e9 + later + number % 7,) * 2)
        return root

    return make


def _patch(rng, size_px):
    """Random soft colours with some grain: no two are alike, and classes are none."""
    small = rng.integers(0, 256, (9, 9, 3), np.uint8)
    soft = cv2.resize(small, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
    return np.clip(soft + rng.normal(0, rng.uniform(1, 8), soft.shape), 0, 255).astype(np.uint8)


def _save_patch(pixels, folder, label, cheats, rng):
    from PIL import Image, ImageCms

    fake, real = label == "fake", label == "real"
    if "size" in cheats and fake:
        pixels = cv2.resize(pixels, (48, 48), interpolation=cv2.INTER_AREA)
    stem = f"{rng.integers(10**8):08}"
    if "names" in cheats:
        stem = f"{'IMG' if real else 'generated'}_{stem}"
    image = Image.fromarray(pixels)
    if "format" in cheats and fake:
        image.save(folder / f"{stem}.png")
        return
    more = {"quality": 60 if "quality" in cheats and fake else 90}
    if "exif" in cheats and real:
        exif = Image.Exif()
        exif[0x010F], exif[0x0110] = "Maker", f"Camera {rng.integers(3)}"
        more["exif"] = exif
    if "profile" in cheats and real:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        more["icc_profile"] = profile.tobytes()
    image.save(folder / f"{stem}.jpg", **more)


def _cheat_whole(root, cheats, rng):
    of = {
        (split, label): sorted((root / split / label).iterdir())
        for split in ("train", "validation")
        for label in ("real", "fake")
    }
    if "copies" in cheats:
        for label in ("real", "fake"):
            for path in of["train", label][:12]:
                name = f"{rng.integers(10**8):08}{path.suffix}"
                shutil.copy(path, root / "validation" / label / name)
    if "both" in cheats:
        for path in of["train", "real"][-3:]:
            name = f"{rng.integers(10**8):08}{path.suffix}"
            shutil.copy(path, root / "train/fake" / name)
    if "spoilt" in cheats:
        of["train", "real"][0].write_bytes(b"not a picture")
        whole = of["train", "fake"][0]
        whole.write_bytes(whole.read_bytes()[:200])
        blank = np.full((72, 72, 3), 128, np.uint8)
        cv2.imwrite(str(of["train", "real"][1]), blank)
    if "groups" in cheats:
        with (root / "manifest.csv").open("w", encoding="utf-8") as file:
            file.write("path,label,source,group,split\n")
            for label in ("real", "fake"):
                paths = of["train", label] + of["validation", label]
                groups = rng.permutation(len(paths)) // 5
                for path, group in zip(paths, groups, strict=True):
                    name = path.relative_to(root).as_posix()
                    split = path.parent.parent.name
                    file.write(f"{name},{label},clips,{label}-{group},{split}\n")
