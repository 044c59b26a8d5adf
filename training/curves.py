"""Geometry of a run's curves, in units of an SVG's view box; the template draws them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 260
LEFT: Final = 60
RIGHT: Final = 20
TOP: Final = 12
BOTTOM: Final = 220
MOST_POINTS: Final = 400
"""Of one curve: neighbouring points are drawn as their mean."""
TICKS: Final = 5

Points = Sequence[tuple[float, float]]
"""(step, value), by step."""


@dataclass(frozen=True)
class Tick:
    """A line of the grid: `place` across or down."""

    place: float
    text: str


@dataclass(frozen=True)
class Curve:
    """One line: `path` as SVG takes points, `dots` where there are few of them."""

    name: str
    path: str
    dots: tuple[tuple[float, float], ...]
    last: float


@dataclass(frozen=True)
class CurvePlot:
    """Curves over the steps of a run."""

    curves: tuple[Curve, ...]
    across: tuple[Tick, ...]
    down: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = BOTTOM


def curve_plot(named: Mapping[str, Points]) -> CurvePlot | None:
    """Place curves on shared axes; None where nothing is finite. The axis down begins at zero."""
    finite = {name: [point for point in points if math.isfinite(point[1])] for name, points in named.items()}
    drawn = {name: _thinned(points) for name, points in finite.items() if points}
    if not drawn:
        return None
    every = [point for points in drawn.values() for point in points]
    across = _ticks(0.0, max(step for step, _ in every))
    down = _ticks(min(0.0, *(value for _, value in every)), max(value for _, value in every))

    def place(step: float, value: float) -> tuple[float, float]:
        x = LEFT + (step - across[0]) / (across[-1] - across[0]) * (WIDTH - RIGHT - LEFT)
        y = BOTTOM - (value - down[0]) / (down[-1] - down[0]) * (BOTTOM - TOP)
        return round(x, 1), round(y, 1)

    curves = []
    for name, points in drawn.items():
        placed = [place(*point) for point in points]
        few = tuple(placed) if len(placed) <= 40 else ()
        curves.append(Curve(name, " ".join(f"{x},{y}" for x, y in placed), few, finite[name][-1][1]))
    return CurvePlot(
        tuple(curves),
        tuple(Tick(place(value, down[0])[0], f"{value:g}") for value in across),
        tuple(Tick(place(across[0], value)[1], f"{value:g}") for value in down),
    )


def _thinned(points: Points) -> list[tuple[float, float]]:
    """At most `MOST_POINTS` points, each the mean of its neighbours and at the last of their steps."""
    size = math.ceil(len(points) / MOST_POINTS)
    pieces = [points[start : start + size] for start in range(0, len(points), size)]
    return [(piece[-1][0], sum(value for _, value in piece) / len(piece)) for piece in pieces]


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers that enclose `low` and `high`."""
    span = high - low
    rough = (span if span > 1e-12 else 1.0) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]
