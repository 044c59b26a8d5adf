"""The comparisons of `make bench`: their arithmetic, and that their parts run; nothing here asserts a time."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks import gateway as first_token
from benchmarks import indexing, preparing, training
from benchmarks.paired import Comparison, Interval, in_turns, interval, machine, report
from retrieval.documents import Document
from retrieval.embedder import load_embedder
from tandem.prompt import Message
from tests.serving.gateway import DOCUMENTS, Gateway, run_gateway
from tests.training.helpers import TINY, kettle_config
from training.base import find_base
from training.examples import read_examples
from training.rows import RowMaker
from training.tokens import ChatTokens

QUESTIONS = ["How much water does the Brisa kettle hold?", "How long is the cord of the toaster?"]


def test_the_interval_of_equal_values_is_the_value() -> None:
    assert interval([2.0] * 5) == Interval(2.0, 2.0, 2.0, 5)
    with pytest.raises(ValueError, match="nothing to take a median of"):
        interval([])


def test_an_interval_holds_the_true_median_about_as_often_as_it_says() -> None:
    chance = random.Random(0)
    held = 0
    for _ in range(100):
        found = interval([chance.gauss(1.0, 0.3) for _ in range(15)], resamples=400)
        held += found.low <= 1.0 <= found.high
    assert 88 <= held <= 100


def test_the_ratio_is_taken_pair_by_pair() -> None:
    """Both rivals grow slower together, as beside a neighbour: the ratio does not see it."""
    comparison = Comparison("x", "ours", "theirs", "ms", [(1.0, 2.0), (10.0, 20.0), (100.0, 200.0)])
    assert comparison.ratio == Interval(0.5, 0.5, 0.5, 3)
    assert comparison.difference.median == -10.0


def test_who_goes_first_changes_every_turn_and_pairs_keep_their_order() -> None:
    went: list[str] = []

    def goes(name: str) -> str:
        went.append(name)
        return name

    assert in_turns(3, lambda: goes("ours"), lambda: goes("theirs")) == [("ours", "theirs")] * 3
    assert went == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]


def test_a_report_names_the_cores_and_gives_machines_all_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    comparison = Comparison("speed", "ours", "theirs", "ms", [(3.0, 2.0)], {"rows": 4})
    report("made-up", machine(), [comparison], as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["machine"]["cores"] >= 1
    assert found["comparisons"][0]["pairs"] == [[3.0, 2.0]]
    assert found["comparisons"][0]["ratio"] == {"median": 1.5, "low": 1.5, "high": 1.5, "pairs": 1}
    report("made-up", machine(), [comparison], as_json=False)
    shown = capsys.readouterr().out
    assert "ratio 1.500 [1.500, 1.500]" in shown
    assert f"cores: {machine()['cores']}" in shown


def test_every_module_that_is_run_as_a_benchmark_is_one() -> None:
    assert {"gateway", "indexing", "training"} <= set(bench.names())
    folder = Path(bench.__file__).parent
    assert [name for name in bench.names() if "\ndef main(" not in (folder / f"{name}.py").read_text()] == []


def test_options_go_to_the_benchmarks_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        commands.append(command[2:])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(bench.subprocess, "run", run)
    assert bench.main(["gateway", "training", "--json", "--repetitions", "9"]) == 0
    options = ["--json", "--repetitions", "9"]
    assert commands == [["benchmarks.gateway", *options], ["benchmarks.training", *options]]
    assert bench.main(["--json"]) == bench.main(["no-such-benchmark"]) == 2


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with run_gateway(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.mark.parametrize("variant", first_token.VARIANTS)
def test_the_rival_gets_the_very_prompt_that_the_gateway_sends(gateway: Gateway, variant: str) -> None:
    ours, rival = first_token.ways(gateway.url, "http://unused", "shop", variant, QUESTIONS, "Be brief.")
    first_token.ask_all(ours, 1)
    sent = [body["messages"] for body in gateway.engine.bodies[-len(QUESTIONS) :]]
    assert sent == rival.conversations


def test_the_gateway_is_measured_to_the_first_text_at_each_number_in_flight(gateway: Gateway) -> None:
    messages: list[list[Message]] = [[{"role": "user", "content": question}] for question in QUESTIONS]
    way = first_token.Way(gateway.url, "shop/rag", messages)
    found = first_token.measure(lambda _variant: (way, way), rounds=2)
    assert [len(comparison.values) for comparison in found] == [2 * len(QUESTIONS)] * 4
    assert all(value > 0 for comparison in found for pair in comparison.values for value in pair)
    assert found[0].details["same_text"] == "2 of 2"


def test_other_prompts_on_the_two_ways_end_the_measurement() -> None:
    one, other = first_token.First(1.0, 20, "yes"), first_token.First(1.0, 21, "yes")
    with pytest.raises(RuntimeError, match=r"other prompts .* \[\(20, 21\)\]"):
        first_token.check_same([one], [other])


def test_indexing_and_encoding_take_the_same_passages() -> None:
    documents = [*DOCUMENTS, Document("long.md", "Long", "The Orio fan turns 900 times a minute. " * 40)]
    embedder = load_embedder()
    (comparison, *_) = indexing.measure(documents, embedder, indexing.bare(embedder), rounds=1)
    assert comparison.details["documents"] == 4
    assert comparison.details["passages"] > 4
    assert all(value > 0 for pair in comparison.values for value in pair)


def test_a_folder_is_indexed_and_then_again_unchanged(tmp_path: Path) -> None:
    for document in DOCUMENTS:
        (tmp_path / f"{document.id}").write_text(document.text)
    comparison = indexing.measure_again(tmp_path, load_embedder(), rounds=2)
    assert comparison.details["documents"] == len(DOCUMENTS)
    assert all(value > 0 for pair in comparison.values for value in pair)


def test_all_trainers_train_the_same_rows(tmp_path: Path) -> None:
    config, base = kettle_config(tmp_path, batch_size=4, rank=8, epochs=1), find_base(str(TINY))
    tokenizer = base.load_tokenizer()
    examples = read_examples(config.domains["shop"].examples or Path())
    maker = RowMaker(config, "shop", ChatTokens(tokenizer, base.end_tokens(tokenizer)), base.context_tokens)
    rows = maker.closed_book(examples).rows
    comparisons = list(training.measure(base, rows[:8], rows[8:], "closed-book", config.training, rounds=1))
    assert [comparison.rival for comparison in comparisons] == list(training.RIVALS)
    for comparison in comparisons:
        assert comparison.details["rows"] == 8
        assert all(value > 0 for value in (*comparison.values[0], *comparison.details["losses"]))


@pytest.mark.slow
def test_the_gateway_benchmark_runs_from_the_index_to_its_ratios() -> None:
    command = [sys.executable, "-m", "benchmarks", "gateway", "--json", "--repetitions", "1", "--questions", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert len(json.loads(done.stdout)["comparisons"]) == len(first_token.VARIANTS) * len(first_token.IN_FLIGHT)


@pytest.mark.parametrize("action", ["ours", "rival"])
def test_the_preparing_benchmark_prepares_its_rows_in_a_process_of_its_own(action: str, tmp_path: Path) -> None:
    preparing.write_rows(tmp_path / "rows.jsonl", 60)
    preparing.write_rows(tmp_path / "few.jsonl", 40)
    preparing.write_questions(tmp_path / "questions.jsonl")
    seconds, mebibytes = preparing.in_process(action, tmp_path, preparing.BARE, questions=True)
    assert seconds > 0
    assert 30 < mebibytes < 4000
