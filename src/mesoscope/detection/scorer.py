"""Crops in, calibrated scores and evidence maps out."""

from __future__ import annotations

import os
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import onnxruntime

from mesoscope.errors import ModelError, ModelMismatch
from mesoscope.models.file import open_model
from mesoscope.models.graph import check_graph

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mesoscope.types import ModelCard, Pixels

GUARD_OUTPUT = "unfamiliar"
CHECK_TOLERANCE = 1e-3  # other processors round differently; another network differs by far more
_TRIAL_S = (
    60.0  # that one crop may take when a model is opened; the largest networks take one or two
)
_MOST_MEMORY = 4 << 30  # bytes that all models together may take, or half of the machine's
_MOST_HEAT = 1024  # rows or columns of an evidence map
_GRID = 8  # places along a side that are covered, where a model makes no evidence map of its own
_AGREE = 1e-3  # p_fake against the logistic of the logit


class Scores(NamedTuple):
    """What a model says of ``n`` crops.

    Attributes:
        p_fake: ``(n,) float32``, calibrated, 0 to 1.
        logit: ``(n,) float32``, its log-odds.
        heat: ``(n, h, w) float32``, not negative; ``None`` where it was not asked for.
        unfamiliar: ``(n,) float32``, how far each crop is from those of the training, not negative;
            ``None`` from a model without a guard.
    """

    p_fake: NDArray[np.float32]
    logit: NDArray[np.float32]
    heat: NDArray[np.float32] | None
    unfamiliar: NDArray[np.float32] | None = None


class Scorer(Protocol):
    """Scores face crops. One object is shared by all threads."""

    card: ModelCard
    model_id: str

    def score(self, crops: Pixels, *, heat: bool = False) -> Scores:
        """Score ``(n, S, S, 3) uint8`` RGB crops."""
        ...


class OnnxScorer:
    """A model file on ONNX Runtime's CPU provider.

    Its bytes are held against the digests of its card, and it answers one picture, before it judges
    anything. A model without evidence maps of its own is asked again with parts of the crop
    covered, see :meth:`score`.

    Args:
        path: The ``.onnx`` file with its card.
        threads: Of one call. Several threads may call at once, and one thread a call with as many
            callers as cores is quicker than the other way round.

    Raises:
        ModelMismatch: Its bytes or its answers are not those of its card.
        ModelError: Not a model file, damaged, without its card, or not what its card says.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        data, self.card, self.model_id, shipped = open_model(path)
        if not shipped:
            check_graph(data, path)
        self._path, self._threads = path, threads
        self._session = open_session(data, path, threads=threads)
        outputs = {output.name: output.type for output in self._session.get_outputs()}
        self._check_declared(outputs)
        self._heat = "heat" in outputs
        self._names = ["p_fake", "logit", *([GUARD_OUTPUT] if GUARD_OUTPUT in outputs else [])]
        self._try()

    def __reduce__(self) -> tuple[partial[OnnxScorer], tuple[Path]]:
        """Another process opens the file anew."""
        return partial(OnnxScorer, threads=self._threads), (self._path,)

    def score(self, crops: Pixels, *, heat: bool = False) -> Scores:
        """Score crops.

        Args:
            crops: ``(n, S, S, 3) uint8`` RGB, ``S`` the card's ``input_px``.
            heat: Also return the evidence maps; of a model that makes none, by how much the logit
                falls where a part of the crop is covered with the crop's mean colour (occlusion,
                Zeiler & Fergus 2014): 64 more evaluations a crop.

        Returns:
            One row a crop.

        Raises:
            ModelError: Crops of another shape; or answers that no score can be.
        """
        side = self.card.input_px
        if crops.ndim != 4 or crops.shape[1:] != (side, side, 3) or crops.dtype != np.uint8:
            raise ModelError(
                f"{self.model_id} takes (n, {side}, {side}, 3) uint8, got {crops.shape} "
                f"{crops.dtype}"
            )
        names = [*self._names, "heat"] if heat and self._heat else self._names
        answer = self._run(names, crops)
        maps = answer.get("heat")
        if heat and maps is None:
            maps = self._occluded(crops, answer["logit"])
        return Scores(answer["p_fake"], answer["logit"], maps, answer.get(GUARD_OUTPUT))

    def _run(
        self, names: list[str], crops: Pixels, options: onnxruntime.RunOptions | None = None
    ) -> dict[str, NDArray[np.float32]]:
        try:
            values = self._batches(names, crops, options)
        except Exception as error:  # ONNX Runtime's own are not derived from one of theirs
            reason = " ".join(str(error).split())[:300]
            raise ModelError(
                f"{self.model_id}: ONNX Runtime cannot compute it: {reason}"
            ) from error
        answer = dict(zip(names, values, strict=True))
        fault = _fault(answer, len(crops))
        if fault:
            raise ModelError(f"{self.model_id}: {fault}: the model is damaged or no detector")
        return answer

    def _batches(
        self, names: list[str], crops: Pixels, options: onnxruntime.RunOptions | None
    ) -> list[NDArray[np.float32]]:
        """All crops at once, or as many as the graph takes: some are exported for one."""
        size = self._session.get_inputs()[0].shape[0]
        if not isinstance(size, int) or size == len(crops):
            return list(self._session.run(names, {"crops": crops}, options))
        parts = []
        for at in range(0, max(len(crops), 1), size):
            part = crops[at : at + size]
            filler = np.zeros((size - len(part), *crops.shape[1:]), np.uint8)
            found = self._session.run(names, {"crops": np.concatenate([part, filler])}, options)
            parts.append([value[: len(part)] for value in found])
        return [np.concatenate(values) for values in zip(*parts, strict=True)]

    def _check_declared(self, outputs: dict[str, str]) -> None:
        inputs = self._session.get_inputs()
        side = self.card.input_px
        fits = len(inputs) == 1 and inputs[0].name == "crops" and inputs[0].type == "tensor(uint8)"
        shape = inputs[0].shape if fits else []
        if len(shape) != 4 or any(
            isinstance(found, int) and found != wanted
            for found, wanted in zip(shape[1:], (side, side, 3), strict=True)
        ):
            expected = "; ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)[:200]
            raise ModelError(
                f"{self._path}: its graph takes {expected or 'nothing'}, and its card says crops "
                f"tensor(uint8) [n, {side}, {side}, 3]"
            )
        for name in ("p_fake", "logit"):
            if outputs.get(name) != "tensor(float)":
                raise ModelError(f"{self._path}: its graph has no output {name} of type float")
        if GUARD_OUTPUT not in outputs and self.card.guard is not None:
            raise ModelError(
                f"{self._path}: its card has a guard and its graph no output {GUARD_OUTPUT}: "
                "export the model again"
            )

    def _try(self) -> None:
        """Let the model answer the first check picture, in bounded time."""
        picture = check_pictures(self.card.input_px, 1)
        options = onnxruntime.RunOptions()
        options.log_severity_level = 4
        late = threading.Event()

        def stop() -> None:
            late.set()
            options.terminate = True

        timer = threading.Timer(_TRIAL_S, stop)
        timer.daemon = True
        timer.start()
        names = [*self._names, "heat"] if self._heat else self._names
        try:
            answer = self._run(names, picture, options)
        except ModelError as error:
            if late.is_set():
                raise ModelError(
                    f"{self._path}: one face takes it more than {_TRIAL_S:.0f} s"
                ) from error
            raise
        finally:
            timer.cancel()
        expected = self.card.self_check[:1]
        if expected and not abs(float(answer["p_fake"][0]) - expected[0]) <= CHECK_TOLERANCE:
            raise ModelMismatch(
                f"{self._path}: it answers {answer['p_fake'][0]:.4f} where its card says "
                f"{expected[0]:.4f}: the file is damaged or was changed, get it again"
            )

    def _occluded(self, crops: Pixels, logit: NDArray[np.float32]) -> NDArray[np.float32]:
        side, places = self.card.input_px, _GRID * _GRID
        edges = np.linspace(0, side, _GRID + 1).round().astype(int)
        maps = np.zeros((len(crops), _GRID, _GRID), np.float32)
        for crop, whole, out in zip(crops, logit, maps, strict=True):
            covered = np.repeat(crop[None], places, axis=0)
            mean = crop.mean(axis=(0, 1)).round().astype(np.uint8)
            for place, one in enumerate(covered):
                i, j = divmod(place, _GRID)
                one[edges[i] : edges[i + 1], edges[j] : edges[j + 1]] = mean
            found = [self._run(["logit"], covered[n : n + 8])["logit"] for n in range(0, places, 8)]
            out[:] = np.maximum(whole - np.concatenate(found), 0).reshape(_GRID, _GRID)
        return maps


def _fault(answer: dict[str, NDArray[np.float32]], count: int) -> str | None:
    """What is wrong with answers for ``count`` crops; ``None`` where they can be scores."""
    for name, value in answer.items():
        wanted = value.ndim == 3 and max(value.shape[1:], default=0) <= _MOST_HEAT and value.size
        shaped = value.shape[:1] == (count,) and (
            value.ndim == 1 if name != "heat" else wanted or not count
        )
        if not shaped or value.dtype != np.float32:
            return f"its {name} for {count} crops is {value.shape} {value.dtype}"
        if not np.isfinite(value).all():
            return f"its {name} is not finite"
        if name in ("heat", GUARD_OUTPUT) and (value < 0).any():
            return f"its {name} is negative"
    p_fake, logit = answer.get("p_fake"), answer.get("logit")
    if p_fake is None or logit is None:
        return None
    if not ((p_fake >= 0) & (p_fake <= 1)).all():
        return "its p_fake is outside 0 to 1"
    expected = 0.5 + 0.5 * np.tanh(0.5 * logit)
    if (np.abs(p_fake - expected) > _AGREE).any():
        return "its p_fake and its logit disagree"
    return None


_arena_lock = threading.Lock()
_arena_made = False


def open_session(data: bytes, where: object, *, threads: int) -> onnxruntime.InferenceSession:
    """ONNX Runtime's session on the CPU, in bounded memory, silent whatever happens.

    Args:
        data: A model file's bytes.
        where: What to call it in messages.
        threads: Of one call.

    Raises:
        ModelError: It cannot be opened.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # its errors come back as exceptions all the same
    try:
        _share_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
        return onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )  # a fallback prints on standard output, among JSON lines
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"{where}: ONNX Runtime cannot open it: {reason}") from error


def _share_arena() -> None:
    """Take memory for all models out of one bounded arena: a graph can ask for terabytes."""
    global _arena_made
    with _arena_lock:
        if _arena_made:
            return
        most = _MOST_MEMORY
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            most = min(most, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
        kind: Any = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
        memory = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, onnxruntime.OrtMemType.DEFAULT)
        arena = onnxruntime.OrtArenaCfg(most, -1, -1, -1)  # -1: as ONNX Runtime would
        onnxruntime.create_and_register_allocator(memory, arena)
        _arena_made = True


def check_pictures(side_px: int = 256, count: int = 4) -> Pixels:
    """Four pictures made by a formula, whose answers a model's card holds.

    Picture ``n``, row ``i``, column ``j``, channel ``c``:
    ``rint(255 (½ + ½ sin((n+1)(.031 i + .017 j (c+1)) + c)))``.

    Args:
        side_px: Rows and columns.
        count: How many, from the first on.

    Returns:
        ``(count, side_px, side_px, 3) uint8``.
    """
    n, i, j, c = np.ogrid[:count, :side_px, :side_px, :3]
    wave = np.sin((n + 1) * (0.031 * i + 0.017 * j * (c + 1)) + c)
    return np.asarray(np.rint(255 * (0.5 + 0.5 * wave)), np.uint8)


def self_check(scorer: Scorer) -> float:
    """Let a model answer the pictures of :func:`check_pictures` and compare with its card.

    Returns:
        The largest difference of ``p_fake``.

    Raises:
        ModelMismatch: The card holds no answers, or they differ.
    """
    expected = np.asarray(scorer.card.self_check)
    if expected.shape != (4,):
        raise ModelMismatch(f"{scorer.model_id}: its card holds no self check: export it again")
    difference = float(
        np.abs(scorer.score(check_pictures(scorer.card.input_px)).p_fake - expected).max()
    )
    if not difference <= CHECK_TOLERANCE:
        raise ModelMismatch(
            f"{scorer.model_id}: its answers differ from its card by {difference:.2g}: "
            "the file is damaged or was changed"
        )
    return difference
