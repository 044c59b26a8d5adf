"""Batches without padding give what padded ones give, and their rows do not see each other."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model
from transformers import AutoModelForCausalLM, MistralConfig, MistralForCausalLM
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from tandem.training_settings import TrainingConfig
from tests.training.helpers import TINY
from training.base import find_base
from training.lora import MASKED, lora_config, make_trainer
from training.rows import Row
from training.rows_apart import BY_ROW, keep_rows_apart
from training.runs import Run
from training.tokens import TokenRow

LENGTHS = (9, 40, 17)


def example(length: int, seed: int) -> dict[str, list[int]]:
    ids = torch.randint(5, 2000, (length,), generator=torch.Generator().manual_seed(seed)).tolist()
    return {"input_ids": ids, "labels": [MASKED] * (length // 2) + ids[length // 2 :]}


def model_with_adapter(apart: bool) -> Any:
    """The tiny model with an adapter that is not zero anywhere."""
    model = AutoModelForCausalLM.from_pretrained(TINY, dtype="float32")
    assert not apart or keep_rows_apart(model)
    torch.manual_seed(0)
    tuned = get_peft_model(model, lora_config(TrainingConfig(rank=8)))
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.02)
    return tuned


def loss_of(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """Mean over the tokens of the answers, of the logits at all positions."""
    labels = batch["labels"]
    logits = model(**{name: value for name, value in batch.items() if name != "labels"}, use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


def test_a_batch_without_padding_gives_the_loss_and_the_gradients_of_the_padded_one() -> None:
    rows = [example(length, seed) for seed, length in enumerate(LENGTHS)]
    gradients = []
    for apart in (False, True):
        model = model_with_adapter(apart)
        batch = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=apart)(rows)
        assert batch["input_ids"].numel() == (sum(LENGTHS) if apart else len(LENGTHS) * max(LENGTHS))
        loss = loss_of(model, batch)
        loss.backward()
        adapter = [weight.grad for weight in model.parameters() if weight.requires_grad]
        gradients.append([loss.detach(), *adapter])
    for padded, laid in zip(*gradients, strict=True):
        torch.testing.assert_close(laid, padded, rtol=1e-4, atol=1e-6)


def test_a_row_is_the_same_whatever_lies_before_it() -> None:
    model, collate = model_with_adapter(True).eval(), DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)
    last = example(20, 1)
    with torch.inference_mode():
        both = [
            model(**{name: value for name, value in collate([example(length, 2), last]).items() if name != "labels"})
            for length in (5, 60)
        ]
        alone = model(input_ids=torch.tensor([last["input_ids"]]))
    for answers in both:
        torch.testing.assert_close(answers.logits[:, -20:], alone.logits, rtol=1e-4, atol=1e-4)


def test_a_model_that_looks_back_over_a_window_keeps_its_own_attention() -> None:
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "vocab_size": 32}
    for window, expected in ((8, False), (None, True)):
        config = MistralConfig(**shape, num_attention_heads=2, num_key_value_heads=1, sliding_window=window)
        model = MistralForCausalLM(config)
        assert keep_rows_apart(model) is expected
        assert model.config._attn_implementation == (BY_ROW if expected else "sdpa")


@pytest.mark.parametrize("checkpointing", [False, True])
def test_an_epoch_has_the_rows_of_each_step_that_the_trainers_defaults_have(
    tmp_path: Path, checkpointing: bool
) -> None:
    from transformers import Trainer, TrainingArguments

    rows = [Row(str(n), [], "", (), TokenRow([5 + n] * (3 + n % 7), [6, 2])) for n in range(20)]
    settings = TrainingConfig(rank=8, batch_size=4, epochs=1, gradient_checkpointing=checkpointing)
    base = find_base(str(TINY))
    lora, run = lora_config(settings), Run(tmp_path)
    ours = make_trainer(base, base.load_tokenizer(), rows, {"watched": rows[:2]}, lora, settings, run)
    options = TrainingArguments(str(tmp_path), per_device_train_batch_size=4, seed=settings.seed, use_cpu=True)
    items = [{"input_ids": row.tokens.prompt_ids + row.tokens.completion_ids} for row in rows]
    plain = Trainer(model=base.load_model(), args=options, train_dataset=items, data_collator=list)
    for batch, expected in zip(ours.get_train_dataloader(), plain.get_train_dataloader(), strict=True):
        ids = [item["input_ids"] for item in expected]
        assert batch["input_ids"].tolist() == [[token for row in ids for token in row]]
    ours.train()
    assert ours.state.global_step == 5
