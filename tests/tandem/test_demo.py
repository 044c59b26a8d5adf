"""The demo: which questions it asks, and that it really answers them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tandem.demo import ANSWERED, CONFIGURATION, UNANSWERED, demo_questions, run
from tandem.errors import UserError


def test_the_demo_asks_test_questions_about_different_documents_and_one_without_answer(tmp_path: Path) -> None:
    rows = demo_questions(CONFIGURATION.with_name("questions.jsonl"))
    answered, unanswered = rows[:ANSWERED], rows[ANSWERED:]
    assert len({row["documents"][0] for row in answered}) == ANSWERED == 3
    assert all(row["answers"] and row["split"] == "test" for row in answered)
    assert [row["answers"] for row in unanswered] == [[]] * UNANSWERED


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
    assert len(report["answers"]) == ANSWERED + UNANSWERED
    cited = [answer for answer in report["answers"] if answer["citations"]]
    assert cited
    documents = CONFIGURATION.parent / "documents"
    for citation in (citation for answer in cited for citation in answer["citations"]):
        path = documents / citation["document"]
        if path.suffix == ".md":
            assert citation["quote"] in path.read_text(encoding="utf-8")
    running = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True)
    assert running.stdout == ""
