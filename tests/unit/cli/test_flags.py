"""Messages of the library name options; the command line says them as flags, in one place."""

import ast
import re
from pathlib import Path

import click
import pytest

from mesoscope.cli.main import mesoscope
from mesoscope.cli.printing import flagged, flags
from mesoscope.data.prepare import PrepareOptions

SOURCE = Path(__file__).parents[3] / "src/mesoscope"
LIBRARY = [path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] != "cli"]
FLAG = re.compile(r"(?<![\w-])--[a-z]")
# Whole commands: to be typed by whoever reads, or run.
COMMANDS = {"server/reports.py", "training/export/card.py", "report/case/pdf_story.py"}
NOT_OPTIONS = {"p_fake", "report", "before", "after", "next"}


def texts(path):
    """The strings of a module that are no docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.JoinedStr):
                parts = (p.value if isinstance(p, ast.Constant) else "{}" for p in child.values)
                yield "".join(map(str, parts))
            elif (
                isinstance(child, ast.Constant)
                and isinstance(child.value, str)
                and not isinstance(node, ast.JoinedStr | ast.Expr)
            ):
                yield child.value


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "raise it with `max_pixels` if you trust it",
            "raise it with --max-pixels if you trust it",
        ),
        ("`faces=whole` gives it a label", "--faces whole gives it a label"),
        ("allowed (`max_loss`): take it", "allowed (--max-loss): take it"),
        ("`overrides` 'a': write key=value", "--set 'a': write key=value"),
        ("for one `every_s`.", "for one --every."),
        ("out with `skip_unreadable`:\\n  a.jpg", "out with --skip-unreadable:\\n  a.jpg"),
        ("photos/`out`.jpg: damaged", "photos/`out`.jpg: damaged"),
        ("`out`.jpg: damaged", "`out`.jpg: damaged"),
        ("see `mesoscope audit` and `nothing`", "see `mesoscope audit` and `nothing`"),
    ],
)
def test_names_become_flags(message, said):
    assert flagged(message) == said


def flags_of(command):
    for option in command.params:
        yield from (*option.opts, *option.secondary_opts)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from flags_of(command.get_command(context, name))


def test_every_flag_is_one_of_a_command():
    said = {flag for flag in flags().values() if flag.startswith("-")}
    assert said - {"--heat"} <= {*flags_of(mesoscope)}  # maps are explain's, which always has them


def test_the_library_names_options_and_no_flags():
    found = {}
    for path in LIBRARY:
        name = path.relative_to(SOURCE).as_posix()
        for text in texts(path) if name not in COMMANDS else ():
            if FLAG.search(text) and "mesoscope " not in text:
                found[name] = text
    assert found == {}


def test_what_the_library_names_has_a_flag():
    named = {
        word
        for path in LIBRARY
        for text in texts(path)
        for word in re.findall(r"(?<![^\s(])`([a-z][a-z0-9_]*)(?:=[^`\s]+)?`", text)
    }
    assert {"max_pixels", "resume", "fix"} <= named
    assert named - NOT_OPTIONS <= {*flags()}


def test_what_data_sets_were_begun_with_has_a_flag():
    """Messages of prepare are made of these names."""
    assert {*PrepareOptions().identity("plain")} <= {*flags()}
