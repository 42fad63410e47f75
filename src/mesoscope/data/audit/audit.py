"""Run an audit: read every picture once, run all checks, sort the findings, write them."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mesoscope.data.audit import drift, leaks, quality, sources, suspects
from mesoscope.data.audit.combined import combined_findings, cue_findings, measure_combined
from mesoscope.data.audit.cues import FACTS, enough_groups, measure_cues
from mesoscope.data.audit.facts import read_facts
from mesoscope.data.audit.finding import SEVERITIES, Audit
from mesoscope.data.audit.options import AuditOptions, Watch, no_progress
from mesoscope.data.audit.quality import mismatch_findings, outlier_findings
from mesoscope.data.audit.repeats import near_repeats
from mesoscope.errors import DatasetError, OptionError
from mesoscope.files.atomic import refuse_missing_parent, write_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mesoscope.data.audit.finding import Audit
    from mesoscope.data.sample import Sample


def audit(
    samples: Sequence[Sample],
    *,
    root: Path | None = None,
    options: AuditOptions | None = None,
    watch: Watch = no_progress,
) -> Audit:
    """Find shortcuts, leaks and duplicates that make a data set's scores misleading.

    Args:
        samples: Of :func:`mesoscope.data.manifest.read_dataset`.
        root: The data set's folder: findings name pictures below it by their relative path.
        options: What to check; everything by default.
        watch: Wraps long iterations for a progress bar.

    Returns:
        Findings, the most severe first.

    Raises:
        DatasetError: There is no sample.
        MissingExtra: scikit-learn is not installed.
        ModelError: The model that finds label errors is not usable.
    """
    if not samples:
        raise DatasetError("an audit needs pictures: there is none")
    options = options or AuditOptions()
    seconds: dict[str, float] = {}
    with _timed("reading", seconds):
        facts = read_facts(samples, root=root, options=options, watch=watch)
    with _timed("cues", seconds):
        cues = measure_cues(facts, options)
        together = measure_combined(facts, options)
        findings = [*drift.drift_findings(facts, options), *drift.encoding_findings(facts)]
    with _timed("copies", seconds):
        near = near_repeats(facts)
        findings += [*leaks.repeat_findings(facts, near), *leaks.group_findings(facts)]
        findings += sources.source_findings(facts, near)
    findings += combined_findings(together, cues) + cue_findings(facts, cues)
    findings += quality.picture_findings(facts) + outlier_findings(facts) + mismatch_findings(facts)
    findings += quality.balance_findings(facts)
    not_done = quality.small_sources(facts)
    measurable = enough_groups(facts.labels[facts.readable], facts.groups[facts.readable])
    if not options.suspects:
        not_done.append("Wrong labels: not asked for (`suspects`).")
    elif measurable:
        with _timed("labels", seconds):
            suspected, missed = suspects.label_findings(facts, options, watch)
        findings += suspected
        not_done += missed
    else:
        not_done.append("Wrong labels: too few groups of a class to judge them by.")
    if options.check_faces:
        with _timed("faces", seconds):
            faceless, missed = suspects.face_findings(facts, options, watch)
        findings += faceless
        not_done += missed
    else:
        not_done.append("Whether pictures show a face: not asked for (`check_faces`).")
    return Audit(
        root="" if root is None else str(root),
        pictures=len(facts.samples),
        groups=int(facts.groups.max()) + 1,
        parts=tuple(quality.split_counts(facts)),
        findings=tuple(
            sorted(findings, key=lambda one: (SEVERITIES.index(one.severity), one.scope != ""))
        ),
        cues=tuple(cues),
        together=tuple(together),
        not_done=tuple(not_done),
        seconds=seconds,
        facts=facts,
    )


@contextmanager
def _timed(part: str, seconds: dict[str, float]) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[part] = time.perf_counter() - started


def refuse_output(path: Path, dataset: Path) -> None:
    """Check before the long work that a file can be written, outside of the data set.

    Args:
        path: The file to write.
        dataset: The audited folder.

    Raises:
        OptionError: The folder is missing, or the file would lie in the set.
    """
    refuse_missing_parent(path)
    if path.is_dir():
        raise OptionError(f"{path}: a folder: give the name of a file in it")
    if dataset.resolve() in path.parent.resolve().parents:
        raise OptionError(f"{path}: would lie among the set's pictures: choose another folder")
    if path.name.lower().startswith("manifest.") and path.parent.resolve() == dataset.resolve():
        raise OptionError(f"{path}: would replace the set's manifest: choose another name")


def write_json(audit: Audit, path: Path, *, hint: str = "") -> None:
    """Write an audit as JSON.

    Args:
        audit: The audit.
        path: The file to write.
        hint: End of the error message: the next step.

    Raises:
        OutputError: The file is not writable.
    """
    write_text(path, json.dumps(audit.to_dict(), indent=1) + "\n", hint=hint)


def write_page(
    audit: Audit, path: Path, *, pictures: bool = True, command: str = "", fix: str = ""
) -> Path:
    """Write an audit as one self-contained HTML page.

    Args:
        audit: The audit.
        path: The page to write.
        pictures: Show thumbnails of examples, if the audit was made in this process.
        command: Command line that repeats the audit, for the page's foot.
        fix: Command line that cleans the set.

    Raises:
        MissingExtra: The ``report`` extra is not installed.
        OutputError: The page is not writable.
    """
    from mesoscope.report import require

    require("jinja2")
    from mesoscope.report.audit import write_audit_page

    wanted = {example.path for finding in audit.findings for example in finding.examples}
    sources = None
    if pictures and audit.facts is not None:
        named = zip(audit.facts.names, audit.facts.samples, strict=True)
        sources = {name: sample.picture for name, sample in named if name in wanted}
    families = {name: fact.family for name, fact in FACTS.items()}
    return write_audit_page(
        audit.to_dict(), path, pictures=sources, families=families, command=command, fix=fix
    )
