"""A face finder's model that is kept in a folder of the caller's choice."""

import hashlib

import pytest

from mesoscope.errors import ModelError, ModelMismatch, ModelMissing, OptionError
from mesoscope.faces.added import add_finder, added_finder, remove_finder


def test_what_is_kept_is_found_until_it_is_removed(yunet, tmp_path):
    folder = tmp_path / "finders"
    assert added_finder(folder) is None
    digest = hashlib.sha256(yunet.read_bytes()).hexdigest()
    kept = add_finder(yunet, folder, sha256=digest.upper())
    assert added_finder(folder) == kept == folder / f"yunet-{digest}.onnx"
    assert remove_finder(folder) == [kept]
    assert added_finder(folder) is None
    with pytest.raises(OptionError, match="no model of yunet is installed"):
        remove_finder(folder)


def test_a_damaged_copy_is_refused(yunet, tmp_path):
    kept = add_finder(yunet, tmp_path)
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(ModelMismatch, match="damaged, its SHA-256 is not the one of its name"):
        added_finder(tmp_path)


def test_a_model_replaces_the_one_before(yunet, tmp_path):
    (tmp_path / f"yunet-{'0' * 64}.onnx").write_bytes(b"an older one")
    kept = add_finder(yunet, tmp_path)
    assert list(tmp_path.iterdir()) == [kept]


def test_what_is_no_such_model_is_not_kept(tmp_path):
    folder, text = tmp_path / "finders", tmp_path / "text.onnx"
    text.write_text("no network")
    for file, options, kind in [
        (tmp_path / "none.onnx", {}, ModelMissing),
        (text, {}, ModelError),
        (text, {"sha256": "00"}, ModelMismatch),
        (text, {"finder": "mtcnn"}, OptionError),
    ]:
        with pytest.raises(kind):
            add_finder(file, folder, **options)
    assert not folder.exists()
