"""Folders as stores, and URLs that are none; object stores are in ``unit/distributed``."""

import importlib.util
import os

import pytest

from mesoscope.errors import MissingExtra, OptionError, OutputError
from mesoscope.files.store import FolderStore, is_object, open_store, refuses_all, refuses_one


def test_a_folder_holds_whole_files(tmp_path):
    store = open_store(str(tmp_path / "new"))
    assert isinstance(store, FolderStore)
    assert store.names("parts") == []
    assert not store.exists("parts/1")
    store.write("parts/2", b"two")
    store.write("parts/1", b"one")
    (tmp_path / "new/parts/.77-0.part").write_bytes(b"of a writer that was killed")
    assert store.names("parts") == ["1", "2"]
    assert store.exists("parts/1")
    with store.open("parts/2") as opened:
        assert opened.read() == b"two"
    store.remove("parts/1")
    store.remove("parts/1")
    store.sweep()
    assert [path.name for path in (tmp_path / "new/parts").iterdir()] == ["2"]
    with pytest.raises(FileNotFoundError), store.open("parts/1"):
        pass


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match=r"x: cannot be written: Permission denied: .*`resume`"):
        FolderStore(tmp_path).write("x", b"")


def test_a_file_in_a_folder_s_place_is_named(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(OutputError, match=r"x/1: cannot be written: File exists"):
        FolderStore(tmp_path).write("x/1", b"")
    with pytest.raises(OutputError, match=r"x: cannot be read: Not a directory"):
        FolderStore(tmp_path).names("x")


def test_urls_are_told_from_paths():
    assert is_object("s3://bucket/x")
    assert not is_object("/folder/s3:/x")
    for url in ("ftp://host/x", "https://host/x", "s3://", "s3:///"):
        with pytest.raises(OptionError, match=r"no object store that is read: give s3://bucket/…"):
            open_store(url)


@pytest.mark.skipif(importlib.util.find_spec("s3fs") is not None, reason="s3fs is installed")
def test_a_client_that_is_missing_is_named():
    with pytest.raises(MissingExtra, match=r"s3fs is not installed.*'mesoscope\[scale\]'"):
        open_store("s3://bucket/x")


def test_only_a_refusal_of_the_credentials_refuses_all():
    def error(code):
        made = PermissionError("no")
        made.__cause__ = Exception()
        made.__cause__.response = {"Error": {"Code": code}}
        return made

    assert refuses_all(error("ExpiredToken"))
    assert not refuses_all(error("AccessDenied"))
    assert not refuses_all(PermissionError("no"))
    # As gcsfs and Azure's client raise them.
    unknown, denied = Exception("Invalid Credentials, 401"), Exception("no")
    unknown.code, denied.status_code = 401, 403
    assert refuses_all(unknown)
    assert refuses_all(type("RefreshError", (Exception,), {})("expired"))
    assert refuses_all(Exception("Server failed to authenticate the request. Make sure"))
    assert not refuses_all(denied)
    for error in (denied, OSError("Forbidden: b/x\nno"), PermissionError("no")):
        assert refuses_one(error)
    assert not refuses_one(OSError("reset"))
