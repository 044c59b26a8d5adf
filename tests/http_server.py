"""A small HTTP server, for tests of what asks one."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, Any] | bytes, Mapping[str, str]]
"""Status, body, headers."""


@dataclass(frozen=True)
class Asked:
    """A request; `body` is empty where there was none, and `key` is the header of authorization."""

    method: str
    path: str
    key: str | None
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)


@contextmanager
def http_server(respond: Callable[[Asked], Reply]) -> Iterator[str]:
    """The address of a server that answers each GET and POST by `respond`, in threads of their own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def do_GET(self) -> None:
            self._reply({})

        def _reply(self, asked: dict[str, Any]) -> None:
            status, body, headers = respond(
                Asked(self.command, self.path, self.headers["Authorization"], asked, dict(self.headers))
            )
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            # A client that stops lets go of what is in flight.
            with suppress(BrokenPipeError):
                self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing on standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
