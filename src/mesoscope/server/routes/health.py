"""The model, liveness, readiness, and metrics."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from mesoscope import __version__
from mesoscope.server.problems import Problem
from mesoscope.server.routes.dependencies import error_responses, json_response, service_of
from mesoscope.server.schemas import HealthShape, ModelShape

if TYPE_CHECKING:
    pass

router = APIRouter()


@router.get(
    "/v1/model",
    summary="The model",
    response_model=ModelShape,
    responses=error_responses(),
)
async def model(request: Request) -> Response:
    """Return the model's card, the thresholds, and the limits of the service."""
    service = service_of(request)
    settings = service.settings
    detector = service.checker.plain
    options = settings.options.deciding()
    del options["finder_model"]  # a path of this machine
    return json_response(
        {
            "id": detector.model_id,
            "version": __version__,
            "real_below": detector.thresholds.real_below,
            "fake_above": detector.thresholds.fake_above,
            "unfamiliar_above": detector.guard.unfamiliar_above if detector.guard else None,
            "card": json.loads(detector.card.to_json()),
            "options": options,
            "keep_days": settings.keep_days,
            "keep_results_days": settings.keep_results_days,
            "limits": dict(dataclasses.asdict(settings.limits)),
            "signs": settings.sign is not None,
        }
    )


@router.get("/healthz", summary="Liveness", response_model=HealthShape)
async def healthz() -> Response:
    """Return `ok` as long as the process runs."""
    return json_response({"status": "ok"})


@router.get(
    "/readyz",
    summary="Readiness",
    response_model=HealthShape,
    responses={503: error_responses()[503]},
)
async def readyz(request: Request) -> Response:
    """Check the database; not ready while the service is about to stop."""
    service = service_of(request)
    if service.stopping:
        raise Problem("service.stopping", "the service is about to stop")
    await run_in_threadpool(service.store.check_connection)
    return json_response({"status": "ready"})


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        **{status: error_responses()[status] for status in (401, 403, 429)},
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
    },
)
async def metrics(request: Request) -> Response:
    """Return counts since the start of the process; they contain no file names."""
    text = service_of(request).telemetry.text()
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
