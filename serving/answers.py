"""Questions and answers inside the gateway, and the evidence that goes out with an answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.citations import CheckedAnswer
from serving.engine import Json
from serving.indexes import Search
from serving.targets import Target
from tandem.prompt import Message


@dataclass(frozen=True)
class Asked:
    """A question, whichever route it came by. `id` names the answer too; `owner` is who asks."""

    id: str
    target: Target
    question: str
    owner: str
    history: tuple[Message, ...] = ()
    instructions: str | None = None
    """What the client's own system messages say; added to the domain's prompt."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    answer_tokens: int | None = None
    stream: bool = False
    search: Search = field(default_factory=Search)
    principals: frozenset[str] | None = None
    """Names under which documents are seen; None sees all."""

    @property
    def retrieval_query(self) -> str:
        """The question after the user's turn before it, which follow-ups such as "and how long?" refer to."""
        earlier = [message["content"] for message in self.history if message["role"] == "user"]
        return "\n".join([*earlier[-1:], self.question])


@dataclass(frozen=True)
class Versions:
    """What made an answer."""

    base: str
    adapter: str | None
    snapshot: int | None
    prompt: str


@dataclass(frozen=True)
class Usage:
    """Tokens, as the engine counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Answer:
    """The end of a flow: the checked text and everything that is known of how it came about.

    `found` and `shown` count passages, None where the variant retrieves none; what was found and not shown did not
    fit the model's context. `language` is the question's, where the search had or found one, and `warnings` has a
    sentence for everything that limited it.
    """

    asked: Asked
    checked: CheckedAnswer
    versions: Versions
    usage: Usage
    finish_reason: str | None
    found: int | None
    shown: int | None
    timings_ms: Mapping[str, float]
    language: str | None = None
    warnings: Sequence[str] = ()


@dataclass
class Transcript:
    """Puts an answer together from what the engine sends; only the first choice is kept as text."""

    text: str = ""
    finish_reason: str | None = None
    usage: Usage = Usage()

    def add(self, chunk: Json) -> bool:
        """Take in one chunk, or the one whole completion; whether it held text."""
        counted = chunk.get("usage")
        if counted:
            self.usage = Usage(counted.get("prompt_tokens") or 0, counted.get("completion_tokens") or 0)
        before = len(self.text)
        for choice in chunk.get("choices", []):
            if choice["index"] == 0:
                said = choice.get("delta") or choice.get("message") or choice
                self.text += said.get("content") or said.get("text") or ""
                self.finish_reason = choice.get("finish_reason") or self.finish_reason
        return len(self.text) > before


def evidence(answer: Answer) -> Json:
    """The field `tandem` of a chat completion; /v1/ask answers the same and more."""
    checked, versions = answer.checked, answer.versions
    return {
        "id": answer.asked.id,
        "domain": answer.asked.target.domain,
        "variant": answer.asked.target.variant,
        "abstained": checked.abstained,
        "citations": [vars(citation) for citation in checked.citations],
        "citation_repairs": checked.mended,
        "citations_removed": checked.removed,
        "passages": None if answer.found is None else _passages(answer.found, answer.shown or 0),
        "language": answer.language,
        "warnings": list(answer.warnings),
        "versions": vars(versions),
        "timings_ms": {name: round(value, 3) for name, value in answer.timings_ms.items()},
    }


def ask_body(answer: Answer) -> Json:
    """The answer of /v1/ask."""
    usage = vars(answer.usage) | {"total_tokens": answer.usage.prompt_tokens + answer.usage.completion_tokens}
    return evidence(answer) | {
        "answer": answer.checked.text.strip(),
        "finish_reason": answer.finish_reason,
        "usage": usage,
    }


def _passages(found: int, shown: int) -> Json:
    return {"found": found, "shown": shown, "dropped": found - shown}
