"""The library's logger on standard error: lines of progress as they are, warnings with our name."""

from __future__ import annotations

import contextlib
import logging

from mesoscope.cli.echo import echo


class TerminalHandler(logging.Handler):
    """Prints each record as a line; what acts on a terminal is written out."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line, or more where the message has more."""
        before = "mesoscope: " if record.levelno >= logging.WARNING else ""
        with contextlib.suppress(OSError):  # nobody reads standard error: the work goes on
            echo(before + record.getMessage(), err=True)


def attach() -> None:
    """Show what the library logs; once, however often it is asked for."""
    from mesoscope.runtime.log import logger

    if not any(isinstance(handler, TerminalHandler) for handler in logger.handlers):
        logger.addHandler(TerminalHandler(logging.INFO))
        logger.setLevel(logging.INFO)
