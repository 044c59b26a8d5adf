"""Refuses, before anything is loaded, adapters that vLLM cannot serve."""

from typing import Any

from tandem.errors import ConfigError
from tandem.served_lora import obstacles


def check_servable(lora: Any) -> None:
    """Raise ConfigError (`not_servable`), with one sentence for each obstacle, unless vLLM can serve what
    the `peft.LoraConfig` describes."""
    found = [f"{clause}." for clause in obstacles(vars(lora))]
    if found:
        raise ConfigError("\n".join(found), code="not_servable", obstacles=found)
