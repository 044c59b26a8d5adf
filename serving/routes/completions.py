"""POST /v1/completions: the prompt goes to the model as it is, so only for variants that read no passages."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.answers import Answer, Asked, Transcript
from serving.citations import CheckedAnswer
from serving.engine import COMPLETIONS, Json
from serving.flow import Services, answer_tokens, versions
from serving.problems import error_body
from serving.routes.chat import present
from serving.routes.common import EventStream, JsonResponse, ServicesNow, get_identity, unless_gone
from serving.schemas import CompletionRequest
from serving.sse import DONE, write_event
from serving.targets import check_answerable, parse_model
from tandem.errors import TandemError, UserError

router = APIRouter()


@router.post("/v1/completions")
async def completions(request: Request, body: CompletionRequest, services: ServicesNow) -> Response:
    """Continue a raw prompt."""
    target = parse_model(body.model, services.config)
    if target.retrieves:
        raise UserError(
            f"{target.name!r} puts passages into the prompt and has no raw completions; use /v1/chat/completions.",
            code="unsupported_variant",
            param="model",
        )
    if services.config.domains[target.domain].task in ("classification", "extraction"):
        raise UserError(
            f"The answers of {target.name!r} have a form that its task decides, and it has no raw completions; use "
            "/v1/chat/completions.",
            code="unsupported_variant",
            param="model",
        )
    asked = Asked(
        id=request.state.request_id,
        target=target,
        question=body.prompt,
        owner=body.user or get_identity(request).owner,
        parameters=body.passed_on(),
        answer_tokens=body.answer_tokens,
        stream=body.stream,
    )
    chunks = continue_prompt(services, asked)
    first = await unless_gone(request, anext(chunks))
    if body.stream:
        return EventStream(stream(first, chunks, body.include_usage))
    async with aclosing(chunks):
        await unless_gone(request, _exhaust(chunks))
    return JsonResponse(first)


async def continue_prompt(services: Services, asked: Asked) -> AsyncGenerator[Json, None]:
    """The engine's chunks under our name, observed like every answer."""
    with services.observer.watch(asked) as seen, services.admission.enter():
        check_answerable(asked.target, services.config)
        body: Json = {"temperature": services.config.serving.temperature, **asked.parameters, "prompt": asked.question}
        body |= {"max_tokens": answer_tokens(services.config, asked), "stream": asked.stream}
        if asked.stream:
            body["stream_options"] = {"include_usage": True}
        transcript = Transcript()
        async with services.adapters.hold(asked.target) as adapter:
            with seen.step("generation"):
                async with aclosing(services.adapters.generate(COMPLETIONS, body, adapter)) as chunks:
                    async for chunk in chunks:
                        if transcript.add(chunk) and asked.stream:
                            seen.mark_first_token()
                        yield present(chunk, asked)
        checked, made_by = CheckedAnswer(transcript.text), versions(services.config, adapter, None)
        usage, reason, times = transcript.usage, transcript.finish_reason, dict(seen.timings_ms)
        seen.answer = Answer(asked, checked, made_by, usage, reason, None, None, times)


async def stream(first: Json, chunks: AsyncGenerator[Json, None], include_usage: bool) -> AsyncGenerator[bytes, None]:
    """The chunks as server-sent events."""
    try:
        async with aclosing(chunks):
            yield write_event(first)
            async for chunk in chunks:
                if chunk["choices"] or include_usage:
                    yield write_event(chunk)
    except TandemError as error:
        yield write_event(error_body(error))
    yield DONE


async def _exhaust(chunks: AsyncGenerator[Json, None]) -> None:
    async for _ in chunks:
        pass
