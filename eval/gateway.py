"""A client of the running server that asks many questions at once; each method makes one attempt."""

import math
from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlsplit

import aiohttp
import orjson

from tandem.errors import Conflict, Forbidden, NotFound, TandemError, Unauthorized, Unavailable, UserError

DEFAULT_RETRY_SECONDS: Final = 1.0
LONGEST_RETRY_SECONDS: Final = 30.0

Json = dict[str, Any]


class Gateway:
    """The server at `url`; use as `async with`."""

    def __init__(self, url: str, api_key: str | None = None, timeout_seconds: float = 120) -> None:
        """Raises UserError (`invalid_url`) for what is no address."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"{url!r} is not an address such as http://127.0.0.1:8321.", code="invalid_url")
        self.url = url.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._timeout_seconds = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # How many requests are in flight is the caller's concern.
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=self._timeout_seconds)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, headers=self._headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, domain: str, question: str, variant: str, version: str | None) -> Json:
        """The body of `POST /v1/ask`.

        Raises Unavailable when the server is busy, or with the code `no_server` when nobody answers; Unauthorized,
        Forbidden; Conflict, such as `no_adapter`; UserError for other refusals; TandemError when it fails.
        """
        body: Json = {"domain": domain, "question": question, "variant": variant}
        if version is not None:
            body["version"] = version
        return await self._request("POST", "/v1/ask", body)

    async def adapters(self, domain: str) -> Json:
        """The body of `GET /v1/domains/{domain}/adapters`; raises as `ask` does."""
        return await self._request("GET", f"/v1/domains/{quote(domain, safe='')}/adapters")

    async def _request(self, method: str, route: str, body: Json | None = None) -> Json:
        assert self._session is not None, "Gateway is used outside `async with`"
        data = None if body is None else orjson.dumps(body)
        try:
            async with self._session.request(method, self.url + route, data=data) as response:
                content = await response.read()
                if response.status != HTTPStatus.OK:
                    raise _refusal(response.status, content, response.headers, self.url)
                return _object(content, self.url)
        except TimeoutError as error:
            raise TandemError(f"No answer came within {self._timeout_seconds:g} s.", code="timeout") from error
        except aiohttp.ClientError as error:
            raise Unavailable(
                f"No Tandem server answers at {self.url} ({error or type(error).__name__}): start one with "
                "`tandem serve`, or name one with --url or TANDEM_URL.",
                code="no_server",
            ) from error


def _object(content: bytes, url: str) -> Json:
    try:
        value = orjson.loads(content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UserError(f"What answers at {url} is not a Tandem server.", code="no_server")
    return value


def _refusal(status: int, content: bytes, headers: Mapping[str, str], url: str) -> TandemError:
    """The server's own sentence and code, in the class that fits its status."""
    try:
        detail = orjson.loads(content)["error"]
        message, code = str(detail["message"]), str(detail.get("code") or "unknown")
    except (ValueError, KeyError, TypeError, AttributeError):
        message, code = f"What answers at {url} is not a Tandem server (HTTP {status}).", "no_server"
    if status == HTTPStatus.UNAUTHORIZED:
        return Unauthorized(f"{message} Give a key with --api-key or TANDEM_API_KEY.", code=code)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Unavailable(message, code=code, retry_after_seconds=_retry_after(headers))
    kinds: dict[int, type[UserError]] = {403: Forbidden, 404: NotFound, 409: Conflict}
    kind = kinds.get(status, UserError) if status < HTTPStatus.INTERNAL_SERVER_ERROR else TandemError
    return kind(message, code=code, status=status)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait; a date, which we do not send, counts as one second."""
    try:
        seconds = float(headers.get("Retry-After", DEFAULT_RETRY_SECONDS))
    except ValueError:
        return DEFAULT_RETRY_SECONDS
    return min(max(seconds, 0.0), LONGEST_RETRY_SECONDS) if math.isfinite(seconds) else DEFAULT_RETRY_SECONDS
