"""What the answers of a task look like: the engine's structured output makes them so, and this checks that it did."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from serving.adapters import Adapters
from serving.answers import Asked
from serving.engine import Json
from serving.targets import Target
from tandem.adapters import Adapter
from tandem.config import Config
from tandem.errors import Conflict, TandemError, UserError
from tandem.json_schema import read_schema, violations

STRUCTURED: Final = "structured_outputs"
"""vLLM's parameter of a request: {"choice": [texts]} or {"json": schema}."""
SPARE_TOKENS: Final = 8
"""For the end of the turn, and for a tokenizer that opens answers with a token of its own."""
OPPOSED: Final = ("response_format", "stop")
"""Parameters with which a client would cut or change an answer that has a form."""


@dataclass(frozen=True)
class Form:
    """What an answer has to be: one of `labels`, or JSON that keeps `json_schema`; anything where there is neither."""

    labels: tuple[str, ...] = ()
    json_schema: Mapping[str, Any] | None = None

    @property
    def is_free(self) -> bool:
        """Whether any text will do."""
        return not self.labels and self.json_schema is None

    def applied(self, asked: Asked) -> Asked:
        """The request that the engine will answer in this form.

        A label gets as many tokens as it has bytes, which is enough for every tokenizer, whatever the client asks for:
        half a label is none. Raises UserError for parameters that are at odds with the form.
        """
        if self.is_free:
            return asked
        opposed = [name for name in OPPOSED if asked.parameters.get(name) is not None]
        opposed += ["n"] if asked.parameters.get("n", 1) != 1 else []
        if opposed:
            raise UserError(
                f"{asked.target.name!r} gives one answer whose form its task decides; leave out `{opposed[0]}`.",
                param=opposed[0],
            )
        if self.labels:
            tokens = max(len(label.encode()) for label in self.labels) + SPARE_TOKENS
            parameters = {**asked.parameters, STRUCTURED: {"choice": list(self.labels)}}
            return replace(asked, parameters=parameters, answer_tokens=tokens)
        return replace(asked, parameters={**asked.parameters, STRUCTURED: {"json": self.json_schema}})

    def check(self, text: str, finish_reason: str | None) -> None:
        """Raise TandemError (`answer_cut_off`, `answer_unfit`) for an answer that has not the form."""
        if self.is_free or self._fits(text):
            return
        if finish_reason == "length":
            raise TandemError(
                "The answer was cut off before its JSON was whole: ask for more `max_tokens`, or raise "
                "`serving.max_answer_tokens`.",
                code="answer_cut_off",
            )
        raise TandemError(
            f"The engine's answer {text[:60]!r} is not of the form that the domain's task asks for, so it does not "
            "keep to structured output: let engine.url be a vLLM server.",
            code="answer_unfit",
        )

    def _fits(self, text: str) -> bool:
        if self.labels:
            return text in self.labels
        try:
            value = json.loads(text)
        except ValueError:
            return False
        return not any(violations(dict(self.json_schema or {}), value))


async def find_form(config: Config, adapters: Adapters, target: Target, adapter: Adapter | None) -> Form:
    """The form of a target's answers: what its adapter was trained for, and for the base model what is configured.

    Raises Conflict (`no_labels`) for a base model of which nobody says between which labels it has to choose.
    """
    domain = config.domains[target.domain]
    duty = adapter.card.duties.get(target.domain) if adapter else None
    if domain.task == "classification":
        labels = duty.labels if duty else ()
        return Form(labels=labels or tuple(domain.labels) or await _labels_of_the_live_adapter(adapters, target))
    if domain.task == "extraction":
        assert domain.json_schema is not None, "the settings ask for it"
        schema = duty.json_schema if duty else None
        return Form(json_schema=schema or _schema(domain.json_schema))
    return Form()


async def _labels_of_the_live_adapter(adapters: Adapters, target: Target) -> tuple[str, ...]:
    pointer = (await adapters.pointers(target.domain)).get("finetuned")
    duties = (await adapters.read(target.domain, pointer.version)).card.duties if pointer else {}
    labels = duties[target.domain].labels if target.domain in duties else ()
    if not labels:
        raise Conflict(
            f"{target.name!r} has no labels to choose from: list them as `domains.{target.domain}.labels`, or let an "
            f"adapter that has them answer (`tandem train {target.domain} --kind closed-book`).",
            code="no_labels",
            param="model",
        )
    return labels


@cache
def _schema(path: Path) -> Json:
    return read_schema(path)
