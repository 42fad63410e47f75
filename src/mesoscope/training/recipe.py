"""A training recipe: TOML in, one frozen dataclass out; what does not belong is named."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import sys
import typing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mesoscope.errors import RecipeError
from mesoscope.training.recipe_rules import broken_rule

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class NetworkKeys:
    """``[network]``; all but the first two are of ``meso4_ira`` alone.

    Attributes:
        architecture: ``meso4``, ``mesoinception4`` or ``meso4_ira``.
        dropout: Share of values dropped before each dense layer.
        initial: ``random``, ``imagenet`` for filters learnt there, or ``teacher`` for its own.
        stem: Filters of the first convolution.
        stem_residuals: High-pass filters beside them.
        widths: Channels after each stage; four of them as in Meso-4, up to seven for a teacher.
        expanded: Channels within each inverted residual block after the first.
        attention: ``none``, ``se``, ``eca`` or ``cbam``.
        channels: How many channels structured pruning left in a group, by its name; any network.
    """

    architecture: str = "meso4"
    dropout: float = 0.5
    initial: str = "random"
    stem: int = 32
    stem_residuals: int = 0
    widths: tuple[int, ...] = (16, 24, 40, 80)
    expanded: tuple[int, ...] = (96, 144, 144, 240, 240, 480, 480)
    attention: str = "se"
    channels: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DataKeys:
    """``[data]``.

    Attributes:
        images_per_epoch: Pictures drawn an epoch; 0 = as many as the train split holds.
        balance_classes: Draw as many real as fake pictures of each source.
        source_power: A source is drawn in proportion to its size to this power: 1 = as they
            come, 0 = all sources alike.
        crop_margin: Of the crop, see :mod:`mesoscope.faces.crop`; 1 for pictures that are faces.
        pairs: Bring a real and a forged picture of one group into the same step, changed alike, see
            :mod:`mesoscope.training.pairs`.
        leave_out: Sources that are neither trained on nor validated on, to test on them later.
    """

    images_per_epoch: int = 0
    balance_classes: bool = True
    source_power: float = 0.5
    crop_margin: float = 1.0
    pairs: bool = False
    leave_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AugmentKeys:
    """``[augment]``: chances (0 to 1) and strengths, the same for both classes.

    Attributes:
        crop_scale_min: Random resized crop: smallest side, as a share of the picture's.
        crop_scale_max: Its largest side; above 1 it leaves the picture, whose border is mirrored.
        flip: Chance of mirroring left and right.
        colour: Chance of a random brightness, contrast, saturation and tint.
        colour_strength: Their largest relative change.
        rescale: Chance of going down and up again in size.
        rescale_min: Smallest size on the way, as a share.
        blur: Chance of a Gaussian blur.
        blur_sigma_max_px: Its largest standard deviation.
        noise: Chance of Gaussian noise.
        noise_sigma_max: Its largest standard deviation, in grey levels of 255.
        jpeg: Chance of a JPEG re-encoding.
        jpeg_quality_min: Lowest quality of it.
        self_blend: Chance that a fake's place is taken by a forgery made of a real picture of the
            same source, see :mod:`mesoscope.training.self_blend`.
    """

    crop_scale_min: float = 0.8
    crop_scale_max: float = 1.0
    flip: float = 0.5
    colour: float = 0.3
    colour_strength: float = 0.2
    rescale: float = 0.2
    rescale_min: float = 0.5
    blur: float = 0.1
    blur_sigma_max_px: float = 1.5
    noise: float = 0.1
    noise_sigma_max: float = 6.0
    jpeg: float = 0.3
    jpeg_quality_min: int = 50
    self_blend: float = 0.0


@dataclass(frozen=True, slots=True)
class MixKeys:
    """``[mix]``: chances for a batch, see :mod:`mesoscope.training.mixing`.

    Attributes:
        mixup: Of a weighted mean of two pictures.
        cutmix: Of a rectangle of one picture in the other.
    """

    mixup: float = 0.0
    cutmix: float = 0.0


@dataclass(frozen=True, slots=True)
class DistilKeys:
    """``[distil]``, see :mod:`mesoscope.training.distil`.

    Attributes:
        teacher: A model file; relative to where the command runs.
        share: Of its ``p_fake`` in the label; 0 = no teacher.
    """

    teacher: str = ""
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class OptimiseKeys:
    """``[optimise]``.

    Attributes:
        epochs: At most.
        batch_size: Pictures a step, over all devices.
        learning_rate: The highest, of AdamW (Loshchilov & Hutter 2019).
        weight_decay: On weights, not on biases and norms.
        warmup_epochs: Linear rise of the learning rate; a cosine to nothing follows.
        loss: ``bce`` (cross-entropy) or ``mse`` (mean squared error of the probability, as the
            MesoNet authors train).
        label_smoothing: Labels are drawn in by half of this.
        ema_decay: Of the running mean of weights that is validated and exported; 0 = none.
        patience: Stop after so many epochs without a better validation AUC; 0 = never.
    """

    epochs: int = 15
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup_epochs: float = 0.5
    loss: str = "bce"
    label_smoothing: float = 0.02
    ema_decay: float = 0.998
    patience: int = 0


@dataclass(frozen=True, slots=True)
class DecideKeys:
    """``[decide]``: how labels are read off the calibrated score, on validation data.

    Attributes:
        calibration: ``platt`` (scale and shift of the logit) or ``temperature`` (scale alone).
        rule: ``target_error``, or ``half_error``: half the error of deciding every face.
        target_error: Of that rule: wanted share of wrong ones among the decided, on each side.
        least_decided: Of the rule ``half_error``: share of faces that must stay decided.
        guard: Fit the guard against unfamiliar faces.
    """

    calibration: str = "platt"
    rule: str = "target_error"
    target_error: float = 0.15
    least_decided: float = 0.7
    guard: bool = True


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
        if not values["network"]["channels"]:
            del values["network"]["channels"]
        if values["decide"]["guard"]:
            del values["decide"]["guard"]
        if not values["data"]["pairs"]:
            del values["data"]["pairs"]
        if values["augment"]["crop_scale_max"] == 1:
            del values["augment"]["crop_scale_max"]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def to_toml(self) -> str:
        """The resolved recipe as TOML, every key written out."""
        top, sections = [], []
        for key, value in self.to_dict().items():
            if isinstance(value, dict):
                lines = [f"{k} = {_toml(v)}" for k, v in value.items()]
                sections.append("\n".join([f"\n[{key}]", *lines]))
            else:
                top.append(f"{key} = {_toml(value)}")
        return "\n".join(top + sections) + "\n"


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply ``key=value`` overrides (dotted keys, TOML values).

    Raises:
        RecipeError: No such file, not TOML, an unknown key (with the nearest right one), a wrong
            type, a value out of range.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise RecipeError(f"{path}: no such recipe: recipes/ holds the project's own") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: not TOML: {error}") from error
    for override in overrides:
        _override(data, override)
    recipe: Recipe = _fill(Recipe, data, str(path), "")
    broken = broken_rule(recipe)
    if broken:
        raise RecipeError(f"{path}: {broken}")
    return recipe


def _override(data: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {text!r}: write key=value, as in optimise.epochs=3")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()  # a bare word is a string
    *sections, last = key.strip().split(".")
    for section in sections:
        data = data.setdefault(section, {})
        if not isinstance(data, dict):
            raise RecipeError(f"--set {text!r}: {section} is a value, not a section")
    data[last] = parsed


def _fill(kind: type[Any], data: Mapping[str, Any], where: str, prefix: str) -> Any:  # noqa: ANN401
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in hints:
            raise RecipeError(f"{where}: unknown key {prefix + key!r}{_nearest(prefix + key)}")
        wanted = hints[key]
        if dataclasses.is_dataclass(wanted):
            if not isinstance(value, dict):
                raise RecipeError(f"{where}: {prefix + key} must be a section, got {value!r}")
            values[key] = _fill(typing.cast("type[Any]", wanted), value, where, f"{key}.")
        elif wanted is float and type(value) is int:
            values[key] = float(value)
        elif key == "channels":
            values[key] = _counts(value, f"{where}: {prefix + key}")
        elif typing.get_origin(wanted) is tuple:
            values[key] = _list(value, typing.get_args(wanted)[0], f"{where}: {prefix + key}")
        elif type(value) is not wanted:
            raise RecipeError(
                f"{where}: {prefix + key} must be {wanted.__name__}, "
                f"got {type(value).__name__} {value!r}"
            )
        else:
            values[key] = value
    return kind(**values)


def _list(value: object, of: type, what: str) -> tuple[Any, ...]:
    if not isinstance(value, list) or any(type(one) is not of for one in value):
        kind = {int: "whole numbers", str: "strings"}[of]
        raise RecipeError(f"{what} must be a list of {kind}, got {value!r}")
    return tuple(value)


def _counts(value: object, what: str) -> dict[str, int]:
    if not isinstance(value, dict) or any(type(one) is not int for one in value.values()):
        raise RecipeError(f"{what} must be a table of whole numbers, got {value!r}")
    return value


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


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but TOML has no surrogate pairs and wants DEL escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(one) for one in value)}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{k} = {_toml(v)}' for k, v in value.items())} }}"
    return repr(value)
