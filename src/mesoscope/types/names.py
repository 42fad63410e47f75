"""Names of the face finders, and of the architectures in recipes and cards.

:data:`mesoscope.training.nets.NETWORKS` builds the architectures and has exactly these keys;
importing their names does not need torch.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

Finder = Literal["auto", "mtcnn", "yunet", "whole"]  # a verdict never names auto

FINDERS: Final[tuple[Finder, ...]] = get_args(Finder)
FINDERS_WITH_MODEL: Final[tuple[Finder, ...]] = (
    "yunet",
)  # finders that need a model file from the user

# Architectures that their authors published, with weights of Keras.
PUBLISHED: Final = {"meso4": "Meso-4", "mesoinception4": "MesoInception-4"}
ARCHITECTURES: Final = (*PUBLISHED, "meso4_ira")
