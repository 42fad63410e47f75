"""The job folder: opening its ledger, and checks before resuming."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from mesoscope.errors import JobError, OutputError
from mesoscope.errors.failures import cause
from mesoscope.scan.ledger import Ledger
from mesoscope.scan.tables import open_engine
from mesoscope.types import DetectOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesoscope.detection.detector import Detector
    from mesoscope.types import Json

LEDGER = "ledger.sqlite"
LEDGER_URL = "ledger.url"  # URL of another database than the folder's, without the password


def open_ledger(folder: Path, url: str | None = None) -> Ledger:
    """Open the ledger of an existing job for reading.

    A read-only folder is supported.

    Args:
        folder: The job folder.
        url: URL of its database, if the folder does not record it or lacks the password.

    Raises:
        JobError: There is no ledger, or one of a newer version.
    """
    url_file = folder / LEDGER_URL
    if url is None and not url_file.exists() and not (folder / LEDGER).exists():
        raise JobError(
            f"{folder}: no job folder, it holds no ledger: begin one with mesoscope scan … --out "
            f"{folder}/"
        )
    place = _url(folder, url)
    ledger = Ledger(open_engine(place, read_only=_cannot_write(place)))
    if not ledger.facts():
        ledger.close()
        raise JobError(f"{ledger.name}: holds no job: begin one with mesoscope scan")
    return ledger


def begin_or_resume(
    folder: Path, detector: Detector, *, resume: bool | None, url: str | None = None
) -> Ledger:
    """Open a job's ledger for a scan; create the job if it is new.

    Args:
        folder: The job folder.
        detector: Its model and options must be those of the job.
        resume: Whether the job must exist; ``None`` accepts both.
        url: URL of a database to use instead of the folder's own.

    Raises:
        JobError: The job exists or not, against ``resume``; or it was begun with another model or
            other options.
        OutputError: The folder or the ledger is not writable.
    """
    has_ledger = is_job(folder)
    if resume is False and has_ledger:
        raise JobError(
            f"{folder}: holds a job already: go on with `resume`, or name another folder"
        )
    if resume and not has_ledger and url is None:
        raise JobError(f"{folder}: there is no job to go on with: leave `resume` out")
    if not has_ledger and folder.is_dir() and any(folder.iterdir()):
        raise JobError(f"{folder}: neither empty nor a job folder: name a new folder for the job")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {cause(error)}") from error
    ledger = Ledger(open_engine(_url(folder, url)))
    facts = ledger.facts()
    if facts and resume is False:
        raise JobError(f"{ledger.name}: holds a job already: join it with `resume`")
    if facts:
        check_same(ledger.name, facts, detector)
    else:
        ledger.begin(_facts(detector))
    _keep_url(folder, url)
    return ledger


def is_job(folder: Path) -> bool:
    """Return whether a folder holds a job."""
    return (folder / LEDGER).exists() or (folder / LEDGER_URL).exists()


def _url(folder: Path, url: str | None) -> str | URL:
    """Return the ledger's location: the given URL, else the folder's own, and nothing else.

    The folder may belong to somebody else, so a URL in it is not followed.
    """
    if url is not None:
        return url
    try:
        kept = (folder / LEDGER_URL).read_text("utf-8", "backslashreplace").strip()
    except FileNotFoundError:
        kept = ""
    except OSError as error:
        raise JobError(f"{folder / LEDGER_URL}: cannot be read: {cause(error)}") from error
    own = folder / LEDGER
    if not kept and own.is_symlink():
        kept = f"sqlite:///{own.resolve()}"
    if kept:
        raise JobError(
            f"{folder}: says that its ledger is elsewhere, at {_without_password(kept)}: if you "
            "trust it, give that URL with `ledger`"
        )
    return URL.create("sqlite", database=str(own))


def _without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return "what is no URL"


def _cannot_write(place: str | URL) -> bool:
    """Whether an SQLite file, or the folder of its journal, is read-only."""
    try:
        parsed = make_url(place)
    except ArgumentError:  # opening it will report the error
        return False
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return False
    own = Path(parsed.database)
    return own.exists() and not (os.access(own, os.W_OK) and os.access(own.parent, os.W_OK))


def _keep_url(folder: Path, url: str | None) -> None:
    if url is None:
        return
    parsed = make_url(url).set(password=None)
    try:
        (folder / LEDGER_URL).write_text(parsed.render_as_string() + "\n", "utf-8")
    except OSError as error:
        raise OutputError(f"{folder / LEDGER_URL}: cannot be written: {cause(error)}") from error


def _facts(detector: Detector) -> dict[str, Json]:
    return {
        "model": detector.model_id,
        "settings": detector.options.deciding(),
        "begun": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
    }


def check_same(name: str, facts: Mapping[str, Json], detector: Detector) -> None:
    """Check that a job was begun with the model and the options of a detector.

    Args:
        name: What messages call the job.
        facts: Of the job: ``model`` and ``settings``.
        detector: Of the scan that would resume it.

    Raises:
        JobError: It was begun with another model or other options.
    """
    if facts.get("model") != detector.model_id:
        raise JobError(
            f"{name}: begun with the model {facts.get('model')}, and this scan has "
            f"{detector.model_id}: give the same `model`, or name another folder"
        )
    begun = facts.get("settings")
    # Jobs of older versions lack newer options, which then had the present default.
    before = DetectOptions().deciding() | (begun if isinstance(begun, dict) else {})
    now = detector.options.deciding()
    for option in now:
        if before.get(option) != now[option]:
            how = "give the same options"
            if option == "finder_model" and before[option] is None:  # `auto` takes a kept model
                how = (
                    "leave `finder_model` out, take a kept model away with: mesoscope models "
                    "remove yunet"
                )
            raise JobError(
                f"{name}: begun with {option} = {before[option]}, and this scan has "
                f"{now[option]}: {how}, or name another folder"
            )
