"""Loading and saving of generators; code in files is never executed."""

from __future__ import annotations

import argparse
import json
import pickletools
import zipfile
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, NoReturn

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor

from mesoscope.errors import ModelError, ModelMissing, OptionError, OutputError
from mesoscope.errors.failures import cause
from mesoscope.files.atomic import atomic_path
from mesoscope.synth.stylegan.networks import Generator, GeneratorConfig
from mesoscope.synth.stylegan.pickles import globals_of, unknown_globals
from mesoscope.synth.stylegan.public_layout import MEAN, from_public
from mesoscope.types.schema import VERSIONS, refuse_version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import BinaryIO

    from mesoscope.types import Json

PAGE: Final = "docs/how-to/make-faces-with-stylegan.md"
_KEY: Final = "mesoscope.generator"
_AVERAGED = "g_ema"
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # the first of the five pickles of torch's legacy format
_TORCH_PICKLES = 5
_PICKLE_BYTES_MAX = 64 << 20  # of a pickle in a zip file: checkpoints have some hundred kilobytes
_NVIDIA = ("dnnlib", "torch_utils", "training.")
_CONVERT = f"convert it in a separate, trusted place, as {PAGE} shows"


def load_generator(path: Path) -> Generator:
    """Load a generator of mesoscope, or a StyleGAN2 in the public layout.

    The format is detected by the content. Tensors are read by safetensors, or by torch's loader
    with ``weights_only``, after the pickle's opcodes were checked for other globals. No code in the
    file is executed.

    Args:
        path: ``.safetensors``, or ``.pt`` with ``g_ema`` and, optionally, ``latent_avg``.

    Returns:
        The generator, on the CPU, in evaluation mode.

    Raises:
        ModelMissing: The file is missing.
        ModelError: The file contains code (NVIDIA's ``.pkl``, a module saved by torch), has another
            format, is damaged, or its tensors are not those of a StyleGAN2.
    """
    if not path.is_file():
        raise ModelMissing(f"{path}: no such file: give a .safetensors or .pt file of a generator")
    try:
        with path.open("rb") as file:
            head = file.read(16)
            file.seek(0)
            # Safetensors first, as the length of its header may start with a pickle's first byte.
            if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
                return _of_safetensors(path)
            if head[:4] == _ZIP:
                return _of_checkpoint(_torch_zip(file, path), path)
            if head[:1] == _PICKLE:
                return _of_checkpoint(_torch_legacy(file, path), path)
            _refuse_unknown(head, file, path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {cause(error)}") from error


def save_generator(path: Path, generator: Generator, about: Mapping[str, Json]) -> None:
    """Write a generator atomically.

    Args:
        path: ``NAME.safetensors``.
        generator: The generator, on any device.
        about: Provenance, as JSON values; stored in the file.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    described = {
        "format": VERSIONS["generator"][-1],
        "config": asdict(generator.config),
        "about": dict(about),
    }
    # One key, as the order of several keys varies and the file must be reproducible.
    metadata = {_KEY: json.dumps(described)}
    tensors = {k: v.detach().cpu().contiguous() for k, v in generator.state_dict().items()}
    write_tensors(path, tensors, metadata)


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file atomically.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    try:
        with atomic_path(path) as part:  # save_file creates files that only their owner can read
            part.write_bytes(serialise(tensors, metadata))
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path}: cannot be written: {cause(error)}") from error


def _of_safetensors(path: Path) -> Generator:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ModelError(f"{path}: damaged, or no safetensors file: {error}") from error
    if _KEY in metadata:
        return _of_mesoscope(tensors, metadata[_KEY], path)
    prefix = f"{_AVERAGED}."
    if any(name.startswith(prefix) for name in tensors):
        mean = tensors.get(MEAN)
        tensors = {n[len(prefix) :]: v for n, v in tensors.items() if n.startswith(prefix)}
    else:
        mean = tensors.pop(MEAN, None)
    return from_public(tensors, mean, str(path))


def _of_mesoscope(tensors: dict[str, Tensor], metadata: str, path: Path) -> Generator:
    try:
        described = json.loads(metadata)
        refuse_version(
            "generator", described["format"], ModelError, where=f"{path}: a generator of format"
        )
        generator = Generator(GeneratorConfig(**described["config"]))
    except (KeyError, TypeError, ValueError, OptionError) as error:
        raise ModelError(f"{path}: its sizes cannot be read: {error}") from error
    expected = {name: tuple(value.shape) for name, value in generator.state_dict().items()}
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    for name in sorted(expected.keys() | shapes.keys()):
        if expected.get(name) != shapes.get(name):
            raise ModelError(
                f"{path}: {name} has shape {shapes.get(name)}, and its sizes require "
                f"{expected.get(name)}: the file is damaged"
            )
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise ModelError(f"{path}: has infinite or NaN weights: training diverged")
    generator.load_state_dict(tensors)
    return generator.eval()


def _torch_zip(file: BinaryIO, path: Path) -> object:
    """Load torch's zip format, after a check of its pickle."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            pickled = [n for n in names if n.endswith("/data.pkl")]
            if any("/code/" in n or n.endswith("/constants.pkl") for n in names):
                raise ModelError(
                    f"{path}: a TorchScript program, which contains code, is refused: "
                    "save the state_dict of its generator as safetensors"
                )
            if len(pickled) != 1:
                raise ModelError(f"{path}: a zip, but not one that torch.save wrote")
            if archive.getinfo(pickled[0]).file_size > _PICKLE_BYTES_MAX:
                raise ModelError(f"{path}: its pickle is larger than any checkpoint's: refused")
            with archive.open(pickled[0]) as inner:
                names_used = globals_of(inner)  # type: ignore[arg-type]
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ModelError(f"{path}: damaged: {error}") from error
    _refuse_code(names_used, path)
    return _load_tensors(path)


def _torch_legacy(file: BinaryIO, path: Path) -> object:
    """Load torch's legacy format, after a check of its pickles."""
    try:
        first = [(op.name, argument) for op, argument, _ in pickletools.genops(file)]
        is_torch = any(argument == _TORCH_MAGIC for name, argument in first if "LONG" in name)
        file.seek(0)
        names_used = globals_of(file, pickles=_TORCH_PICKLES if is_torch else 1)
    except (ValueError, AssertionError, IndexError, KeyError, OverflowError) as error:
        raise ModelError(
            f"{path}: starts as a pickle and cannot be parsed: it is damaged or malicious, and "
            f"was not loaded: {error}"
        ) from error
    _refuse_code(names_used, path)
    if not is_torch:
        raise ModelError(
            f"{path}: a pickle, and not one that torch.save wrote: save its tensors as safetensors"
        )
    return _load_tensors(path)


def _refuse_code(names_used: list[str], path: Path) -> None:
    names = unknown_globals(names_used)
    if not names:
        return
    kind = "an NVIDIA pickle" if any(n.startswith(_NVIDIA) for n in names) else "a pickle"
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    raise ModelError(
        f"{path}: {kind} that calls {names[0]}{more}: loading it would run code in the file, so "
        f"nothing of it was loaded: {_CONVERT}"
    )


def _load_tensors(path: Path) -> object:
    try:
        # Training scripts save their options, a Namespace of plain values, with the weights.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content: object = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler may raise any exception for a damaged file
        message = str(error).strip().partition("\n")[0]
        raise ModelError(f"{path}: torch cannot read its tensors: {message}") from error
    return content


def _of_checkpoint(content: object, path: Path) -> Generator:
    if not isinstance(content, dict):
        raise ModelError(f"{path}: has a {type(content).__name__}, and a dictionary is expected")
    mean = content.get(MEAN)
    tensors = content.get(_AVERAGED, content if "input.input" in content else None)
    if not isinstance(tensors, dict) or not all(isinstance(v, Tensor) for v in tensors.values()):
        names = ", ".join(map(str, list(content)[:5]))
        raise ModelError(
            f"{path}: no {_AVERAGED} with a generator's weights in it, but {names}: {PAGE} says "
            "what can be loaded"
        )
    tensors = {str(name): value for name, value in tensors.items() if name != MEAN}
    return from_public(tensors, mean if isinstance(mean, Tensor) else None, str(path))


def _refuse_unknown(head: bytes, file: BinaryIO, path: Path) -> NoReturn:
    """Refuse another file with a message about what it may be, such as a downloaded web page."""
    if not head:
        raise ModelError(f"{path}: empty")
    if head.lstrip()[:1] == b"<":
        raise ModelError(f"{path}: a web page: the download did not give the file itself")
    if head.startswith(b"version https:/"):
        raise ModelError(f"{path}: a Git LFS pointer: fetch the file itself with git lfs pull")
    try:
        names_used = globals_of(file)
    except ValueError:
        names_used = []
    _refuse_code(names_used, path)
    raise ModelError(
        f"{path}: neither a safetensors file nor one that torch.save wrote: {PAGE} says what can "
        "be loaded"
    )
