"""The library's only logger, ``mesoscope``.

It has no handler. By Python's default, warnings go to standard error and messages of lower levels
are dropped. To see progress::

    logging.basicConfig(level=logging.INFO)

The command line attaches a handler.
"""

from __future__ import annotations

import logging

__all__ = ["NAME", "logger"]

NAME = "mesoscope"
logger = logging.getLogger(NAME)
