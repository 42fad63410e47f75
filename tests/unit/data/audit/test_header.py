"""What a file says before a pixel is decoded."""

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from mesoscope.data.audit.header import read_header, suffix_matches


@pytest.fixture
def saved(astronaut_face):
    """``saved("JPEG", quality=80, …)`` → the bytes of a file."""

    def save(kind, *, mode="RGB", **options):
        out = io.BytesIO()
        Image.fromarray(astronaut_face).convert(mode).save(out, kind, **options)
        return out.getvalue()

    return save


@pytest.mark.parametrize("quality", [35, 75, 92])
def test_the_quality_and_sampling_of_a_jpeg(saved, quality) -> None:
    header = read_header(saved("JPEG", quality=quality, subsampling=2), ".jpg")
    assert header.kind == "jpeg"
    assert header.numbers["jpeg_quality"] == quality
    assert header.words["tables"] == f"standard {quality}"
    assert header.words["subsampling"] == "4:2:0"
    assert header.words["coding"] == "baseline"
    assert header.size == (224, 224)


def test_tables_of_its_own_get_the_nearest_quality(saved) -> None:
    from mesoscope.media.provenance.encoding import luminance_table

    table = [v + 1 for v in luminance_table(60)]
    header = read_header(saved("JPEG", qtables=[table, table]), ".jpg")
    assert header.words["tables"].startswith("own ")
    assert header.numbers["jpeg_quality"] == pytest.approx(60, abs=3)


def test_marks_comment_and_progressive(saved) -> None:
    header = read_header(saved("JPEG", progressive=True, comment=b"made by hand"), ".jpg")
    assert header.words["coding"] == "progressive"
    assert "comment 'made by hand'" in header.words["marks"]
    grey = read_header(saved("JPEG", mode="L"), ".jpg")
    assert (grey.words["colours"], grey.words["subsampling"]) == ("grey", "none")


def test_exif_names_its_tags_and_its_camera(saved) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "EOS"
    header = read_header(saved("JPEG", exif=exif.tobytes()), ".jpg")
    assert header.words["exif"] == "make, model"
    assert header.words["software"] == "Canon EOS"
    assert read_header(saved("JPEG"), ".jpg").words["exif"] == "none"


def test_png_tells_colours_chunks_and_profile(saved) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", "x")
    header = read_header(saved("PNG", pnginfo=text, icc_profile=b"profile"), ".png")
    assert header.words["colours"] == "RGB, 8 bits"
    assert header.words["marks"] == "tEXt"
    assert header.words["icc"] == "some"
    assert header.size == (224, 224)
    assert "jpeg_quality" not in header.numbers


@pytest.mark.parametrize(("lossless", "coding"), [(True, "lossless"), (False, "lossy")])
def test_webp(saved, lossless, coding) -> None:
    header = read_header(saved("WEBP", lossless=lossless), ".webp")
    assert (header.kind, header.words["coding"]) == ("webp", coding)


def test_suffixes() -> None:
    assert suffix_matches("jpeg", ".JPG")
    assert suffix_matches("png", ".dat")  # a suffix that promises nothing
    assert not suffix_matches("png", ".jpg")


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\0\x10JF", b"\x89PNG\r\n\x1a\n"]
)
def test_a_damaged_file_raises_nothing(data) -> None:
    assert read_header(data, ".jpg").words["suffix"] == ".jpg"


def test_a_cut_file_raises_nothing(saved) -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        whole = saved(kind)
        for cut in np.linspace(1, len(whole) - 1, 25).astype(int):
            read_header(whole[:cut], ".jpg")
