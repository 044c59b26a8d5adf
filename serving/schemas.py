"""What clients send, as pydantic models: every field named, everything else refused."""

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tandem.prompt import MAX_PASSAGES

if TYPE_CHECKING:
    from serving.indexes import Search

PassageCount = Annotated[int, Field(ge=1, le=MAX_PASSAGES)]
Text = Annotated[str, Field(min_length=1)]

# Handed to the engine as they are; everything that reaches into its insides (chat templates, cache salts, raw token
# lists, plug-in parameters) is absent on purpose.
PASSED_ON: Final = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "stop",
    "seed",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "response_format",
)


class Request(BaseModel):
    """What all request bodies have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Body(Request):
    """A whole request body."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_what_cannot_be_passed_on(cls, data: Any) -> Any:
        try:
            orjson.dumps(data)
        except TypeError as error:  # half a surrogate pair, an integer beyond 64 bits, a hundred levels of nesting
            raise ValueError(f"The body holds what cannot be passed on: {error}.") from error
        return data


class TextPart(Request):
    """One part of a message's content."""

    type: Literal["text"]
    text: str


class ChatMessage(Request):
    """One turn; `name` is accepted and not shown to the model."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None

    @property
    def text(self) -> str:
        """The content as one string."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class StreamOptions(Request):
    """OpenAI's `stream_options`."""

    include_usage: bool = False


class SearchOptions(Request):
    """How passages are searched; what is left out is as in the settings under `retrieval`."""

    k: Annotated[int, Field(ge=1, le=100)] | None = None
    filter: dict[str, Any] | None = None
    snapshot: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """Searches the index as it was then, less what was deleted since."""
    min_similarity: Annotated[float, Field(ge=-1, le=1)] | None = None
    collapse: Annotated[float, Field(gt=0, le=1)] | None = None
    neighbours: Annotated[int, Field(ge=0, le=10)] | None = None
    language: Annotated[str, Field(pattern=r"^[a-z]{2}$")] | None = None
    """Of the question, ISO 639-1, instead of the one that is detected."""

    def search(self) -> "Search":
        """These, for the index."""
        from retrieval.requests import Options
        from serving.indexes import Search

        options = Options(self.min_similarity, self.collapse, self.neighbours, self.language)
        return Search(self.k, self.filter, self.snapshot, options)


class PassageOptions(SearchOptions):
    """How the passages are searched that the model reads: the field `tandem` of a chat request."""

    k: PassageCount | None = None


class Generation(Body):
    """Parameters of generation that OpenAI's two completion routes share."""

    model: Text
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: int | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    n: Annotated[int, Field(ge=1, le=16)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0)] | None = None
    logit_bias: dict[str, float] | None = None
    user: str | None = None
    metadata: dict[str, Any] | None = None
    """Accepted and not used, as are `store`, `service_tier` and the next ones."""
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None

    @property
    def answer_tokens(self) -> int | None:
        """The longest answer the client wants, in tokens; None: the configuration's."""
        return self.max_tokens

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a chunk of usage."""
        return self.stream_options is not None and self.stream_options.include_usage

    def passed_on(self) -> dict[str, Any]:
        """What the client set and the engine gets."""
        values = {name: getattr(self, name, None) for name in PASSED_ON}
        return {name: value for name, value in values.items() if value is not None}


class ChatRequest(Generation):
    """POST /v1/chat/completions."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: dict[str, Any] | None = None
    tandem: PassageOptions = PassageOptions()

    @property
    def answer_tokens(self) -> int | None:
        """`max_completion_tokens`, or its older name."""
        return self.max_completion_tokens or self.max_tokens


class CompletionRequest(Generation):
    """POST /v1/completions: the prompt goes to the model as it is."""

    prompt: Text
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


class AskRequest(Body, PassageOptions):
    """POST /v1/ask; without a variant the domain's documents are read."""

    domain: Text
    question: Text
    variant: Text = "rag"
    version: Text | None = None
    """Of the adapter, instead of the live one."""
    user: str | None = None


class CompareRequest(Body, PassageOptions):
    """POST /v1/compare; `variants` may name versions (`hybrid@…`), and without any all that answer now are asked."""

    domain: Text
    question: Text
    variants: Annotated[list[Text], Field(min_length=1, max_length=16)] | None = None
    user: str | None = None
    stream: bool = False


class RollbackRequest(Body):
    """POST /v1/domains/{domain}/adapters/rollback."""

    variant: Text
    expected: str | None = None
    """The version that has to be live now, null for none; left out, whatever is."""


class SwapRequest(RollbackRequest):
    """POST /v1/domains/{domain}/adapters/swap."""

    version: Text
    force: bool = False
    """Skip the comparison with training, and nothing else."""


class SearchRequest(Body, SearchOptions):
    """POST /v1/domains/{domain}/search."""

    query: Text
    user: str | None = None
    """Narrows what is found to what this user may see."""


class DocumentBody(Request):
    """One document to index; an id that exists is replaced."""

    id: Text
    title: str = ""
    text: str
    metadata: dict[str, Any] = {}
    allow: list[Text] | None = None
    """Users and groups that may see it; null: everybody, empty: administrators only."""
    language: Annotated[str, Field(pattern=r"^([a-z]{2})?$")] = ""
    """ISO 639-1; empty where it is not known."""


class DocumentsRequest(Body):
    """POST /v1/domains/{domain}/documents as JSON."""

    documents: Annotated[list[DocumentBody], Field(min_length=1, max_length=10_000)]
