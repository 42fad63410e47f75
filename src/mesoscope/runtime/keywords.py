"""Keywords that are a dataclass's fields, so that each of them is named in one place."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
Subject = TypeVar("Subject")
Fields = TypeVar("Fields")
R = TypeVar("R")


def takes_fields_of(
    kind: Callable[P, Fields],
) -> Callable[[Callable[[Subject, Fields], R]], Callable[Concatenate[Subject, P], R]]:
    """Make a function of one value and a dataclass take that dataclass's fields as keywords.

    Type checkers and ``help`` see the fields as the function's own arguments.

    Args:
        kind: The dataclass, which is made from what the function is called with.
    """

    def decorate(
        function: Callable[[Subject, Fields], R],
    ) -> Callable[Concatenate[Subject, P], R]:
        @functools.wraps(function)
        def call(subject: Subject, /, *args: P.args, **fields: P.kwargs) -> R:
            return function(subject, kind(*args, **fields))

        own, of_fields = inspect.signature(function), inspect.signature(kind)
        subject, _ = own.parameters.values()
        shown = own.replace(parameters=[subject, *of_fields.parameters.values()])
        call.__signature__ = shown  # type: ignore[attr-defined]
        return call

    return decorate
