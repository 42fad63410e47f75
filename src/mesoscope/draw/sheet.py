"""The sheet that explains a verdict: the faces, their scores, and where the model reacted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from mesoscope.draw.faces import draw_faces, margin_of, square_of
from mesoscope.draw.heat import draw_heat, draw_scale
from mesoscope.draw.palette import (
    ASCENT,
    BOLD,
    DESCENT,
    INK,
    LABELS,
    LINE,
    PAPER,
    QUIET,
    REGULAR,
    SCORED,
    UNFAMILIAR,
    Terms,
    clock,
    put_text,
    score_text,
    shorten,
    style_of,
    text_width,
    wrap,
)
from mesoscope.draw.strip import contact_strip, faces_of
from mesoscope.draw.timeline import draw_timeline
from mesoscope.faces.crop import crop
from mesoscope.files.escape import escape_text
from mesoscope.imaging.filters import scaled
from mesoscope.types.label import ANSWER_TEXTS, as_sentence, reason_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.draw.palette import Rgb
    from mesoscope.types import FaceScore, Frame, Pixels, Verdict

PANELS = 6  # number of faces with a panel, the most suspicious
_WIDTH, _PAD, _SIZE = 1200, 30, 20
_PICTURE = (700, 1140, 1000)  # of the displayed picture: minimum and maximum width, maximum height
_CROP_PX = 224
_CAVEAT = (
    "p_fake is this model's estimate that a face is forged, and no proof: it errs, most of all on "
    "kinds of pictures it was not trained on. Colours show where the model reacted, which need not "
    "be where a forgery is, and a face without colour is not thereby real."
)
_NOTHING = "This says nothing about whether the picture is genuine."
_SCALE = "How strongly a place speaks for fake (log-odds, were the whole face like it)"


class _Words(NamedTuple):
    """A paragraph of a sheet."""

    text: str
    size_px: int = _SIZE
    colour: Rgb = INK
    weight: int = REGULAR


def picture_sheet(
    frame: Frame,
    verdict: Verdict,
    *,
    terms: Terms | None = None,
    title: str | None = None,
    digest: str | None = None,
    crop_px: int = 256,
) -> Pixels:
    """Draw the sheet of a picture's verdict.

    From top to bottom: the verdict in words, the picture with its faces, the crops of the most
    suspicious faces without and with their evidence maps, the maps' scale, and a caveat.

    Args:
        frame: The judged picture.
        verdict: Its verdict, with evidence maps.
        terms: Thresholds and margins of the model.
        title: Title; by default the verdict's source.
        digest: SHA-256 of the file, printed below its name.
        crop_px: Side of the model's input.

    Returns:
        ``(h, 1200, 3) uint8``.
    """
    terms = terms or Terms()
    picture, scale = _fitted(frame.pixels)
    parts = [
        _heading(verdict, title, digest),
        _centred(draw_faces(picture, verdict, terms=terms, scale=scale)),
    ]
    if verdict.faces:
        parts += [_panels(frame, verdict, terms, crop_px), _legend(verdict, terms)]
    return _stacked([*parts, _caveat(verdict)])


def clip_sheet(
    frames: Sequence[Frame],
    verdict: Verdict,
    *,
    terms: Terms | None = None,
    title: str | None = None,
    digest: str | None = None,
    crop_px: int = 256,
) -> Pixels:
    """Draw the sheet of a clip's verdict.

    From top to bottom: the verdict in words, the most suspicious frames, the scores over time, the
    face with the highest score and its evidence map, the maps' scale, and a caveat.

    Args:
        frames: Frames of the clip, see :func:`mesoscope.draw.most_suspicious`; any frames if no
            face was judged.
        verdict: The clip's verdict, with evidence maps.
        terms: Thresholds and margins of the model.
        title: Title; by default the verdict's source.
        digest: SHA-256 of the file, printed below its name.
        crop_px: Side of the model's input.

    Returns:
        ``(h, 1200, 3) uint8``.
    """
    terms = terms or Terms()
    inner = _WIDTH - 2 * _PAD
    parts = [_heading(verdict, title, digest)]
    if frames:
        parts.append(_centred(contact_strip(frames, verdict, width_px=inner, terms=terms)))
    if verdict.faces:
        parts.append(_centred(draw_timeline(verdict, inner, 320, terms=terms)))
        with_faces = [frame for frame in frames if faces_of(frame, verdict)]
        if with_faces:
            highest = max(with_faces, key=lambda f: max(s.p_fake for s in faces_of(f, verdict)))
            parts.append(_panels(highest, verdict, terms, crop_px))
        parts.append(_legend(verdict, terms))
    return _stacked([*parts, _caveat(verdict)])


def _caveat(verdict: Verdict) -> Pixels:
    return _paragraphs([_Words(_CAVEAT if verdict.faces else _NOTHING, 16, QUIET)])


def _fitted(pixels: Pixels) -> tuple[Pixels, float]:
    """Resize the picture to its displayed size; also return the scale."""
    height, width = pixels.shape[:2]
    min_width, max_width, max_height = _PICTURE
    scale = min(max(1.0, min_width / width), max_width / width, max_height / height)
    return scaled(pixels, scale), scale


def _heading(verdict: Verdict, title: str | None, digest: str | None) -> Pixels:
    """Draw the label on its colour, the score, the source, the reason and the origin."""
    style = LABELS.get(verdict.label or "", SCORED)
    if verdict.reason == "unfamiliar":
        style = UNFAMILIAR
    word = verdict.label or "no verdict"
    size, inner = 40, _WIDTH - 2 * _PAD
    wide = text_width(word, size, BOLD) + size
    high = round(1.5 * size)
    top = np.full((high, inner, 3), PAPER, np.uint8)
    cv2.rectangle(top, (0, 0), (wide, high - 1), style.plate, -1)
    baseline = round(high / 2 + size * 0.34)
    put_text(top, word, size // 2, baseline, size_px=size, colour=style.ink, weight=BOLD)
    if verdict.p_fake is not None:
        score = f"p_fake {score_text(verdict.p_fake)}"
        put_text(top, score, wide + size // 2, baseline, size_px=30, colour=INK)
    name = shorten(escape_text(title or verdict.source), 24, inner, BOLD)
    texts = [_Words(name, 24, INK, BOLD)]
    texts.append(_Words(as_sentence(reason_text(verdict.reason) or ANSWER_TEXTS[verdict.answer])))
    texts += [_Words(f"Note: {escape_text(note)}.") for note in verdict.notes]
    texts.append(_Words(_origin(verdict), 16, QUIET))
    if digest:
        texts.append(_Words(f"SHA-256 of the file {digest}", 16, QUIET))
    return _stacked([_centred(top), _paragraphs(texts)], gap=10, border=0)


def _origin(verdict: Verdict) -> str:
    """Return model, finder and counts in one line."""
    several = len(verdict.faces) != 1
    parts = [f"model {verdict.model}"]
    if verdict.finder:
        parts.append(f"face finder {verdict.finder}")
    if verdict.kind == "clip":
        if verdict.duration_s is not None:
            parts.append(f"{clock(verdict.duration_s, digits=1)} long")
        parts.append(f"{verdict.frames_read} frames read")
        count = len({face.person for face in verdict.faces})
        parts.append(f"{count} {'person' if count == 1 else 'persons'}")
    elif verdict.faces:
        parts.append(f"{len(verdict.faces)} {'faces' if several else 'face'} judged")
    if verdict.skipped:
        parts.append(f"{len(verdict.skipped)} too small to be judged")
    return "   ·   ".join(parts)


def _panels(frame: Frame, verdict: Verdict, terms: Terms, crop_px: int) -> Pixels:
    """Draw the crops of a frame's most suspicious faces, without and with their maps."""
    faces = faces_of(frame, verdict) if verdict.kind == "clip" else list(verdict.faces)
    shown = sorted(faces, key=lambda face: -face.p_fake)[:PANELS]
    rows = []
    for at in range(0, len(shown), 2):
        pair = [_panel(frame, face, verdict, terms, crop_px) for face in shown[at : at + 2]]
        row = np.full((pair[0].shape[0], _WIDTH, 3), PAPER, np.uint8)
        for number, panel in enumerate(pair):
            left = _PAD + number * (_WIDTH - 2 * _PAD + 20) // 2
            row[:, left : left + panel.shape[1]] = panel
        rows.append(row)
    others = len(faces) - len(shown)
    if others:
        rows.append(_paragraphs([_Words(f"and {others} more, all less suspicious", colour=QUIET)]))
    return _stacked(rows, gap=16, border=0)


def _panel(frame: Frame, face: FaceScore, verdict: Verdict, terms: Terms, crop_px: int) -> Pixels:
    """Draw one face: crop, crop with map, and its text below."""
    margin = margin_of(face, verdict, terms)
    input_crop = crop(frame.pixels, face.box, margin=margin, size_px=crop_px)
    size = (_CROP_PX, _CROP_PX)
    wide = (_WIDTH - 2 * _PAD) // 2 - 20  # the text may be wider than the two crops
    panel = np.full((_CROP_PX + round(3.3 * _SIZE), wide, 3), PAPER, np.uint8)
    plain = np.asarray(cv2.resize(input_crop, size, interpolation=cv2.INTER_AREA), np.uint8)
    panel[:_CROP_PX, :_CROP_PX] = plain
    if face.heat is None:
        put_text(panel, "no map", _CROP_PX + 20, 40, size_px=16, colour=QUIET)
    else:
        panel[:_CROP_PX, _CROP_PX + 8 : 2 * _CROP_PX + 8] = draw_heat(plain, face.heat)
    style = style_of(face, verdict, terms)
    if verdict.kind == "clip":
        name = f"person {face.person + 1} at {clock(face.time_s or 0)}"
    else:
        number = f"{verdict.faces.index(face) + 1}  " if len(verdict.faces) > 1 else ""
        name = number + style.word
    baseline = _CROP_PX + round(1.4 * _SIZE)
    text = shorten(f"{name}   p_fake {score_text(face.p_fake)}", _SIZE, wide - 20, BOLD)
    cv2.rectangle(panel, (0, _CROP_PX + 12), (10, baseline + 3), style.plate, -1)
    put_text(panel, text, 18, baseline, size_px=_SIZE, colour=INK, weight=BOLD)
    details = _details(frame, face, verdict, terms)
    put_text(panel, shorten(details, 16, wide - 18), 18, baseline + 24, size_px=16, colour=QUIET)
    return panel


def _details(frame: Frame, face: FaceScore, verdict: Verdict, terms: Terms) -> str:
    """Return a face's size, unfamiliarity and mirrored border in one line."""
    x1, y1, x2, y2 = face.box
    parts = [f"{round(x2 - x1)}×{round(y2 - y1)} px"]
    if face.unfamiliar is not None and terms.guard is not None:
        limit = terms.guard.unfamiliar_above
        parts.append(f"unfamiliar {face.unfamiliar:.2f} (limit {limit:g})")
    left, top, side = square_of(face, verdict, terms)
    height, width = frame.pixels.shape[:2]
    if left < 0 or top < 0 or left + side > width or top + side > height:
        parts.append("mirrored at the border")
    return " · ".join(parts)


def _legend(verdict: Verdict, terms: Terms) -> Pixels:
    """Draw the colour bar of the maps, and the thresholds."""
    size, inner = 16, _WIDTH - 2 * _PAD
    legend = np.full((round(4.2 * size), inner, 3), PAPER, np.uint8)
    put_text(legend, shorten(_SCALE, size, 600), 0, size, size_px=size, colour=QUIET)
    scale = draw_scale(480, size)
    legend[round(1.6 * size) : round(1.6 * size) + scale.shape[0], : scale.shape[1]] = scale
    if terms.thresholds is not None and verdict.faces:
        cuts = terms.thresholds
        texts = (
            f"fake: p_fake from {cuts.fake_above:.2f} on",
            f"real: p_fake below {cuts.real_below:.2f}",
        )
        for number, text in enumerate(texts):
            put_text(legend, text, 680, size + number * 24, size_px=size, colour=QUIET)
    return _centred(legend)


def _paragraphs(texts: Sequence[_Words]) -> Pixels:
    """Draw paragraphs, wrapped at the sheet's width."""
    inner = _WIDTH - 2 * _PAD
    lines = [
        (line, words)
        for words in texts
        for line in wrap(words.text, words.size_px, inner, words.weight)
    ]
    high = sum(round(words.size_px * LINE) for _, words in lines) + round(DESCENT * _SIZE)
    block = np.full((high, inner, 3), PAPER, np.uint8)
    y = 0
    for line, words in lines:
        baseline = y + round(words.size_px * (ASCENT + (LINE - ASCENT - DESCENT) / 2))
        put_text(
            block, line, 0, baseline, size_px=words.size_px, colour=words.colour,
            weight=words.weight,
        )  # fmt: skip
        y += round(words.size_px * LINE)
    return _centred(block)


def _centred(part: Pixels) -> Pixels:
    """Centre a part on a row of the sheet's width."""
    row = np.full((part.shape[0], _WIDTH, 3), PAPER, np.uint8)
    left = (_WIDTH - part.shape[1]) // 2
    row[:, left : left + part.shape[1]] = part
    return row


def _stacked(parts: Sequence[Pixels], *, gap: int = 24, border: int = _PAD) -> Pixels:
    """Stack parts of the sheet's width vertically."""
    high = sum(part.shape[0] for part in parts) + gap * (len(parts) - 1) + 2 * border
    sheet = np.full((high, _WIDTH, 3), PAPER, np.uint8)
    y = border
    for part in parts:
        sheet[y : y + part.shape[0]] = part
        y += part.shape[0] + gap
    return sheet
