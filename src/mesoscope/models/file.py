"""Model files: look-up, the card in the metadata, and verification of the bytes.

Only the outermost fields of the ONNX file are parsed, without onnx or ONNX Runtime, so that reading
a card takes less than a millisecond.
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
from mesoscope.files.atomic import write_bytes
from mesoscope.files.digest import hash_file
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
SEAL_KEY = "mesoscope.sha256"  # digest of all bytes before this entry, the last of the file
LARGEST = (1 << 31) - 1  # bytes: the limit of Protocol Buffers
SUMS = "SHA256SUMS"

_FOLDER = Path(__file__).parent
_IR_VERSION, _GRAPH, _METADATA = 1, 7, 14  # of ModelProto
_KEY, _VALUE = 1, 2  # of StringStringEntryProto
_CARD_MAX_BYTES = 4 << 20  # a card has a few kilobytes
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # bidi controls
_FIELDS_MAX = 1000  # a model has a dozen; bounds the memory for large files of other formats


def shipped() -> dict[str, Path]:
    """Return the shipped models, by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.onnx"), key=lambda path: path.stem)}


def find_model(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the shipped model of a name, else the file at a path.

    Raises:
        ModelMissing: There is neither; the message lists the shipped names.
    """
    name = os.fspath(name_or_path)
    known = shipped()
    if name in known:
        return known[name]
    path = Path(name)
    if path.is_file():
        return path
    names = ", ".join(known) or "none"
    if path.is_dir():
        raise ModelMissing(f"{name}: a folder, not a model: give its .onnx file")
    raise ModelMissing(
        f"{name}: no model file there and none shipped by that name ({names}): name one of these, "
        "or a model file; mesoscope models list shows added ones, too"
    )


def read_card(path: Path) -> ModelCard:
    """Read the card of a model file.

    Raises:
        ModelMissing: The file is missing.
        ModelError: The file is not ONNX, is truncated, or has no valid card.
    """
    with _opened(path) as file:
        return _card_in(file, path)


class OpenedModel(NamedTuple):
    """A verified model file.

    Attributes:
        data: Bytes of the file.
        card: Model card.
        model_id: As :func:`model_id`.
        shipped: Whether it is a shipped file with the digest that ``SHA256SUMS`` lists.
    """

    data: bytes
    card: ModelCard
    model_id: str
    shipped: bool


def open_model(path: Path) -> OpenedModel:
    """Read a model file once, and verify the bytes as :func:`verify_bytes` does.

    Unlike there, a hand-written card without a digest is accepted.

    Raises:
        ModelMismatch: The bytes have changed since the file was written.
        ModelMissing: The file is missing.
        ModelError: As for :func:`read_card`.
    """
    with _opened(path) as file:
        card = _card_in(file, path)  # refuses too large files before they are read
        try:
            file.seek(0)
            data = file.read(LARGEST + 1)
        except OSError as error:
            raise ModelError(f"{path}: cannot be read: {cause(error)}") from error
    digest = hashlib.sha256(data).hexdigest()
    shipped = path.resolve().parent == _FOLDER.resolve() and _sums(_FOLDER).get(path.name) == digest
    if not shipped:  # else the digest of the file covers graph, card and seal
        _verify(io.BytesIO(data), path, unsigned=True)
    return OpenedModel(data, card, f"{card.name}@{digest[:8]}", shipped)


def sealed(data: bytes) -> bytes:
    """Append the SHA-256 of a model's bytes to them, as the last metadata entry.

    The digest in the card covers the graph; this one also covers the card.
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
    """Return the SHA-256 of a serialised model's graph: weights and operators, without the card.

    Raises:
        ModelError: The bytes are not ONNX, or truncated.
    """
    return _graph_digest(io.BytesIO(data), "these bytes")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        ModelMissing: The file is missing.
        ModelError: The file cannot be read.
    """
    with _opened(path) as file:
        return hash_file(file).sha256


def verify_sha256(path: Path, wanted: str | None) -> str:
    """Return the SHA-256 of a model file, compared with an expected one unless that is ``None``.

    Raises:
        ModelMismatch: The digest differs.
        ModelMissing: The file is missing.
        ModelError: The file cannot be read, or is too large.
    """
    digest = file_sha256(path)
    if wanted is not None and wanted.strip().lower() != digest:
        raise ModelMismatch(f"{path}: its SHA-256 is {digest}, not {wanted.strip().lower()}")
    if path.stat().st_size > LARGEST:
        raise ModelError(f"{path}: an ONNX model has at most 2 GB")
    return digest


def model_id(path: Path) -> str:
    """Return ``name@12345678``: the card's name and eight digits of the file's SHA-256.

    Raises:
        ModelMissing: The file is missing.
        ModelError: As for :func:`read_card`.
    """
    return f"{read_card(path).name}@{file_sha256(path)[:8]}"


def verify_bytes(path: Path) -> None:
    """Verify a model's graph against its card and seal, and a shipped file against SHA256SUMS.

    Raises:
        ModelMismatch: One of them differs; the message names it.
        ModelMissing: The file is missing.
        ModelError: As for :func:`read_card`.
    """
    with _opened(path) as file:
        _verify(file, path, unsigned=False)


def _verify(file: IO[bytes], path: Path, *, unsigned: bool) -> None:
    """Verify an open file; ``unsigned`` accepts a card without a digest."""
    card, found = _card_in(file, path), _graph_digest(file, path)
    if found != card.graph_sha256 and (card.graph_sha256 or not unsigned):
        raise ModelMismatch(
            f"{path}: graph check: the card says SHA-256 {card.graph_sha256[:16] or 'nothing'}… "
            f"and the graph has {found[:16]}…: the file was changed, get it again"
        )
    file.seek(0)
    data = file.read()
    for field in _outline(file, path):
        if field.number != _METADATA:
            continue
        key, value = _entry(file, field, path)
        if key == SEAL_KEY.encode() and (
            value.decode("latin-1") != hashlib.sha256(data[: field.tag_at]).hexdigest()
            or field.start + field.length != len(data)
        ):
            raise ModelMismatch(
                f"{path}: file check: its bytes differ from the digest in its last entry: "
                "the file was changed, get it again"
            )
    if path.resolve().parent != _FOLDER.resolve():
        return
    digest = hashlib.sha256(data).hexdigest()
    listed = _sums(path.parent).get(path.name)
    if listed is None:
        raise ModelMismatch(f"{path}: file check: {SUMS} does not list it: install mesoscope again")
    if digest != listed:
        raise ModelMismatch(
            f"{path}: file check: {SUMS} says {listed[:16]}… and the file has {digest[:16]}…: "
            "install mesoscope again"
        )


def write_sums(folder: Path = _FOLDER) -> Path:
    """Write ``SHA256SUMS`` of the models in a folder, in the format of ``sha256sum -c``.

    To be run when a shipped model changes::

        python -c "from mesoscope.models.file import write_sums; print(write_sums())"

    Returns:
        Path of the file.

    Raises:
        OutputError: The file cannot be written.
    """
    lines = [f"{file_sha256(path)}  {path.name}\n" for path in sorted(folder.glob("*.onnx"))]
    write_bytes(folder / SUMS, "".join(lines).encode())
    return folder / SUMS


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise ModelMissing(f"{path}: no such file (mesoscope models list)") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise ModelError(f"{path}: cannot be read: {cause(error)}") from error


def _outline(file: IO[bytes], where: Path | str) -> list[Field]:
    """Return the outermost fields of a model; exactly one is a graph."""
    found: list[Field] = []
    try:
        size = file.seek(0, os.SEEK_END)
        if size > LARGEST:
            raise ModelError(f"{where}: {size:,} bytes, and an ONNX model has at most 2 GB")
        found.extend(islice(fields(file, 0, size), _FIELDS_MAX))
    except MalformedError as error:
        is_model = found and found[0].number == _IR_VERSION and found[0].wire == VARINT
        what = "a truncated or damaged model: get it again" if is_model else "not an ONNX model"
        raise ModelError(f"{where}: {what}") from error
    except OSError as error:
        raise ModelError(f"{where}: cannot be read: {cause(error)}") from error
    graphs = [field for field in found if field.number == _GRAPH and field.wire == BYTES]
    if len(graphs) != 1:
        raise ModelError(f"{where}: not an ONNX model, or a damaged one: {len(graphs)} graphs")
    return found


def _entry(file: IO[bytes], field: Field, path: Path) -> tuple[bytes, bytes]:
    """Return the key and value of a metadata entry."""
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
    """Check the values of a card against the annotations of its fields."""
    parts: list[_Part] = [card, card.calibration, card.thresholds, card.aggregation]
    parts += card.operating_points
    for owner in parts if card.guard is None else [*parts, card.guard]:
        for field in dataclasses.fields(owner):
            value = getattr(owner, field.name)
            top = 1e9 if field.name == "further_margins" else 1.0
            if not _fits(value, str(field.type), top) or (
                field.name in ("name", "input_px") and not value
            ):
                raise ModelError(f"its card cannot be read: {field.name} has a wrong type or value")
            if isinstance(value, str) and not _is_printable(value, name=field.name == "name"):
                raise ModelError(
                    f"its card cannot be read: {field.name} is too long or holds control characters"
                )


def _is_printable(text: str, *, name: bool) -> bool:
    """Whether an untrusted text is safe for terminals and tables; a name has no line breaks."""
    plain = text if name else text.replace("\n", " ").replace("\r", " ").replace("\t", " ")
    longest = 120 if name else 1 << 20
    return len(text) <= longest and not any(
        unicodedata.category(c) in ("Cc", "Cs") or c in _BIDI for c in plain
    )


def _fits(value: object, kind: str, top: float = 1.0) -> bool:
    """Whether a value has an annotation's type; the numbers of a tuple lie in 0 to ``top``."""
    if kind == "str":
        return isinstance(value, str)
    if kind == "int":
        return type(value) is int and 0 <= value < 1 << 31
    if kind == "float":
        return isinstance(value, float | int) and abs(value) < 1e9  # finite and not NaN
    if kind == "tuple[float, ...]":
        return isinstance(value, tuple) and all(_fits(p, "float") and 0 <= p <= top for p in value)
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
