"""What ``serve`` and ``keys`` share: where a service keeps what it keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli.data_folder import data_folder

if TYPE_CHECKING:
    from mesoscope.server.store import Store

data = click.option(
    "--data", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False),
    help="The service's own folder.  [default: service/ in this user's data folder]",
)  # fmt: skip
ledger = click.option(
    "--ledger", metavar="URL", envvar="MESOSCOPE_LEDGER",
    help="Its database, as postgresql+psycopg://user@host/name; else MESOSCOPE_LEDGER says it.  "
    "[default: a file in --data]",
)  # fmt: skip


def data_of(folder: Path | None) -> Path:
    """The folder asked for, else that of this user's service."""
    return data_folder() / "service" if folder is None else folder


def store_of(folder: Path | None, url: str | None) -> Store:
    """The database of a service, for a command beside it.

    Raises:
        OutputError: It cannot be reached.
    """
    from mesoscope.server.service import LEDGER, ledger_url
    from mesoscope.server.spool import private_folder
    from mesoscope.server.store import Store

    path = data_of(folder)
    if url is None:
        private_folder(path)
    store = Store(ledger_url(path, url))
    if url is None:
        (path / LEDGER).chmod(0o600)
    return store
