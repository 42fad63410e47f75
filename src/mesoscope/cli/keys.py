"""``mesoscope keys``."""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli.environment import extra
from mesoscope.cli.main import DONE
from mesoscope.cli.options import WholeRange
from mesoscope.cli.printing import echo
from mesoscope.cli.serve import data_option, ledger_option, service_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesoscope.server.store import Store


@click.group("keys")
def command() -> None:
    """Make, list and revoke the keys of a service."""


@contextlib.contextmanager
def _open_store(folder: Path | None, url: str | None) -> Iterator[Store]:
    """Open the database of a service that may be running.

    Raises:
        OutputError: It cannot be reached.
    """
    with extra("serve", "fastapi"):
        from mesoscope.server.service import LEDGER, ledger_url
        from mesoscope.server.spool import private_folder
        from mesoscope.server.store import Store

        path = service_folder(folder)
        if url is None:
            private_folder(path)
        store = Store(ledger_url(path, url))
        if url is None:
            (path / LEDGER).chmod(0o600)
    with contextlib.closing(store):
        yield store


@command.command("add")
@click.argument("name")
@click.option(
    "--rate", type=WholeRange(0), metavar="PER_MINUTE",
    help="Files per minute; 0 = no limit.  [default: the service's]",
)  # fmt: skip
@data_option
@ledger_option
def add(name: str, rate: int | None, data: Path | None, ledger: str | None) -> int:
    """Make a key for NAME and print it, once: only its hash is kept."""
    with _open_store(data, ledger) as store:
        from mesoscope.server.keys import add_key

        key = add_key(store, name, rate)
    echo(key)
    echo("the key is not shown again: pass it on safely; it is valid in 2 seconds", err=True)
    return DONE


@command.command("list")
@data_option
@ledger_option
def list_(data: Path | None, ledger: str | None) -> int:
    """List the keys: id, day, state, rate and name."""
    with _open_store(data, ledger) as store:
        from mesoscope.server.keys import list_keys

        for row in list_keys(store):
            rate = "" if row.rate is None else f"{row.rate}/min"
            state = "in force" if row.revoked is None else f"revoked {_day(row.revoked)}"
            echo(f"{row.id}  {_day(row.created)}  {state:<18}  {rate:>9}  {row.name}")
    return DONE


@command.command("revoke")
@click.argument("key_id", metavar="ID")
@data_option
@ledger_option
def revoke(key_id: str, data: Path | None, ledger: str | None) -> int:
    """Revoke the key with this id, and cancel its jobs."""
    with _open_store(data, ledger) as store:
        from mesoscope.server.keys import revoke_key

        revoke_key(store, key_id)
    echo(f"{key_id} is revoked in 2 seconds", err=True)
    return DONE


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d")
