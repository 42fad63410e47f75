"""Calibrate raw logits to probabilities, and choose thresholds, on validation data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.errors import OptionError
from mesoscope.types import Calibration, Thresholds

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

__all__ = [
    "CALIBRATORS",
    "MIN_DECIDED",
    "SMALLEST_SLOPE",
    "choose_thresholds",
    "half_error_thresholds",
    "platt",
    "probability",
    "temperature",
]

MIN_DECIDED = 20  # a cut with fewer faces on one side supports no claim about its error
SMALLEST_SLOPE = 1e-3  # smallest change of log-odds per standard deviation of the logit
STEPS = 100
HELD = ", scale held at its least: the logit does not rank fakes above reals"


def platt(
    logits: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, *, method_note: str = ""
) -> Calibration:
    """Fit ``p_fake = sigmoid(scale · logit + shift)`` by maximum likelihood.

    Platt, *Probabilistic outputs for support vector machines*, 1999, with his smoothed targets,
    which also keep the fit finite where the classes do not overlap; Newton's method with
    backtracking as in Lin, Lin & Weng, *A note on Platt's probabilistic outputs*, Machine Learning
    68, 2007.

    The scale stays positive, as calibration must not reverse the ranking. Where the best scale is
    zero or negative (the logit ranks reals above fakes), it is fixed at a slope so small that every
    ``p_fake`` equals the share of fakes. Such a model answers "cannot tell" instead of failing a
    training run of hours, and ``method`` records it.

    Args:
        logits: ``(n,)``, higher = more fake.
        labels: ``(n,)``, 1 = fake, 0 = real; both must occur.
        weights: ``(n,)``, not negative, for example to balance sources and classes; only their
            ratios matter.
        method_note: What the fit used, for the card.

    Returns:
        Scale and shift.

    Raises:
        OptionError: Shapes differ, labels are not 0 or 1, a value is not finite, or a class has no
            weight.
    """
    x, fake, w = _checked(logits, labels, weights, "logits")
    centre = float(np.average(x, weights=w))
    spread = float(np.sqrt(np.average((x - centre) ** 2, weights=w)))
    if spread <= 1e-9 * max(abs(centre), 1.0):  # all logits equal up to rounding
        spread = 1.0
    z = (x - centre) / spread  # both parameters of one scale: Newton's system is well conditioned
    target = _smoothed(fake, w)
    slope, offset = _newton(z, target, w, free=(True, True))
    method = "Platt scaling"
    if slope < SMALLEST_SLOPE:
        slope, offset = _newton(z, target, w, free=(False, True))
        method += HELD
    scale = slope / spread
    return Calibration(scale, offset - scale * centre, method, method_note)


def temperature(
    logits: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, *, method_note: str = ""
) -> Calibration:
    """Fit ``p_fake = sigmoid(logit / T)`` by maximum likelihood; ``scale`` is ``1 / T``.

    Guo, Pleiss, Sun & Weinberger, *On calibration of modern neural networks*, ICML 2017. It fits
    one parameter, :func:`platt` two: the logit of one half stays in place, which is safer on few
    faces and wrong where the network leans to one class. Targets are smoothed and the scale is kept
    positive as there.

    Args:
        logits: ``(n,)``, higher = more fake.
        labels: ``(n,)``, 1 = fake, 0 = real; both must occur.
        weights: ``(n,)``, as in :func:`platt`.
        method_note: What the fit used, for the card.

    Returns:
        Scale, and a shift of 0.

    Raises:
        OptionError: As for :func:`platt`.
    """
    x, fake, w = _checked(logits, labels, weights, "logits")
    spread = float(np.sqrt(np.average(x**2, weights=w))) or 1.0
    z, target = x / spread, _smoothed(fake, w)
    slope, _ = _newton(z, target, w, free=(True, False))
    method = "temperature scaling"
    if slope < SMALLEST_SLOPE:
        slope, method = SMALLEST_SLOPE, method + HELD
    return Calibration(slope / spread, 0.0, method, method_note)


CALIBRATORS = {"platt": platt, "temperature": temperature}  # by their recipe names


def probability(logits: ArrayLike, calibration: Calibration | None = None) -> Floats:
    """Return ``p_fake`` ``(n,)`` of raw logits ``(n,)``; uncalibrated without a calibration."""
    c = calibration or Calibration()
    u = np.clip(c.scale * np.asarray(logits, np.float64) + c.shift, -500, 500)
    p: Floats = 1 / (1 + np.exp(-u))
    return p


def choose_thresholds(
    p_fake: ArrayLike, labels: ArrayLike, target_error: float, weights: ArrayLike | None = None
) -> Thresholds:
    """Choose the two thresholds that decide the most faces at the target error.

    ``fake_above`` is the lowest cut ``t ≥ ½`` for which the share of reals among ``p_fake ≥ t`` is
    at most ``target_error``; ``real_below`` the highest ``t ≤ ½`` for which the share of fakes
    among ``p_fake < t`` is. The share is that of all faces on the side, as a user of the label
    meets it. Each cut stays on its side of one half: a strong model could reach the target error
    with cuts that cross, and call faces fake that are more likely real. At least 20 faces must lie
    on a side; without a valid cut the side is never decided (1 and 0).

    Args:
        p_fake: ``(n,)``, calibrated, 0 to 1.
        labels: ``(n,)``, 1 = fake, 0 = real; both must occur.
        target_error: Target share of wrong labels among the decided, above 0 and at most ½.
        weights: ``(n,)``, as in :func:`platt`.

    Returns:
        Both thresholds; ``rule`` records how they were chosen.

    Raises:
        OptionError: As for :func:`platt`, or a target or probability is out of range.
    """
    if not 0 < target_error <= 0.5:
        raise OptionError(f"target_error must lie above 0 and at most 0.5, got {target_error}")
    p, fake, w = _checked(p_fake, labels, weights, "p_fake", most=1)
    fake_above, said_fake = _lowest_cut(p, ~fake, w, target_error)
    # The mirrored problem has its cut among 1 − p ≥ 1 − t; "<" and "≤" agree as the cut
    # lies between two values and never on one, except at one half.
    mirrored, said_real = _lowest_cut(np.where(p == 0.5, 0.0, 1 - p), fake, w, target_error)
    real_below = 1 - mirrored
    rule = (
        f"at most {target_error:.0%} wrong among the decided of each side, chosen on {len(p)} faces"
        f"{' (weighted)' if weights is not None else ''}: fake {said_fake}; real {said_real}"
    )
    return Thresholds(real_below, fake_above, rule)


def half_error_thresholds(
    p_fake: ArrayLike, labels: ArrayLike, least_decided: float, weights: ArrayLike | None = None
) -> Thresholds:
    """Choose the two thresholds that decide the most faces at half the error of deciding all.

    Faces near one half stay undecided, equally far on either side: with true probabilities that
    gives the least error for each share decided (Chow, *On optimum recognition error and reject
    tradeoff*, 1970), and one parameter overfits less than two.

    Args:
        p_fake: ``(n,)``, calibrated, 0 to 1.
        labels: ``(n,)``, 1 = fake, 0 = real; both must occur.
        least_decided: Smallest share of decided faces, above 0 and at most 1. If half the error
            needs fewer decided faces, the cuts are those of the least error at this share.
        weights: ``(n,)``, as in :func:`platt`.

    Returns:
        Both thresholds; ``rule`` records how they were chosen and whether half the error was
        reached.

    Raises:
        OptionError: As for :func:`platt`, or a share or probability is out of range.
    """
    if not 0 < least_decided <= 1:
        raise OptionError(f"least_decided must lie above 0 and at most 1, got {least_decided}")
    p, fake, w = _checked(p_fake, labels, weights, "p_fake", most=1)
    order = np.argsort(-np.abs(p - 0.5), kind="stable")
    far, w, wrong = np.abs(p - 0.5)[order], w[order], ((p >= 0.5) != fake)[order]
    decided = np.cumsum(w) / w.sum()
    error = np.cumsum(w * wrong) / np.maximum(np.cumsum(w), 1e-300)
    last_of_tie = np.append(far[1:] != far[:-1], True)
    open_to = np.flatnonzero(last_of_tie & (decided >= least_decided - 1e-9))
    half = open_to[error[open_to] <= error[-1] / 2 + 1e-12]
    i = half[-1] if half.size else open_to[::-1][np.argmin(error[open_to[::-1]])]
    wide = float(far[i] + far[i + 1]) / 2 if i + 1 < len(far) else 0.0
    rule = (
        f"decides the most faces at {'half' if half.size else 'the least'} error, at least "
        f"{least_decided:.0%}{'' if half.size else ' (half is not to be had with so many)'}: "
        f"{decided[i]:.1%} decided, {error[i]:.1%} of them wrongly, {error[-1]:.1%} if all were; "
        f"chosen on {len(p)} faces{' (weighted)' if weights is not None else ''}"
    )
    return Thresholds(0.5 - wide, 0.5 + wide, rule)


def _lowest_cut(p: Floats, wrong: Flags, w: Floats, target: float) -> tuple[float, str]:
    """Return the lowest cut from ½ with at most ``target`` wrong above it, and a description."""
    order = np.argsort(-p, kind="stable")
    p, w, wrong = p[order], w[order], wrong[order]
    decided = np.arange(1, len(p) + 1)
    total = np.cumsum(w)
    share = np.cumsum(w * wrong) / np.where(total > 0, total, 1)
    last_of_tie = np.append(p[1:] != p[:-1], True)  # ties are decided together
    fits = last_of_tie & (p >= 0.5) & (decided >= MIN_DECIDED) & (share <= target) & (total > 0)
    if not fits.any():
        return 1.0, "is never said"
    i = int(np.flatnonzero(fits)[-1])
    more = i + 1 < len(p) and p[i + 1] >= 0.5  # undecided ones above one half
    cut = float(p[i + 1] + p[i]) / 2 if more else 0.5
    return cut, f"decides {decided[i]}, {share[i]:.1%} of them wrongly"


def _smoothed(fake: Flags, w: Floats) -> Floats:
    """Platt's targets: slightly inside 0 and 1, by the number of faces of each class."""
    n_fake, n_real = _effective(w[fake]), _effective(w[~fake])
    return np.where(fake, (n_fake + 1) / (n_fake + 2), 1 / (n_real + 2))


def _newton(
    z: Floats, target: Floats, w: Floats, *, free: tuple[bool, bool]
) -> tuple[float, float]:
    """Minimise the weighted cross-entropy of ``sigmoid(slope · z + offset)`` against ``target``.

    Parameters that are not free stay fixed: the slope at its minimum, the offset at zero.
    """
    x = np.stack([z, np.ones_like(z)])  # (2, n)
    base = float(np.clip(np.average(target, weights=w), 1e-9, 1 - 1e-9))
    start = (0.0 if free[0] else SMALLEST_SLOPE, np.log(base / (1 - base)) if free[1] else 0.0)
    at, moves = np.array(start), np.array(free)
    w = w / w.sum()

    def loss(at: Floats) -> float:
        u = at @ x
        return float(w @ (np.logaddexp(0, u) - target * u))

    now = loss(at)
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(at @ x, -500, 500)))
        gradient = (x @ (w * (p - target)))[moves]
        if np.abs(gradient).max() < 1e-10:
            break
        ridge = 1e-12 * np.eye(moves.sum())
        hessian = ((x * (w * p * (1 - p))) @ x.T)[np.ix_(moves, moves)] + ridge
        step = np.zeros(2)
        step[moves] = -np.linalg.solve(hessian, gradient)
        descent = float(gradient @ step[moves])
        if -descent < 1e-16:  # less than the rounding of the loss: no step can be seen to help
            break
        length = 1.0
        while loss(at + length * step) > now + 1e-4 * length * descent and length > 1e-10:
            length /= 2
        at = at + length * step
        now = loss(at)
    return float(at[0]), float(at[1])


def _effective(w: Floats) -> float:
    """Effective sample size of weighted samples (Kish 1965)."""
    return float(w.sum() ** 2 / (w**2).sum())


def _checked(
    values: ArrayLike,
    labels: ArrayLike,
    weights: ArrayLike | None,
    name: str,
    *,
    most: float | None = None,
) -> tuple[Floats, Flags, Floats]:
    """Return values, the mask of fakes, and weights, ``(n,)`` each; values lie in 0..``most``.

    Raises:
        OptionError: The arguments are not valid.
    """
    x, y = np.asarray(values, np.float64), np.asarray(labels)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
    if x.ndim != 1 or not x.shape == y.shape == w.shape:
        raise OptionError(
            f"{name}, labels and weights must be (n,) alike, got {x.shape}, {y.shape}, {w.shape}"
        )
    if not np.isin(y, (0, 1)).all():
        raise OptionError("labels must be 0 (real) or 1 (fake)")
    if not np.isfinite(x).all() or not np.isfinite(w).all() or (w < 0).any():
        raise OptionError(f"{name} must be finite, and weights finite and not negative")
    fake = y == 1
    if not w[fake].sum() > 0 or not w[~fake].sum() > 0:
        raise OptionError("calibration needs both classes: there is no real or no fake one")
    if most is not None and (x.min() < 0 or x.max() > most):
        raise OptionError(f"{name} must lie in 0..{most:g}, got {x.min()} to {x.max()}")
    return x, fake, w
