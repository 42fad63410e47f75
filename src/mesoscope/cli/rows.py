"""A verdict as a line of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.files.names import visible

if TYPE_CHECKING:
    from mesoscope.types import Person, Verdict

HEADER = f"{'label':<13}{'p_fake':>6}  source"


def row(verdict: Verdict) -> str:
    """Label, score, source, and why there is no clear label; of a clip the persons, too.

    Names are shown with control characters written out: a file's name must not steer the terminal.
    """
    score = "     –" if verdict.p_fake is None else f"{verdict.p_fake:6.3f}"
    label = verdict.label or "–"
    if verdict.error is not None:
        return f"{label:<13}{score}  {visible(verdict.error['message'])}"
    told = verdict.reason in (None, "between_thresholds")  # the label says as much
    why = "" if told else f"  ({verdict.reason})"
    first = f"{label:<13}{score}  {visible(verdict.source)}{why}"
    return "\n".join([first, *map(_person, verdict.persons)])


def _person(person: Person) -> str:
    score = "     –" if person.p_fake is None else f"{person.p_fake:6.3f}"
    frames = "1 frame" if person.frames == 1 else f"{person.frames} frames"
    told = person.reason in (None, "between_thresholds")
    why = "" if told else f" ({person.reason})"
    why += " in the background" if person.background else ""
    return (
        f"  {person.label or '–':<11}{score}    person {person.number + 1}: {frames}, "
        f"{person.first_s:.1f}–{person.last_s:.1f} s{why}"
    )
