"""A base model of the size that people tune, with random weights, for benchmarks of speed where no hub is reachable.

The shape is that of the widespread 135-million-parameter models (30 layers of width 576, 9 heads of which 3 for keys
and values, a vocabulary of 49,152); tokenizer and chat template are those of `models/tiny`.
"""

import shutil
from pathlib import Path

from benchmarks.paired import SEED
from training.base import Base, find_base

SHAPE = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
    "vocab_size": 49_152,
    "tie_word_embeddings": True,
    "max_position_embeddings": 2048,
}


def large_model(tiny: Base, folder: Path) -> Base:
    """Write the model into `folder`, with what `tiny` has beside its weights."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    for path in tiny.folder.iterdir():
        if path.suffix in {".json", ".jinja"} and path.name != "config.json":
            shutil.copy(path, folder)
    torch.manual_seed(SEED)
    ends = {"eos_token_id": tiny.load_tokenizer().eos_token_id, "pad_token_id": tiny.load_tokenizer().pad_token_id}
    Qwen3ForCausalLM(Qwen3Config(**SHAPE, **ends)).to(torch.bfloat16).save_pretrained(folder)
    return find_base(str(folder))
