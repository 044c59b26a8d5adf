"""The demo: which questions it asks, and that it really answers them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tandem.demo import CONFIGURATION, demo_questions, run
from tandem.errors import UserError

QUESTIONS = CONFIGURATION.with_name("questions.jsonl")


def test_the_demo_asks_about_three_different_documents_and_once_what_none_says() -> None:
    rows = demo_questions(QUESTIONS)
    assert len({document for row in rows for document in row["documents"]}) == 3
    assert [bool(row["answers"]) for row in rows] == [True, True, True, False]
    assert {row["split"] for row in rows} == {"test"}


def test_without_the_sample_domain_the_demo_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tandem.demo.CONFIGURATION", tmp_path / "tandem.yaml")
    with pytest.raises(UserError, match=str(tmp_path)):
        run(keep=False, home=None, json=False)


@pytest.mark.slow
def test_the_demo_answers_with_quotes_from_the_documents_and_leaves_nothing_running(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tandem.cli", "demo", "--json", "--home", str(tmp_path / "home")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    report = json.loads(done.stdout)
    *answered, unanswered = report["answers"]
    assert all(answer["citations"] for answer in answered)
    assert unanswered["abstained"]
    documents = CONFIGURATION.parent / "documents"
    for citation in (citation for answer in answered for citation in answer["citations"]):
        path = documents / citation["document"]
        if path.suffix == ".md":
            assert citation["quote"] in path.read_text(encoding="utf-8")
    running = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True)
    assert running.stdout == ""
