"""What the documentation says is so: commands parse, links lead somewhere, lists are complete."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import importlib
import inspect
import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

import mesoscope
from mesoscope import errors
from mesoscope.cli.main import mesoscope as program
from mesoscope.training.recipe.recipe import Recipe, read_recipe

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])
COMMENTED = sorted([*ROOT.glob("recipes/*.toml"), ROOT / "Makefile"])
REFERENCE = ROOT / "docs/reference"
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(mesoscope [^`]+)`")
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
EDITS = {"imitate-photoshop", "edit-recipe"}  # pages whose recipes are of edits: tested beside them
IMPORT = re.compile(r"^from (mesoscope\.[\w.]+) import \(?([\w,\s]+?)\)?$", re.MULTILINE)
SHELL_ENDS = {"|", "||", ">", ">>", "&&", ";", "2>", "<"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall(path.read_text("utf-8")) if kind == language]


def arguments(line: str) -> list[str] | None:
    """The words behind ``mesoscope`` in a shell line; None where it is another command."""
    words = shlex.split(line, comments=True)
    while "mesoscope" in (Path(word).name for word in words):
        if Path(words[0]).name == "mesoscope":
            after = words[1:]
            ends = (i for i, word in enumerate(after) if word in SHELL_ENDS)
            return after[: next(ends, len(after))]
        words = words[1:]
    return None


def commands() -> list[tuple[str, str]]:
    """Every whole command line in pages, recipes and Makefile."""
    found = []
    for path in PAGES:
        for block in blocks(path, "bash"):
            found += [(name_of(path), line) for line in block.replace("\\\n", " ").splitlines()]
    for path in COMMENTED:
        lines = path.read_text("utf-8").replace("$(BIN)/", "").splitlines()
        found += [(name_of(path), line.strip("#@\t ")) for line in lines if "mesoscope " in line]
    return [
        (where, line)
        for where, line in found
        if re.match(r"(\S*/)?(mesoscope|torchrun|python -m mesoscope)\b", line)
    ]


def parse(words: list[str]) -> None:
    """Read a command line as the program does, without running it."""
    command: click.Command = program
    name = "mesoscope"
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found, inner, words = command.resolve_command(click.Context(command), words)
        assert inner is not None, f"no command {found}"
        name, command = found or name, inner
    with contextlib.suppress(click.exceptions.Exit):  # --help, --version
        command.make_context(name, list(words))


@pytest.mark.parametrize(("where", "line"), commands())
def test_command_line_parses(where: str, line: str) -> None:
    words = arguments(line)
    assert words is not None, f"{where}: {line}"
    parse(words)


def test_command_lines_are_found() -> None:
    lines = commands()
    wanted = {"README.md", "docs/tutorial.md", "recipes/meso4.toml", "Makefile"}
    assert wanted <= {where for where, _ in lines}
    with pytest.raises(click.NoSuchOption):
        parse(["scan", "photos", "--no-such-option"])


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_in_the_text_exist(path: Path) -> None:
    for line in INLINE.findall(path.read_text("utf-8")):
        words = arguments(line.replace("…", ""))
        assert words is not None
        try:
            parse(words)
        except (click.MissingParameter, click.exceptions.NoArgsIsHelpError):
            pass  # text may name a command without all that it needs
        except click.BadParameter as error:
            pytest.fail(f"{line}: {error.format_message()}")


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_no_page_installs_the_stranger_of_that_name(path: Path) -> None:
    """PyPI's mesoscope is another project; ours is installed from the clone."""
    by_name = re.compile(r"pip\s+install\s+(?:-\S+\s+)*['\"]?mesoscope\b")
    assert by_name.findall(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text("utf-8")):
        if not target.startswith(("http://", "https://", "#")):
            assert (path.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_python_examples_use_public_names(path: Path) -> None:
    for block in blocks(path, "python"):
        compile(block, name_of(path), "exec")
        for module, names in IMPORT.findall(block):
            there = importlib.import_module(module)
            assert all(hasattr(there, name.strip()) for name in names.split(",")), module
        for name in re.findall(r"\bmesoscope\.(\w+)", IMPORT.sub("", block)):
            assert name in mesoscope.__all__ or name == "card", name


def test_recipes_and_overrides_are_sound(tmp_path: Path) -> None:
    """Each recipe in a page, with every override that a page gives on a command line."""
    others = (*EDITS, "bring-your-own-model")
    recipes = [block for path in PAGES if path.stem not in others for block in blocks(path, "toml")]
    overrides = [
        value
        for _, line in commands()
        for flag, value in itertools.pairwise(shlex.split(line, comments=True))
        if flag == "--set"
    ]
    assert recipes
    assert overrides
    for text in recipes:
        path = tmp_path / "recipe.toml"
        path.write_text(text, "utf-8")
        assert read_recipe(path, overrides).name == "mine"


def test_tutorial_faces_can_be_made(tmp_path: Path) -> None:
    """The stand-in pictures of the tutorial: its script is run as printed."""
    script = next(b for b in blocks(ROOT / "docs/tutorial.md", "python") if "make_faces" in b)
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=120)
    count = {
        f"{split}/{label}": len(list((tmp_path / "faces" / split / label).glob("*.jpg")))
        for split in ("train", "validation")
        for label in ("real", "fake")
    }
    assert count == {
        "train/real": 200, "train/fake": 200, "validation/real": 40, "validation/fake": 40,
    }  # fmt: skip


def options(group: click.Group, before: str = "") -> list[tuple[str, click.Option]]:
    found = []
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            found += options(command, f"{before}{name} ")
        elif command is not None:
            found += [(before + name, p) for p in command.params if isinstance(p, click.Option)]
    return found


@pytest.mark.parametrize(("command", "option"), options(program), ids=str)
def test_reference_names_every_option(command: str, option: click.Option) -> None:
    text = (REFERENCE / "command-line.md").read_text("utf-8")
    start = re.search(rf"`mesoscope {command}\b", text)
    assert start is not None
    section = text[start.start() :].partition("\n## ")[0]
    for flag in (*option.opts, *option.secondary_opts):
        assert f"`{flag}`" in section
    if option.show_default:
        row = next(line for line in section.splitlines() if f"`{option.opts[0]}`" in line)
        assert f"| `{option.default}` |" in row
    if option.required:
        row = next(line for line in section.splitlines() if f"`{option.opts[0]}`" in line)
        assert "| needed |" in row


def test_reference_names_every_argument_of_a_detector() -> None:
    text = (REFERENCE / "python.md").read_text("utf-8")
    parameters = inspect.signature(mesoscope.Detector).parameters
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", text, re.MULTILINE))
    assert {name: ast.literal_eval(value) for name, value in rows.items()} == {
        name: parameter.default for name, parameter in parameters.items()
    }


def test_reference_names_every_recipe_key_with_its_default() -> None:
    text = (REFERENCE / "recipe.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([\w.]+)` \| `([^`]*)` \|", text, re.MULTILINE))
    known = {}
    for key, value in dataclasses.asdict(Recipe()).items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        known.update({f"{key}.{k}".rstrip("."): v for k, v in inner})
    assert rows.keys() == known.keys()
    for key, given in known.items():
        value = list(given) if isinstance(given, tuple) else given
        written = rows[key].strip('"')
        expected = str(value).lower() if isinstance(value, bool) else value
        assert type(value)(written) == value if type(value) is float else written == str(expected)


def test_reference_names_every_error() -> None:
    text = (REFERENCE / "errors.md").read_text("utf-8")
    for name in errors.__all__:
        if name != "MesoscopeError":
            assert f"| `{getattr(errors, name).code}` | `{name}` |" in text


def test_the_functions_behind_commands_are_there() -> None:
    text = (REFERENCE / "library.md").read_text("utf-8")
    rows = re.findall(r"^\| `mesoscope [^|]*\| (.*) \|$", text, re.MULTILINE)
    assert len(rows) > 20
    for row in rows:
        module = ""
        for name in re.findall(r"`([\w.]+)`", row):
            before, _, last = name.rpartition(".")
            module = before or module  # a second name is of the first one's module
            assert callable(getattr(importlib.import_module(module), last)), name
            assert inspect.getdoc(getattr(importlib.import_module(module), last)), name


def test_reference_names_every_public_name() -> None:
    text = (REFERENCE / "python.md").read_text("utf-8")
    assert [name for name in mesoscope.__all__ if f"`{name}`" not in text] == []


def test_the_site_builds(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "p_fake" in (tmp_path / "index.html").read_text("utf-8")
