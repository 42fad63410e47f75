"""``mesoscope serve``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli import detection, options
from mesoscope.cli import report as report_command
from mesoscope.cli.environment import data_folder, extra
from mesoscope.cli.main import DONE
from mesoscope.cli.options import FiniteRange, WholeRange
from mesoscope.cli.printing import echo
from mesoscope.errors import OptionError

if TYPE_CHECKING:
    from mesoscope.server.settings import ServiceSettings
    from mesoscope.server.store import Store

_MEBI = 1 << 20

# Options of serve and keys.
data_option = click.option(
    "--data", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False),
    help="The service's own folder.  [default: service/ in the user's data folder]",
)  # fmt: skip
ledger_option = click.option(
    "--ledger", metavar="URL", envvar="MESOSCOPE_LEDGER",
    help="URL of the service's database, as postgresql+psycopg://user@host/name.  [default: the "
    "variable MESOSCOPE_LEDGER, otherwise a file in --data]",
)  # fmt: skip


def service_folder(folder: Path | None) -> Path:
    """Return the folder of ``--data``, or its default."""
    return data_folder() / "service" if folder is None else folder


@click.command("serve")
@options.stored(
    __name__,
    click.option(
        "--host", default="127.0.0.1", show_default=True,
        help="Address to listen on; 0.0.0.0 for all, which needs keys.",
    ),
    click.option(
        "--port", type=WholeRange(0, 65535), default=8000, show_default=True,
        help="Port to listen on; 0 picks a free one.",
    ),
)  # fmt: skip
@detection.detection_options()
@data_option
@options.stored(
    __name__,
    ledger_option,
)  # fmt: skip
@click.option("--keys", is_flag=True, help="Require a key on loopback, too.")
@click.option(
    "--anyone-may-call", is_flag=True,
    help="Require no key, on any address.",
)  # fmt: skip
@options.stored(
    __name__,
    click.option(
        "--rate", type=WholeRange(0), default=0, show_default=True, metavar="PER_MINUTE",
        help="Files per minute for keys without their own rate; 0 = no limit.",
    ),
    click.option(
        "--keep", "keep_days", type=FiniteRange(0), default=0.0, show_default=True,
        metavar="DAYS", help="Days to keep judged files; 0 keeps none.",
    ),
    click.option(
        "--keep-results", "keep_results_days", type=FiniteRange(0), default=30.0,
        show_default=True, metavar="DAYS",
        help="Days to keep verdicts; 0 keeps none, except those of jobs for a day.",
    ),
    click.option(
        "--allow-host", "names", multiple=True, metavar="NAME",
        help="Host name that callers may use, beside the address; * for any; may be repeated.",
    ),
    click.option(
        "--allow-origin", "origins", multiple=True, metavar="ORIGIN",
        help="Site whose pages may call, as https://news.example; may be repeated.",
    ),
)  # fmt: skip
@click.option(
    "--queue", "waiting", type=WholeRange(1), default=64, show_default=True,
    help="Maximum number of waiting pictures; beyond it, callers get 429.",
)  # fmt: skip
@click.option(
    "--max-upload", type=WholeRange(1), default=64, show_default=True, metavar="MIB",
    help="Maximum size of a picture.",
)  # fmt: skip
@click.option(
    "--max-job", type=WholeRange(1), default=2048, show_default=True, metavar="MIB",
    help="Maximum size of a clip or an archive.",
)  # fmt: skip
@options.stored(
    __name__,
    options.sign,
    click.option("--log-names", is_flag=True, help="Write names of uploaded files into the log."),
)  # fmt: skip
@options.jobs
def command(
    data: Path | None, keys: bool, anyone_may_call: bool, waiting: int, max_upload: int,
    max_job: int, jobs: int,
) -> int:  # fmt: skip
    """Run the HTTP service, with the page at / and the API at /v1, until SIGTERM or Ctrl-C.

    Log lines go to standard error as JSON. Exit codes: 0 stopped, 2 usage, 3 model or missing
    extra.
    """
    with extra("serve", "fastapi"):
        from mesoscope.server.middleware import Log
        from mesoscope.server.running import serve
        from mesoscope.server.service import Service
        from mesoscope.server.settings import Limits, ServiceSettings, is_loopback
    from mesoscope.runtime.allocator import keep_heap

    if keys and anyone_may_call:
        raise OptionError("--keys and --anyone-may-call exclude each other: give one of them")
    picture_bytes = max_upload * _MEBI
    values = options.stored_values(__name__)
    settings = ServiceSettings(
        data=service_folder(data),
        model=detection.model(),
        options=detection.spec(jobs=jobs).options,
        keys=keys or not (anyone_may_call or is_loopback(values["host"])),
        **values,
        limits=Limits(
            check_bytes=picture_bytes + _MEBI,
            picture_bytes=picture_bytes,
            clip_bytes=max_job * _MEBI,
            job_bytes=max_job * _MEBI,
            waiting=waiting,
        ),
    )
    keep_heap(options.KEPT_BYTES)
    environment = dict(os.environ)
    if settings.sign is not None:
        environment |= _passphrase(settings.sign)
    service = Service(settings, Log(names=settings.log_names), environment)
    if settings.keys:
        _warn_without_keys(service.store)
    serve(service, lambda address: echo(_greeting(address, settings), err=True))
    return DONE


def _passphrase(sign: Path) -> dict[str, str]:
    """Prompt for the key's passphrase now instead of at the first report."""
    from mesoscope.report.case.seal import read_private

    typed: list[str] = []

    def ask() -> str:
        typed.append(report_command.ask_passphrase(sign))
        return typed[-1]

    read_private(sign, ask=ask)
    return {report_command.VARIABLE: typed[-1]} if typed else {}


def _warn_without_keys(store: Store) -> None:
    from mesoscope.server.keys import list_keys

    if not any(row.revoked is None for row in list_keys(store)):
        echo(
            "there is no valid key, so nobody can call: make one with mesoscope keys add NAME",
            err=True,
        )


def _greeting(address: str, settings: ServiceSettings) -> str:
    retention = "keeps no picture"
    if settings.keep_days:
        retention = f"keeps pictures for {settings.keep_days:g} days"
    access = "callers need a key" if settings.keys else "callers need no key"
    return f"mesoscope at {address}; {access}; {retention}; Ctrl-C ends it"
