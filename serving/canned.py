"""An engine without a model, for tests: vLLM's routes over real HTTP, answers that follow from the prompt.

It reads: the sentence of the prompt's passages that shares most words with the question is the answer, cited by its
passage's number; without passages it does not know. A token is a word. `python -m serving.canned --port N` serves it.
"""

import argparse
import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from serving.spans import sentences, words
from serving.sse import DONE, write_event
from tandem.prompt import ABSTENTION, Message

PASSAGE: Final = re.compile(r"^\[(\d+)\] (.*)\n((?:.|\n)*?) \[\1\]$", re.MULTILINE)
QUESTION: Final = re.compile(r"^Question: ((?:.|\n)*)\Z", re.MULTILINE)
LOOPBACK: Final = "127.0.0.1"

Reply = Callable[[list[Message]], str]


class CannedEngine:
    """A scriptable engine.

    `reply` makes answers from messages; `full` answers 503 as vLLM does when its queue is full; `token_seconds` is the
    pause between tokens. It keeps what it was asked in `bodies` and counts aborted answers in `aborted`.
    Adapters are names: `adapters` has those that are loaded, `events` what was loaded and unloaded; with
    `refuses_adapters` it says so. An adapter answers as the base does, and finds tokens as likely as `logprob` says.
    Of the choices of structured output it takes the one nearest to its reply, unless `heeds_structure` is off.
    """

    def __init__(self, reply: Reply | None = None, context_tokens: int = 2048, token_seconds: float = 0.0) -> None:
        self.reply = reply or read_and_cite
        self.context_tokens = context_tokens
        self.token_seconds = token_seconds
        self.full = False
        self.breaks_after: int | None = None
        self.bodies: list[dict[str, Any]] = []
        self.aborted = 0
        self.adapters: dict[str, str] = {}
        self.events: list[tuple[str, str]] = []
        self.refuses_adapters: str | None = None
        self.heeds_structure = True

    @asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[str]:
        """Listen on loopback; gives the address."""
        # vLLM aborts a request whose client has gone; the handlers are cancelled for the same effect.
        runner = web.AppRunner(self.app(), handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, LOOPBACK, port)
            await site.start()
            yield f"http://{LOOPBACK}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=50_000_000)
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/load_lora_adapter", self._load)
        app.router.add_post("/v1/unload_lora_adapter", self._unload)
        app.router.add_post("/tokenize", self._tokenize)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._completions)
        return app

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _models(self, _: web.Request) -> web.Response:
        model = {
            "id": "base",
            "object": "model",
            "root": "/canned",
            "parent": None,
            "max_model_len": self.context_tokens,
        }
        adapters = [
            {"id": name, "object": "model", "root": path, "parent": "base"} for name, path in self.adapters.items()
        ]
        return web.json_response({"object": "list", "data": [model, *adapters]})

    async def _load(self, request: web.Request) -> web.Response:
        body = await request.json()
        name, folder = body["lora_name"], Path(body["lora_path"])
        if name in self.adapters:
            message = (
                f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place, ..."
            )
            return _error(400, message, None)
        if self.refuses_adapters is not None:
            return _error(500, self.refuses_adapters, None)
        if not (folder / "adapter_config.json").is_file():
            return _error(404, f"Loading lora {name} failed: No adapter found for {folder}", None)
        self.adapters[name] = str(folder)
        self.events.append(("load", name))
        return web.Response(text=f"Success: LoRA adapter '{name}' added successfully.")

    async def _unload(self, request: web.Request) -> web.Response:
        name = (await request.json())["lora_name"]
        if self.adapters.pop(name, None) is None:
            return _error(404, f"The lora adapter '{name}' cannot be found.", None)
        self.events.append(("unload", name))
        return web.Response(text=f"Success: LoRA adapter '{name}' removed successfully.")

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        return web.json_response({"count": count_tokens(body["messages"]), "max_model_len": self.context_tokens})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        text = self.reply(body["messages"])
        choices = body.get("structured_outputs", {}).get("choice") if self.heeds_structure else None
        return await self._answer(request, body, choose(text, choices), count_tokens(body["messages"]))

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        prompt = body["prompt"]
        words = prompt.split() if isinstance(prompt, str) else [str(token) for token in prompt]
        return await self._answer(request, body, f" after {' '.join(words)}", len(words))

    async def _answer(self, request: web.Request, body: Any, text: str, prompt_tokens: int) -> web.StreamResponse:
        self.bodies.append(body)
        refusal = self._refuse(body, prompt_tokens)
        if refusal is not None:
            return refusal
        tokens = re.findall(r"\s*\S+", text)
        kept = tokens[: body["max_tokens"]]
        reason = "stop" if len(kept) == len(tokens) else "length"
        counted = {"prompt_tokens": prompt_tokens, "completion_tokens": len(kept)}
        usage = counted | {"total_tokens": prompt_tokens + len(kept)}
        try:
            if body.get("stream"):
                return await self._stream(request, body, kept, reason, usage)
            await asyncio.sleep(self.token_seconds * len(kept))
        except (asyncio.CancelledError, ConnectionError):
            self.aborted += 1
            raise
        choice = {"index": 0, "finish_reason": reason, "token_ids": None}
        choice |= _said(body, "".join(kept), "message")
        if "prompt_logprobs" in body:
            choice["prompt_logprobs"] = [
                {str(token): {"logprob": logprob(token), "rank": 1}} if position else None
                for position, token in enumerate(body["prompt"])
            ]
        return web.json_response(_envelope(body, "chat.completion") | {"choices": [choice], "usage": usage})

    def _refuse(self, body: Mapping[str, Any], prompt_tokens: int) -> web.Response | None:
        if body["model"] != "base" and body["model"] not in self.adapters:
            return _error(404, f"The model `{body['model']}` does not exist.", "model")
        if self.full:
            return _error(503, "The engine is currently busy and cannot accept new requests.", None)
        if prompt_tokens + body["max_tokens"] > self.context_tokens:
            limit = f"This model's maximum context length is {self.context_tokens} tokens. (parameter=input_tokens)"
            return _error(400, limit, "input_tokens")
        return None

    async def _stream(
        self, request: web.Request, body: Any, tokens: list[str], reason: str, usage: Any
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        envelope = _envelope(body, "chat.completion.chunk")
        for position, token in enumerate(tokens):
            if position == self.breaks_after:
                error = {"message": "EngineCore encountered an issue.", "type": "InternalServerError", "code": 500}
                await response.write(write_event({"error": error}))
                return response
            await asyncio.sleep(self.token_seconds)
            end = reason if position == len(tokens) - 1 else None
            choice = {"index": 0, "finish_reason": end, "token_ids": None} | _said(body, token, "delta")
            await response.write(write_event(envelope | {"choices": [choice]}))
        if body.get("stream_options", {}).get("include_usage"):
            await response.write(write_event(envelope | {"choices": [], "usage": usage}))
        await response.write(DONE)
        return response


def read_and_cite(messages: list[Message]) -> str:
    """The most similar sentence of the passages in the last message, with its number."""
    prompt = messages[-1]["content"]
    found = QUESTION.search(prompt)
    asked = {span.word for span in words(found[1] if found else prompt)}
    candidates = [
        (match[3][span.start : span.end], match[1])
        for match in PASSAGE.finditer(prompt)
        for span in sentences(match[3])
    ]
    if not candidates:
        return ABSTENTION

    def shared(candidate: tuple[str, str]) -> int:
        return len(asked & {span.word for span in words(candidate[0])})

    text, number = max(candidates, key=shared)
    return f"{text} [{number}]" if shared((text, number)) > 1 else ABSTENTION


def choose(text: str, choices: Sequence[str] | None) -> str:
    """The text, or of the choices, where there are any, the one with most of its letters in common."""
    return max(choices, key=lambda choice: SequenceMatcher(None, text, choice).ratio()) if choices else text


def logprob(token: int) -> float:
    """How likely the canned engine finds a token, whatever comes before it."""
    return -0.1 * (1 + token % 7)


def count_tokens(messages: list[Message]) -> int:
    """Words."""
    return sum(len(message["content"].split()) + 1 for message in messages)


def _said(body: Mapping[str, Any], text: str, name: str) -> dict[str, Any]:
    return {"text": text} if "prompt" in body else {name: {"role": "assistant", "content": text}}


def _envelope(body: Mapping[str, Any], kind: str) -> dict[str, Any]:
    kind = "text_completion" if "prompt" in body else kind
    return {"id": "canned-1", "object": kind, "created": 1, "model": body["model"], "prompt_token_ids": None}


def _error(status: int, message: str, param: str | None) -> web.Response:
    error = {"message": message, "type": "BadRequestError", "param": param, "code": status}
    return web.json_response({"error": error}, status=status)


async def _serve_forever(port: int) -> None:
    async with CannedEngine().serve(port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    from serving.engine_main import die_with_parent

    die_with_parent()
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(_serve_forever(parser.parse_args().port))
