"""The database of requests."""

import multiprocessing
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from tandem.database import Database, RequestRecord, _move, pointers_table
from tandem.errors import ConfigError, Conflict
from tandem.workspace import Workspace

RECORD = RequestRecord(
    id="ask-1",
    status=200,
    time=1_700_000_000.25,
    owner="user",
    domain="helpdesk",
    variant="rag",
    model="base",
    snapshot=3,
    prompt_hash="ab" * 32,
    prompt_tokens=700,
    completion_tokens=12,
    abstained=False,
    citations=[{"marker": 1, "document": "returns.md", "passage": "returns.md#0"}],
    timings_ms={"search": 4.5, "total": 230.0},
)

KILLED_RECORDER = """
import sys
from tandem.database import Database, RequestRecord, _move, pointers_table
database = Database(sys.argv[1])
for number in range(10_000):
    database.record_request(RequestRecord(id=f"r{number}", status=200))
    print(number, flush=True)
"""


def test_a_recorded_request_is_read_back_as_it_was(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/tandem.db")
    database.record_request(RECORD)
    assert database.recent_requests() == [RECORD]
    database.close()


def test_requests_outlive_the_process_newest_first(tmp_path: Path) -> None:
    url = Workspace.open(tmp_path).database_url()
    first = Database(url)
    for number in range(3):
        first.record_request(replace(RECORD, id=str(number), time=float(number)))
    first.close()
    second = Database(url)
    assert [record.id for record in second.recent_requests(limit=2)] == ["2", "1"]
    second.close()


def test_threads_record_at_once_without_losing_any(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/tandem.db")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: database.record_request(replace(RECORD, id=str(number))), range(200)))
    assert len(database.recent_requests(limit=1000)) == 200
    database.close()


def test_many_processes_open_a_new_database_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tandem.db"
    with multiprocessing.get_context("spawn").Pool(6) as pool:
        pool.starmap(_record_one, [(url, str(number)) for number in range(12)])
    database = Database(url)
    assert len(database.recent_requests()) == 12
    database.close()


def _record_one(url: str, identifier: str) -> None:
    database = Database(url)
    database.record_request(replace(RECORD, id=identifier))
    database.close()


def test_what_was_recorded_before_a_kill_is_there_after_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tandem.db"
    with subprocess.Popen([sys.executable, "-c", KILLED_RECORDER, url], stdout=subprocess.PIPE) as recorder:
        assert recorder.stdout is not None
        for _ in range(50):
            last = int(recorder.stdout.readline())
        recorder.send_signal(signal.SIGKILL)
    database = Database(url)
    recorded = {record.id for record in database.recent_requests(limit=20_000)}
    database.close()
    assert {f"r{number}" for number in range(last + 1)} <= recorded


def test_a_newer_database_is_refused_in_a_sentence(tmp_path: Path) -> None:
    Database(f"sqlite:///{tmp_path}/tandem.db").close()
    connection = sqlite3.connect(tmp_path / "tandem.db")
    connection.execute("UPDATE tandem_schema SET version = 99")
    connection.commit()
    connection.close()
    with pytest.raises(ConfigError, match="has schema version 99, and this Tandem knows 2") as caught:
        Database(f"sqlite:///{tmp_path}/tandem.db")
    assert caught.value.code == "workspace_too_new"


def test_a_file_that_is_no_database_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "tandem.db").write_bytes(b"not a database " * 1000)
    with pytest.raises(ConfigError, match="cannot be opened .*not a database.*check `database:`"):
        Database(f"sqlite:///{tmp_path}/tandem.db")


def test_a_missing_folder_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened"):
        Database(f"sqlite:///{tmp_path}/missing/tandem.db")


@pytest.mark.parametrize("url", ["", "nonsense", "mongodb://host/name"])
def test_what_is_no_database_url_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(ConfigError, match="must be `sqlite` or a URL such as postgresql"):
        Database(url)


def test_a_missing_driver_is_named() -> None:
    with pytest.raises(ConfigError, match="driver of this database is not installed: pip install psycopg"):
        Database("postgresql+psycopg://user:secret@localhost/tandem")


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Database(f"sqlite://user:secret@host/{tmp_path}/tandem.db")
    assert "secret" not in str(caught.value)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path}/tandem.db")
    yield opened
    opened.close()


def test_a_pointer_moves_from_what_is_expected_and_remembers_it(database: Database) -> None:
    assert database.pointer("helpdesk", "hybrid") is None
    first = database.move_pointer("helpdesk", "hybrid", "a" * 12, None)
    second = database.move_pointer("helpdesk", "hybrid", "b" * 12, "a" * 12)
    assert (first.version, first.previous) == ("a" * 12, None)
    assert (second.version, second.previous) == ("b" * 12, "a" * 12)
    assert database.pointer("helpdesk", "hybrid") == second
    assert second.changed >= first.changed


@pytest.mark.parametrize("expected", [None, "c" * 12])
def test_a_pointer_that_was_moved_meanwhile_stays_and_is_named(database: Database, expected: str | None) -> None:
    live = database.move_pointer("helpdesk", "hybrid", "a" * 12, None)
    with pytest.raises(Conflict, match="points to aaaaaaaaaaaa") as caught:
        database.move_pointer("helpdesk", "hybrid", "b" * 12, expected)
    assert (caught.value.code, caught.value.details) == ("stale_pointer", {"live": "a" * 12})
    assert database.pointer("helpdesk", "hybrid") == live


def test_pointing_from_something_where_there_is_nothing_is_stale(database: Database) -> None:
    with pytest.raises(Conflict, match="points to no adapter") as caught:
        database.move_pointer("helpdesk", "hybrid", "b" * 12, "a" * 12)
    assert caught.value.details == {"live": None}
    assert database.pointers() == []


def test_pointers_are_listed_by_domain_and_variant(database: Database) -> None:
    for domain, variant in (("b", "hybrid"), ("a", "hybrid"), ("a", "finetuned")):
        database.move_pointer(domain, variant, "a" * 12, None)
    assert [(p.domain, p.variant) for p in database.pointers()] == [
        ("a", "finetuned"),
        ("a", "hybrid"),
        ("b", "hybrid"),
    ]
    assert [p.variant for p in database.pointers("b")] == ["hybrid"]


def test_of_many_who_move_a_pointer_at_once_one_wins_each_time(database: Database) -> None:
    def move(version: str) -> bool:
        try:
            return bool(database.move_pointer("helpdesk", "hybrid", version, live))
        except Conflict:
            return False

    live: str | None = None
    for turn in range(3):
        with ThreadPoolExecutor(8) as pool:
            versions = [f"{turn}{number}" for number in range(8)]
            won = [version for version, moved in zip(versions, pool.map(move, versions), strict=True) if moved]
        assert len(won) == 1
        pointer = database.pointer("helpdesk", "hybrid")
        assert pointer is not None
        assert (pointer.version, pointer.previous) == (won[0], live)
        live = won[0]


def test_a_database_of_version_1_keeps_its_rows_and_gets_pointers(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/tandem.db")
    database.record_request(RECORD)
    database.close()
    connection = sqlite3.connect(tmp_path / "tandem.db")
    connection.executescript("DROP TABLE pointers; UPDATE tandem_schema SET version = 1")
    connection.close()
    for _ in range(2):
        migrated = Database(f"sqlite:///{tmp_path}/tandem.db")
        assert migrated.recent_requests() == [RECORD]
        migrated.close()
    migrated = Database(f"sqlite:///{tmp_path}/tandem.db")
    assert migrated.move_pointer("helpdesk", "hybrid", "a" * 12, None).version == "a" * 12
    migrated.close()


def test_every_statement_compiles_for_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for statement in (_move("d", "hybrid", "a", None), _move("d", "hybrid", "b", "a"), CreateTable(pointers_table)):
        assert statement.compile(dialect=dialect)
    update = str(_move("d", "hybrid", "b", "a").compile(dialect=dialect))
    assert "previous=pointers.version" in update
    assert "pointers.version = %(version_1)s" in update
