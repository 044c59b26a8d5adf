"""What the gateway adds to the first token, beside the same vLLM asked directly with the same final prompt.

`python -m benchmarks.gateway` starts `tandem serve` on the sample domain and asks questions of it in two variants:
`base`, where the gateway only passes on, and `rag`, where it also searches and writes the passages into the prompt; its
rival gets that prompt ready-made. Both are asked from this process over HTTP, streamed, with 1 and with 8 requests in
flight, in turns; a pair is one question in one round. Every prompt is asked on both ways once beforehand, so vLLM's
prefix cache knows all of them. The engine counts the prompt's tokens: the benchmark fails unless both counts are equal.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from benchmarks.paired import Comparison, arguments, in_turns, machine, report
from serving.sse import read_events
from tandem.client import post
from tandem.config import load_config
from tandem.demo import CONFIGURATION, DOMAIN, Demo
from tandem.prompt import Message, Passage, build_messages, passage_title

QUESTIONS = 16
IN_FLIGHT = (1, 8)
ANSWER_TOKENS = 8
VARIANTS = ("base", "rag")
TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Way:
    """One way to have the prompts answered: an address, a model's name there, and the messages to send."""

    url: str
    model: str
    conversations: list[list[Message]]


@dataclass(frozen=True)
class First:
    """When the first text of an answer came, in milliseconds after the request was begun; what the whole one was."""

    milliseconds: float
    prompt_tokens: int
    text: str


def ask_all(way: Way, in_flight: int) -> list[First]:
    """Ask all conversations, `in_flight` at any time; the results are in their order."""

    async def all_of_them() -> list[First]:
        places = asyncio.Semaphore(in_flight)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:

            async def one(messages: list[Message]) -> First:
                async with places:
                    return await ask(session, way.url, way.model, messages)

            return await asyncio.gather(*map(one, way.conversations))

    return asyncio.run(all_of_them())


async def ask(session: aiohttp.ClientSession, url: str, model: str, messages: list[Message]) -> First:
    """Ask once, streamed, and read to the end."""
    body = {"model": model, "messages": messages, "max_tokens": ANSWER_TOKENS, "temperature": 0.0, "stream": True}
    body["stream_options"] = {"include_usage": True}
    text, milliseconds, prompt_tokens = "", 0.0, 0
    began = time.perf_counter()
    async with session.post(f"{url}/v1/chat/completions", json=body) as response:
        response.raise_for_status()
        async for data in read_events(response.content.iter_any()):
            if data == b"[DONE]":
                break
            chunk = json.loads(data)
            if "error" in chunk:
                raise RuntimeError(f"{model} at {url}: {chunk['error']}")
            said = "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])
            if said and not text:
                milliseconds = 1000 * (time.perf_counter() - began)
            text += said
            prompt_tokens = (chunk.get("usage") or {}).get("prompt_tokens", prompt_tokens)
    if not text:
        raise RuntimeError(f"{model} at {url} said nothing to {messages[-1]['content']!r}")
    return First(milliseconds, prompt_tokens, text)


def final_prompt(url: str, domain: str, variant: str, question: str, system_prompt: str | None) -> list[Message]:
    """The messages that the gateway sends on for a question, as long as all passages fit."""
    if variant == "base":
        return build_messages(question, None, system_prompt)
    hits = post(url, f"/v1/domains/{domain}/search", {"query": question}, None, TIMEOUT_SECONDS)["hits"]
    passages = [Passage(passage_title(hit["title"], hit["section"], hit["text"]), hit["text"]) for hit in hits]
    return build_messages(question, passages, system_prompt)


def ways(
    gateway: str, engine: str, domain: str, variant: str, questions: Sequence[str], system_prompt: str | None
) -> tuple[Way, Way]:
    """Through the gateway, and the same prompts to the engine itself."""
    asked: list[list[Message]] = [[{"role": "user", "content": question}] for question in questions]
    final = [final_prompt(gateway, domain, variant, question, system_prompt) for question in questions]
    return Way(gateway, f"{domain}/{variant}", asked), Way(engine, "base", final)


def check_same(ours: Sequence[First], theirs: Sequence[First]) -> dict[str, Any]:
    """What the answers say about the prompts; RuntimeError where these cannot have been the same."""
    pairs = list(zip(ours, theirs, strict=True))
    if any(one.prompt_tokens != other.prompt_tokens or not one.prompt_tokens for one, other in pairs):
        counts = [(one.prompt_tokens, other.prompt_tokens) for one, other in pairs]
        raise RuntimeError(f"the engine got other prompts through the gateway than directly: tokens {counts}")
    same = sum(one.text == other.text for one, other in pairs)
    tokens = sorted(one.prompt_tokens for one in ours)
    return {"prompt_tokens": f"{tokens[0]} to {tokens[-1]}", "same_text": f"{same} of {len(pairs)}"}


def measure(make_ways: Callable[[str], tuple[Way, Way]], rounds: int) -> list[Comparison]:
    """Both variants, at each number of requests in flight."""
    comparisons = []
    for variant in VARIANTS:
        ours, rival = make_ways(variant)
        details = check_same(ask_all(ours, 1), ask_all(rival, 1))
        for in_flight in IN_FLIGHT:
            turns = in_turns(rounds, lambda: ask_all(ours, in_flight), lambda: ask_all(rival, in_flight))  # noqa: B023
            values = [
                (one.milliseconds, other.milliseconds)
                for through, directly in turns
                for one, other in zip(through, directly, strict=True)
            ]
            name = f"milliseconds to the first token, {variant}, {in_flight} in flight"
            comparisons.append(Comparison(name, "through the gateway", "vLLM directly", "ms", values, details))
    return comparisons


def engine_url(gateway_process: int) -> str:
    """Address of the engine that a `tandem serve` supervises."""
    for child in psutil.Process(gateway_process).children():
        words = child.cmdline()
        if "serving.engine_main" in words:
            return f"http://127.0.0.1:{words[words.index('--port') + 1]}"
    raise RuntimeError("`tandem serve` runs no engine")


def sample_questions(count: int) -> list[str]:
    """The first questions of the sample domain."""
    lines = CONFIGURATION.with_name("questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [str(json.loads(line)["question"]) for line in lines[:count]]


def main() -> None:
    parser = arguments("gateway", "What the gateway adds to the first token, beside the same vLLM asked directly.", 5)
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="questions (default: %(default)s)")
    options = parser.parse_args()
    before, questions = machine(), sample_questions(options.questions)
    system_prompt = load_config(CONFIGURATION).domain(DOMAIN).system_prompt
    with tempfile.TemporaryDirectory() as folder:
        demo = Demo(Path(folder), quiet=True)
        demo.command("index", DOMAIN)
        with demo.server(keep=False) as wait_until_ready:
            url = wait_until_ready()
            engine = engine_url(demo.server_process)
            comparisons = measure(
                lambda variant: ways(url, engine, DOMAIN, variant, questions, system_prompt), options.repetitions
            )
    report("gateway", before, comparisons, options.json)


if __name__ == "__main__":
    main()
