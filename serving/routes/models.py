"""GET /v1/models: every domain and variant, with what stands behind it."""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.engine import Json
from serving.routes.common import JsonResponse, ServicesNow
from serving.targets import Target, no_router, parse_model
from tandem.adapters import Adapter
from tandem.errors import TandemError
from tandem.names import base_name
from tandem.variants import VARIANTS

router = APIRouter()


@router.get("/v1/models")
async def list_models(request: Request, services: ServicesNow) -> Response:
    """All models; `tandem.answers` says whether one answers now, and `tandem.reason` why not."""
    snapshots = await services.indexes.snapshots()
    # A domain made of several tasks is asked under the names of these.
    answering = [name for name, domain in services.config.domains.items() if domain.multi_task is None]
    targets = [Target(domain, variant) for domain in answering for variant in VARIANTS]
    data = [await _describe(request, services, target, snapshots) for target in targets]
    return JsonResponse({"object": "list", "data": data})


@router.get("/v1/models/{name:path}")
async def show_model(request: Request, name: str, services: ServicesNow) -> Response:
    """One model."""
    target = parse_model(name, services.config)
    return JsonResponse(await _describe(request, services, target, await services.indexes.snapshots()))


async def _describe(request: Request, services: ServicesNow, target: Target, snapshots: Mapping[str, int]) -> Json:
    adapter, problem = await _stands_behind(services, target)
    behind = {
        "domain": target.domain,
        "variant": target.variant,
        "base": base_name(services.config.base_model),
        "adapter": adapter.version if adapter else None,
        "kind": adapter.card.kind if adapter else None,
        "snapshot": snapshots.get(target.domain) if target.retrieves else None,
        "answers": problem is None,
        "reason": problem.message if problem else None,
    }
    created = request.app.state.started
    return {"id": target.name, "object": "model", "created": created, "owned_by": "tandem", "tandem": behind}


async def _stands_behind(services: ServicesNow, target: Target) -> tuple[Adapter | None, TandemError | None]:
    """The adapter of a variant, and why it cannot answer."""
    if target.variant == "auto":
        return None, no_router(target)
    try:
        adapter = await services.adapters.resolve(target)
        if target.retrieves:
            await services.indexes.require(target.domain)
        return adapter, None
    except TandemError as error:
        return None, error
