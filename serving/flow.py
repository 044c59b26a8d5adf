"""The flow of a question, whole: `answer`. The rest of this file is its steps."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serving.adapters import Adapters
from serving.admission import Admission
from serving.answers import Answer, Asked, Transcript, Versions
from serving.auth import Keys
from serving.budget import Prompt, fit_prompt
from serving.citations import CheckedAnswer, Source, check_answer
from serving.engine import CHAT, EngineClient, Json
from serving.indexes import Indexes
from serving.metrics import Metrics
from serving.observation import Observer
from serving.targets import check_answerable
from serving.tasks import find_form
from tandem.adapters import Adapter
from tandem.config import Config
from tandem.errors import UserError
from tandem.names import base_name
from tandem.prompt import PROMPT_HASH, Message, Passage, build_messages, clean_text, is_abstention, passage_title

if TYPE_CHECKING:
    from retrieval.results import Hit, SearchResult


@dataclass(frozen=True)
class Services:
    """What answering needs; made once by the app."""

    config: Config
    engine: EngineClient
    adapters: Adapters
    indexes: Indexes
    observer: Observer
    metrics: Metrics
    admission: Admission
    keys: Keys


async def answer(services: Services, asked: Asked) -> AsyncGenerator[Json | Answer, None]:
    """Answer a question: the engine's chunks as they come (one, when not streamed), then the checked `Answer`.

    The caller has authenticated the request. Closing the iterator aborts the work in the engine.
    Raises TandemError; what had happened until then is recorded all the same.
    """
    with services.observer.watch(asked) as seen, services.admission.enter():
        check_answerable(asked.target, services.config)
        check_parameters(asked)
        async with services.adapters.hold(asked.target) as adapter:
            form = await find_form(services.config, services.adapters, asked.target, adapter)
            asked = form.applied(asked)
            with seen.step("retrieval"):
                found = await retrieve(services, asked)
            with seen.step("prompt"):
                prompt = await make_prompt(services, asked, found)
            transcript = Transcript()
            body = engine_body(services.config, asked, prompt)
            with seen.step("generation"):
                async with aclosing(services.adapters.generate(CHAT, body, adapter)) as chunks:
                    async for chunk in chunks:
                        if transcript.add(chunk) and asked.stream:
                            seen.mark_first_token()
                        yield chunk
        form.check(transcript.text, transcript.finish_reason)
        with seen.step("citations"):
            checked = check(transcript.text, asked, found, prompt)
        seen.timings_ms["total"] = seen.elapsed_ms()
        seen.answer = Answer(
            asked=asked,
            checked=checked,
            versions=versions(services.config, adapter, found),
            usage=transcript.usage,
            finish_reason=transcript.finish_reason,
            found=len(found.hits) if found else None,
            shown=prompt.shown if found else None,
            timings_ms=dict(seen.timings_ms),
            language=(found.language or None) if found else None,
            warnings=found.warnings if found else (),
        )
        yield seen.answer


async def final_answer(events: AsyncGenerator[Json | Answer, None]) -> Answer:
    """The end of a flow, passing over the chunks."""
    async for event in events:
        if isinstance(event, Answer):
            return event
    raise AssertionError("a flow ends with its answer")


def check_parameters(asked: Asked) -> None:
    """Raise UserError for several answers at once where each would need its own citations."""
    if asked.target.retrieves and asked.parameters.get("n", 1) != 1:
        raise UserError(f"{asked.target.name!r} gives one answer with citations; leave `n` at 1.", param="n")


async def retrieve(services: Services, asked: Asked) -> "SearchResult | None":
    """The passages for a question; None for the variants that read none."""
    if not asked.target.retrieves:
        return None
    return await services.indexes.search(
        asked.target.domain, asked.retrieval_query, asked.search, principals=asked.principals
    )


async def make_prompt(services: Services, asked: Asked, found: "SearchResult | None") -> Prompt:
    """The messages, with as many of the passages as fit."""
    domain = services.config.domains[asked.target.domain]
    system = "\n".join(filter(None, (domain.system_prompt, asked.instructions))) or None
    hits = found.hits if found else ()
    passages = [
        Passage(passage_title(hit.title, hit.section, source.text), source.text)
        for hit, source in zip(hits, sources(hits), strict=True)
    ]
    # Markers and signs in earlier turns name earlier passages, or are forged.
    history = [{**turn, "content": clean_text(turn["content"])} for turn in asked.history] if found else asked.history

    def build(shown: int) -> list[Message]:
        return build_messages(asked.question, passages[:shown] if found else None, system, history)

    model = await services.engine.model()
    tokens = answer_tokens(services.config, asked)
    return await fit_prompt(build, len(passages), services.engine.count_tokens, model.max_tokens, tokens)


def answer_tokens(config: Config, asked: Asked) -> int:
    """How long the answer may get, in tokens."""
    return asked.answer_tokens or config.serving.max_answer_tokens


def engine_body(config: Config, asked: Asked, prompt: Prompt) -> Json:
    """The request to the engine; its `model` is set by the client."""
    body: dict[str, Any] = {"temperature": config.serving.temperature, **asked.parameters}
    body |= {"messages": prompt.messages, "max_tokens": answer_tokens(config, asked), "stream": asked.stream}
    if asked.stream:
        body["stream_options"] = {"include_usage": True}
    return body


def check(text: str, asked: Asked, found: "SearchResult | None", prompt: Prompt) -> CheckedAnswer:
    """The text with citations that hold; without passages there is nothing to cite."""
    if found is None:
        return CheckedAnswer(text, abstained=is_abstention(text))
    return check_answer(text, asked.question, sources(found.hits[: prompt.shown]))


def _said(hit: "Hit", key: str) -> str | None:
    """What the document says of itself under `key`, if that is text."""
    value = hit.metadata.get(key)
    return value if isinstance(value, str) else None


def _first_page(hit: "Hit") -> int | None:
    """The page on which the text before a hit begins, or the hit itself where none is shown."""
    begin = hit.start - len(hit.before)
    return None if hit.page is None else hit.page - sum(begin < place <= hit.start for place in hit.page_breaks)


def sources(hits: "Sequence[Hit]") -> list[Source]:
    """The passages as the model and the citations see them, each with its neighbours where these were asked for."""
    return [
        Source(
            hit.document,
            hit.passage,
            hit.start - len(hit.before),
            hit.before + hit.text + hit.after,
            _first_page(hit),
            hit.page_breaks,
            origin=_said(hit, "source"),
            licence=_said(hit, "licence"),
        )
        for hit in hits
    ]


def versions(config: Config, adapter: Adapter | None, found: "SearchResult | None") -> Versions:
    """What made the answer."""
    return Versions(
        base=base_name(config.base_model),
        adapter=adapter.version if adapter else None,
        snapshot=found.snapshot if found else None,
        prompt=PROMPT_HASH,
    )
