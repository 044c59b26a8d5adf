"""The section `training` of `tandem.yaml`: how examples are prepared and adapters are trained."""

import math
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from tandem.fields import AdapterRank, PositiveInt, Section, off_as_written, regular_expression

PersonalKind = Literal["name", "address", "email", "phone", "card", "iban", "ip", "id"]


class AnonymiseConfig(Section):
    """What happens to personal data in examples; documents and questions are not touched."""

    mode: Annotated[Literal["off", "mask", "pseudonym"], BeforeValidator(off_as_written)] = "off"
    """`mask` writes [EMAIL]; `pseudonym` the same made-up value for the same one, under TANDEM_PSEUDONYM_KEY."""
    kinds: list[PersonalKind] = Field(default_factory=lambda: list(get_args(PersonalKind)))
    """What is looked for; `id` is a national number of a person."""
    phone_regions: list[Annotated[str, Field(pattern=r"^[A-Z]{2}$")]] = Field(default_factory=lambda: ["US", "GB"])
    """Countries (ISO 3166) whose numbers are found without a leading +."""
    words: list[Annotated[str, Field(pattern=r"\S")]] = Field(default_factory=list)
    """Further words to replace, such as a colleague's name; whole words in any case."""
    patterns: list[Annotated[str, AfterValidator(regular_expression)]] = Field(default_factory=list)
    """Further regular expressions to replace, such as those of customer numbers."""
    allow: list[Annotated[str, Field(pattern=r"\S")]] = Field(default_factory=list)
    """What is meant to be public, such as the hotline's number; `*` stands for anything: `*@wendlemark.example`."""


class TrainingOverrides(Section):
    """What is different for one kind of adapter; null takes the value that holds for both."""

    rank: AdapterRank | None = None
    alpha: PositiveInt | None = None
    rslora: bool | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    batch_size: PositiveInt | None = None
    epochs: PositiveInt | None = None
    patience: PositiveInt | None = None
    wordings: PositiveInt | None = None


class CleaningConfig(Section):
    """The steps of cleaning examples, in their order; each is counted in the dataset's report."""

    noise: bool = True
    """Control characters go, line ends become one kind, repeated blanks one."""
    zero_width: bool = False
    """Zero-width spaces, word joiners and byte-order marks go; off, as some scripts break their lines by them."""
    unicode: bool = True
    """Characters that can be written in several ways get one (NFC)."""
    exact_duplicates: bool = True
    """The same question with the same answer stays once."""
    contradictions: bool = True
    """Of one question with several answers the first stays."""
    near_duplicates: bool = True
    """Questions of nearly the same words with the same numbers and answer stay once."""


class LanguageConfig(Section):
    """The languages of the examples."""

    detect: bool = True
    """Whether the language of each example is looked at; some 7,000 short rows a second."""
    allowed: Annotated[list[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]] | None, Field(min_length=1)] = None
    """Codes (ISO 639) of the languages to train on, others leave and are listed; null takes all. What is too short to
    tell stays."""

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        if self.allowed is not None and not self.detect:
            raise ValueError("allowed needs the languages to be looked at: detect cannot be false beside it")
        return self


Preset = Literal["start-small", "balanced", "thorough"]

PRESETS: Mapping[Preset, Mapping[str, object]] = {
    "start-small": {"rank": 8, "alpha": 16, "epochs": 2, "patience": 1},
    "balanced": {"rank": 16, "alpha": 32, "epochs": 6, "patience": 2},
    "thorough": {"rank": 32, "alpha": 64, "epochs": 12, "patience": 3, "learning_rate": 5e-4},
}
"""What a preset sets where nothing else is written: a first look, what is right for most, and more passes at half the
learning rate."""


class SearchRange(Section):
    """Values from `low` to `high`, both among them; whole numbers where both are written as such."""

    low: int | float
    high: int | float
    log: bool = False
    """Draw evenly on the logarithm, as fits learning rates."""

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not (math.isfinite(self.low) and math.isfinite(self.high)) or self.low >= self.high:
            raise ValueError(f"low has to be below high, and they are {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"with log, low has to be above 0, and is {self.low}")
        return self


Searched = Literal["learning_rate", "rank", "alpha", "dropout", "rslora", "batch_size", "epochs"]
"""Settings that may be searched: those that change how a row is learned, not which rows there are."""


class SearchConfig(Section):
    """The space that `tandem train --search` looks through."""

    trials: PositiveInt = 20
    """Trainings, pruned ones among them."""
    space: dict[Searched, SearchRange | Annotated[list[bool | int | float], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    """Setting → a range, or a list of values."""
    pruning: bool = True
    """End a trial early whose loss is worse than the median of the others at that evaluation."""

    @property
    def highest_rank(self) -> int:
        """Of all that may be tried; 0 where ranks are not searched."""
        ranks = self.space.get("rank", [])
        return int(ranks.high) if isinstance(ranks, SearchRange) else max(map(int, ranks), default=0)


class BalanceConfig(Section):
    """Whether rare examples are seen more often in training; validation and tests stay as they are."""

    by: Literal["language", "label", "group"] | None = None
    """What is to be balanced; null leaves all as it is."""
    temperature: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 5.0
    """A share becomes proportional to (number of examples) ** (1 / temperature): 1 changes nothing, 100 makes equal."""
    repeats: PositiveInt = 10
    """Times that an example is seen in an epoch, at most: more is learning by heart."""


KINDS_WITH_OVERRIDES: Final = ("closed_book", "reading", "mixed", "documents", "multi_task")
"""The kinds of adapter, as the settings write them."""


class TrainingConfig(Section):
    """How adapters are trained."""

    preset: Preset | None = None
    """`start-small`, `balanced` or `thorough`: sets of values; what is written beside it wins."""
    rank: AdapterRank = 16
    """Rank of the adapter's matrices: what vLLM can serve."""
    alpha: PositiveInt = 32
    """Scale of the adapter; its output is multiplied by alpha / rank."""
    targets: Annotated[list[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]], Field(min_length=1)] | None = None
    """Names of the matrices that are adapted, such as [q_proj, v_proj]; null takes all linear ones of the layers."""
    rslora: bool = False
    """Multiply by alpha / √rank instead, so that high ranks learn as fast as low ones (Kalajdzievski 2023)."""
    quantisation: Literal["nf4"] | None = None
    """`nf4` keeps the base model in 4 bits while its adapter is trained (QLoRA); on NVIDIA GPUs alone."""
    gradient_checkpointing: bool = False
    """Compute activations anew in the backward pass instead of keeping them: less memory, about a third more time."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the adapter's inputs that a training step leaves out, against learning by heart."""
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-3
    batch_size: PositiveInt = 8
    """Examples of one step."""
    epochs: PositiveInt = 6
    """Passes over the training rows, at most: early stopping may end it before."""
    patience: PositiveInt = 2
    """Evaluations without a better validation loss after which training stops."""
    wordings: PositiveInt | None = None
    """Training rows that ask for the same fact, at most; null takes all. A fact takes more of them than a skill."""
    validation_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    """Share of the examples (by document) that validation keeps."""
    test_share: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """Share of the examples that a task's test questions are made of, which training never sees; 0 makes none."""
    distractors: PositiveInt = 3
    """Passages beside the right one in a reading adapter's rows."""
    without_right_passage: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of a reading adapter's rows whose right passage is left out; their answer is the abstention."""
    quotes: bool = False
    """Whether answers from passages first quote the sentence that holds their value: `“It holds 1.5 litres.” [2] …`."""
    reading_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of a mixed adapter's rows that show passages; the others are asked from memory."""
    block_tokens: Annotated[int, Field(ge=8, strict=True)] = 256
    """Length of the blocks into which documents are packed for `--kind documents`; the base model's limit wins."""
    replay: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Share of the parent's training rows that `tandem train --parent` mixes in, against forgetting."""
    seed: Annotated[int, Field(ge=0, strict=True)] = 20261122
    checkpoint_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 30
    """Time between checkpoints within an epoch: what a kill can cost. The result does not depend on it."""
    cleaning: CleaningConfig = Field(default_factory=CleaningConfig)
    """What `tandem prepare` does to the examples."""
    anonymise: AnonymiseConfig = Field(default_factory=AnonymiseConfig)
    """Personal data in the examples."""
    languages: LanguageConfig = Field(default_factory=LanguageConfig)
    """Which languages are trained on."""
    drafts: bool = True
    """Whether drafted examples that a person accepted (`tandem data review`) are trained on beside the others."""
    stratify: bool = True
    """Whether abstentions, languages and labels are to have the same shares in validation as in training."""
    remove_leaks: list[Literal["exact", "near", "overlap"]] = Field(default_factory=list)
    """Which examples like a question of the evaluation are taken out; all are reported."""
    dominance: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the examples above which one language, group, document or label is warned of."""
    balance: BalanceConfig = Field(default_factory=BalanceConfig)
    """Rare languages, labels or groups seen more often."""
    search: SearchConfig = Field(default_factory=SearchConfig)
    """What `tandem train --search` tries out."""
    closed_book: TrainingOverrides = Field(default_factory=TrainingOverrides)
    """What is different for adapters that answer from memory."""
    reading: TrainingOverrides = Field(default_factory=TrainingOverrides)
    """What is different for adapters that answer from passages."""
    mixed: TrainingOverrides = Field(default_factory=TrainingOverrides)
    """What is different for adapters that do both."""
    documents: TrainingOverrides = Field(default_factory=TrainingOverrides)
    """What is different for adapters that go on with pretraining, on the documents themselves."""
    multi_task: TrainingOverrides = Field(default_factory=TrainingOverrides)
    """What is different for adapters of several domains' tasks."""

    @model_validator(mode="before")
    @classmethod
    def _apply_preset(cls, values: object) -> object:
        """Fill in what the preset sets and nobody wrote; an unknown one is refused with the other fields."""
        if isinstance(values, dict):
            for name, preset in PRESETS.items():
                if values.get("preset") == name:
                    return {**preset, **values}
        return values

    def for_kind(self, kind: str) -> Self:
        """The settings that hold for one kind of adapter, such as `closed-book`, with no overrides left."""
        overrides: TrainingOverrides = getattr(self, kind.replace("-", "_"))
        nothing = {name: TrainingOverrides() for name in KINDS_WITH_OVERRIDES}
        return self.model_copy(update=nothing | overrides.model_dump(exclude_none=True))

    @property
    def highest_rank(self) -> int:
        """Of the ranks of all kinds of adapter, and of those that a search may try."""
        return max(self.search.highest_rank, *(getattr(self, kind).rank or self.rank for kind in KINDS_WITH_OVERRIDES))

    @model_validator(mode="after")
    def _check_space(self) -> Self:
        """Each value of the search's space has to be one that the setting itself takes."""
        for name, choice in self.search.space.items():
            if name == "rank" and isinstance(choice, SearchRange):
                raise ValueError(f"search.space.rank has to be a list of {', '.join(map(str, get_args(AdapterRank)))}")
            for value in [choice.low, choice.high] if isinstance(choice, SearchRange) else choice:
                try:
                    type(self).__pydantic_validator__.validate_assignment(type(self).model_construct(), name, value)
                except ValidationError as error:
                    raise ValueError(f"search.space.{name}: {error.errors()[0]['msg']}, and is {value!r}") from None
        return self
