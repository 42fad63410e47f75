"""Generators from files, without ever running code that lies in a file; and into files."""

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
from mesoscope.files.whole import atomic_path
from mesoscope.synth.stylegan.networks import Generator, GeneratorConfig
from mesoscope.synth.stylegan.pickles import foreign, globals_of
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
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # the first of the five pickles of torch's old format
_TORCH_PICKLES = 5
_PICKLE_BYTES_MAX = 64 << 20  # of the one inside a zip: checkpoints have some hundred kilobytes
_NVIDIA = ("dnnlib", "torch_utils", "training.")
_CONVERT = f"convert it in a separate, trusted place, as {PAGE} shows"


def load_generator(path: Path) -> Generator:
    """Read a generator: our own file, or a StyleGAN2 in the public layout.

    What the file is, is told by its bytes. Tensors are read as tensors: by safetensors, or by
    torch's loader that knows no other objects, and only once the file's instructions were seen to
    ask for none. No code from the file runs, whatever is in it.

    Args:
        path: ``.safetensors``, or ``.pt`` with ``g_ema`` and, maybe, ``latent_avg``.

    Returns:
        The generator, on the CPU, in evaluation mode.

    Raises:
        ModelMissing: Nothing lies there.
        ModelError: A file that holds code (NVIDIA's ``.pkl``, a whole module saved by torch), that
            is none of these kinds, is damaged, or whose tensors are not a StyleGAN2's.
    """
    if not path.is_file():
        raise ModelMissing(f"{path}: no such file: give a .safetensors or .pt file of a generator")
    try:
        with path.open("rb") as file:
            head = file.read(16)
            file.seek(0)
            # Before all else: a header's length may begin with the very byte that pickles have.
            if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
                return _of_safetensors(path)
            if head[:4] == _ZIP:
                return _of_checkpoint(_torch_zip(file, path), path)
            if head[:1] == _PICKLE:
                return _of_checkpoint(_torch_old(file, path), path)
            _refuse_unknown(head, file, path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {cause(error)}") from error


def save_generator(path: Path, generator: Generator, about: Mapping[str, Json]) -> None:
    """Write a generator so that a kill at any moment leaves the old file or the new one.

    Args:
        path: ``NAME.safetensors``.
        generator: Its tensors are written as they are, on whatever device they lie.
        about: Where it comes from; kept in the file, ready for JSON.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    described = {
        "format": VERSIONS["generator"][-1],
        "config": asdict(generator.config),
        "about": dict(about),
    }
    # Under one key: several are written in no fixed order, and one generator is one file.
    metadata = {_KEY: json.dumps(described)}
    tensors = {k: v.detach().cpu().contiguous() for k, v in generator.state_dict().items()}
    write_tensors(path, tensors, metadata)


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file in one move.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    try:
        with atomic_path(path) as fresh:  # not by save_file, whose files only their owner may read
            fresh.write_bytes(serialise(tensors, metadata))
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path}: cannot be written: {cause(error)}") from error


def _of_safetensors(path: Path) -> Generator:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
    except SafetensorError as error:
        raise ModelError(f"{path}: damaged, or no safetensors file: {error}") from error
    if _KEY in metadata:
        return _own(tensors, metadata[_KEY], path)
    prefix = f"{_AVERAGED}."
    if any(name.startswith(prefix) for name in tensors):
        mean = tensors.get(MEAN)
        held = {n[len(prefix) :]: v for n, v in tensors.items() if n.startswith(prefix)}
    else:
        mean = tensors.pop(MEAN, None)
        held = tensors
    return from_public(held, mean, str(path))


def _own(tensors: dict[str, Tensor], metadata: str, path: Path) -> Generator:
    try:
        described = json.loads(metadata)
        refuse_version(
            "generator", described["format"], ModelError, where=f"{path}: a generator of format"
        )
        generator = Generator(GeneratorConfig(**described["config"]))
    except (KeyError, TypeError, ValueError, OptionError) as error:
        raise ModelError(f"{path}: its sizes cannot be read: {error}") from error
    wanted = {name: tuple(value.shape) for name, value in generator.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in tensors.items()}
    for name in sorted(wanted.keys() | given.keys()):
        if wanted.get(name) != given.get(name):
            raise ModelError(
                f"{path}: {name} has shape {given.get(name)}, and its sizes ask for "
                f"{wanted.get(name)}: the file is damaged"
            )
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise ModelError(f"{path}: holds infinities or what is no number: training diverged")
    generator.load_state_dict(tensors)
    return generator.eval()


def _torch_zip(file: BinaryIO, path: Path) -> object:
    """What ``torch.save`` of 2020 and later wrote, once its pickle was seen to be harmless."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            pickled = [n for n in names if n.endswith("/data.pkl")]
            if any("/code/" in n or n.endswith("/constants.pkl") for n in names):
                raise ModelError(
                    f"{path}: a TorchScript program, which holds code, and it is refused: "
                    "save the state_dict of its generator as safetensors"
                )
            if len(pickled) != 1:
                raise ModelError(f"{path}: a zip, but not one that torch.save wrote")
            if archive.getinfo(pickled[0]).file_size > _PICKLE_BYTES_MAX:
                raise ModelError(f"{path}: its pickle is larger than any checkpoint's: refused")
            with archive.open(pickled[0]) as inner:
                called = globals_of(inner)  # type: ignore[arg-type]
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ModelError(f"{path}: damaged: {error}") from error
    _refuse_code(called, path)
    return _load_plain(path)


def _torch_old(file: BinaryIO, path: Path) -> object:
    """What ``torch.save`` wrote before, once its pickles were seen to be harmless."""
    try:
        first = [(op.name, argument) for op, argument, _ in pickletools.genops(file)]
        is_torch = any(argument == _TORCH_MAGIC for name, argument in first if "LONG" in name)
        file.seek(0)
        called = globals_of(file, pickles=_TORCH_PICKLES if is_torch else 1)
    except (ValueError, AssertionError, IndexError, KeyError, OverflowError) as error:
        raise ModelError(
            f"{path}: begins as a pickle and cannot be followed: it is damaged, or made to "
            f"mislead, and was not loaded: {error}"
        ) from error
    _refuse_code(called, path)
    if not is_torch:
        raise ModelError(
            f"{path}: a pickle, and not one that torch.save wrote: save its tensors as safetensors"
        )
    return _load_plain(path)


def _refuse_code(called: list[str], path: Path) -> None:
    names = foreign(called)
    if not names:
        return
    whose = "an NVIDIA pickle" if any(n.startswith(_NVIDIA) for n in names) else "a pickle"
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    raise ModelError(
        f"{path}: {whose} that calls {names[0]}{more}: loading it would run code that lies in the "
        f"file, so nothing of it was loaded: {_CONVERT}"
    )


def _load_plain(path: Path) -> object:
    try:
        # Options of the training script lie beside the weights: a bag of plain values.
        with torch.serialization.safe_globals([argparse.Namespace]):
            held: object = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # its unpickler raises whatever a bad file brings about
        cause = str(error).strip().partition("\n")[0]
        raise ModelError(f"{path}: torch cannot read its tensors: {cause}") from error
    return held


def _of_checkpoint(held: object, path: Path) -> Generator:
    if not isinstance(held, dict):
        raise ModelError(f"{path}: holds a {type(held).__name__}, and a dictionary is expected")
    mean = held.get(MEAN)
    tensors = held.get(_AVERAGED, held if "input.input" in held else None)
    if not isinstance(tensors, dict) or not all(isinstance(v, Tensor) for v in tensors.values()):
        names = ", ".join(map(str, list(held)[:5]))
        raise ModelError(
            f"{path}: no {_AVERAGED} with a generator's weights in it, but {names}: {PAGE} says "
            "what can be loaded"
        )
    tensors = {str(name): value for name, value in tensors.items() if name != MEAN}
    return from_public(tensors, mean if isinstance(mean, Tensor) else None, str(path))


def _refuse_unknown(head: bytes, file: BinaryIO, path: Path) -> NoReturn:
    """Name what else it may be: an old pickle without a header, a page that was downloaded."""
    if not head:
        raise ModelError(f"{path}: empty")
    if head.lstrip()[:1] == b"<":
        raise ModelError(f"{path}: a web page: the download did not give the file itself")
    if head.startswith(b"version https:/"):
        raise ModelError(f"{path}: a Git LFS pointer: fetch the file itself with git lfs pull")
    try:
        called = globals_of(file)
    except ValueError:
        called = []
    _refuse_code(called, path)
    raise ModelError(
        f"{path}: neither a safetensors file nor one that torch.save wrote: {PAGE} says what can "
        "be loaded"
    )
