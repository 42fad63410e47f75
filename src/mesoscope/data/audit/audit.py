"""Run an audit: read every picture once, run all checks, sort the findings."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mesoscope.data.audit import drift, leaks, quality, sources, suspects
from mesoscope.data.audit.cues import enough, measure_cues
from mesoscope.data.audit.facts import read_facts
from mesoscope.data.audit.finding import SEVERITIES, Audit
from mesoscope.data.audit.options import AuditOptions, Watch, unwatched
from mesoscope.data.audit.quality import of_claims, of_extremes
from mesoscope.data.audit.repeats import near_repeats
from mesoscope.data.audit.together import measure_together, of_cues, of_together
from mesoscope.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mesoscope.data.sample import Sample


def audit(
    samples: Sequence[Sample],
    *,
    root: Path | None = None,
    options: AuditOptions | None = None,
    watch: Watch = unwatched,
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
        together = measure_together(facts, options)
        findings = [*drift.of_splits(facts, options), *drift.of_encoding(facts)]
    with _timed("copies", seconds):
        near = near_repeats(facts)
        findings += [*leaks.of_repeats(facts, near), *leaks.of_groups(facts)]
        findings += sources.of_sources(facts, near)
    findings += of_together(together, cues) + of_cues(facts, cues)
    findings += quality.of_pictures(facts) + of_extremes(facts) + of_claims(facts)
    findings += quality.of_balance(facts)
    not_done = quality.too_few(facts)
    measurable = enough(facts.labels[facts.readable], facts.groups[facts.readable])
    if not options.suspects:
        not_done.append("Wrong labels: not asked for (`suspects`).")
    elif measurable:
        with _timed("labels", seconds):
            suspected, missed = suspects.of_labels(facts, options, watch)
        findings += suspected
        not_done += missed
    else:
        not_done.append("Wrong labels: too few groups of a class to judge them by.")
    if options.check_faces:
        with _timed("faces", seconds):
            faceless, missed = suspects.of_faces(facts, options, watch)
        findings += faceless
        not_done += missed
    else:
        not_done.append("Whether pictures show a face: not asked for (`check_faces`).")
    return Audit(
        root="" if root is None else str(root),
        pictures=len(facts.samples),
        groups=int(facts.groups.max()) + 1,
        parts=tuple(quality.parts_of(facts)),
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
