"""Refuses, before anything is loaded, adapters that vLLM cannot serve.

What vLLM 0.32 refuses when it loads an adapter (its `lora/peft_helper.py` and `config/lora.py`).
"""

from typing import Any, Final, get_args

from tandem.errors import ConfigError
from tandem.settings import TrainingConfig

RANKS: Final[tuple[int, ...]] = get_args(TrainingConfig.model_fields["rank"].annotation)
"""The ranks that vLLM has room for."""

PLAIN_INITS: Final = frozenset({"gaussian", "eva", "orthogonal", "mica", "lora_ga"})
"""Named ways to begin that leave the base model as it is; PiSSA, OLoRA, CorDA and LoftQ change it."""

FEATURES: Final = {
    "use_dora": "DoRA (use_dora)",
    "alora_invocation_tokens": "activated LoRA (alora_invocation_tokens)",
    "lora_bias": "a bias in the adapter's matrices (lora_bias)",
    "modules_to_save": "whole modules in the adapter (modules_to_save)",
    "trainable_token_indices": "single trained tokens (trainable_token_indices)",
    "layer_replication": "repeated layers (layer_replication)",
    "use_bdlora": "block-diagonal LoRA (use_bdlora)",
    "use_qalora": "QALoRA (use_qalora)",
    "target_parameters": "adapters on bare parameters (target_parameters)",
}
"""Attribute of a `peft.LoraConfig` that has to be empty → what it turns on."""


def check_servable(lora: Any) -> None:
    """Raise ConfigError (`not_servable`), with one sentence for each obstacle, unless vLLM can serve what
    the `peft.LoraConfig` describes."""
    obstacles = [f"vLLM cannot serve {what}: leave it out." for name, what in FEATURES.items() if _is_set(lora, name)]
    if getattr(lora, "bias", "none") != "none":
        obstacles.append(f"vLLM cannot serve trained biases (bias={lora.bias!r}): set bias to 'none'.")
    begin = getattr(lora, "init_lora_weights", True)
    if isinstance(begin, str) and begin.lower() not in PLAIN_INITS:
        obstacles.append(
            f"vLLM cannot serve adapters that begin with init_lora_weights={begin!r}, which changes the base model: "
            "set it to true."
        )
    for rank in sorted({lora.r, *(getattr(lora, "rank_pattern", None) or {}).values()}):
        if rank not in RANKS:
            obstacles.append(f"vLLM cannot serve rank {rank}: take one of {', '.join(map(str, RANKS))}.")
    if obstacles:
        raise ConfigError("\n".join(obstacles), code="not_servable", obstacles=obstacles)


def _is_set(lora: Any, name: str) -> bool:
    return bool(getattr(lora, name, None))
