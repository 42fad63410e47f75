"""The face finders that may be asked for: their one list."""

from __future__ import annotations

from typing import Final, Literal, get_args

Finder = Literal["auto", "mtcnn", "yunet", "whole"]  # whoever answered is never auto

FINDERS: Final[tuple[Finder, ...]] = get_args(Finder)
WITH_A_MODEL: Final[tuple[Finder, ...]] = ("yunet",)  # that need a model file of the user's
