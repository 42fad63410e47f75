"""What an audit leaves behind: its JSON and its page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mesoscope.data.audit.cues import FACTS
from mesoscope.errors import OptionError
from mesoscope.files.whole import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from mesoscope.data.audit.finding import Audit

__all__ = ["refuse_output", "write_json", "write_page"]


def refuse_output(path: Path, dataset: Path) -> None:
    """Miss what cannot be written before the long work, and what would lie among the pictures.

    Args:
        path: The file to write.
        dataset: The folder that is audited.

    Raises:
        OptionError: The folder is not there, or the file would lie in the set.
    """
    if not path.parent.is_dir():
        raise OptionError(f"{path}: there is no folder {path.parent}: make it first")
    if path.is_dir():
        raise OptionError(f"{path}: a folder: give the name of a file in it")
    if dataset.resolve() in path.parent.resolve().parents:
        raise OptionError(f"{path}: would lie among the set's pictures: choose another folder")
    if path.name.lower().startswith("manifest.") and path.parent.resolve() == dataset.resolve():
        raise OptionError(f"{path}: would replace the set's manifest: choose another name")


def write_json(audit: Audit, path: Path) -> None:
    """Write an audit as JSON.

    Raises:
        OutputError: It cannot be written.
    """
    write_text(path, json.dumps(audit.to_dict(), indent=1) + "\n")


def write_page(
    audit: Audit, path: Path, *, pictures: bool = True, command: str = "", fix: str = ""
) -> Path:
    """Write an audit as one HTML page that needs nothing else.

    Args:
        audit: The audit.
        path: The page to write.
        pictures: Show small copies of examples, where the audit was made here and now.
        command: The line that audits again, for the page's foot.
        fix: The line that mends what can be mended.

    Raises:
        MissingExtra: The ``report`` extra is not installed.
        OutputError: It cannot be written.
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
