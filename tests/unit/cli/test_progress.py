"""One logger: silent by default, lines on standard error where the command line runs."""

import ast
import logging
import subprocess
import sys
from pathlib import Path

from mesoscope.cli.progress import TerminalHandler, attach
from mesoscope.runtime.log import logger

SOURCE = Path(__file__).parents[3] / "src/mesoscope"
# Other libraries' loggers, which are hushed or passed on.
OF_OTHERS = {
    "distributed/on_ray.py", "server/running.py", "training/export/onnx_export.py",
    "training/processes.py",
}  # fmt: skip


def test_lines_are_shown_once_and_say_what_they_are(capsys):
    attach()
    attach()
    try:
        logger.info("12 pictures to train on")
        logger.warning("few pictures: raise `jobs` \x1b[31m")
        logger.debug("not this")
    finally:
        for handler in [one for one in logger.handlers if isinstance(one, TerminalHandler)]:
            logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert capsys.readouterr().err.splitlines() == [
        "12 pictures to train on", "mesoscope: few pictures: raise --jobs \\x1b[31m",
    ]  # fmt: skip


def test_the_library_sets_no_handler_and_shows_no_progress_by_itself():
    code = (
        "from mesoscope.runtime.log import logger\n"
        "assert not logger.handlers and not logger.level\n"
        "logger.info('progress'); logger.warning('look out')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "look out\n")


def test_nothing_else_makes_loggers_or_prints():
    found = set()
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in ("logging.getLogger", "print", "warnings.warn"):
                    found.add((name, called))
    makes = {name for name, called in found if called == "logging.getLogger"}
    assert makes <= {"runtime/log.py", *OF_OTHERS}
    assert found <= {(name, "logging.getLogger") for name in makes}
