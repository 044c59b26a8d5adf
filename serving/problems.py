"""Every error as OpenAI's shape: {"error": {"message", "type", "param", "code"}}, one clear sentence, no traceback."""

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from serving.engine import Json
from tandem.errors import Forbidden, NotFound, TandemError, TooLarge, Unauthorized, Unavailable, UserError

TYPES: Final = {
    Unauthorized: "authentication_error",
    Forbidden: "permission_error",
    UserError: "invalid_request_error",
    Unavailable: "service_unavailable",
}


class BodyTooLarge(HTTPException):
    """Raised while a body is read; an HTTPException because FastAPI turns any other into "error parsing the body"."""

    def __init__(self, limit: int) -> None:
        super().__init__(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, body_too_large(limit).message)


def body_too_large(limit: int) -> TooLarge:
    """The error of a body above `limit` bytes."""
    return TooLarge(f"The body is larger than {limit:,} bytes (serving.max_body_bytes); send it in parts.")


def our_mistake() -> TandemError:
    """What a client sees of a bug."""
    return TandemError("Something went wrong inside Tandem; this is a bug, and the server's log has its details.")


def error_body(error: TandemError) -> Json:
    """The body for an error; `details` that machines may use stand beside the sentence."""
    kind = next((name for root, name in TYPES.items() if isinstance(error, root)), "server_error")
    details = {name: value for name, value in error.details.items() if name != "param"}
    body = {"message": error.message, "type": kind, "param": error.details.get("param"), "code": error.code}
    return {"error": details | body}


def error_response(error: TandemError) -> Response:
    """The response for an error."""
    headers = {}
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    content = orjson.dumps(error_body(error), default=str)
    return Response(content, error.status, headers, media_type="application/json")


def install(app: FastAPI) -> None:
    """Have the app answer all errors this way."""
    app.add_exception_handler(TandemError, _on_tandem_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)


async def _on_tandem_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, TandemError)
    return error_response(error)


async def _on_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return error_response(describe_invalid(error.errors()))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, BodyTooLarge):
        return error_response(TooLarge(str(error.detail)))
    if error.status_code == HTTPStatus.NOT_FOUND:
        return error_response(NotFound(f"There is no route {request.method} {request.url.path}.", code="unknown_route"))
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "another method")
        message = f"{request.url.path} does not take {request.method}; use {allowed}."
        return error_response(UserError(message, code="method_not_allowed", status=error.status_code))
    return error_response(UserError(f"The request cannot be read: {error.detail}", status=error.status_code))


def describe_invalid(errors: Sequence[Any]) -> UserError:
    """One sentence for pydantic's first error."""
    first = errors[0]
    # Names of the alternatives of a union are pydantic's, not the client's.
    path = [part for part in first["loc"] if part not in ("body", "query", "path", "str") and "[" not in str(part)]
    name = ".".join(str(part) for part in path)
    kind, message = first["type"], str(first["msg"])
    if kind == "json_invalid":
        place = "".join(f" at character {part}" for part in first["loc"] if isinstance(part, int))
        return UserError(f"The body is not valid JSON: {first['ctx']['error']}{place}.")
    if kind == "value_error":
        return UserError(str(first["ctx"]["error"]))
    if not path:
        return UserError("The body has to be a JSON object, sent with `Content-Type: application/json`.")
    if kind == "missing":
        message = f"`{name}` is missing."
    elif kind == "extra_forbidden":
        message = f"`{name}` is not a parameter of this route."
    elif message.startswith(("Input should", "String should", "List should", "Value should")):
        message = f"`{name}` {message.partition(' ')[2]}."
    else:
        message = f"`{name}`: {message}."
    return UserError(message, param=name)
