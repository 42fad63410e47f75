"""Names of the face finders."""

from __future__ import annotations

from typing import Final, Literal, get_args

Finder = Literal["auto", "mtcnn", "yunet", "whole"]  # a verdict never names auto

FINDERS: Final[tuple[Finder, ...]] = get_args(Finder)
WITH_A_MODEL: Final[tuple[Finder, ...]] = ("yunet",)  # finders that need a model file from the user
