"""Rows teach, token for token, what a single question would be at serving."""

import itertools

import pytest
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from tandem.prompt import Passage, build_messages
from training.pretrain.evaluate import Source, writer
from training.pretrain.lessons import Lesson
from training.pretrain.model import READING, Shape, build_model, hidden_states
from training.pretrain.passages import WrittenPassage
from training.pretrain.recipe import FULL, MIDDLE, Recipe
from training.pretrain.renaming import Renaming
from training.pretrain.rows import ANSWER_WEIGHT, MARKER_WEIGHT, REPEATED_WEIGHT, RowBuilder, chat_text, to_batch
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


def test_a_lesson_whose_passages_do_not_fit_is_left_out_and_the_others_stay(tokenizer: Tokenizer) -> None:
    fitting = writer(Source.TEACHING, seed=5).write(MIDDLE)
    endless = Lesson("", (WrittenPassage("Endless", " ".join(["again"] * 4000), ()),), fitting.exercises)
    (alone,) = RowBuilder(tokenizer, 4000).rows([fitting])
    (row,) = RowBuilder(tokenizer, 4000).rows([endless, fitting, endless])
    assert row.tokens == alone.tokens
    assert set(row.lesson) == {0}


def test_each_question_of_a_row_reads_as_if_it_stood_alone(tokenizer: Tokenizer) -> None:
    source = writer(Source.TEACHING, seed=5)
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


def tiny_model(tokenizer: Tokenizer) -> Qwen3ForCausalLM:
    torch.manual_seed(0)
    shape = Shape(vocabulary=1024, width=64, layers=2, heads=2, head_width=32, feed_forward=64)
    return build_model(shape, tokenizer.token_to_id(TURN_END), tokenizer.token_to_id(END_OF_TEXT))


def test_no_question_sees_another_and_no_lesson_another(tokenizer: Tokenizer) -> None:
    source, model = writer(Source.TEACHING, seed=6), tiny_model(tokenizer)
    row = max(
        RowBuilder(tokenizer, 3000, enough=2000).rows([source.write(MIDDLE) for _ in range(4)]),
        key=lambda row: max(row.lesson),
    )
    batch, lesson, branch = to_batch(row), torch.tensor(row.lesson), torch.tensor(row.branch)
    own = (branch == 0) | (branch[:, None] == branch)
    visible = torch.ones(len(lesson), len(lesson), dtype=torch.bool).tril() & (lesson[:, None] == lesson) & own
    with torch.no_grad():
        masked = model.model(
            input_ids=batch.tokens, attention_mask=visible[None, None], position_ids=batch.positions
        ).last_hidden_state
        assert max(row.lesson) > 0
        torch.testing.assert_close(hidden_states(model, batch), masked, atol=1e-4, rtol=1e-4)


def test_answers_are_copied_from_where_the_guidance_says(tokenizer: Tokenizer) -> None:
    source, offered, right = writer(Source.TEACHING, seed=7), 0, 0
    for row in RowBuilder(tokenizer, 3000).rows([source.write(FULL) for _ in range(20)]):
        for at, places in row.sources:
            offered, right = offered + 1, right + (row.tokens[at + 1] in {row.tokens[place] for place in places})
    # A value at the start of a line is spelled without its leading space there, so a few differ.
    assert right / offered > 0.95


def test_renaming_changes_words_throughout_a_lesson_and_nothing_else(tokenizer: Tokenizer) -> None:
    lessons = [writer(Source.TEACHING, seed=9).write(FULL) for _ in range(10)]
    builders = RowBuilder(tokenizer, 4000), RowBuilder(tokenizer, 4000, renaming=Renaming(tokenizer, 1.0, seed=1))
    changed = 0
    for lesson in lessons:
        plain, renamed = (next(iter(builder.rows([lesson]))) for builder in builders)
        pairs = set(zip(plain.tokens, renamed.tokens, strict=True))
        assert len(pairs) == len(set(plain.tokens)) == len(set(renamed.tokens)), "one to one"
        for old, new in pairs:
            changed += old != new
            if old != new:
                spellings = [tokenizer.id_to_token(token) for token in (old, new)]
                assert all(spelling.lstrip("Ġ").isalpha() for spelling in spellings)
                assert spellings[0].startswith("Ġ") == spellings[1].startswith("Ġ")
        for (start, end, item), (other, _, _) in zip(plain.exercises, renamed.exercises, strict=True):
            assert start == other
            if item.number is None:
                assert plain.tokens[start:end] == renamed.tokens[start:end], "an abstention stays"
    assert changed > 300


def test_chance_is_no_target_but_what_can_be_known_is(tokenizer: Tokenizer) -> None:
    source = writer(Source.TEACHING, 10)
    (row,) = RowBuilder(tokenizer, 4000, renaming=Renaming(tokenizer, 1.0, seed=1)).rows([source.write(FULL)])
    seen: set[tuple[int, int]] = set()
    markers = {tokenizer.token_to_id(f"[{number}]") for number in range(1, 17)}
    answers = {place for start, end, _ in row.exercises for place in range(start, end)}
    for place, pair in enumerate(itertools.pairwise(row.tokens), 1):
        if place in answers:
            assert row.weights[place] == ANSWER_WEIGHT
        elif row.branch[place] == 0:
            expected = MARKER_WEIGHT if pair[1] in markers else REPEATED_WEIGHT if pair in seen else 0.0
            assert row.weights[place] == expected
            seen.add(pair)


def test_the_same_seed_renames_alike(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode("The bell of the old tower rings under a bright lamp.").ids
    first, second, other = (Renaming(tokenizer, 1.0, seed).draw(tokens) for seed in (4, 4, 5))
    assert first == second != other


def test_a_small_model_learns_a_batch_and_its_guided_heads_look_at_the_source(tokenizer: Tokenizer) -> None:
    source, model = writer(Source.TEACHING, seed=8), tiny_model(tokenizer)
    (row,) = RowBuilder(tokenizer, 600).rows([source.write(MIDDLE)])
    batch = to_batch(row)
    READING.guided_layers, READING.guided = {1: (0,)}, True
    stepper = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss, guided = language_loss(model, batch) / batch.weights.sum(), READING.loss()
        (loss + guided).backward()
        stepper.step()
        stepper.zero_grad()
        losses.append((loss.item(), guided.item()))
    READING.guided = False
    assert losses[-1][0] < 0.7 * losses[0][0]
    assert losses[-1][1] < 0.8 * losses[0][1]
