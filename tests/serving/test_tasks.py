"""Domains with a task: their answers are of its form, whatever the model would have said; over real HTTP."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from serving.canned import CannedEngine
from tandem.adapters import Adapter
from tandem.workspace import Workspace
from tests.serving.adapters import make_adapter, make_base
from tests.serving.gateway import Gateway, run_gateway
from tests.waiting import until

LABELS = ["card_arrival", "card", 'lost card, or stolen: "now" \\ ü']
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
Start = Callable[..., Any]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_base(tmp_path / "base")


@pytest.fixture
def start(home: Path, base: Path) -> Start:
    @contextmanager
    def started(reply: str, **domain: Any) -> Iterator[Gateway]:
        engine, domains = CannedEngine(lambda _messages: reply), {"shop": {"system_prompt": "Sort.", **domain}}
        with run_gateway(home, engine, base_model=str(base), domains=domains) as gateway:
            yield gateway

    return started


def classifier(home: Path, base: Path, **card: Any) -> str:
    """Publish an adapter that classifies, and return its version."""
    card = {"kind": "closed-book", "task": "classification", "labels": ("one", "two"), **card}
    return make_adapter(Workspace.open(home), base, card=card).version


def point(gateway: Gateway, version: str) -> Any:
    body = {"variant": "finetuned", "version": version}
    return gateway.http.post("/v1/domains/shop/adapters/swap", json=body)


def test_the_base_model_answers_with_one_of_the_listed_labels(start: Start) -> None:
    with start("I think that is card_arriva!", task="classification", labels=LABELS) as gateway:
        answer = gateway.ask("Where is my card?", variant="base").json()
        assert answer["answer"] == "card_arrival"
        sent = gateway.engine.bodies[-1]
    assert sent["structured_outputs"] == {"choice": LABELS}
    assert sent["messages"] == [
        {"role": "system", "content": "Sort."},
        {"role": "user", "content": "Where is my card?"},
    ]


def test_an_adapter_answers_with_the_labels_of_its_own_card(start: Start, home: Path, base: Path) -> None:
    version = classifier(home, base)
    with start("twofold", task="classification", labels=LABELS) as gateway:
        assert point(gateway, version).status_code == 200
        assert gateway.ask("?", variant="finetuned").json()["answer"] == "two"
        assert gateway.engine.bodies[-1]["structured_outputs"] == {"choice": ["one", "two"]}


def test_without_listed_labels_the_base_model_takes_those_of_the_live_adapter(
    start: Start, home: Path, base: Path
) -> None:
    version = classifier(home, base)
    with start("onerous", task="classification") as gateway:
        refused = gateway.ask("?", variant="base")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "no_labels")
        point(gateway, version)
        assert gateway.ask("?", variant="base").json()["answer"] == "one"


def test_a_label_is_whole_however_few_tokens_the_client_asks_for(start: Start) -> None:
    with start(LABELS[2], task="classification", labels=LABELS) as gateway:
        reply = gateway.chat("?", "shop/base", max_tokens=1).json()
        assert reply["choices"][0]["message"]["content"] == LABELS[2]
        assert gateway.engine.bodies[-1]["max_tokens"] >= len(LABELS[2].encode()) + 1


def test_a_streamed_label_is_one_too(start: Start) -> None:
    with start("cart", task="classification", labels=LABELS) as gateway:
        events = gateway.chat("?", "shop/base", stream=True).text
    chunks = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: {")]
    assert "".join(c["delta"].get("content", "") for chunk in chunks for c in chunk["choices"]) == "card"


@pytest.mark.parametrize("field", [{"stop": ["_"]}, {"response_format": {"type": "json_object"}}, {"n": 2}])
def test_what_would_cut_or_change_a_label_is_refused(start: Start, field: dict[str, Any]) -> None:
    with start("card", task="classification", labels=LABELS) as gateway:
        refused = gateway.chat("?", "shop/base", **field)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, *field)
        assert gateway.engine.bodies == []


def test_an_engine_that_does_not_keep_to_the_labels_is_an_error_and_no_answer(start: Start) -> None:
    with start("whatever", task="classification", labels=LABELS) as gateway:
        gateway.engine.heeds_structure = False
        refused = gateway.ask("?", variant="base")
        assert (refused.status_code, refused.json()["error"]["code"]) == (500, "answer_unfit")


@pytest.mark.parametrize("variant", ["rag", "hybrid"])
def test_a_task_reads_no_documents(start: Start, variant: str) -> None:
    with start("card", task="classification", labels=LABELS) as gateway:
        refused = gateway.ask("?", variant=variant)
        assert refused.json()["error"]["code"] == "unsupported_variant"
        assert "ask 'shop/finetuned' or 'shop/base'" in refused.json()["error"]["message"]
        compared = gateway.http.post("/v1/compare", json={"domain": "shop", "question": "?"}).json()
        assert [answer["variant"] for answer in compared["answers"]] == ["base"]


def test_raw_completions_would_go_round_the_labels_and_are_refused(start: Start) -> None:
    with start("card", task="classification", labels=LABELS) as gateway:
        refused = gateway.http.post("/v1/completions", json={"model": "shop/base", "prompt": "x"})
        assert refused.json()["error"]["code"] == "unsupported_variant"


def test_an_adapter_of_another_task_is_not_pointed_to(start: Start, home: Path, base: Path) -> None:
    version = classifier(home, base, task="answers", labels=())
    with start("card", task="classification", labels=LABELS) as gateway:
        refused = point(gateway, version)
        assert refused.json()["error"]["code"] == "adapter_unfit"
        assert "trained for the task answers, and the domain's is classification" in refused.text


def test_extraction_answers_json_that_keeps_the_schema(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    with start('{"city": "Orlé"}', task="extraction", json_schema=path) as gateway:
        assert gateway.ask("?", variant="base").json()["answer"] == '{"city": "Orlé"}'
        assert gateway.engine.bodies[-1]["structured_outputs"] == {"json": SCHEMA}
        gateway.engine.reply = lambda _messages: '{"city": "Or lé and more"}'
        cut = gateway.chat("?", "shop/base", max_tokens=2)
        assert cut.json()["error"]["code"] == "answer_cut_off"
        gateway.engine.reply = lambda _messages: '{"city": 3}'
        assert gateway.ask("?", variant="base").json()["error"]["code"] == "answer_unfit"


def test_other_domains_are_asked_as_before(start: Start) -> None:
    with start("It is red.") as gateway:
        assert gateway.ask("?", variant="base").json()["answer"] == "It is red."
        assert "structured_outputs" not in gateway.engine.bodies[-1]


SEVERAL = {
    "shop": {"task": "classification", "labels": LABELS, "system_prompt": "Sort."},
    "signs": {"task": "translation", "system_prompt": "Translate."},
    "office": {"multi_task": {"tasks": ["shop", "signs"]}},
}


def of_both(home: Path, base: Path, seed: int = 0) -> Adapter:
    """Publish an adapter of `office`, for both of its tasks."""
    tasks = {
        "shop": {"task": "classification", "labels": ["one", "two"], "json_schema": None},
        "signs": {"task": "translation", "labels": [], "json_schema": None},
    }
    card = {"domain": "office", "kind": "multi-task", "task": "several", "tasks": tasks}
    return make_adapter(Workspace.open(home), base, seed, card=card)


@pytest.fixture
def several(home: Path, base: Path) -> Callable[..., Any]:
    """A gateway over two tasks, and an adapter of both."""

    @contextmanager
    def started(reply: str, **changed: Any) -> Iterator[tuple[Gateway, str]]:
        version = of_both(home, base).version
        engine = CannedEngine(lambda _messages: reply)
        with run_gateway(home, engine, base_model=str(base), domains={**SEVERAL, **changed}) as gateway:
            yield gateway, version

    return started


def swapped(gateway: Gateway, domain: str, version: str) -> Any:
    body = {"variant": "finetuned", "version": version}
    return gateway.http.post(f"/v1/domains/{domain}/adapters/swap", json=body)


def test_an_adapter_of_several_tasks_answers_each_under_its_domain_with_its_prompt_and_form(
    several: Callable[..., Any],
) -> None:
    with several("two of them") as (gateway, version):
        for domain in ("shop", "signs"):
            assert swapped(gateway, domain, version).json()["parity"]["holds"]
        answers = {domain: gateway.ask("?", domain=domain, variant="finetuned").json() for domain in ("shop", "signs")}
        assert {name: answer["answer"] for name, answer in answers.items()} == {"shop": "two", "signs": "two of them"}
        assert {answer["versions"]["adapter"] for answer in answers.values()} == {version}
        sent = gateway.engine.bodies[-2:]
        assert [body["messages"][0]["content"] for body in sent] == ["Sort.", "Translate."]
        assert [body.get("structured_outputs") for body in sent] == [{"choice": ["one", "two"]}, None]
        assert {body["model"] for body in sent} == {f"office-{version}"}
        assert list(gateway.engine.adapters) == [f"office-{version}"]


def test_a_domain_of_several_tasks_cannot_be_asked_itself_and_says_what_can(several: Callable[..., Any]) -> None:
    with several("two") as (gateway, version):
        for refused in (
            gateway.ask("?", domain="office", variant="finetuned"),
            gateway.chat("?", "office/finetuned"),
            swapped(gateway, "office", version),
            gateway.http.post("/v1/compare", json={"domain": "office", "question": "?"}),
        ):
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "several_tasks")
            assert "'shop/finetuned', 'signs/finetuned'" in refused.json()["error"]["message"]
        listed = {name: gateway.http.get(f"/v1/domains/{name}/adapters").json() for name in SEVERAL}
        assert all([one["version"] for one in listing["adapters"]] == [version] for listing in listed.values())
        names = {model["id"].partition("/")[0] for model in gateway.http.get("/v1/models").json()["data"]}
        assert names == {"shop", "signs"}


def test_it_is_not_pointed_to_by_a_domain_that_is_no_task_of_it(several: Callable[..., Any]) -> None:
    with several("two", other={}) as (gateway, version):
        refused = swapped(gateway, "other", version)
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "adapter_not_found")


def test_an_adapter_whose_tasks_were_changed_since_is_not_pointed_to(several: Callable[..., Any]) -> None:
    with several("two", signs={"task": "summarisation"}) as (gateway, version):
        refused = swapped(gateway, "shop", version)
        assert refused.json()["error"]["code"] == "adapter_unfit"
        assert "trained for the task translation, and signs's is summarisation" in refused.text


def test_it_stays_loaded_while_any_of_its_tasks_points_to_it(
    several: Callable[..., Any], home: Path, base: Path
) -> None:
    newer = of_both(home, base, 1)
    with several("two") as (gateway, version):
        for domain in ("shop", "signs"):
            assert swapped(gateway, domain, version).status_code == 200
        assert swapped(gateway, "shop", newer.version).status_code == 200
        loaded = {f"office-{version}", newer.name}
        assert gateway.ask("?", domain="signs", variant="finetuned").json()["versions"]["adapter"] == version
        assert set(gateway.engine.adapters) == loaded
        assert swapped(gateway, "signs", newer.version).status_code == 200
        until(lambda: set(gateway.engine.adapters) == {newer.name})
