"""Combine several model files into one: an ensemble with the mean of their logits.

Networks that err in different places are together better than each alone (Lakshminarayanan et al.,
*Deep ensembles*, NeurIPS 2017, section 2.4). The members are calibrated, so their logits have one
unit, and the mean counts each alike. The mean is calibrated again on labelled faces.

The result is a model file like any other: one graph that reads the crop once.
"""

from __future__ import annotations

import dataclasses
import re
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, compose, helper

from mesoscope.detection.scorer import GUARD_OUTPUT
from mesoscope.errors import DatasetError, ModelError, OptionError
from mesoscope.models.file import model_id, read_card
from mesoscope.training.adopt.calibrated import labelled_faces, write_calibrated
from mesoscope.training.adopt.graph_builder import GraphBuilder
from mesoscope.training.decide.comparison import multiply_adds, shapes
from mesoscope.training.export.graph import constants
from mesoscope.training.export.weight_bits import BITS, keep_bits
from mesoscope.types.card import Guard, ModelCard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from mesoscope.types import Calibration

    Count = Callable[[Iterable[object], int, str], Iterable[object]]

__all__ = ["MOST_MEMBERS", "combine_models"]

MOST_MEMBERS = 16
_SENTENCE = re.compile(r"(?<=\.)\s+")
_LINEAR = ("Gather", "Squeeze", "Unsqueeze", "Identity", "Mul")  # what may follow a map's ReLU
_ALIKE = ("input_px", "crop_margin", "resize")  # of the crop that all members read


@dataclasses.dataclass(frozen=True, slots=True)
class _Member:
    """A model file to combine; ``graph`` has its own prefix on every tensor but the crop."""

    path: Path
    card: ModelCard
    graph: onnx.ModelProto
    heat_px: tuple[int, int] | None

    def tensor(self, output: str) -> str:
        return f"{_prefix(self.graph)}{output}"


def combine_models(
    paths: Sequence[Path],
    out: Path,
    *,
    name: str,
    datasets: Sequence[Path],
    bits: int = BITS[0],
    count: Count = lambda items, _total, _what: items,
) -> ModelCard:
    """Write one model file whose logit is the calibrated mean of those of several.

    The margins of found faces and the aggregation of clips are those of the first member. The
    evidence map is the mean of the members' maps, at the size of the largest, if all have one;
    evidence for real is clipped after the mean, so that of one member offsets that of another. A
    face is unfamiliar if it is unfamiliar to any member with a guard; where that refuses more than
    1 % of the faces, distances are divided by a number. An ensemble counts as one member.

    Args:
        paths: The model files, two or more; all read crops of the same size and margin.
        out: The model file to write; replaced whole or not at all.
        name: Name in the card.
        datasets: Labelled faces that the calibration and the thresholds are fitted on: their
            validation split, or all samples where there is none.
        bits: In how many bits weights are kept, one of :data:`BITS`; calculations stay in 32.
        count: Wraps work for a progress bar: ``(items, total, what) → items``.

    Returns:
        The card as written to the file.

    Raises:
        OptionError: Fewer than two models, too many, one twice, or one that another one holds.
        ModelError: A file is no model file or computes in 8-bit integers, or the members read
            different crops.
        DatasetError: There is no data set, or one lacks reals or fakes.
        OutputError: The file cannot be written.
    """
    if not 2 <= len(paths) <= MOST_MEMBERS:
        raise OptionError(f"an ensemble has 2 to {MOST_MEMBERS} models, got {len(paths)}")
    ids = [model_id(path) for path in paths]
    if len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise OptionError(f"{twice}: named twice: its mean with itself is itself")
    if not datasets:
        raise DatasetError("an ensemble needs labelled faces to be calibrated on: name a data set")
    samples = labelled_faces(datasets)
    members = [_member(path, number) for number, path in enumerate(paths)]
    _refuse_contained(members, ids)
    _refuse_unlike(members)
    card = _card(members, name, ids)
    graph_of = partial(_joined, members, bits=bits)
    return write_calibrated(graph_of, card, out, samples, count=count)


def _member(path: Path, number: int) -> _Member:
    card = read_card(path)
    if card.quantisation:
        raise ModelError(
            f"{path}: computes in 8-bit integers: combine its original, {card.original}, and "
            "quantise what comes of it"
        )
    try:
        model = onnx.load(path)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{path}: not an ONNX model: {reason}") from error
    sizes = shapes(model).get("heat")
    prefixed = compose.add_prefix(model, f"member{number}/")
    del prefixed.metadata_props[:]
    heat = (sizes[1], sizes[2]) if sizes is not None and len(sizes) == 3 else None
    if heat is not None:
        _unclip(prefixed, f"{_prefix(prefixed)}heat")
    return _Member(path, card, prefixed, heat)


def _prefix(model: onnx.ModelProto) -> str:
    name: str = model.graph.input[0].name
    return name.removesuffix("crops")


def _opsets(model: onnx.ModelProto) -> dict[str, int]:
    return {one.domain or "ai.onnx": one.version for one in model.opset_import}


def _unclip(model: onnx.ModelProto, heat: str) -> None:
    """Let an evidence map keep its negative values, in place, where only linear steps follow."""
    makers = {name: node for node in model.graph.node for name in node.output}
    known = constants(model)
    node = makers.get(heat)
    while node is not None and node.op_type in _LINEAR:
        factor = known.get(node.input[1]) if node.op_type == "Mul" else np.ones(1)
        if factor is None or factor.min() <= 0:
            return
        node = makers.get(node.input[0])
    if node is not None and node.op_type == "Relu":
        node.op_type = "Identity"


def _refuse_contained(members: Sequence[_Member], ids: Sequence[str]) -> None:
    """Refuse a member that another one, an ensemble, holds already: it would count twice."""
    for member in members:
        for other in ids:
            if other in member.card.source:
                raise OptionError(
                    f"{member.path} holds {other} already, which would count twice: name the "
                    "members of both, one after the other"
                )


def _refuse_unlike(members: Sequence[_Member]) -> None:
    """Refuse members that read different crops, or were written for different operators."""
    first, *others = members
    for other in others:
        for what in _ALIKE:
            here, there = getattr(first.card, what), getattr(other.card, what)
            if here != there:
                raise ModelError(
                    f"{other.path}: its {what} is {there}, and that of {first.path} {here}: one "
                    "crop cannot serve both"
                )
        versions = _opsets(first.graph)
        for domain, version in _opsets(other.graph).items():
            if versions.get(domain, version) != version:
                raise ModelError(
                    f"{other.path}: its operators are {domain} {version}, and those of "
                    f"{first.path} {versions[domain]}: export both with the same opset"
                )


def _card(members: Sequence[_Member], name: str, ids: Sequence[str]) -> ModelCard:
    cards = [member.card for member in members]
    guards = [card.guard for card in cards if card.guard is not None]
    licences = list(dict.fromkeys(card.licence for card in cards if card.licence))
    return ModelCard(
        name=name,
        architecture=" + ".join(card.architecture for card in cards),
        input_px=cards[0].input_px,
        crop_margin=cards[0].crop_margin,
        resize=cards[0].resize,
        face_margin=cards[0].face_margin,
        further_margins=cards[0].further_margins,
        aggregation=cards[0].aggregation,
        parameters=sum(card.parameters for card in cards),
        multiply_adds=sum(card.multiply_adds or multiply_adds(m.graph)
                          for card, m in zip(cards, members, strict=True)),
        licence=" and ".join(licences),
        training_data=_training_data(cards),
        source=f"the mean of the logits of {', '.join(ids)}",
        guard=_guard(guards, len(cards)) if guards else None,
    )  # fmt: skip


def _training_data(cards: Sequence[ModelCard]) -> str:
    """Return the members' texts, each sentence once: members are often trained on the same."""
    texts = list(dict.fromkeys(card.training_data for card in cards if card.training_data))
    told, parts = set[str](), []
    for text in texts:
        sentences = [one for one in _SENTENCE.split(text) if one.rstrip(".") not in told]
        told.update(one.rstrip(".") for one in sentences)
        parts.append(" ".join(sentences))
    return " / ".join(part for part in parts if part)


def _guard(guards: Sequence[Guard], members: int) -> Guard:
    return Guard(
        unfamiliar_above=1.0,
        # The most that it can be, as members may refuse different faces; measured when calibrated.
        false_refusals=min(1.0, sum(guard.false_refusals for guard in guards)),
        rule=f"the largest of the distances of {len(guards)} of {members} members, each over its "
        "threshold; " + "; ".join(dict.fromkeys(guard.rule for guard in guards)),
        fitted_on="; ".join(dict.fromkeys(guard.fitted_on for guard in guards)),
    )


def _joined(members: Sequence[_Member], calibration: Calibration, *, bits: int) -> onnx.ModelProto:
    """Return the graph of all members, with ``logit = scale · mean of logits + shift``."""
    side = members[0].card.input_px
    nodes = [node for m in members for node in m.graph.graph.node]
    weights = [tensor for m in members for tensor in m.graph.graph.initializer]
    crops = helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", side, side, 3])
    graph = helper.make_graph(nodes, "ensemble", [crops], [], weights)
    for node in graph.node:
        for place, read in enumerate(node.input):
            if read in {m.tensor("crops") for m in members}:
                node.input[place] = "crops"
    add = GraphBuilder(graph, "mean")
    logit = add.add("Mean", *(m.tensor("logit") for m in members))
    logit = add.add("Mul", logit, add.weight(np.float32(calibration.scale)))
    add.add("Add", logit, add.weight(np.float32(calibration.shift)), out="logit")
    add.add("Sigmoid", "logit", out="p_fake")
    outputs: dict[str, list[str | int]] = {"p_fake": ["n"], "logit": ["n"]}
    sizes = [m.heat_px for m in members if m.heat_px is not None]
    if len(sizes) == len(members):
        outputs["heat"] = ["n", *_mean_heat(add, members, max(sizes), calibration.scale)]
    guarded = [m for m in members if m.card.guard is not None]
    if guarded:
        _largest_distance(add, guarded)
        outputs[GUARD_OUTPUT] = ["n"]
    for name, dims in outputs.items():
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dims))
    opsets = {domain: version for m in members for domain, version in _opsets(m.graph).items()}
    model = helper.make_model(
        graph,
        opset_imports=[
            helper.make_opsetid("" if domain == "ai.onnx" else domain, version)
            for domain, version in opsets.items()
        ],
        ir_version=max(m.graph.ir_version for m in members),
    )
    model = keep_bits(model, bits)
    onnx.checker.check_model(model)
    return model


def _mean_heat(
    add: GraphBuilder, members: Sequence[_Member], size: tuple[int, int], scale: float
) -> tuple[int, int]:
    """Add the mean of the evidence maps ``[n, h, w]``, each brought to one size first."""
    maps = []
    for member in members:
        heat = member.tensor("heat")
        if member.heat_px != size:
            axis = add.weight(np.array([1], np.int64))
            wanted = add.weight(np.array(size, np.int64))
            heat = add.add("Unsqueeze", heat, axis)
            # Sizes of the two last axes alone, as the number of crops is not known.
            heat = add.add(
                "Resize", heat, "", "", wanted, having={"mode": "linear", "axes": [2, 3]}
            )
            heat = add.add("Squeeze", heat, axis)
            # A value is the contribution of a cell: smaller cells contribute less each.
            share = np.prod(member.heat_px or size) / np.prod(size)
            heat = add.add("Mul", heat, add.weight(np.float32(share)))
        maps.append(heat)
    heat = add.add("Mul", add.add("Mean", *maps), add.weight(np.float32(scale)))
    add.add("Relu", heat, out="heat")
    return size


def _largest_distance(add: GraphBuilder, guarded: Sequence[_Member]) -> None:
    """Add the largest distance ``[n]``, each member's over its own threshold."""
    shares = []
    for member in guarded:
        above = member.card.guard.unfamiliar_above if member.card.guard is not None else 1.0
        inverse = add.weight(np.float32(1 / above))
        shares.append(add.add("Mul", member.tensor(GUARD_OUTPUT), inverse))
    add.add("Max", *shares, out=GUARD_OUTPUT)
