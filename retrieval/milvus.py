"""Vectors in Milvus; the only file that imports its client and Milvus Lite.

Lite runs in this process, behind a socket that only this user can reach. It fsyncs nothing before it is closed and
keeps no checksums, so what is found at opening counts only if it is, to the byte, what a clean closing left.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from retrieval.embedder import Vectors
from retrieval.vectors import Numbers
from tandem.errors import ConfigError, Unavailable
from tandem.files import sync_path, write_atomic

FOLDER: Final = "milvus"
"""Milvus Lite's folder, inside that of the index."""
AT_ONCE: Final = 2_000
"""Rows that are sent in one call: 3 MB of 384 values each."""
TIMEOUT_SECONDS: Final = 10.0
# After a call that found nobody, searches are answered at once for so long.
PAUSE_SECONDS: Final = 2.0
_NO_COLLECTION: Final = 100

T = TypeVar("T")
_logger = logging.getLogger(__name__)


class Gone(Exception):
    """A collection is not what was searched any more: another process moved it, or it is lost."""


class Milvus:
    """A cluster's client, or Milvus Lite in `folder`; safe from several threads. Connects when first asked.

    Every method but `close` raises Unavailable (`milvus_unreachable`) where nobody answers, and those that name a
    collection raise Gone where there is none.
    """

    def __init__(self, folder: Path, address: str | None, environment: Mapping[str, str] = os.environ) -> None:
        self._folder = folder / FOLDER
        self._place = self._folder
        self.address = address
        self._token = read_token(environment) if address else ""
        self._client: Any = None
        self._server: Any = None
        self._database: Any = None
        self._socket: str | None = None
        self._held: int | None = None
        self._loaded: set[str] = set()
        self._failed_at = float("-inf")
        self._lock = threading.Lock()
        require_installed(embedded=address is None)

    @property
    def embedded(self) -> bool:
        """Whether this is Milvus Lite."""
        return self.address is None

    def hold(self) -> bool:
        """Claim Lite's folder for this process; False where another one has it."""
        held = os.open(self._folder.with_name(f".{FOLDER}.lock"), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            return False
        self._held = held
        return True

    def is_whole(self, name: str) -> bool:
        """Whether Lite's folder of this collection is what its last closing left; asked once, as it is then used."""
        self._place = self._folder / name
        try:
            expected = self._digest.read_text(encoding="ascii")
            self._digest.unlink()
        except OSError:
            return False
        return expected == _digest_of(self._place)

    def erase(self) -> None:
        """Stop Lite and remove every byte of its folder."""
        self._stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _digest(self) -> Path:
        return self._place.with_name(f"{self._place.name}.digest")

    def create(self, name: str, dimension: int) -> None:
        """An empty collection of unit vectors by number, searched exactly; for Lite, in a folder of that name.

        Whoever still has Lite open in a folder that was replaced writes to no other's.
        """
        if self.embedded:
            self._place = self._folder / name
            self._place.mkdir(parents=True)

        def made(client: Any) -> None:
            from pymilvus import DataType

            schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
            schema.add_field("number", DataType.INT64, is_primary=True)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
            index = client.prepare_index_params()
            index.add_index("vector", index_type="FLAT", metric_type="IP")
            client.create_collection(name, schema=schema, consistency_level="Strong")
            # Without a wait: there is nothing in it, and the client would sleep half a second.
            client.create_index(name, index, sync=False)

        self._call(made)

    def add(self, name: str, numbers: Numbers, vectors: Vectors) -> None:
        """Put vectors, shape (len(numbers), dimension), under their numbers; those that are there stay the same."""
        for first in range(0, len(numbers), AT_ONCE):
            part = zip(numbers[first : first + AT_ONCE], vectors[first : first + AT_ONCE], strict=True)
            rows = [{"number": int(number), "vector": vector} for number, vector in part]
            self._call(partial(_upsert, name, rows))
        if len(numbers):
            # Searching what was not flushed takes Lite ten times as long.
            self._call(lambda client: client.flush(name))

    def remove(self, name: str, numbers: Numbers) -> None:
        """Remove the vectors of these numbers."""
        for first in range(0, len(numbers), AT_ONCE):
            part = [int(number) for number in numbers[first : first + AT_ONCE]]
            self._call(partial(_delete, name, part))

    def compact(self, name: str) -> None:
        """Ask a cluster to write its files without what was removed."""
        self._call(lambda client: client.compact(name))

    def drop(self, name: str) -> None:
        """Remove a whole collection."""
        self._call(lambda client: client.drop_collection(name))

    def count(self, name: str) -> int:
        """How many vectors a collection holds."""
        self._load(name)
        found = self._call(lambda client: client.query(name, filter="", output_fields=["count(*)"]))
        return int(found[0]["count(*)"])

    def search(self, name: str, query: Vectors, limit: int, filter: str) -> list[tuple[int, float]]:
        """The nearest `limit` numbers that `filter` allows with their cosines; `query` has shape (dimension,)."""
        self._load(name)
        asked = np.asarray(query, np.float32)
        found = self._call(
            lambda client: client.search(
                name, data=[asked], limit=limit, filter=filter, anns_field="vector", output_fields=["number"]
            )
        )
        return [(int(hit["number"]), float(hit["distance"])) for hit in list(found[0])]

    def close(self) -> None:
        """Let go; Lite's folder is sealed by a digest, for the next opening to believe it."""
        was_open = self._server is not None
        self._stop()
        if was_open:
            with contextlib.suppress(OSError):
                for path in [self._place, *self._place.rglob("*")]:
                    sync_path(path)
                write_atomic(self._digest, _digest_of(self._place).encode("ascii"))
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _load(self, name: str) -> None:
        if name not in self._loaded:
            self._call(lambda client: client.load_collection(name))
            self._loaded.add(name)

    def _call(self, ask: Callable[[Any], T]) -> T:
        from pymilvus.exceptions import MilvusException

        try:
            return ask(self._connected())
        except MilvusException as error:
            if error.code == _NO_COLLECTION:
                raise Gone(str(error)) from None
            raise self._unreachable(error) from error
        except (OSError, ValueError, RuntimeError) as error:
            raise self._unreachable(error) from error

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                if time.monotonic() - self._failed_at < PAUSE_SECONDS:
                    raise self._unreachable("it did not answer a moment ago", count=False)
                self._client = self._connect()
            return self._client

    def _connect(self) -> Any:
        with _quietly():
            from pymilvus import MilvusClient

            if self.address is not None:
                return MilvusClient(self.address, token=self._token, timeout=TIMEOUT_SECONDS)
            from milvus_lite.adapter.grpc.server import start_server_in_thread

            # A socket's path may have a hundred bytes, an index's folder lies deeper.
            self._socket = tempfile.mkdtemp(prefix="tandem-milvus-")
            path = f"{self._socket}/socket"
            self._server, self._database, _ = start_server_in_thread(str(self._place), host="unix", port=path)
            return MilvusClient(f"unix:{path}", timeout=TIMEOUT_SECONDS)

    def _stop(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
            if self._server is not None:
                self._server.stop(None).wait()
                self._database.close()
            if self._socket is not None:
                shutil.rmtree(self._socket, ignore_errors=True)
            self._client = self._server = self._database = self._socket = None
            self._loaded.clear()

    def _unreachable(self, reason: object, *, count: bool = True) -> Unavailable:
        if count:
            self._failed_at = time.monotonic()
            self._loaded.clear()
            if self.address is not None:
                self._client = None
        place = self.address or f"Milvus Lite in {self._folder}"
        detail = str(getattr(reason, "message", reason)).splitlines()[0].rstrip(".")
        return Unavailable(
            f"The vectors cannot be searched now: {place} did not do what it was asked ({detail}).",
            code="milvus_unreachable",
            retry_after_seconds=PAUSE_SECONDS,
        )


def _upsert(name: str, rows: list[dict[str, Any]], client: Any) -> None:
    client.upsert(name, rows)


def _delete(name: str, numbers: list[int], client: Any) -> None:
    client.delete(name, ids=numbers)


def require_installed(*, embedded: bool) -> None:
    """Raise ConfigError, with what to install, where the client or Milvus Lite is missing; quiets the client's log."""
    try:
        with _quietly():
            import pymilvus  # noqa: F401

            if embedded:
                import milvus_lite  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"retrieval.store is milvus, and the package {error.name} is not installed:"
            " `pip install 'tandem[milvus]'` brings it.",
            code="milvus_missing",
        ) from error


def read_token(environment: Mapping[str, str]) -> str:
    """The cluster's token from TANDEM_MILVUS_TOKEN or the file TANDEM_MILVUS_TOKEN_FILE; empty where none is set."""
    value, file = environment.get("TANDEM_MILVUS_TOKEN"), environment.get("TANDEM_MILVUS_TOKEN_FILE")
    if value is not None and file is not None:
        raise ConfigError("Both TANDEM_MILVUS_TOKEN and TANDEM_MILVUS_TOKEN_FILE are set; keep one.")
    if file is not None:
        try:
            value = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The token file {file} (TANDEM_MILVUS_TOKEN_FILE) cannot be read: {error}.") from error
    return (value or "").strip()


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """The client reads a .env file when it is imported, and logs each failed call with its traceback; not here."""
    settings = {"PYTHON_DOTENV_DISABLED": "1", "GRPC_VERBOSITY": "ERROR"}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL + 1)


def _digest_of(folder: Path) -> str:
    """Over the names and the bytes of all files below `folder`."""
    digest = hashlib.blake2b(digest_size=32)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "blake2b").digest()
            digest.update(os.fsencode(path.relative_to(folder)) + b"\0" + content)
    return digest.hexdigest()
