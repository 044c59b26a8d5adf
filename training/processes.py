"""Several processes that train one adapter together, as `accelerate launch` starts them; one alone is the first.

The launcher says in the environment how many there are and which one this is. The first one alone writes: the run's
folder, the numbers, the adapter. What all have to decide alike, the first one decides.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tandem.errors import UserError


def count() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is the one that writes and speaks."""
    return int(os.environ.get("RANK", "0")) == 0


def share_of_batch(rows: int) -> int:
    """Rows of a step that each process takes; UserError where they cannot share them evenly."""
    if rows % count():
        raise UserError(
            f"`training.batch_size` is {rows}, which {count()} processes cannot share evenly: set it to "
            f"{max(rows // count(), 1) * count()}, or start another number of processes.",
            code="uneven_batch",
        )
    return rows // count()


def wait_for_all() -> None:
    """Go on when all processes are here."""
    if count() > 1:
        _state().wait_for_everyone()


@contextmanager
def first_goes_first() -> Iterator[None]:
    """The first process does what is inside alone, the others after it."""
    if not is_first():
        wait_for_all()
    try:
        yield
    finally:
        if is_first():
            wait_for_all()


def agreed(decision: bool) -> bool:
    """The first process's decision."""
    if count() == 1:
        return decision
    import torch

    told = torch.tensor([int(decision)], device=_state().device)
    torch.distributed.broadcast(told, 0)
    return bool(told.item())


def mean_and_total(loss: float, tokens: int) -> tuple[float, int]:
    """The mean of the losses of all processes, and the total of their tokens."""
    if count() == 1:
        return loss, tokens
    import torch

    sums = torch.tensor([loss, float(tokens)], dtype=torch.float64, device=_state().device)
    torch.distributed.all_reduce(sums)
    return float(sums[0]) / count(), int(sums[1])


def _state() -> Any:
    import torch
    from accelerate import PartialState  # type: ignore[import-untyped]

    return PartialState(cpu=not torch.cuda.is_available())
