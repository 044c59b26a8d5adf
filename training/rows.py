"""Examples as rows to train on: the shared prompt, with passages or without, and the answer."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tandem.errors import ConfigError
from tandem.prompt import ABSTENTION, Message, Passage, build_messages, passage_title
from tandem.settings import Config
from training.checks import holds, sentence_with
from training.examples import Example
from training.tokens import ChatTokens, TokenRow

if TYPE_CHECKING:
    from retrieval.index import Index
    from retrieval.results import Hit

DEPTH: Final = 4
"""Passages that are looked at for each one that is shown."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Row:
    """One row: what is asked, what is to be answered, and both as tokens."""

    example: str
    messages: list[Message]
    answer: str
    documents: tuple[str, ...]
    """Ids of the documents that the example names or the prompt shows."""
    tokens: TokenRow
    reads: bool = False
    """Whether the prompt has the form that shows passages."""


@dataclass
class Rows:
    """Rows, and the ids of the examples that none could be made of, by reason."""

    rows: list[Row] = field(default_factory=list)
    unfound: list[str] = field(default_factory=list)
    """No passage of its documents holds the answer."""
    too_long: list[str] = field(default_factory=list)
    """Does not fit the base model's context."""


@dataclass(frozen=True)
class Reading:
    """Passages for a question, best first; `right` is the position of the one that holds the answer, if any."""

    hits: "list[Hit]"
    right: int | None


class RowMaker:
    """Makes rows for one domain as serving makes its prompts."""

    def __init__(self, config: Config, domain: str, chat: ChatTokens, context_tokens: int | None) -> None:
        """`context_tokens`: the base model's limit; the engine's own setting wins."""
        self._config = config
        self._system = config.domain(domain).system_prompt
        self._chat = chat
        self._limit = config.engine.max_model_len or context_tokens

    def closed_book(self, examples: Sequence[Example]) -> Rows:
        """Rows without passages."""
        made = Rows()
        for example in examples:
            row = self._row(example, example.answer, None)
            if row is None:
                made.too_long.append(example.id)
            else:
                made.rows.append(row)
        return made

    def reading(self, examples: Sequence[Example], index: "Index", progress: Progress | None = None) -> Rows:
        """Rows with the passages that the live index finds, by the search that serving uses.

        The right passage is among them, except in a share of the rows: there it is left out and the answer is the
        abstention (after Zhang et al. 2024, "RAFT: Adapting Language Model to Domain Specific RAG").
        """
        made = Rows()
        retrieval = self._config.retrieval
        # Within the search's own depth, so that the first k are those that serving finds.
        depth = max(retrieval.k, min(retrieval.k * DEPTH, retrieval.depth))
        results = index.search_all([example.question for example in examples], depth)
        for number, (example, result) in enumerate(zip(examples, results, strict=True), 1):
            reading = self._read(example, result.hits, index)
            if reading is None:
                made.unfound.append(example.id)
            elif (row := self._fitting(example, reading)) is None:
                made.too_long.append(example.id)
            else:
                made.rows.append(row)
            if progress:
                progress(example.id, number, len(examples))
        return made

    def _read(self, example: Example, found: "list[Hit]", index: "Index") -> Reading | None:
        """The passages to show, of those that were found; None where no passage holds the answer."""
        settings = self._config.training
        chance = random.Random(f"{settings.seed}:{example.id}")
        leave_out = chance.random() < settings.without_right_passage
        count = min(self._config.retrieval.k, settings.distractors + 1)
        if example.abstains:
            return Reading(found[:count], None)
        if leave_out:
            # Not the passages either that say the same elsewhere: to abstain over them would be wrong.
            return Reading([hit for hit in found if not _may_hold(hit, example)][:count], None)
        shown = found[:count]
        for position, hit in enumerate(shown):
            if _is_right(hit, example):
                return Reading(shown, position)
        right = next((hit for hit in found if _is_right(hit, example)), None) or _search_documents(example, index)
        if right is None:
            return None
        others = shown[: count - 1]
        place = chance.randint(0, len(others))
        return Reading([*others[:place], right, *others[place:]], place)

    def _fitting(self, example: Example, reading: Reading) -> Row | None:
        """The row with as many passages as fit; the last ones go first, the right one stays."""
        while True:
            answer = ABSTENTION
            if reading.right is not None:
                answer = self._cited(example, reading.right + 1, reading.hits[reading.right].text)
            row = self._row(example, answer, reading.hits)
            dispensable = [position for position in range(len(reading.hits)) if position != reading.right]
            if row is not None or not dispensable:
                return row
            last = dispensable[-1]
            moved = reading.right is not None and last < reading.right
            reading = Reading(
                reading.hits[:last] + reading.hits[last + 1 :],
                reading.right - 1 if moved and reading.right is not None else reading.right,
            )

    def _cited(self, example: Example, number: int, passage: str) -> str:
        """The answer with the marker of its passage, and before it what the passage says, where that is asked for."""
        sentence = sentence_with(passage, example.value) if self._config.training.quotes and example.value else None
        return f"“{sentence}” [{number}] {example.answer}" if sentence else f"{example.answer} [{number}]"

    def _row(self, example: Example, answer: str, hits: "Sequence[Hit] | None") -> Row | None:
        """One row; None where it is longer than the context."""
        passages = None
        if hits is not None:
            passages = [Passage(passage_title(hit.title, hit.section, hit.text), hit.text) for hit in hits]
        messages = build_messages(example.question, passages, self._system)
        tokens = self._chat.row(messages, answer)
        room = max(len(tokens.completion_ids), self._config.serving.max_answer_tokens)
        if self._limit is not None and len(tokens.prompt_ids) + room > self._limit:
            return None
        documents = dict.fromkeys([*example.documents, *(hit.document for hit in hits or ())])
        return Row(example.id, messages, answer, tuple(documents), tokens, hits is not None)


def require_rows(made: Rows, part: str, domain: str) -> list[Row]:
    """The rows of a part; ConfigError where there is none."""
    if not made.rows:
        raise ConfigError(
            f"None of the examples for {part} can be used: {len(made.unfound)} have an answer that no indexed passage "
            f"holds and {len(made.too_long)} do not fit the base model's context; index the documents they name with "
            f"`tandem index {domain}`, then `tandem prepare {domain}` says what is stale.",
            code="no_rows",
        )
    return made.rows


def _is_right(hit: "Hit", example: Example) -> bool:
    """Whether a passage answers the example: it holds the value, in one of the named documents where any is named."""
    if not example.documents and example.value is None:
        return False
    named = not example.documents or hit.document in example.documents
    return named and (example.value is None or holds(hit.text, example.value))


def _may_hold(hit: "Hit", example: Example) -> bool:
    """Whether a passage might answer the example, wherever it stands."""
    return _is_right(hit, example) or (example.value is not None and holds(hit.text, example.value))


def _search_documents(example: Example, index: "Index") -> "Hit | None":
    """The best passage that answers the example, looked for in its documents only."""
    if not example.documents:
        return None
    hits = index.search(example.question, 100, {"document": list(example.documents)}).hits
    return next((hit for hit in hits if _is_right(hit, example)), None)
