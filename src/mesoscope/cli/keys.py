"""``mesoscope keys``: who may call the service."""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli.echo import echo
from mesoscope.cli.extras import extra
from mesoscope.cli.main import DONE
from mesoscope.cli.numbers import WholeRange
from mesoscope.cli.service_options import data, ledger, store_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesoscope.server.store import Store


@click.group("keys")
def command() -> None:
    """Make, list and revoke the keys that callers of a service show."""


@contextlib.contextmanager
def _store(folder: Path | None, url: str | None) -> Iterator[Store]:
    with extra("serve", "fastapi"):
        opened = store_of(folder, url)
    with contextlib.closing(opened):
        yield opened


@command.command("add")
@click.argument("name")
@click.option(
    "--rate", type=WholeRange(0), metavar="PER_MINUTE",
    help="Files a minute; 0 = no limit.  [default: the service's]",
)  # fmt: skip
@data
@ledger
def add(name: str, rate: int | None, data: Path | None, ledger: str | None) -> int:
    """Make a key for NAME and print it, once: only its hash is kept."""
    with _store(data, ledger) as store:
        from mesoscope.server.keys import add_key

        key = add_key(store, name, rate)
    echo(key)
    echo("this is shown once: hand it over safely; it is in force in 2 seconds", err=True)
    return DONE


@command.command("list")
@data
@ledger
def list_(data: Path | None, ledger: str | None) -> int:
    """List keys: id, when made, when revoked, rate, name."""
    with _store(data, ledger) as store:
        from mesoscope.server.keys import list_keys

        for row in list_keys(store):
            rate = "" if row.rate is None else f"{row.rate}/min"
            state = "in force" if row.revoked is None else f"revoked {_day(row.revoked)}"
            echo(f"{row.id}  {_day(row.created)}  {state:<18}  {rate:>9}  {row.name}")
    return DONE


@command.command("revoke")
@click.argument("key_id", metavar="ID")
@data
@ledger
def revoke(key_id: str, data: Path | None, ledger: str | None) -> int:
    """Take the key with this id out of force, and end its jobs."""
    with _store(data, ledger) as store:
        from mesoscope.server.keys import revoke_key

        revoke_key(store, key_id)
    echo(f"{key_id} is out of force in 2 seconds", err=True)
    return DONE


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d")
