"""What the comparisons share: rivals measured in turns, told as a ratio with its spread, on a machine that is named."""

import argparse
import json
import os
import platform
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

SEED = 20261122
RESAMPLES = 4000

Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Interval:
    """A median with the 95 % percentile interval of the bootstrap over `pairs` pairs."""

    median: float
    low: float
    high: float
    pairs: int

    def show(self, digits: int) -> str:
        """The numbers as text, with so many digits after the point."""
        return f"{self.median:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


@dataclass(frozen=True)
class Comparison:
    """Ours beside a rival: `values` has one pair (ours, rival's) of each turn, in `unit`."""

    name: str
    ours: str
    rival: str
    unit: str
    values: Sequence[tuple[float, float]]
    details: dict[str, Any] = field(default_factory=dict)
    """What else has to be known to read the numbers."""

    @property
    def ratio(self) -> Interval:
        """Ours divided by the rival's, pair by pair."""
        return interval([ours / rival for ours, rival in self.values])

    @property
    def difference(self) -> Interval:
        """Ours less the rival's, pair by pair, in `unit`."""
        return interval([ours - rival for ours, rival in self.values])

    def to_json(self) -> dict[str, Any]:
        """All numbers, the pairs too."""
        medians = {"ours": median(a for a, _ in self.values), "rival": median(b for _, b in self.values)}
        names = {"name": self.name, "ours": self.ours, "rival": self.rival, "unit": self.unit}
        spreads = {"ratio": vars(self.ratio), "difference": vars(self.difference)}
        return {**names, "medians": medians, **spreads, "pairs": [list(pair) for pair in self.values], **self.details}

    def show(self) -> str:
        """Some lines for people."""
        numbers = self.to_json()
        ours, rival = numbers["medians"]["ours"], numbers["medians"]["rival"]
        lines = [
            self.name,
            f"  {self.ours}: {ours:.4g} {self.unit}; {self.rival}: {rival:.4g} {self.unit} (medians)",
            f"  ratio {self.ratio.show(3)}, difference {self.difference.show(2)} {self.unit}",
            f"  (medians of {self.ratio.pairs} pairs, 95 % bootstrap)",
        ]
        lines += [f"  {name.replace('_', ' ')}: {value}" for name, value in self.details.items()]
        return "\n".join(lines)


def interval(values: Sequence[float], resamples: int = RESAMPLES) -> Interval:
    """The median of `values` and how far it moves when they are drawn again, with replacement; ValueError for none."""
    if not values:
        raise ValueError("there is nothing to take a median of")
    chance = random.Random(SEED)
    medians = sorted(median(chance.choices(values, k=len(values))) for _ in range(resamples))
    tail = round(0.025 * (resamples - 1))
    return Interval(median(values), medians[tail], medians[-1 - tail], len(values))


def in_turns(
    rounds: int, ours: Callable[[], Measured], rival: Callable[[], Measured]
) -> list[tuple[Measured, Measured]]:
    """Run both `rounds` times, one right after the other; who goes first changes every round."""
    found = []
    for turn in range(rounds):
        if turn % 2 == 0:
            one = ours()
            found.append((one, rival()))
        else:
            other = rival()
            found.append((ours(), other))
    return found


def machine() -> dict[str, Any]:
    """What the numbers depend on; `load` is how many processes ran or waited, on average over the last minute."""
    import torch

    cores = len(os.sched_getaffinity(0))
    load = round(os.getloadavg()[0], 1)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cores": cores,
        "processor": _processor(),
        "torch_threads": torch.get_num_threads(),
        "gpu": gpu,
        "load": load,
    }


def arguments(program: str, description: str, repetitions: int) -> argparse.ArgumentParser:
    """A command line with the options that all comparisons have."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{program}", description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repetitions", type=int, default=repetitions, help="rounds of turns (default: %(default)s)")
    return parser


def report(program: str, before: dict[str, Any], comparisons: Sequence[Comparison], as_json: bool) -> None:
    """Print all comparisons; `before` is the machine as it was when the benchmark began."""
    if as_json:
        found = [comparison.to_json() for comparison in comparisons]
        print(json.dumps({"benchmark": program, "machine": before, "comparisons": found}), flush=True)
        return
    for comparison in comparisons:
        print(comparison.show())
    print(", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in before.items()), flush=True)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
