"""Checkpoints: what comes back, what is refused, what stays when a write fails."""

import copy
import json
import pickle
import resource

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from mesoscope.errors import OutputError, RunError
from mesoscope.training.fit import checkpoint
from mesoscope.training.fit.checkpoint import TrainingState
from mesoscope.training.nets import build


@pytest.fixture(autouse=True)
def one_thread():
    """Tensors this small are slower on several, and the tests may share the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "last.safetensors"


@pytest.fixture
def state():
    return TrainingState(
        3, 2, 0.912345678901, [{"epoch": 1, "auc": 0.5, "by": {"été": 1}}], "r" * 64, "d" * 64
    )


def small_run(steps, net=None, optimiser=None, start=0):
    """A few steps of AdamW on random pictures; repeatable, with dropout and batch norm."""
    if net is None:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.2),
                            nn.Linear(4 * 36, 1))  # fmt: skip
        optimiser = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=1e-2)
    for step in range(start, start + steps):
        torch.manual_seed(step)
        loss = F.mse_loss(net(torch.rand(4, 3, 8, 8))[:, 0], torch.rand(4))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net, optimiser


def equal(one, two):
    assert one.keys() == two.keys()
    return all(torch.equal(one[key], two[key]) for key in one)


def test_tensors_and_state_come_back_as_they_were(path, state):
    tensors = {
        "a": torch.rand(2, 3), "b": torch.tensor(7), "c": torch.rand(2, 4, 6).transpose(0, 2),
        "d": torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last), "e": torch.zeros(0),
    }  # fmt: skip
    checkpoint.save(path, tensors, state)
    again, told = checkpoint.load(path)
    assert equal(again, tensors)
    assert told == state
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_network_comes_back_with_its_statistics(path):
    net = build("meso4")
    net(torch.rand(2, 3, 256, 256))  # moves the running means
    checkpoint.save(path, checkpoint.pack("net", checkpoint.plain(net)), TrainingState())
    other = build("meso4")
    other.load_state_dict(checkpoint.unpack("net", checkpoint.load(path)[0]))
    assert equal(other.state_dict(), net.state_dict())


def test_a_run_goes_on_as_if_it_had_not_stopped(path):
    whole, _ = small_run(8)
    net, optimiser = small_run(5)
    tensors = checkpoint.pack("net", checkpoint.plain(net))
    tensors |= checkpoint.pack("optimiser", checkpoint.optimiser_tensors(optimiser))
    checkpoint.save(path, tensors, TrainingState())

    tensors, _ = checkpoint.load(path)
    for with_optimiser in (True, False):
        fresh, other = small_run(0)
        fresh.load_state_dict(checkpoint.unpack("net", tensors))
        if with_optimiser:
            checkpoint.restore_optimiser(other, checkpoint.unpack("optimiser", tensors))
        small_run(3, fresh, other, start=5)
        assert equal(fresh.state_dict(), whole.state_dict()) == with_optimiser


def test_names_do_not_mix():
    tensors = checkpoint.pack("net", {"x": torch.ones(1)}) | checkpoint.pack(
        "network", {"x": torch.zeros(1)}
    )
    assert equal(checkpoint.unpack("net", tensors), {"x": torch.ones(1)})


def test_plain_is_a_copy():
    net = nn.Linear(2, 1)
    kept = checkpoint.plain(net)
    before = copy.deepcopy(kept)
    with torch.no_grad():
        net.weight.add_(1)
    assert equal(kept, before)
    assert not kept["weight"].requires_grad


# --- files that are none


def test_a_missing_checkpoint(path):
    with pytest.raises(RunError, match="no checkpoint there: start the run without `resume`"):
        checkpoint.load(path)


@pytest.mark.parametrize("keep", [0, 4, 20, 0.5, -1])
def test_a_truncated_checkpoint(path, state, keep):
    checkpoint.save(path, {"a": torch.rand(100)}, state)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(RunError, match="not a checkpoint of this version"):
        checkpoint.load(path)


def test_a_pickle_is_not_opened(path):
    class Trap:
        def __reduce__(self):
            return pytest.fail, ("the pickle was run",)

    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(RunError):
        checkpoint.load(path)
    torch.save({"a": torch.ones(1)}, path)
    with pytest.raises(RunError):
        checkpoint.load(path)


@pytest.mark.parametrize(
    "metadata", [None, {}, {"state": "{"}, {"state": "[]"}, {"state": '{"surprise": 1}'}]
)
def test_tensors_without_a_state_are_no_checkpoint(path, metadata):
    save_file({"a": torch.ones(1)}, path, metadata=metadata)
    with pytest.raises(RunError, match="not a checkpoint"):
        checkpoint.load(path)


def test_a_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(RunError):
        checkpoint.load(tmp_path)


# --- writing that fails


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), SafetensorError("I/O")]
)
def test_a_full_disk_leaves_the_old_checkpoint(path, state, failure, monkeypatch):
    checkpoint.save(path, {"a": torch.ones(1)}, state)

    def fail(tensors, target, metadata):
        target.write_bytes(b"half of it")
        raise failure

    monkeypatch.setattr(checkpoint, "save_file", fail)
    with pytest.raises(OutputError, match="the checkpoint cannot be written"):
        checkpoint.save(path, {"a": torch.zeros(1)}, TrainingState(9))
    assert checkpoint.load(path)[1] == state
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_write_that_the_system_cuts_short(path, state):
    checkpoint.save(path, {"a": torch.ones(1)}, state)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            checkpoint.save(path, {"a": torch.ones(10_000)}, TrainingState(9))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert checkpoint.load(path)[1] == state
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_missing_folder(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        checkpoint.save(tmp_path / "gone/last.safetensors", {"a": torch.ones(1)}, TrainingState())


def test_the_file_is_plain_safetensors(path, state):
    checkpoint.save(path, {"a": torch.ones(2)}, state)
    assert torch.equal(load_file(path)["a"], torch.ones(2))
    size = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + size])
    assert json.loads(header["__metadata__"]["state"]) == vars(state)
