"""The base install, in an environment of its own: no torch, not large, and it judges pictures."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SIZE_MAX_MB = 500
ABSENT = ("torch", "onnx", "onnxscript", "h5py", "safetensors", "matplotlib", "jinja2", "pytest")
NO_REGISTRY = ("NewConnectionError", "Max retries", "ConnectTimeout", "ReadTimeout", "ProxyError")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the base install; the folder of its programs."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [str(programs / "python"), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    # As the Makefile does, but not editable: so the wheel must hold all that is needed.
    done = subprocess.run(
        [*pip, "--no-input", "--retries", "1", "-c", "constraints.txt", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    if done.returncode and any(sign in done.stderr for sign in NO_REGISTRY):
        pytest.skip("pip reaches no package registry from this machine")
    assert done.returncode == 0, done.stderr
    return programs


def site_packages(programs: Path) -> Path:
    scheme = {"base": str(programs.parent), "platbase": str(programs.parent)}
    return Path(sysconfig.get_path("purelib", "venv", scheme))


def size_mb(folder: Path) -> float:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / 1e6


def test_holds_no_torch_and_nothing_of_the_extras(bare: Path) -> None:
    code = f"from importlib.util import find_spec; print([n for n in {ABSENT} if find_spec(n)])"
    done = subprocess.run(
        [bare / "python", "-c", code], capture_output=True, text=True, check=True, cwd=bare
    )
    assert done.stdout.strip() == "[]"


def test_installed_version_is_the_sources(bare: Path) -> None:
    done = subprocess.run(
        [bare / "mesoscope", "--version"], capture_output=True, text=True, check=True, cwd=bare
    )
    from mesoscope import __version__

    assert __version__ in done.stdout


def test_links_of_the_description_need_no_file_beside_it(bare: Path) -> None:
    code = "import importlib.metadata as m; print(m.metadata('mesoscope').get_payload())"
    done = subprocess.run(
        [bare / "python", "-c", code], capture_output=True, text=True, check=True, cwd=bare
    )
    assert "How good it is" in done.stdout
    assert [t for t in re.findall(r"\]\(([^)\s]+)", done.stdout) if "://" not in t] == []


def test_scans_the_samples(bare: Path, tmp_path: Path) -> None:
    out = tmp_path / "scan.jsonl"
    done = subprocess.run(
        [bare / "mesoscope", "scan", ROOT / "samples", "--table", "--out", out],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr  # one sample cannot be read, on purpose
    verdicts = [json.loads(line) for line in out.read_text(encoding="ascii").splitlines()]
    samples = {
        p.name for p in (ROOT / "samples").glob("*/*") if p.suffix in (".jpg", ".mp4", ".png")
    }
    assert {Path(verdict["source"]).name for verdict in verdicts} == samples
    for verdict in verdicts:
        if Path(verdict["source"]).name == "cut_short.jpg":
            assert verdict["error"]["code"] == "source.unreadable"
            assert verdict["p_fake"] is None
        else:
            assert verdict["error"] is None
            assert 0 <= verdict["p_fake"] <= 1
        assert Path(verdict["source"]).name in done.stdout


def test_training_names_the_extra_that_it_needs(bare: Path, tmp_path: Path) -> None:
    """What is not installed is said with the line that installs it."""
    done = subprocess.run(
        [bare / "mesoscope", "train", tmp_path, "--recipe", "r.toml", "--out", tmp_path / "run"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 3
    assert "pip install 'mesoscope[train]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_is_small(bare: Path) -> None:
    site = site_packages(bare)
    size = {
        "whole environment": size_mb(bare.parent),
        "without pip": size_mb(bare.parent) - size_mb(site / "pip"),
        "mesoscope": size_mb(site / "mesoscope"),
    }
    print("base install, MB:", {name: round(mb, 1) for name, mb in size.items()})
    assert size["without pip"] <= SIZE_MAX_MB  # pip came with the environment
    assert 0 < size["mesoscope"] < 14  # of it 6 are models, and half of the code is compiled
