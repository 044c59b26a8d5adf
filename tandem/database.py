"""The database: a record of every request (later feedback, pointers and experiments).

SQLite in the workspace by default; any SQLAlchemy URL works. Tables are created when missing, and
a database that a newer Tandem made is refused.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from tandem.errors import ConfigError
from tandem.files import locked

SCHEMA_VERSION: Final = 1
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

    def ping(self) -> None:
        """Raise sqlalchemy's DBAPIError when the database does not answer."""
        with self._engine.connect() as connection:
            connection.execute(sa.select(1))

    def close(self) -> None:
        """Give the connections back; the object is not to be used afterwards."""
        self._engine.dispose()


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
        version = connection.execute(sa.select(schema_table.c.version)).scalar()
        if version is None:
            connection.execute(schema_table.insert().values(version=SCHEMA_VERSION))
        elif version > SCHEMA_VERSION:
            raise ConfigError(
                f"The database {engine.url!r} has schema version {version}, and this Tandem knows "
                f"{SCHEMA_VERSION}: update Tandem, or name another database in tandem.yaml.",
                code="workspace_too_new",
            )
        connection.execute(CreateTable(requests_table, if_not_exists=True))
        for index in requests_table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))
