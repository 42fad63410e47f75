"""The rules that a linter does not know: names, sizes, and what importing may not do."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/mesoscope"
MODULES = sorted(SOURCE.rglob("*.py"))
LINES_MAX = 300  # blank ones aside
VAGUE = {"utils", "util", "helpers", "common", "core", "base", "misc", "manager", "engine"}
TRAIN_EXTRA = {"torch", "onnx", "onnxscript", "h5py", "safetensors", "lightning_fabric"}
HEAVY = {"numpy", "onnxruntime", "cv2", "PIL", "matplotlib", "jinja2", "tqdm"} | TRAIN_EXTRA


# Where a library may be imported, lazily or not; a package stands for all files in it. Every
# file of src/mesoscope is looked at, so a new package is held to it without being named.
ONLY_IN: dict[tuple[str, ...], tuple[str, ...]] = {
    ("torch",): ("training", "synth/stylegan"),
    ("onnx", "onnxscript", "h5py", "lightning_fabric"): ("training",),
    ("safetensors",): ("training", "synth/stylegan"),
    ("onnxruntime",): ("detection/scorer.py", "faces", "training/compress/quantize.py"),
    ("matplotlib",): ("report", "training"),
    ("jinja2", "reportlab"): ("report",),
    ("sklearn", "threadpoolctl"): ("data/audit",),
    ("av",): ("media", "imaging/encode.py"),
    ("pi_heif",): ("media/heif.py",),
    ("fastapi", "starlette", "uvicorn", "pydantic", "prometheus_client", "python_multipart"): (
        "server",
    ),
    ("httpx",): ("client.py",),
    ("click", "tqdm"): ("cli",),
    ("sqlalchemy",): ("scan", "server"),
    ("pyarrow",): ("data", "scan", "distributed"),
    ("ray",): ("distributed",),
    ("fsspec",): ("files/store.py", "files/listing.py"),
    ("msgspec",): ("types/schema.py",),
}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120
    )


def loaded_by(code: str) -> set[str]:
    """Top-level modules in memory after a fresh Python has run the code."""
    last = "import json, sys; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    done = run_python(f"{code}\n{last}")
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_modules_are_found() -> None:
    assert {"types", "errors", "detector"} <= {
        part for path in MODULES for part in (path.stem, path.parent.name)
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_file_is_short_and_named_for_its_domain(path: Path) -> None:
    lines = sum(1 for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    assert lines <= LINES_MAX, f"{lines} lines: split it by what its parts are for"
    names = {part.removesuffix(".py") for part in path.relative_to(SOURCE).parts}
    assert not names & VAGUE, "name it after what it holds"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_module_says_what_it_is(path: Path) -> None:
    text = ast.get_docstring(tree_of(path))
    assert text, "a module opens with one sentence on what it is for"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_no_doors_for_anything(path: Path) -> None:
    """No ``**kwargs`` passed through but those of a ``ParamSpec``, and no bare ``except``."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            more = node.args.kwarg
            known = more is not None and ast.unparse(more.annotation or more) == "P.kwargs"
            assert more is None or known, f"line {node.lineno}: name the keywords"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}: say which exceptions"


@cache
def imported_by(path: Path) -> frozenset[str]:
    """Top-level packages that a file names in an import, wherever in the file that stands."""
    names: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return frozenset(names)


@pytest.mark.parametrize(("libraries", "places"), ONLY_IN.items(), ids=lambda v: v[0])
def test_a_library_is_imported_in_its_places_alone(
    libraries: tuple[str, ...], places: tuple[str, ...]
) -> None:
    users = {
        path.relative_to(SOURCE).as_posix() for path in MODULES if imported_by(path) & {*libraries}
    }
    elsewhere = {u for u in users if not any(u == p or u.startswith(f"{p}/") for p in places)}
    assert users
    assert not elsewhere


def test_what_the_system_says_is_told_by_one_function() -> None:
    """``strerror`` is ``None`` where a library raised the ``OSError``: a message would say so."""
    users = {
        p.relative_to(SOURCE).as_posix() for p in MODULES if "strerror" in p.read_text("utf-8")
    }
    assert users == {"errors/failures.py"}


def test_the_environment_is_read_by_the_command_line_alone() -> None:
    for path in MODULES:
        if path.is_relative_to(SOURCE / "cli"):
            continue
        for node in ast.walk(tree_of(path)):
            named = isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
            assert not named, f"{path.relative_to(SOURCE)}: take it as an argument"


def asks_a_finder(path: Path) -> bool:
    """Whether a file calls ``find`` of something that is called a finder."""
    calls = (n.func for n in ast.walk(tree_of(path)) if isinstance(n, ast.Call))
    found = [f for f in calls if isinstance(f, ast.Attribute) and f.attr == "find"]
    return any("finder" in ast.unparse(one.value).lower() for one in found)


def test_only_the_stages_read_media_and_ask_a_finder() -> None:
    """Others call ``read_frames``, ``find_faces`` or ``find_in_pictures``."""
    openers = ("open_image", "open_media", "open_clip", "open_sample", "frames_at")
    asking = [path for path in MODULES if asks_a_finder(path)]
    assert SOURCE / "detection/stages.py" in asking
    for path in asking:
        text = path.read_text("utf-8")
        reads = any(f"{name}(" in text for name in openers)
        assert not reads or path == SOURCE / "detection/stages.py", path.relative_to(SOURCE)


@pytest.mark.parametrize(
    ("others", "ours"),
    [
        ("sys", "mesoscope"),
        ("numpy, cv2, onnxruntime", "mesoscope.detection.detector, mesoscope.scan.local"),
    ],
)
def test_importing_changes_and_prints_nothing(tmp_path: Path, others: str, ours: str) -> None:
    """NumPy and OpenCV set filters and variables of their own, so they are imported before."""
    code = f"""
import logging, os, sys, warnings
import {others}
def state():
    level, here = logging.root.level, os.getcwd()
    return dict(os.environ), list(warnings.filters), level, logging.root.handlers[:], here
before = state()
import {ours}
sys.exit(before != state())
"""
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_quick_questions_load_nothing_heavy(option: str) -> None:
    code = f"""
from mesoscope.cli.main import main
try:
    main([{option!r}])
except SystemExit as end:
    assert not end.code, end.code
"""
    # --help lists the commands with their first sentence, so it loads each command's file.
    assert not loaded_by(code) & HEAVY


def test_judging_loads_nothing_of_the_train_extra() -> None:
    code = """
import numpy as np
import mesoscope
verdict = mesoscope.check(np.full((256, 256, 3), 128, np.uint8))
assert verdict.p_fake is not None
"""
    assert not loaded_by(code) & (TRAIN_EXTRA | {"matplotlib", "jinja2"})


def test_pyproject_is_the_only_configuration() -> None:
    """But for mkdocs.yml: mkdocs reads no pyproject.toml."""
    others = {"setup.cfg", "setup.py", "tox.ini", "pytest.ini", "mypy.ini", "ruff.toml"}
    others |= {".ruff.toml", ".coveragerc", ".flake8", ".importlinter", ".pre-commit-config.yaml"}
    assert not others & {path.name for path in ROOT.iterdir()}
