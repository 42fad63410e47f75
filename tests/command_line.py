"""``mesoscope`` as typed in a shell, but in this process: no test pays for importing torch again.

What concerns a process itself — signals, closed streams, what is imported, exit codes that the
system sees — is tested through ``subprocess`` in the tests of that.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from mesoscope.cli.main import main


def mesoscope(*arguments, cwd=None):
    """Run ``mesoscope ARGUMENTS…`` in the folder ``cwd``: exit code, stdout and stderr as text."""
    words = [str(word) for word in arguments]
    before, folder, code = (sys.stdout, sys.stderr, sys.argv), Path.cwd(), 0
    with _stream() as out, _stream() as err:
        sys.stdout, sys.stderr, sys.argv = out, err, ["mesoscope", *words]
        try:
            os.chdir(cwd or folder)
            with warnings.catch_warnings():
                warnings.simplefilter("default")  # as Python has it; pytest makes errors of them
                main(words)
        except SystemExit as end:
            code = end.code
        finally:
            os.chdir(folder)
            sys.stdout, sys.stderr, sys.argv = before
        said = [_read(stream) for stream in (out, err)]
    return subprocess.CompletedProcess(["mesoscope", *words], code, *said)


def _stream():
    """A file, as where a shell sends output to one: commands ask a stream for its number."""
    return tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n")


def _read(stream):
    stream.flush()
    stream.seek(0)
    return stream.read()
