"""Where examples come from: a file of JSON lines, CSV or Parquet, or a dataset of the `datasets` library."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tandem.errors import UserError
from training.lines import Line, Problem, stream_lines, unreadable

LISTS: Final = ("documents", "messages")
"""Columns whose cells hold JSON in a CSV file."""
LONGEST_CELL: Final = 2**31 - 1
"""Characters; the csv module's own limit of 131,072 is less than a long document."""
BATCH_ROWS: Final = 1024
"""Rows of a Parquet file that are in memory as Python objects at once."""


@dataclass(frozen=True)
class Source:
    """Something that gives rows; `unit` says how its places are counted: `line` or `row`."""

    name: str
    unit: str
    rows: Callable[[], Iterator[Line | Problem]]


def open_source(examples: Path | str) -> Source:
    """The source of a file by its ending (JSON lines where it is neither .csv nor .parquet), or of a dataset's name.

    Nothing is read before `rows` is called.
    """
    if isinstance(examples, str) and not Path(examples).exists():
        name = examples
        return Source(name, "row", lambda: stream_named(name))
    path = Path(examples)
    match path.suffix.lower():
        case ".csv":
            return Source(str(path), "row", lambda: stream_csv(path))
        case ".parquet":
            return Source(str(path), "row", lambda: stream_parquet(path))
        case _:
            return Source(str(path), "line", lambda: stream_lines(path))


def stream_csv(path: Path) -> Iterator[Line | Problem]:
    """The rows of a CSV file (RFC 4180: commas, double quotes, a header); row 1 is the one below the header.

    An empty cell is an absent value. Cells of `LISTS` that begin with a bracket hold JSON; another cell of
    `documents` is one document's id. Raises UserError when the file cannot be read at all.
    """
    csv.field_size_limit(LONGEST_CELL)
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            repeated = sorted({name for name in header if header.count(name) > 1})
            if repeated:
                yield Problem(0, f"the header names the column {repeated[0]!r} twice")
                return
            for cells in reader:
                if cells:
                    number += 1
                    yield _csv_row(header, cells, number)
    except UnicodeDecodeError as error:
        yield Problem(number + 1, f"here or in the next rows is what is not UTF-8 text ({error.reason})")
    except csv.Error as error:
        yield Problem(number + 1, f"this is not valid CSV: {error}")
    except OSError as error:
        raise unreadable(path, error) from error


def stream_parquet(path: Path) -> Iterator[Line | Problem]:
    """The rows of a Parquet file; a null is an absent value. Raises UserError when it cannot be read at all."""
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    try:
        with path.open("rb") as opened, pyarrow.parquet.ParquetFile(opened) as file:
            batches = file.iter_batches(BATCH_ROWS, use_threads=False)
            yield from _numbered(row for batch in batches for row in batch.to_pylist())
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is not a readable Parquet file ({reason}).", code="invalid_examples") from error
    except OSError as error:
        # Arrow's own complaints about damaged files are OSErrors without a number.
        reason = error.strerror or str(error).splitlines()[0]
        raise UserError(f"{path} cannot be read ({reason}).", code="invalid_examples") from error


def stream_named(name: str) -> Iterator[Line | Problem]:
    """The rows of the `train` split of a dataset, by the name that the `datasets` library knows it under.

    That library reads data files only; it has no way left to run a dataset's own code.
    Raises UserError where the name cannot be reached.
    """
    import datasets

    try:
        yield from _numbered(datasets.load_dataset(name, split="train", streaming=True))
    except Exception as error:  # the library raises many kinds: of itself, of the hub client, of file formats
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise UserError(
            f"The examples {name!r} are no file, and no dataset of that name can be read ({reason}): name a file of "
            "JSON lines, CSV or Parquet, or a dataset that can be reached from here and has a `train` split.",
            code="examples_unreachable",
        ) from error


def _numbered(rows: Iterable[dict[str, Any]]) -> Iterator[Line]:
    for number, row in enumerate(rows, 1):
        yield Line(number, {name: _without_nulls(value) for name, value in row.items() if value is not None})


def _without_nulls(value: Any) -> Any:
    """Structs in a column have every field that one of them has; the absent ones are null."""
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _csv_row(header: Sequence[str], cells: Sequence[str], number: int) -> Line | Problem:
    """One row as an object, or what is wrong with it."""
    if len(cells) != len(header):
        return Problem(number, f"this row has {len(cells)} cells, and the header has {len(header)}")
    values: dict[str, Any] = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
    for name in LISTS:
        cell = values.get(name)
        if isinstance(cell, str) and cell.lstrip().startswith("["):
            try:
                values[name] = json.loads(cell)
            except (ValueError, RecursionError):
                return Problem(number, f"`{name}` begins with a bracket, and is not valid JSON")
        elif isinstance(cell, str) and name == "documents":
            values[name] = [cell]
    return Line(number, values)
