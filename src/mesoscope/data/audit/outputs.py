"""Output files of an audit: JSON and an HTML page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mesoscope.data.audit.cues import FACTS
from mesoscope.errors import OptionError
from mesoscope.files.atomic import refuse_missing_parent, write_text

if TYPE_CHECKING:
    from pathlib import Path

    from mesoscope.data.audit.finding import Audit

__all__ = ["refuse_output", "write_json", "write_page"]


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
