"""Read the pictures and clips in tar files, each tar front to back, ahead of the detector."""

from __future__ import annotations

import hashlib
import itertools
import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from mesoscope.data.shards.index import tar_members
from mesoscope.distributed.fetching import (
    GROUP,
    GROUP_BYTES,
    Fetched,
    copy_path,
    is_clip,
    no_credentials,
    refuse_full_disk,
    store_of,
    why,
)
from mesoscope.distributed.tasks import Planned
from mesoscope.errors import DatasetError, OutputError, SourceError, SourceMissing
from mesoscope.errors.failures import cause
from mesoscope.files.digest import hash_bytes
from mesoscope.files.store import is_object, refuses_all, refuses_one
from mesoscope.media.image import FileBytes
from mesoscope.media.kinds import CLIP_SUFFIXES, PICTURE_SUFFIXES
from mesoscope.media.walk import Unreadable, open_without_waiting
from mesoscope.runtime.threads import map_ordered

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["fetch_shards"]

SHARD_BYTES = 8 << 20  # that are asked for ahead of what is read of a tar in an object store
_SUFFIXES = PICTURE_SUFFIXES | CLIP_SUFFIXES
_COPY_BYTES = 1 << 20


def fetch_shards(task: Sequence[Planned], folder: Path) -> Iterator[Fetched]:
    """Read the pictures and clips in tar files, in their order, one group ahead of the reader.

    A tar that is cut off, or is none, has a row with an error behind those of its members.

    Args:
        task: The tar files.
        folder: For copies of clips and of the largest members, which are read by seeking.

    Raises:
        OutputError: An object store refuses the credentials, or cannot give a tar.
    """
    groups = _groups(one for tar in task for one in _of_tar(tar, folder))
    for group in map_ordered(
        lambda left: next(left, None), itertools.repeat(groups), threads=1, depth=1
    ):
        if group is None:
            return
        yield from group


def _groups(found: Iterator[Fetched]) -> Iterator[list[Fetched]]:
    group: list[Fetched] = []
    held = 0
    for one in found:
        group.append(one)
        held += one.size_bytes
        if len(group) == GROUP or held > GROUP_BYTES:
            yield group
            group, held = [], 0
    if group:
        yield group


def _of_tar(tar: Planned, folder: Path) -> Iterator[Fetched]:
    lost = tar.unreadable()
    if lost is not None:
        yield Fetched(tar, lost)
        return
    seen: set[bytes] = set()
    try:
        with _open(tar.name) as file:
            for info in tar_members(tar.name, file):
                if PurePosixPath(info.name).suffix.lower() not in _SUFFIXES or info.isdir():
                    continue
                one = _planned(tar, info)
                # By digest: names are long, and a tar may have a million.
                key = hashlib.sha256(one.path).digest()
                yield _refused(one, info, again=key in seen) or _member(one, info, file, folder)
                seen.add(key)
    except DatasetError as error:
        yield Fetched(tar, Unreadable(tar.name, SourceError(str(error))))
    except Exception as error:
        refuse_full_disk(error, folder)
        if not is_object(tar.name):
            yield Fetched(tar, Unreadable(tar.name, _of_drive(tar.name, error)))
            return
        if refuses_all(error):
            raise no_credentials(tar, error) from error
        if isinstance(error, FileNotFoundError) or refuses_one(error):
            yield Fetched(tar, Unreadable(tar.name, why(tar.name, error)))
            return
        raise OutputError(
            f"{tar.name}: the object store does not give it: {cause(error)}: see to it, then go "
            "on with `resume`"
        ) from error


def _open(name: str) -> BinaryIO:
    if is_object(name):
        return store_of(name).open_object(name, SHARD_BYTES)
    return open(name, "rb", opener=open_without_waiting)


def _of_drive(name: str, error: Exception) -> SourceError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return SourceMissing(f"{name}: no such file: check the path")
    return SourceError(f"{name}: cannot be read: {cause(error)}")


def _planned(tar: Planned, info: tarfile.TarInfo) -> Planned:
    name = info.name.removeprefix("./")
    return Planned(tar.path + b"/" + os.fsencode(name), info.size, tar.mtime_ns)


def _refused(one: Planned, info: tarfile.TarInfo, *, again: bool) -> Fetched | None:
    if again:
        said = "its tar has another member of this name before: give each a name of its own"
    elif not info.isreg() or info.issparse():
        said = "a link or a sparse file in a tar, which is not read: pack the file itself"
    else:
        return None
    return Fetched(one, Unreadable(one.name, SourceError(f"{one.name}: {said}")))


def _member(one: Planned, info: tarfile.TarInfo, file: BinaryIO, folder: Path) -> Fetched:
    file.seek(info.offset_data)
    if not is_clip(one) and info.size <= GROUP_BYTES:
        data = file.read(info.size)
        _refuse_short(one, info.size - len(data))
        found = hash_bytes(data)
        source = FileBytes.of(one.name, data)
        return Fetched(one, source, None, found.n_bytes, bytes.fromhex(found.sha256))
    copy = copy_path(one, folder)
    digest, left = hashlib.sha256(), info.size
    with copy.open("wb") as out:
        while left and (piece := file.read(min(left, _COPY_BYTES))):
            digest.update(piece)
            out.write(piece)
            left -= len(piece)
    _refuse_short(one, left)
    return Fetched(one, str(copy), None, info.size, digest.digest(), copy)


def _refuse_short(one: Planned, missing: int) -> None:
    if missing:
        raise DatasetError(f"{one.name}: its tar is cut off within it: fetch that again")
