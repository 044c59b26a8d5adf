"""POST /v1/chat/completions: any OpenAI client, any variant."""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.answers import Answer, Asked, evidence
from serving.auth import Identity
from serving.engine import Json
from serving.flow import answer, final_answer
from serving.problems import error_body, our_mistake
from serving.routes.common import EventStream, JsonResponse, ServicesNow, get_identity, principals_of, unless_gone
from serving.schemas import ChatRequest
from serving.sse import DONE, write_event
from serving.targets import Target, parse_model
from tandem.errors import TandemError, UserError

router = APIRouter()
logger = logging.getLogger(__name__)

# Empty fields that only vLLM's own clients know.
ENGINE_FIELDS: Final = (
    "prompt_logprobs",
    "prompt_token_ids",
    "prompt_text",
    "kv_transfer_params",
    "ec_transfer_params",
    "metrics",
    "token_ids",
    "routed_experts",
    "stop_reason",
)


@router.post("/v1/chat/completions")
async def chat(request: Request, body: ChatRequest, services: ServicesNow) -> Response:
    """Answer a conversation. The field `tandem` has the citations and versions, in the last chunk of a stream."""
    asked = replace(
        read_chat(body, parse_model(body.model, services.config), request.state.request_id, get_identity(request)),
        principals=principals_of(request, services, body.user),
    )
    events = answer(services, asked)
    first = await unless_gone(request, anext(events))
    if body.stream:
        return EventStream(stream(first, events, asked, body.include_usage))
    async with aclosing(events):
        last = await unless_gone(request, final_answer(events))
    return JsonResponse(complete(_as_chunk(first), last))


def read_chat(body: ChatRequest, target: Target, request_id: str, identity: Identity) -> Asked:
    """The question in a conversation: its last message; UserError when that is not the user's."""
    turns = [message for message in body.messages if message.role in ("user", "assistant")]
    if not turns or body.messages[-1].role != "user":
        raise UserError("The last of `messages` has to be the user's question.", param="messages")
    if not turns[-1].text.strip():
        raise UserError("The question is empty.", param="messages")
    instructions = [message.text for message in body.messages if message.role in ("system", "developer")]
    return Asked(
        id=request_id,
        target=target,
        question=turns[-1].text,
        owner=body.user or identity.owner,
        history=tuple({"role": turn.role, "content": turn.text} for turn in turns[:-1]),
        instructions="\n".join(instructions) or None,
        parameters=body.passed_on(),
        answer_tokens=body.answer_tokens,
        stream=body.stream,
        search=body.tandem.search(),
    )


def complete(completion: Json, last: Answer) -> Json:
    """The engine's completion as ours: checked text, our id and name, the evidence."""
    completion = present(completion, last.asked)
    completion["choices"][0]["message"]["content"] = last.checked.text
    return completion | {"tandem": evidence(last)}


async def stream(
    first: Json | Answer, events: AsyncGenerator[Json | Answer, None], asked: Asked, include_usage: bool
) -> AsyncGenerator[bytes, None]:
    """The chunks as they come. The last one waits for the evidence: the one with the usage where the client wants it,
    and else the one with the reason for the end, because clients expect a choice in every chunk."""
    held: Json | None = None
    try:
        async with aclosing(events):
            opening = present(_as_chunk(first), asked)
            if opening["choices"] and opening["choices"][0].get("finish_reason"):  # an answer of one chunk
                held = opening
            else:
                yield write_event(opening)
            async for event in events:
                if isinstance(event, Answer):
                    assert held is not None
                    yield write_event(held | {"tandem": evidence(event) | {"answer": event.checked.text}})
                    continue
                chunk = present(event, asked)
                is_usage = not chunk["choices"]
                if is_usage and not include_usage:
                    continue
                if is_usage or chunk["choices"][0].get("finish_reason"):
                    held, chunk = chunk, held or {}
                if chunk:
                    yield write_event(chunk)
    except TandemError as error:
        yield write_event(error_body(error))
    except Exception:
        logger.exception("A bug while streaming the answer %s", asked.id)
        yield write_event(error_body(our_mistake()))
    yield DONE


def present(chunk: Json, asked: Asked) -> Json:
    """A chunk or completion of the engine's under our id and model name."""
    shown = {name: value for name, value in chunk.items() if name not in ENGINE_FIELDS}
    shown["choices"] = [
        {name: value for name, value in choice.items() if name not in ENGINE_FIELDS}
        for choice in chunk.get("choices", [])
    ]
    return shown | {"id": asked.id, "model": asked.target.name}


def _as_chunk(event: Json | Answer) -> Json:
    assert not isinstance(event, Answer), "the engine sent nothing"
    return event
