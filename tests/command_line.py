"""``mesoscope`` as typed in a shell, but in this process: no test pays for importing torch again.

What concerns a process itself — signals, closed streams, what is imported, exit codes that the
system sees — is tested through ``subprocess`` in the tests of that.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings
from pathlib import Path

from mesoscope.cli.main import main


def mesoscope(*arguments, cwd=None):
    """Run ``mesoscope ARGUMENTS…`` in the folder ``cwd``: exit code, stdout and stderr as text."""
    words = [str(word) for word in arguments]
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n") for _ in range(2)]
    before, folder, code = (sys.stdout, sys.stderr, sys.argv), Path.cwd(), 0
    sys.stdout, sys.stderr = streams
    sys.argv = ["mesoscope", *words]
    try:
        os.chdir(cwd or folder)
        with warnings.catch_warnings():
            warnings.simplefilter("default")  # as Python has it where pytest does not ask for more
            main(words)
    except SystemExit as end:
        code = end.code
    finally:
        os.chdir(folder)
        sys.stdout, sys.stderr, sys.argv = before
    told = []
    for stream in streams:
        stream.flush()
        told.append(stream.buffer.getvalue().decode())
    return subprocess.CompletedProcess(["mesoscope", *words], code, *told)
