"""Findings about files that are not what their name or the manifest says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.data.audit import severity
from mesoscope.data.audit.examples import of_rows
from mesoscope.data.audit.finding import Finding

if TYPE_CHECKING:
    from mesoscope.data.audit.facts import Facts


def of_claims(facts: Facts) -> list[Finding]:
    """Files of another format than their suffix says, or with other bytes than the manifest says.

    Args:
        facts: Of all pictures.
    """
    return [*_suffixes(facts), *_digests(facts)]


def _suffixes(facts: Facts) -> list[Finding]:
    column = facts.categories.get("suffix_fits")
    if column is None:
        return []
    fits = np.array([value == "yes" for value in column.values], bool)
    rows = np.flatnonzero((column.codes >= 0) & ~fits[np.maximum(column.codes, 0)])
    if not len(rows):
        return []
    return [
        Finding(
            kind="pictures.wrong_suffix",
            severity="note",
            title=f"{_files(len(rows))} another format than the name says",
            detail="They are read by their content here; other programs go by the name, and fail.",
            fix="Rename them; `fix` names each copy by its format.",
            count=len(rows),
            examples=of_rows(facts, rows, lambda row: column.of(row)),
        )
    ]


def _digests(facts: Facts) -> list[Finding]:
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
        Finding(
            kind="pictures.changed",
            severity=severity.of_spoilt(share),
            title=f"{_files(len(rows))} other bytes than the manifest says",
            detail=(
                "Their SHA-256 is another: they were changed after the manifest was written, or "
                "are other pictures under the same name."
            ),
            fix="Fetch them again, or write the manifest anew if the change was meant.",
            count=len(rows),
            examples=of_rows(facts, rows, lambda _: "changed since the manifest"),
        )
    ]


def _files(count: int) -> str:
    return "1 file holds" if count == 1 else f"{count:,} files hold"
