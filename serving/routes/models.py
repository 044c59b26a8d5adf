"""GET /v1/models: every domain and variant, with what stands behind it."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.engine import Json
from serving.flow import base_name
from serving.routes.common import JsonResponse, ServicesNow
from serving.targets import Target, parse_model, why_not_answerable
from tandem.variants import VARIANTS

router = APIRouter()


@router.get("/v1/models")
async def list_models(request: Request, services: ServicesNow) -> Response:
    """All models; `tandem.answers` says whether one answers now, and `tandem.reason` why not."""
    snapshots = await services.indexes.snapshots()
    targets = [Target(domain, variant) for domain in services.config.domains for variant in VARIANTS]
    data = [_describe(request, services, target, snapshots.get(target.domain)) for target in targets]
    return JsonResponse({"object": "list", "data": data})


@router.get("/v1/models/{name:path}")
async def show_model(request: Request, name: str, services: ServicesNow) -> Response:
    """One model."""
    target = parse_model(name, services.config)
    snapshots = await services.indexes.snapshots()
    return JsonResponse(_describe(request, services, target, snapshots.get(target.domain)))


def _describe(request: Request, services: ServicesNow, target: Target, snapshot: int | None) -> Json:
    reason = why_not_answerable(target)
    behind = {
        "domain": target.domain,
        "variant": target.variant,
        "base": base_name(services.config.base_model),
        "adapter": None,
        "snapshot": snapshot if target.retrieves else None,
        "answers": reason is None,
        "reason": reason[1] if reason else None,
    }
    created = request.app.state.started
    return {"id": target.name, "object": "model", "created": created, "owned_by": "tandem", "tandem": behind}
