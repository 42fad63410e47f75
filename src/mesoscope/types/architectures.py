"""The architectures that recipes and cards name: their one list, known without torch.

What builds them is :data:`mesoscope.training.nets.NETWORKS`, which has these keys and no others.
"""

from __future__ import annotations

from typing import Final

OF_AUTHORS: Final = {"meso4": "Meso-4", "mesoinception4": "MesoInception-4"}  # with Keras weights
ARCHITECTURES: Final = (*OF_AUTHORS, "meso4_ira")
