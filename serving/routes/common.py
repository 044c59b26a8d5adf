"""What the routes share: who asks, the services, and noticing that a client has gone."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from serving.auth import Identity, check_admin
from serving.flow import Services

T = TypeVar("T")


class ClientGone(Exception):
    """The client closed the connection before its answer was ready."""


def get_services(request: Request) -> Services:
    """The app's services."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


def get_identity(request: Request) -> Identity:
    """Who asks, as the gate found."""
    identity = request.state.identity
    assert isinstance(identity, Identity)
    return identity


def principals_of(request: Request, services: Services, user: str | None = None) -> frozenset[str] | None:
    """The names under which the request sees documents (None: all), narrowed to `user`; raises Forbidden."""
    return services.keys.principals(get_identity(request), user)


def require_admin(request: Request) -> None:
    """Dependency of routes that change something."""
    check_admin(get_identity(request))


ServicesNow = Annotated[Services, Depends(get_services)]


class JsonResponse(Response):
    """JSON by orjson."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """`content` as bytes."""
        return orjson.dumps(content)


class EventStream(StreamingResponse):
    """Server-sent events; closes its iterator however the response ends, so that the engine stops generating."""

    def __init__(self, events: AsyncIterator[bytes]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            close = getattr(self.body_iterator, "aclose", None)
            if close is not None:
                await close()


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do `work` while the client waits for it; cancels it and raises ClientGone when the client leaves."""
    task, watcher = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGone
    finally:
        for unfinished in (task, watcher):
            unfinished.cancel()
        await asyncio.gather(task, watcher, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
