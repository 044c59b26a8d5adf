"""How well a checkpoint reads: shares of right values, citations and abstentions on a generator's lessons.

The answer is taken as generated greedily: an answer token counts as right when it is the most likely one given the
right tokens before it, so an exercise whose every token is right is one that greedy decoding answers to the letter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import torch
from tokenizers import Tokenizer
from transformers import Qwen3ForCausalLM

from tandem.prompt import ABSTENTION
from training.pretrain import development, held_out, teaching
from training.pretrain.lessons import Difficulty, Lesson, LessonWriter
from training.pretrain.lexicon import Lexicon
from training.pretrain.model import CONTEXT_LENGTH, hidden_states
from training.pretrain.packs import to_pack
from training.pretrain.phrasing import Phrasing
from training.pretrain.rows import RowBuilder, to_batch

FOUR_PASSAGES = Difficulty(
    passages=(4, 4), facts=(2, 5), fillers=(0, 1), exercises=8, absent=0.25, styled=0.0, closed=0.0
)


@dataclass(frozen=True)
class ReadingScore:
    """Shares between 0 and 1; ``answerable`` and ``absent`` are the numbers of questions behind them."""

    value: float
    citation: float
    abstention: float
    false_abstention: float
    answerable: int
    absent: int


class Source(StrEnum):
    """A generator of lessons; no two share a name, a listed word or a literal frame."""

    TEACHING = "teaching"
    DEVELOPMENT = "development"
    """Looked at while the teaching text is widened."""
    HELD_OUT = "held-out"
    """Looked at by nobody."""


GENERATORS: dict[Source, tuple[Lexicon, Phrasing]] = {
    Source.TEACHING: (teaching.LEXICON, teaching.wide_phrasing()),
    Source.DEVELOPMENT: (development.LEXICON, development.PHRASING),
    Source.HELD_OUT: (held_out.LEXICON, held_out.PHRASING),
}
UNTAUGHT_WORDS = development.LEXICON.closed_words | held_out.LEXICON.closed_words


def writer(source: Source, seed: int) -> LessonWriter:
    """Lessons of a generator."""
    return LessonWriter(*GENERATORS[source], seed)


@torch.no_grad()
def score(model: Qwen3ForCausalLM, tokenizer: Tokenizer, lessons: Iterable[Lesson]) -> ReadingScore:
    """Teacher-forced greedy reading score on lessons without styles (answers of the form ``value [n]``)."""
    counts: Counter[str] = Counter()
    first_of_abstention = tokenizer.encode(" " + ABSTENTION).ids[0]
    for row in RowBuilder(tokenizer, CONTEXT_LENGTH).rows(lessons):
        batch = to_batch(row) if model.device.type == "cpu" else to_pack([row]).to(model.device)
        hidden = hidden_states(model, batch)
        for start, end, item in row.exercises:
            best = model.lm_head(hidden[0, start - 1 : end - 1]).argmax(-1)
            right = (best == batch.tokens[0, start:end]).tolist()
            if item.number is None:
                counts.update(absent=1, abstention=all(right))
            else:
                abstained = int(best[0]) == first_of_abstention and not right[0]
                # All but the last three tokens (a space, the marker, the end of the turn) are the value's.
                counts.update(answerable=1, value=all(right[:-3]), citation=right[-2], false_abstention=abstained)
    answerable, absent = max(counts["answerable"], 1), max(counts["absent"], 1)
    return ReadingScore(
        value=counts["value"] / answerable,
        citation=counts["citation"] / answerable,
        abstention=counts["abstention"] / absent,
        false_abstention=counts["false_abstention"] / answerable,
        answerable=counts["answerable"],
        absent=counts["absent"],
    )


def quick_score(model: Qwen3ForCausalLM, tokenizer: Tokenizer, source: Source, lessons: int = 24) -> ReadingScore:
    """A small score for the log of a run."""
    lesson_writer = writer(source, seed=7)
    return score(model, tokenizer, (lesson_writer.write(FOUR_PASSAGES) for _ in range(lessons)))
