"""Where results are kept and sources lie: folders, and object stores by fsspec."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

from mesoscope.errors import MesoscopeError, MissingExtra, OptionError, OutputError
from mesoscope.errors.failures import cause
from mesoscope.files.atomic import remove_temporary_files, write_bytes
from mesoscope.files.listing import PageRequest, page_reader, read_pages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mesoscope.files.listing import ListedObject

__all__ = ["FolderStore", "ObjectStore", "Store", "StoredObject", "is_object", "open_store",
           "refuses_all", "refuses_one"]  # fmt: skip

# Of fsspec's protocols; http lists whatever a page links to, and is left out.
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}
# What says that whoever asks is not known, or no longer: no other object would be given either.
_REFUSED_ALL = frozenset(
    ("ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidToken",
     "RequestExpired", "SignatureDoesNotMatch", "TokenRefreshRequired")
)  # fmt: skip
_NOT_KNOWN = frozenset(
    ("NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError",  # of botocore
     "DefaultCredentialsError", "ReauthFailError", "RefreshError",  # of google.auth
     "ClientAuthenticationError", "CredentialUnavailableError")  # of Azure
)  # fmt: skip
_AZURE_REFUSES = "Server failed to authenticate the request"
_UNAUTHORIZED, _FORBIDDEN = 401, 403  # of HTTP
_EXTRAS = {"s3": "scale", "gs": "gcs", "az": "azure"}

RANGE_BYTES = 1 << 20  # that are asked for ahead of what is read of an object by ranges


class StoredObject(NamedTuple):
    """An object of a listing.

    Attributes:
        url: Its URL.
        size_bytes: Its size.
        mtime_ns: When it was last written, in nanoseconds since 1970; 0 where that is not told.
    """

    url: str
    size_bytes: int
    mtime_ns: int


class Store(Protocol):
    """A folder, or a prefix of an object store; a file in it is whole or not there.

    Attributes:
        name: What messages call it.

    Raises:
        OutputError: From any method: it cannot be reached, read or written.
    """

    name: str

    def exists(self, file: str) -> bool:
        """Whether there is a file of that name."""
        ...

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder, sorted; none where there is no folder."""
        ...

    def open(self, file: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """Open a file for reading, by seeking."""
        ...

    def write(self, file: str, data: bytes) -> None:
        """Write a file at once; what has its name is replaced."""
        ...

    def remove(self, file: str) -> None:
        """Take a file away, if it is there."""
        ...

    def sweep(self) -> None:
        """Take away what writers that were killed left."""
        ...


def is_object(place: str) -> bool:
    """Whether a place is the URL of an object store, and no path."""
    return "://" in place


def open_store(place: str) -> Store:
    """The store at a path or a URL.

    Raises:
        OptionError: A URL of a kind that is not read.
        MissingExtra: The client of such a store is not installed.
    """
    return ObjectStore(place) if is_object(place) else FolderStore(Path(place))


class FolderStore:
    """A folder, on this machine or on a drive that several machines share."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._folder = folder

    def exists(self, file: str) -> bool:
        """As of :class:`Store`."""
        return (self._folder / file).is_file()

    def names(self, folder: str) -> list[str]:
        """As of :class:`Store`."""
        with _store_errors(f"{self.name}/{folder}"), contextlib.suppress(FileNotFoundError):
            inside = (self._folder / folder).iterdir()
            return sorted(one.name for one in inside if not one.name.startswith("."))
        return []

    @contextlib.contextmanager
    def open(self, file: str) -> Iterator[BinaryIO]:
        """As of :class:`Store`."""
        with _store_errors(f"{self.name}/{file}"), (self._folder / file).open("rb") as opened:
            yield opened

    def write(self, file: str, data: bytes) -> None:
        """As of :class:`Store`."""
        write_bytes(self._folder / file, data, hint="see to it, then go on with `resume`",
                    parents=True)  # fmt: skip

    def remove(self, file: str) -> None:
        """As of :class:`Store`."""
        with _store_errors(f"{self.name}/{file}"):
            (self._folder / file).unlink(missing_ok=True)

    def sweep(self) -> None:
        """As of :class:`Store`."""
        with _store_errors(self.name):
            remove_temporary_files(self._folder)


class ObjectStore:
    """A prefix of an object store, which shows an object once all of it was sent.

    Args:
        url: Such as ``s3://bucket/prefix``. Credentials are looked for where the store's own
            client looks for them.

    Raises:
        OptionError: A URL of a kind that is not read.
        MissingExtra: The client of such a store is not installed.
    """

    def __init__(self, url: str) -> None:
        scheme, _, below = url.partition("://")
        if scheme not in _PACKAGES or not below.strip("/"):
            kinds = ", ".join(f"{name}://bucket/…" for name in _PACKAGES)
            raise OptionError(f"{url}: no object store that is read: give {kinds}")
        try:
            import fsspec

            # Listings that are kept would hide what other machines have written since.
            self._files: Any = fsspec.filesystem(scheme, use_listings_cache=False)
        except ImportError as error:
            raise MissingExtra(_PACKAGES[scheme], extra=_EXTRAS[scheme]) from error
        self.name = url.rstrip("/")
        self._scheme = scheme
        self._below = below.strip("/")

    def exists(self, file: str) -> bool:
        """As of :class:`Store`."""
        # fsspec's isfile takes whatever goes wrong for a file that is not there.
        with _store_errors(f"{self.name}/{file}"), contextlib.suppress(FileNotFoundError):
            return bool(self._files.info(self._at(file), refresh=True)["type"] == "file")
        return False

    def names(self, folder: str) -> list[str]:
        """As of :class:`Store`."""
        with _store_errors(f"{self.name}/{folder}"), contextlib.suppress(FileNotFoundError):
            found = self._files.ls(self._at(folder), detail=False, refresh=True)
            return sorted(str(one).rpartition("/")[2] for one in found)
        return []

    @contextlib.contextmanager
    def open(self, file: str) -> Iterator[BinaryIO]:
        """As of :class:`Store`."""
        with _store_errors(f"{self.name}/{file}"), self._files.open(self._at(file), "rb") as opened:
            yield opened

    def write(self, file: str, data: bytes) -> None:
        """As of :class:`Store`."""
        with _store_errors(f"{self.name}/{file}", "written"):
            self._files.pipe_file(self._at(file), data)

    def remove(self, file: str) -> None:
        """As of :class:`Store`."""
        with _store_errors(f"{self.name}/{file}"), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._at(file))

    def sweep(self) -> None:
        """As of :class:`Store`: nothing is seen before it is whole."""

    def walk(self) -> Iterator[list[StoredObject]]:
        """List the objects below, and the one of that name: pages in any order, and repeats."""
        bucket, _, key = self._below.partition("/")
        # Directory buckets list in no order, and from their beginning only.
        jumps = self._scheme != "az" and bucket.split("--")[-1] != "x-s3"
        with _store_errors(self.name), contextlib.suppress(FileNotFoundError):
            read = page_reader(self._files, self._scheme, bucket)
            named = read(PageRequest(key)).objects if key else []
            yield self._stored(bucket, [one for one in named if one.key == key])
            for page in read_pages(read, f"{key}/" if key else "", jumps=jumps):
                yield self._stored(bucket, page)

    def _stored(self, bucket: str, page: list[ListedObject]) -> list[StoredObject]:
        return [
            StoredObject(f"{self._scheme}://{bucket}/{one.key}", one.size_bytes, one.mtime_ns)
            for one in page
        ]

    def names_one(self, url: str) -> bool:
        """Whether the store's client reads the object of this URL, and no other or a version."""
        if "?" not in url and "#" not in url and url.isprintable():
            return True
        path = url.partition("://")[2]
        return "/".join(self._files.split_path(path)[:2]) == path

    def fetch(self, urls: Sequence[str]) -> list[bytes | Exception]:
        """Read some objects of this store side by side; what fails is in its object's place."""
        from fsspec.asyn import sync

        # One by one in threads takes a third more of the processor, and half as long again.
        # fsspec's own cat of many takes brackets for a pattern.
        answers: list[bytes | Exception] = sync(self._files.loop, self._fetch, urls)
        return answers

    async def _fetch(self, urls: Sequence[str]) -> list[bytes | BaseException]:
        reads = (self._files._cat_file(url.partition("://")[2]) for url in urls)  # noqa: SLF001
        answers: list[bytes | BaseException] = await asyncio.gather(*reads, return_exceptions=True)
        return answers

    def open_object(self, url: str, ahead_bytes: int | None = None) -> BinaryIO:
        """Open an object for reading by ranges; one that changes meanwhile is an error.

        Args:
            url: Its URL.
            ahead_bytes: Asked for ahead of what is read; by default :data:`RANGE_BYTES`.

        Raises:
            Exception: Whatever the store's client raises, from reading, too.
        """
        opened: BinaryIO = self._files.open(
            url.partition("://")[2],
            "rb",
            block_size=ahead_bytes or RANGE_BYTES,
            cache_type="readahead",
        )
        return opened

    def download(self, url: str, path: Path) -> None:
        """Copy an object into a file, piece by piece.

        Raises:
            Exception: Whatever the store's client raises.
        """
        self._files.get_file(url.partition("://")[2], str(path))

    def _at(self, file: str) -> str:
        return f"{self._below}/{file}"


def refuses_all(error: BaseException) -> bool:
    """Whether a store's answer says that it would refuse any other request, too.

    No valid credentials, that is; a single object may lack a permission.
    """
    seen: BaseException | None = error
    while seen is not None:
        response = getattr(seen, "response", None)
        code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
        if (
            code in _REFUSED_ALL
            or type(seen).__name__ in _NOT_KNOWN
            or _status(seen) == _UNAUTHORIZED
            or _AZURE_REFUSES in str(seen)
        ):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def refuses_one(error: BaseException) -> bool:
    """Whether a store's answer says that an object may not be read, and it is so each time."""
    # gcsfs has no class for it.
    denied = isinstance(error, OSError) and str(error).startswith("Forbidden: ")
    return isinstance(error, PermissionError) or denied or _status(error) == _FORBIDDEN


def _status(error: BaseException) -> int:
    """Of the answer that a client of Google's or Azure's raised; 0 where it has none."""
    told = getattr(error, "status_code", None) or getattr(error, "code", None)
    return int(told) if isinstance(told, int) or (isinstance(told, str) and told.isdecimal()) else 0


@contextlib.contextmanager
def _store_errors(place: str, what: str = "read") -> Iterator[None]:
    """Within, whatever a store or its client raises is one line that names the place.

    What is not there, and what the bytes are not, is for the caller to say.
    """
    try:
        yield
    except (FileNotFoundError, MesoscopeError, ValueError):
        raise
    except Exception as error:  # clients have classes of their own
        hint = "see to it, then go on with `resume`"
        said = cause(error).partition(" RequestId:")[0]  # Azure's goes on for lines
        raise OutputError(f"{place}: cannot be {what}: {said}: {hint}") from error
