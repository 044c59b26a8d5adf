"""Geometry of the report's plots, in units of an SVG's view box; the template draws it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from eval.recommendation import show_points

WIDTH: Final = 720
LEFT: Final = 170
RIGHT: Final = 185
ROW_HEIGHT: Final = 34
TOP: Final = 12
AXIS_HEIGHT: Final = 34
STEPS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
MOST_TICKS: Final = 8


@dataclass(frozen=True)
class Mark:
    """One mean with its interval, to be placed."""

    label: str
    mean: float
    low: float
    high: float
    is_emphasised: bool = False


@dataclass(frozen=True)
class Row:
    """A mark in its place: `x`, `low` and `high` across, `y` down."""

    label: str
    text: str
    x: float
    low: float
    high: float
    y: float
    is_emphasised: bool


@dataclass(frozen=True)
class Tick:
    """A line of the grid."""

    x: float
    text: str
    is_zero: bool


@dataclass(frozen=True)
class IntervalPlot:
    """Rows of dots with intervals above one axis of points."""

    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    width: int
    height: int
    bottom: int
    """Where the axis lies."""
    right: int
    """Where the column of numbers begins."""


def interval_plot(marks: Sequence[Mark], bounds: tuple[float, float] | None = None) -> IntervalPlot:
    """Place marks on an axis from `bounds`, or from one that holds all intervals and zero."""
    low, high = bounds or (min(0.0, *(mark.low for mark in marks)), max(0.0, *(mark.high for mark in marks)))
    step = next((step for step in STEPS if (high - low) / step <= MOST_TICKS - 1), STEPS[-1])
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    right = WIDTH - RIGHT

    def place(value: float) -> float:
        return round(LEFT + (value / step - first) / (last - first) * (right - LEFT), 1)

    rows = tuple(
        Row(
            label=mark.label,
            text=f"{show_points(mark.mean)} ({show_points(mark.low)} to {show_points(mark.high)})",
            x=place(mark.mean),
            low=place(mark.low),
            high=place(mark.high),
            y=TOP + (number + 0.5) * ROW_HEIGHT,
            is_emphasised=mark.is_emphasised,
        )
        for number, mark in enumerate(marks)
    )
    ticks = tuple(
        Tick(place(number * step), f"{100 * number * step:.0f}".replace("-", "\N{MINUS SIGN}"), number == 0)
        for number in range(first, last + 1)
    )
    bottom = TOP + ROW_HEIGHT * len(marks)
    return IntervalPlot(rows, ticks, WIDTH, bottom + AXIS_HEIGHT, bottom, right)
