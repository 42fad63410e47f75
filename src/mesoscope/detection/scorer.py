"""Scorers: calibrated scores and evidence maps of face crops."""

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
CPU = "CPUExecutionProvider"
_GPU = ("CUDAExecutionProvider", "ROCMExecutionProvider", "MIGraphXExecutionProvider",
        "DmlExecutionProvider")  # fmt: skip
CHECK_TOLERANCE = 1e-3  # processors round differently; other networks differ by far more
_FIRST_PICTURE_S = 60.0  # limit for one crop on opening; the largest networks take one or two
_MOST_MEMORY = 4 << 30  # bytes for all models together, or half of the machine's memory
_MOST_AT_ONCE = 16  # crops on a CPU: more are slower, and each takes memory for its activations
_MOST_HEAT = 1024  # rows or columns of an evidence map
_GRID = 8  # occluded cells along a side, for models without evidence maps
_AGREE = 1e-3  # tolerance between p_fake and the logistic of the logit


class Scores(NamedTuple):
    """The scores of ``n`` crops.

    Attributes:
        p_fake: ``(n,) float32``, calibrated, 0 to 1.
        logit: ``(n,) float32``, its log-odds.
        heat: Evidence maps, ``(n, h, w) float32``, not negative; ``None`` if not requested.
        unfamiliar: Distance from the training distribution, ``(n,) float32``, not negative;
            ``None`` for a model without a guard.
    """

    p_fake: NDArray[np.float32]
    logit: NDArray[np.float32]
    heat: NDArray[np.float32] | None
    unfamiliar: NDArray[np.float32] | None = None


class Scorer(Protocol):
    """Scores face crops; thread-safe."""

    card: ModelCard
    model_id: str

    def score(self, crops: Pixels, *, heat: bool = False) -> Scores:
        """Score ``(n, S, S, 3) uint8`` RGB crops."""
        ...


class OnnxScorer:
    """A model file on ONNX Runtime, on the CPU unless another provider is named.

    On opening, the digests of the card are verified and one picture is scored. For a model without
    evidence maps they are made by occlusion, see :meth:`score`.

    Args:
        path: The ``.onnx`` file with its card.
        threads: Threads of a call. Calls from several threads with one thread each are faster than
            one call with several threads.
        provider: ONNX Runtime's execution provider, such as one of :func:`gpu_providers`.

    Raises:
        ModelMismatch: The bytes or the scores differ from those in the card.
        ModelError: The file is no model file, is damaged, or does not agree with its card.
    """

    def __init__(self, path: Path, *, threads: int = 1, provider: str = CPU) -> None:
        data, self.card, self.model_id, shipped = open_model(path)
        if not shipped:
            check_graph(data, path)
        self._path, self._threads, self._provider = path, threads, provider
        self._session = open_session(data, path, threads=threads, provider=provider)
        outputs = {output.name: output.type for output in self._session.get_outputs()}
        self._check_signature(outputs)
        self._heat = "heat" in outputs
        self._names = ["p_fake", "logit", *([GUARD_OUTPUT] if GUARD_OUTPUT in outputs else [])]
        self._check_first_picture()

    def __reduce__(self) -> tuple[partial[OnnxScorer], tuple[Path]]:
        """Pickle the path: another process opens the file itself."""
        made = partial(OnnxScorer, threads=self._threads, provider=self._provider)
        return made, (self._path,)

    def score(self, crops: Pixels, *, heat: bool = False) -> Scores:
        """Score crops.

        Args:
            crops: ``(n, S, S, 3) uint8`` RGB, ``S`` the card's ``input_px``.
            heat: Also return evidence maps. For a model without them, the decrease of the logit
                when a cell of the crop is covered with its mean colour (occlusion, Zeiler & Fergus
                2014): 64 more evaluations per crop.

        Returns:
            One row per crop.

        Raises:
            ModelError: The crops have another shape, or the outputs are not valid scores.
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
            maps = self._occlusion_maps(crops, answer["logit"])
        return Scores(answer["p_fake"], answer["logit"], maps, answer.get(GUARD_OUTPUT))

    def _run(
        self, names: list[str], crops: Pixels, options: onnxruntime.RunOptions | None = None
    ) -> dict[str, NDArray[np.float32]]:
        try:
            values = self._batches(names, crops, options)
        except Exception as error:  # ONNX Runtime's errors have no common base class
            reason = " ".join(str(error).split())[:300]
            raise ModelError(
                f"{self.model_id}: ONNX Runtime cannot compute it: {reason}"
            ) from error
        answer = dict(zip(names, values, strict=True))
        fault = _invalid_output(answer, len(crops))
        if fault:
            raise ModelError(f"{self.model_id}: {fault}: the model is damaged or no detector")
        return answer

    def _batches(
        self, names: list[str], crops: Pixels, options: onnxruntime.RunOptions | None
    ) -> list[NDArray[np.float32]]:
        """Run all crops at once, or as many as the graph or the memory of a CPU suits."""
        fixed = self._session.get_inputs()[0].shape[0]
        whole = isinstance(fixed, int)
        size = fixed if whole else _MOST_AT_ONCE if self._provider == CPU else len(crops)
        if len(crops) == size or (len(crops) < size and not whole):
            return list(self._session.run(names, {"crops": crops}, options))
        parts = []
        for at in range(0, max(len(crops), 1), size):
            part = given = crops[at : at + size]
            if whole:
                filler = np.zeros((size - len(part), *crops.shape[1:]), np.uint8)
                given = np.concatenate([part, filler])
            found = self._session.run(names, {"crops": given}, options)
            parts.append([value[: len(part)] for value in found])
        return [np.concatenate(values) for values in zip(*parts, strict=True)]

    def _check_signature(self, outputs: dict[str, str]) -> None:
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

    def _check_first_picture(self) -> None:
        """Score the first check picture, in bounded time, and compare with the card."""
        picture = check_pictures(self.card.input_px, 1)
        options = onnxruntime.RunOptions()
        options.log_severity_level = 4
        late = threading.Event()

        def stop() -> None:
            late.set()
            options.terminate = True

        timer = threading.Timer(_FIRST_PICTURE_S, stop)
        timer.daemon = True
        timer.start()
        names = [*self._names, "heat"] if self._heat else self._names
        try:
            answer = self._run(names, picture, options)
        except ModelError as error:
            if late.is_set():
                raise ModelError(
                    f"{self._path}: one face takes it more than {_FIRST_PICTURE_S:.0f} s"
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

    def _occlusion_maps(self, crops: Pixels, logit: NDArray[np.float32]) -> NDArray[np.float32]:
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


def _invalid_output(answer: dict[str, NDArray[np.float32]], count: int) -> str | None:
    """Return why outputs for ``count`` crops are not valid scores; ``None`` if they are."""
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


def gpu_providers() -> list[str]:
    """Return the execution providers of the installed ONNX Runtime that run on a GPU."""
    return [one for one in onnxruntime.get_available_providers() if one in _GPU]


def open_session(
    data: bytes, where: object, *, threads: int, provider: str = CPU
) -> onnxruntime.InferenceSession:
    """Open a session of ONNX Runtime, in bounded memory, without its log output.

    Args:
        data: Bytes of a model file.
        where: Name of the file in messages.
        threads: Threads of a call.
        provider: The execution provider; what it cannot run, the CPU runs.

    Raises:
        ModelError: ONNX Runtime refuses the file, or the provider finds no device.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised as exceptions
    try:
        _share_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
        providers = list(dict.fromkeys((provider, CPU)))
        session = onnxruntime.InferenceSession(
            data, options, providers=providers, enable_fallback=0
        )  # a fallback prints on standard output, among JSON lines
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"{where}: ONNX Runtime cannot open it: {reason}") from error
    if provider not in session.get_providers():  # it is left out where there is no device
        raise ModelError(f"{where}: ONNX Runtime's {provider} finds no device")
    return session


def _share_arena() -> None:
    """Allocate the memory of all models in one bounded arena: graphs can request terabytes."""
    global _arena_made
    with _arena_lock:
        if _arena_made:
            return
        most = _MOST_MEMORY
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            most = min(most, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
        kind: Any = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
        memory = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, onnxruntime.OrtMemType.DEFAULT)
        arena = onnxruntime.OrtArenaCfg(most, -1, -1, -1)  # -1: defaults of ONNX Runtime
        onnxruntime.create_and_register_allocator(memory, arena)
        _arena_made = True


def check_pictures(side_px: int = 256, count: int = 4) -> Pixels:
    """Make the check pictures, whose scores are in a model's card, by a formula.

    Picture ``n``, row ``i``, column ``j``, channel ``c``:
    ``rint(255 (½ + ½ sin((n+1)(.031 i + .017 j (c+1)) + c)))``.

    Args:
        side_px: Height and width.
        count: Number of pictures.

    Returns:
        ``(count, side_px, side_px, 3) uint8``.
    """
    n, i, j, c = np.ogrid[:count, :side_px, :side_px, :3]
    wave = np.sin((n + 1) * (0.031 * i + 0.017 * j * (c + 1)) + c)
    return np.asarray(np.rint(255 * (0.5 + 0.5 * wave)), np.uint8)


def self_check(scorer: Scorer) -> float:
    """Score the pictures of :func:`check_pictures` and compare with the card.

    Returns:
        The largest difference of ``p_fake``.

    Raises:
        ModelMismatch: The card has no such scores, or they differ.
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
