"""What vLLM 0.32 serves of PEFT's LoRA: one list for those who train, import and serve.

It refuses or misreads the rest when it loads an adapter (its `lora/peft_helper.py` and `config/lora.py`).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from tandem.fields import AdapterRank

HIGHEST_RANK: Final[int] = max(get_args(AdapterRank))
"""vLLM has room for no higher one; a lower one fits wherever a higher one does."""
PLAIN_INITS: Final = frozenset({"gaussian", "eva", "orthogonal", "mica", "lora_ga"})
"""Named ways to begin that leave the base model as it is; PiSSA, OLoRA, CorDA and LoftQ change it."""
NOT_SERVED: Final = {
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
"""Setting that has to be empty → what it turns on."""


def obstacles(settings: Mapping[str, Any]) -> Iterator[str]:
    """What of PEFT's settings (`adapter_config.json`, or a `LoraConfig`'s attributes) vLLM cannot serve, a clause each.

    `r` and the values of `rank_pattern` have to be integers.
    """
    for name, what in NOT_SERVED.items():
        if settings.get(name):
            yield f"vLLM cannot serve {what}: leave it out"
    bias = settings.get("bias") or "none"
    if bias != "none":
        yield f"vLLM cannot serve trained biases (bias={bias!r}): set bias to 'none'"
    begin = settings.get("init_lora_weights", True)
    if isinstance(begin, str) and begin.lower() not in PLAIN_INITS:
        yield (
            f"vLLM cannot serve adapters that begin with init_lora_weights={begin!r}, which changes the base model: "
            "set it to true"
        )
    rank = highest_rank(settings)
    if rank > HIGHEST_RANK:
        yield f"vLLM cannot serve rank {rank}: take {HIGHEST_RANK} at most"


def highest_rank(settings: Mapping[str, Any]) -> int:
    """The highest rank of any matrix."""
    return int(max([settings["r"], *(settings.get("rank_pattern") or {}).values()]))
