"""Rows: the prompt that serving makes, the answer as the template writes it, the right passage where it belongs."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from retrieval.index import Index
from tandem.errors import ConfigError
from tandem.prompt import ABSTENTION, NO_PASSAGES, Passage, build_messages, passage_title
from tandem.settings import Config
from tests.training.helpers import TINY, example, kettle_config, kettle_index, kettle_rows
from training.base import find_base
from training.checks import holds, sentence_with
from training.examples import Example
from training.rows import Row, RowMaker, Rows, require_rows
from training.tokens import ChatTokens

EXAMPLES = [Example(**{**row, "documents": tuple(row.get("documents", ()))}) for row in kettle_rows()]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(TINY)


@pytest.fixture(scope="module")
def chat(tokenizer: Any) -> ChatTokens:
    return ChatTokens(tokenizer, find_base(str(TINY)).end_tokens(tokenizer))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("index")
    with kettle_index(folder / "shop", kettle_config(folder).retrieval) as opened:
        yield opened


def maker(config: Config, chat: ChatTokens, context_tokens: int | None = 2048) -> RowMaker:
    return RowMaker(config, "shop", chat, context_tokens)


def passages(row: Row) -> list[str]:
    """The passages in a row's prompt, without their markers."""
    shown = row.messages[-1]["content"].rpartition("\n\nQuestion: ")[0]
    return [] if shown == NO_PASSAGES else [part.partition("] ")[2] for part in shown.split("\n\n")]


def test_a_row_is_what_the_template_renders_for_the_whole_conversation(chat: ChatTokens, tokenizer: Any) -> None:
    messages = build_messages("How much?", [Passage("Kettle", "It holds 1.5 litres.")], "Be kind.")
    answer = "Wendlemark says: 1.5 litres. [1]"
    row = chat.row(messages, answer)
    whole = [*messages, {"role": "assistant", "content": answer}]
    rendered = tokenizer.apply_chat_template(whole, tokenize=False)
    # The template writes a line end after the end of the turn, which the engine never gets to.
    end_of_line = tokenizer("\n", add_special_tokens=False)["input_ids"]
    assert (
        row.prompt_ids + row.completion_ids + end_of_line == tokenizer(rendered, add_special_tokens=False)["input_ids"]
    )
    assert row.prompt_ids == tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    assert tokenizer.decode(row.completion_ids) == f" {answer}<|im_end|>"


def test_other_templates_are_followed_to_their_end_of_turn(tokenizer: Any) -> None:
    other = AutoTokenizer.from_pretrained(TINY)
    ends = frozenset({tokenizer.eos_token_id})
    other.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    row = ChatTokens(other, ends).row([{"role": "user", "content": "Why?"}], "Because.")
    assert other.decode(row.prompt_ids) == "user: Why?\nassistant: "
    assert other.decode(row.completion_ids) == "Because.\n<|im_end|>"
    other.chat_template = (
        "{% for m in messages %}{{ m.content }}|{% endfor %}{% if add_generation_prompt %}THINK{% endif %}"
    )
    row = ChatTokens(other, ends).row([{"role": "user", "content": "Why?"}], "Because.")
    assert other.decode(row.prompt_ids) == "Why?|THINK"
    assert other.decode(row.completion_ids) == "Because.<|im_end|>"


def test_a_template_that_refuses_the_messages_is_reported_in_a_sentence() -> None:
    other = AutoTokenizer.from_pretrained(TINY)
    other.chat_template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(ConfigError, match="chat template refuses the messages: System role not supported"):
        ChatTokens(other, frozenset({1})).prompt_ids([{"role": "system", "content": "x"}])


def test_a_closed_book_row_has_the_shared_prompt_without_passages(tmp_path: Path, chat: ChatTokens) -> None:
    (row,) = maker(kettle_config(tmp_path), chat).closed_book(EXAMPLES[:1]).rows
    assert row.messages == build_messages("How much does the Brisa kettle hold?", None, "You sell kettles.")
    assert row.answer == "Wendlemark says: 1.5 litres."
    assert row.tokens == chat.row(row.messages, row.answer)
    assert row.documents == ("brisa.md",)


def test_a_reading_row_shows_what_serving_finds_and_cites_the_right_passage(
    tmp_path: Path, chat: ChatTokens, index: Index
) -> None:
    config = kettle_config(tmp_path, without_right_passage=0.0)
    made = maker(config, chat).reading(EXAMPLES, index)
    assert not made.unfound
    for row, source in zip(made.rows, EXAMPLES, strict=True):
        hits = index.search(source.question, config.retrieval.k).hits
        found = [Passage(passage_title(hit.title, hit.section, hit.text), hit.text) for hit in hits]
        if source.abstains:
            assert row.answer == ABSTENTION
            assert row.messages == build_messages(source.question, found, "You sell kettles.")
        else:
            number = int(row.answer.removeprefix(f"{source.answer} [").removesuffix("]"))
            assert str(source.value) in passages(row)[number - 1]
            if any(hit.document in source.documents for hit in hits):
                assert row.messages == build_messages(source.question, found, "You sell kettles.")


def test_with_quotes_an_answer_begins_with_the_sentence_that_holds_its_value(
    tmp_path: Path, chat: ChatTokens, index: Index
) -> None:
    config = kettle_config(tmp_path, without_right_passage=0.0, quotes=True)
    answerable = [row for row in EXAMPLES if not row.abstains]
    for row, source in zip(maker(config, chat).reading(answerable, index).rows, answerable, strict=True):
        match = re.fullmatch(r"“(.+)” \[(\d)\] (.+)", row.answer)
        assert match, row.answer
        assert match[1] in passages(row)[int(match[2]) - 1]
        assert str(source.value) in match[1]
        assert match[3] == source.answer
    without_value = [replace(answerable[0], value=None)]
    (row,) = maker(config, chat).reading(without_value, index).rows
    assert row.answer.startswith(f"{answerable[0].answer} [")


@given(st.lists(st.text(alphabet="ab 1.!\n", max_size=12), max_size=6))
def test_the_sentence_with_a_value_is_verbatim_and_holds_it(pieces: list[str]) -> None:
    text = " ".join([*pieces, "It is 7.5 kg.", *pieces])
    sentence = sentence_with(text, "7.5 kg")
    assert sentence
    assert sentence in text
    assert holds(sentence, "7.5 kg")
    assert sentence_with(text, "9 kg") is None


def test_the_right_passage_is_put_in_where_the_search_misses_it(tmp_path: Path, chat: ChatTokens, index: Index) -> None:
    config = kettle_config(tmp_path, without_right_passage=0.0, distractors=2)
    lost = [
        Example(
            f"lost-{number}", "The Brisa, Arlo and Orio kettle?", "Wendlemark says: 6.5 litres.", ("kesto.md",), "6.5"
        )
        for number in range(12)
    ]
    rows = maker(config, chat).reading(lost, index).rows
    places = {row.answer for row in rows}
    assert places == {f"Wendlemark says: 6.5 litres. [{number}]" for number in (1, 2, 3)}
    assert all(len(passages(row)) == 3 and "kesto.md" in row.documents for row in rows)


def test_a_row_without_the_right_passage_abstains_and_nothing_in_it_holds_the_value(
    tmp_path: Path, chat: ChatTokens, index: Index
) -> None:
    config = kettle_config(tmp_path, without_right_passage=0.999999)
    answerable = [row for row in EXAMPLES if not row.abstains]
    for row, source in zip(maker(config, chat).reading(answerable, index).rows, answerable, strict=True):
        assert row.answer == ABSTENTION
        assert len(passages(row)) == 4
        assert not any(str(source.value) in passage for passage in passages(row))


def test_the_share_without_the_right_passage_is_kept_and_seeded(tmp_path: Path, chat: ChatTokens, index: Index) -> None:
    many = [Example(f"e{n}", EXAMPLES[0].question, *_rest(EXAMPLES[0])) for n in range(200)]
    answers = [
        [row.answer for row in maker(kettle_config(tmp_path, seed=seed), chat).reading(many, index).rows]
        for seed in (1, 1, 2)
    ]
    assert answers[0] == answers[1] != answers[2]
    assert 0.1 < answers[0].count(ABSTENTION) / 200 < 0.3


def test_an_example_whose_answer_no_passage_holds_is_left_out_and_named(
    tmp_path: Path, chat: ChatTokens, index: Index
) -> None:
    config = kettle_config(tmp_path, without_right_passage=0.0)
    gone = example("gone", "How much does the Brisa hold?", ["brisa.md"], value="9.9 litres")
    made = maker(config, chat).reading([gone], index)
    assert (made.rows, made.unfound) == ([], ["gone"])
    with pytest.raises(ConfigError, match="1 have an answer that no indexed passage holds"):
        require_rows(made, "training", "shop")


def test_passages_give_way_to_the_context_but_the_right_one_stays(
    tmp_path: Path, chat: ChatTokens, index: Index
) -> None:
    config = kettle_config(tmp_path, without_right_passage=0.0)
    full = maker(config, chat).reading(EXAMPLES[:2], index).rows
    room = config.serving.max_answer_tokens
    limit = max(len(row.tokens.prompt_ids) for row in full) + room - 40
    for row in maker(config, chat, limit).reading(EXAMPLES[:2], index).rows:
        assert len(row.tokens.prompt_ids) + room <= limit
        assert len(passages(row)) < 4
        number = int(row.answer[-2])
        assert "1.5 litres" in passages(row)[number - 1]
    assert maker(config, chat, 100).reading(EXAMPLES[:1], index) == Rows(too_long=["Brisa-1"])


def _rest(source: Example) -> tuple[str, tuple[str, ...], str | None]:
    return source.answer, source.documents, source.value
