"""A small client of the gateway for the command line; standard library only, so that it starts at once."""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from tandem.errors import Unavailable, UserError
from tandem.responses import address, json_object, refusal


def post(url: str, route: str, body: dict[str, Any], api_key: str | None, timeout_seconds: float) -> dict[str, Any]:
    """POST `body` as JSON and return the answer's object.

    Raises UserError when nobody listens at `url` or the server refuses the request, Unavailable
    when it is busy, TandemError when it fails.
    """
    headers = {"Content-Type": "application/json"}
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    data = json.dumps(body).encode()
    request = urllib.request.Request(address(url) + route, data=data, headers=headers, method="POST")
    try:
        with _opener(url).open(request, timeout=timeout_seconds) as response:
            return json_object(response.read(), url)
    except urllib.error.HTTPError as error:
        headers = {name.title(): value for name, value in error.headers.items()}
        raise refusal(error.code, error.read(), headers, url) from error
    except TimeoutError as error:
        raise Unavailable(f"{url} did not answer within {timeout_seconds:.0f} s; try --timeout.") from error
    except (OSError, http.client.HTTPException) as error:
        raise UserError(
            f"No Tandem server answers at {url} ({getattr(error, 'reason', error)}): start one with `tandem serve`, "
            "or name one with --url or TANDEM_URL.",
            code="no_server",
        ) from error


def _opener(url: str) -> urllib.request.OpenerDirector:
    """An opener that goes past a configured proxy for this machine itself."""
    local = urllib.parse.urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))
