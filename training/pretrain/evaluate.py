"""How well a checkpoint reads: shares of right values, citations and abstentions on a held-out generator.

The answer is taken as generated greedily: an answer token counts as right when it is the most likely one given the
right tokens before it, so an exercise whose every token is right is one that greedy decoding answers to the letter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import torch
from tokenizers import Tokenizer
from transformers import Qwen3ForCausalLM

from tandem.prompt import ABSTENTION
from training.pretrain.lessons import Difficulty, LessonWriter
from training.pretrain.lexicon import HELD_OUT, TEACHING
from training.pretrain.phrasing import HELD_OUT as HELD_OUT_PHRASING
from training.pretrain.phrasing import TEACHING as TEACHING_PHRASING
from training.pretrain.rows import RowBuilder, collate

FOUR_PASSAGES = Difficulty(passages=(4, 4), facts=(2, 5), fillers=(0, 1), exercises=8, absent=0.25, styled=0.0, closed=0.0)


@dataclass(frozen=True)
class ReadingScore:
    """Shares between 0 and 1; ``answerable`` and ``absent`` are the numbers of questions behind them."""

    value: float
    citation: float
    abstention: float
    false_abstention: float
    answerable: int
    absent: int

    def line(self) -> str:
        return " ".join(f"{name} {number:.3f}" if isinstance(number, float) else f"{name} {number}" for name, number in asdict(self).items())


def writer(held_out: bool, seed: int) -> LessonWriter:
    """Lessons of the teaching generator, or of the one that shares no name, word or phrasing with it."""
    return LessonWriter(HELD_OUT, HELD_OUT_PHRASING, seed) if held_out else LessonWriter(TEACHING, TEACHING_PHRASING, seed)


@torch.no_grad()
def score(model: Qwen3ForCausalLM, tokenizer: Tokenizer, lessons: Iterable, row_tokens: int, padding: int) -> ReadingScore:
    """Teacher-forced greedy reading score on lessons without styles (answers of the form ``value [n]``)."""
    counts = {"value": 0, "citation": 0, "abstention": 0, "false_abstention": 0, "answerable": 0, "absent": 0}
    first_of_abstention = tokenizer.encode(" " + ABSTENTION).ids[0]
    builder = RowBuilder(tokenizer, row_tokens)
    for row in builder.rows(lessons):
        batch = collate([row], padding)
        hidden = model.model(input_ids=batch.tokens, attention_mask=batch.visible, position_ids=batch.positions).last_hidden_state
        for index, start, end, item in batch.exercises:
            best = model.lm_head(hidden[index, start - 1 : end - 1]).argmax(-1)
            right = (best == batch.tokens[index, start:end]).tolist()
            if item.number is None:
                counts["absent"] += 1
                counts["abstention"] += all(right)
                continue
            counts["answerable"] += 1
            counts["value"] += all(right[:-3])  # all but " ", "[n]" and the end of the turn
            counts["citation"] += right[-2]
            counts["false_abstention"] += int(best[0]) == first_of_abstention and not right[0]
    answerable, absent = max(counts["answerable"], 1), max(counts["absent"], 1)
    return ReadingScore(
        counts["value"] / answerable, counts["citation"] / answerable, counts["abstention"] / absent,
        counts["false_abstention"] / answerable, counts["answerable"], counts["absent"],
    )  # fmt: skip


def quick_score(model: Qwen3ForCausalLM, tokenizer: Tokenizer, row_tokens: int, padding: int, held_out: bool, lessons: int = 24) -> ReadingScore:
    """A small score for the log of a run."""
    source = writer(held_out, seed=7)
    return score(model, tokenizer, (source.write(FOUR_PASSAGES) for _ in range(lessons)), row_tokens, padding)
