"""What uploads and commits do to the latency of other requests: searches beside them, and beside nothing.

`python -m benchmarks.under_load` starts `tandem serve` (its engine is not needed) on an index of 2,000 documents with
the built-in embedder, and searches it ten times a second over one connection. Every round has one stretch of each kind,
in an order that changes: nothing else; a hostile PDF, DOCX or one-line file uploaded every second; a commit of
as many documents as there are (`--documents`). A pair is a quantile of one such stretch and of the quiet one of its
round. A search's milliseconds count from when it was due, so that those that a stall holds up all have it.
"""

import http.client
import io
import json
import random
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.paired import SEED, Comparison, arguments, machine, report

DOCUMENTS = 2000
STRETCH_SECONDS = 6.0
PERIOD_SECONDS = 0.1
UPLOAD_PERIOD_SECONDS = 1.0
QUANTILES = (50, 95, 99)
QUIET, COMMIT = "nothing else", "a commit of as many documents as there are"
WORDS = [f"{start}{end}" for start in ("ka", "lo", "mi", "ru", "te", "vo", "sa", "ne") for end in ("rin", "tal", "mo")]
CONFIGURATION = """base_model: models/tiny
domains:
  load: {}
engine:
  url: http://127.0.0.1:9
"""


@dataclass(frozen=True)
class Server:
    """A running `tandem serve`."""

    port: int
    documents: int

    def send(self, path: str, body: bytes, kind: str) -> int:
        """POST over a connection of its own; the status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        try:
            connection.request("POST", f"/v1/domains/load/{path}", body, {"Content-Type": kind})
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def upload(self, name: str, data: bytes) -> int:
        """Upload one file, other than all before it in its last bytes; the status."""
        head = f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
        return self.send(
            "documents",
            head.encode() + data + secrets.token_hex(4).encode() + b"\r\n--b--\r\n",
            "multipart/form-data; boundary=b",
        )

    def commit(self, turn: int) -> int:
        """Replace the documents by new texts in one request; the status."""
        body = {"documents": [{"id": f"d{n}", "text": text} for n, text in enumerate(texts(turn, self.documents))]}
        return self.send("documents", json.dumps(body).encode(), "application/json")


def texts(turn: int, count: int) -> list[str]:
    """`count` texts of sixty words, others in every turn."""
    chance = random.Random(f"{SEED} {turn}")
    return [" ".join(chance.choices(WORDS, k=60)) for _ in range(count)]


def hostile_files() -> dict[str, tuple[str, bytes]]:
    """By what they are called in the report: a file's name and content."""
    return {
        "hostile PDF files": ("pages.pdf", many_pages(10_000)),
        "hostile DOCX files": ("bomb.docx", zip_bomb()),
        "files of one huge line": ("line.txt", b"x" * 9_000_000),
    }


def many_pages(count: int) -> bytes:
    """A PDF file whose tree of pages lists one page `count` times."""
    kids = b"3 0 R " * count
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, kids),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>",
    ]
    body, places = b"%PDF-1.4\n", b""
    for number, content in enumerate(objects, 1):
        places += b"%010d 00000 n \n" % len(body)
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"xref\n0 4\n0000000000 65535 f \n%strailer\n<< /Size 4 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
    return body + table % (places, len(body))


def zip_bomb() -> bytes:
    """A DOCX file of some 300 KB that unpacks to 300 MB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("word/document.xml", "w") as entry:
        for _ in range(300):
            entry.write(b"\0" * 1_000_000)
    return buffer.getvalue()


def search_while(server: Server, going_on: Callable[[], bool]) -> list[float]:
    """Milliseconds of each search, one due every period for as long as `going_on`."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    chance, found, due = random.Random(SEED), list[float](), time.perf_counter()
    while going_on():
        time.sleep(max(0.0, due - time.perf_counter()))
        body = json.dumps({"query": " ".join(chance.choices(WORDS, k=5))})
        connection.request("POST", "/v1/domains/load/search", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise RuntimeError(f"a search was answered {response.status}")
        found.append(1000 * (time.perf_counter() - due))
        due += PERIOD_SECONDS
    connection.close()
    return found


def stretch(server: Server, disturb: Callable[[], int] | None, seconds: float) -> tuple[list[float], list[int]]:
    """Searches for so long while `disturb` is done every second; to the end of its one doing where `seconds` is 0.

    Returns the milliseconds of the searches and the statuses of what was done beside them.
    """
    end, statuses = time.monotonic() + seconds, list[int]()

    def work() -> None:
        if disturb:
            statuses.append(disturb())
            while time.monotonic() + UPLOAD_PERIOD_SECONDS < end:
                time.sleep(UPLOAD_PERIOD_SECONDS)
                statuses.append(disturb())

    thread = threading.Thread(target=work)
    thread.start()
    milliseconds = search_while(server, lambda: time.monotonic() < end or (not seconds and thread.is_alive()))
    thread.join()
    return milliseconds, statuses


def measure(server: Server, rounds: int) -> list[Comparison]:
    """Every kind of stretch in every round; the quantiles of each beside those of the quiet one."""
    kinds: dict[str, Callable[[int], tuple[list[float], list[int]]]] = {
        QUIET: lambda _: stretch(server, None, STRETCH_SECONDS),
        COMMIT: lambda turn: stretch(server, lambda: server.commit(turn), 0),
    }
    for name, (file, data) in hostile_files().items():
        kinds[name] = lambda _, file=file, data=data: stretch(  # type: ignore[misc]
            server, lambda: server.upload(file, data), STRETCH_SECONDS
        )
    stretch(server, None, STRETCH_SECONDS / 2)
    server.commit(-2)
    found: list[dict[str, tuple[list[float], list[int]]]] = []
    for turn in range(rounds):
        order = random.Random(turn).sample(list(kinds), len(kinds))
        found.append({name: kinds[name](turn) for name in order})
    return [compared(found, name, quantile) for name in kinds if name != QUIET for quantile in QUANTILES]


def compared(found: list[dict[str, tuple[list[float], list[int]]]], name: str, quantile: int) -> Comparison:
    """One quantile of the searches beside `name`, with that of the quiet stretch of the same round."""
    values = [
        (float(np.percentile(one[name][0], quantile)), float(np.percentile(one[QUIET][0], quantile))) for one in found
    ]
    statuses = sorted({status for one in found for status in one[name][1]})
    details = {
        "searches": sum(len(one[name][0]) for one in found),
        "done_beside": f"{sum(len(one[name][1]) for one in found)}, answered {', '.join(map(str, statuses))}",
        "longest": f"{max(max(one[name][0]) for one in found):.0f} ms",
    }
    return Comparison(f"p{quantile} of searches beside {name}", "beside it", QUIET, "ms", values, details)


@contextmanager
def served(folder: Path, documents: int) -> Iterator[Server]:
    """`tandem serve` over the documents of turn −1."""
    from retrieval.documents import Document
    from retrieval.embedder import load_embedder
    from retrieval.index import Index
    from tandem.config import load_config

    (folder / "tandem.yaml").write_text(CONFIGURATION)
    config = load_config(folder / "tandem.yaml")
    with Index.open(folder / "home" / "indexes" / "load", load_embedder(config.embedder), config.retrieval) as index:
        index.add([Document(f"d{n}", f"d{n}", text) for n, text in enumerate(texts(-1, documents))])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener.getsockname()[1], documents)
    words = ["serve", "--config", str(folder / "tandem.yaml"), "--home", str(folder / "home"), "--port"]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "tandem.cli", *words, str(server.port)], stderr=log)
        try:
            _wait(server, process, folder / "serve.log")
            yield server
        finally:
            process.terminate()
            process.wait()


def _wait(server: Server, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            if server.send("search", b'{"query": "karin"}', "application/json") == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"`tandem serve` did not become ready: {log.read_text()[-2000:]}")


def main() -> None:
    """Serve, measure, print."""
    parser = arguments("under_load", "Latency of searches beside uploads and commits.", repetitions=5)
    parser.add_argument("--documents", type=int, default=DOCUMENTS, help="in the index and in a commit")
    options = parser.parse_args()
    before = machine()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), options.documents) as server:
        report("under_load", before, measure(server, options.repetitions), options.json)


if __name__ == "__main__":
    main()
