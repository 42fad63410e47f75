"""Reports of results, and feedback as a data set.

Drawing and typesetting take seconds, memory and process-wide settings. In a separate process they
have a time limit, and a folder in which the file has its original name.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool

from mesoscope.data.manifest import write_manifest
from mesoscope.files.escape import RowWriter
from mesoscope.media.kinds import SNIFF_BYTES, sniff
from mesoscope.server.problems import Problem
from mesoscope.server.spool import private_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Row

    from mesoscope.server.service import Service
    from mesoscope.server.spool import KeptFiles


LABEL = {"real": "real", "forged": "fake"}
_SUFFIX = {"jpeg": ".jpg", "tiff": ".tif"}
_VALIDATION = 0.2  # of the pictures; by the hash of their content, so that it never changes


def write_data_set(path: Path, rows: Iterable[Any], kept: KeptFiles) -> int:
    """Write a ZIP archive with ``manifest.csv``, its pictures, and ``not_kept.csv``.

    Unpacked, it is a data set. A picture that was judged repeatedly is included once, with the
    latest feedback. Clips are listed in ``not_kept.csv``, as a data set holds pictures.

    Args:
        path: Path of the archive.
        rows: Results with feedback, the oldest first.
        kept: Folder of kept files.

    Returns:
        Number of labels.

    Raises:
        OSError: The archive is not writable.
    """
    said = {row.sha256: row for row in rows if row.says in LABEL and row.sha256}
    entries, others = [], []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for sha256, row in sorted(said.items()):
            label = LABEL[row.says]
            file = kept.find(row.place, row.kept)
            kind = None if file is None or row.kind == "clip" else _kind(file)
            if file is None or kind is None:
                others.append([row.name, label, sha256, row.kind])
                continue
            split = _split(sha256)
            name = f"{split}/{label}/{sha256[:16]}{_SUFFIX.get(kind, '.' + kind)}"
            archive.write(file, name)
            entries.append(
                {
                    "path": name, "label": label, "source": "feedback", "method": "",
                    "group": sha256, "split": split, "sha256": sha256,
                }
            )  # fmt: skip
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            manifest = Path(folder) / "manifest.csv"
            write_manifest(manifest, entries)
            archive.write(manifest, "manifest.csv")
        archive.writestr("not_kept.csv", _csv(others))
    return len(said)


def _kind(file: Path) -> str | None:
    with file.open("rb") as opened:
        kind = sniff(opened.read(SNIFF_BYTES))
    return None if kind == "video" else kind


def _split(sha256: str) -> str:
    share = int(hashlib.sha256(sha256.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    return "validation" if share < _VALIDATION else "train"


def _csv(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    writer = RowWriter(text, defuse=True)
    writer.writerow(["name", "label", "sha256", "kind"])
    writer.writerows(rows)
    return text.getvalue()


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
        service: Source of model, options and signing key.
        row: The result.
        path: The judged file, if it was kept.
        form: ``html`` or ``pdf``.
        case: Number or name of the case.
        by: Name of the analyst.

    Raises:
        Problem: The report fails, or takes too long.
    """
    folder = private_folder(service.spool.new_path())
    try:
        await run_in_threadpool(_prepare, folder, row, path)
        command = _command(service, form, case=case, by=by)
        async with _AT_ONCE:
            code, output = await _run(command, folder, service)
        if code == _MISSING_EXTRA:
            raise Problem("extra.missing", "reports need the extra `report`", status=501)
        out = folder / f"out.{form}"
        if not out.is_file():
            service.log.write("a report failed", {"code": code, "said": output[-500:]}, "error")
            raise Problem("report.failed", "the report could not be made: the log says why")
        return await run_in_threadpool(out.read_bytes)
    finally:
        await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)


def _prepare(folder: Path, row: Row[Any], path: Path | None) -> None:
    (folder / "verdicts.jsonl").write_text(row.verdict + "\n", "ascii")
    if path is not None:
        # The verdict names the file by its own name, and the command runs in this folder.
        target = folder / Path(row.name).name
        with contextlib.suppress(OSError):  # the name is too long for this disk: no evidence then
            if target.name not in ("verdicts.jsonl", "out.html", "out.pdf"):
                os.link(path, target)


def _command(service: Service, form: str, *, case: str, by: str) -> Sequence[str]:
    settings, options = service.settings, service.settings.options
    command = [
        sys.executable, "-m", "mesoscope", "report", "make", "verdicts.jsonl", f"--out=out.{form}",
        f"--model={service.checker.model_path.absolute()}", *options.arguments(), "--jobs=1",
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
        _, output = await asyncio.wait_for(running.communicate(), REPORT_S)
    except asyncio.TimeoutError:
        raise Problem("report.failed", "the report took too long, so it was given up") from None
    finally:
        if running.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                running.kill()
            await running.wait()
    return running.returncode or 0, output.decode("utf-8", "replace")
