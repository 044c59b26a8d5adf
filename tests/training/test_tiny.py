"""`models/tiny` as it is shipped: its format, its size, and that it reads."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from training.pretrain.evaluate import ReadingScore, Source, quick_score
from training.pretrain.tokenizer import CHAT_TEMPLATE

TINY = Path(__file__).resolve().parents[2] / "models" / "tiny"


def test_it_is_a_small_bf16_model_of_a_mainstream_architecture() -> None:
    config = json.loads((TINY / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["Qwen3ForCausalLM"]
    assert config["max_position_embeddings"] >= 2048
    with safe_open(TINY / "model.safetensors", framework="pt") as weights:
        tensors = [weights.get_tensor(name) for name in weights.keys()]  # noqa: SIM118 (not a dictionary)
    assert {tensor.dtype for tensor in tensors} == {torch.bfloat16}
    assert sum(tensor.numel() for tensor in tensors) <= 16_000_000
    assert sum(path.stat().st_size for path in TINY.iterdir()) < 35_000_000


def test_its_tokenizer_carries_the_chat_template_of_the_recipe() -> None:
    tokenizer = AutoTokenizer.from_pretrained(TINY)
    assert tokenizer.chat_template == CHAT_TEMPLATE
    assert tokenizer.eos_token == "<|im_end|>"


@pytest.fixture(scope="module")
def scores() -> dict[Source, ReadingScore]:
    """A quick score on each generator."""
    tokenizer = AutoTokenizer.from_pretrained(TINY).backend_tokenizer
    model = AutoModelForCausalLM.from_pretrained(TINY, dtype=torch.float32, attn_implementation="rows").eval()
    return {source: quick_score(model, tokenizer, source) for source in Source}


def test_it_reads_passages_of_the_kind_that_it_was_taught(scores: dict[Source, ReadingScore]) -> None:
    """Floors some points below what this score was when it was shipped, for the arithmetic of other machines."""
    score = scores[Source.TEACHING]
    assert score.value >= 0.64
    assert score.citation >= 0.92
    assert score.abstention >= 0.69
    assert score.false_abstention <= 0.21


def test_it_finds_the_passage_in_text_unlike_what_it_was_taught(scores: dict[Source, ReadingScore]) -> None:
    """Its card says how far the values themselves are from their target; this holds what is reached."""
    for source, value in ((Source.DEVELOPMENT, 0.5), (Source.HELD_OUT, 0.47)):
        assert scores[source].value >= value
        assert scores[source].citation >= 0.88
        assert scores[source].abstention >= 0.56
        assert scores[source].false_abstention <= 0.32
