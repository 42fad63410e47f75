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

        show_fields_of(kind, call)
        return call

    return decorate


def show_fields_of(kind: Callable[..., object], function: Callable[..., object]) -> None:
    """Have ``help`` show a dataclass's fields behind the first argument of a function.

    Args:
        kind: The dataclass.
        function: Its other arguments are no longer shown.
    """
    own, of_fields = inspect.signature(function), inspect.signature(kind)
    subject = next(iter(own.parameters.values()))
    shown = own.replace(parameters=[subject, *of_fields.parameters.values()])
    function.__signature__ = shown  # type: ignore[attr-defined]
