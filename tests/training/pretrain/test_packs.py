"""A pack of rows teaches what its rows teach one by one, and a run in packs goes on where it was killed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from tests.conftest import TINY
from training.pretrain import teaching
from training.pretrain.lessons import LessonWriter
from training.pretrain.model import READING, Shape, build_model
from training.pretrain.packs import to_pack
from training.pretrain.recipe import ACCELERATED, FULL, SHORT, Recipe
from training.pretrain.rows import Row, RowBuilder, to_batch
from training.pretrain.run import Run, language_loss, pretrain

SMALL = Shape(vocabulary=2048, width=32, layers=3, heads=2, head_width=16, feed_forward=48)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(TINY).backend_tokenizer
    writer = LessonWriter(teaching.LEXICON, teaching.PHRASING, 5)
    lessons = [writer.write(difficulty) for difficulty in (SHORT, FULL, SHORT, replace(SHORT, closed=1.0), FULL)]
    return list(RowBuilder(tokenizer, 1400, 300).rows(lessons))


@pytest.fixture
def model() -> Qwen3ForCausalLM:
    torch.manual_seed(3)
    READING.guided_layers = Recipe(shape=SMALL).guided_heads
    return build_model(SMALL, 1, 0)


def gradients(model: Qwen3ForCausalLM) -> list[torch.Tensor]:
    found = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    model.zero_grad()
    return found


def test_a_pack_has_the_loss_the_guidance_and_the_gradients_of_its_rows(
    rows: list[Row], model: Qwen3ForCausalLM
) -> None:
    assert len(rows) > 2
    assert len({len(row.tokens) for row in rows}) > 1
    READING.guided = True
    losses, guided = torch.zeros(()), torch.zeros(())
    for row in rows:
        losses = losses + language_loss(model, to_batch(row))
        guided = guided + READING.loss() / len(rows)
    (losses + guided).backward()
    one_by_one = gradients(model)
    pack_losses = language_loss(model, to_pack(rows))
    pack_guided = READING.loss()
    READING.guided = False
    (pack_losses + pack_guided).backward()
    assert guided > 0.5
    torch.testing.assert_close((pack_losses, pack_guided), (losses, guided), rtol=1e-4, atol=1e-4)
    for alone, packed in zip(one_by_one, gradients(model), strict=True):
        torch.testing.assert_close(packed, alone, rtol=1e-3, atol=1e-3)


def test_a_run_in_packs_that_was_interrupted_ends_as_one_that_was_not(tmp_path: Path) -> None:
    recipe = replace(
        ACCELERATED,
        shape=SMALL,
        tokenizer_lessons=300,
        tokens_per_step=2000,
        warmup_tokens=2000,
        cycles=((4000, 4000),),
    )
    pretrain(recipe, tmp_path / "whole")
    run = Run(recipe, tmp_path / "broken")
    for batches in run.steps():
        run.train_step(batches)
        if run.step == 2:
            break
    run.checkpoint()
    pretrain(recipe, tmp_path / "broken")
    whole, broken = (Run(recipe, tmp_path / name) for name in ("whole", "broken"))
    assert (whole.step, whole.tokens) == (broken.step, broken.tokens) == (4, 8000)
    for one, other in zip(whole.model.parameters(), broken.model.parameters(), strict=True):
        assert torch.equal(one, other)
