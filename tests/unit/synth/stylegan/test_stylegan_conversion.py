"""The script that turns NVIDIA's pickles into safetensors: names and shapes."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mesoscope.synth.stylegan.loading import load_generator

SCRIPT = Path(__file__).parents[4] / "docs/how-to/convert_network_pkl.py"

# A network of 8 × 8 pixels with 4 and 3 channels, 6 numbers a style: NVIDIA's names beside ours.
NAMES = {
    "mapping.w_avg": "w_mean",
    "mapping.fc0.weight": "mapping.layers.0.weight", "mapping.fc0.bias": "mapping.layers.0.bias",
    "mapping.fc1.weight": "mapping.layers.1.weight", "mapping.fc1.bias": "mapping.layers.1.bias",
    "synthesis.b4.const": "synthesis.constant",
    "synthesis.b4.conv1.weight": "synthesis.blocks.0.conv.conv.weight",
    "synthesis.b4.conv1.affine.weight": "synthesis.blocks.0.conv.conv.modulation.weight",
    "synthesis.b4.conv1.affine.bias": "synthesis.blocks.0.conv.conv.modulation.bias",
    "synthesis.b4.conv1.noise_const": "noise_0",
    "synthesis.b4.conv1.noise_strength": "synthesis.blocks.0.conv.noise",
    "synthesis.b4.conv1.bias": "synthesis.blocks.0.conv.bias",
    "synthesis.b4.torgb.weight": "synthesis.blocks.0.to_rgb.conv.weight",
    "synthesis.b4.torgb.affine.weight": "synthesis.blocks.0.to_rgb.conv.modulation.weight",
    "synthesis.b4.torgb.affine.bias": "synthesis.blocks.0.to_rgb.conv.modulation.bias",
    "synthesis.b4.torgb.bias": "synthesis.blocks.0.to_rgb.bias",
    "synthesis.b8.conv0.weight": "synthesis.blocks.1.up.conv.weight",
    "synthesis.b8.conv0.affine.weight": "synthesis.blocks.1.up.conv.modulation.weight",
    "synthesis.b8.conv0.affine.bias": "synthesis.blocks.1.up.conv.modulation.bias",
    "synthesis.b8.conv0.noise_const": "noise_1",
    "synthesis.b8.conv0.noise_strength": "synthesis.blocks.1.up.noise",
    "synthesis.b8.conv0.bias": "synthesis.blocks.1.up.bias",
    "synthesis.b8.conv1.weight": "synthesis.blocks.1.conv.conv.weight",
    "synthesis.b8.conv1.affine.weight": "synthesis.blocks.1.conv.conv.modulation.weight",
    "synthesis.b8.conv1.affine.bias": "synthesis.blocks.1.conv.conv.modulation.bias",
    "synthesis.b8.conv1.noise_const": "noise_2",
    "synthesis.b8.conv1.noise_strength": "synthesis.blocks.1.conv.noise",
    "synthesis.b8.conv1.bias": "synthesis.blocks.1.conv.bias",
    "synthesis.b8.torgb.weight": "synthesis.blocks.1.to_rgb.conv.weight",
    "synthesis.b8.torgb.affine.weight": "synthesis.blocks.1.to_rgb.conv.modulation.weight",
    "synthesis.b8.torgb.affine.bias": "synthesis.blocks.1.to_rgb.conv.modulation.bias",
    "synthesis.b8.torgb.bias": "synthesis.blocks.1.to_rgb.bias",
}  # fmt: skip


@pytest.fixture
def nvidia(small_generator):
    """The same weights in NVIDIA's layout."""
    generator = small_generator(mapping_layers=2)
    state = generator.state_dict()
    assert set(NAMES.values()) == set(state)
    held = {theirs: state[ours] for theirs, ours in NAMES.items()}
    for name, value in held.items():
        if name.endswith("noise_const"):
            held[name] = value[0, 0]
    held["synthesis.b8.resample_filter"] = torch.ones(4, 4)
    return generator, held


def test_every_tensor_finds_its_place(nvidia, tmp_path):
    from safetensors.torch import save_file

    generator, held = nvidia
    path = tmp_path / "faces.safetensors"
    save_file(runpy.run_path(str(SCRIPT))["renamed"](held), path)
    again = load_generator(path)
    before, after = generator.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


def test_networks_of_another_kind_are_refused(nvidia):
    renamed = runpy.run_path(str(SCRIPT))["renamed"]
    for name in ("mapping.embed.weight", "synthesis.b8.skip.weight"):
        with pytest.raises(SystemExit, match="is not known"):
            renamed({name: torch.zeros(3)})


def test_it_runs_in_nvidias_folder(nvidia, tmp_path):
    """As documented, with a stand-in for NVIDIA's module that loads the pickle."""
    _, held = nvidia
    (tmp_path / "legacy.py").write_text(
        "import torch\n"
        "class Network(dict):\n"
        "    state_dict = lambda self: self\n"
        "def load_network_pkl(file):\n"
        "    return {'G_ema': Network(torch.load(file, weights_only=True))}\n"
    )
    torch.save(held, tmp_path / "network.pkl")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "network.pkl", "faces.safetensors"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert load_generator(tmp_path / "faces.safetensors").config.size == 8
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "usage" in done.stderr
