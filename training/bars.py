"""Geometry of a report's bars and columns, in units of an SVG's view box; the template draws it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 720
LEFT: Final = 250
RIGHT: Final = 70
ROW_HEIGHT: Final = 26
LABEL_LETTERS: Final = 34
COLUMNS_HEIGHT: Final = 150
TOP: Final = 18
AXIS_HEIGHT: Final = 22


@dataclass(frozen=True)
class Bar:
    """One bar or column: its place, its size, and what it says."""

    label: str
    """Shortened to fit."""
    name: str
    count: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class BarPlot:
    """Bars that lie, one below the other, or columns that stand, side by side."""

    bars: tuple[Bar, ...]
    width: int
    height: int
    is_standing: bool


def bar_plot(counts: Mapping[str, int]) -> BarPlot:
    """Lying bars from 0; the largest is as long as there is room."""
    unit = (WIDTH - LEFT - RIGHT) / max(1, *counts.values(), 1)
    bars = tuple(
        Bar(_short(name), name, count, LEFT, number * ROW_HEIGHT + 4, round(count * unit, 1), ROW_HEIGHT - 8)
        for number, (name, count) in enumerate(counts.items())
    )
    return BarPlot(bars, WIDTH, ROW_HEIGHT * len(counts), is_standing=False)


def column_plot(columns: Sequence[tuple[str, int]]) -> BarPlot:
    """Standing columns from 0, of (label, count)."""
    unit = COLUMNS_HEIGHT / max(1, *(count for _, count in columns), 1)
    step = WIDTH / max(len(columns), 6)
    bars = tuple(
        Bar(
            label,
            label,
            count,
            round(number * step + 3, 1),
            round(TOP + COLUMNS_HEIGHT - count * unit, 1),
            round(step - 6, 1),
            round(count * unit, 1),
        )
        for number, (label, count) in enumerate(columns)
    )
    return BarPlot(bars, WIDTH, TOP + COLUMNS_HEIGHT + AXIS_HEIGHT, is_standing=True)


def _short(name: str) -> str:
    name = " ".join(name.split())
    return name if len(name) <= LABEL_LETTERS else f"{name[: LABEL_LETTERS - 1]}…"
