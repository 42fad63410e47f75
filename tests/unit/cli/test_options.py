"""Numbers of options that no machine can work with: a usage error, and never a fault."""

import click
import pytest

from command_line import mesoscope
from mesoscope.cli.options import FiniteRange, WholeRange


@pytest.mark.parametrize("said", ["nan", "inf", "-inf", "1e999", "NaN"])
def test_what_is_no_number_is_refused_with_and_without_a_range(said):
    for kind in (FiniteRange(), FiniteRange(0.001), FiniteRange(0, 1)):
        with pytest.raises(click.BadParameter):
            kind.convert(said, None, None)


def test_numbers_within_their_range_are_taken():
    assert FiniteRange(0, 1).convert("0.25", None, None) == 0.25
    assert WholeRange(1).convert("2147483647", None, None) == 2**31 - 1
    with pytest.raises(click.BadParameter, match="more than 2147483647"):
        WholeRange(1).convert("2147483648", None, None)


@pytest.mark.parametrize(
    "words",
    [
        ("scan", "a.jpg", "--max-pixels", "nan"),
        ("scan", "a.jpg", "--max-pixels", "inf"),
        ("scan", "a.jpg", "--jobs", "99999999999999999999"),
        ("scan", "a.jpg", "--batch-size", "99999999999999999999"),
        ("audit", "a", "--seed", "99999999999999999999"),
        ("audit", "a", "--resamples", "99999999999999999999"),
        ("evaluate", "a", "--out", "b", "--jobs", "99999999999999999999"),
        ("watch", "a", "--out", "b", "--pause", "1e300"),
        ("watch", "a", "--out", "b", "--settle", "nan"),
        ("synth", "blend", "a", "--out", "b", "--per-picture", "99999999999999999999"),
        ("synth", "blend", "a", "--out", "b", "--size", "99999999999999999999"),
    ],
    ids=lambda words: " ".join((words[0], *words[-2:])),
)
def test_a_command_names_the_option_and_ends_with_2(words, tmp_path):
    done = mesoscope(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert words[-2] in done.stderr
    assert "fault" not in done.stderr


def test_every_number_of_every_command_is_one_of_these():
    from mesoscope.cli.main import COMMANDS
    from mesoscope.cli.main import mesoscope as group

    def commands(command):
        if isinstance(command, click.Group):
            for name in command.commands:
                yield from commands(command.commands[name])
        else:
            yield command

    with click.Context(group) as context:
        found = [
            (one.name, option.name, type(option.type).__name__)
            for name in COMMANDS
            for one in commands(group.get_command(context, name))
            for option in one.params
            if isinstance(option.type, click.types.IntParamType | click.types.FloatParamType)
        ]
    assert found
    assert {f for f in found if f[2] not in ("FiniteRange", "WholeRange")} <= {
        ("prepare", "seed", "IntParamType")  # drawn with by its digits
    }
