"""Training, really: a few steps of LoRA on `models/tiny` that end in a published adapter."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional
from trl.trainer import utils

from tandem.adapters import CONTENT, REFERENCES, WEIGHTS, Adapter, read_adapter, verify
from tandem.cli import run as run_command
from tandem.errors import ConfigError, NotFound, UserError
from tandem.prompt import PROMPT_HASH
from tandem.settings import Config
from tandem.workspace import Workspace
from tests.training.helpers import TINY, kettle_config, kettle_documents
from training.base import find_base
from training.lora import MASKED, lora_config, make_trainer
from training.material import collect, find_dataset
from training.model_card import README
from training.prepare import prepare
from training.publishing import load_adapter
from training.references import answer_greedily, log_probabilities
from training.train import train

STEPS = {"epochs": 2, "batch_size": 4, "rank": 8}


class Killed(BaseException):
    """Stands for the end of a process: nothing in the product catches it."""


def silent(_name: str, _done: int, _total: int) -> None:
    """No progress bar."""


def train_closed_book(config: Config, workspace: Workspace, say: Any = lambda _line: None) -> Adapter:
    return train(config, workspace, "shop", "closed-book", None, say, silent)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return kettle_config(tmp_path_factory.mktemp("project"), **STEPS)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace.open(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def adapter(config: Config, workspace: Workspace) -> Adapter:
    """A closed-book adapter after eight steps."""
    prepare(config, workspace, "shop")
    return train_closed_book(config, workspace)


def test_a_run_ends_in_a_published_adapter_with_its_card(
    adapter: Adapter, config: Config, workspace: Workspace
) -> None:
    verify(adapter)
    card = adapter.card
    assert read_adapter(workspace, "shop", adapter.version) == adapter
    assert sorted(path.name for path in adapter.folder.iterdir()) == sorted([*CONTENT, README, "training.jsonl"])
    assert (card.domain, card.kind, card.base_model, card.prompt_hash) == ("shop", "closed-book", "tiny", PROMPT_HASH)
    assert set(card.losses) == {"train", "other_wordings"}
    assert set(card.documents) <= {document.id for document in kettle_documents()}
    settings = json.loads((adapter.folder / "adapter_config.json").read_text())
    assert (settings["base_model_name_or_path"], settings["r"]) == (str(TINY), 8)
    assert settings["target_modules"] == sorted(settings["target_modules"])
    assert list((workspace.home / "training").glob("*/")) == []


def test_it_learns(adapter: Adapter) -> None:
    entries = [json.loads(line) for line in (adapter.folder / "training.jsonl").read_text().splitlines()]
    losses = [entry["loss"] for entry in entries if "loss" in entry]
    assert losses[1] < losses[0]
    assert any(
        tensor.abs().max() > 0 for name, tensor in load_file(adapter.folder / WEIGHTS).items() if "lora_B" in name
    )


def test_its_references_reproduce_under_peft_when_it_is_loaded_again(adapter: Adapter) -> None:
    base = find_base(str(TINY))
    ends = base.end_tokens(base.load_tokenizer())
    model = load_adapter(base, adapter.folder)
    prompts = json.loads((adapter.folder / REFERENCES).read_text())["prompts"]
    assert 10 <= len(prompts) <= 32
    for prompt in prompts:
        assert 1 <= len(prompt["completion_ids"]) <= 24
        expected = log_probabilities(model, prompt["prompt_ids"], prompt["completion_ids"])
        assert prompt["logprobs"] == pytest.approx(expected, abs=1e-4)
    alone = answer_greedily(model, [prompts[0]["prompt_ids"]], ends, 0)
    assert alone == [prompts[0]["completion_ids"]]


def test_a_run_that_was_killed_goes_on_and_ends_where_it_would_have(
    adapter: Adapter, config: Config, tmp_path: Path
) -> None:
    workspace = Workspace.open(tmp_path)
    prepare(config, workspace, "shop")

    def die_in_the_second_epoch(line: str) -> None:
        if line.startswith("epoch 2"):
            raise Killed

    with pytest.raises(Killed):
        train_closed_book(config, workspace, die_in_the_second_epoch)
    (folder,) = (workspace.home / "training").glob("*/")
    assert not list(folder.rglob("training_args.bin"))
    said: list[str] = []
    resumed = train_closed_book(config, workspace, said.append)
    assert any(line.startswith("going on after step") for line in said)
    assert not any(line.startswith("epoch 1 ") for line in said)
    weights = [load_file(version.folder / WEIGHTS) for version in (adapter, resumed)]
    assert weights[0].keys() == weights[1].keys()
    assert all(tensor.allclose(weights[1][name], atol=1e-5) for name, tensor in weights[0].items())
    assert resumed.card.losses == pytest.approx(adapter.card.losses, abs=1e-4)


def test_the_command_line_prepares_indexes_and_trains_a_reading_adapter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = kettle_config(tmp_path)
    (tmp_path / "documents").mkdir()
    for document in kettle_documents():
        (tmp_path / "documents" / document.id).write_text(f"# {document.title}\n\n{document.text}\n")
    domain = {"examples": str(config.domains["shop"].examples), "documents": "documents"}
    values = {"base_model": str(TINY), "domains": {"shop": domain}, "training": {**STEPS, "epochs": 1}}
    (tmp_path / "tandem.yaml").write_text(json.dumps(values))
    project = ["--config", str(tmp_path / "tandem.yaml"), "--home", str(tmp_path / "home"), "--json"]
    results = []
    for command in (
        ["prepare", "shop"],
        ["index", "shop"],
        ["prepare", "shop"],
        ["train", "shop", "--kind", "reading"],
    ):
        assert run_command([*command, *project]) == 0
        results.append(json.loads(capsys.readouterr().out))
    assert (results[0]["stale"], results[2]["stale"]) == (None, [])
    assert results[3]["kind"] == "reading"
    assert set(results[3]["losses"]) == {"train", "unseen_documents"}
    assert results[3]["documents"] == sorted(document.id for document in kettle_documents())
    verify(read_adapter(Workspace.open(tmp_path / "home"), "shop", results[3]["version"]))


def test_what_is_missing_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    config, workspace = kettle_config(tmp_path), Workspace.open(tmp_path / "home")
    without = Config.model_validate({"base_model": "x", "domains": {"shop": {}}, "path": tmp_path / "tandem.yaml"})
    with pytest.raises(UserError, match="'both' is no kind of adapter; there is closed-book, reading, mixed"):
        train(config, workspace, "shop", "both", None, print, silent)
    with pytest.raises(ConfigError, match=r"set `domains\.shop\.examples`"):
        train_closed_book(without, workspace)
    with pytest.raises(NotFound, match="`tandem prepare shop`"):
        train_closed_book(config, workspace)
    prepare(config, workspace, "shop")
    with pytest.raises(NotFound, match="run `tandem index shop`"):
        train(config, workspace, "shop", "reading", None, print, silent)
    with pytest.raises(NotFound, match="has no dataset 0123456789ab"):
        train(config, workspace, "shop", "closed-book", "0123456789ab", print, silent)


def test_a_base_model_that_cannot_be_used_is_reported_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="has no config.json with safetensors weights"):
        find_base(str(tmp_path / "empty"))


def test_the_loss_is_that_of_the_answers_and_no_other_token_reaches_the_output_layer(
    config: Config, adapter: Adapter, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert adapter.card.kind == "closed-book"  # its dataset is there
    dataset = find_dataset(config, workspace, "shop", None)
    material = collect(
        config, workspace, "shop", "closed-book", dataset, find_base(str(TINY)), lambda _line: None, silent
    )
    lora, run = lora_config(config.training), SimpleNamespace(folder=tmp_path)
    trainer: Any = make_trainer(
        material.base, material.tokenizer, material.train, material.watched, lora, config.training, run
    )
    seen: list[int] = []

    def counted(hidden: torch.Tensor, *arguments: Any) -> Any:
        seen.append(hidden.shape[0])
        return original(hidden, *arguments)

    original = utils._ChunkedLogProbFunction.apply
    monkeypatch.setattr(utils, "_ChunkedLogProbFunction", SimpleNamespace(apply=counted))
    batch = next(iter(trainer.get_train_dataloader()))
    answers = batch["labels"][:, 1:] != MASKED
    loss = trainer.compute_loss(trainer.model, dict(batch))
    assert seen == [int(answers.sum())]
    logits = trainer.model(**{name: value for name, value in batch.items() if name != "labels"}).logits[:, :-1]
    expected = functional.cross_entropy(logits[answers], batch["labels"][:, 1:][answers])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
