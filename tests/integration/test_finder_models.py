"""``mesoscope models add`` and ``remove``: a face finder's model, kept for good."""

import hashlib
import json

import cv2
import pytest
from click.testing import CliRunner
from skimage import data

from mesoscope.cli.environment import data_folder
from mesoscope.cli.evaluate import command as evaluate
from mesoscope.cli.main import mesoscope
from mesoscope.cli.scan import command as scan
from mesoscope.errors import ModelError, ModelMismatch, ModelMissing, OptionError


@pytest.fixture
def home(monkeypatch, tmp_path):
    """A user's data folder that is still empty."""
    folder = tmp_path / "data"
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    monkeypatch.setenv("LOCALAPPDATA", str(folder))
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    return folder


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "astronaut.png"
    cv2.imwrite(str(path), cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR))
    return path


def run(*arguments):
    return CliRunner().invoke(mesoscope, [str(a) for a in arguments])


def finder_of(photograph, *arguments):
    out = photograph.with_suffix(".jsonl")
    done = run("scan", photograph, "--no-table", "--out", out, *arguments)
    assert done.exit_code == 0, done.output
    return json.loads(out.read_text(encoding="utf-8"))["finder"]


def test_auto_prefers_it_until_it_is_removed(home, yunet, photograph):
    digest = hashlib.sha256(yunet.read_bytes()).hexdigest()
    assert finder_of(photograph) == "mtcnn"
    added = run("models", "add", "yunet", yunet, "--sha256", digest.upper())
    assert added.exit_code == 0, added.output
    assert f"SHA-256 {digest}" in added.stdout
    assert finder_of(photograph) == finder_of(photograph, "--faces", "yunet") == "yunet"
    assert finder_of(photograph, "--faces", "mtcnn") == "mtcnn"
    assert finder_of(photograph, "--faces", "whole") == "whole"
    assert run("models", "remove", "yunet").exit_code == 0
    assert finder_of(photograph) == "mtcnn"


def test_adding_it_again_leaves_one(home, yunet):
    for _ in range(2):
        assert run("models", "add", "yunet", yunet).exit_code == 0
    assert len(list(data_folder().glob("finders/*"))) == 1


def test_a_damaged_copy_is_not_used(home, yunet, photograph):
    assert run("models", "add", "yunet", yunet).exit_code == 0
    (kept,) = data_folder().glob("finders/*")
    kept.write_bytes(kept.read_bytes()[:-1])
    error = run("scan", photograph).exception
    assert isinstance(error, ModelMismatch)
    assert "damaged" in str(error)
    assert "mesoscope models remove yunet" in str(error)


def test_files_that_are_refused_are_not_kept(home, yunet, tmp_path):
    (tmp_path / "text.onnx").write_text("no network")
    for arguments, kind in [
        ((tmp_path / "none.onnx",), ModelMissing),
        ((tmp_path / "text.onnx",), ModelError),
        ((yunet, "--sha256", "00"), ModelMismatch),
    ]:
        assert isinstance(run("models", "add", "yunet", *arguments).exception, kind)
    assert not list(home.rglob("*"))


def test_nothing_to_remove(home):
    assert isinstance(run("models", "remove", "yunet").exception, OptionError)


def test_evaluate_takes_pictures_as_faces_unless_told_otherwise():
    defaults = [{o.name: o.default for o in c.params}["faces"] for c in (evaluate, scan)]
    assert defaults == ["whole", "auto"]
