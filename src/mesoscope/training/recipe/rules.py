"""What a recipe's values must keep to, apart from their types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mesoscope.training.recipe.ranges import outside
from mesoscope.types.architectures import ARCHITECTURES

if TYPE_CHECKING:
    from mesoscope.training.recipe.recipe import Recipe

__all__ = ["BLOCKS", "FEWEST_STAGES", "broken_rule"]

BLOCKS = (1, 2, 2, 3, 3, 4, 1)  # of each stage of meso4_ira
FEWEST_STAGES = 2
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def broken_rule(recipe: Recipe) -> str | None:
    """The first rule that a recipe breaks, in words; ``None`` where it keeps them all."""
    far = outside(recipe.to_dict())
    if far:
        return far
    a, o, d, n = recipe.augment, recipe.optimise, recipe.data, recipe.network
    made = recipe.synth
    blocks = sum(BLOCKS[: len(n.widths)])
    rules = [
        ("name must be letters a to z, digits, - or _", bool(_NAME.fullmatch(recipe.name))),
        ("precision must be '32' or 'bf16'", recipe.precision in ("32", "bf16")),
        (
            f"network.architecture must be one of {', '.join(ARCHITECTURES)}",
            n.architecture in ARCHITECTURES,
        ),
        ("network.dropout must lie in 0..1", 0 <= n.dropout < 1),
        (
            "network.initial must be 'random', 'imagenet', 'teacher' or a run folder",
            bool(n.initial.strip()),
        ),
        (
            f"network.initial = {n.initial!r} is for the architecture meso4_ira",
            n.initial not in ("imagenet", "teacher") or n.architecture == "meso4_ira",
        ),
        (
            "network.initial = 'teacher' needs distil.teacher",
            n.initial != "teacher" or bool(recipe.distil.teacher),
        ),
        ("network.stem_stride must be 2 or 4", n.stem_stride in (2, 4)),
        (
            "augment.window_px must be 0, or 32 to 256 in steps of 32",
            a.window_px == 0 or (32 <= a.window_px <= 256 and a.window_px % 32 == 0),
        ),
        (
            "augment.window_px is for the architecture meso4_ira",
            a.window_px == 0 or n.architecture == "meso4_ira",
        ),
        (
            f"network.widths must be {FEWEST_STAGES} to {len(BLOCKS)} numbers from 1 on",
            FEWEST_STAGES <= len(n.widths) <= len(BLOCKS) and min(n.widths, default=0) > 0,
        ),
        (
            f"network.expanded must be {blocks - 1} numbers from 1 on for these widths",
            len(n.expanded) == blocks - 1 and min(n.expanded, default=0) > 0,
        ),
        (
            "network.attention must be 'none', 'se', 'eca' or 'cbam'",
            n.attention in ("none", "se", "eca", "cbam"),
        ),
        (
            "synth.blend and synth.edit must not be negative, and at most 0.5 together",
            min(made.blend, made.edit, 0.5 - made.blend - made.edit) >= -1e-9,
        ),
        (
            "augment.reframe_margin_min must lie in 0.5..4",
            0.5 <= a.reframe_margin_min <= 4,
        ),
        (
            "augment.reframe_margin_max must lie in reframe_margin_min..4",
            a.reframe_margin_min <= a.reframe_margin_max <= 4,
        ),
        (
            "mix.mixup and mix.cutmix must not be negative, and at most 1 together",
            min(recipe.mix.mixup, recipe.mix.cutmix, 1 - recipe.mix.mixup - recipe.mix.cutmix) >= 0,
        ),
        ("optimise.loss must be 'bce' or 'mse'", o.loss in ("bce", "mse")),
        ("optimise.label_smoothing must lie in 0..0.5", 0 <= o.label_smoothing < 0.5),
        ("optimise.ema_decay must lie in 0..1", 0 <= o.ema_decay < 1),
        (
            "data.further_margins must be at most 8 numbers in 1..4",
            len(d.further_margins) <= 8 and all(1 <= m <= 4 for m in d.further_margins),
        ),
        ("data.read must be 'random' or 'stream'", d.read in ("random", "stream")),
        (
            "data.pairs and data.read = 'stream' both make the order: leave one out",
            not (d.pairs and d.read == "stream"),
        ),
        (
            "decide.calibration must be 'platt' or 'temperature'",
            recipe.decide.calibration in ("platt", "temperature"),
        ),
        (
            "decide.rule must be 'target_error' or 'half_error'",
            recipe.decide.rule in ("target_error", "half_error"),
        ),
        ("decide.least_decided must lie in 0..1", 0 < recipe.decide.least_decided <= 1),
        ("decide.target_error must lie in 0..0.5", 0 < recipe.decide.target_error <= 0.5),
    ]
    return next((rule for rule, holds in rules if not holds), None)
