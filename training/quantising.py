"""QLoRA: the base model in 4 bits while its adapter is trained (Dettmers et al. 2023).

What is published is a plain LoRA adapter. Its reference answers are made over the whole base model, as it is served.
"""

from importlib.util import find_spec
from typing import Any

from tandem.errors import ConfigError
from tandem.training_settings import TrainingConfig
from training.base import Base


def require_quantisable(settings: TrainingConfig) -> None:
    """Raise ConfigError (`cannot_quantise`) where the settings want a quantised base and this machine can have none."""
    if settings.quantisation is None:
        return
    import torch

    wanted = f"`training.quantisation` is {settings.quantisation}, and its 4-bit arithmetic needs"
    if not torch.cuda.is_available():
        raise ConfigError(
            f"{wanted} an NVIDIA GPU, of which there is none here: set it to null, or train where there is one.",
            code="cannot_quantise",
        )
    if find_spec("bitsandbytes") is None:
        raise ConfigError(
            f"{wanted} the package bitsandbytes, which is not installed: install the extra `gpu`, or set it to null.",
            code="cannot_quantise",
        )


def load_quantised(base: Base) -> Any:
    """The base model on the GPU with the matrices of its layers in NF4, computing in bfloat16."""
    import torch
    from transformers import BitsAndBytesConfig

    nf4 = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_use_double_quant=True,
    )
    return base.load_model("bfloat16", quantization_config=nf4, device_map={"": torch.cuda.current_device()})
