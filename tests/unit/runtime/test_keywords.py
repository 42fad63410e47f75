"""A function that takes a dataclass's fields as keywords."""

import inspect
from dataclasses import dataclass

import pytest

from mesoscope.runtime.keywords import takes_fields_of


@dataclass(frozen=True)
class Size:
    width: int = 3
    height: int = 4


class Box:
    """A box."""

    @takes_fields_of(Size)
    def __init__(self, size):
        """Make one."""
        self.size = size


def test_fields_are_keywords():
    assert Box(5).size == Size(5, 4)
    assert Box(height=1).size == Size(3, 1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'depth'"):
        Box(depth=1)


def test_help_shows_the_fields():
    assert list(inspect.signature(Box).parameters) == ["width", "height"]
    assert Box.__init__.__doc__ == "Make one."
