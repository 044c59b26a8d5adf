"""``python -m training.pretrain``: train ``models/tiny`` from scratch, or go on where it was interrupted.

On an accelerator where there is one, by a recipe of its own (``recipe.ACCELERATED``).
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from training.pretrain.recipe import ACCELERATED, Recipe
from training.pretrain.run import pretrain


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.pretrain", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path(".tandem/pretrain"), help="folder of the run (checkpoints, log)"
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    made = Recipe() if device == "cpu" else ACCELERATED
    stable, decay = made.cycles[-1]
    parser.add_argument(
        "--stable-tokens", type=int, default=stable, help="tokens of the last cycle before the learning rate falls"
    )
    parser.add_argument("--decay-tokens", type=int, default=decay, help="tokens while it falls to zero")
    arguments = parser.parse_args()
    cycles = (*made.cycles[:-1], (arguments.stable_tokens, arguments.decay_tokens))
    pretrain(dataclasses.replace(made, cycles=cycles), arguments.out, device)


if __name__ == "__main__":
    main()
