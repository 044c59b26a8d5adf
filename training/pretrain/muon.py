"""Muon in float32 (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks").

``torch.optim.Muon`` orthogonalises in bfloat16, which a CPU without bf16 instructions does a hundred times more slowly.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalised(matrix: torch.Tensor, iterations: int = 5) -> torch.Tensor:
    """The nearest semi-orthogonal matrix, roughly, by a quintic Newton-Schulz iteration. matrix: (rows, columns)."""
    first, second, third = COEFFICIENTS
    turned = matrix.shape[0] > matrix.shape[1]
    found = matrix.mT if turned else matrix
    found = found / (found.norm() + 1e-7)
    for _ in range(iterations):
        square = found @ found.mT
        found = torch.addmm(first * found, second * square + third * square @ square, found)
    return found.mT if turned else found


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised; for matrices only. The rate is scaled by sqrt(rows / columns)."""

    def __init__(
        self, matrices: Iterable[torch.Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, _closure: Any = None) -> None:
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum"] = torch.zeros_like(matrix)
                average = state["momentum"].lerp_(matrix.grad, 1 - group["momentum"])
                update = orthogonalised(matrix.grad.lerp(average, group["momentum"]))
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5)
