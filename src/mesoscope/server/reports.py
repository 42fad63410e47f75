"""Reports of results, each made by a process of its own, as ``mesoscope report`` makes them.

Drawing and typesetting take seconds, memory and settings of the whole process; beside the service
they can be given a time limit, and a folder in which the file has the name that its sender gave it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from mesoscope.server.problems import Problem
from mesoscope.server.spool import private_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from sqlalchemy import Row

    from mesoscope.server.service import Service

REPORT_S = 120.0
_AT_ONCE = asyncio.Semaphore(2)
_MISSING_EXTRA = 3  # exit code of the command


async def make_report(
    service: Service,
    row: Row[Any],
    path: Path | None,
    form: str,
    *,
    case: str = "",
    by: str = "",
) -> bytes:
    """Make a report of one result.

    Args:
        service: Whose model, options and signing key are used.
        row: The result.
        path: The judged file, where it was kept.
        form: ``html`` or ``pdf``.
        case: Number or name of the case.
        by: Who hands it over.

    Raises:
        Problem: It cannot be made, or takes too long.
    """
    folder = private_folder(service.spool.new_path())
    try:
        await run_in_threadpool(_prepare, folder, row, path)
        command = _command(service, form, case=case, by=by)
        async with _AT_ONCE:
            code, told = await _run(command, folder, service)
        if code == _MISSING_EXTRA:
            raise Problem("extra.missing", "reports need the extra `report`", status=501)
        out = folder / f"out.{form}"
        if not out.is_file():
            service.log.write("a report failed", {"code": code, "said": told[-500:]}, "error")
            raise Problem("report.failed", "the report could not be made: the log says why")
        return await run_in_threadpool(out.read_bytes)
    finally:
        await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)


def _prepare(folder: Path, row: Row[Any], path: Path | None) -> None:
    (folder / "verdicts.jsonl").write_text(row.verdict + "\n", "ascii")
    if path is not None:
        # The verdict names the file by its own name, and the command runs in this folder.
        target = folder / Path(row.name).name
        with contextlib.suppress(OSError):  # a name too long for this disk: without evidence then
            if target.name not in ("verdicts.jsonl", "out.html", "out.pdf"):
                os.link(path, target)


def _command(service: Service, form: str, *, case: str, by: str) -> Sequence[str]:
    settings, options = service.settings, service.settings.options
    command = [
        sys.executable, "-m", "mesoscope", "report", "make", "verdicts.jsonl", f"--out=out.{form}",
        f"--model={service.judges.model_path.absolute()}", *options.arguments(), "--jobs=1",
        f"--case={case}", f"--by={by}",
    ]  # fmt: skip
    return command if settings.sign is None else [*command, f"--sign={settings.sign.absolute()}"]


async def _run(command: Sequence[str], folder: Path, service: Service) -> tuple[int, str]:
    running = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=service.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, told = await asyncio.wait_for(running.communicate(), REPORT_S)
    except asyncio.TimeoutError:
        raise Problem("report.failed", "the report took too long, so it was given up") from None
    finally:
        if running.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                running.kill()
            await running.wait()
    return running.returncode or 0, told.decode("utf-8", "replace")
