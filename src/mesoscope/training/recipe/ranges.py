"""The range of each number in a recipe.

Values beyond the upper ends are typing errors: no machine trains a stem of 100,000 filters.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


__all__ = ["RANGES", "numbers", "outside"]


_CHANCE = (0.0, 1.0)
RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**31 - 1),
    "network.dropout": (0, 0.99),
    "network.stem": (1, 4096),
    "network.stem_stride": (2, 4),
    "network.stem_residuals": (0, 512),
    "network.widths": (1, 4096),
    "network.expanded": (1, 16_384),
    "network.channels": (1, 16_384),
    "network.frozen_stages": (0, 7),
    "data.images_per_epoch": (0, 10**9),
    "data.source_power": _CHANCE,
    "data.crop_margin": (1, 3),
    "data.face_margin": (1, 4),
    "data.further_margins": (1, 4),
    "data.buffer": (1, 10**6),
    "augment.crop_scale_min": (0.1, 1),
    "augment.crop_scale_max": (1, 2),
    "augment.reframe": _CHANCE,
    "augment.reframe_margin_min": (0.5, 4),
    "augment.reframe_margin_max": (0.5, 4),
    "augment.flip": _CHANCE,
    "augment.colour": _CHANCE,
    "augment.colour_strength": (0, 1),
    "augment.rescale": _CHANCE,
    "augment.rescale_min": (0.05, 1),
    "augment.blur": _CHANCE,
    "augment.blur_sigma_max_px": (0.1, 20),
    "augment.noise": _CHANCE,
    "augment.noise_sigma_max": (0, 100),
    "augment.jpeg": _CHANCE,
    "augment.jpeg_quality_min": (1, 100),
    "augment.native": _CHANCE,
    "augment.window_px": (0, 256),
    "augment.sharpen": _CHANCE,
    "augment.smooth": _CHANCE,
    "augment.gamma": _CHANCE,
    "augment.webp": _CHANCE,
    "augment.video": _CHANCE,
    "augment.hevc": _CHANCE,
    "augment.video_crf_max": (18, 51),
    "augment.full_chroma": _CHANCE,
    "augment.avif": _CHANCE,
    "augment.messengers": _CHANCE,
    "augment.screenshot": _CHANCE,
    "augment.self_blend": _CHANCE,
    "augment.warped": _CHANCE,
    "augment.reconstructed": _CHANCE,
    "augment.averaged": _CHANCE,
    "augment.swapped": _CHANCE,
    "synth.blend": (0, 0.5),
    "synth.edit": (0, 0.5),
    "mix.mixup": _CHANCE,
    "mix.cutmix": _CHANCE,
    "distil.share": _CHANCE,
    "generalise.mixstyle": _CHANCE,
    "generalise.sam_radius": (0, 10),
    "generalise.worst_group": (0, 10),
    "generalise.contrastive": (0, 100),
    "generalise.consistency": (0, 100),
    "optimise.epochs": (1, 100_000),
    "optimise.batch_size": (2, 65_536),
    "optimise.learning_rate": (1e-9, 10),
    "optimise.weight_decay": (0, 10),
    "optimise.warmup_epochs": (0, 100_000),
    "optimise.label_smoothing": (0, 0.49),
    "optimise.ema_decay": (0, 0.999999),
    "optimise.initial_share": (0, 1),
    "optimise.patience": (0, 100_000),
    "decide.target_error": (1e-6, 0.5),
    "decide.least_decided": (1e-6, 1),
}


def outside(values: Mapping[str, Any]) -> str | None:
    """Return the first number outside its range, in words; ``None`` if all are within.

    Args:
        values: A recipe as nested values.
    """
    for key, value in numbers(values):
        if not math.isfinite(value):
            return f"{key} must be finite, got {value}"
        low, high = RANGES.get(key, (-math.inf, math.inf))
        if not low <= value <= high:
            return f"{key} must lie in {low:.10g}..{high:.10g}, got {value:.10g}"
    return None


def numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield every number with its dotted key; those of a list or a table of counts have its key."""
    for name, value in values.items():
        key = prefix + name
        if isinstance(value, dict) and key != "network.channels":
            yield from numbers(value, f"{key}.")
            continue
        many = value.values() if isinstance(value, dict) else value
        for one in many if isinstance(value, dict | tuple) else (value,):
            if type(one) in (int, float):
                yield key, one
