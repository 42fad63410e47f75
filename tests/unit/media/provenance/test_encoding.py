"""Quantisation tables, structure, and previews that are unlike their picture."""

import cv2
import numpy as np
import pytest

from mesoscope.media.provenance.encoding import quality
from mesoscope.media.provenance.further import compare_preview
from mesoscope.media.provenance.jpeg_parts import read_jpeg
from mesoscope.media.provenance.parts import Parts


def facts(data):
    parts = Parts("jpeg")
    read_jpeg(data, parts)
    assert parts.findings == []
    return parts.jpeg


@pytest.mark.parametrize("q", range(1, 101))
def test_the_standard_tables_are_known_at_every_quality(made, q):
    """As libjpeg writes them, by Pillow."""
    pixels = made.pattern(16, 16)
    assert quality(facts(made.encode(pixels=pixels, quality=q))) == ("standard", q)


def test_opencvs_tables_are_the_standards(made):
    _, data = cv2.imencode(".jpg", made.pattern(), [cv2.IMWRITE_JPEG_QUALITY, 83])
    assert quality(facts(data.tobytes())) == ("standard", 83)


def test_a_grey_picture_has_one_table(made):
    assert quality(facts(made.encode(pixels=made.pattern()[:, :, 0], quality=60))) == (
        "standard",
        60,
    )


def test_tables_of_its_own(made, told):
    own = [list(range(10, 74)), list(range(20, 84))]
    data = made.encode(qtables=own)
    assert quality(facts(data)) is None
    (found,) = told(data, "encoding", "quantisation tables")
    assert found.value == f"not standard ones (mean step of brightness {sum(own[0]) / 64:.1f})"


def test_the_standards_brightness_with_another_colour(made):
    import io

    from PIL import Image  # its tables are in the order of rows

    standard = Image.open(io.BytesIO(made.encode(quality=75))).quantization
    data = made.encode(qtables=[standard[0], [9] * 64])
    assert quality(facts(data)) == ("standard luminance", 75)


# mozjpeg's default at 75, first row and last value: half of 16, 16, 16, 18, …; 418 / 2.
def test_mozjpegs_tables(made):
    from mesoscope.media.provenance import encoding

    rows = [min((v * 50 + 50) // 100, 255) for v in encoding._ROBIDOUX]
    assert rows[:4] == [8, 8, 8, 9]
    assert quality(facts(made.encode(qtables=[rows, rows]))) == ("mozjpeg", 75)


@pytest.mark.parametrize(("subsampling", "shown"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_structure(made, told, subsampling, shown):
    (found,) = told(made.encode(subsampling=subsampling), "encoding", "structure")
    assert found.value == f"baseline, 64×48, {shown}"
    assert found.weight == "note"


def test_a_progressive_file_of_a_camera_was_saved_again(made, told):
    plain = made.encode(progressive=True)
    (found,) = told(plain, "encoding", "structure")
    assert found.value.startswith("progressive")
    assert found.weight == "note"
    camera = made.with_exif({0x010F: "Canon"}, {0x829A: 0.01}, progressive=True)
    (found,) = told(camera, "encoding", "structure")
    assert found.weight == "hint"


def test_marks_of_programs(made, told):
    adobe = made.segment(0xEE, b"Adobe\0\x64\0\0\0\0\1")
    ducky = made.segment(0xEC, b"Ducky\0\1\0\4\0\0\0\x3c\0\0")
    data = made.insert(made.encode(comment="CREATOR: gd-jpeg v1.0"), adobe, ducky)
    fields = {f.field: f.value for f in told(data)}
    assert fields["APP14"] == "Adobe"
    assert fields["APP12"] == "Ducky"
    assert fields["comment"] == "CREATOR: gd-jpeg v1.0"


def test_a_comment_is_anything(made, told):
    (found,) = told(made.encode(comment="from the archive"), field="comment")
    assert (found.kind, found.weight) == ("metadata", "note")
    assert told(made.encode(comment="from the archive"), "metadata") == [found]
    (found,) = told(
        made.encode(comment="a castle\nSteps: 20, Sampler: Euler, Seed: 1"), "generator"
    )
    assert found.weight == "strong"


def test_data_behind_the_end(made, told):
    data = made.encode()
    assert told(data + b"\0" * 100, field="data behind the end") == []
    (found,) = told(data + b"x" * 100, field="data behind the end")
    assert found.value == "100 bytes"
    (found,) = told(made.encode(progressive=True) + data, field="data behind the end")
    assert found.value == f"{len(data)} bytes"


@pytest.mark.parametrize("share", [0.05, 0.4, 0.7, 0.99])
def test_a_truncated_jpeg_is_said(made, told, share):
    data = made.encode()
    (found,) = told(data[: int(len(data) * share)], "damaged")
    assert found.where == "JPEG"


# --- previews


def preview_of(made, pixels, size=(160, 120), bars=False):
    """A preview's JPEG; with bars the picture lies between black ones, as cameras do it."""
    if not bars:
        return made.encode(pixels=cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    height = round(size[0] * pixels.shape[0] / pixels.shape[1])
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    top = (size[1] - height) // 2
    canvas[top : top + height] = cv2.resize(pixels, (size[0], height), interpolation=cv2.INTER_AREA)
    return made.encode(pixels=canvas)


def with_preview(made, pixels, preview):
    """A JPEG whose EXIF has a second directory with a preview."""
    at = 8 + 6 + 30  # behind both directories
    exif = b"MM\0\x2a\0\0\0\x08\0\0\0\0\0\x0e" + b"\0\2"
    exif += b"\2\1\0\4\0\0\0\1" + at.to_bytes(4, "big")
    exif += b"\2\2\0\4\0\0\0\1" + len(preview).to_bytes(4, "big") + bytes(4)
    assert len(exif) == at
    body = b"Exif\0\0" + exif + preview
    return made.insert(made.encode(pixels=pixels, quality=90), made.segment(0xE1, body))


@pytest.fixture(scope="module")
def photo():
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[0:384])  # 384 × 512, 4:3


def likeness(made, told, pixels, preview):
    (found,) = told(with_preview(made, pixels, preview), "thumbnail")
    return found


def test_a_preview_of_the_picture(made, told, photo):
    found = likeness(made, told, photo, preview_of(made, photo))
    assert found.weight == "note"
    assert found.value == "correlation 1.00 with the picture"
    assert found.field == "preview 160×120"


def test_a_preview_between_black_bars(made, told, photo):
    wide = np.ascontiguousarray(photo[:288])  # 16:9
    found = likeness(made, told, wide, preview_of(made, wide, bars=True))
    assert found.weight == "note"
    assert float(found.value.split()[1]) > 0.98


@pytest.mark.parametrize("change", ["brighter", "flatter", "sharper", "low quality"])
def test_harmless_changes_of_the_picture_are_no_hint(made, told, photo, change):
    preview = preview_of(made, photo)
    changed = {
        "brighter": lambda: np.clip(photo.astype(np.float32) ** 0.9 * 1.9, 0, 255),
        "flatter": lambda: photo * 0.7 + 40.0,
        "sharper": lambda: np.clip(photo * 2.0 - cv2.GaussianBlur(photo, (0, 0), 2.0), 0, 255),
        "low quality": lambda: cv2.imdecode(
            cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, 15])[1], cv2.IMREAD_COLOR
        ),
    }[change]()
    assert likeness(made, told, changed.astype(np.uint8), preview).weight == "note"


def test_a_cropped_picture(made, told, photo):
    found = likeness(
        made, told, np.ascontiguousarray(photo[:192, 128:384]), preview_of(made, photo)
    )
    assert found.weight == "hint"
    assert "something else" in found.meaning


def test_another_picture(made, told, photo):
    found = likeness(made, told, photo, preview_of(made, made.pattern(120, 160)))
    assert found.weight == "hint"


def test_a_face_that_was_replaced(made, told, photo):
    """Most of the picture is the same, so its correlation stays high; the face's part tells."""
    changed = photo.copy()
    changed[60:180, 170:280] = made.pattern(120, 110, seed=3)
    found = likeness(made, told, changed, preview_of(made, photo))
    assert float(found.value.split()[1].rstrip(",")) > 0.8
    assert found.weight == "hint"
    assert "one part of it looks different" in found.meaning


def test_a_picture_that_was_turned(made, told, photo):
    turned = np.ascontiguousarray(np.rot90(photo))
    found = likeness(made, told, turned, preview_of(made, photo))
    assert found.weight == "note"
    assert found.value.endswith("turned")


def test_one_tone_has_no_correlation():
    grey = np.full((120, 160), 100, np.float32)
    assert compare_preview(grey, np.full((384, 512), 104, np.float32)).correlation == 1.0
    assert compare_preview(grey, np.full((384, 512), 204, np.float32)).correlation == 0.0


@pytest.mark.parametrize("preview", [b"\xff\xd8 cut short", b"no JPEG at all", b"\xff\xd8\xff\xd9"])
def test_a_damaged_preview_is_said(made, told, photo, preview):
    (found,) = told(with_preview(made, photo, preview), "damaged")
    assert found.field == "preview"


def test_photoshops_preview(made, told, photo):
    preview = preview_of(made, made.pattern(120, 160))
    block = bytes(28) + preview
    body = b"Photoshop 3.0\0" + b"8BIM\x04\x0c\0\0" + len(block).to_bytes(4, "big") + block
    data = made.insert(made.encode(pixels=photo), made.segment(0xED, body))
    (found,) = told(data, "thumbnail")
    assert (found.where, found.weight) == ("Photoshop resources", "hint")
