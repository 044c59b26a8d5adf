"""The one file that speaks to vLLM: requests out, completions or streams back, its errors as ours."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import orjson

from serving.sse import read_events
from tandem.errors import ContextTooLong, TandemError, Unavailable, UserError

CONNECT_SECONDS: Final = 5.0
HEALTH_SECONDS: Final = 2.0
DEFAULT_RETRY_SECONDS: Final = 1.0
CHAT: Final = "/v1/chat/completions"
COMPLETIONS: Final = "/v1/completions"
CONTEXT_PARAMETERS: Final = frozenset({"input_tokens", "input_text"})
PARAMETER_NOTE: Final = re.compile(r"\s*\(parameter=.*\)$", re.DOTALL)
ALREADY_LOADED: Final = "has already been loaded"
JSON_HEADERS: Final = {"Content-Type": "application/json"}

Json = dict[str, Any]


@dataclass(frozen=True)
class ServedModel:
    """What the engine serves: the name to ask for, where it was loaded from, and its context in tokens."""

    name: str
    root: str
    max_tokens: int


class ModelMissing(TandemError):
    """The engine does not know a model or a route: it was restarted and lost its adapters, or takes none."""

    code = "engine_error"
    status = HTTPStatus.BAD_GATEWAY


class EngineClient:
    """A client of one vLLM server, whose address may change when it is restarted; use as `async with`."""

    def __init__(self, locate: Callable[[], str], timeout_seconds: float, name: str = "base") -> None:
        """`locate` returns the address or raises Unavailable; `name` is preferred among the models served."""
        self._locate = locate
        self._timeout_seconds = timeout_seconds
        self._name = name
        self._session: aiohttp.ClientSession | None = None
        self._model: ServedModel | None = None

    async def __aenter__(self) -> Self:
        # No limit on connections: admission is the gateway's, and the queue is the engine's.
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def is_healthy(self) -> bool:
        """Whether the engine answers now."""
        try:
            address = self._locate()
        except Unavailable:
            return False
        return await engine_is_healthy(address)

    async def model(self) -> ServedModel:
        """What is served; asked once."""
        if self._model is None:
            async with self._request("GET", "/v1/models") as response:
                self._model = _choose_model(await _read_json(response), self._name)
        return self._model

    async def count_tokens(self, messages: Sequence[Mapping[str, str]]) -> int:
        """Tokens of a chat prompt, template included."""
        body = {"model": (await self.model()).name, "messages": messages, "add_generation_prompt": True}
        async with self._request("POST", "/tokenize", body) as response:
            return int((await _read_json(response))["count"])

    async def load_adapter(self, name: str, folder: Path) -> None:
        """Have the engine take the adapter in `folder`, an absolute path, under `name`; fine when it has it.

        Raises ModelMissing where the engine takes no adapters, and TandemError with its reason when it refuses.
        """
        assert folder.is_absolute(), folder  # vLLM takes a relative path for a hub id
        try:
            await self._post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})
        except UserError as error:
            if ALREADY_LOADED not in error.message:
                raise

    async def unload_adapter(self, name: str) -> None:
        """Have the engine forget an adapter; what is running with it ends well. Fine when it does not have it."""
        with contextlib.suppress(ModelMissing):
            await self._post("/v1/unload_lora_adapter", {"lora_name": name})

    async def adapters(self) -> dict[str, str]:
        """Name → folder of the adapters that the engine has."""
        async with self._request("GET", "/v1/models") as response:
            models = (await _read_json(response)).get("data", [])
        return {model["id"]: str(model.get("root")) for model in models if model.get("parent")}

    async def generate(self, path: str, body: Json, model: str | None = None) -> AsyncGenerator[Json, None]:
        """The chunks of an answer as they come, or the one whole completion when `body` does not ask to stream.

        `model` is the name of a loaded adapter, or None for the base model. Closing the iterator aborts the request in
        the engine. Raises ContextTooLong, UserError (the engine refuses a parameter), ModelMissing, Unavailable (down,
        full, too slow) or TandemError.
        """
        body = {**body, "model": model or (await self.model()).name}
        async with self._request("POST", path, body) as response:
            if not body.get("stream"):
                yield await _read_json(response)
                return
            async for data in read_events(response.content.iter_any()):
                if data == b"[DONE]":
                    return
                chunk = orjson.loads(data)
                if "error" in chunk:
                    raise engine_error(int(chunk["error"].get("code") or 500), chunk)
                yield chunk
            raise _gone()

    async def _post(self, path: str, body: Json) -> None:
        async with self._request("POST", path, body):
            pass

    @asynccontextmanager
    async def _request(self, method: str, path: str, body: Json | None = None) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None, "EngineClient is used outside `async with`"
        timeout = aiohttp.ClientTimeout(total=self._timeout_seconds, sock_connect=CONNECT_SECONDS)
        data = None if body is None else orjson.dumps(body)
        try:
            async with self._session.request(
                method, self._locate() + path, data=data, headers=JSON_HEADERS, timeout=timeout
            ) as response:
                if response.status != HTTPStatus.OK:
                    raise engine_error(response.status, await _read_error(response), response.headers)
                yield response
        except TimeoutError as error:
            raise Unavailable(
                f"The engine did not finish within {self._timeout_seconds:g} s (engine.request_timeout_seconds).",
                code="engine_timeout",
                status=HTTPStatus.GATEWAY_TIMEOUT,
            ) from error
        except aiohttp.ClientError as error:
            raise _gone() from error


async def engine_is_healthy(address: str) -> bool:
    """Whether the vLLM server at `address` says that it is well."""
    timeout = aiohttp.ClientTimeout(total=HEALTH_SECONDS)
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError):
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(address + "/health") as response:
            return response.status == HTTPStatus.OK
    return False


def engine_error(status: int, body: Json, headers: Mapping[str, str] | None = None) -> TandemError:
    """Our error for vLLM's answer with `status` and `body` ({"error": {"message", "param", "code"}})."""
    error = body.get("error")
    error = error if isinstance(error, dict) else {"message": str(error or body.get("detail") or status)}
    message = PARAMETER_NOTE.sub("", str(error.get("message") or "no reason given"))
    param = error.get("param")
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return Unavailable(
            "The engine is full: too many requests are waiting. Try again in a moment.",
            code="engine_full",
            retry_after_seconds=_retry_after(headers or {}),
        )
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        if param in CONTEXT_PARAMETERS or "maximum context length" in message:
            return ContextTooLong(f"{message} Shorten the question or the conversation, or ask for fewer tokens.")
        return UserError(message, param=param)
    if status == HTTPStatus.NOT_FOUND:
        return ModelMissing(f"The engine does not have what was asked of it: {message}")
    return TandemError(f"The engine failed with status {status}: {message}", code="engine_error", status=502)


def _choose_model(answer: Json, preferred: str) -> ServedModel:
    models = [model for model in answer.get("data", []) if not model.get("parent")]
    if not models:
        raise TandemError("The engine serves no model.", code="engine_error", status=502)
    chosen = next((model for model in models if model["id"] == preferred), models[0])
    if not chosen.get("max_model_len"):
        raise TandemError("The engine does not say how long its context is; is it vLLM?", code="engine_error")
    return ServedModel(chosen["id"], str(chosen.get("root") or chosen["id"]), int(chosen["max_model_len"]))


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return float(headers["Retry-After"])
    except (KeyError, ValueError):
        return DEFAULT_RETRY_SECONDS


def _gone() -> Unavailable:
    return Unavailable("The engine cannot be reached; try again in a moment.", retry_after_seconds=5.0)


async def _read_json(response: aiohttp.ClientResponse) -> Json:
    value = orjson.loads(await response.read())
    assert isinstance(value, dict)
    return value


async def _read_error(response: aiohttp.ClientResponse) -> Json:
    text = await response.text(errors="replace")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {"error": {"message": text[:500]}}
