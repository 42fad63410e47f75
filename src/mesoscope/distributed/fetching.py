"""Read the sources of a task ahead of the detector: files of a drive, and objects of a store."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import platform
import time
from functools import partial
from itertools import groupby
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from mesoscope.distributed import web
from mesoscope.errors import MesoscopeError, OutputError, SourceError, SourceMissing
from mesoscope.errors.failures import cause, source_failure
from mesoscope.files.digest import hash_bytes, hash_file
from mesoscope.files.store import ObjectStore, is_object, refuses_all, refuses_one
from mesoscope.media.image import FileBytes
from mesoscope.media.kinds import CLIP_SUFFIXES
from mesoscope.media.ranged import RangedFile, media_range
from mesoscope.media.walk import Unreadable
from mesoscope.runtime.threads import map_ordered
from mesoscope.scan.reading import Content, read
from mesoscope.scan.tables import Claim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mesoscope.distributed.tasks import Planned

    Answer = bytes | Path | RangedFile | Exception  # of a store, for an object

__all__ = ["Fetched", "copy_path", "fetch_all", "is_clip", "no_credentials",
           "refuse_full_disk", "store_of", "why"]  # fmt: skip

GROUP = 16  # objects that are fetched side by side
GROUP_BYTES = 64 << 20  # and no more bytes than this; a larger object goes to the disk
RANGED_BYTES = 64 << 20  # a larger clip is read by ranges, if its index allows it
TRIES = 4  # of an object, besides those of the store's client
WAIT_S = 0.5  # before the second try, and twice as long before each further one


class Fetched(NamedTuple):
    """A source that is ready for the detector.

    Attributes:
        planned: As it was listed.
        source: Bytes or path, for the detector; or why there are none.
        content: Of a local file: what was read, to see whether it changes meanwhile.
        size_bytes: Of what was read.
        sha256: Of what was read; ``None`` where nothing was, or not all of it.
        copy: A copy on this machine's disk, which is removed once it is judged.
        faults: What the store raised while a clip was read by ranges.
    """

    planned: Planned
    source: str | FileBytes | RangedFile | Unreadable
    content: Content | None = None
    size_bytes: int = 0
    sha256: bytes | None = None
    copy: Path | None = None
    faults: Sequence[Exception] = ()

    def refuse_outage(self) -> None:
        """Raise where the store refused the credentials while this was judged.

        Raises:
            OutputError: It did.
        """
        for error in self.faults:
            if refuses_all(error):
                raise no_credentials(self.planned, error) from error


def fetch_all(task: Sequence[Planned], folder: Path, *, ranged: bool = True) -> Iterator[Fetched]:
    """Read the sources of a task in their order, one group ahead of the reader.

    Args:
        task: The sources.
        folder: For copies of clips and of the largest objects, which are read by seeking.
        ranged: Large clips are read by ranges and not copied, where that is possible.

    Raises:
        OutputError: An object store refuses the credentials, or gives nothing of a group: the
            sources are not to blame.
    """
    fetch = partial(_fetch_group, folder=folder, ranged=ranged)
    for fetched in map_ordered(fetch, _groups(task), threads=1, depth=1):
        yield from fetched


def _groups(task: Sequence[Planned]) -> Iterator[list[Planned]]:
    """Neighbours that are read together: of one bucket, few, and small enough together."""
    for _, run in groupby(task, key=lambda one: one.name.split("/", 3)[:3]):
        group: list[Planned] = []
        held = 0
        for one in run:
            if group and (len(group) == GROUP or held + one.size_bytes > GROUP_BYTES):
                yield group
                group, held = [], 0
            group.append(one)
            held += one.size_bytes
        if group:
            yield group


def _fetch_group(group: Sequence[Planned], *, folder: Path, ranged: bool) -> list[Fetched]:
    remote = [one for one in group if one.code is None and is_object(one.name)]
    if not remote:
        return [_read_file(one) for one in group]
    if web.is_web(remote[0].name):
        return _fetch_web(group, folder)
    store = store_of(remote[0].name)
    small = [one for one in remote if not _goes_to_disk(one)]
    got: dict[Planned, Answer] = {}
    left = small
    for attempt in range(TRIES):
        if attempt:
            time.sleep(WAIT_S * 2 ** (attempt - 1))
        got.update(zip(left, store.fetch([one.name for one in left]), strict=True))
        left = [one for one in left if _is_passing(got[one])]
        if not left:
            break
    for one in remote:
        if _goes_to_disk(one):
            by_range = _by_range(store, one) if ranged else None
            got[one] = by_range or _download(store, one, folder)
    _refuse_outage(got)
    return [_of_object(one, got[one]) if one in got else _read_file(one) for one in group]


def _fetch_web(group: Sequence[Planned], folder: Path) -> list[Fetched]:
    """Sources of one host; clips go to the disk."""
    small = [one for one in group if one.code is None and not is_clip(one)]
    got: dict[Planned, Answer] = {}
    got.update(zip(small, web.fetch([one.name for one in small]), strict=True))
    for one in group:
        if one.code is None and is_clip(one):
            path = copy_path(one, folder)
            try:
                got[one] = web.download(one.name, path) or path
            except OSError as error:
                refuse_full_disk(error, folder)
                got[one] = error
    return [_of_object(one, got[one]) if one in got else _read_file(one) for one in group]


def store_of(url: str) -> ObjectStore:
    """The bucket that an object is in."""
    return ObjectStore("/".join(url.split("/", 3)[:3]))


def copy_path(one: Planned, folder: Path) -> Path:
    """The path of a source's copy on this machine's disk."""
    return folder / (hashlib.sha256(one.path).hexdigest() + PurePosixPath(one.name).suffix)


def _read_file(one: Planned) -> Fetched:
    """A file of a drive, or what its listing met."""
    lost = one.unreadable()
    if lost is not None:
        return Fetched(one, lost)
    content = read(Claim(one.path, None))
    # A file that is gone is reported by the detector, as every source has its row.
    return Fetched(one, content.source, content, content.size_bytes, content.sha256)


def _goes_to_disk(one: Planned) -> bool:
    """Clips are read by seeking, and the largest objects should not be held in memory."""
    return one.size_bytes > GROUP_BYTES or is_clip(one)


def is_clip(one: Planned) -> bool:
    """Whether a source has the suffix of a clip."""
    return PurePosixPath(one.name).suffix.lower() in CLIP_SUFFIXES


class _Opener:
    """Opens an object for reading by ranges, and keeps what the store raises."""

    def __init__(self, store: ObjectStore, url: str) -> None:
        self._store, self._url = store, url
        self.faults: list[Exception] = []

    def __call__(self) -> BinaryIO:
        with self._kept():
            return _Watched(self._store.open_object(self._url), self._kept)  # type: ignore[return-value]

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.faults.append(error)
            raise


class _Watched:
    """An open object, whose faults are kept."""

    def __init__(
        self, file: BinaryIO, kept: Callable[[], contextlib.AbstractContextManager[None]]
    ) -> None:
        self._file, self._kept = file, kept

    def read(self, size: int = -1) -> bytes:
        with self._kept():
            return self._file.read(size)

    def seek(self, to: int, whence: int = 0) -> int:
        return self._file.seek(to, whence)

    def tell(self) -> int:
        return self._file.tell()

    def __enter__(self) -> _Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _by_range(store: ObjectStore, one: Planned) -> RangedFile | None:
    """A large clip that need not be copied; ``None`` where its index does not allow that."""
    if one.size_bytes <= RANGED_BYTES or not is_clip(one):
        return None
    source = RangedFile(one.name, _Opener(store, one.name))
    try:
        with source.open() as file:
            return source if media_range(file) is not None else None
    except Exception:  # noqa: BLE001 - of whatever client: the copy meets it again, and says so
        return None


def _download(store: ObjectStore, one: Planned, folder: Path) -> Path | Exception:
    path = copy_path(one, folder)
    try:
        store.download(one.name, path)
    except Exception as error:  # noqa: BLE001 - any client's error is of this object only
        path.unlink(missing_ok=True)
        refuse_full_disk(error, folder)
        return error
    return path


def _of_object(one: Planned, got: Answer) -> Fetched:
    if isinstance(got, RangedFile):
        assert isinstance(got.open, _Opener)  # noqa: S101 - as _by_range made it
        return Fetched(one, got, None, one.size_bytes, faults=got.open.faults)
    if isinstance(got, Exception):
        return Fetched(one, Unreadable(one.name, why(one.name, got)))
    if isinstance(got, bytes):
        data, found = FileBytes.of(one.name, got), hash_bytes(got)
        return Fetched(one, data, None, found.n_bytes, bytes.fromhex(found.sha256))
    with got.open("rb") as file:
        found = hash_file(file)
    return Fetched(one, str(got), None, found.n_bytes, bytes.fromhex(found.sha256), got)


def _is_passing(answer: object) -> bool:
    """Whether another try may go through: a fault of the store, not of the object."""
    return (
        isinstance(answer, Exception)
        and not isinstance(answer, FileNotFoundError | MemoryError)
        and not refuses_one(answer)
        and not refuses_all(answer)
    )


def _refuse_outage(got: dict[Planned, Answer]) -> None:
    """Raise where the store is at fault: pictures would be called unreadable that are whole."""
    for one, answer in got.items():
        if isinstance(answer, Exception) and refuses_all(answer):
            raise no_credentials(one, answer) from answer
    faults = [answer for answer in got.values() if _is_passing(answer)]
    if len(faults) == len(got) > 1:
        first = next(iter(got))
        raise OutputError(
            f"{first.name}: the object store gives nothing: {cause(faults[0])}: see to it, "  # type: ignore[arg-type]
            "then go on with `resume`"
        )


def refuse_full_disk(error: Exception, folder: Path) -> None:
    """Raise where a copy finds no room: its source is not to blame.

    Raises:
        OutputError: It does not.
    """
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        raise OutputError(
            f"{folder}: {cause(error)}: make room for copies of clips on {platform.node()}, then "
            "go on with `resume`"
        ) from error


def no_credentials(one: Planned, error: Exception) -> OutputError:
    """Return what ends a scan where the store refuses the credentials."""
    return OutputError(
        f"{one.name}: the object store refuses the credentials: {cause(error)}: renew them, then "
        "go on with `resume`"
    )


def why(name: str, error: Exception) -> SourceError:
    """Return what the row of an object says that the store did not give."""
    if isinstance(error, FileNotFoundError):
        return SourceMissing(f"{name}: no such object: check the URL")
    if isinstance(error, MemoryError | MesoscopeError):
        return source_failure(name, error)
    return SourceError(f"{name}: cannot be opened: {cause(error)}")
