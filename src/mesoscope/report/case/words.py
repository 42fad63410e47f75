"""Texts of a report: file names, single verdicts, and the reliability of verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mesoscope.report.case.items import SHOWN
from mesoscope.types.label import ANSWER_NAMES, ANSWER_TEXTS, Answer, as_sentence, reason_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesoscope.report.case.items import Tally
    from mesoscope.types import Json, ModelCard, Thresholds, Verdict


MEANINGS: tuple[tuple[Answer, str], ...] = (
    (
        "fake",
        (
            "The score of the deciding face lies at or above the upper threshold. Among faces "
            "like those of the calibration that is mostly right, and sometimes wrong."
        ),
    ),
    (
        "inconclusive",
        (
            "The model does not know: the score lies between the two thresholds, or a face is "
            "unlike anything that it learnt from, or no face was found in what may be a crop of "
            "one. This is an answer, and often the right one. "
            "It is not a half of a fake, and it must not be counted as real."
        ),
    ),
    (
        "real",
        (
            f"The label says: {ANSWER_TEXTS['real']}. That is less than a proof that a face is "
            "genuine: a forgery made in another way may leave no sign that it knows."
        ),
    ),
    (
        "none",
        "Nothing could be judged: no face, or none that is large enough. There is no score.",
    ),
    (
        "unreadable",
        ("The file is missing, damaged, or of a kind that is not read. Nothing is said of it."),
    ),
)
WHAT_IT_MEANS = (
    (
        "p_fake answers one question: among faces like those that the model was calibrated on, "
        "half of them forged, what share of those that score like this one is forged? 1 means "
        "surely forged, 0 surely not, and higher is always more fake."
    ),
    (
        "It is a reason to look closer. Alone it is no evidence, neither that a picture is "
        "forged nor that it is genuine, and it cannot say who made a picture, when, or why. The "
        "original file and its history, the person who sent it and other pictures of the same "
        "event can."
    ),
)
WHERE_IT_FAILS = (
    (
        "Forgeries of a new kind.",
        (
            "The model learnt the traces of certain ways of forging. Others may leave no trace "
            "that it knows, and then it says real, sometimes with confidence."
        ),
    ),
    (
        "Copies of copies.",
        (
            "Messengers and platforms shrink and compress pictures, and that wipes traces away. "
            "Judge the earliest copy that can be had, and not a screenshot."
        ),
    ),
    (
        "Rare forgeries.",
        (
            "The score takes half of all faces to be forged. Where one in a hundred is, most of "
            "those called fake can be genuine even with a good model."
        ),
    ),
    (
        "Honest retouching.",
        (
            "The score is about pixels and not about intent: an advertisement or a strong "
            "filter of a telephone may look forged."
        ),
    ),
    (
        "People the model saw little of.",
        (
            "Its training pictures are not balanced by age, skin or region, and errors may "
            "differ between groups."
        ),
    ),
    (
        "Somebody who knows the model.",
        "Its weights are public. Whoever wants to pass it can try until it says real.",
    ),
)
HEAT_SAYS = (
    "Warm colours lie where the model found what speaks for fake. They show what moved the "
    "score, not what was forged."
)
BY_KIND = (
    "How it did on its own validation pictures, the hardest kind first. AUC is the chance that "
    "a forged face scores above a genuine one: .5 is guessing, 1 is perfect. Pictures of other "
    "kinds can be harder than any of these."
)
NO_SETTINGS = "The verdicts came from a file that does not say by which settings they were made."


class Weakness(NamedTuple):
    """Performance of a model on one source, as text."""

    source: str
    n: str
    auc: str
    span: str
    decided: str
    error: str


def reason_of(verdict: Verdict) -> str:
    """Return the reason without a clear label; empty with one."""
    if verdict.error is not None:
        return verdict.error["message"].removeprefix(f"{verdict.source}: ")
    return reason_text(verdict.reason)


def sentence(verdict: Verdict, thresholds: Thresholds | None) -> str:
    """Describe one verdict in a sentence."""
    label = verdict.answer
    if verdict.error is not None:
        return f"{ANSWER_NAMES[label].capitalize()}: {reason_of(verdict)}."
    reason = reason_of(verdict)
    if verdict.p_fake is None:
        return f"No answer: {reason or 'nothing could be judged'}."
    value = f"p_fake is {score(verdict.p_fake)}"
    if label == "inconclusive":
        return f"Inconclusive: {value}, and {reason}."
    said = "Called fake" if label == "fake" else as_sentence(ANSWER_TEXTS["real"]).removesuffix(".")
    if thresholds is None:
        return f"{said}: {value}."
    where = (
        f"at or above the threshold {thresholds.fake_above:.3g}"
        if label == "fake"
        else f"below the threshold {thresholds.real_below:.3g}"
    )
    return f"{said}: {value}, {where}."


def summary(tally: Tally) -> str:
    """Summarise all verdicts: ``37 files: 12 fake, 20 real, 3 inconclusive, 2 not readable``."""
    noun = "file" if tally.total == 1 else "files"
    parts = [f"{tally.labels[name]:,} {ANSWER_NAMES[name]}" for name in SHOWN if tally.labels[name]]
    return f"{tally.total:,} {noun}: {', '.join(parts) or 'nothing to judge'}."


def weaknesses(card: ModelCard) -> list[Weakness]:
    """Return the performance on each source of the model's validation pictures, the worst first."""
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
    """Return settings as rows of a table."""
    return [
        (name.replace("_", " "), "–" if value is None else str(value))
        for name, value in sorted(values.items())
    ]


def selection_text(tally: Tally) -> str:
    """Describe the choice of items with evidence, unless all have it."""
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
    """Format a score with three digits, never as 0 or 1; a dash for none."""
    if p_fake is None:
        return "–"
    if p_fake >= 0.9995:
        return ">0.999"
    return "<0.001" if p_fake < 0.0005 else f"{p_fake:.3f}"


def threshold_text(cuts: Sequence[float]) -> str:
    """Describe the dashed lines of a timeline; empty without thresholds."""
    if not cuts:
        return ""
    noun = "line is the threshold" if len(cuts) == 1 else "lines are the thresholds"
    return f"The level dashed {noun} {' and '.join(f'{cut:.3g}' for cut in cuts)}."


def rule(card: ModelCard) -> str:
    """Describe how a model's score becomes a label."""
    cuts = card.thresholds
    return (
        f"fake from {cuts.fake_above:.3g} on, real below {cuts.real_below:.3g}; rule: {cuts.rule}"
    )


def signed(fingerprint: str) -> str:
    """Explain a report's signature or its absence."""
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
    """Format a file size: ``812 B``, ``3.4 MB``; 1 kB = 1,000 B."""
    if n_bytes < 1000:
        return f"{n_bytes} B"
    value = float(n_bytes)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5:
            return f"{value:.3g} {unit}"
    return f"{value / 1000:,.0f} TB"
