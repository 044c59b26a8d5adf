"""What a Tandem server's answers mean to a client: its address, its objects, its refusals."""

import json
import math
import urllib.parse
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from tandem.errors import Conflict, Forbidden, NotFound, TandemError, Unauthorized, Unavailable, UserError

DEFAULT_RETRY_SECONDS: Final = 1.0
LONGEST_RETRY_SECONDS: Final = 30.0


def address(url: str) -> str:
    """The address without a slash at its end; UserError (`invalid_url`) for what is none."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"{url!r} is not an address such as http://127.0.0.1:8321.", code="invalid_url")
    return url.rstrip("/")


def json_object(data: bytes, url: str) -> dict[str, Any]:
    """The object that a server at `url` answered with; UserError (`no_server`) when it is none."""
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UserError(f"What answers at {url} is not a Tandem server.", code="no_server")
    return value


def refusal(status: int, content: bytes, headers: Mapping[str, str], url: str) -> TandemError:
    """The server's own sentence and code, in the class that fits its status."""
    try:
        detail = json.loads(content)["error"]
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
