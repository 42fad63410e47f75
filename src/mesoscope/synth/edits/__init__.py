"""What people do to faces in Photoshop, in code: :func:`edit`, and each edit by itself.

All functions here are pure: the same picture, landmarks and state of the generator give the same
forgery, and they may run in any number of threads.
"""

from __future__ import annotations

from mesoscope.synth.edits.forge import edit, twin
from mesoscope.synth.edits.light import dodge_burn, whiten
from mesoscope.synth.edits.liquify import liquify, neutral_warp
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
