"""The demo: which questions it asks, that its readers count truly, and that it really goes round the whole loop."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tandem.demo import CONFIGURATION, READERS, Readers, demo_questions, run
from tandem.errors import UserError
from tests.http_server import Asked, Reply, http_server

QUESTIONS = CONFIGURATION.with_name("questions.jsonl")


def test_the_demo_shows_what_changed_what_no_example_touches_and_what_no_document_says() -> None:
    rows = demo_questions(QUESTIONS)
    assert {row["group"]["kind"] for row in rows} == {"changed", "uncovered", "unanswerable"}
    assert {row["split"] for row in rows} == {"test"}


def test_without_the_sample_domain_the_demo_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tandem.demo.CONFIGURATION", tmp_path / "tandem.yaml")
    with pytest.raises(UserError, match=str(tmp_path)):
        run(keep=False, home=None, json=False)


def test_readers_count_answers_by_version_and_failures() -> None:
    calls = threading.Lock()
    given = 0

    def respond(_: Asked) -> Reply:
        nonlocal given
        with calls:
            given += 1
            number = given
        if number == READERS + 1:
            return 503, {"error": {"message": "The engine is away.", "code": "engine_away"}}, {}
        return 200, {"versions": {"adapter": "old" if number <= READERS else "new"}}, {}

    with http_server(respond) as url:
        readers = Readers(url, ["How long?", "How much?"])
        with readers.asking():
            readers.wait_for(2 * READERS + 1)
    assert readers.answered["old"] == READERS
    assert readers.answered["new"] >= READERS
    assert readers.answered.total() + len(readers.failed) == given
    assert len(readers.failed) == 1


@pytest.mark.slow
def test_the_demo_goes_round_the_whole_loop_and_leaves_nothing_running(tmp_path: Path) -> None:
    home = tmp_path / "home"
    command = [sys.executable, "-m", "tandem.cli", "demo", "--json", "--home", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=True)
    report = json.loads(done.stdout)
    memory, reading = report["adapters"]["finetuned"], report["adapters"]["hybrid"]
    assert report["stale"] > 0
    assert report["swap"]["failed"] == 0
    assert set(report["swap"]["answered"]) == {memory, reading}
    verdict = json.loads((Path(report["verdict"]["folder"]) / "verdict.json").read_bytes())
    assert {variant["name"] for variant in verdict["variants"]} == {"base", "finetuned", "rag", "hybrid", "naive"}
    assert verdict["recommendation"] == report["verdict"]["recommendation"]
    running = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True)
    assert running.stdout == ""
