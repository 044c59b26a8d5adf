"""A client of the running server that asks many questions at once; each method makes one attempt."""

from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import orjson

from tandem.errors import TandemError, Unavailable
from tandem.responses import address, json_object, refusal

Json = dict[str, Any]


class Gateway:
    """The server at `url`; use as `async with`."""

    def __init__(self, url: str, api_key: str | None = None, timeout_seconds: float = 120) -> None:
        """Raises UserError (`invalid_url`) for what is no address."""
        self.url = address(url)
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
                    raise refusal(response.status, content, response.headers, self.url)
                return json_object(content, self.url)
        except TimeoutError as error:
            raise TandemError(f"No answer came within {self._timeout_seconds:g} s.", code="timeout") from error
        except aiohttp.ClientError as error:
            raise Unavailable(
                f"No Tandem server answers at {self.url} ({error or type(error).__name__}): start one with "
                "`tandem serve`, or name one with --url or TANDEM_URL.",
                code="no_server",
            ) from error
