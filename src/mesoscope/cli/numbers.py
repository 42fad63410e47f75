"""Numbers on the command line: none that is not a number, without end, or beyond all machines."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["FiniteRange", "WholeRange"]

_MOST = 2**31 - 1  # seeds of libraries, sizes of arrays and numbers of steps all go up to there


class FiniteRange(click.FloatRange):
    """As click's, which takes ``nan`` for a number within every range, and ``inf`` above it."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as of click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """The number, or a usage error."""
        found = super().convert(value, param, ctx)
        if not abs(found) < float("inf"):  # so for NaN, too
            self.fail(f"{value!r} is no number that can be worked with.", param, ctx)
        return found


class WholeRange(click.IntRange):
    """As click's, up to 2,147,483,647 where no end is given."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as of click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """The number, or a usage error."""
        found = super().convert(value, param, ctx)
        if abs(found) > _MOST:
            self.fail(f"{found} is more than {_MOST}, the most that can be.", param, ctx)
        return found
