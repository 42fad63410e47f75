"""Contents of a PDF report in order, from title to verification."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reportlab.platypus import KeepTogether, Paragraph, Spacer

from mesoscope.draw import clock
from mesoscope.files.escape import escape_name
from mesoscope.report.case import words
from mesoscope.report.case.items import SHOWN, distribution
from mesoscope.report.case.page import WEIGHTS, cuts, face_caption
from mesoscope.report.case.pdf_parts import (
    BODY,
    BULLET,
    CODE,
    FAINT,
    HEAD,
    ITEM,
    LABEL,
    LEAD,
    MONO,
    PART,
    SMALL,
    TITLE,
    WIDTH,
    facts,
    grid,
    hexadecimal,
    histogram,
    marked,
    note,
    paragraph,
    persons,
    picture,
    rows_of,
    safe,
    tiles,
    timeline,
    verdict_text,
)
from mesoscope.types.label import ANSWER_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reportlab.platypus import Flowable

    from mesoscope.report.case.contents import Contents, ModelFacts
    from mesoscope.report.case.evidence import Evidence
    from mesoscope.report.case.page import ReportEntry

_HASHES = ("SHA-256", "when it was judged", "SHA-256 of its file", "SHA-256 of the settings")
_FACES_ACROSS, _STRIP_ACROSS = 3, 3
_PICTURE_HIGH = 250.0  # points


def story(contents: Contents, items: Sequence[ReportEntry], signer: str) -> Iterator[Flowable]:
    """Yield the flowables of the whole report.

    Args:
        contents: Contents of the report.
        items: Items with evidence.
        signer: Fingerprint of the signing key; empty if not signed.
    """
    yield from _opening(contents, signer)
    yield from _table(contents)
    if items:
        opening: list[Flowable] = [paragraph("Evidence", HEAD)]
        if any(close.heat for one in items for close in one.evidence.faces):
            opening.append(paragraph(words.HEAT_SAYS, FAINT))
        for number, one in enumerate(items, 1):
            yield from _item(number, one, opening)
            opening = []
    yield from _meaning()
    for model in contents.models:
        yield from _model(model)
    yield from _closing(contents, signer)


def _opening(contents: Contents, signer: str) -> Iterator[Flowable]:
    details, tally = contents.details, contents.tally
    yield paragraph(escape_name(details.title), TITLE)
    yield paragraph(words.summary(tally), LEAD)
    made = details.made.replace("T", " ").replace("Z", " UTC")
    rows = [
        ("Case", escape_name(details.reference)),
        ("Handed over by", escape_name(details.analyst)),
        ("Made", f"{made} with mesoscope {details.version}"),
        ("Model", ", ".join(escape_name(model.id) for model in contents.models)),
        ("Signature", f"signed with the key {signer}" if signer else "none"),
    ]
    yield facts([row for row in rows if row[1]])
    yield Spacer(1, 8)
    yield note(
        "<b>A score is a reason to look closer.</b> Alone it is no evidence, neither that a "
        "picture is forged nor that it is genuine. What it means and where it fails stands at the "
        "end."
    )
    if tally.total > 1:
        yield Spacer(1, 10)
        yield tiles(tally)
    bars, most = distribution(tally)
    if tally.scored >= 5:  # fewer are readable in the table
        limits = cuts(contents.thresholds)
        key = ", ".join(
            f'<font color="{hexadecimal(LABEL[label])}">■</font> {ANSWER_NAMES[label]}'
            for label in SHOWN
            if label in tally.bins
        )
        dashed = " and ".join(f"{cut:.3g}" for cut in limits)
        yield KeepTogether(
            [
                paragraph("Distribution of the scores", HEAD),
                paragraph(f"Files by p_fake; the fullest bar holds {most:,}", FAINT),
                histogram(bars, limits),
                marked(key + (f". Dashed: the thresholds {dashed}." if dashed else "."), FAINT),
            ]
        )


def _table(contents: Contents) -> Iterator[Flowable]:
    numbers = {place: number for number, place in enumerate(contents.tally.pictured, 1)}
    order = [*contents.tally.pictured]
    lines = {}
    for place, item in enumerate(contents.items):
        if place not in numbers:
            order.append(place)
        verdict = item.verdict
        label = verdict.answer
        lines[place] = [
            paragraph(str(numbers.get(place, "–")), SMALL),
            marked(verdict_text(label), SMALL),
            paragraph(words.score(verdict.p_fake), SMALL),
            paragraph(escape_name(verdict.source), SMALL),
            paragraph(escape_name(words.reason_of(verdict)), FAINT),
            paragraph("–" if item.file is None else item.file.sha256[:12], CODE),
        ]
    yield paragraph("The file" if len(order) == 1 else "All files", HEAD)
    if len(order) > len(numbers):
        yield paragraph(words.selection_text(contents.tally), SMALL)
    heads = ("", "Verdict", "p_fake", "File", "Why", "SHA-256")
    yield grid(heads, [lines[place] for place in order], (0.05, 0.14, 0.09, 0.32, 0.24, 0.16))


def _item(number: int, one: ReportEntry, before: Sequence[Flowable]) -> Iterator[Flowable]:
    evidence, verdict = one.evidence, one.evidence.verdict
    opening: list[Flowable] = [
        *before,
        paragraph(f"{number}   {one.name}", ITEM),
        marked(
            f"{verdict_text(one.label)}"
            + ("" if verdict.p_fake is None else f"   <b>{words.score(verdict.p_fake)}</b>")
            + f"   {safe(one.sentence)}"
        ),
        *(marked(safe(text), BULLET, bullet="•") for text in one.notes),
    ]
    if evidence.picture is not None:
        opening.append(picture(evidence.picture, width=WIDTH, height=_PICTURE_HIGH))
    if evidence.faces:
        opening += [Spacer(1, 6), _faces(evidence)]
    yield KeepTogether(opening)
    if evidence.strip:
        wide = WIDTH / _STRIP_ACROSS - 8
        shots = [
            [picture(shot, width=wide, height=0.8 * wide), paragraph(shot.caption, FAINT)]
            for shot in evidence.strip
        ]
        yield paragraph("Its most suspicious frames", PART)
        yield rows_of(shots, _STRIP_ACROSS)
    if evidence.timeline is not None:
        chart = timeline(evidence.timeline, one.cuts)
        said = words.threshold_text(one.cuts)
        below = [paragraph(said, FAINT)] if said else []
        yield KeepTogether([paragraph("Over time", PART), chart, *below])
    if verdict.persons:
        yield persons(verdict.persons)
    yield from _provenance(evidence)
    yield KeepTogether([Spacer(1, 4), facts(_file_facts(one), code=_HASHES)])


def _faces(evidence: Evidence) -> Flowable:
    side = WIDTH / _FACES_ACROSS / 2 - 7
    cells = []
    for close in evidence.faces:
        shots = [close.plain] if close.heat is None else [close.plain, close.heat]
        pair = rows_of([[picture(shot, width=side, height=side)] for shot in shots], 2)
        pair._argW = [side + 4] * 2  # noqa: SLF001
        cells.append([pair, paragraph(face_caption(close, evidence.verdict), FAINT)])
    return rows_of(cells, _FACES_ACROSS)


def _provenance(evidence: Evidence) -> Iterator[Flowable]:
    if not evidence.findings:
        return
    yield paragraph("What the file says of itself", PART)
    yield paragraph(
        "Provenance stands beside the score and never changes it. Metadata can be made up or "
        "removed by anybody.",
        FAINT,
    )
    for finding in evidence.findings:
        where = f'<font name="{MONO}" size="7.4">{safe(f"{finding.where} {finding.field}")}</font>'
        yield marked(
            f"<b>{safe(finding.title)}</b> ({WEIGHTS[finding.weight]}) {where} "
            f"{safe(escape_name(finding.value))}<br/>{safe(finding.meaning)}",
            BULLET,
            bullet="•",
        )


def _file_facts(one: ReportEntry) -> list[tuple[str, str]]:
    verdict = one.evidence.verdict
    rows = [("SHA-256", one.sha256 or "the file could not be read")]
    if one.item.earlier:
        rows.append(("when it was judged", one.item.earlier))
    size = one.size or "–"
    if verdict.kind == "clip":
        length = f" of {clock(verdict.duration_s)}" if verdict.duration_s else ""
        size += f", clip{length}, {verdict.frames_read} frames judged"
    rows.append(("Size", size))
    if verdict.finder:
        rows.append(("Face finder", verdict.finder))
    rows.append(("Model", escape_name(verdict.model)))
    return rows


def _meaning() -> Iterator[Flowable]:
    yield paragraph("What the score means", HEAD)
    for text in words.WHAT_IT_MEANS:
        yield paragraph(text)
    rows = [
        [marked(verdict_text(label), SMALL), paragraph(text, SMALL)]
        for label, text in words.MEANINGS
    ]
    yield grid(("Verdict", "Meaning"), rows, (0.17, 0.83))
    yield paragraph("Where it fails", HEAD)
    for what, text in words.WHERE_IT_FAILS:
        yield marked(f"<b>{what}</b> {text}", BULLET, bullet="•")


def _model(model: ModelFacts) -> Iterator[Flowable]:
    yield paragraph(f"The model {escape_name(model.id)}", HEAD)
    card = model.card
    if card is None:
        yield paragraph(
            "Its file was not at hand when this report was made, so its card and its whole hash "
            "are missing."
        )
        return
    weak = words.weaknesses(card)
    if weak:
        yield paragraph(words.BY_KIND)
        yield grid(
            ("Kind", "Pictures", "AUC", "95 % interval", "Decided", "Wrong among those"),
            [[paragraph(cell, SMALL) for cell in row] for row in weak],
            (0.24, 0.13, 0.1, 0.21, 0.13, 0.19),
        )
        yield Spacer(1, 6)
    fitted = f" on {card.calibration.fitted_on}" if card.calibration.fitted_on else ""
    yield facts(
        [
            row
            for row in (
                ("Trained on", card.training_data),
                ("Calibrated", f"{card.calibration.method}{fitted}"),
                ("Thresholds", words.rule(card)),
                ("SHA-256 of its file", model.sha256),
                ("Licence", card.licence),
            )
            if row[1]
        ],
        code=_HASHES,
    )


def _closing(contents: Contents, signer: str) -> Iterator[Flowable]:
    yield paragraph("Settings", HEAD)
    if contents.settings is None:
        yield paragraph(words.NO_SETTINGS)
    else:
        rows = words.settings_rows(contents.settings.values)
        yield facts([*rows, ("SHA-256 of the settings", contents.settings.sha256)], code=_HASHES)
    yield paragraph("How to check this report", HEAD)
    yield paragraph(
        "This document carries the SHA-256 of every file, of the model and of the settings, and "
        "one of the document itself (its attachments record.json and seal.json). This line "
        "recomputes them, and says which files are unchanged and whether a byte of the document "
        "was altered:"
    )
    yield Paragraph(
        "mesoscope report verify REPORT.pdf" + (" --key PUBLIC.pem" if signer else ""), CODE
    )
    yield Spacer(1, 4)
    yield paragraph(words.signed(signer), BODY)
