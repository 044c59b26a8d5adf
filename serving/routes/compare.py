"""POST /v1/compare: one question, several variants, their answers side by side."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.answers import Answer, Asked, ask_body
from serving.compare import Event, comparable, compare
from serving.engine import Json
from serving.flow import Services
from serving.problems import error_body
from serving.routes.common import EventStream, JsonResponse, ServicesNow, get_identity, principals_of, unless_gone
from serving.schemas import CompareRequest
from serving.sse import DONE, write_event
from serving.targets import Target, check_domain, make_target
from tandem.errors import TandemError, UserError

router = APIRouter()


@router.post("/v1/compare")
async def compare_variants(request: Request, body: CompareRequest, services: ServicesNow) -> Response:
    """Ask several variants at once. One that cannot answer has an `error` in its place; only if none can, the first
    error is the response. With `stream`, server-sent events that name their variant."""
    targets = await read_targets(body, services)
    if not body.question.strip():
        raise UserError("The question is empty.", param="question")
    asked = Asked(
        id=request.state.request_id,
        target=targets[0],
        question=body.question,
        owner=body.user or get_identity(request).owner,
        search=body.search(),
        principals=principals_of(request, services, body.user),
        stream=body.stream,
    )
    events = compare(services, asked, targets)
    if body.stream:
        return EventStream(stream(asked.id, targets, events))
    async with aclosing(events):
        return JsonResponse({"id": asked.id, "answers": await unless_gone(request, collect(targets, events))})


async def read_targets(body: CompareRequest, services: Services) -> list[Target]:
    """What to ask; UserError for a variant that is named twice."""
    check_domain(body.domain, services.config)
    if body.variants is None:
        return await comparable(services, body.domain)
    if len(set(body.variants)) < len(body.variants):
        raise UserError("Each of `variants` can be named once.", param="variants")
    return [make_target(body.domain, variant, None, services.config) for variant in body.variants]


async def collect(targets: Sequence[Target], events: AsyncGenerator[Event, None]) -> list[Json]:
    """The answers in the order they were asked for; raises the first error when there is no answer."""
    ends: dict[int, Answer | TandemError] = {}
    async for position, event in events:
        if isinstance(event, Answer | TandemError):
            ends[position] = event
    inner = [ends[position] for position in range(len(targets))]
    errors = [end for end in inner if isinstance(end, TandemError)]
    if len(errors) == len(inner):
        raise errors[0]
    return [end_body(target, end) for target, end in zip(targets, inner, strict=True)]


async def stream(
    request_id: str, targets: Sequence[Target], events: AsyncGenerator[Event, None]
) -> AsyncGenerator[bytes, None]:
    """`{"id", "variants"}`, then `{"variant", "delta"}` as text comes, `{"variant", "answer"}` or `{…, "error"}` at
    each one's end, and `[DONE]`."""
    names = [name_of(target) for target in targets]
    yield write_event({"id": request_id, "variants": names})
    async with aclosing(events):
        async for position, event in events:
            if isinstance(event, Answer):
                yield write_event({"variant": names[position], "answer": end_body(targets[position], event)})
            elif isinstance(event, TandemError):
                yield write_event(end_body(targets[position], event))
            elif text := text_of(event):
                yield write_event({"variant": names[position], "delta": text})
    yield DONE


def end_body(target: Target, end: Answer | TandemError) -> Json:
    """How one variant ended."""
    named = {"variant": name_of(target)}
    return {**(error_body(end) if isinstance(end, TandemError) else ask_body(end)), **named}


def name_of(target: Target) -> str:
    """A variant as it was asked for, with its version."""
    return target.name.partition("/")[2]


def text_of(chunk: Json) -> str:
    """The text that a chunk of the engine's adds."""
    return "".join(choice["delta"].get("content") or "" for choice in chunk.get("choices", []))
