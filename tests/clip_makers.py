"""Clips as people have them, made by PyAV: sound, timecode, covers, subtitles, odd pictures."""

import io
from fractions import Fraction

import av
import numpy as np

WIDTH, HEIGHT, FPS = 64, 48, 25
FRAGMENTS = "frag_keyframe+empty_moov"  # flags of an MP4 whose index lies among its packets


def moving(count, height=HEIGHT, width=WIDTH):
    """Pictures with shapes, so that a wrong one is told: each differs from all others."""
    y, x = np.mgrid[0:height, 0:width]
    for n in range(count):
        red, green = 4 * x + 5 * n, 5 * y + 3 * n
        blue = np.where((x - 2 * n) % width < 12, 220, 40)
        yield np.stack([red % 256, green % 256, blue], 2).astype(np.uint8)


def write(
    path,
    *,
    codec="libx264",
    count=30,
    pix_fmt="yuv420p",
    options=None,
    sound=None,
    sounds=1,
    second=False,
    cover=False,
    times=None,
    colours=None,
    rotate=None,
    form=None,
    container_options=None,
    tags=None,
    size=(HEIGHT, WIDTH),
):
    """Write a clip; ``sound`` is a codec's name, ``colours`` are fields of the encoder."""
    with av.open(str(path), "w", format=form, options=container_options or {}) as file:
        file.metadata.update(tags or {})
        stream = _video(file, codec, pix_fmt, options, size)
        for name, value in (colours or {}).items():
            setattr(stream.codec_context, name, value)
        if rotate is not None:
            stream.set_display_rotation(rotate)
        heard = [
            file.add_stream(sound, rate=44100, layout="mono") for _ in range(sounds if sound else 0)
        ]
        other = _video(file, codec, pix_fmt, options, (32, 32)) if second else None
        attached = None
        if cover:
            attached = _video(file, "mjpeg", "yuvj420p", None, (32, 32))
            attached.disposition = av.stream.Disposition.attached_pic
        for n, pixels in enumerate(moving(count, *size)):
            _put(file, stream, pixels, n if times is None else times[n], pix_fmt)
            if other is not None:
                _put(file, other, np.full((32, 32, 3), 8 * n, np.uint8), n, pix_fmt)
        for track in heard:
            _tone(file, track, count / FPS)
        if attached is not None:
            _put(file, attached, np.full((32, 32, 3), 255, np.uint8), 0, "yuvj420p")
        for track in [stream, *heard, *(t for t in (other, attached) if t is not None)]:
            file.mux(track.encode())
    return path


def _video(file, codec, pix_fmt, options, size):
    stream = file.add_stream(codec, rate=FPS, options=options or {})
    stream.height, stream.width = size
    stream.pix_fmt = pix_fmt
    stream.bit_rate = 2_000_000
    return stream


def _put(file, stream, pixels, time, pix_fmt):
    if pixels.shape[2] == 4 or "a" in pix_fmt:
        alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8)
        alpha[:, : pixels.shape[1] // 2] = 0
        frame = av.VideoFrame.from_ndarray(np.concatenate([pixels, alpha], 2), format="rgba")
    else:
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    frame.pts, frame.time_base = time, Fraction(1, FPS)
    file.mux(stream.encode(frame))


def _tone(file, stream, seconds):
    wave = np.sin(np.arange(round(seconds * 44100)) / 20).astype(np.float32) * 0.2
    size = stream.codec_context.frame_size or 1024
    form = stream.codec_context.format.name
    for start in range(0, len(wave) - size, size):
        part = wave[None, start : start + size]
        if form.startswith("s16"):
            part = (part * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(part, format=form, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 44100, start, Fraction(1, 44100)
        file.mux(stream.encode(frame))


SRT = b"1\n00:00:00,000 --> 00:00:00,400\nhello\n\n2\n00:00:00,500 --> 00:00:00,900\nworld\n\n"
ASS = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname\nStyle: D,Arial\n\n"
    b"[Events]\nFormat: Layer, Start, End, Style, Text\n"
    b"Dialogue: 0,0:00:00.00,0:00:00.40,D,hello\nDialogue: 0,0:00:00.50,0:00:00.90,D,world\n"
)


def with_subtitles(source, path, form):
    """The same streams, and a track of text beside them."""
    text = io.BytesIO(SRT if form == "srt" else ASS)
    with (
        av.open(str(source)) as old,
        av.open(text, format=form) as lines,
        av.open(str(path), "w") as new,
    ):
        tracks = {s.index: new.add_stream_from_template(s) for s in old.streams}
        track = new.add_stream_from_template(lines.streams[0])
        for packet in lines.demux():
            if packet.size:
                packet.stream = track
                new.mux(packet)
        for packet in old.demux():
            if packet.size:
                packet.stream = tracks[packet.stream.index]
                new.mux(packet)
    return path


def decoded_through(path):
    """What plain decoding from begin to end gives: seconds from the first, and RGB."""
    with av.open(str(path)) as file:
        stream = file.streams.best("video")
        frames = list(file.decode(stream))
        times = [float(f.pts * f.time_base) for f in frames]
        return [
            (t - times[0], f.to_ndarray(format="rgb24")) for t, f in zip(times, frames, strict=True)
        ]


def remux(source, path, movflags):
    """Copy the packets of the pictures into another MP4, and return its path."""
    with av.open(str(source)) as old, av.open(
        str(path), "w", container_options={"movflags": movflags}
    ) as new:  # fmt: skip
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    return path
