"""Names of the architectures in recipes and cards; importing them does not need torch.

:data:`mesoscope.training.nets.NETWORKS` builds them and has exactly these keys.
"""

from __future__ import annotations

from typing import Final

OF_AUTHORS: Final = {
    "meso4": "Meso-4",
    "mesoinception4": "MesoInception-4",
}  # published with Keras weights
ARCHITECTURES: Final = (*OF_AUTHORS, "meso4_ira")
