"""The recipe of ``models/tiny``: every number that the run depends on, and the schedules made of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from training.pretrain.lessons import Difficulty
from training.pretrain.model import Shape

SHORT = Difficulty(passages=(1, 2), facts=(2, 4), fillers=(0, 0), exercises=8, absent=0.08, styled=0.0, closed=0.02)
MIDDLE = Difficulty(passages=(2, 4), facts=(2, 4), fillers=(0, 1), exercises=12, absent=0.18, styled=0.1, closed=0.03)
FULL = Difficulty(passages=(3, 5), facts=(2, 5), fillers=(0, 2), exercises=14, absent=0.26, styled=0.12, closed=0.03)
LONG = Difficulty(passages=(4, 5), facts=(3, 6), fillers=(1, 4), exercises=16, absent=0.26, styled=0.12, closed=0.02)
LATE = replace(FULL, absent=0.18)
LATE_LONG = replace(LONG, absent=0.18, exercises=20)
LAST_LONG = replace(LONG, exercises=20)
DENSE = replace(LAST_LONG, passages=(3, 4), facts=(5, 8), formed=0.2)
FORMED_FULL = replace(FULL, formed=0.3)
FORMED_LONG = replace(LAST_LONG, formed=0.3)


@dataclass(frozen=True)
class Recipe:
    """Defaults are what was run for the shipped model; tokens are counted without padding."""

    seed: int = 20261122
    shape: Shape = field(default_factory=Shape)
    tokenizer_lessons: int = 6000
    unlisted_words: float = 0.45
    """Share of the words of values that no list holds."""
    joined_words: float = 0.7
    """Share of made-up words that are joined from the tokenizer's own pieces."""
    renamed_lessons: float = 0.4
    """Share of the lessons whose words are renamed by chance."""
    row_tokens: int = 1400
    workers: int = 2
    """Processes that share a step; the lessons depend on their number."""
    tokens_per_step: int = 1400
    """Of each worker, at least; the row that reaches it is the step's last."""
    short_row_tokens: int = 300
    """A row shorter than this takes another lesson."""
    matrix_learning_rate: float = 0.02
    """Of Muon, for the matrices inside the layers."""
    other_learning_rate: float = 0.003
    """Of AdamW, for embeddings and norms."""
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    warmup_tokens: int = 100_000
    cycles: tuple[tuple[int, int], ...] = ((15_000_000, 3_900_000), (2_300_000, 2_300_000))
    """Tokens at the full learning rate, then tokens of its fall to zero; each cycle goes on with the last one's model."""
    frame_files: tuple[tuple[int, tuple[str, ...]], ...] = (
        (0, ()),
        (12_769_000, ("records", "services")),
        (16_119_000, ("procedures", "records", "services")),
    )
    """From so many tokens on, lessons have the sentence frames of these files too."""
    guidance_weight: float = 0.5
    stages: tuple[tuple[int, tuple[tuple[Difficulty, float], ...]], ...] = (
        (0, ((SHORT, 1.0),)),
        (600_000, ((SHORT, 0.6), (MIDDLE, 0.4))),
        (1_500_000, ((SHORT, 0.25), (MIDDLE, 0.5), (FULL, 0.25))),
        (3_000_000, ((SHORT, 0.1), (MIDDLE, 0.35), (FULL, 0.45), (LONG, 0.1))),
        (12_769_000, ((SHORT, 0.05), (MIDDLE, 0.3), (LATE, 0.45), (LATE_LONG, 0.2))),
        (16_119_000, ((SHORT, 0.05), (MIDDLE, 0.3), (FULL, 0.45), (LAST_LONG, 0.2))),
        (20_200_000, ((MIDDLE, 0.25), (FORMED_FULL, 0.5), (FORMED_LONG, 0.25))),
    )
    """From so many tokens on, lessons of these difficulties with these weights."""

    @property
    def packed(self) -> bool:
        """Whether a step is one pack of rows, for an accelerator."""
        return self.workers == 1

    @property
    def guided_heads(self) -> dict[int, tuple[int, ...]]:
        """Layers and heads that guidance teaches: two heads of the layer before the last, one of the last."""
        return {self.shape.layers - 2: (0, 1), self.shape.layers - 1: (0,)}

    @property
    def total_tokens(self) -> int:
        return sum(stable + decay for stable, decay in self.cycles)

    def _cycle(self, tokens: int) -> tuple[int, int, int]:
        """The cycle of that moment (the last one after the end): tokens since it began, stable and decay tokens."""
        for stable, decay in self.cycles[:-1]:
            if tokens < stable + decay:
                return tokens, stable, decay
            tokens -= stable + decay
        return tokens, *self.cycles[-1]

    def rate(self, tokens: int) -> float:
        """The learning rate's factor: in each cycle linear warm-up, constant, linear to zero."""
        done, stable, decay = self._cycle(tokens)
        return min(1.0, (done + 1) / self.warmup_tokens) * min(1.0, max(0.0, (stable + decay - done) / decay))

    def guidance(self, tokens: int) -> float:
        """The guidance's weight: in each cycle constant, then linear to zero over the first half of the decay."""
        done, stable, decay = self._cycle(tokens)
        return self.guidance_weight * min(1.0, max(0.0, (stable + decay / 2 - done) / (decay / 2)))

    def difficulties(self, tokens: int) -> tuple[tuple[Difficulty, float], ...]:
        """The mix of difficulties after so many tokens."""
        return [mix for start, mix in self.stages if tokens >= start][-1]

    def frames(self, tokens: int) -> tuple[str, ...]:
        """The files of sentence frames after so many tokens."""
        return [files for start, files in self.frame_files if tokens >= start][-1]


ACCELERATED = Recipe(
    workers=1,
    tokens_per_step=65_536,
    warmup_tokens=4_000_000,
    cycles=((330_000_000, 170_000_000),),
    frame_files=((0, ("procedures", "records", "services")),),
    stages=(
        (0, ((SHORT, 1.0),)),
        (10_000_000, ((SHORT, 0.6), (MIDDLE, 0.4))),
        (25_000_000, ((SHORT, 0.2), (MIDDLE, 0.45), (FULL, 0.35))),
        (60_000_000, ((SHORT, 0.1), (MIDDLE, 0.3), (FULL, 0.4), (LONG, 0.2))),
        (200_000_000, ((MIDDLE, 0.2), (FORMED_FULL, 0.4), (FORMED_LONG, 0.2), (DENSE, 0.2))),
    ),
)
"""For an accelerator: twenty times the tokens, in steps as large. Not what the shipped model was made with."""
