"""Write a cleaned copy of a data set, atomically and never into the set itself, and audit it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mesoscope.data.audit.audit import audit as audit_samples
from mesoscope.data.audit.audit import write_json
from mesoscope.data.audit.fix_pixels import reencode, strip_metadata
from mesoscope.data.audit.fix_plan import FixOptions, plan
from mesoscope.data.audit.options import no_progress
from mesoscope.data.manifest import read_dataset, write_manifest
from mesoscope.data.sample import sample_bytes
from mesoscope.errors import OptionError, OutputError
from mesoscope.errors.failures import cause, failure
from mesoscope.files.atomic import refuse_missing_parent
from mesoscope.files.escape import csv_row
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mesoscope.data.audit.facts import Facts
    from mesoscope.data.audit.finding import Audit
    from mesoscope.data.audit.fix_plan import FixOptions, FixStep
    from mesoscope.data.audit.options import AuditOptions, Watch

RECORD = "what_was_done.csv"
MANIFEST = "manifest.csv"
LEFT_OUT, COPIED, ENCODED, MOVED = "left out", "copied", "encoded", "moved"
_COLUMNS = ("from", "to", "action", "reason", "label", "source", "group", "split_before", "split")


@dataclass(frozen=True, slots=True)
class FixResult:
    """Result of cleaning a data set.

    Attributes:
        out: Folder of the copy.
        left_out: Number of pictures left out, by reason.
        copied: Number of pictures whose pixels were kept.
        encoded: Number of re-encoded pictures.
        moved: Number of pictures that changed split.
    """

    out: Path
    left_out: dict[str, int] = field(default_factory=dict)
    copied: int = 0
    encoded: int = 0
    moved: int = 0


class _WrittenStep(NamedTuple):
    """A finished step."""

    step: FixStep
    to: str
    action: str
    reason: str
    sha256: str


def refuse_folder(root: Path, out: Path) -> None:
    """Check that the copy can be written, before the long work.

    Args:
        root: Folder of the data set.
        out: Folder of the copy.

    Raises:
        OptionError: ``out`` is not empty, is a file, lies in the set or contains it, or its parent
            folder is missing.
    """
    if out.is_symlink() or out.exists():
        if not out.is_dir() or out.is_symlink():
            raise OptionError(f"{out}: not a folder: choose another `out`")
        if any(out.iterdir()):
            raise OptionError(
                f"{out}: not empty: choose a new folder, or empty this one; nothing was written"
            )
    there, here = out.resolve(), root.resolve()
    if there == here or here in there.parents or there in here.parents:
        raise OptionError(
            f"{out}: the copy and {root} would lie in each other: choose a folder beside it"
        )
    refuse_missing_parent(out)


def fix_dataset(
    audit: Audit,
    out: Path,
    *,
    options: FixOptions | None = None,
    watch: Watch = no_progress,
) -> FixResult:
    """Write a copy of a data set without the problems that can be fixed.

    The set itself is only read. The copy is written to a temporary folder and renamed at the end;
    an error or interrupt leaves nothing. The copy holds numbered pictures, ``manifest.csv``, and
    ``what_was_done.csv`` with a row for each picture of the set.

    Args:
        audit: Audit of the set from this process, with its facts.
        out: A new or empty folder.
        options: Options; by default pictures are re-encoded if their encoding predicts the class.
        watch: Wraps the iteration for a progress bar.

    Returns:
        What was done.

    Raises:
        OptionError: The folder is not usable, or the audit has no facts.
        DatasetError: A split would lose all pictures of a class.
        OutputError: The copy is not writable.
    """
    options = options or FixOptions()
    if audit.root:
        refuse_folder(Path(audit.root), out)
    steps = plan(audit, options)
    facts = audit.facts
    assert facts is not None  # noqa: S101 - checked by plan; for mypy
    try:
        part = Path(tempfile.mkdtemp(prefix=f".{out.name}.part-", dir=out.parent))
        try:
            mended = _write(facts, steps, part, out, options, watch)
            part.chmod(0o777 & ~_umask())
            if out.is_dir():
                out.rmdir()
            part.rename(out)
        except BaseException:
            _remove(part)
            raise
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {cause(error)}: nothing was kept") from error
    return mended


def _write(
    facts: Facts, steps: list[FixStep], part: Path, out: Path, options: FixOptions, watch: Watch
) -> FixResult:
    for folder in sorted({str(Path(step.name).parent) for step in steps if step.name}):
        (part / folder).mkdir(parents=True)
    stamp = time.time()  # one time for all files, so that it predicts nothing

    def one(step: FixStep) -> _WrittenStep:
        return _do(facts, step, part, options, stamp)

    work = map_ordered(one, steps, threads=options.threads or cores())
    done = list(watch("Writing", work, len(steps)))
    kept = [one for one in done if one.to]
    write_manifest(part / MANIFEST, (_entry(facts, one) for one in kept))
    _record(facts, done, part / RECORD)
    return FixResult(
        out,
        left_out=dict(Counter(one.reason for one in done if not one.to).most_common()),
        copied=sum(one.action.startswith(COPIED) for one in kept),
        encoded=sum(one.action.startswith(ENCODED) for one in kept),
        moved=sum(one.action.endswith(MOVED) for one in kept),
    )


def _do(facts: Facts, step: FixStep, part: Path, options: FixOptions, stamp: float) -> _WrittenStep:
    if not step.name:
        return _WrittenStep(step, "", LEFT_OUT, step.reason, "")
    sample, name = facts.samples[step.row], facts.names[step.row]
    try:
        data = sample_bytes(sample, max_pixels=options.max_pixels)
        if step.final is not None and step.history is not None:
            data = reencode(data, name, step.history, step.final, options.max_pixels)
            suffix, action = step.final.suffix, ENCODED
        else:
            data, suffix = strip_metadata(data, name, options.max_pixels)
            action = COPIED
    except Exception as error:  # noqa: BLE001 - it was readable when it was audited
        return _WrittenStep(step, "", LEFT_OUT, failure(name, error).code, "")
    to = step.name + suffix
    path = part / to
    path.write_bytes(data)
    os.utime(path, (stamp, stamp))
    if step.split != facts.splits.of(step.row):
        action += f", {MOVED}"
    return _WrittenStep(step, to, action, step.reason, hashlib.sha256(data).hexdigest())


def _entry(facts: Facts, one: _WrittenStep) -> dict[str, object]:
    """Return a row of the manifest; a group of one gets no name, which might leak the class."""
    sample = facts.samples[one.step.row]
    shared = sample.group not in (facts.names[one.step.row], sample.file)
    return {
        "path": one.to,
        "label": CLASSES[sample.label],
        "source": sample.source,
        "method": sample.method,
        "group": sample.group if shared else "",
        "split": one.step.split,
        "sha256": one.sha256,
    }


def _record(facts: Facts, done: list[_WrittenStep], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        file.write(csv_row(_COLUMNS) + "\n")
        for one in sorted(done, key=lambda one: one.step.row):
            sample = facts.samples[one.step.row]
            file.write(
                csv_row((
                    facts.names[one.step.row], one.to, one.action, one.reason,
                    CLASSES[sample.label], sample.source, sample.group, sample.split,
                    one.step.split,
                )) + "\n"
            )  # fmt: skip


def _remove(part: Path) -> None:
    """Remove a partial copy; interrupted threads may still write their last picture."""
    for _ in range(20):
        shutil.rmtree(part, ignore_errors=True)
        if not part.exists():
            return
        time.sleep(0.1)


def _umask() -> int:
    """Return this process' umask; a temporary folder is private to its owner."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


AFTER = "audit.json"  # file in the copy with its audit


def fix_and_audit(
    audit: Audit,
    out: Path,
    *,
    options: FixOptions | None = None,
    audit_options: AuditOptions | None = None,
    watch: Watch = no_progress,
    on_fixed: Callable[[FixResult], None] | None = None,
) -> Audit:
    """Write a cleaned copy of a data set and audit it; ``audit.json`` in it holds the result.

    Args:
        audit: Audit of the whole set from this process, with its facts.
        out: A new or empty folder.
        options: Options of the cleaning.
        audit_options: Options of the copy's audit, as for the set.
        watch: Wraps long iterations for a progress bar.
        on_fixed: Called with the result of the cleaning, before the copy is audited.

    Returns:
        The audit of the copy.

    Raises:
        As for :func:`.fix.fix_dataset` and :func:`.audit.audit`.
    """
    fixed = fix_dataset(audit, out, options=options, watch=watch)
    if on_fixed is not None:
        on_fixed(fixed)
    after = audit_samples(read_dataset(out), root=out, options=audit_options, watch=watch)
    hint = f"the copy is complete: audit it again with mesoscope audit {out} --json FILE.json"
    write_json(after, out / AFTER, hint=hint)
    return after
