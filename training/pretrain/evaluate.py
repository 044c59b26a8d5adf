"""How well a checkpoint reads: shares of right values, citations and abstentions on a held-out generator.

The answer is taken as generated greedily: an answer token counts as right when it is the most likely one given the
right tokens before it, so an exercise whose every token is right is one that greedy decoding answers to the letter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from transformers import Qwen3ForCausalLM

from tandem.prompt import ABSTENTION
from training.pretrain.lessons import Difficulty, Lesson, LessonWriter
from training.pretrain.lexicon import HELD_OUT, TEACHING, Lexicon
from training.pretrain.model import CONTEXT_LENGTH, hidden_states
from training.pretrain.phrasing import HELD_OUT as HELD_OUT_PHRASING
from training.pretrain.phrasing import TEACHING as TEACHING_PHRASING
from training.pretrain.rows import RowBuilder, collate

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


def writer(held_out: bool, seed: int, lexicon: Lexicon = TEACHING) -> LessonWriter:
    """Lessons of the teaching generator, or of the one that shares no name, listed word or literal frame with it."""
    if held_out:
        return LessonWriter(HELD_OUT, HELD_OUT_PHRASING, seed)
    return LessonWriter(lexicon, TEACHING_PHRASING, seed)


@torch.no_grad()
def score(model: Qwen3ForCausalLM, tokenizer: Tokenizer, lessons: Iterable[Lesson], padding: int) -> ReadingScore:
    """Teacher-forced greedy reading score on lessons without styles (answers of the form ``value [n]``)."""
    counts: Counter[str] = Counter()
    first_of_abstention = tokenizer.encode(" " + ABSTENTION).ids[0]
    for row in RowBuilder(tokenizer, CONTEXT_LENGTH).rows(lessons):
        batch = collate([row], padding)
        hidden = hidden_states(model, batch)
        for index, start, end, item in batch.exercises:
            best = model.lm_head(hidden[index, start - 1 : end - 1]).argmax(-1)
            right = (best == batch.tokens[index, start:end]).tolist()
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


def quick_score(
    model: Qwen3ForCausalLM, tokenizer: Tokenizer, padding: int, held_out: bool, lessons: int = 24
) -> ReadingScore:
    """A small score for the log of a run."""
    source = writer(held_out, seed=7)
    return score(model, tokenizer, (source.write(FOUR_PASSAGES) for _ in range(lessons)), padding)
