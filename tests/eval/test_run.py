"""Runs against a small server: what is asked, kept, repeated, left out and counted."""

import asyncio
import itertools
import json
import threading
import time
from pathlib import Path

import pytest

from eval.gateway import Gateway
from eval.run import Finished, Job, evaluate
from tandem.errors import Conflict, NotFound, TandemError, Unauthorized, Unavailable, UserError
from tandem.settings import StyleRule, SuccessConfig
from tests.eval.gateway import (
    CLOSED,
    READING,
    Json,
    Reply,
    gateway,
    house_answers,
    pointing,
    refuse,
    rows,
    say,
    write_rows,
)

SUCCESS = SuccessConfig(
    correct=0.6, style=0.2, citation=0.2, style_rules=[StyleRule(name="opening", pattern=r"^We say: .+\.$")]
)
ALL = ("base", "finetuned", "rag", "hybrid", "naive")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "verdicts").mkdir()
    questions = write_rows(tmp_path / "questions.jsonl", rows())
    return Job("shop", questions, SUCCESS, tmp_path / "verdicts", ALL, patience_seconds=20)


def run(job: Job, url: str, resume: Path | None = None) -> Finished:
    return asyncio.run(evaluate(job, Gateway(url, "key", 10), resume))


def changed(job: Job, **values: object) -> Job:
    return Job(**{**vars(job), **values})  # type: ignore[arg-type]


def kept(folder: Path) -> list[Json]:
    return [json.loads(line) for line in (folder / "answers.jsonl").read_text("utf-8").splitlines()]


def only_folder(job: Job) -> Path:
    (folder,) = job.verdicts.iterdir()
    return folder


def test_every_variant_is_asked_every_question_once(job: Job) -> None:
    with gateway(house_answers) as server:
        finished = run(job, server.url)
    asked = [(body["question"], body["variant"], body.get("version")) for body in server.seen]
    ways = [("base", None), ("finetuned", None), ("rag", None), ("hybrid", None), ("hybrid", CLOSED)]
    assert sorted(asked, key=str) == sorted(((row["question"], *way) for row in rows() for way in ways), key=str)
    assert len(kept(finished.folder)) == len(asked)
    assert {result.name: result.version for result in finished.verdict.variants}["naive"] == CLOSED


def test_scores_are_those_that_the_answers_deserve(job: Job) -> None:
    with gateway(house_answers) as server:
        finished = run(job, server.url)
    means = {result.name: result.parts["success"] for result in finished.verdict.variants}
    # By hand, of 18 answerable and 6 unanswerable questions. base: nothing but no citation on the 6. finetuned: always
    # in style, cites nothing, right on the even answerable ones (12). rag: right, cited, not in style; abstains.
    expected = {
        "base": 6 * 0.2 / 24,
        "finetuned": (24 * 0.2 + 6 * 0.2 + 12 * 0.6) / 24,
        "rag": (18 * 0.8 + 6 * 1.0) / 24,
        "hybrid": 1.0,
        "naive": (18 * 1.0 + 6 * 0.4) / 24,
    }
    assert {name: value.mean for name, value in means.items() if value} == pytest.approx(expected)
    assert finished.verdict.recommendation.variant == "hybrid"


def test_no_more_questions_are_in_flight_than_stated_and_that_many_are(job: Job) -> None:
    def slowly(request: Json) -> Reply:
        time.sleep(0.02)
        return house_answers(request)

    with gateway(slowly) as server:
        run(changed(job, concurrency=3, variants=("rag",)), server.url)
    assert server.most_in_flight == 3


def test_the_key_is_sent_and_kept_nowhere(job: Job) -> None:
    keys = set()

    def note(request: Json) -> Reply:
        keys.add(request["key"])
        return house_answers(request)

    with gateway(note) as server:
        folder = asyncio.run(evaluate(job, Gateway(server.url, "secret-key", 10))).folder
    assert keys == {"Bearer secret-key"}
    assert all(b"secret-key" not in path.read_bytes() for path in folder.iterdir())


def test_after_a_kill_only_what_is_not_answered_is_asked(job: Job) -> None:
    with gateway(house_answers) as server:
        whole = run(job, server.url)
        lines = (whole.folder / "answers.jsonl").read_bytes().splitlines(keepends=True)
        (whole.folder / "verdict.json").unlink()
        # As a kill leaves it: some answers, the last one cut short.
        (whole.folder / "answers.jsonl").write_bytes(b"".join(lines[:50]) + lines[50][:20])
        server.seen.clear()
        again = run(job, server.url, whole.folder)
        assert len(server.seen) == 120 - 50
    assert again.folder == whole.folder
    assert len(kept(again.folder)) == 120
    assert [result.parts for result in again.verdict.variants] == [result.parts for result in whole.verdict.variants]


def test_a_server_that_dies_in_the_middle_leaves_a_run_to_go_on_with(job: Job) -> None:
    count = itertools.count()

    def dies(request: Json) -> Reply:
        return house_answers(request) if next(count) < 30 else refuse(500, "internal_error")

    sentence = "failed 10 times in a row, last with: So it is. .* go on with --resume"
    with gateway(dies) as dying, pytest.raises(Unavailable, match=sentence):
        run(job, dying.url)
    folder = only_folder(job)
    assert 30 <= sum(row["error"] is None for row in kept(folder)) <= 34
    with gateway(house_answers) as server:
        finished = run(job, server.url, folder)
        assert len(server.seen) <= 120 - 30
    assert finished.verdict.warnings == ()


def test_nobody_there_any_more_stops_the_run_after_its_patience(job: Job) -> None:
    with gateway(house_answers) as server:
        url = server.url
        plan_only = run(changed(job, limit=2), url)
    (plan_only.folder / "answers.jsonl").unlink()
    with pytest.raises(Unavailable, match="start one with `tandem serve`.*--resume"):
        run(changed(job, patience_seconds=0.1), url, plan_only.folder)


def test_a_busy_server_is_asked_again_after_the_time_it_names(job: Job) -> None:
    lock, busy, times = threading.Lock(), [3], []

    def sometimes(request: Json) -> Reply:
        with lock:
            times.append(time.monotonic())
            busy[0] -= 1
            return house_answers(request) if busy[0] < 0 else refuse(503, "too_busy", Retry_After="0.05")

    with gateway(sometimes) as server:
        finished = run(changed(job, variants=("base",), concurrency=1), server.url)
    assert len(server.seen) == 24 + 3
    assert all(later - earlier >= 0.05 for earlier, later in itertools.pairwise(times[:4]))
    assert finished.verdict.warnings == ()


def test_a_failed_question_is_recorded_counted_as_0_and_warned_of(job: Job) -> None:
    def sometimes(request: Json) -> Reply:
        if request["question"] == "What does part 4 cost?" and request["variant"] == "rag":
            return refuse(400, "context_length_exceeded", "Too long.")
        return house_answers(request)

    with gateway(sometimes) as server:
        finished = run(changed(job, variants=("base", "rag")), server.url)
    (row,) = [row for row in kept(finished.folder) if row["error"]]
    assert (row["question"], row["variant"], row["error"], row["code"]) == (
        "q4", "rag", "Too long.", "context_length_exceeded",
    )  # fmt: skip
    assert finished.verdict.warnings == ("rag failed on 1 of 24 questions; each counts as 0.",)
    rag = finished.verdict.variants[1]
    assert rag.failed == 1
    success = rag.parts["success"]
    assert success is not None
    assert success.mean == pytest.approx((17 * 0.8 + 6) / 24)


def test_a_failed_question_is_asked_again_when_the_run_is_resumed(job: Job) -> None:
    broken = [True]

    def sometimes(request: Json) -> Reply:
        broke = broken[0] and request["question"] == "What does part 4 cost?"
        return refuse(500, "internal_error") if broke else house_answers(request)

    with gateway(sometimes) as server:
        first = run(changed(job, variants=("rag",)), server.url)
        broken[0] = False
        server.seen.clear()
        second = run(changed(job, variants=("rag",)), server.url, first.folder)
        assert [body["question"] for body in server.seen] == ["What does part 4 cost?"]
    assert (len(first.verdict.warnings), len(second.verdict.warnings)) == (1, 0)


def test_a_variant_without_an_adapter_is_left_out_with_the_servers_sentence(job: Job) -> None:
    def untrained(request: Json) -> Reply:
        tuned = request["variant"] in ("finetuned", "hybrid")
        return refuse(409, "no_adapter", "Train one.") if tuned else house_answers(request)

    with gateway(untrained, pointing(None, None)) as server:
        verdict = run(job, server.url).verdict
    assert [result.name for result in verdict.variants] == ["base", "rag"]
    assert verdict.left_out == {
        "naive": "The variant finetuned points to no adapter, which naive would read with.",
        "finetuned": "Train one.",
        "hybrid": "Train one.",
    }


@pytest.mark.parametrize(
    ("adapters", "sentence"),
    [
        (pointing(CLOSED, CLOSED), f"The variant hybrid answers with the same adapter ({CLOSED})."),
        (refuse(403, "forbidden", "Not you."), "The server does not say which adapters there are: Not you."),
        (refuse(404, "unknown_route", "No."), "The server does not say which adapters there are: No."),
    ],
)
def test_naive_is_left_out_where_it_is_unknown_or_nothing_new(job: Job, adapters: Json | Reply, sentence: str) -> None:
    with gateway(house_answers, adapters) as server:
        verdict = run(job, server.url).verdict
    assert verdict.left_out == {"naive": sentence}


def test_a_naive_that_cannot_answer_stops_no_other_variant(job: Job) -> None:
    def damaged(request: Json) -> Reply:
        return refuse(409, "adapter_damaged", "Broken.") if "version" in request else house_answers(request)

    with gateway(damaged) as server:
        verdict = run(changed(job, variants=("rag", "naive")), server.url).verdict
    assert verdict.left_out == {"naive": "Broken."}


def test_where_no_variant_answers_nothing_is_written(job: Job) -> None:
    untrained = gateway(lambda _: refuse(409, "no_adapter", "Train one."), pointing(None, None))
    with untrained as server, pytest.raises(Conflict, match="No variant answers. Train one."):
        run(changed(job, variants=("hybrid",)), server.url)
    assert list(job.verdicts.iterdir()) == []


@pytest.mark.parametrize(
    ("reply", "kind", "sentence"),
    [
        (refuse(401, "invalid_api_key", "Who?"), Unauthorized, "Who. Give a key with --api-key"),
        (refuse(404, "unknown_domain", "No such domain."), NotFound, "No such domain."),
        (refuse(409, "no_router", "No verdict."), Conflict, "No verdict."),
        ((200, b"<html>", {}), UserError, "is not a Tandem server"),
        ((200, {"hello": 1}, {}), UserError, "is not a Tandem server"),
        ((503, b"<html>", {"Retry_After": "soon"}), Unavailable, "is not a Tandem server"),
        (refuse(503, "unavailable", "Starting.", Retry_After="9"), Unavailable, "Starting."),
    ],
)
def test_a_refusal_of_everything_ends_the_run_before_a_folder_is_made(
    job: Job, reply: Reply, kind: type[TandemError], sentence: str
) -> None:
    with gateway(lambda _: reply) as server, pytest.raises(kind, match=sentence):
        run(job, server.url)
    assert list(job.verdicts.iterdir()) == []


def test_nobody_listening_says_how_to_start_a_server(job: Job) -> None:
    with gateway(house_answers) as server:
        url = server.url
    with pytest.raises(Unavailable, match="start one with `tandem serve`, or name one with --url or TANDEM_URL"):
        run(job, url)


def test_a_first_question_that_is_too_long_does_not_hide_the_others(job: Job) -> None:
    def sometimes(request: Json) -> Reply:
        too_long = request["question"] == "What does part 0 cost?"
        return refuse(400, "context_length_exceeded") if too_long else house_answers(request)

    with gateway(sometimes) as server:
        verdict = run(changed(job, variants=("rag",)), server.url).verdict
    assert verdict.variants[0].failed == 1


def test_a_limit_draws_the_same_questions_each_time(job: Job) -> None:
    with gateway(house_answers) as server:
        first, second = (run(changed(job, variants=("rag",), limit=5), server.url) for _ in range(2))
    assert first.folder != second.folder
    plans = [json.loads((run.folder / "run.json").read_bytes()) for run in (first, second)]
    assert plans[0]["questions"] == plans[1]["questions"]
    assert first.verdict.questions == 5
    assert first.verdict.method["sample_seed"] is not None


def test_a_split_without_questions_names_those_there_are(job: Job) -> None:
    with (
        gateway(house_answers) as server,
        pytest.raises(UserError, match="No question is of the split 'validation'; there is test"),
    ):
        run(changed(job, split="validation"), server.url)


def test_changed_questions_cannot_be_resumed(job: Job) -> None:
    with gateway(house_answers) as server:
        folder = run(changed(job, variants=("rag",)), server.url).folder
        altered = rows()
        altered[0]["answers"] = ["7 crowns"]
        write_rows(job.questions, altered)
        with pytest.raises(Conflict, match="questions.jsonl was changed after this run had started"):
            run(job, server.url, folder)


def test_only_a_run_of_the_same_domain_can_be_resumed(job: Job, tmp_path: Path) -> None:
    with gateway(house_answers) as server:
        folder = run(changed(job, variants=("rag",)), server.url).folder
        with pytest.raises(UserError, match="is one of the domain shop, not other"):
            run(changed(job, domain="other"), server.url, folder)
        with pytest.raises(NotFound, match=r"holds no run to go on with \(run.json is missing\)"):
            run(job, server.url, tmp_path / "nowhere")
        (folder / "run.json").write_text("{}")
        with pytest.raises(UserError, match="cannot be read: start anew"):
            run(job, server.url, folder)


def test_a_swap_during_the_run_is_warned_of(job: Job) -> None:
    count = itertools.count()
    with gateway(lambda _: say("We say: 1 crowns.", adapter=READING if next(count) < 9 else CLOSED)) as server:
        verdict = run(changed(job, variants=("hybrid",)), server.url).verdict
    (warning,) = verdict.warnings
    assert warning.startswith("What answers as hybrid changed during the run: there are answers of 2 combinations")
