"""Turn a StyleGAN2 pickle of NVIDIA's into a safetensors file.

Loading such a pickle runs code that lies in it. So run this where nothing can be lost: a container
or a machine of its own, without network, and only on a file from a source that you trust.

    git clone https://github.com/NVlabs/stylegan2-ada-pytorch
    cd stylegan2-ada-pytorch
    python /path/to/convert_network_pkl.py network.pkl faces.safetensors

It needs torch, safetensors and NVIDIA's repository as the current folder, which brings ``dnnlib``
and ``legacy``; ``legacy`` also reads the older pickles of the TensorFlow version.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of NVIDIA's ``G_ema`` by the public names, and shaped as they are there."""
    found = {}
    for name, value in state.items():
        if name.endswith("resample_filter"):
            continue  # [1, 3, 3, 1], always
        if name == "mapping.w_avg":
            found["latent_avg"] = value
        elif match := re.fullmatch(r"mapping\.fc(\d+)\.(weight|bias)", name):
            found[f"style.{int(match[1]) + 1}.{match[2]}"] = value
        elif match := re.fullmatch(r"synthesis\.b(\d+)\.(.+)", name):
            key, value = _of_block(int(match[1]), match[2], value)
            found[key] = value
        else:
            sys.exit(f"{name} is not known: conditional networks cannot be converted")
    return {name: value.detach().float().cpu().clone() for name, value in found.items()}


def _of_block(size: int, name: str, value: Tensor) -> tuple[str, Tensor]:
    step = size.bit_length() - 3  # 0 at 4 pixels, 1 at 8 …
    if name == "const":
        return "input.input", value[None]
    layer, _, part = name.partition(".")
    if layer == "torgb":
        at = f"to_rgbs.{step - 1}" if step else "to_rgb1"
        if part == "bias":
            return f"{at}.bias", value.reshape(1, 3, 1, 1)
    elif layer in ("conv0", "conv1"):
        number = 2 * step - 1 if layer == "conv1" else 2 * step - 2
        at = f"convs.{number}" if step else "conv1"
        if part == "bias":
            return f"{at}.activate.bias", value
        if part == "noise_strength":
            return f"{at}.noise.weight", value.reshape(1)
        if part == "noise_const":
            return f"noises.noise_{number + 1 if step else 0}", value[None, None]
    else:
        sys.exit(f"{name} is not known: only networks with the architecture skip can be converted")
    if part == "weight":
        return f"{at}.conv.weight", value[None]
    return f"{at}.conv.{part.replace('affine', 'modulation')}", value


def main() -> None:
    """Convert the file named first into the one named second."""
    if len(sys.argv) != 3:
        sys.exit("usage: python convert_network_pkl.py network.pkl faces.safetensors")
    import legacy  # NVIDIA's, from the current folder
    from safetensors.torch import save_file

    with Path(sys.argv[1]).open("rb") as file:
        network = legacy.load_network_pkl(file)["G_ema"]  # here its code runs
    save_file(renamed(network.state_dict()), sys.argv[2])


if __name__ == "__main__":
    sys.path.insert(0, ".")
    main()
