"""What a report says in words: of one answer, and of what the answers are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mesoscope.report.case.tally import SHOWN
from mesoscope.types.label import SAYINGS, WORDS, as_sentence, clause_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesoscope.report.case.tally import Tally
    from mesoscope.types import Json, ModelCard, Thresholds, Verdict


class Weakness(NamedTuple):
    """How a model did on one kind of picture, as text."""

    source: str
    n: str
    auc: str
    span: str
    decided: str
    error: str


def why(verdict: Verdict) -> str:
    """Why there is no clear label; empty where there is one."""
    if verdict.error is not None:
        return verdict.error["message"].removeprefix(f"{verdict.source}: ")
    return clause_of(verdict.reason)


def sentence(verdict: Verdict, thresholds: Thresholds | None) -> str:
    """One answer in a sentence."""
    label = verdict.answer
    if verdict.error is not None:
        return f"{WORDS[label].capitalize()}: {why(verdict)}."
    reason = why(verdict)
    if verdict.p_fake is None:
        return f"No answer: {reason or 'nothing could be judged'}."
    value = f"p_fake is {score(verdict.p_fake)}"
    if label == "inconclusive":
        return f"Inconclusive: {value}, and {reason}."
    said = "Called fake" if label == "fake" else as_sentence(SAYINGS["real"]).removesuffix(".")
    if thresholds is None:
        return f"{said}: {value}."
    where = (
        f"at or above the threshold {thresholds.fake_above:.3g}"
        if label == "fake"
        else f"below the threshold {thresholds.real_below:.3g}"
    )
    return f"{said}: {value}, {where}."


def summary(tally: Tally) -> str:
    """All answers in a sentence: ``37 files: 12 fake, 20 real, 3 inconclusive, 2 not readable``."""
    noun = "file" if tally.total == 1 else "files"
    parts = [f"{tally.labels[name]:,} {WORDS[name]}" for name in SHOWN if tally.labels[name]]
    return f"{tally.total:,} {noun}: {', '.join(parts) or 'nothing to judge'}."


def weaknesses(card: ModelCard) -> list[Weakness]:
    """How the model did on each kind of its own validation pictures, the worst first."""
    sources = card.metrics.get("by_source")
    decisions = card.metrics.get("decisions")
    decided = decisions.get("by_source") if isinstance(decisions, dict) else None
    rows: list[tuple[float, Weakness]] = []
    for name, figures in sources.items() if isinstance(sources, dict) else ():
        if not isinstance(figures, dict) or not isinstance(auc := figures.get("auc"), float | int):
            continue
        judged = decided.get(name) if isinstance(decided, dict) else None
        shares = judged if isinstance(judged, dict) else figures
        rows.append(
            (
                auc,
                Weakness(
                    name,
                    _count(figures.get("n")),
                    f"{auc:.3f}",
                    _span(figures.get("intervals")),
                    _percent(shares.get("decided")),
                    _percent(shares.get("error_among_decided")),
                ),
            )
        )
    return [row for _, row in sorted(rows)]


def _span(intervals: Json) -> str:
    ends = intervals.get("auc") if isinstance(intervals, dict) else None
    if not isinstance(ends, list) or len(ends) != 2:
        return ""
    low, high = ends
    if not isinstance(low, float | int) or not isinstance(high, float | int):
        return ""
    return f"{low:.3f} – {high:.3f}"


def _count(value: Json) -> str:
    return f"{value:,}" if isinstance(value, int) else "–"


def _percent(value: Json) -> str:
    return f"{100 * value:.1f}\N{NO-BREAK SPACE}%" if isinstance(value, float | int) else "–"


def settings_rows(values: Mapping[str, Json]) -> list[tuple[str, str]]:
    """Settings as rows of a table."""
    return [
        (name.replace("_", " "), "–" if value is None else str(value))
        for name, value in sorted(values.items())
    ]


def choice(tally: Tally) -> str:
    """Which items are shown with their evidence, where these are not all."""
    shown = len(tally.pictured)
    if not shown:
        return "The table holds every file. None is shown with its picture."
    if shown == tally.total - tally.labels["unreadable"]:
        return "Pictures and evidence are shown for every file that could be read."
    return (
        f"The table holds every file. Pictures and evidence are shown for the {shown} most "
        "suspicious: fake before inconclusive before the rest, and among alike the higher score."
    )


def score(p_fake: float | None) -> str:
    """A score as it is shown: three digits, and never a certainty; a dash for none."""
    if p_fake is None:
        return "–"
    if p_fake >= 0.9995:
        return ">0.999"
    return "<0.001" if p_fake < 0.0005 else f"{p_fake:.3f}"


def dashes(cuts: Sequence[float]) -> str:
    """What the dashed lines across a timeline are; empty where there are none."""
    if not cuts:
        return ""
    noun = "line is the threshold" if len(cuts) == 1 else "lines are the thresholds"
    return f"The level dashed {noun} {' and '.join(f'{cut:.3g}' for cut in cuts)}."


def rule(card: ModelCard) -> str:
    """Where a model's score turns into a label."""
    cuts = card.thresholds
    return (
        f"fake from {cuts.fake_above:.3g} on, real below {cuts.real_below:.3g}; rule: {cuts.rule}"
    )


def signed(fingerprint: str) -> str:
    """What a report's signature is worth, or what its lack means."""
    if fingerprint:
        return (
            "It is signed (Ed25519). Only with the public key, got from the signer by another way "
            "than this report, does the signature say who made it. The key's fingerprint is "
            f"{fingerprint}."
        )
    return (
        "It is not signed. Its hash tells an accident from the original; whoever alters it on "
        "purpose can make a new hash. A signature is made against that."
    )


def size(n_bytes: int) -> str:
    """A file's size for people: ``812 B``, ``3.4 MB``; 1 kB = 1,000 B."""
    if n_bytes < 1000:
        return f"{n_bytes} B"
    value = float(n_bytes)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5:
            return f"{value:.3g} {unit}"
    return f"{value / 1000:,.0f} TB"
