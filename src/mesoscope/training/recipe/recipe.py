"""Read a training recipe from TOML into a frozen dataclass; unknown keys are named."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mesoscope.errors import RecipeError
from mesoscope.files import recipe_file
from mesoscope.training.recipe.keys import (
    AugmentKeys,
    DataKeys,
    DecideKeys,
    DistilKeys,
    GeneraliseKeys,
    MixKeys,
    NetworkKeys,
    OptimiseKeys,
    SynthKeys,
)
from mesoscope.training.recipe.ranges import outside
from mesoscope.types.names import ARCHITECTURES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


__all__ = ["BLOCKS", "FEWEST_STAGES", "broken_rule"]


BLOCKS = (1, 2, 2, 3, 3, 4, 1)  # blocks of each stage of meso4_ira
FEWEST_STAGES = 2
MESONET_STAGES = 4  # of meso4 and mesoinception4
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def broken_rule(recipe: Recipe) -> str | None:
    """Return the first rule that a recipe breaks, in words; ``None`` if it keeps all."""
    far = outside(recipe.to_dict())
    if far:
        return far
    a, o, d, n = recipe.augment, recipe.optimise, recipe.data, recipe.network
    made = recipe.synth
    blocks = sum(BLOCKS[: len(n.widths)])
    stages = len(n.widths) if n.architecture == "meso4_ira" else MESONET_STAGES
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
            f"network.frozen_stages must be at most {stages}, as many as there are",
            n.frozen_stages <= stages,
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
            "self_blend, warped, reconstructed, averaged and swapped must be at most 1 together",
            a.self_blend + a.warped + a.reconstructed + a.averaged + a.swapped <= 1 + 1e-9,
        ),
        (
            "augment.autoencoders needs augment.reconstructed above 0",
            a.reconstructed > 0 or not a.autoencoders,
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
        (
            "generalise.consistency sees each crop twice: set mix.mixup and mix.cutmix to 0",
            recipe.generalise.consistency == 0 or recipe.mix.mixup == recipe.mix.cutmix == 0,
        ),
        ("optimise.loss must be 'bce' or 'mse'", o.loss in ("bce", "mse")),
        ("optimise.label_smoothing must lie in 0..0.5", 0 <= o.label_smoothing < 0.5),
        ("optimise.ema_decay must lie in 0..1", 0 <= o.ema_decay < 1),
        (
            "optimise.initial_share needs a run folder or a model as network.initial",
            not o.initial_share or n.initial not in ("random", "imagenet", "teacher"),
        ),
        (
            "optimise.initial_share exports the last epoch: leave optimise.patience out",
            not (o.initial_share and o.patience),
        ),
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
            "data.source_pairs and data.read = 'stream' both make the order: leave one out",
            not (d.source_pairs and d.read == "stream"),
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


# Keys of later versions: section, the deciding key, its value under the old behaviour, and the keys
# without effect then.
_LATER: tuple[tuple[str, str, object, tuple[str, ...]], ...] = (
    ("network", "channels", {}, ("channels",)),
    ("network", "frozen_stages", 0, ("frozen_stages",)),
    ("decide", "guard", True, ("guard",)),
    ("data", "read", "random", ("read", "buffer")),
    ("data", "pairs", False, ("pairs",)),
    ("data", "source_pairs", False, ("source_pairs",)),
    ("data", "face_margin", 1.3, ("face_margin",)),
    ("data", "further_margins", (), ("further_margins",)),
    ("augment", "crop_scale_max", 1, ("crop_scale_max",)),
    ("augment", "reframe", 0, ("reframe", "reframe_margin_min", "reframe_margin_max")),
    ("network", "stem_stride", 4, ("stem_stride",)),
    ("optimise", "initial_share", 0, ("initial_share",)),
    ("augment", "native", 0, ("native",)),
    ("augment", "window_px", 0, ("window_px",)),
    ("augment", "sharpen", 0, ("sharpen",)),
    ("augment", "smooth", 0, ("smooth",)),
    ("augment", "gamma", 0, ("gamma",)),
    ("augment", "webp", 0, ("webp",)),
    ("augment", "video", 0, ("video",)),
    ("augment", "hevc", 0, ("hevc",)),
    ("augment", "video_crf_max", 35, ("video_crf_max",)),
    ("augment", "full_chroma", 0, ("full_chroma",)),
    ("augment", "avif", 0, ("avif",)),
    ("augment", "messengers", 0, ("messengers",)),
    ("augment", "screenshot", 0, ("screenshot",)),
    ("augment", "warped", 0, ("warped",)),
    ("augment", "reconstructed", 0, ("reconstructed", "autoencoders")),
    ("augment", "averaged", 0, ("averaged",)),
    ("augment", "swapped", 0, ("swapped",)),
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """All settings of a training run, besides the data.

    Attributes:
        name: Name of the model.
        seed: Seed of all randomness.
        precision: ``32`` or ``bf16``.
        licence: Licence of the weights, for the card.
        notes: Further notes for the card, such as the terms of the training data.
    """

    name: str = "meso4"
    seed: int = 1
    precision: str = "32"
    licence: str = ""
    notes: str = ""
    network: NetworkKeys = field(default_factory=NetworkKeys)
    data: DataKeys = field(default_factory=DataKeys)
    augment: AugmentKeys = field(default_factory=AugmentKeys)
    synth: SynthKeys = field(default_factory=SynthKeys)
    mix: MixKeys = field(default_factory=MixKeys)
    distil: DistilKeys = field(default_factory=DistilKeys)
    generalise: GeneraliseKeys = field(default_factory=GeneraliseKeys)
    optimise: OptimiseKeys = field(default_factory=OptimiseKeys)
    decide: DecideKeys = field(default_factory=DecideKeys)

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain values."""
        return dataclasses.asdict(self)

    def sha256(self) -> str:
        """Return the digest of the resolved recipe.

        Keys of later versions are left out where they keep the old behaviour, so that earlier
        digests stay valid.
        """
        values = self.to_dict()
        for section, deciding, as_ever, names in _LATER:
            if values[section][deciding] == as_ever:
                for name in names:
                    del values[section][name]
        for section in ("synth", "generalise"):
            if not any(values[section].values()):
                del values[section]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def to_toml(self) -> str:
        """Return the resolved recipe as TOML, every key written out."""
        return recipe_file.to_toml(self.to_dict())


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply ``key=value`` overrides (dotted keys, TOML values).

    Raises:
        RecipeError: The file is missing or no TOML, a key is unknown (the nearest one is named), or
            a value has a wrong type or is out of range.
    """
    data = recipe_file.read_toml(path, missing="no such recipe: recipes/ holds the project's own")
    for override in overrides:
        _override(data, override)
    try:
        recipe = recipe_file.fill(Recipe, data, hint=_nearest)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error
    broken = broken_rule(recipe)
    if broken:
        raise RecipeError(f"{path}: {broken}")
    return recipe


def _override(data: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"`overrides` {text!r}: write key=value, as in optimise.epochs=3")
    parsed = recipe_file.parse_value(value)
    *sections, last = key.strip().split(".")
    for section in sections:
        data = data.setdefault(section, {})
        if not isinstance(data, dict):
            raise RecipeError(f"`overrides` {text!r}: {section} is a value, not a section")
    data[last] = parsed


def _nearest(key: str) -> str:
    recipe = Recipe().to_dict()
    known = [
        f"{top}.{sub}" if isinstance(value, dict) else top
        for top, value in recipe.items()
        for sub in (value if isinstance(value, dict) else [""])
    ]
    last = {k.rpartition(".")[2]: k for k in known}
    close = difflib.get_close_matches(key, [*recipe, *known], 1, 0.5) or [
        last[k] for k in difflib.get_close_matches(key.rpartition(".")[2], list(last), 1, 0.5)
    ]
    return f": did you mean {close[0]!r}?" if close else f": known are {', '.join(known)}"
