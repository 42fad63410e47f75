"""``mesoscope evaluate --job``: figures on the verdicts of a scan."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from mesoscope.errors import OptionError
from mesoscope.types.options import option_infos

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mesoscope.data.manifest import Sample
    from mesoscope.scan.judged import JudgedSamples

__all__ = ["check_options", "read_job"]


def check_options(context: click.Context) -> None:
    """Refuse options of judging beside ``--job``, and ``--ledger`` without it.

    Raises:
        OptionError: Such an option was given.
    """
    given = [
        option
        for option in context.command.params
        if context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
    ]
    if context.params["job"] is None:
        if any(option.name == "ledger" for option in given):
            raise OptionError("--ledger needs --job: add it, or leave --ledger out")
        return
    for option in given:
        if option.name in ("robustness", "against", "jobs", *option_infos()):
            raise OptionError(f"{option.opts[0]} is for judging, and a job is judged: leave it out")


def read_job(
    job: str, ledger: str | None, samples: Sequence[Sample], roots: Sequence[Path], at_hand: Path
) -> JudgedSamples:
    """Read the verdicts of labelled files from a job.

    Raises:
        JobError: There is no job, its model is not at hand, or it is damaged.
        DatasetError: A file has no verdict in it.
    """
    from mesoscope.scan.judged import read_judged
    from mesoscope.scan.results import open_results

    with contextlib.closing(open_results(job, ledger)) as results:
        return read_judged(results, job, samples, roots, at_hand)
