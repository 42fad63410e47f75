"""The OpenAPI description of the service."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

if TYPE_CHECKING:
    from fastapi import FastAPI

_ABOUT = (
    "Tells whether faces in pictures and clips were forged. `p_fake` is the calibrated probability "
    'that a face is forged: higher = more fake. "No face" and "cannot tell" are answers.'
)


def openapi(app: FastAPI) -> dict[str, Any]:
    """The description, made once.

    Every refusal is problem JSON and nothing else, so FastAPI's own shape of errors is left out.
    """
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, description=_ABOUT, routes=app.routes
        )
        schemas = made["components"]["schemas"]
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for path, methods in made["paths"].items():
            for operation in methods.values():
                if path not in ("/healthz", "/readyz"):
                    operation["security"] = [{"key": []}, {}]
                for status, answer in operation["responses"].items():
                    if status.isdigit() and int(status) >= 400:
                        _only_problem(answer)
        app.openapi_schema = made
    return app.openapi_schema


def allowed(app: FastAPI, path: str) -> list[str]:
    """The methods that an address takes."""
    for template, methods in openapi(app)["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return sorted(name.upper() for name in methods)
    return ["GET", "HEAD"]  # the page and its files


def _only_problem(answer: dict[str, Any]) -> None:
    content = answer.setdefault("content", {})
    kept = content.get("application/problem+json", {})
    content.clear()
    content["application/problem+json"] = {
        **kept, "schema": {"$ref": "#/components/schemas/ProblemShape"},
    }  # fmt: skip
