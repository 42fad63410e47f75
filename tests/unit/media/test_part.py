"""Pictures within a larger file."""

import numpy as np
import pytest
from PIL import Image

from mesoscope.errors import SourceError, SourceMissing, SourceTooLarge, SourceUnsupported
from mesoscope.media.image import open_image, read_bytes, source_name
from mesoscope.media.open import open_media
from mesoscope.media.part import FilePart


@pytest.fixture
def part(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "whole").write_bytes(b"x" * 700 + data + b"y" * 700)
    return FilePart(str(tmp_path / "whole"), 700, len(data), "whole/a.png"), data, pixels


def test_it_is_read_as_a_file_of_its_own(part):
    where, data, pixels = part
    assert read_bytes(where) == data
    for opened in (open_image(where), open_media(where)):
        np.testing.assert_array_equal(opened.pixels, pixels)
        assert opened.source == source_name(where) == "whole/a.png"


def test_what_goes_wrong_names_it(part, tmp_path):
    where, data, _ = part
    with pytest.raises(SourceError, match=r"whole/a.png: .*whole ends within it"):
        read_bytes(FilePart(where.file, 1700, len(data), where.name))
    with pytest.raises(SourceError, match=r"whole/a.png: not a picture"):
        read_bytes(FilePart(where.file, 3, len(data), where.name))
    with pytest.raises(SourceMissing, match="gone: no such file"):
        read_bytes(FilePart(str(tmp_path / "gone"), 0, 9, where.name))
    with pytest.raises(SourceTooLarge, match="megabytes are more than a picture"):
        read_bytes(FilePart(where.file, 0, 1 << 40, where.name))
    clip = tmp_path / "clip"
    clip.write_bytes(b"\0\0\0\x18ftypisom" + bytes(50))
    with pytest.raises(SourceUnsupported, match="a clip, and a picture is wanted"):
        read_bytes(FilePart(str(clip), 0, 60, "clip/a.mp4"))
