"""The one logger, ``mesoscope``: what the library says beside its answers.

It has no handler of its own, so warnings reach standard error by Python's last resort and lines of
progress reach nobody, until a program asks for them::

    logging.basicConfig(level=logging.INFO)

The command line attaches a handler of its own.
"""

from __future__ import annotations

import logging

__all__ = ["NAME", "logger"]

NAME = "mesoscope"
logger = logging.getLogger(NAME)
