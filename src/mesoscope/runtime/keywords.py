"""Functions that take a dataclass's fields as keywords, so that each is defined in one place."""

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
    """Decorate a function of one value and a dataclass to take the dataclass's fields as keywords.

    Type checkers and ``help`` show the fields as arguments of the function.

    Args:
        kind: The dataclass; it is built from the arguments of each call.
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
    """Set a function's signature to its first argument and a dataclass's fields.

    Args:
        kind: The dataclass.
        function: The function; its other arguments are hidden from ``help``.
    """
    signature, fields = inspect.signature(function), inspect.signature(kind)
    subject = next(iter(signature.parameters.values()))
    signature = signature.replace(parameters=[subject, *fields.parameters.values()])
    function.__signature__ = signature  # type: ignore[attr-defined]
