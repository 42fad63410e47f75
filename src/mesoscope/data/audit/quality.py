"""Findings about single pictures: wrong suffixes, broken or useless files, outliers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mesoscope.data.audit import severity
from mesoscope.data.audit.cues import LEAST_GROUPS
from mesoscope.data.audit.finding import AuditFinding, SplitCount
from mesoscope.data.audit.repeats import BLANK_SPREAD
from mesoscope.data.audit.severity import row_examples
from mesoscope.data.sample import SPLITS
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.data.audit.facts import Facts
    from mesoscope.data.audit.finding import Action


def mismatch_findings(facts: Facts) -> list[AuditFinding]:
    """Report files whose format differs from the suffix, or whose digest from the manifest.

    Args:
        facts: Facts of all pictures.
    """
    return [*_suffixes(facts), *_digests(facts)]


def _suffixes(facts: Facts) -> list[AuditFinding]:
    column = facts.categories.get("suffix_fits")
    if column is None:
        return []
    fits = np.array([value == "yes" for value in column.values], bool)
    rows = np.flatnonzero((column.codes >= 0) & ~fits[np.maximum(column.codes, 0)])
    if not len(rows):
        return []
    return [
        AuditFinding(
            kind="pictures.wrong_suffix",
            severity="note",
            title=f"{_files(len(rows))} another format than the name says",
            detail="They are read by their content here; other programs go by the name, and fail.",
            fix="Rename them; `fix` names each copy by its format.",
            count=len(rows),
            examples=row_examples(facts, rows, lambda row: column.of(row)),
        )
    ]


def _digests(facts: Facts) -> list[AuditFinding]:
    claimed = [sample.sha256.lower() for sample in facts.samples]
    rows = np.array(
        [
            row
            for row, claim in enumerate(claimed)
            if claim and facts.sha256[row].any() and facts.sha256[row].tobytes().hex() != claim
        ],
        np.int64,
    )
    if not len(rows):
        return []
    share = len(rows) / len(facts.samples)
    return [
        AuditFinding(
            kind="pictures.changed",
            severity=severity.unusable_severity(share),
            title=f"{_files(len(rows))} other bytes than the manifest says",
            detail=(
                "Their SHA-256 is another: they were changed after the manifest was written, or "
                "are other pictures under the same name."
            ),
            fix="Fetch them again, or write the manifest anew if the change was meant.",
            count=len(rows),
            examples=row_examples(facts, rows, lambda _: "changed since the manifest"),
        )
    ]


def _files(count: int) -> str:
    return "1 file holds" if count == 1 else f"{count:,} files hold"


DARK, BRIGHT = 24.0, 232.0  # mean grey values; faces in normal light have 60 to 190
LONG = 2.0  # aspect ratio: a centre square holds half


class _Outlier(NamedTuple):
    kind: str
    what: str
    detail: str
    fix: str


_DARK = _Outlier(
    "pictures.dark",
    "nearly black",
    "Little of a face can be seen in them, and noise and compression make up most of it.",
    "Look at them, and leave out what shows no face.",
)
_BRIGHT = _Outlier(
    "pictures.bright",
    "nearly white",
    "Little of a face can be seen in them: light that is cut off has no detail.",
    "Look at them, and leave out what shows no face.",
)
_LONG = _Outlier(
    "pictures.odd_shape",
    f"more than {LONG:.0f} times as long as wide, or the other way round",
    "Training and detection take squares: of these they see a part, or the border mirrored.",
    "Cut them to their faces: mesoscope prepare does.",
)


def outlier_findings(facts: Facts) -> list[AuditFinding]:
    """Report pictures that are nearly black, nearly white, or elongated; except blank ones."""
    if "spread" not in facts.numbers:
        return []
    seen = facts.readable & (facts.numbers["spread"] >= BLANK_SPREAD)
    brightness, aspect = facts.numbers["brightness"], facts.numbers["aspect"]
    of = (
        (_DARK, seen & (brightness < DARK), "brightness"),
        (_BRIGHT, seen & (brightness > BRIGHT), "brightness"),
        (_LONG, seen & ((aspect > LONG) | (aspect < 1 / LONG)), "aspect"),
    )
    return [
        _of(facts, extreme, np.flatnonzero(mask), number)
        for extreme, mask, number in of
        if mask.any()
    ]


def _of(facts: Facts, extreme: _Outlier, rows: NDArray[np.int64], number: str) -> AuditFinding:
    fakes = int(facts.labels[rows].sum())
    verb = "picture is" if len(rows) == 1 else "pictures are"
    values = facts.numbers[number]
    rows = rows[np.argsort(values[rows], kind="stable")]
    return AuditFinding(
        kind=extreme.kind,
        severity=severity.unusable_severity(len(rows) / len(facts.samples)),
        title=f"{len(rows):,} {verb} {extreme.what}: {len(rows) - fakes:,} real, {fakes:,} fake",
        detail=extreme.detail,
        fix=extreme.fix,
        count=len(rows),
        examples=row_examples(facts, rows, lambda row: _example_caption(facts, number, row)),
    )


def _example_caption(facts: Facts, number: str, row: int) -> str:
    if number == "aspect":
        width, height = (facts.numbers[side][row] for side in ("width", "height"))
        return f"{width:.0f}×{height:.0f}"
    return f"mean brightness {facts.numbers[number][row]:.0f} of 255"


TINY_PX = 48  # a shorter side shows no detail of a forgery


def split_counts(facts: Facts) -> list[SplitCount]:
    """Count pictures by source and split."""
    found = []
    for source in facts.sources.values:
        for split in SPLITS:
            if split not in facts.splits.values:
                continue
            of = facts.rows_of(source) & (facts.splits.codes == facts.splits.values.index(split))
            if of.any():
                fakes = int(facts.labels[of].sum())
                found.append(SplitCount(source, split, int(of.sum()) - fakes, fakes))
    return found


def picture_findings(facts: Facts) -> list[AuditFinding]:
    """Report unreadable, blank and tiny pictures."""
    found = []
    spoilt = np.array(sorted(facts.unreadable), np.int64)
    if len(spoilt):
        why = "; ".join(dict.fromkeys(facts.unreadable[int(row)] for row in spoilt[:3]))
        found.append(
            _of_rows(facts, spoilt, "pictures.unreadable", "cannot be read", f"Such as: {why}.",
                     "Fetch them again, or leave them out: `fix` does.", "drop"),
        )  # fmt: skip
    if "spread" not in facts.numbers:
        return found
    blank = np.flatnonzero(facts.readable & (facts.numbers["spread"] < BLANK_SPREAD))
    if len(blank):
        found.append(
            _of_rows(facts, blank, "pictures.blank", "show nothing",
                     "All their pixels have nearly one colour.", "`fix` leaves them out.", "drop"),
        )  # fmt: skip
    short = np.minimum(facts.numbers["width"], facts.numbers["height"])
    tiny = np.flatnonzero(facts.readable & (short < TINY_PX))
    if len(tiny):
        found.append(
            _of_rows(facts, tiny, "pictures.tiny", f"are smaller than {TINY_PX} pixels",
                     "Blown up for a network, they are smooth: what betrays a forgery is gone.",
                     "Leave them out, or crop them from larger originals.", ""),
        )  # fmt: skip
    return found


def balance_findings(facts: Facts) -> list[AuditFinding]:
    """Report splits and sources with class imbalance or one class only, and small sources."""
    found = []
    for part_of, name, mask in _parts(facts):
        count = [int((facts.labels[mask] == label).sum()) for label in (0, 1)]
        larger = int(np.argmax(count))
        share = count[larger] / sum(count)
        if not min(count):
            found.append(_one_class(part_of, name, larger, sum(count)))
        elif (how := severity.balance_severity(share)) is not None:
            found.append(
                AuditFinding(
                    kind="balance.classes",
                    severity=how,
                    title=f"{100 * share:.0f} % of {name} are {CLASSES[larger]}",
                    detail=(
                        "A model that always says so is right that often, and accuracy says "
                        "little. AUC does not depend on it."
                    ),
                    fix="Balance the classes in training (data.balance_classes), or collect more.",
                    count=sum(count),
                    scope=name if part_of == "source" else "",
                )
            )
    return found


def small_sources(facts: Facts) -> list[str]:
    """Name the sources that are too small for a figure."""
    lines = []
    for source in facts.sources.values:
        of = facts.rows_of(source) & facts.readable
        groups = [len(np.unique(facts.groups[of & (facts.labels == y)])) for y in (0, 1)]
        if min(groups) < LEAST_GROUPS:
            lines.append(
                f"Cues in {source}: {groups[0]} groups of reals and {groups[1]} of fakes are too "
                f"few, {LEAST_GROUPS} of each are needed."
            )
    return lines


def _parts(facts: Facts) -> list[tuple[str, str, NDArray[np.bool_]]]:
    splits = [
        ("split", name, facts.splits.codes == code) for code, name in enumerate(facts.splits.values)
    ]
    sources = [("source", name, facts.rows_of(name)) for name in facts.sources.values]
    return splits + (sources if len(sources) > 1 else [])


def _one_class(part_of: str, name: str, label: int, count: int) -> AuditFinding:
    source = part_of == "source"
    return AuditFinding(
        kind="balance.one_class",
        severity="warning",
        title=f"{name} holds {CLASSES[label]} pictures only",
        detail=(
            "Whatever tells this source from the others tells the class, too: its cameras, sizes, "
            "places."
            if source
            else "Nothing can be measured there that compares the classes."
        ),
        fix="Add pictures of the other class that came about in the same way.",
        count=count,
        scope=name if source else "",
    )


def _of_rows(
    facts: Facts,
    rows: NDArray[np.int64],
    kind: str,
    what: str,
    detail: str,
    fix: str,
    action: Action,
) -> AuditFinding:
    fakes = int(facts.labels[rows].sum())
    one = len(rows) == 1
    return AuditFinding(
        kind=kind,
        severity=severity.unusable_severity(len(rows) / len(facts.samples)),
        title=(
            f"{len(rows):,} {'picture' if one else 'pictures'} {what}: {len(rows) - fakes:,} real, "
            f"{fakes:,} fake"
        ),
        detail=detail,
        fix=fix,
        count=len(rows),
        action=action,
        drop=tuple(facts.names[int(row)] for row in rows) if action else (),
        examples=row_examples(facts, rows, lambda row: _size(facts, row)),
    )


def _size(facts: Facts, row: int) -> str:
    if row in facts.unreadable:
        return "unreadable"
    return f"{facts.numbers['width'][row]:.0f}×{facts.numbers['height'][row]:.0f}"
