"""Drawing of verdicts: boxes, scores, evidence maps, timelines, as pure functions of RGB arrays."""

from mesoscope.draw.faces import draw_faces, square_of
from mesoscope.draw.heat import draw_heat, draw_scale
from mesoscope.draw.palette import Terms, clock, score_text
from mesoscope.draw.sheet import clip_sheet, picture_sheet
from mesoscope.draw.strip import contact_strip, faces_of, most_suspicious
from mesoscope.draw.timeline import draw_timeline

__all__ = [
    "Terms",
    "clip_sheet",
    "clock",
    "contact_strip",
    "draw_faces",
    "draw_heat",
    "draw_scale",
    "draw_timeline",
    "faces_of",
    "most_suspicious",
    "picture_sheet",
    "score_text",
    "square_of",
]
