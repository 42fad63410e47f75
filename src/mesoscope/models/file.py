"""A model is one file that explains itself: find it, read its card, check its bytes.

Only the outermost layer of the ONNX format is read, and by hand, so that asking a file for its
card needs neither onnx nor ONNX Runtime and costs less than a millisecond.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import unicodedata
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from mesoscope.errors import ModelError, ModelMismatch, ModelMissing
from mesoscope.errors.failures import cause
from mesoscope.files.whole import write_whole
from mesoscope.models.graph import BYTES, VARINT, Field, MalformedError, fields, length_delimited
from mesoscope.types import ModelCard

if TYPE_CHECKING:
    from mesoscope.types import Calibration, Guard, OperatingPoint, Thresholds
    from mesoscope.types.card import Aggregation

    _Part = ModelCard | Calibration | Thresholds | Aggregation | OperatingPoint | Guard

__all__ = [
    *("CARD_KEY", "OpenedModel", "file_sha256", "find_model", "graph_sha256", "model_id"),
    *("open_model", "read_card", "sealed", "shipped", "verify_bytes", "verify_sha256"),
    "write_sums",
]

CARD_KEY = "mesoscope.card"
SEAL_KEY = "mesoscope.sha256"  # of all bytes before that entry, which is the file's last
LARGEST = (1 << 31) - 1  # bytes; Protocol Buffers know no longer message
SUMS = "SHA256SUMS"

_FOLDER = Path(__file__).parent
_IR_VERSION, _GRAPH, _METADATA = 1, 7, 14  # of ModelProto
_KEY, _VALUE = 1, 2  # of StringStringEntryProto
_CARD_MAX_BYTES = 4 << 20  # a card is a few kilobytes; more is damage
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # turn writing round
_FIELDS_MAX = 1000  # a model has a dozen; a large file that is none must not fill the memory


def shipped() -> dict[str, Path]:
    """The models that came with the package, by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.onnx"), key=lambda path: path.stem)}


def find_model(name_or_path: str | os.PathLike[str]) -> Path:
    """A shipped model of that name, else the file at that path.

    Raises:
        ModelMissing: Neither; the message lists the shipped names.
    """
    asked = os.fspath(name_or_path)
    known = shipped()
    if asked in known:
        return known[asked]
    path = Path(asked)
    if path.is_file():
        return path
    names = ", ".join(known) or "none"
    if path.is_dir():
        raise ModelMissing(f"{asked}: a folder, not a model: give its .onnx file")
    raise ModelMissing(f"{asked}: no model file there and none shipped by that name ({names})")


def read_card(path: Path) -> ModelCard:
    """The card that a model file carries.

    Raises:
        ModelMissing: No such file.
        ModelError: Not ONNX, truncated, without a card, or with one that cannot be read.
    """
    with _opened(path) as file:
        return _card_in(file, path)


class OpenedModel(NamedTuple):
    """A model file that was read once and checked.

    Attributes:
        data: Its bytes.
        card: Its card.
        model_id: As :func:`model_id`.
        shipped: It is a shipped file, and its bytes are those that ``SHA256SUMS`` lists.
    """

    data: bytes
    card: ModelCard
    model_id: str
    shipped: bool


def open_model(path: Path) -> OpenedModel:
    """Read a model file whole, and check it as :func:`verify_bytes`: what is checked is what runs.

    A card that was written by hand and says no digest is let through; ``models verify`` says so.

    Raises:
        ModelMismatch: Its bytes are not those that were written.
        ModelError: As :func:`read_card`.
    """
    with _opened(path) as file:
        card = _card_in(file, path)  # refuses what is too large, before it is read
        try:
            file.seek(0)
            data = file.read(LARGEST + 1)
        except OSError as error:
            raise ModelError(f"{path}: cannot be read: {cause(error)}") from error
    whole = hashlib.sha256(data).hexdigest()
    shipped = path.resolve().parent == _FOLDER.resolve() and _sums(_FOLDER).get(path.name) == whole
    if not shipped:  # else its graph, card and seal are known with the whole
        _verify(io.BytesIO(data), path, unsigned=True)
    return OpenedModel(data, card, f"{card.name}@{whole[:8]}", shipped)


def sealed(data: bytes) -> bytes:
    """A model file's bytes with their own SHA-256 behind them, as the last metadata entry.

    The digest in the card covers the graph; this one covers the card as well.
    """
    digest = hashlib.sha256(data).hexdigest().encode()
    entry = length_delimited(_KEY, SEAL_KEY.encode()) + length_delimited(_VALUE, digest)
    return data + length_delimited(_METADATA, entry)


def _card_in(file: IO[bytes], path: Path) -> ModelCard:
    for field in _outline(file, path):
        if field.number != _METADATA:
            continue
        key, value = _entry(file, field, path)
        if key == CARD_KEY.encode():
            return _card(value, path)
    raise ModelError(
        f"{path}: an ONNX file without a mesoscope card: make one with mesoscope train or "
        "mesoscope import-keras"
    )


def graph_sha256(data: bytes) -> str:
    """SHA-256 of the graph inside a serialised model: its weights and operations, not its card.

    Raises:
        ModelError: Not ONNX, or truncated.
    """
    return _graph_digest(io.BytesIO(data), "these bytes")


def file_sha256(path: Path) -> str:
    """SHA-256 of a whole file.

    Raises:
        ModelMissing: No such file.
        ModelError: It cannot be read.
    """
    digest = hashlib.sha256()
    with _opened(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def verify_sha256(path: Path, wanted: str | None) -> str:
    """The SHA-256 of a model file, which must be the one that is wanted, if any is.

    Raises:
        ModelMismatch: It is another.
        ModelMissing: No such file.
        ModelError: It cannot be read, or is too large.
    """
    digest = file_sha256(path)
    if wanted is not None and wanted.strip().lower() != digest:
        raise ModelMismatch(f"{path}: its SHA-256 is {digest}, not {wanted.strip().lower()}")
    if path.stat().st_size > LARGEST:
        raise ModelError(f"{path}: an ONNX model has at most 2 GB")
    return digest


def model_id(path: Path) -> str:
    """``name@12345678``: the card's name and the first eight digits of the file's SHA-256.

    Raises:
        ModelError: As :func:`read_card`.
    """
    return f"{read_card(path).name}@{file_sha256(path)[:8]}"


def verify_bytes(path: Path) -> None:
    """Check a model's bytes: its graph against its card, and a shipped file against SHA256SUMS.

    Raises:
        ModelMismatch: One of the two differs; the message says which.
        ModelError: As :func:`read_card`.
    """
    with _opened(path) as file:
        _verify(file, path, unsigned=False)


def _verify(file: IO[bytes], path: Path, *, unsigned: bool) -> str:
    """Check a file's bytes; returns the SHA-256 of all of them."""
    card, found = _card_in(file, path), _graph_digest(file, path)
    if found != card.graph_sha256 and (card.graph_sha256 or not unsigned):
        raise ModelMismatch(
            f"{path}: graph check: the card says SHA-256 {card.graph_sha256[:16] or 'nothing'}… "
            f"and the graph has {found[:16]}…: the file was changed, get it again"
        )
    file.seek(0)
    data = file.read()
    whole = hashlib.sha256(data).hexdigest()
    for field in _outline(file, path):
        if field.number != _METADATA:
            continue
        key, value = _entry(file, field, path)
        if key == SEAL_KEY.encode() and (
            value.decode("latin-1") != hashlib.sha256(data[: field.tag_at]).hexdigest()
            or field.start + field.length != len(data)
        ):
            raise ModelMismatch(
                f"{path}: file check: its bytes are not those that its last entry was made of: "
                "the file was changed, get it again"
            )
    if path.resolve().parent != _FOLDER.resolve():
        return whole
    listed = _sums(path.parent).get(path.name)
    if listed is None:
        raise ModelMismatch(f"{path}: file check: {SUMS} does not list it: install mesoscope again")
    if whole != listed:
        raise ModelMismatch(
            f"{path}: file check: {SUMS} says {listed[:16]}… and the file has {whole[:16]}…: "
            "install mesoscope again"
        )
    return whole


def write_sums(folder: Path = _FOLDER) -> Path:
    """Write ``SHA256SUMS`` for the models in a folder; ``sha256sum -c`` reads it too.

    For maintainers, whenever a shipped model changes::

        python -c "from mesoscope.models.file import write_sums; print(write_sums())"

    Returns:
        The file.

    Raises:
        OutputError: It cannot be written.
    """
    lines = [f"{file_sha256(path)}  {path.name}\n" for path in sorted(folder.glob("*.onnx"))]
    write_whole(folder / SUMS, "".join(lines).encode())
    return folder / SUMS


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise ModelMissing(f"{path}: no such file (mesoscope models list)") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise ModelError(f"{path}: cannot be read: {cause(error)}") from error


def _outline(file: IO[bytes], where: Path | str) -> list[Field]:
    """The outermost fields of a model, which must hold one graph."""
    found: list[Field] = []
    try:
        size = file.seek(0, os.SEEK_END)
        if size > LARGEST:
            raise ModelError(f"{where}: {size:,} bytes, and an ONNX model has at most 2 GB")
        found.extend(islice(fields(file, 0, size), _FIELDS_MAX))
    except MalformedError as error:
        begun = found and found[0].number == _IR_VERSION and found[0].wire == VARINT
        what = "a truncated or damaged model: get it again" if begun else "not an ONNX model"
        raise ModelError(f"{where}: {what}") from error
    except OSError as error:
        raise ModelError(f"{where}: cannot be read: {cause(error)}") from error
    graphs = [field for field in found if field.number == _GRAPH and field.wire == BYTES]
    if len(graphs) != 1:
        raise ModelError(f"{where}: not an ONNX model, or a damaged one: {len(graphs)} graphs")
    return found


def _entry(file: IO[bytes], field: Field, path: Path) -> tuple[bytes, bytes]:
    """Key and value of a metadata entry."""
    if field.wire != BYTES or field.length > _CARD_MAX_BYTES:
        raise ModelError(f"{path}: its metadata is damaged: copy or download it again")
    parts = {_KEY: b"", _VALUE: b""}
    try:
        for part in fields(file, field.start, field.start + field.length):
            if part.number in parts and part.wire == BYTES:
                file.seek(part.start)
                parts[part.number] = file.read(part.length)
    except (MalformedError, OSError) as error:
        raise ModelError(f"{path}: its metadata is damaged: copy or download it again") from error
    return parts[_KEY], parts[_VALUE]


def _card(value: bytes, path: Path) -> ModelCard:
    try:
        card = ModelCard.from_json(value.decode())
        _validate(card)
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: its card cannot be read: it is not UTF-8") from error
    except (ModelError, RecursionError) as error:
        raise ModelError(f"{path}: {' '.join(str(error).split())}") from error
    return card


def _validate(card: ModelCard) -> None:
    """Hold every value of a card against its annotation: JSON has no types."""
    parts: list[_Part] = [card, card.calibration, card.thresholds, card.aggregation]
    parts += card.operating_points
    for owner in parts if card.guard is None else [*parts, card.guard]:
        for field in dataclasses.fields(owner):
            value = getattr(owner, field.name)
            most = 1e9 if field.name == "further_margins" else 1.0
            if not _fits(value, str(field.type), most) or (
                field.name in ("name", "input_px") and not value
            ):
                raise ModelError(f"its card cannot be read: {field.name} has a wrong type or value")
            if isinstance(value, str) and not _shows(value, name=field.name == "name"):
                raise ModelError(
                    f"its card cannot be read: {field.name} is too long or holds control characters"
                )


def _shows(text: str, *, name: bool) -> bool:
    """Whether a text of strangers may go to terminals and tables; lines may end in texts alone."""
    plain = text if name else text.replace("\n", " ").replace("\r", " ").replace("\t", " ")
    longest = 120 if name else 1 << 20
    return len(text) <= longest and not any(
        unicodedata.category(c) in ("Cc", "Cs") or c in _TURNS for c in plain
    )


def _fits(value: object, kind: str, most: float = 1.0) -> bool:
    """Whether it is of that kind; the numbers of a tuple are at most ``most``."""
    if kind == "str":
        return isinstance(value, str)
    if kind == "int":
        return type(value) is int and 0 <= value < 1 << 31
    if kind == "float":
        return isinstance(value, float | int) and abs(value) < 1e9  # neither nan nor infinite
    if kind == "tuple[float, ...]":
        return isinstance(value, tuple) and all(_fits(p, "float") and 0 <= p <= most for p in value)
    return kind != "Mapping[str, Json]" or isinstance(value, dict)


def _graph_digest(file: IO[bytes], where: Path | str) -> str:
    graph = next(field for field in _outline(file, where) if field.number == _GRAPH)
    file.seek(graph.start)
    return hashlib.sha256(file.read(graph.length)).hexdigest()


def _sums(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelMismatch(
            f"{folder / SUMS}: file check: cannot be read: {cause(error)}"
        ) from error
    pairs = [line.split(maxsplit=1) for line in lines if line.strip()]
    return {pair[1].lstrip("*"): pair[0] for pair in pairs if len(pair) == 2}
