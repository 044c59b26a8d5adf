"""POST /v1/ask: question in; answer, citations, versions and timings out."""

from contextlib import aclosing

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.answers import Asked, ask_body
from serving.flow import answer, final_answer
from serving.routes.common import JsonResponse, ServicesNow, get_identity, principals_of, unless_gone
from serving.schemas import AskRequest
from serving.targets import make_target
from tandem.errors import UserError

router = APIRouter()


@router.post("/v1/ask")
async def ask(request: Request, body: AskRequest, services: ServicesNow) -> Response:
    """Answer one question from a domain."""
    target = make_target(body.domain, body.variant, body.version, services.config)
    if not body.question.strip():
        raise UserError("The question is empty.", param="question")
    asked = Asked(
        id=request.state.request_id,
        target=target,
        question=body.question,
        owner=body.user or get_identity(request).owner,
        search=body.search(),
        principals=principals_of(request, services, body.user),
    )
    async with aclosing(answer(services, asked)) as events:
        return JsonResponse(ask_body(await unless_gone(request, final_answer(events))))
