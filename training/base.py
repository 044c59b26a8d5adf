"""The base model that an adapter is trained on: where it lies, how it chats, how long its context is."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tandem.adapters import base_digest
from tandem.errors import ConfigError
from tandem.names import base_name

_WANTED: Final = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
"""Files of a hub model that are fetched: no code, and no weights but safetensors."""


@dataclass(frozen=True)
class Base:
    """A base model on this machine."""

    reference: str
    """As the configuration names it: an absolute folder or a hub id. vLLM compares this with its own `--model`."""
    folder: Path
    digest: str

    @property
    def name(self) -> str:
        """Hub id, or the name of the folder."""
        return base_name(self.reference)

    @property
    def context_tokens(self) -> int | None:
        """The longest row the model was made for; None where it does not say."""
        values = json.loads((self.folder / "config.json").read_bytes())
        length = {**values, **values.get("text_config", {})}.get("max_position_embeddings")
        return length if isinstance(length, int) else None

    def end_tokens(self, tokenizer: Any) -> frozenset[int]:
        """Tokens at which the engine ends an answer."""
        ends = {tokenizer.eos_token_id}
        path = self.folder / "generation_config.json"
        if path.is_file():
            listed = json.loads(path.read_bytes()).get("eos_token_id")
            ends |= set(listed) if isinstance(listed, list) else {listed}
        return frozenset(end for end in ends if end is not None)

    def load_tokenizer(self) -> Any:
        """Its tokenizer; ConfigError where it cannot be loaded or knows no chat."""
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            raise self._unusable(error) from error
        if not tokenizer.chat_template:
            raise ConfigError(
                f"The base model {self.reference} has no chat template, so it cannot be asked anything: "
                "set `base_model` to one that was taught to chat.",
                code="no_chat_template",
            )
        return tokenizer

    def load_model(self, dtype: str = "float32", **options: Any) -> Any:
        """The model on the CPU with weights of `dtype`; ConfigError where it cannot be loaded.

        `options` are further ones of `from_pretrained`, such as `quantization_config`.
        """
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.disable_progress_bar()
        logging.set_verbosity_error()
        try:
            return AutoModelForCausalLM.from_pretrained(
                self.folder,
                dtype=dtype,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                **options,
            )
        except (OSError, ValueError, KeyError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> ConfigError:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return ConfigError(f"The base model {self.reference} cannot be loaded: {reason}", code="base_model_unusable")


def find_base(base_model: str) -> Base:
    """The base model of a configuration, fetched from the hub where it is no folder. Raises ConfigError."""
    folder = Path(base_model)
    if not folder.is_dir():
        folder = _download(base_model)
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise ConfigError(
            f"The base model {base_model} has no config.json with safetensors weights beside it.",
            code="base_model_unusable",
        )
    return Base(base_model, folder, base_digest(folder))


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(_WANTED)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ConfigError(
            f"The base model {name!r} is neither a folder nor to be had from the hub.", code="base_model_unusable"
        ) from error
