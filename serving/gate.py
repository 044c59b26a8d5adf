"""The first thing every request meets: an id, who it is, how large it may be, and a last net for our own mistakes."""

import logging
import uuid
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.auth import Identity, Keys, check_origin
from serving.problems import BodyTooLarge, body_too_large, error_response, our_mistake
from tandem.errors import TandemError

logger = logging.getLogger(__name__)


class Gate:
    """ASGI middleware; routes find `identity` and `request_id` in `request.state`."""

    def __init__(self, app: ASGIApp, keys: Keys, max_body_bytes: int) -> None:
        self._app = app
        self._keys = keys
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"tandem-{uuid.uuid4().hex}"
        marked = _MarkedSend(send, b"x-request-id", request_id.encode())
        try:
            headers = _headers(scope)
            state = scope.setdefault("state", {})
            state["request_id"] = request_id
            state["identity"] = self._admit(scope, headers)
            await self._app(scope, self._limited(receive), marked)
        except TandemError as error:
            await error_response(error)(scope, receive, marked)
        except Exception:
            logger.exception("A bug while answering request %s", request_id)
            if not marked.started:
                await error_response(our_mistake())(scope, receive, marked)

    def _admit(self, scope: Scope, headers: dict[str, str]) -> Identity:
        """Who asks, decided before a byte of the body is read; raises TandemError."""
        if not self._keys.required:
            check_origin(headers.get("host"), headers.get("origin"))
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._max_body_bytes:
            raise body_too_large(self._max_body_bytes)
        if scope["path"].startswith("/v1"):
            return self._keys.identify(headers.get("authorization"))
        return Identity("anyone", "user")

    def _limited(self, receive: Receive) -> Receive:
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body_bytes:
                raise BodyTooLarge(self._max_body_bytes)
            return message

        return limited


class _MarkedSend:
    """`send` that adds a header to the response, and knows whether one was started."""

    def __init__(self, send: Send, name: bytes, value: bytes) -> None:
        self._send = send
        self._header = (name, value)
        self.started = False

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message = {**message, "headers": [*message.get("headers", []), self._header]}
        await self._send(message)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
