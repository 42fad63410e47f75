"""Photos of telephones: HEIC, AVIF, colour profiles, further pictures behind the first."""

import contextlib
import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from mesoscope.errors import SourceError, SourceTooLarge
from mesoscope.media.chunks import jpeg_frame
from mesoscope.media.colour import is_srgb, jpeg_profile
from mesoscope.media.image import open_image
from mesoscope.media.kinds import sniff

pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif writes the HEIC pictures")

# Chromaticities of Display P3 (SMPTE EG 432-1) with sRGB's curve, as telephones have it.
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
SRGB = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
WHITE = np.array([0.9642, 1.0, 0.8249])  # D50, of profiles


def quarters(width=160, height=96):
    """A red, a green, a blue and a grey quarter: orientation and colours show at once."""
    pixels = np.empty((height, width, 3), np.uint8)
    half, middle = height // 2, width // 2
    pixels[:half, :middle], pixels[:half, middle:] = (200, 40, 40), (40, 180, 40)
    pixels[half:, :middle], pixels[half:, middle:] = (40, 40, 200), (128, 128, 128)
    return pixels


def heic(pixels, **options):
    heif = pillow_heif.from_bytes(
        mode="RGBA" if pixels.shape[2] == 4 else "RGB",
        size=pixels.shape[1::-1],
        data=np.ascontiguousarray(pixels).tobytes(),
    )
    out = io.BytesIO()
    heif.save(out, quality=95, chroma=444, **options)
    return out.getvalue()


def near(found, wanted, most=6.0):
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).mean() < most


def primaries(corners):
    """RGB to XYZ at D50 (Bradford), the columns of a matrix profile."""
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in corners]).T
    d65 = np.array([0.9505, 1.0, 1.089])
    matrix = xyz * np.linalg.solve(xyz, d65)
    bradford = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    scale = np.diag((bradford @ WHITE) / (bradford @ d65))
    return np.linalg.inv(bradford) @ scale @ bradford @ matrix


def profile(corners, name):
    """A matrix and curve profile (ICC.1:2001), gamma 2.2."""

    def fixed(values):
        return b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    text = name.encode() + b"\0"
    matrix = primaries(corners)
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78),
        b"wtpt": b"XYZ " + bytes(4) + fixed(WHITE),
        **{
            tag: b"XYZ " + bytes(4) + fixed(matrix[:, i])
            for i, tag in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))
        },
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for tag, data in tags.items():
        data += bytes(-len(data) % 4)
        table += tag + struct.pack(">II", at + len(body), len(data))
        body += data
    head = bytearray(128)
    head[0:4] = struct.pack(">I", at + len(body))
    head[8:12], head[12:24] = b"\2\x10\0\0", b"mntrRGB XYZ "
    head[36:40], head[68:80] = b"acsp", fixed(WHITE)
    return bytes(head) + struct.pack(">I", len(tags)) + table + body


def encoded(pixels, form, **options):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, **options)
    return out.getvalue()


def test_a_heic_picture_is_read_by_its_content(tmp_path):
    data = heic(quarters())
    assert sniff(data[:400]) == "heif"
    for name in ("IMG_0001.HEIC", "renamed.jpg"):
        path = tmp_path / name
        path.write_bytes(data)
        near(open_image(path).pixels, quarters())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_picture_is_turned_once(orientation):
    """The writer puts the turn of EXIF into the file's own properties, as telephones do."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = heic(quarters(), exif=exif.tobytes())
    jpeg = encoded(quarters(), "JPEG", exif=exif.tobytes(), quality=95)
    near(open_image(data).pixels, open_image(jpeg).pixels)


def test_transparent_heic_pixels_show_white():
    pixels = np.dstack([quarters(), np.full((96, 160), 255, np.uint8)])
    pixels[:48, :, 3] = 0
    found = open_image(heic(pixels)).pixels
    assert found[:40].min() > 245
    near(found[56:], quarters()[56:])


def test_of_several_heic_pictures_the_primary_one_is_judged():
    heif = pillow_heif.HeifFile()
    for pixels in (quarters()[:, ::-1], quarters()):
        heif.add_frombytes("RGB", (160, 96), np.ascontiguousarray(pixels).tobytes())
    out = io.BytesIO()
    heif.save(out, quality=95, chroma=444, primary_index=1)
    near(open_image(out.getvalue()).pixels, quarters())


def test_ten_bits_become_eight():
    deep = (quarters().astype(np.uint16) << 8).astype("<u2")
    heif = pillow_heif.from_bytes(mode="RGB;16", size=(160, 96), data=deep.tobytes())
    out = io.BytesIO()
    heif.save(out, quality=95, chroma=444)
    near(open_image(out.getvalue()).pixels, quarters())


def test_a_large_heic_picture_is_refused_before_it_is_decoded():
    with pytest.raises(SourceTooLarge, match="160×96"):
        open_image(heic(quarters()), max_pixels=10_000)


def test_a_damaged_heic_picture_is_an_error_of_one_line():
    data = heic(quarters())
    for broken in (data[: len(data) // 2], data[:60], data.replace(b"hvcC", b"xxxx")):
        with pytest.raises(SourceError) as caught:
            open_image(broken)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(40))
def test_random_damage_to_a_heic_picture_gives_pixels_or_a_source_error(seed):
    rng = np.random.default_rng(seed)
    data = bytearray(heic(quarters(64, 64)))
    for at in rng.integers(0, len(data), 5):
        data[at] = rng.integers(256)
    with contextlib.suppress(SourceError):  # and nothing else
        assert open_image(bytes(data)).pixels.ndim == 3


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_display_p3_is_turned_to_srgb_in_every_kind(form):
    # Linear light through both matrices, and back: what a colour-managed viewer shows.
    light = (quarters() / 255.0) ** 2.2
    turn = np.linalg.inv(primaries(SRGB)) @ primaries(P3)
    shown = np.clip(light @ turn.T, 0, 1)
    curve = np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)
    wanted = np.rint(255 * curve)
    options = {"quality": 95, "subsampling": 0} if form == "JPEG" else {"quality": 95}
    found = open_image(
        encoded(quarters(), form, icc_profile=profile(P3, "Display P3"), **options)
    ).pixels
    near(found, wanted, 4.0)
    assert np.abs(found[8, 8].astype(int) - quarters()[8, 8]).max() > 10  # the red has changed


def test_a_heic_picture_of_display_p3_is_turned_too():
    data = heic(quarters(), icc_profile=profile(P3, "Display P3"))
    jpeg = encoded(
        quarters(), "JPEG", icc_profile=profile(P3, "Display P3"), quality=95, subsampling=0
    )
    near(open_image(data).pixels, open_image(jpeg).pixels.astype(int))


def test_srgb_and_damaged_profiles_leave_colours_as_they_are():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert is_srgb(srgb)
    assert is_srgb(None)
    assert not is_srgb(profile(P3, "Display P3"))
    plain = open_image(encoded(quarters(), "JPEG", quality=95)).pixels
    for given in (srgb, b"no profile at all", profile(P3, "Display P3")[:200]):
        data = encoded(quarters(), "JPEG", quality=95, icc_profile=given)
        assert np.array_equal(open_image(data).pixels, plain)


def test_a_profile_in_several_segments_is_put_together():
    long = profile(P3, "Display P3") + bytes(150_000)
    data = encoded(quarters(), "JPEG", icc_profile=long)
    assert jpeg_profile(data, jpeg_frame(data)[3]) == long
    assert jpeg_profile(encoded(quarters(), "JPEG"), 600) is None


def test_what_lies_behind_the_first_picture_is_left_aside():
    """A gain map or depth map as a second JPEG, and a clip, as telephones append them."""
    plain = encoded(quarters(), "JPEG", quality=95)
    second = encoded(quarters()[::-1], "JPEG", quality=95)
    clip = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(500)
    wanted = open_image(plain).pixels
    for behind in (second, clip, second + clip, bytes(1000)):
        assert np.array_equal(open_image(plain + behind).pixels, wanted)


def test_of_an_mpo_picture_the_first_is_judged():
    first, second = Image.fromarray(quarters()), Image.fromarray(quarters()[::-1])
    out = io.BytesIO()
    first.save(out, "MPO", save_all=True, append_images=[second], quality=95)
    near(open_image(out.getvalue()).pixels, quarters())


def test_a_cmyk_jpeg_keeps_its_colours():
    out = io.BytesIO()
    Image.fromarray(quarters()).convert("CMYK").save(out, "JPEG", quality=95)
    near(open_image(out.getvalue()).pixels, quarters())


def test_a_raw_file_is_not_judged_by_its_preview():
    ifd = struct.pack("<HHIIHHII", 254, 4, 1, 1, 330, 4, 1, 8)
    small = encoded(quarters(16, 16), "TIFF")
    order, count = "<", struct.unpack("<H", small[struct.unpack("<I", small[4:8])[0] :][:2])[0]
    at = struct.unpack("<I", small[4:8])[0]
    entries = small[at + 2 : at + 2 + 12 * count]
    more = ifd[:12] + entries + struct.pack(order + "HHII", 330, 4, 1, 8)
    rows = sorted((more[i : i + 12] for i in range(0, len(more), 12)), key=lambda e: e[:2][::-1])
    rows = [row for i, row in enumerate(rows) if i == 0 or row[:2] != rows[i - 1][:2]]
    data = small[:4] + struct.pack("<I", len(small)) + small[8:]
    data += struct.pack("<H", len(rows)) + b"".join(rows) + bytes(4)
    with pytest.raises(SourceError, match="raw"):
        open_image(data)
    near(open_image(small).pixels, quarters(16, 16), 1)


def test_pictures_and_their_smaller_decoding_have_the_same_colours(tmp_path):
    """The quick way through OpenCV and the turned profile also meet in a large JPEG."""
    large = cv2.resize(quarters(), (1600, 960), interpolation=cv2.INTER_NEAREST)
    data = encoded(large, "JPEG", icc_profile=profile(P3, "Display P3"), quality=95, subsampling=0)
    small = encoded(
        quarters(), "JPEG", icc_profile=profile(P3, "Display P3"), quality=95, subsampling=0
    )
    found = cv2.resize(open_image(data).pixels, (160, 96), interpolation=cv2.INTER_AREA)
    near(found, open_image(small).pixels.astype(int))


def boxed(name, *parts):
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + name + body


def boxes(data, at, end):
    while at + 8 <= end:
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], at + 8, at + size
        at += size


def grid(tiles, columns, width, height):
    """An HEIC file whose primary item puts others together (ISO/IEC 23008-12, 6.6.2.3)."""
    streams, properties = [], b""
    for tile in tiles:
        data = heic(tile)
        meta = next(x for x in boxes(data, 0, len(data)) if x[0] == b"meta")
        inner = {name: (at, end) for name, at, end in boxes(data, meta[1] + 4, meta[2])}
        at, end = next((a, e) for n, a, e in boxes(data, *inner[b"iprp"]) if n == b"ipco")
        configured = next((a, e) for n, a, e in boxes(data, at, end) if n == b"hvcC")
        properties = boxed(b"hvcC", data[slice(*configured)])
        start, stop = next((a, e) for n, a, e in boxes(data, 0, len(data)) if n == b"mdat")
        streams.append(data[start:stop])
    n, rows = len(tiles), len(tiles) // columns
    tile_h, tile_w = tiles[0].shape[:2]
    head = bytes([0, 0, rows - 1, columns - 1]) + struct.pack(">HH", width, height)
    items = range(1, n + 2)  # the grid is the last
    infos = [
        boxed(b"infe", b"\2\0\0\0", struct.pack(">HH", i, 0), b"grid" if i > n else b"hvc1", b"\0")
        for i in items
    ]
    ipco = boxed(
        b"ipco",
        properties,
        boxed(b"ispe", bytes(4), struct.pack(">II", tile_w, tile_h)),
        boxed(b"ispe", bytes(4), struct.pack(">II", width, height)),
    )
    owns = b"".join(
        struct.pack(">HB", i, 1) + b"\3" if i > n else struct.pack(">HB", i, 2) + b"\x81\2"
        for i in items
    )
    ipma = boxed(b"ipma", bytes(4), struct.pack(">I", n + 1), owns)
    iref = boxed(
        b"iref",
        bytes(4),
        boxed(b"dimg", struct.pack(">HH", n + 1, n), struct.pack(f">{n}H", *range(1, n + 1))),
    )

    def meta(first):
        places, at = b"", first
        for i, body in zip(items, [*streams, head], strict=True):
            places += struct.pack(">HHHII", i, 0, 1, at, len(body))
            at += len(body)
        return boxed(
            b"meta",
            bytes(4),
            boxed(b"hdlr", bytes(8), b"pict", bytes(13)),
            boxed(b"pitm", bytes(4), struct.pack(">H", n + 1)),
            boxed(b"iloc", bytes(4), b"\x44\0", struct.pack(">H", n + 1), places),
            boxed(b"iinf", bytes(4), struct.pack(">H", n + 1), *infos),
            iref,
            boxed(b"iprp", ipco, ipma),
        )

    brand = boxed(b"ftyp", b"heic", bytes(4), b"mif1heic")
    first = len(brand) + len(meta(0)) + 8
    return brand + meta(first) + boxed(b"mdat", *streams, head)


def test_the_tiles_of_a_grid_are_put_together_and_cut_to_size():
    """As telephones write them: the last column and row reach over the edge."""
    whole = cv2.resize(quarters(), (384, 256), interpolation=cv2.INTER_NEAREST)
    whole[100:140, 30:340] = (240, 200, 60)  # over the seams
    tiles = [
        whole[top : top + 128, left : left + 128] for top in (0, 128) for left in (0, 128, 256)
    ]
    data = grid(tiles, 3, 350, 240)
    near(open_image(data).pixels, whole[:240, :350])
    with pytest.raises(SourceTooLarge, match="350×240"):
        open_image(data, max_pixels=80_000)


def test_a_grid_that_lies_about_its_tiles_is_an_error():
    tiles = [quarters(128, 128)] * 4
    good = grid(tiles, 2, 256, 256)
    near(open_image(good).pixels[:128, :128], quarters(128, 128))
    at = good.rindex(struct.pack(">HH", 256, 256))
    for rows, columns, width, height in (
        (255, 255, 256, 256),
        (0, 0, 256, 256),
        (1, 1, 9000, 9000),
    ):
        lying = bytearray(good)
        lying[at - 2 : at] = bytes([rows, columns])
        lying[at : at + 4] = struct.pack(">HH", width, height)
        with pytest.raises(SourceError) as caught:
            open_image(bytes(lying))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "raised"),
    [
        ("Memory allocation error: Unspecified", MemoryError),
        ("Memory allocation error: Security limit exceeded: Image size", SourceError),
        ("Memory allocation error: Invalid image size: zero width or height", SourceError),
    ],
)
def test_too_little_memory_for_heic_is_not_called_damage(said, raised, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError(said)

    monkeypatch.setattr("pi_heif.open_heif", fails)
    with pytest.raises(raised):
        open_image(heic(quarters()))
