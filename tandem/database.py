"""The database: a record of every request, and the pointers to the live adapters (later feedback and experiments).

SQLite in the workspace by default; any SQLAlchemy URL works. Tables are created when missing, an older database gets
what it lacks when it is opened, and one that a newer Tandem made is refused.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from tandem.errors import ConfigError, Conflict
from tandem.files import locked

SCHEMA_VERSION: Final = 2
BUSY_TIMEOUT_MILLISECONDS: Final = 10_000

metadata = sa.MetaData()

schema_table = sa.Table("tandem_schema", metadata, sa.Column("version", sa.Integer, nullable=False))

requests_table = sa.Table(
    "requests",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("time", sa.Double, nullable=False, index=True),
    sa.Column("owner", sa.String(255)),
    sa.Column("domain", sa.String(63)),
    sa.Column("variant", sa.String(16)),
    sa.Column("model", sa.String(255)),
    sa.Column("adapter", sa.String(255)),
    sa.Column("snapshot", sa.Integer),
    sa.Column("prompt_hash", sa.String(64)),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("code", sa.String(64)),
    sa.Column("prompt_tokens", sa.Integer),
    sa.Column("completion_tokens", sa.Integer),
    sa.Column("abstained", sa.Boolean),
    sa.Column("citations", sa.JSON, nullable=False),
    sa.Column("timings_ms", sa.JSON, nullable=False),
    sa.Column("question", sa.Text),
    sa.Column("answer", sa.Text),
)

pointers_table = sa.Table(
    "pointers",
    metadata,
    sa.Column("domain", sa.String(63), primary_key=True),
    sa.Column("variant", sa.String(16), primary_key=True),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("previous", sa.String(64)),
    sa.Column("changed", sa.Double, nullable=False),
)


@dataclass(frozen=True)
class RequestRecord:
    """One answered or refused request.

    `time` is seconds since 1970 UTC; `citations` are JSON objects that name documents and
    passages, never their text; `question` and `answer` stay None unless texts are to be stored.
    """

    id: str
    status: int
    time: float = field(default_factory=time.time)
    owner: str | None = None
    domain: str | None = None
    variant: str | None = None
    model: str | None = None
    adapter: str | None = None
    snapshot: int | None = None
    prompt_hash: str | None = None
    code: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    abstained: bool | None = None
    citations: Sequence[Mapping[str, Any]] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    question: str | None = None
    answer: str | None = None


@dataclass(frozen=True)
class Pointer:
    """Which adapter version answers for a tuned variant of a domain.

    `previous` is what it pointed to before, None at first; `changed` is seconds since 1970 UTC.
    """

    domain: str
    variant: str
    version: str
    previous: str | None
    changed: float


class Database:
    """Thread-safe access to the tables; one per process."""

    def __init__(self, url: str) -> None:
        """Connect and make missing tables; ConfigError when the URL or the schema does not fit."""
        self._engine = _create_engine(url)
        try:
            _prepare(self._engine)
        except sa.exc.DBAPIError as error:
            self.close()
            raise ConfigError(
                f"The database {self._engine.url!r} cannot be opened ({error.orig}); check `database:` in tandem.yaml."
            ) from error
        except BaseException:
            self.close()
            raise

    def record_request(self, record: RequestRecord) -> None:
        """Insert one row and commit; blocks for the commit, so call it off the answer's path."""
        row = {**asdict(record), "citations": [dict(citation) for citation in record.citations]}
        with self._engine.begin() as connection:
            connection.execute(requests_table.insert().values(row))

    def recent_requests(self, limit: int = 100) -> list[RequestRecord]:
        """The newest `limit` requests, newest first."""
        query = requests_table.select().order_by(requests_table.c.time.desc()).limit(limit)
        with self._engine.connect() as connection:
            return [RequestRecord(**row) for row in connection.execute(query).mappings()]

    def pointer(self, domain: str, variant: str) -> Pointer | None:
        """What a variant points to now; None where it never pointed to anything."""
        with self._engine.connect() as connection:
            return _read_pointer(connection, domain, variant)

    def pointers(self, domain: str | None = None) -> list[Pointer]:
        """All pointers, or those of one domain, by domain and variant."""
        query = pointers_table.select().order_by(pointers_table.c.domain, pointers_table.c.variant)
        if domain is not None:
            query = query.where(pointers_table.c.domain == domain)
        with self._engine.connect() as connection:
            return [Pointer(**row) for row in connection.execute(query).mappings()]

    def move_pointer(self, domain: str, variant: str, version: str, expected: str | None) -> Pointer:
        """Point a variant to `version` if it still points to `expected` (None: to nothing), in one transaction.

        Raises Conflict (`stale_pointer`, its detail `live` is what is pointed to) when it does not.
        """
        try:
            with self._engine.begin() as connection:
                moved = connection.execute(_move(domain, variant, version, expected)).rowcount == 1
                pointer = _read_pointer(connection, domain, variant)
        except sa.exc.IntegrityError:  # there is a first pointer already
            moved, pointer = False, self.pointer(domain, variant)
        if moved and pointer is not None:
            return pointer
        raise stale_pointer(domain, variant, pointer.version if pointer else None, expected)

    def close(self) -> None:
        """Give the connections back; the object is not to be used afterwards."""
        self._engine.dispose()


def stale_pointer(domain: str, variant: str, live: str | None, expected: str | None) -> Conflict:
    """The error of a swap that expects another version to be live than is."""
    return Conflict(
        f"{domain}/{variant} points to {live or 'no adapter'}, not to {expected or 'none'}: it was moved meanwhile. "
        "Look at what is live, then swap again.",
        code="stale_pointer",
        live=live,
    )


def _move(domain: str, variant: str, version: str, expected: str | None) -> sa.Insert | sa.Update:
    table, now = pointers_table, time.time()
    if expected is None:
        return table.insert().values(domain=domain, variant=variant, version=version, previous=None, changed=now)
    is_expected = (table.c.domain == domain) & (table.c.variant == variant) & (table.c.version == expected)
    # `previous` takes the old version: an UPDATE reads every column before it writes any.
    return table.update().where(is_expected).values(version=version, previous=table.c.version, changed=now)


def _read_pointer(connection: sa.Connection, domain: str, variant: str) -> Pointer | None:
    table = pointers_table
    query = table.select().where((table.c.domain == domain) & (table.c.variant == variant))
    row = connection.execute(query).mappings().one_or_none()
    return Pointer(**row) if row else None


def _create_engine(url: str) -> sa.Engine:
    try:
        engine = sa.create_engine(url, json_serializer=_to_json, pool_pre_ping=True)
    except sa.exc.ArgumentError as error:
        raise ConfigError(
            "`database:` in tandem.yaml must be `sqlite` or a URL such as postgresql+psycopg://user:password@host/name."
        ) from error
    except ModuleNotFoundError as error:
        raise ConfigError(f"The driver of this database is not installed: pip install {error.name}.") from error
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # FULL: a request that was answered stays recorded through a power cut (0.3 ms a commit).
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MILLISECONDS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _prepare(engine: sa.Engine) -> None:
    """Create what is missing; the first switch to WAL needs the file alone, hence the lock."""
    if engine.dialect.name == "sqlite" and engine.url.database not in (None, "", ":memory:"):
        path = Path(str(engine.url.database))
        try:
            with locked(path.with_name(f".{path.name}.lock")):
                _create_missing(engine)
        except OSError as error:
            raise ConfigError(
                f"The database {path} cannot be opened ({error.strerror or error}); "
                "check that its folder exists and is writable."
            ) from error
    else:
        _create_missing(engine)


def _create_missing(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(CreateTable(schema_table, if_not_exists=True))
        version = connection.execute(sa.select(schema_table.c.version).with_for_update()).scalar()
        if version is None:
            _create(connection, requests_table, pointers_table)
            connection.execute(schema_table.insert().values(version=SCHEMA_VERSION))
        elif version > SCHEMA_VERSION:
            raise ConfigError(
                f"The database {engine.url!r} has schema version {version}, and this Tandem knows "
                f"{SCHEMA_VERSION}: update Tandem, or name another database in tandem.yaml.",
                code="workspace_too_new",
            )
        elif version < SCHEMA_VERSION:
            for step in range(version, SCHEMA_VERSION):
                MIGRATIONS[step](connection)
            connection.execute(schema_table.update().values(version=SCHEMA_VERSION))


def _create(connection: sa.Connection, *tables: sa.Table) -> None:
    for table in tables:
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))


def _add_pointers(connection: sa.Connection) -> None:
    _create(connection, pointers_table)


MIGRATIONS: Final[Mapping[int, Callable[[sa.Connection], None]]] = {1: _add_pointers}
"""Version → what turns a database of that version into the next one."""
