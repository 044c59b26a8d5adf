"""Probes and numbers: /healthz, /readyz, /metrics. They need no key and tell nothing of contents."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from serving.routes.common import JsonResponse, ServicesNow

router = APIRouter()


@router.get("/healthz")
async def healthz() -> Response:
    """Whether this process answers at all."""
    return JsonResponse({"status": "ok"})


@router.get("/readyz")
async def readyz(services: ServicesNow) -> Response:
    """200 when the engine answers and every index is open; else 503 with what is missing."""
    engine_up = await services.engine.is_healthy()
    await services.indexes.snapshots()  # notices what was replaced on disk, and tries again what could not be opened
    indexes = services.indexes.states()
    ready = engine_up and all(state == "open" for state in indexes.values())
    body = {"ready": ready, "engine": "up" if engine_up else "down", "indexes": indexes}
    return JsonResponse(body, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)


@router.get("/metrics")
async def metrics(request: Request, services: ServicesNow) -> Response:
    """Prometheus' text format."""
    services.metrics.engine_up.set(await services.engine.is_healthy())
    services.metrics.engine_restarts.set(request.app.state.engine_restarts())
    body = services.metrics.expose(await services.indexes.snapshots())
    return Response(body, media_type=CONTENT_TYPE_LATEST)
