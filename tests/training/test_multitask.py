"""Several tasks in one adapter: shares, prompts, what is watched, scores, and what is refused."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.adapters import REFERENCES, WEIGHTS, Adapter, Duty, find_adapter, verify
from tandem.config import load_config
from tandem.errors import ConfigError, NotFound, UserError
from tandem.settings import Config
from tandem.training_settings import BalanceConfig
from tandem.workspace import Workspace
from tests.training.helpers import TINY, kettle_rows, write_lines
from tests.training.test_tasks import labelled
from training.base import find_base
from training.material import collect, find_source
from training.metrics import read_metrics
from training.model_card import model_card
from training.multitask import answers, repeated, row_counts
from training.prepare import prepare
from training.publishing import load_adapter
from training.rows import Row
from training.tokens import TokenRow
from training.train import train

SIZES = st.dictionaries(st.sampled_from("abcde"), st.integers(1, 500), min_size=2)
PROMPTS = {"desk": "Sort the message.", "shop": "You sell kettles."}


def silent(*_: object) -> None:
    """Says nothing."""


def office(folder: Path, **multi_task: Any) -> Config:
    """A domain `office` made of `desk`, which classifies, and `shop`, which answers."""
    desk = write_lines(folder / "desk.jsonl", labelled(10))
    shop = write_lines(folder / "shop.jsonl", kettle_rows())
    domains = {
        "desk": {"task": "classification", "examples": desk, "system_prompt": PROMPTS["desk"]},
        "shop": {"examples": shop, "system_prompt": PROMPTS["shop"]},
        "office": {"multi_task": {"tasks": ["desk", "shop"], **multi_task}},
    }
    training = {"epochs": 2, "batch_size": 4, "rank": 8, "validation_share": 0.25, "test_share": 0.2}
    values = {"base_model": str(TINY), "domains": domains, "training": training, "path": folder / "tandem.yaml"}
    return Config.model_validate(values)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return office(tmp_path_factory.mktemp("project"), weights={"desk": 1, "shop": 3})


@pytest.fixture(scope="module")
def workspace(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace.open(tmp_path_factory.mktemp("home"))
    for name in PROMPTS:
        prepare(config, workspace, name)
    return workspace


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def adapter(config: Config, workspace: Workspace, said: list[str]) -> Adapter:
    return train(config, workspace, "office", "multi-task", None, said.append, silent)


def test_rare_labels_of_a_task_are_seen_more_often_where_balance_asks_for_it(tmp_path: Path) -> None:
    config = office(tmp_path)
    rows = labelled(30)
    rare = [row for row in rows if row["label"] == "card"][:20]
    write_lines(tmp_path / "desk.jsonl", [*rare, *(row for row in rows if row["label"] != "card")])
    balanced = config.training.model_copy(update={"balance": BalanceConfig(by="label", temperature=100)})
    config = config.model_copy(update={"training": balanced})
    workspace, said = Workspace.open(tmp_path / "home"), []
    for name in PROMPTS:
        prepare(config, workspace, name)
    tasks = find_source(config, workspace, "office", "multi-task")
    base = find_base(str(TINY))
    material = collect(config, workspace, "office", "multi-task", tasks, base, said.append, silent)
    seen = Counter(row.answer for row in material.tasks["desk"].train)
    assert max(seen.values()) - min(seen.values()) <= 1
    assert len({row.answer for row in material.tasks["shop"].train}) > 1
    assert any(line.startswith("desk: balanced by label") for line in said)


@given(SIZES, st.floats(1, 20))
def test_no_row_is_left_out_and_shares_follow_the_temperature(sizes: dict[str, int], temperature: float) -> None:
    counts = row_counts(sizes, None, temperature)
    assert all(counts[name] >= size for name, size in sizes.items())
    assert any(counts[name] == size for name, size in sizes.items())
    scale = max(size / size ** (1 / temperature) for size in sizes.values())
    for name, size in sizes.items():
        assert math.isclose(counts[name], scale * size ** (1 / temperature), abs_tol=0.51)


@given(SIZES)
def test_at_temperature_one_every_row_is_there_once(sizes: dict[str, int]) -> None:
    assert row_counts(sizes, None, 1.0) == sizes


def test_weights_decide_whatever_the_sizes_are() -> None:
    assert row_counts({"a": 100, "b": 10}, {"a": 1, "b": 1}, 1.0) == {"a": 100, "b": 100}
    assert row_counts({"a": 100, "b": 10}, {"a": 4, "b": 1}, 1.0) == {"a": 100, "b": 25}


@given(st.integers(1, 20), st.integers(0, 70), st.integers(0, 3))
def test_repeated_rows_differ_in_number_by_one_at_most(size: int, more: int, seed: int) -> None:
    rows = [Row(str(number), [], "", (), TokenRow([1], [2])) for number in range(size)]
    found = repeated(rows, size + more, seed)
    times = [sum(row.example == one.example for row in found) for one in rows]
    assert len(found) == size + more
    assert max(times) - min(times) <= 1
    assert found == repeated(rows, size + more, seed)


def test_each_row_keeps_the_prompt_of_its_task(config: Config, workspace: Workspace) -> None:
    tasks = find_source(config, workspace, "office", "multi-task")
    material = collect(config, workspace, "office", "multi-task", tasks, find_base(str(TINY)), silent, silent)
    desk, shop = (material.tasks[name] for name in ("desk", "shop"))
    assert shop.rows == 3 * desk.rows
    assert len(material.train) == shop.rows + desk.rows
    for name, task in material.tasks.items():
        for row in [*task.train, *task.validation, *task.test]:
            assert row.messages[0] == {"role": "system", "content": PROMPTS[name]}
    assert {row.answer for row in desk.train} == {"card", "money", "code"}
    assert list(material.watched) == ["all_tasks", "task_desk", "task_shop"]
    assert len(material.watched["all_tasks"]) == len(desk.validation) + len(shop.validation)


def test_the_card_has_every_task_with_its_loss_and_its_score(
    adapter: Adapter, config: Config, workspace: Workspace, said: list[str]
) -> None:
    verify(adapter)
    card = adapter.card
    assert (card.domain, card.kind, card.task) == ("office", "multi-task", "several")
    assert card.duties == {"desk": Duty("classification", ("card", "code", "money")), "shop": Duty("answers")}
    assert set(card.losses) == {"train", "all_tasks", "task_desk", "task_shop"}
    assert card.hyperparameters["weights"] == {"desk": 1, "shop": 3}
    assert (card.tasks["desk"]["score"]["measure"], card.tasks["desk"]["score"]["part"]) == ("accuracy", "test")
    assert (card.tasks["shop"]["score"]["measure"], card.tasks["shop"]["score"]["part"]) == ("correct", "validation")
    assert sum(line.startswith(("desk: accuracy", "shop: correct")) for line in said) == 2


def test_its_page_and_its_reference_prompts_name_nothing_twice(adapter: Adapter) -> None:
    prompts = [json.dumps(one["messages"]) for one in json.loads((adapter.folder / REFERENCES).read_text())["prompts"]]
    assert len(set(prompts)) == len(prompts)
    assert model_card(adapter.card, adapter.version) == (adapter.folder / "README.md").read_text()


def test_the_score_of_a_task_is_that_of_the_published_adapter(
    adapter: Adapter, config: Config, workspace: Workspace
) -> None:
    tasks = find_source(config, workspace, "office", "multi-task")
    material = collect(config, workspace, "office", "multi-task", tasks, find_base(str(TINY)), silent, silent)
    rows = material.tasks["desk"].test
    base = find_base(str(TINY))
    texts = answers(load_adapter(base, adapter.folder), base.load_tokenizer(), base, rows)
    right = sum(text == row.answer for text, row in zip(texts, rows, strict=True))
    score = adapter.card.tasks["desk"]["score"]
    assert (score["rows"], score["worth"]["mean"]) == (len(rows), pytest.approx(right / len(rows)))


def test_metrics_events_and_reports_have_every_task(adapter: Adapter, workspace: Workspace) -> None:
    folder = workspace.home / str(adapter.card.run)
    lines = [line["evaluation"] for line in read_metrics(folder / "metrics.jsonl") if "evaluation" in line]
    assert len(lines) == 2
    assert all({"all_tasks", "task_desk", "task_shop"} <= set(line) for line in lines)
    events = b"".join(path.read_bytes() for path in (folder / "tensorboard").iterdir())
    assert all(f"validation/task_{name}".encode() in events for name in PROMPTS)
    for report in ("report.md", "report.html"):
        text = (folder / report).read_text()
        assert "Task desk" in text
        assert "task shop" in text
    page = (adapter.folder / "README.md").read_text()
    assert f"tandem adapters swap desk {adapter.version} --variant finetuned" in page


def test_it_is_found_under_each_of_its_tasks_and_no_other_domain(adapter: Adapter, workspace: Workspace) -> None:
    for name in ("desk", "shop", "office"):
        assert find_adapter(workspace, name, adapter.version) == adapter
    with pytest.raises(NotFound, match="clinic has no adapter"):
        find_adapter(workspace, "clinic", adapter.version)


def test_the_same_datasets_give_the_same_digest(config: Config, workspace: Workspace) -> None:
    digests = {find_source(config, workspace, "office", "multi-task").digest for _ in range(2)}
    assert len(digests) == 1


def test_what_does_not_fit_several_tasks_is_one_sentence(config: Config, tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    for domain, kind, match in (
        ("office", "closed-book", r"office is made of several tasks \(desk, shop\): train it with `--kind multi-task`"),
        ("desk", "multi-task", r"desk is one task: add a domain with `multi_task"),
        ("desk", "mixed", "desk has the task classification"),
        ("desk", "documents", "desk has the task classification"),
    ):
        with pytest.raises(UserError, match=match):
            train(config, workspace, domain, kind, None, silent, silent)
    with pytest.raises(UserError, match="`--parent` has no meaning for `--kind multi-task`: leave it out; it takes"):
        train(config, workspace, "office", "multi-task", None, silent, silent, parent_version="0123456789ab")
    with pytest.raises(UserError, match="run `tandem prepare desk`, `tandem prepare shop`"):
        prepare(config, workspace, "office")
    with pytest.raises(NotFound, match="`tandem prepare desk`"):
        train(config, workspace, "office", "multi-task", None, silent, silent)


@pytest.mark.parametrize(
    ("multi_task", "message"),
    [
        ({"tasks": ["a"]}, "tasks"),
        ({"tasks": ["a", "a"]}, "tasks names one domain twice"),
        ({"tasks": ["a", "c"]}, "names 'c', which is no domain of this file"),
        ({"tasks": ["a", "both"]}, "names 'both', which has multi_task itself"),
        ({"tasks": ["a", "b"], "weights": {"a": 1}}, "weights has to name each of the tasks"),
        ({"tasks": ["a", "b"], "weights": {"a": 1, "b": 0}}, "weights.b` should be greater than 0"),
        ({"tasks": ["a", "b"], "weights": {"a": 1, "b": 2}, "temperature": 2}, "weights and temperature both decide"),
        ({"tasks": ["a", "b"], "temperature": 0.5}, "greater than or equal to 1"),
        ({"tasks": ["a", "b"], "wieghts": {}}, "unknown key `wieghts`.*did you mean `?weights"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(multi_task: dict[str, Any], message: str, tmp_path: Path) -> None:
    values = {"base_model": str(TINY), "domains": {"a": {}, "b": {}, "both": {"multi_task": multi_task}}}
    (tmp_path / "tandem.yaml").write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "tandem.yaml")


def test_a_domain_of_several_tasks_has_nothing_else(tmp_path: Path) -> None:
    both = {"multi_task": {"tasks": ["a", "b"]}, "system_prompt": "Hello."}
    values = {"base_model": str(TINY), "domains": {"a": {}, "b": {}, "both": both}}
    (tmp_path / "tandem.yaml").write_text(json.dumps(values))
    with pytest.raises(ConfigError, match="has nothing of its own: put system_prompt into its tasks"):
        load_config(tmp_path / "tandem.yaml")


class Killed(BaseException):
    """Stands for the end of a process: nothing in the product catches it."""


def test_a_run_that_was_killed_ends_as_one_that_was_not(adapter: Adapter, config: Config, tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path)
    for name in PROMPTS:
        prepare(config, workspace, name)

    def die_in_the_second_epoch(line: str) -> None:
        if line.startswith("epoch 2"):
            raise Killed

    with pytest.raises(Killed):
        train(config, workspace, "office", "multi-task", None, die_in_the_second_epoch, silent)
    resumed = train(config, workspace, "office", "multi-task", None, silent, silent, resume=True)
    assert (resumed.folder / WEIGHTS).read_bytes() == (adapter.folder / WEIGHTS).read_bytes()
    assert (resumed.card.losses, resumed.card.tasks) == (adapter.card.losses, adapter.card.tasks)
