"""The sections of `tandem.yaml`: every knob with its type, its default and why it exists."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from tandem.errors import NotFound, UserError
from tandem.names import validate_name

PositiveInt = Annotated[int, Field(gt=0, strict=True)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str | Path) else value


def _file_or_name(value: Path | str | None) -> Path | str | None:
    """What is absolute is a file."""
    return Path(value) if isinstance(value, str) and Path(value).is_absolute() else value


def _off_as_written(value: object) -> object:
    """YAML reads a bare `off` as false."""
    return "off" if value is False else value


def _domain_name(name: str) -> str:
    try:
        return validate_name(name, "domain")
    except UserError as error:
        raise ValueError(error.message) from error


def _regular_expression(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression ({error})") from error
    return pattern


def _http_address(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
        raise ValueError(f"{url!r} is not an address such as http://127.0.0.1:8000")
    return url.rstrip("/")


AdapterRank = Literal[1, 8, 16, 32, 64, 128, 256, 320, 512]
"""The ranks that vLLM serves."""

DomainName = Annotated[str, AfterValidator(_domain_name)]


class Section(BaseModel):
    """What all sections have in common: no unknown keys, no changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StyleRule(Section):
    """One rule of a domain's house style."""

    name: Annotated[str, Field(min_length=1)]
    """What the rule is called in reports."""
    pattern: Annotated[str, AfterValidator(_regular_expression)]
    """A regular expression that is found in every answer that keeps the rule, and in no other."""


class SuccessConfig(Section):
    """What counts as a good answer in a domain, declared before training: a weighted sum of parts between 0 and 1."""

    correct: Weight = 1.0
    """Weight of a right answer (or of abstaining where there is none)."""
    style: Weight = 0.0
    """Weight of keeping all style rules."""
    citation: Weight = 0.0
    """Weight of citing the right documents and no other."""
    style_rules: list[StyleRule] = Field(default_factory=list)
    """The house style."""

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        if not math.isclose(self.correct + self.style + self.citation, 1.0, abs_tol=1e-6):
            raise ValueError("the weights correct, style and citation have to sum to 1")
        if self.style and not self.style_rules:
            raise ValueError("style has a weight, but there are no style_rules")
        return self


PersonalKind = Literal["name", "address", "email", "phone", "card", "iban", "ip", "id"]


class AnonymiseConfig(Section):
    """What happens to personal data in examples; documents and questions are not touched."""

    mode: Annotated[Literal["off", "mask", "pseudonym"], BeforeValidator(_off_as_written)] = "off"
    """`mask` writes [EMAIL]; `pseudonym` the same made-up value for the same one, under TANDEM_PSEUDONYM_KEY."""
    kinds: list[PersonalKind] = Field(default_factory=lambda: list(get_args(PersonalKind)))
    """What is looked for; `id` is a national number of a person."""
    phone_regions: list[Annotated[str, Field(pattern=r"^[A-Z]{2}$")]] = Field(default_factory=lambda: ["US", "GB"])
    """Countries (ISO 3166) whose numbers are found without a leading +."""
    words: list[Annotated[str, Field(pattern=r"\S")]] = Field(default_factory=list)
    """Further words to replace, such as a colleague's name; whole words in any case."""
    patterns: list[Annotated[str, AfterValidator(_regular_expression)]] = Field(default_factory=list)
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


Task = Literal["answers", "classification", "extraction", "summarisation", "translation"]
"""What a domain's model does with a text; `answers` answers questions, the others read no documents."""


class MultiTaskConfig(Section):
    """One adapter for several domains: each is a task with its own examples, prompt, labels or schema."""

    tasks: Annotated[list[DomainName], Field(min_length=2)]
    """The domains; each answers requests for it under its own name, `desk/finetuned`."""
    weights: dict[DomainName, Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None = None
    """Domain → its part of the training rows, to scale; null lets the sizes decide."""
    temperature: Annotated[float, Field(ge=1, le=100)] = 1.0
    """Rows in proportion to size ** (1 / temperature): 1 as they are, higher gives small tasks more (Raffel et al.
    2020)."""

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError("tasks names one domain twice")
        if self.weights is not None and set(self.weights) != set(self.tasks):
            raise ValueError(f"weights has to name each of the tasks and no other: {', '.join(self.tasks)}")
        if self.weights is not None and self.temperature != 1:
            raise ValueError("weights and temperature both decide the shares: leave one of them out")
        return self


class DomainConfig(Section):
    """One domain; without `documents` it is filled over HTTP."""

    documents: Annotated[list[Path] | None, BeforeValidator(_as_list)] = None
    """Files and folders to index: text, Markdown, HTML, PDF, DOCX."""
    examples: Annotated[Path | str | None, AfterValidator(_file_or_name)] = None
    """Training rows: a file (JSON lines, CSV, Parquet), as an absolute path, or a name for the `datasets` library."""
    questions: Path | None = None
    """Validation and test questions, JSON lines."""
    system_prompt: str | None = None
    """Replaces the first lines of the default prompt."""
    permissions: list[Literal["source", "licence", "basis"]] = Field(default_factory=list)
    """What each example has to say of itself to be trained on; others are refused, and listed."""
    task: Task = "answers"
    """What examples teach and answers are held to: questions answered, or one of the tasks on a text alone."""
    labels: list[Annotated[str, Field(pattern=r"\S")]] = Field(default_factory=list)
    """The answers that classification may give; empty takes the labels of the examples."""
    json_schema: Path | None = None
    """The JSON schema that every answer of extraction keeps."""
    success: SuccessConfig = Field(default_factory=SuccessConfig)
    multi_task: MultiTaskConfig | None = None
    """Makes this domain one adapter for the tasks of others; it has nothing else of its own."""

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        if self.multi_task and (further := sorted(self.model_fields_set - {"multi_task"})):
            raise ValueError(f"a domain with multi_task has nothing of its own: put {further[0]} into its tasks")
        if self.labels and self.task != "classification":
            raise ValueError(f"labels are for `task: classification`, and the task is {self.task}")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels names one label twice")
        if (self.json_schema is not None) != (self.task == "extraction"):
            raise ValueError(f"json_schema belongs to `task: extraction` and to no other, and the task is {self.task}")
        if self.documents is not None and self.task != "answers":
            raise ValueError(f"`task: {self.task}` works on the text it is given; leave out documents")
        return self


class EngineConfig(Section):
    """The vLLM server that `tandem serve` starts, or the address of one that runs."""

    url: Annotated[str, AfterValidator(_http_address)] | None = None
    """Address of a running vLLM server; null starts one here."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Arithmetic; auto is bfloat16 where the processor has it and float32 elsewhere."""
    max_model_len: PositiveInt | None = None
    """Tokens of prompt and answer together; null takes the base model's own limit."""
    kv_cache_bytes: PositiveInt = 300_000_000
    """Memory for the key-value cache: what it holds bounds the requests in flight."""
    max_num_seqs: PositiveInt = 16
    """Requests that the engine works on at once."""
    max_queued: PositiveInt = 64
    """Requests that may wait; further ones are answered 503."""
    startup_timeout_seconds: Seconds = 300
    """How long the engine may take to answer for the first time."""
    request_timeout_seconds: Seconds = 120
    """How long one answer may take."""
    max_adapters: Annotated[int, Field(ge=0, strict=True)] = 4
    """Adapters that may answer at the same time, further ones wait; 0 serves the base model only."""
    max_adapters_in_memory: PositiveInt = 16
    """Adapters that the engine keeps at hand; at least `max_adapters`."""
    max_adapter_rank: AdapterRank | None = None
    """Highest rank of an adapter, which memory and work grow with; null takes that of `training`."""
    start_method: Literal["auto", "fork", "spawn"] = "auto"
    """How vLLM makes its processes; auto forks on CPU (ready in half the time) and spawns with a GPU."""
    extra_args: list[str] = Field(default_factory=list)
    """Passed on to vLLM as they are."""

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        if self.max_adapters_in_memory < self.max_adapters:
            raise ValueError(
                f"max_adapters_in_memory ({self.max_adapters_in_memory}) cannot be smaller than "
                f"max_adapters ({self.max_adapters})"
            )
        return self

    @property
    def served_model_name(self) -> str:
        """The base model's name inside the engine; fixed, so that routes never depend on paths."""
        return "base"


class RetrievalConfig(Section):
    """How documents are cut, and how passages are found."""

    store: Literal["faiss"] = "faiss"
    """Where the vectors are searched."""
    k: PositiveInt = 4
    """Passages that are shown to the model."""
    passage_tokens: PositiveInt = 96
    """Size of a passage in the embedder's tokens; MiniLM was trained on short texts."""
    overlap_tokens: Annotated[int, Field(ge=0, strict=True)] = 16
    """Tokens that neighbouring passages share, so that no sentence is lost at a cut."""
    depth: PositiveInt = 100
    """Candidates taken from each of the two searches before they are fused."""
    rrf_k: PositiveInt = 60
    """Constant of reciprocal rank fusion (Cormack et al. 2009): higher flattens the ranks."""
    dense_weight: Weight = 1.0
    """Weight of the search by meaning."""
    lexical_weight: Weight = 1.0
    """Weight of the search by words."""

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        if self.overlap_tokens >= self.passage_tokens:
            raise ValueError(
                f"overlap_tokens ({self.overlap_tokens}) has to be smaller than passage_tokens ({self.passage_tokens})"
            )
        if self.dense_weight == 0 and self.lexical_weight == 0:
            raise ValueError("dense_weight and lexical_weight cannot both be 0")
        return self


class ServingConfig(Section):
    """Limits of the HTTP gateway."""

    max_body_bytes: PositiveInt = 10_000_000
    """Larger request bodies are answered 413."""
    max_answer_tokens: PositiveInt = 96
    """Length of an answer when the client names none."""
    max_concurrent: PositiveInt = 64
    """Requests that are answered at once; further ones get 503."""
    store_texts: bool = False
    """Whether questions and answers are kept in the database."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Randomness when the client names none; 0 always takes the likeliest token."""


class Config(Section):
    """A whole `tandem.yaml`. Paths are absolute; only `base_model` and one domain are required."""

    base_model: Annotated[str, Field(min_length=1)]
    """Folder of a causal language model, or a hub id."""
    domains: Annotated[dict[DomainName, DomainConfig], Field(min_length=1)]
    """Name → domain."""
    embedder: Annotated[str, Field(min_length=1)] = "default"
    """`default` is the MiniLM that is installed with the package; or a folder or a hub id."""
    engine: EngineConfig = Field(default_factory=EngineConfig)
    database: Annotated[str, Field(min_length=1)] = "sqlite"
    """`sqlite` (in the workspace) or a PostgreSQL URL."""
    retrieval: RetrievalConfig = Field(default_factory=RetrievalConfig)
    serving: ServingConfig = Field(default_factory=ServingConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    path: Path = Path("tandem.yaml")
    """The file this was read from; never a key in it."""

    @model_validator(mode="after")
    def _refuse_unknown_tasks(self) -> Self:
        for name, domain in self.domains.items():
            for task in domain.multi_task.tasks if domain.multi_task else ():
                if task not in self.domains or self.domains[task].multi_task:
                    kind = "has multi_task itself" if task in self.domains else "is no domain of this file"
                    raise ValueError(f"domains.{name}.multi_task.tasks names {task!r}, which {kind}")
        return self

    @property
    def max_adapter_rank(self) -> int:
        """The highest rank of an adapter that the engine is started for."""
        return self.engine.max_adapter_rank or self.training.highest_rank

    def domain(self, name: str) -> DomainConfig:
        """The domain called `name`; NotFound, which lists the others, when there is none."""
        try:
            return self.domains[name]
        except KeyError:
            raise NotFound(
                f"There is no domain {name!r} in {self.path}; there is {', '.join(sorted(self.domains))}.",
                code="domain_not_found",
            ) from None
