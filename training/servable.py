"""Refuses, before anything is loaded, adapters that vLLM cannot serve."""

from typing import Any

from tandem.errors import ConfigError
from tandem.served_lora import obstacles
from tandem.training_settings import TrainingConfig
from training.base import Base
from training.preflight import linear_names


def check_targets(settings: TrainingConfig, base: Base) -> None:
    """Raise ConfigError (`unknown_target`) for names under `training.targets` that no layer of the base model has."""
    known = linear_names(base.folder)
    unknown = [name for name in settings.targets or () if name not in known]
    if unknown:
        raise ConfigError(
            f"`training.targets` has {unknown[0]!r}, and the layers of {base.name} have {', '.join(sorted(known))}: "
            "take some of these, or null for all of them.",
            code="unknown_target",
        )


def check_servable(lora: Any) -> None:
    """Raise ConfigError (`not_servable`), with one sentence for each obstacle, unless vLLM can serve what
    the `peft.LoraConfig` describes."""
    found = [f"{clause}." for clause in obstacles(vars(lora))]
    if found:
        raise ConfigError("\n".join(found), code="not_servable", obstacles=found)
