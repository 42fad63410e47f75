"""A training recipe: TOML in, one frozen dataclass out; what does not belong is named."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mesoscope.errors import RecipeError
from mesoscope.files import recipe_file
from mesoscope.training.recipe.keys import (
    AugmentKeys,
    DataKeys,
    DecideKeys,
    DistilKeys,
    MixKeys,
    NetworkKeys,
    OptimiseKeys,
    SynthKeys,
)
from mesoscope.training.recipe.rules import broken_rule

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


# Keys that later versions added: section, the key that decides, what it says where all is as it
# ever was, and the keys that say nothing then.
_LATER: tuple[tuple[str, str, object, tuple[str, ...]], ...] = (
    ("network", "channels", {}, ("channels",)),
    ("decide", "guard", True, ("guard",)),
    ("data", "read", "random", ("read", "buffer")),
    ("data", "pairs", False, ("pairs",)),
    ("data", "face_margin", 1.3, ("face_margin",)),
    ("data", "further_margins", (), ("further_margins",)),
    ("augment", "crop_scale_max", 1, ("crop_scale_max",)),
    ("augment", "reframe", 0, ("reframe", "reframe_margin_min", "reframe_margin_max")),
    ("network", "stem_stride", 4, ("stem_stride",)),
    ("augment", "native", 0, ("native",)),
    ("augment", "window_px", 0, ("window_px",)),
    ("augment", "sharpen", 0, ("sharpen",)),
    ("augment", "smooth", 0, ("smooth",)),
    ("augment", "gamma", 0, ("gamma",)),
    ("augment", "webp", 0, ("webp",)),
    ("augment", "video", 0, ("video",)),
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides what comes out of a training run, besides the data.

    Attributes:
        name: Of the model.
        seed: Of everything random.
        precision: ``32`` or ``bf16``.
        licence: Of the weights, for the card.
        notes: What else the card should say, such as the terms of the training data.
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
    optimise: OptimiseKeys = field(default_factory=OptimiseKeys)
    decide: DecideKeys = field(default_factory=DecideKeys)

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values."""
        return dataclasses.asdict(self)

    def sha256(self) -> str:
        """Digest of the resolved recipe.

        What later versions added is left out where it says what was always done, so that digests
        of before stay true.
        """
        values = self.to_dict()
        for section, deciding, as_ever, names in _LATER:
            if values[section][deciding] == as_ever:
                for name in names:
                    del values[section][name]
        if not any(values["synth"].values()):
            del values["synth"]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def to_toml(self) -> str:
        """The resolved recipe as TOML, every key written out."""
        return recipe_file.to_toml(self.to_dict())


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply ``key=value`` overrides (dotted keys, TOML values).

    Raises:
        RecipeError: No such file, not TOML, an unknown key (with the nearest right one), a wrong
            type, a value out of range.
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
