"""Rows teach, token for token, what a single question would be at serving."""

import itertools

import pytest
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from tandem.prompt import Passage, build_messages
from training.pretrain.evaluate import writer
from training.pretrain.model import GUIDANCE, Shape, build_model
from training.pretrain.recipe import FULL, MIDDLE, Recipe
from training.pretrain.rows import RowBuilder, chat_text, collate
from training.pretrain.run import language_loss, tokenizer_texts
from training.pretrain.tokenizer import END_OF_TEXT, TURN_END, train_tokenizer


@pytest.fixture(scope="module")
def wrapped() -> PreTrainedTokenizerFast:
    return train_tokenizer(itertools.islice(tokenizer_texts(Recipe()), 300), 1024)


@pytest.fixture(scope="module")
def tokenizer(wrapped: PreTrainedTokenizerFast) -> Tokenizer:
    return wrapped.backend_tokenizer


def test_chat_text_is_what_the_chat_template_renders(wrapped: PreTrainedTokenizerFast) -> None:
    history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi."}]
    messages = build_messages("When?", [Passage("A", "B.")], "Be kind.", history)
    for generate in (False, True):
        shown = wrapped.apply_chat_template(messages, tokenize=False, add_generation_prompt=generate)
        assert chat_text(messages, generate) == shown


def test_a_marker_and_a_digit_are_one_token_each(wrapped: PreTrainedTokenizerFast) -> None:
    assert wrapped.tokenize("in 2031 [12]") == ["in", "Ġ", "2", "0", "3", "1", "Ġ", "[12]"]


def test_each_question_of_a_row_reads_as_if_it_stood_alone(tokenizer: Tokenizer) -> None:
    source = writer(held_out=False, seed=5)
    for _ in range(30):
        lesson = source.write(FULL)
        (row,) = RowBuilder(tokenizer, 4000).rows([lesson])
        shown = None if lesson.passages is None else [Passage(item.title, item.text) for item in lesson.passages]
        for branch, (_, _, item) in enumerate(row.exercises, 1):
            seen = [token for token, of in zip(row.tokens, row.branch, strict=True) if of in (0, branch)]
            positions = [place for place, of in zip(row.positions, row.branch, strict=True) if of in (0, branch)]
            alone = chat_text(build_messages(item.question, shown, lesson.system_prompt), generate=True)
            assert seen == tokenizer.encode(alone + f" {item.answer}{TURN_END}").ids
            assert positions == list(range(len(seen)))


def test_no_question_sees_another_and_no_lesson_another(tokenizer: Tokenizer) -> None:
    source = writer(held_out=False, seed=6)
    row = max(
        RowBuilder(tokenizer, 3000, enough=2000).rows([source.write(MIDDLE) for _ in range(4)]),
        key=lambda row: max(row.lesson),
    )
    visible = collate([row], 0).visible[0, 0]
    lesson, branch = torch.tensor(row.lesson), torch.tensor(row.branch)
    looks, at = visible.nonzero(as_tuple=True)
    assert max(row.lesson) > 0
    assert bool((at <= looks).all() and (lesson[looks] == lesson[at]).all())
    assert bool(((branch[at] == 0) | (branch[at] == branch[looks])).all())


def test_answers_are_copied_from_where_the_guidance_says(tokenizer: Tokenizer) -> None:
    source = writer(held_out=False, seed=7)
    batch = collate(list(RowBuilder(tokenizer, 3000).rows([source.write(FULL) for _ in range(20)])), 0)
    next_token = batch.tokens[batch.source_row, batch.source_at + 1]
    offered = [
        set(batch.tokens[row][places].tolist())
        for row, places in zip(batch.source_row, batch.source_places, strict=True)
    ]
    found = sum(int(token) in tokens for token, tokens in zip(next_token, offered, strict=True))
    # A value at the start of a line is spelled without its leading space there, so a few differ.
    assert found / len(offered) > 0.95


def test_a_small_model_learns_a_batch_and_its_guided_heads_look_at_the_source(tokenizer: Tokenizer) -> None:
    torch.manual_seed(0)
    shape = Shape(vocabulary=1024, width=64, layers=2, heads=2, head_width=32, feed_forward=64)
    model = build_model(shape, tokenizer.token_to_id(TURN_END), tokenizer.token_to_id(END_OF_TEXT))
    source = writer(held_out=False, seed=8)
    batch = collate(list(RowBuilder(tokenizer, 600).rows([source.write(MIDDLE)])), 0)
    GUIDANCE.layers, GUIDANCE.batch = {1: (0,)}, batch
    stepper = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss, guided = language_loss(model, batch) / batch.weights.sum(), GUIDANCE.loss()
        (loss + guided).backward()
        stepper.step()
        stepper.zero_grad()
        losses.append((loss.item(), guided.item()))
    GUIDANCE.batch = None
    assert losses[-1][0] < 0.7 * losses[0][0]
    assert losses[-1][1] < 0.8 * losses[0][1]
