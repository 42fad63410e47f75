"""Make the picture of README.md, ``docs/images/two_people.webp``, by the shipped model.

.venv/bin/python samples/make_picture.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mesoscope import Detector
from mesoscope.draw import contact_strip, draw_timeline, most_suspicious
from mesoscope.evidence.explain import terms_of
from mesoscope.media.video import frames_at

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "samples/clips/two_people.mp4"
OUT = ROOT / "docs/images/two_people.webp"
WIDTH_PX, CHART_PX, GAP_PX = 1000, 250, 20


def main() -> None:
    """Two frames with boxes and evidence maps, and beside them the scores over time."""
    detector = Detector(heat=True)
    verdict, terms = detector.check(str(CLIP)), terms_of(detector)
    frames = frames_at(str(CLIP), most_suspicious(verdict, 2))
    strip = contact_strip(frames, verdict, width_px=WIDTH_PX, terms=terms)
    chart = draw_timeline(verdict, WIDTH_PX, CHART_PX, terms=terms)
    gap = np.full((GAP_PX, WIDTH_PX, 3), 255, np.uint8)
    OUT.parent.mkdir(exist_ok=True)
    Image.fromarray(np.concatenate([strip, gap, chart])).save(OUT, quality=80, method=6)


if __name__ == "__main__":
    main()
