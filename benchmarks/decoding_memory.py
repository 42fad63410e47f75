"""Peak memory of decoding the worst small pictures of 119 megapixels, on one thread and on four."""

from __future__ import annotations

import subprocess
import sys
import zlib

from measure import Bound, Row, parser, rounds, run, say, workplace

SIDE = 10_900  # 118.8 megapixels; the limit is 120
GIB = 1 << 30
CHILD = """
import re, sys
from concurrent.futures import ThreadPoolExecutor
from mesoscope.media.image import open_image
def peak():  # ru_maxrss would begin at what the parent had when it forked
    return int(re.search("VmHWM:[^0-9]+([0-9]+)", open("/proc/self/status").read())[1])
before = peak()
n = int(sys.argv[2])
with ThreadPoolExecutor(n) as pool:
    for _ in pool.map(lambda path: open_image(path).pixels.shape, [sys.argv[1]] * n):
        pass
print((peak() - before) / 1024)
"""
PNGS = {  # colour type, bits a sample, interlaced, bytes a pixel
    "png-rgba": (6, 8, 0, 4),
    "png-rgba-interlaced": (6, 8, 1, 4),
    "png-palette-transparent": (3, 8, 0, 1),
    "png-grey-16": (0, 16, 0, 2),
    "png-rgba-16": (6, 16, 0, 8),
}
WRITTEN = {  # Pillow's format, mode, options
    "gif": ("GIF", "P", {}),
    "webp-lossless": ("WEBP", "RGB", {"lossless": True, "method": 0}),
    "tiff-lzw-rgba": ("TIFF", "RGBA", {"compression": "tiff_lzw"}),
    "webp-lossless-rgba": ("WEBP", "RGBA", {"lossless": True, "method": 0}),
    "jpeg-progressive": ("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
    "jpeg-progressive-cmyk": ("JPEG", "CMYK", {"progressive": True}),
    "avif-rgba": ("AVIF", "RGBA", {"speed": 10, "quality": 30}),
    "avif": ("AVIF", "RGB", {"speed": 10, "quality": 30}),
}


def options():
    made = parser("decoding_memory", __doc__.splitlines()[0])
    made.set_defaults(rounds=1)
    made.add_argument("--kinds", nargs="*", default=[*PNGS, *WRITTEN, "heic"])
    return made


def bench(chosen, conditions) -> list[Row]:
    import PIL

    conditions.add({"pillow": PIL.__version__})
    side = 4_000 if chosen.quick else SIDE
    rows = []
    with workplace() as work:
        for kind in chosen.kinds:
            path = work / kind
            path.write_bytes(picture(kind, side))
            kilobytes = path.stat().st_size / 1e3
            measured = rounds(
                {n: lambda n=n, path=path: peak(path, n) for n in (1, 4)}, chosen.rounds, say
            )
            rows.append(
                Row(
                    "decoding_memory", f"{kind} of {side * side / 1e6:.0f} megapixels", "MiB",
                    measured[4], measured[1], "one thread", n=4,
                    asked=Bound("ours", "≤", bound(side)), model="",
                    how=f"a file of {kilobytes:,.0f} kB read by four threads, growth of the "
                    "highest resident size, a new process each time",
                    data="made here, of one colour",
                )
            )  # fmt: skip
            path.unlink()
    return rows


def bound(side: int) -> float:
    """MiB that four threads may take: one decoding, at 16 bytes a pixel at most, three finished."""
    return (1.05 * max(GIB, 16 * side * side) + 3 * 3 * side * side) / (1 << 20)


def peak(path, threads: int) -> float:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, path, str(threads)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout)


def picture(kind: str, side: int) -> bytes:
    """A picture of one colour, in its file's bytes."""
    if kind in PNGS:
        return png(side, *PNGS[kind])
    import io

    from PIL import Image

    out = io.BytesIO()
    if kind == "heic":
        import pillow_heif

        plain = Image.new("RGB", (side, side))
        pillow_heif.from_pillow(plain).save(out, quality=10)
    else:
        form, mode, how = WRITTEN[kind]
        Image.new(mode, (side, side)).save(out, form, **how)
    return out.getvalue()


def png(side: int, colour: int, bits: int, interlaced: int, pixel_bytes: int) -> bytes:
    """Written row by row, so that the writer takes no memory."""
    passes = [(0, 0, 1, 1)]
    if interlaced:  # Adam7: first column, first row, steps
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]  # fmt: skip  # noqa: E501
    packer, parts = zlib.compressobj(9), []
    for left, top, across, down in passes:
        row = bytes(1 + pixel_bytes * len(range(left, side, across)))
        parts += [packer.compress(row) for _ in range(top, side, down)]
    parts.append(packer.flush())

    def chunk(name, data):
        body = name + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    head = side.to_bytes(4, "big") * 2 + bytes((bits, colour, 0, 0, interlaced))
    palette = chunk(b"PLTE", bytes(6)) + chunk(b"tRNS", b"\0") if colour == 3 else b""
    body = chunk(b"IHDR", head) + palette + chunk(b"IDAT", b"".join(parts)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
