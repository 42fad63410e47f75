"""The verdicts of a job in place of a detector: labelled files are measured without judging."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mesoscope.detection.detector import Detector, DetectorSpec
from mesoscope.errors import DatasetError, JobError
from mesoscope.files.store import is_object
from mesoscope.report.case.contents import model_path
from mesoscope.scan.sinks import parse_verdict
from mesoscope.types import DetectOptions, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mesoscope.data.sample import Sample
    from mesoscope.scan.results import JobResults
    from mesoscope.types import Json

__all__ = ["JudgedSamples", "read_judged"]


class JudgedSamples:
    """Gives the verdicts that a job holds where a detector would judge.

    Args:
        detector: Built with the model and the options of the job.
        verdicts: JSON of the verdict of each sample, in their order.
        model_file: File of the model.
    """

    def __init__(self, detector: Detector, verdicts: Sequence[str], model_file: Path) -> None:
        self._verdicts = verdicts
        self.card, self.model_id = detector.card, detector.model_id
        self.options, self.thresholds = detector.options, detector.thresholds
        self.guard = detector.guard
        self.model_file = model_file

    def check_many(
        self, sources: Iterable[object], *, keep_going: bool = False, clips: bool = False
    ) -> Iterator[Verdict]:
        """Yield the verdicts of the samples; their sources are not opened."""
        del keep_going, clips  # the scan has met errors and clips
        for _, verdict in zip(sources, self._verdicts, strict=True):
            yield Verdict.from_json(verdict)


def read_judged(
    job: JobResults, name: str, samples: Sequence[Sample], roots: Sequence[Path], at_hand: Path
) -> JudgedSamples:
    """Read the verdicts of labelled files from a job.

    A file is found by its path. In a job of a bucket it is found by its path below the data set,
    which is its key below the prefix that was scanned.

    Args:
        job: The results.
        name: What messages call the job.
        samples: The labelled files, at least one; each needs a verdict.
        roots: Folders of the data sets.
        at_hand: A model file that the job may use, besides the shipped ones.

    Raises:
        JobError: The model of the job is not at hand, or a verdict is damaged.
        DatasetError: A file has no verdict in the job.
        OptionError: The options of the job are not valid.
    """
    facts = job.facts()
    path = model_path(str(facts.get("model")), at_hand=at_hand)
    if path is None:
        raise JobError(
            f"{name}: its model {facts.get('model')} is not at hand: name its file with `model`"
        )
    begun = facts.get("settings")
    asked = DetectOptions.of_settings(begun if isinstance(begun, dict) else {})
    verdicts = _of_samples(job, name, samples, _places(facts, roots))
    return JudgedSamples(DetectorSpec.of(path, asked).build(), verdicts, path)


def _places(facts: Mapping[str, Json], roots: Sequence[Path]) -> list[tuple[str, str]]:
    """Folders of data sets, and the prefixes of object stores whose keys may lie in them."""
    scanned = facts.get("sources")
    urls = [str(one) for one in scanned] if isinstance(scanned, list) else []
    return [
        (os.path.join(os.path.abspath(root), ""), url.rstrip("/") + "/")  # noqa: PTH100, PTH118
        for root in roots
        for url in urls
        if is_object(url)
    ]


def _of_samples(
    job: JobResults, name: str, samples: Sequence[Sample], places: Sequence[tuple[str, str]]
) -> list[str]:
    wanted: dict[bytes, list[int]] = {}
    for number, sample in enumerate(samples):
        path = os.path.abspath(sample.file)  # noqa: PTH100
        names = [path, *(url + path[len(root) :] for root, url in places if path.startswith(root))]
        for one in names:
            wanted.setdefault(os.fsencode(one), []).append(number)
    found: dict[int, str] = {}
    for row in job.results():
        path = os.fsdecode(row.path)
        if not is_object(path):
            path = os.path.abspath(path)  # noqa: PTH100
        for number in wanted.get(os.fsencode(path), ()):
            parse_verdict(row)
            found[number] = row.verdict
    lost = [sample.file for number, sample in enumerate(samples) if number not in found]
    if lost:
        others = f" and {len(lost) - 1:,} others" if len(lost) > 1 else ""
        raise DatasetError(
            f"{lost[0]}{others} of {len(samples):,} have no verdict in {name}: finish the scan, "
            "or evaluate what it holds"
        )
    return [found[number] for number in range(len(samples))]
