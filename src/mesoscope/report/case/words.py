"""What a report says in words: of one answer, and of what the answers are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mesoscope.report.case.tally import standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesoscope.report.case.tally import Tally
    from mesoscope.types import Json, ModelCard, Thresholds, Verdict

WORDS = {
    "fake": "fake",
    "inconclusive": "cannot tell",
    "real": "real",
    "none": "no answer",
    "unreadable": "not readable",
}
REASONS = {
    "between_thresholds": "the score lies between the model's two thresholds",
    "unfamiliar": "a face is unlike those that the model learnt from, so its score says nothing",
    "no_face": "no face was found",
    "face_too_small": "only faces that are too small to be judged were found",
    "few_frames": "a face was judged in too few frames",
    "unreadable": "the file could not be read",
}
MEANINGS = (
    (
        "fake",
        "The score of the deciding face lies at or above the upper threshold. Among faces like "
        "those of the calibration that is mostly right, and sometimes wrong.",
    ),
    (
        "inconclusive",
        "The model does not know: the score lies between the two thresholds, or a face is unlike "
        "anything that it learnt from. This is an answer, and often the right one. It is not a "
        "half of a fake, and it must not be counted as real.",
    ),
    (
        "real",
        "No trace was found that this model knows. That is less than a proof: a forgery made in "
        "another way may leave none.",
    ),
    ("none", "Nothing could be judged: no face, or none that is large enough. There is no score."),
    (
        "unreadable",
        "The file is missing, damaged, or of a kind that is not read. Nothing is said of it.",
    ),
)
WHAT_IT_MEANS = (
    "p_fake answers one question: among faces like those that the model was calibrated on, half "
    "of them forged, what share of those that score like this one is forged? 1 means surely "
    "forged, 0 surely not, and higher is always more fake.",
    "It is a reason to look closer. Alone it is no evidence, neither that a picture is forged nor "
    "that it is genuine, and it cannot say who made a picture, when, or why. The original file and "
    "its history, the person who sent it and other pictures of the same event can.",
)
WHERE_IT_FAILS = (
    (
        "Forgeries of a new kind.",
        "The model learnt the traces of certain ways of forging. Others may leave no trace that "
        "it knows, and then it says real, sometimes with confidence.",
    ),
    (
        "Copies of copies.",
        "Messengers and platforms shrink and compress pictures, and that wipes traces away. "
        "Judge the earliest copy that can be had, and not a screenshot.",
    ),
    (
        "Rare forgeries.",
        "The score takes half of all faces to be forged. Where one in a hundred is, most of those "
        "called fake can be genuine even with a good model.",
    ),
    (
        "Honest retouching.",
        "The score is about pixels and not about intent: an advertisement or a strong filter of a "
        "telephone may look forged.",
    ),
    (
        "People the model saw little of.",
        "Its training pictures are not balanced by age, skin or region, and errors may differ "
        "between groups.",
    ),
    (
        "Somebody who knows the model.",
        "Its weights are public. Whoever wants to pass it can try until it says real.",
    ),
)
HEAT_SAYS = (
    "Warm colours lie where the model found what speaks for fake. They show what moved the score, "
    "not what was forged."
)


class Weakness(NamedTuple):
    """How a model did on one kind of picture, as text."""

    source: str
    n: str
    auc: str
    span: str
    decided: str
    error: str


def sentence(verdict: Verdict, thresholds: Thresholds | None) -> str:
    """One answer in a sentence."""
    label = standing(verdict)
    if verdict.error is not None:
        return f"{WORDS[label].capitalize()}: {verdict.error['message']}."
    why = REASONS.get(verdict.reason or "", verdict.reason or "")
    if verdict.p_fake is None:
        return f"No answer: {why or 'nothing could be judged'}."
    score = f"p_fake is {verdict.p_fake:.3f}"
    if label == "inconclusive":
        return f"Cannot tell: {why}. {score[0].upper()}{score[1:]}."
    if thresholds is None:
        return f"Called {label}: {score}."
    where = (
        f"at or above the threshold {thresholds.fake_above:.3g}"
        if label == "fake"
        else f"below the threshold {thresholds.real_below:.3g}"
    )
    return f"Called {label}: {score}, {where}."


def summary(tally: Tally) -> str:
    """All answers in a sentence: ``37 files: 12 fake, 20 real, 3 cannot tell, 2 not readable``."""
    noun = "file" if tally.total == 1 else "files"
    parts = [f"{tally.labels[name]:,} {word}" for name, word in WORDS.items() if tally.labels[name]]
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
    return (
        f"The table holds every file. Pictures and evidence are shown for the {shown} most "
        "suspicious: fake before cannot tell before the rest, and among alike the higher score."
    )
