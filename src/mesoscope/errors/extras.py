"""The command that installs an extra where mesoscope runs."""

from __future__ import annotations

import shlex
import sys


def install_command(extra: str) -> str:
    """Return the command that installs an extra into the environment of this process.

    It names the interpreter. Another environment holds no mesoscope, and there pip would fetch the
    PyPI package of that name, which is another project.
    """
    python = shlex.quote(sys.executable or "python")
    return f"{python} -m pip install 'mesoscope[{extra}]'"
