"""One line of the doctor's report."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """`state` is fail when something that is needed does not work; then `way_out` says what to do.

    `found` is whether an optional thing (a GPU) is there.
    """

    name: str
    state: State
    message: str
    way_out: str = ""
    found: bool = True
