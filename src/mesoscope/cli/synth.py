"""``mesoscope synth``: makers of forgeries, each in a file of its own, loaded when asked for."""

from __future__ import annotations

import importlib

import click

MAKERS = {  # name → module, in the order of --help
    "blend": "synth_blend",
    "edit": "synth_edit",
    "stylegan": "synth_stylegan",
    "stylegan-train": "synth_stylegan_train",
}


class Makers(click.Group):
    """Loads a maker's file only when the maker is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """All names, in the order of use."""
        return list(MAKERS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The maker of that name."""
        if cmd_name not in MAKERS:
            return None
        module = importlib.import_module(f"mesoscope.cli.{MAKERS[cmd_name]}")
        made: click.Command = module.command
        return made


@click.group("synth", cls=Makers)
def command() -> None:
    """Make forgeries from real faces, to train and to judge detectors on.

    Each forged picture comes with its untouched twin, saved in the same way, with a mask of what
    was changed, and with all numbers that made it.
    """
