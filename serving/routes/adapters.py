"""The adapters of a domain over HTTP: list them, swap one in, roll back."""

from types import EllipsisType

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from serving.adapter_views import listing
from serving.engine import Json
from serving.routes.common import JsonResponse, ServicesNow, require_admin
from serving.schemas import RollbackRequest, SwapRequest
from serving.swaps import Swap, rollback, swap
from serving.targets import check_domain, check_one_task

router = APIRouter(prefix="/v1/domains/{domain}/adapters")


@router.get("")
async def list_adapters(domain: str, services: ServicesNow) -> Response:
    """The domain's adapters, oldest first, and what `finetuned` and `hybrid` point to."""
    pointers = await services.adapters.pointers(domain)
    return JsonResponse(listing(await services.adapters.published(domain), pointers))


@router.post("/swap", dependencies=[Depends(require_admin)])
async def swap_adapter(domain: str, body: SwapRequest, services: ServicesNow) -> Response:
    """Let a version answer for a tuned variant; 409 `stale_pointer` when `expected` is not what is live."""
    check_one_task(check_domain(domain, services.config), services.config)
    done = await swap(services.adapters, domain, body.variant, body.version, _expected(body), body.force)
    return JsonResponse(_swap_body(done))


@router.post("/rollback", dependencies=[Depends(require_admin)])
async def roll_back(domain: str, body: RollbackRequest, services: ServicesNow) -> Response:
    """Let the version before the last swap answer again."""
    check_one_task(check_domain(domain, services.config), services.config)
    return JsonResponse(_swap_body(await rollback(services.adapters, domain, body.variant, _expected(body))))


def _expected(body: RollbackRequest) -> str | EllipsisType | None:
    """`expected` as it was sent; null (nothing may be live) is not the same as leaving it out."""
    return body.expected if "expected" in body.model_fields_set else ...


def _swap_body(done: Swap) -> Json:
    pointer = done.pointer
    parity = done.parity.to_json() if done.parity else None
    return {"variant": pointer.variant, "version": pointer.version, "previous": pointer.previous, "parity": parity}
