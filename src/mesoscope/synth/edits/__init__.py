"""Simulated photo edits of faces: :func:`edit`, and each edit as a function.

All functions are pure and thread-safe: the same picture, landmarks and generator state give the
same forgery.
"""

from __future__ import annotations

from mesoscope.synth.edits.light import dodge_burn, whiten
from mesoscope.synth.edits.liquify import liquify, neutral_warp
from mesoscope.synth.edits.maker import edit, twin
from mesoscope.synth.edits.recipe import EDITS, PARTS, STRENGTHS, EditRecipe, Span, read_edit_recipe
from mesoscope.synth.edits.skin import clone, inpaint, retouch
from mesoscope.synth.edits.splice import Donor, splice

__all__ = [
    "EDITS",
    "PARTS",
    "STRENGTHS",
    "Donor",
    "EditRecipe",
    "Span",
    "clone",
    "dodge_burn",
    "edit",
    "inpaint",
    "liquify",
    "neutral_warp",
    "read_edit_recipe",
    "retouch",
    "splice",
    "twin",
    "whiten",
]
