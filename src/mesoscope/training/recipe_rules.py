"""What a recipe's values must keep to, apart from their types."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mesoscope.training.recipe import Recipe

__all__ = ["ARCHITECTURES", "BLOCKS", "FEWEST_STAGES", "broken_rule"]

# The keys of nets.NETWORKS, known without torch.
ARCHITECTURES = ("meso4", "mesoinception4", "meso4_ira")
BLOCKS = (1, 2, 2, 3, 3, 4, 1)  # of each stage of meso4_ira
FEWEST_STAGES = 2
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def broken_rule(recipe: Recipe) -> str | None:
    """The first rule that a recipe breaks, in words; ``None`` where it keeps them all."""
    a, o, d, n = recipe.augment, recipe.optimise, recipe.data, recipe.network
    made = recipe.synth
    blocks = sum(BLOCKS[: len(n.widths)])
    chances = (
        "flip", "colour", "rescale", "blur", "noise", "jpeg", "self_blend", "reframe", "native",
        "sharpen", "smooth", "gamma", "webp", "video",
    )  # fmt: skip
    rules = [(f"augment.{k} must lie in 0..1", 0 <= getattr(a, k) <= 1) for k in chances]
    rules += [(f"{k} must be finite", math.isfinite(v)) for k, v in _floats(recipe.to_dict())]
    rules += [
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
        ("network.stem must be at least 1", n.stem >= 1),
        ("network.stem_stride must be 2 or 4", n.stem_stride in (2, 4)),
        (
            "augment.window_px must be 0, or 32 to 256 in steps of 32",
            a.window_px == 0 or (32 <= a.window_px <= 256 and a.window_px % 32 == 0),
        ),
        (
            "augment.window_px is for the architecture meso4_ira",
            a.window_px == 0 or n.architecture == "meso4_ira",
        ),
        ("network.stem_residuals must not be negative", n.stem_residuals >= 0),
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
        ("augment.crop_scale_min must lie in 0.1..1", 0.1 <= a.crop_scale_min <= 1),
        ("augment.crop_scale_max must lie in 1..2", 1 <= a.crop_scale_max <= 2),
        (
            "augment.reframe_margin_min must lie in 0.5..4",
            0.5 <= a.reframe_margin_min <= 4,
        ),
        (
            "augment.reframe_margin_max must lie in reframe_margin_min..4",
            a.reframe_margin_min <= a.reframe_margin_max <= 4,
        ),
        ("augment.rescale_min must lie in 0.05..1", 0.05 <= a.rescale_min <= 1),
        ("augment.colour_strength must lie in 0..1", 0 <= a.colour_strength <= 1),
        ("augment.blur_sigma_max_px must lie in 0.1..20", 0.1 <= a.blur_sigma_max_px <= 20),
        ("augment.noise_sigma_max must lie in 0..100", 0 <= a.noise_sigma_max <= 100),
        ("augment.jpeg_quality_min must lie in 1..100", 1 <= a.jpeg_quality_min <= 100),
        (
            "mix.mixup and mix.cutmix must not be negative, and at most 1 together",
            min(recipe.mix.mixup, recipe.mix.cutmix, 1 - recipe.mix.mixup - recipe.mix.cutmix) >= 0,
        ),
        ("distil.share must lie in 0..1", 0 <= recipe.distil.share <= 1),
        ("optimise.epochs must be at least 1", o.epochs >= 1),
        ("optimise.batch_size must be at least 2", o.batch_size >= 2),
        ("optimise.learning_rate must be positive", o.learning_rate > 0),
        ("optimise.weight_decay must not be negative", o.weight_decay >= 0),
        ("optimise.warmup_epochs must not be negative", o.warmup_epochs >= 0),
        ("optimise.loss must be 'bce' or 'mse'", o.loss in ("bce", "mse")),
        ("optimise.label_smoothing must lie in 0..0.5", 0 <= o.label_smoothing < 0.5),
        ("optimise.ema_decay must lie in 0..1", 0 <= o.ema_decay < 1),
        ("optimise.patience must not be negative", o.patience >= 0),
        ("data.images_per_epoch must not be negative", d.images_per_epoch >= 0),
        ("data.source_power must lie in 0..1", 0 <= d.source_power <= 1),
        ("data.crop_margin must lie in 1..3", 1 <= d.crop_margin <= 3),
        ("data.face_margin must lie in 1..4", 1 <= d.face_margin <= 4),
        (
            "data.further_margins must be at most 8 numbers in 1..4",
            len(d.further_margins) <= 8 and all(1 <= m <= 4 for m in d.further_margins),
        ),
        ("data.read must be 'random' or 'stream'", d.read in ("random", "stream")),
        ("data.buffer must be at least 1", d.buffer >= 1),
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


def _floats(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _floats(value, f"{key}.")
        elif isinstance(value, float):
            yield prefix + key, value
