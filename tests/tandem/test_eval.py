"""`tandem eval` against a small server: what it prints, what it leaves, and what it refuses."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tandem import cli
from tests.eval.gateway import gateway, house_answers, pointing, refuse, rows, write_rows

STYLE = {"name": "opening", "pattern": "^We say: "}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TANDEM_HOME", "TANDEM_CONFIG", "TANDEM_URL", "TANDEM_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "questions.jsonl", rows())
    success = {"correct": 0.6, "style": 0.2, "citation": 0.2, "style_rules": [STYLE]}
    domains = {"shop": {"questions": "questions.jsonl", "success": success}, "bare": {}}
    (tmp_path / "tandem.yaml").write_text(json.dumps({"base_model": "some/model", "domains": domains}))
    return tmp_path


def error_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(capsys.readouterr().out)["error"]
    return error


def test_it_prints_tables_the_recommendation_and_where_the_verdict_lies(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with gateway(house_answers) as server:
        assert cli.run(["eval", "shop", "--url", server.url]) == 0
    shown = capsys.readouterr()
    (folder,) = (project / ".tandem" / "verdicts").glob("shop-*")
    assert "shop: 24 test questions" in shown.out
    assert "Success by kind" in shown.out
    assert "Use hybrid: it scored 100.0 points of success on 24 questions" in shown.out.replace("\n", " ")
    assert shown.out.splitlines()[-1] == f"The verdict is in {folder / 'verdict.html'}"
    assert f"go on with --resume {folder}" in shown.err
    assert {path.name for path in folder.iterdir()} >= {"run.json", "answers.jsonl", "verdict.json", "verdict.html"}


def test_with_json_it_prints_the_verdict_as_one_object(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with gateway(house_answers) as server:
        assert cli.run(["eval", "shop", "--url", server.url, "--variants", "rag, base", "--limit", "8", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    folder = Path(printed.pop("folder"))
    assert printed == json.loads((folder / "verdict.json").read_bytes())
    assert (printed["questions"], [result["name"] for result in printed["variants"]]) == (8, ["base", "rag"])


def test_what_is_left_out_and_what_failed_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(request: dict[str, Any]) -> Any:
        if request["variant"] == "hybrid":
            return refuse(409, "no_adapter", "Train one.")
        return refuse(500, "internal_error") if request["question"].endswith("part 5 cost?") else house_answers(request)

    with gateway(answer, pointing(None, None)) as server:
        assert cli.run(["eval", "shop", "--url", server.url, "--variants", "rag,hybrid"]) == 0
    shown = capsys.readouterr().err
    assert "hybrid was not asked. Train one.\n" in shown
    assert "warning: rag failed on 1 of 24 questions; each counts as 0.\n" in shown


def test_resuming_a_finished_run_asks_nothing_and_judges_again(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with gateway(house_answers) as server:
        assert cli.run(["eval", "shop", "--url", server.url, "--variants", "rag"]) == 0
        (folder,) = (project / ".tandem" / "verdicts").glob("shop-*")
        (folder / "verdict.html").unlink()
        asked = len(server.seen)
        assert cli.run(["eval", "shop", "--url", server.url, "--resume", str(folder)]) == 0
        assert len(server.seen) == asked == 24
    assert (folder / "verdict.html").is_file()


def test_a_run_that_is_killed_goes_on_where_it_was(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    enough = threading.Event()

    def slowly(request: dict[str, Any]) -> Any:
        time.sleep(0.05)
        if len(server.seen) > 20:
            enough.set()
        return house_answers(request)

    with gateway(slowly) as server:
        options = ["shop", "--url", server.url, "--variants", "rag,hybrid"]
        with subprocess.Popen(
            [sys.executable, "-m", "tandem.cli", "eval", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])},
        ) as process:
            assert enough.wait(120)
            process.kill()
        (folder,) = (project / ".tandem" / "verdicts").glob("shop-*")
        kept = len((folder / "answers.jsonl").read_bytes().splitlines())
        assert 10 <= kept < 48
        asked = len(server.seen)
        assert cli.run(["eval", *options, "--resume", str(folder)]) == 0
        assert len(server.seen) - asked == 48 - kept
    assert len((folder / "answers.jsonl").read_bytes().splitlines()) == 48


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["bare"], "invalid_config", "The domain bare has no `questions` in"),
        (["none"], "domain_not_found", "There is no domain 'none'"),
        (["shop", "--variants", "rag,best"], "unknown_variant", "'best' cannot be evaluated; there is base, finetuned"),
        (["shop", "--variants", ","], "unknown_variant", "an empty list cannot be evaluated"),
        (["shop", "--split", "train"], "no_questions", "No question is of the split 'train'; there is test."),
        (["shop", "--resume", "nowhere"], "run_not_found", "nowhere holds no run to go on with"),
        (["shop", "--url", "nowhere"], "invalid_url", "is not an address such as http://127.0.0.1:8321"),
        (["shop", "--limit", "0"], "usage", "--limit"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_2(
    project: Path, arguments: list[str], code: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["eval", *arguments, "--json"]) == 2
    error = error_of(capsys)
    assert error["code"] == code
    assert sentence in error["message"]


def test_questions_with_mistakes_are_named_by_line(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "questions.jsonl").write_text('{"id": "a"}\n')
    assert cli.run(["eval", "shop", "--json"]) == 2
    assert error_of(capsys)["message"].startswith(f"{project / 'questions.jsonl'}:1: `question` is missing\n")
