"""Chat messages and an answer as the tokens that serving would see.

The engine renders the messages with the model's chat template, opens the answer, and lets the model go on. So a row is
the tokens of that prompt and then the tokens of what the template itself would write for the answer, up to the token
that ends the turn. Both are tokenised apart, as they are when the engine does it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tandem.errors import ConfigError
from tandem.prompt import Message


@dataclass(frozen=True)
class TokenRow:
    """Token ids of a prompt and of the answer to it, which ends with the end of the turn."""

    prompt_ids: list[int]
    completion_ids: list[int]

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self.completion_ids)


class ChatTokens:
    """Tokenises chats with a model's own template."""

    def __init__(self, tokenizer: Any, end_tokens: frozenset[int]) -> None:
        """`end_tokens` are the tokens at which the engine ends an answer."""
        self._tokenizer = tokenizer
        self._end_tokens = end_tokens

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """The prompt, with the answer opened. Raises ConfigError where the template refuses the messages."""
        return self._ids(self._render(messages, add_generation_prompt=True))

    def row(self, messages: Sequence[Message], answer: str) -> TokenRow:
        """The prompt and the answer as a template writes it, to the end of the turn."""
        prompt = self._render(messages, add_generation_prompt=True)
        whole = self._render([*messages, {"role": "assistant", "content": answer}], add_generation_prompt=False)
        # A template that opens answers otherwise than it writes them: then the bare answer follows the opening.
        completion = whole.removeprefix(prompt) if whole.startswith(prompt) else answer
        return TokenRow(self._ids(prompt), self._to_end(self._ids(completion)))

    def _to_end(self, ids: list[int]) -> list[int]:
        """Up to the first token that ends the turn, which is added where the template writes none."""
        for position, token in enumerate(ids):
            if token in self._end_tokens:
                return ids[: position + 1]
        return [*ids, self._tokenizer.eos_token_id]

    def _render(self, messages: Sequence[Message], add_generation_prompt: bool) -> str:
        from jinja2.exceptions import TemplateError

        try:
            text: str = self._tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=add_generation_prompt
            )
        except TemplateError as error:
            raise ConfigError(
                f"The base model's chat template refuses the messages: {error}.", code="chat_template_refuses"
            ) from error
        return text

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids
