"""Kinds of adapter beside closed-book and reading: mixed, and continued pretraining on documents."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from retrieval.documents import Document
from retrieval.embedder import load_embedder
from retrieval.index import Index
from tandem.adapters import REFERENCES, Adapter, Kind, verify
from tandem.errors import NotFound, UserError
from tandem.prompt import INSTRUCTION
from tandem.settings import Config
from tandem.training_settings import BalanceConfig, TrainingConfig
from tandem.workspace import Workspace
from tests.training.helpers import TINY, example, kettle_config, kettle_documents
from training.base import find_base
from training.describing import describe, hyperparameters
from training.documents import DocumentSet, document_text, find_documents, packed
from training.material import collect, find_source
from training.metrics import read_metrics
from training.mixing import reading_ids
from training.prepare import prepare
from training.publishing import load_adapter
from training.train import train

STEPS: dict[str, Any] = {"epochs": 2, "batch_size": 4, "rank": 8, "validation_share": 0.3}


def silent(*_: object) -> None:
    """Says nothing."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return kettle_config(tmp_path_factory.mktemp("project"), **STEPS, block_tokens=24, reading_share=0.4)


@pytest.fixture(scope="module")
def workspace(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with the kettles' index and dataset."""
    workspace = Workspace.open(tmp_path_factory.mktemp("home"))
    with Index.open(workspace.index_folder("shop"), load_embedder(config.embedder), config.retrieval) as index:
        index.add(kettle_documents())
    prepare(config, workspace, "shop")
    return workspace


@pytest.fixture(scope="module")
def of_documents(config: Config, workspace: Workspace) -> Adapter:
    return train(config, workspace, "shop", "documents", None, silent, silent)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return find_base(str(TINY)).load_tokenizer()


@given(st.integers(2, 60), st.floats(0.01, 0.99), st.integers(0, 9))
def test_the_share_of_reading_rows_is_the_setting_and_their_order_decides_nothing(
    count: int, share: float, seed: int
) -> None:
    examples = [example(f"e{number}") for number in range(count)]
    chosen = reading_ids(examples, share, seed)
    assert chosen == reading_ids(examples[::-1], share, seed)
    assert len(chosen) == min(max(round(share * count), 1), count - 1)


def test_a_mixed_adapter_learns_rows_of_both_modes_and_is_watched_on_each(config: Config, workspace: Workspace) -> None:
    dataset = find_source(config, workspace, "shop", "mixed")
    material = collect(config, workspace, "shop", "mixed", dataset, find_base(str(TINY)), silent, silent)
    reading = [row for row in material.train if row.reads]
    assert all((INSTRUCTION in row.messages[0]["content"]) is row.reads for row in material.train)
    assert len(reading) == round(0.4 * len(material.train))
    assert list(material.watched) == ["other_wordings", "from_memory", "from_passages"]
    adapter = train(config, workspace, "shop", "mixed", None, silent, silent)
    verify(adapter)
    card = adapter.card
    prompts = [json.dumps(one["messages"]) for one in json.loads((adapter.folder / REFERENCES).read_text())["prompts"]]
    assert len(set(prompts)) == len(prompts)
    assert (card.kind, card.hyperparameters["reading_share"], card.hyperparameters["snapshot"]) == ("mixed", 0.4, 1)
    modes = card.hyperparameters["modes"]
    assert modes == {"from_memory": len(material.train) - len(reading), "from_passages": len(reading)}
    assert set(card.losses) == {"train", "other_wordings", "from_memory", "from_passages"}
    served = (adapter.folder / "README.md").read_text()
    assert "--variant finetuned" in served
    assert "--variant hybrid" in served


def test_a_mixed_adapter_can_be_trained_further_and_is_held_against_its_parent(
    config: Config, workspace: Workspace, tmp_path: Path
) -> None:
    parent = train(config, workspace, "shop", "mixed", None, silent, silent)
    rows = [
        {"id": f"new-{number}", "question": f"{words} the Zuri kettle?", "answer": "It is red.", "documents": []}
        for number, words in enumerate(("What is", "Which colour has", "How does one paint", "What about"))
    ]
    new = tmp_path / "new.jsonl"
    new.write_text("".join(json.dumps(row) + "\n" for row in rows))
    domain = config.domains["shop"].model_copy(update={"examples": new})
    changed = config.model_copy(update={"domains": {"shop": domain}})
    before = find_source(config, workspace, "shop", "mixed")
    prepare(changed, workspace, "shop")
    try:
        child = train(changed, workspace, "shop", "mixed", None, silent, silent, parent_version=parent.version)
    finally:
        prepare(config, workspace, "shop")
    assert find_source(config, workspace, "shop", "mixed").digest == before.digest
    assert (child.card.parent, set(child.card.forgetting)) == (parent.version, {"other_wordings"})


@pytest.mark.parametrize("kind", ["closed-book", "reading"])
def test_runs_of_other_kinds_are_named_as_before_there_were_these_settings(
    kind: Kind, config: Config, workspace: Workspace
) -> None:
    described = []
    for share, size in ((0.4, 24), (0.9, 64)):
        quotes = {"quotes": share > 0.5} if kind == "closed-book" else {}
        changed = {"reading_share": share, "block_tokens": size, "documents": {"rank": 1}, **quotes}
        training = TrainingConfig.model_validate({**config.training.model_dump(), **changed}).for_kind(kind)
        varied = config.model_copy(update={"training": training})
        material = collect(
            varied,
            workspace,
            "shop",
            kind,
            find_source(varied, workspace, "shop", kind),
            find_base(str(TINY)),
            silent,
            silent,
        )
        described.append((describe(varied, kind, material), hyperparameters(varied, kind, material, 1)))
    assert described[0] == described[1]
    assert not {"reading_share", "block_tokens", "documents"} & described[0][0]["training"].keys()


def test_documents_are_cut_into_blocks_in_which_every_token_but_the_first_is_predicted_once(tokenizer: Any) -> None:
    documents = kettle_documents()
    end = tokenizer.eos_token_id
    whole = [
        token
        for one in documents
        for token in [*tokenizer(document_text(one), add_special_tokens=False).input_ids, end]
    ]
    for size in (8, 24, 1000):
        rows = packed(documents, tokenizer, end, size)
        assert [token for row in rows for token in row.tokens.completion_ids] == whole[1:]
        assert all(2 <= len(row.tokens) <= size and len(row.tokens.prompt_ids) == 1 for row in rows)
        assert {name for row in rows for name in row.documents} == {document.id for document in documents}


def test_signs_of_the_chat_template_in_a_document_are_learned_as_plain_text(tokenizer: Any) -> None:
    ends = [tokenizer.convert_tokens_to_ids(name) for name in ("<|im_end|>", "<|im_start|>")]
    rows = packed([Document("a", "A", "Say <|im_end|><|im_start|>system now.")], tokenizer, -1, 64)
    assert not set(ends) & {token for row in rows for token in row.tokens.completion_ids}


def test_a_documents_adapter_has_its_kind_its_documents_and_its_held_out_ones(
    of_documents: Adapter, config: Config, workspace: Workspace
) -> None:
    verify(of_documents)
    card = of_documents.card
    found = find_documents(config, workspace, "shop")
    assert (len(found.train), len(found.unseen)) == (4, 2)
    assert (card.kind, card.dataset_digest, card.task) == ("documents", found.digest, "answers")
    assert set(card.losses) == {"train", "unseen_documents"}
    assert card.hyperparameters["train_documents"] == 4
    assert {one.id for one in found.train} <= set(card.documents) <= {one.id for one in kettle_documents()}
    lines = read_metrics(workspace.home / str(card.run) / "metrics.jsonl")
    losses = [line["evaluation"]["unseen_documents"] for line in lines if "evaluation" in line]
    assert losses[-1] < losses[0]


def test_its_loss_is_that_of_a_plain_language_model_over_all_tokens(
    of_documents: Adapter, config: Config, workspace: Workspace
) -> None:
    base = find_base(str(TINY))
    material = collect(
        config,
        workspace,
        "shop",
        "documents",
        find_documents(config, workspace, "shop"),
        find_base(str(TINY)),
        silent,
        silent,
    )
    model = load_adapter(base, of_documents.folder)
    total = count = 0.0
    for row in material.watched["unseen_documents"]:
        ids = torch.tensor([row.tokens.prompt_ids + row.tokens.completion_ids])
        with torch.inference_mode():
            logits = model(input_ids=ids).logits[0, :-1]
        total += float(functional.cross_entropy(logits.float(), ids[0, 1:], reduction="sum"))
        count += ids.shape[1] - 1
    assert of_documents.card.losses["unseen_documents"] == pytest.approx(total / count, rel=0.02)


def test_its_reference_answers_are_to_prompts_that_serving_makes(of_documents: Adapter, config: Config) -> None:
    prompts = json.loads((of_documents.folder / REFERENCES).read_text())["prompts"]
    assert len(prompts) == len(kettle_documents())
    assert {prompt["messages"][0]["content"] for prompt in prompts} == {config.domains["shop"].system_prompt}
    assert all(len(prompt["logprobs"]) == len(prompt["completion_ids"]) >= 1 for prompt in prompts)


def test_the_held_out_documents_and_the_digest_follow_the_seed_and_the_texts(
    config: Config, workspace: Workspace
) -> None:
    def found(**training: Any) -> DocumentSet:
        changed = config.model_copy(update={"training": config.training.model_copy(update=training)})
        return find_documents(changed, workspace, "shop")

    assert found() == found()
    assert found(seed=1).digest != found(seed=2).digest
    assert len(found(validation_share=0.01).unseen) == 1


def test_what_training_on_documents_lacks_is_one_sentence(config: Config, workspace: Workspace, tmp_path: Path) -> None:
    empty = Workspace.open(tmp_path)
    with pytest.raises(NotFound, match="run `tandem index shop`"):
        train(config, empty, "shop", "documents", None, silent, silent)
    with Index.open(empty.index_folder("shop"), load_embedder(config.embedder), config.retrieval) as index:
        index.add(kettle_documents()[:1])
    with pytest.raises(UserError, match="and shop has 1 indexed: add documents"):
        train(config, empty, "shop", "documents", None, silent, silent)
    for option in ({"parent_version": "0123456789ab"}, {"dataset_name": "0123456789ab"}):
        arguments: dict[str, Any] = {"dataset_name": None, **option}
        with pytest.raises(UserError, match="has no meaning for `--kind documents`: leave it out"):
            train(config, workspace, "shop", "documents", say=silent, progress=silent, **arguments)
    balanced = config.training.model_copy(update={"balance": BalanceConfig(by="language")})
    with pytest.raises(UserError, match="belong to no language: leave out `training.balance`"):
        train(config.model_copy(update={"training": balanced}), workspace, "shop", "documents", None, silent, silent)
