"""A small client of the gateway for the command line; standard library only, so that it starts at once."""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from tandem.errors import TandemError, Unauthorized, Unavailable, UserError


def post(url: str, route: str, body: dict[str, Any], api_key: str | None, timeout_seconds: float) -> dict[str, Any]:
    """POST `body` as JSON and return the answer's object.

    Raises UserError when nobody listens at `url` or the server refuses the request, Unavailable
    when it is busy, TandemError when it fails.
    """
    headers = {"Content-Type": "application/json"}
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    data = json.dumps(body).encode()
    request = urllib.request.Request(_address(url) + route, data=data, headers=headers, method="POST")
    try:
        with _opener(url).open(request, timeout=timeout_seconds) as response:
            return _object(response.read(), url)
    except urllib.error.HTTPError as error:
        raise _refusal(error, url) from error
    except TimeoutError as error:
        raise Unavailable(f"{url} did not answer within {timeout_seconds:.0f} s; try --timeout.") from error
    except (OSError, http.client.HTTPException) as error:
        raise UserError(
            f"No Tandem server answers at {url} ({getattr(error, 'reason', error)}): start one with `tandem serve`, "
            "or name one with --url or TANDEM_URL.",
            code="no_server",
        ) from error


def _address(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"{url!r} is not an address such as http://127.0.0.1:8321.", code="invalid_url")
    return url.rstrip("/")


def _opener(url: str) -> urllib.request.OpenerDirector:
    """An opener that goes past a configured proxy for this machine itself."""
    local = urllib.parse.urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))


def _object(data: bytes, url: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UserError(f"What answers at {url} is not a Tandem server.", code="no_server")
    return value


def _refusal(error: urllib.error.HTTPError, url: str) -> TandemError:
    """The server's own sentence and code, in the class that fits its status."""
    try:
        detail = json.loads(error.read())["error"]
        message, code = str(detail["message"]), detail.get("code")
    except (ValueError, KeyError, TypeError):
        message, code = f"What answers at {url} is not a Tandem server (HTTP {error.code}).", "no_server"
    if error.code == 401:
        return Unauthorized(f"{message} Give a key with --api-key or TANDEM_API_KEY.", code=code)
    if error.code == 503:
        return Unavailable(message, code=code)
    kind = UserError if error.code < 500 else TandemError
    return kind(message, code=code, status=error.code)
