"""Incremental tuning on `models/tiny`: a version that goes on from a parent, and what it forgets."""

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tandem.adapters import SETTINGS, WEIGHTS, Adapter, list_adapters, verify
from tandem.cli import run as run_command
from tandem.errors import Conflict, NotFound, UserError
from tandem.settings import Config
from tandem.workspace import Workspace
from tests.training.helpers import TINY, kettle_config, write_lines
from training.base import find_base
from training.continuing import find_parent, mix, target_modules
from training.dataset import Dataset
from training.forgetting import Scored, check_forgetting, compare, forgetting_lines, score
from training.lora import lora_config, with_parent
from training.material import collect
from training.prepare import prepare
from training.publishing import load_adapter
from training.train import train

STEPS = {"epochs": 2, "batch_size": 4, "rank": 8, "learning_rate": 0.01, "replay": 0.5}
TOASTERS = ("Lumo", "Senna", "Pavo", "Rikka", "Yoran", "Zelta")


def silent(_name: str, _done: int, _total: int) -> None:
    """No progress bar."""


def toaster_rows() -> list[dict[str, Any]]:
    """Examples that no kettle has: two wordings of one fact of each toaster."""
    rows = []
    for number, name in enumerate(TOASTERS, 3):
        answer = {"answer": f"It has {number} levels.", "value": f"{number} levels", "documents": [f"{name}.md"]}
        rows.append({"id": f"{name}-1", "question": f"How many levels has the {name} toaster?", **answer})
        rows.append({"id": f"{name}-2", "question": f"To how many levels can the {name} be set?", **answer})
    return rows


def on_toasters(config: Config, folder: Path) -> Config:
    """The same configuration over the toasters' examples."""
    examples = write_lines(folder / "toasters.jsonl", toaster_rows())
    shop = config.domains["shop"].model_copy(update={"examples": examples})
    return config.model_copy(update={"domains": {"shop": shop}})


def with_training(config: Config, **values: Any) -> Config:
    return config.model_copy(update={"training": config.training.model_copy(update=values)})


@pytest.fixture(scope="module")
def kettles(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return kettle_config(tmp_path_factory.mktemp("project"), **STEPS)


@pytest.fixture(scope="module")
def toasters(kettles: Config, tmp_path_factory: pytest.TempPathFactory) -> Config:
    return on_toasters(kettles, tmp_path_factory.mktemp("toasters"))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def parent(kettles: Config, workspace: Workspace) -> Adapter:
    """A closed-book adapter on the kettles."""
    prepare(kettles, workspace, "shop")
    return train(kettles, workspace, "shop", "closed-book", None, lambda _line: None, silent)


@pytest.fixture(scope="module")
def dataset(parent: Adapter, toasters: Config, workspace: Workspace) -> Dataset:
    """The toasters', prepared after the parent was trained."""
    assert parent.version
    return prepare(toasters, workspace, "shop")


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def child(toasters: Config, workspace: Workspace, parent: Adapter, dataset: Dataset, said: list[str]) -> Adapter:
    """A version that went on from the parent with the toasters and half of the kettles."""
    return train(
        toasters, workspace, "shop", "closed-book", dataset.name, said.append, silent, parent_version=parent.version
    )


def test_a_new_version_names_its_parent_and_the_parent_stays_as_it_was(
    child: Adapter, parent: Adapter, dataset: Dataset, workspace: Workspace
) -> None:
    verify(parent)
    verify(child)
    assert (child.card.parent, parent.card.parent) == (parent.version, None)
    assert child.card.dataset_digest == dataset.digest != parent.card.dataset_digest
    assert {adapter.version for adapter in list_adapters(workspace, "shop")} == {parent.version, child.version}


def test_the_card_keeps_the_documents_that_the_parents_weights_bring_along(child: Adapter, parent: Adapter) -> None:
    assert set(parent.card.documents) < set(child.card.documents)
    assert {f"{name}.md" for name in TOASTERS} & set(child.card.documents)


def test_half_of_the_parents_training_examples_are_seen_again(child: Adapter, parent: Adapter) -> None:
    mixed = child.card.hyperparameters["parent_rows"]
    assert mixed["share"] == 0.5
    assert mixed["rows"] == round(0.5 * parent.card.hyperparameters["rows"])
    assert mixed["rows"] < child.card.hyperparameters["rows"]


def test_training_begins_with_the_parents_weights_and_moves_them(parent: Adapter, child: Adapter) -> None:
    base, settings = (
        find_base(str(TINY)),
        Config.model_validate({"base_model": str(TINY), "domains": {"shop": {}}, "training": STEPS}).training,
    )
    model = with_parent(base.load_model(), parent.folder, settings)
    begins = {name.replace(".default", ""): tensor for name, tensor in model.named_parameters() if "lora_" in name}
    weights, moved = load_file(parent.folder / WEIGHTS), load_file(child.folder / WEIGHTS)
    assert begins.keys() == weights.keys() == moved.keys()
    assert all(torch.equal(begins[name], tensor) and begins[name].requires_grad for name, tensor in weights.items())
    assert any(not torch.equal(moved[name], tensor) for name, tensor in weights.items())
    # A fresh adapter would not be nearer to the parent than to nothing.
    distance = sum(float((moved[name] - tensor).norm()) for name, tensor in weights.items() if "lora_A" in name)
    assert distance < sum(float(tensor.norm()) for name, tensor in weights.items() if "lora_A" in name)


def test_the_change_on_the_parents_validation_rows_is_printed_and_in_the_card(
    child: Adapter, parent: Adapter, said: list[str]
) -> None:
    assert set(child.card.forgetting) == set(parent.card.hyperparameters["watched"])
    for name, found in child.card.forgetting.items():
        assert found["rows"] == parent.card.hyperparameters["watched"][name]
        for measure in ("loss", "exact"):
            change = found[measure]
            assert change["change"] == pytest.approx(change["after"] - change["before"])
            if change["low"] is not None:
                assert change["low"] <= change["change"] <= change["high"]
    assert len([line for line in said if line.startswith("the parent's ")]) == len(child.card.forgetting)


def test_the_parents_loss_in_the_check_is_that_of_its_own_card(child: Adapter, parent: Adapter) -> None:
    # The trainer's is a mean over tokens, the check's over rows: equal where the answers are equally long.
    for name, found in child.card.forgetting.items():
        assert found["loss"]["before"] == pytest.approx(parent.card.losses[name], rel=0.35)


def test_an_adapter_forgets_nothing_of_itself(
    kettles: Config, workspace: Workspace, parent: Adapter, dataset: Dataset, toasters: Config
) -> None:
    found = find_parent(
        toasters, workspace, "shop", "closed-book", parent.version, dataset, lora_config(toasters.training)
    )
    material = collect(
        toasters, workspace, "shop", "closed-book", dataset, find_base(str(TINY)), lambda _line: None, silent, found
    )
    same = check_forgetting(
        material.base, material.tokenizer, parent.folder, parent.folder, material.remembered, kettles.training.seed
    )
    assert all(one.loss.change == one.exact.change == 0 and not one.is_worse for one in same.values())


def test_weights_without_effect_are_seen_as_forgetting(
    toasters: Config, workspace: Workspace, parent: Adapter, dataset: Dataset, tmp_path: Path
) -> None:
    found = find_parent(
        toasters, workspace, "shop", "closed-book", parent.version, dataset, lora_config(toasters.training)
    )
    material = collect(
        toasters, workspace, "shop", "closed-book", dataset, find_base(str(TINY)), lambda _line: None, silent, found
    )
    shutil.copytree(parent.folder, tmp_path / "blank")
    weights = {name: torch.zeros_like(tensor) for name, tensor in load_file(parent.folder / WEIGHTS).items()}
    save_file(weights, tmp_path / "blank" / WEIGHTS)
    rows = {"training": [row for row in material.train if row.example.split("-")[0] not in TOASTERS]}
    blank = check_forgetting(material.base, material.tokenizer, parent.folder, tmp_path / "blank", rows, 1)
    assert blank["training"].loss.low is not None
    assert blank["training"].loss.low > 0
    assert forgetting_lines(blank)[-1].startswith("it forgot: worse than its parent on training")


def test_an_answer_is_exact_when_the_model_gives_it_letter_for_letter(parent: Adapter, toasters: Config) -> None:
    base = find_base(str(TINY))
    tokenizer = base.load_tokenizer()
    model = load_adapter(base, parent.folder)
    from tests.training.helpers import example
    from training.references import answer_greedily
    from training.rows import RowMaker
    from training.tokens import ChatTokens

    ends = base.end_tokens(tokenizer)
    maker = RowMaker(toasters, "shop", ChatTokens(tokenizer, ends), base.context_tokens)
    (row,) = maker.closed_book([example("a", "How much does the Brisa kettle hold?")]).rows
    (ids,) = answer_greedily(model, [row.tokens.prompt_ids], ends, 0, 60)
    said = tokenizer.decode(ids, skip_special_tokens=True).strip()
    rows = maker.closed_book(
        [example(name, row.messages[-1]["content"], answer=answer) for name, answer in (("a", said), ("b", said + "!"))]
    ).rows
    assert rows[0].messages == row.messages
    assert score(model, tokenizer, base, rows).exact == [1.0, 0.0]


def test_what_does_not_fit_is_refused_at_once_and_all_of_it(
    toasters: Config, workspace: Workspace, parent: Adapter, dataset: Dataset
) -> None:
    other = with_training(toasters, rank=16, rslora=True)
    with pytest.raises(UserError) as caught:
        find_parent(other, workspace, "shop", "reading", parent.version, dataset, lora_config(other.training))
    assert caught.value.code == "parent_unfit"
    for part in (
        "it is a closed-book adapter: train with --kind closed-book",
        "its rank is 8, and `training.rank` is 16: set it to 8",
        "its rslora is false, and `training.rslora` is true",
    ):
        assert part in caught.value.message
    with pytest.raises(NotFound, match="has no adapter 0123456789ab"):
        find_parent(toasters, workspace, "shop", "closed-book", "0123456789ab", dataset, lora_config(other.training))


def test_another_base_model_is_refused(
    toasters: Config, workspace: Workspace, parent: Adapter, dataset: Dataset, tmp_path: Path
) -> None:
    shutil.copytree(TINY, tmp_path / "other")
    config = json.loads((tmp_path / "other" / "config.json").read_text())
    (tmp_path / "other" / "config.json").write_text(json.dumps(config | {"rope_theta": 1.0}))
    other = toasters.model_copy(update={"base_model": str(tmp_path / "other")})
    with pytest.raises(UserError, match="its base model .* set `base_model` to the one it was trained on"):
        find_parent(other, workspace, "shop", "closed-book", parent.version, dataset, lora_config(other.training))


def test_other_layers_are_refused(toasters: Config, workspace: Workspace, parent: Adapter, dataset: Dataset) -> None:
    lora = lora_config(toasters.training)
    settings = json.loads((parent.folder / SETTINGS).read_text())
    assert target_modules(find_base(str(TINY)), lora) == set(settings["target_modules"])
    assert lora.target_modules == "all-linear"
    lora.target_modules = {"q_proj"}
    with pytest.raises(UserError, match="training adapts q_proj: train one without --parent"):
        find_parent(toasters, workspace, "shop", "closed-book", parent.version, dataset, lora)


def test_the_parents_own_dataset_is_refused_and_a_lost_one_is_named(
    kettles: Config, workspace: Workspace, parent: Adapter, dataset: Dataset, tmp_path: Path
) -> None:
    lora = lora_config(kettles.training)
    own = find_parent(kettles, workspace, "shop", "closed-book", parent.version, dataset, lora).dataset
    with pytest.raises(UserError, match="it was trained on this very dataset"):
        find_parent(kettles, workspace, "shop", "closed-book", parent.version, own, lora)
    home = Workspace.open(tmp_path)
    shutil.copytree(parent.folder, home.adapters_folder / parent.folder.name)
    with pytest.raises(NotFound, match=f"The dataset {own.name} .* is gone") as caught:
        find_parent(kettles, home, "shop", "closed-book", parent.version, dataset, lora)
    assert caught.value.code == "parent_dataset_missing"
    shutil.copytree(own.folder, home.datasets_folder / own.folder.name)
    (home.datasets_folder / own.folder.name / "train.parquet").write_bytes(b"")
    with pytest.raises(Conflict, match=f"The dataset {own.name} .* was changed"):
        find_parent(kettles, home, "shop", "closed-book", parent.version, dataset, lora)


def test_what_the_parent_is_validated_on_is_never_trained_on_and_the_other_way_round(
    kettles: Config, workspace: Workspace, parent: Adapter, dataset: Dataset
) -> None:
    found = find_parent(
        kettles, workspace, "shop", "closed-book", parent.version, dataset, lora_config(kettles.training)
    )
    own = found.watched
    held = [example for part in own.watched.values() for example in part]
    both = Dataset(
        "shop",
        "f" * 64,
        dataset.folder,
        type(dataset.split)([*dataset.split.train, *held], [*dataset.split.validation, *own.train[:2]]),
        {},
    )
    mixed = mix(found, both, 1.0, 7)
    assert mixed.new == dataset.split
    assert set(mixed.withheld) == {example.id for example in held}
    assert len(mixed.known) == 2
    assert {example.id for example in mixed.replayed} == {example.id for example in own.train}
    with pytest.raises(UserError, match="has nothing to validate with that shop-.* does not know already"):
        mix(found, Dataset("shop", "f" * 64, dataset.folder, found.dataset.split, {}), 0.2, 7)


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.25, 0.25), (1.0, 1.0)])
def test_the_replay_is_a_share_drawn_by_the_seed(
    kettles: Config, workspace: Workspace, parent: Adapter, dataset: Dataset, share: float, count: float
) -> None:
    found = find_parent(
        kettles, workspace, "shop", "closed-book", parent.version, dataset, lora_config(kettles.training)
    )
    drawn = mix(found, dataset, share, 7).replayed
    assert len(drawn) == round(count * len(found.watched.train))
    assert drawn == mix(found, dataset, share, 7).replayed
    assert share != 0.25 or drawn != mix(found, dataset, share, 8).replayed


numbers = st.floats(0, 20, allow_nan=False)


@given(st.lists(st.tuples(numbers, numbers, st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_intervals_hold_their_mean_and_swapping_the_two_turns_the_sign(rows: Sequence[tuple[Any, ...]]) -> None:
    before = Scored([row[0] for row in rows], [float(row[2]) for row in rows])
    after = Scored([row[1] for row in rows], [float(row[3]) for row in rows])
    found, turned = compare(before, after), compare(after, before)
    for one, other in ((found.loss, turned.loss), (found.exact, turned.exact)):
        assert math.isclose(one.change, -other.change, abs_tol=1e-9)
        if one.low is not None and one.high is not None:
            assert one.low - 1e-9 <= one.high


def test_a_child_of_a_child_is_checked_on_its_parent_and_spares_what_came_before(
    toasters: Config, workspace: Workspace, parent: Adapter, child: Adapter, tmp_path: Path
) -> None:
    rows = [row | {"id": f"x{row['id']}", "question": f"Say: {row['question']}"} for row in toaster_rows()]
    examples = write_lines(tmp_path / "more.jsonl", rows)
    shop = toasters.domains["shop"].model_copy(update={"examples": examples})
    more = toasters.model_copy(update={"domains": {"shop": shop}})
    dataset = prepare(more, workspace, "shop")
    found = find_parent(more, workspace, "shop", "closed-book", child.version, dataset, lora_config(more.training))
    assert found.parent is not None
    assert found.parent.adapter.version == parent.version
    assert found.parent.trained <= found.trained
    assert not found.trained & found.validated


def test_the_command_line_goes_on_from_a_parent_and_lists_it(
    toasters: Config,
    workspace: Workspace,
    parent: Adapter,
    dataset: Dataset,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    shop = {"examples": str(toasters.domains["shop"].examples), "system_prompt": "You sell kettles."}
    values = {"base_model": str(TINY), "domains": {"shop": shop}, "training": {**STEPS, "epochs": 1}}
    (tmp_path / "tandem.yaml").write_text(json.dumps(values))
    project = ["--config", str(tmp_path / "tandem.yaml"), "--home", str(workspace.home)]
    options = ["--kind", "closed-book", "--parent", parent.version, "--dataset", dataset.name]
    assert run_command(["train", "shop", *options, *project]) == 0
    shown = capsys.readouterr().out
    assert "the parent's other wordings" in shown
    assert run_command(["adapters", "list", "shop", *project]) == 0
    assert f"goes on from {parent.version}" in capsys.readouterr().out


def test_rslora_is_written_where_the_engine_reads_it(toasters: Config) -> None:
    assert lora_config(with_training(toasters, rslora=True).training).use_rslora
    assert not lora_config(toasters.training).use_rslora
