"""Files: what is read, and what is refused without a line of it being run."""

import argparse
import collections
import io
import pickle
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mesoscope.errors import ModelError, ModelMissing, OutputError
from mesoscope.synth.stylegan.loading import load_generator, save_generator
from mesoscope.synth.stylegan.pickles import globals_of, unknown_globals
from public_checkpoints import to_public


def checkpoint(generator, **more):
    return {"g_ema": to_public(generator), "latent_avg": generator.w_mean, **more}


def same(one, two):
    assert one.state_dict().keys() == two.state_dict().keys()
    assert all(torch.equal(v, two.state_dict()[k]) for k, v in one.state_dict().items())


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "old"])
def test_public_checkpoints_of_both_torch_formats(small_generator, tmp_path, new_format):
    path, generator = tmp_path / "faces.pt", small_generator()
    held = checkpoint(generator, args=argparse.Namespace(size=8, path="x"), d={}, ada_aug_p=0.3)
    torch.save(held, path, _use_new_zipfile_serialization=new_format)
    again = load_generator(path)
    same(again, generator)
    assert not again.training


def test_ordered_dictionary_of_half_precision(small_generator, tmp_path):
    path, generator = tmp_path / "faces.pt", small_generator()
    halves = collections.OrderedDict((k, v.half()) for k, v in to_public(generator).items())
    torch.save({"g_ema": halves, "latent_avg": generator.w_mean}, path)
    weight = load_generator(path).state_dict()["synthesis.constant"]
    assert weight.dtype == torch.float32
    torch.testing.assert_close(weight, generator.synthesis.constant.data, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("prefix", ["", "g_ema."])
def test_public_layout_as_safetensors(small_generator, tmp_path, prefix):
    path, generator = tmp_path / "faces.safetensors", small_generator()
    tensors = {prefix + name: value for name, value in to_public(generator).items()}
    save_file(tensors | {"latent_avg": generator.w_mean}, path)
    same(load_generator(path), generator)


@pytest.mark.parametrize("architecture", ["stylegan", "stylegan2"])
def test_own_files(small_generator, tmp_path, architecture):
    path, generator = tmp_path / "mine.safetensors", small_generator(architecture)
    save_generator(path, generator, {"reals": 12})
    again = load_generator(path)
    assert again.config == generator.config
    same(again, generator)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.safetensors"]
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode  # others may read it, too


@pytest.mark.parametrize("first", [0x80, 0x50, 0x38])
def test_safetensors_whose_length_looks_like_another_kind(small_generator, tmp_path, first):
    """The first byte of the file is a part of its header's length: any byte."""
    path, generator = tmp_path / "mine.safetensors", small_generator()
    for padding in range(0, 4096, 8):
        save_generator(path, generator, {"reals": "x" * padding})
        if path.read_bytes()[0] == first:
            break
    assert path.read_bytes()[0] == first
    same(load_generator(path), generator)


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def run_by_pickle(path):
    with path.open("rb") as file:
        pickle.load(file)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_malicious_pickle_is_refused_and_never_run(tmp_path, protocol):
    path, trace = tmp_path / "network.pkl", tmp_path / "trace"
    path.write_bytes(pickle.dumps({"g_ema": Payload(trace)}, protocol=protocol))
    with pytest.raises(ModelError, match=r"pickle that calls .*would run code.*how-to") as error:
        load_generator(path)
    assert "\n" not in str(error.value)
    assert not trace.exists()
    run_by_pickle(path)  # it would have been run by the usual way of loading
    assert trace.exists()


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "old"])
def test_malicious_torch_file_is_refused_and_never_run(tmp_path, small_generator, new_format):
    path, trace = tmp_path / "faces.pt", tmp_path / "trace"
    held = checkpoint(small_generator(), args=Payload(trace))
    torch.save(held, path, _use_new_zipfile_serialization=new_format)
    with pytest.raises(ModelError, match=r"a pickle that calls .*would run code"):
        load_generator(path)
    assert not trace.exists()


def test_nvidia_pickle_is_named(tmp_path, monkeypatch):
    module = types.ModuleType("torch_utils.persistence")

    class Network:
        pass

    Network.__module__, Network.__qualname__ = module.__name__, "Network"
    module.Network = Network
    monkeypatch.setitem(sys.modules, "torch_utils", types.ModuleType("torch_utils"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    path = tmp_path / "ffhq.pkl"
    path.write_bytes(pickle.dumps({"G_ema": Network()}))
    says = r"an NVIDIA pickle that calls torch_utils\.persistence\.Network"
    with pytest.raises(ModelError, match=says):
        load_generator(path)


def test_names_hidden_in_the_memo_are_found():
    data = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93\x8c\x02ls\x85R."
    assert globals_of(io.BytesIO(data)) == ["os system"]
    assert unknown_globals(["os system", "torch FloatStorage"]) == ["os.system"]


def test_computed_names_count_as_foreign():
    data = b"\x80\x04]0\x8c\x02os\x940(\x8c\x06systemt0h\x00h\x00\x93."
    assert unknown_globals(globals_of(io.BytesIO(data))) != []
    assert globals_of(io.BytesIO(b"\x80\x02\x82\x01.")) == ["?"]  # by number, from a registry


def test_torchscript_is_refused(tmp_path):
    path = tmp_path / "net.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", pickle.dumps({}))
        archive.writestr("net/code/__torch__.py", "raise SystemExit")
    with pytest.raises(ModelError, match="TorchScript"):
        load_generator(path)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"PK\x03\x04 and no more", "damaged"),
        (b"\x80\x04 cut off", "cannot be parsed"),
        (b"\x89PNG\r\n\x1a\n0000000000", "neither a safetensors file nor"),
        (pickle.dumps({"g_ema": 1}), "not one that torch.save wrote"),
        (b"\x08\x00\x00\x00\x00\x00\x00\x00{not json", "no safetensors"),
        (b"\xff\x00\x00\x00\x00\x00\x00\x00{cut off", "neither a safetensors file nor"),
    ],
)
def test_other_files(tmp_path, data, says):
    path = tmp_path / "faces.pt"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=says) as error:
        load_generator(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_other_contents(tmp_path, small_generator):
    path = tmp_path / "faces.pt"
    for held, says in [
        ({"g": {}, "d": {}}, "no g_ema .* but g, d"),
        ({"g_ema": {"input.input": 3}}, "no g_ema with"),
        ([1, 2], "has a list"),
        ({"g_ema": {"a.weight": torch.zeros(2)}}, "input.input missing"),
    ]:
        torch.save(held, path)
        with pytest.raises(ModelError, match=says):
            load_generator(path)
    with pytest.raises(ModelMissing, match="no such file"):
        load_generator(tmp_path / "none.pt")
    with pytest.raises(ModelMissing, match="no such file"):
        load_generator(tmp_path)


def test_half_a_file(tmp_path, small_generator):
    for name, write in (
        ("own.safetensors", lambda p: save_generator(p, small_generator(), {})),
        ("faces.pt", lambda p: torch.save(checkpoint(small_generator()), p)),
        (
            "old.pt",
            lambda p: torch.save(
                checkpoint(small_generator()), p, _use_new_zipfile_serialization=False
            ),
        ),
    ):
        path = tmp_path / name
        write(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(ModelError, match=name):
            load_generator(path)


def test_own_file_that_does_not_fit_itself(tmp_path, small_generator):
    path, generator = tmp_path / "mine.safetensors", small_generator()
    tensors = dict(generator.state_dict())
    save_generator(path, generator, {})
    for tensors_, described, says in [
        (tensors, '{"format": 1, "config": {"size": 7}}', "sizes cannot be read"),
        (tensors, '{"format": 1}', "sizes cannot be read"),
        (tensors, "no JSON", "sizes cannot be read"),
        (tensors, '{"format": 1, "config": {"size": 8, "style_dim": 6}}', "the file is damaged"),
        (tensors, '{"format": 9}', "a generator of format 9, and this version reads 1"),
    ]:
        save_file(tensors_, path, metadata={"mesoscope.generator": described})
        with pytest.raises(ModelError, match=says):
            load_generator(path)
    generator.w_mean[0] = np.inf
    save_generator(path, generator, {})
    with pytest.raises(ModelError, match="training diverged"):
        load_generator(path)


def test_file_that_cannot_be_written(tmp_path, small_generator):
    with pytest.raises(OutputError, match="cannot be written"):
        save_generator(tmp_path / "none/mine.safetensors", small_generator(), {})
