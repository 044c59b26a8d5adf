"""The sections of `tandem.yaml`: every knob with its type, its default and why it exists."""

import math
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from tandem.errors import NotFound
from tandem.fields import (
    AdapterRank,
    DomainName,
    PositiveInt,
    Seconds,
    Section,
    Weight,
    as_list,
    as_names,
    file_or_name,
    http_address,
    regular_expression,
)
from tandem.training_settings import TrainingConfig


class StyleRule(Section):
    """One rule of a domain's house style."""

    name: Annotated[str, Field(min_length=1)]
    """What the rule is called in reports."""
    pattern: Annotated[str, AfterValidator(regular_expression)]
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


class DocumentRule(Section):
    """What holds for documents by where their files lie; a later rule that matches wins, key by key."""

    path: Annotated[str, Field(pattern=r"^[^/\\]")]
    """Glob, relative to the folder of documents: `hr/**`; without a `/` a name at any depth: `*.pdf`."""
    allow: Annotated[list[Annotated[str, Field(pattern=r"\S")]], BeforeValidator(as_names)] = Field(
        default_factory=lambda: ["*"]
    )
    """Users and groups that may see them; where a document names some itself, those whom both name. `*`: everybody."""
    language: Annotated[str, Field(pattern=r"^([a-z]{2})?$")] = ""
    """ISO 639-1; as the following, for documents that do not say it themselves."""
    licence: str | None = None
    source: str | None = None
    metadata: dict[str, str | int | float | bool | list[str | int | float | bool]] = Field(default_factory=dict)
    """Further values for filters."""

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        if "*" in self.allow and len(self.allow) > 1:
            raise ValueError("allow names everybody (`*`) and others: leave one of them out")
        if own := sorted(self.metadata.keys() & {"allow", "language", "licence", "source", "title", "text", "id"}):
            raise ValueError(f"metadata has {own[0]}, which is no metadata of a rule: write it beside path, if at all")
        return self


class DomainConfig(Section):
    """One domain; without `documents` it is filled over HTTP."""

    documents: Annotated[list[Path] | None, BeforeValidator(as_list)] = None
    """Files and folders to index: text, Markdown, HTML, PDF, DOCX, CSV, JSON."""
    document_rules: list[DocumentRule] = Field(default_factory=list)
    """Who may see documents, their language, licence, source and metadata, by where their files lie."""
    examples: Annotated[Path | str | None, AfterValidator(file_or_name)] = None
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

    url: Annotated[str, AfterValidator(http_address)] | None = None
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


Language = Annotated[str, Field(pattern=r"^[a-z]{2}$")]
LanguageOrAny = Annotated[str, Field(pattern=r"^([a-z]{2}|\*)$")]


class LanguageWeights(Section):
    """What is different for questions of one language."""

    dense_weight: Weight | None = None
    lexical_weight: Weight | None = None

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        if self.dense_weight == 0 and self.lexical_weight == 0:
            raise ValueError("dense_weight and lexical_weight cannot both be 0")
        return self


class RetrievalConfig(Section):
    """How documents are cut, and how passages are found."""

    store: Literal["faiss", "milvus"] = "faiss"
    """Where the vectors are searched: in this process's memory, or in Milvus (docs/scaling-retrieval.md)."""
    milvus_address: Annotated[str, AfterValidator(http_address)] | None = None
    """Address of a Milvus cluster; null embeds Milvus Lite in the index's folder. TANDEM_MILVUS_TOKEN has its token."""
    vector_index: Literal["auto", "flat", "ivf", "sq8"] = "auto"
    """How vectors are searched: `flat` is exact; `sq8` takes a quarter of the memory, `ivf` looks into a part of them
    only, and both rank what they find by the exact vectors. `auto`: `flat` up to 200,000 passages, then `sq8`."""
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
    languages: dict[LanguageOrAny, LanguageWeights] = Field(default_factory=dict)
    """Weights for questions of one language (ISO 639-1), `"*"` for those of all others; null takes the two above."""
    embedder_languages: list[Language] | None = None
    """Languages that the embedder reads; it is not asked in others. null: English for the built-in MiniLM, all else."""
    lexical_language: Annotated[str, Field(pattern=r"^(auto|[a-z]{2})$")] = "en"
    """Language (ISO 639-1) as which all words are stemmed; `auto`: each document and question as its own."""
    min_similarity: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Least cosine between question and passage; null takes the best however far they are."""
    collapse: Annotated[float, Field(gt=0, le=1)] | None = None
    """Cosine from which two passages count as the same, and the better one stands for both; null collapses none."""
    neighbours: Annotated[int, Field(ge=0, le=10, strict=True)] = 0
    """Passages before and after each hit whose text is given with it."""
    reranker: str | None = None
    """A cross-encoder, by folder or hub id, that orders the best candidates anew; null leaves the fused order."""
    rerank_depth: Annotated[int, Field(gt=0, le=1000, strict=True)] = 32
    """Candidates that the cross-encoder reads."""
    allow_urls: list[Annotated[str, Field(pattern=r"^https?://[^/@?#\s]+[^@?#\s]*$")]] = Field(default_factory=list)
    """How addresses begin that `.urls` lists among the documents may name; none are fetched by default."""
    keep_snapshots: Annotated[int, Field(ge=0, le=10_000, strict=True)] = 10
    """Older snapshots that can still be searched; what was replaced or removed since takes space until then."""

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        if self.overlap_tokens >= self.passage_tokens:
            raise ValueError(
                f"overlap_tokens ({self.overlap_tokens}) has to be smaller than passage_tokens ({self.passage_tokens})"
            )
        if self.dense_weight == 0 and self.lexical_weight == 0:
            raise ValueError("dense_weight and lexical_weight cannot both be 0")
        if self.milvus_address is not None and self.store != "milvus":
            raise ValueError(f"milvus_address is set, and store is {self.store}; it has to be milvus")
        if self.store == "milvus" and self.vector_index not in {"auto", "flat"}:
            raise ValueError(f"vector_index is {self.vector_index}; with store: milvus it has to be auto or flat")
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
