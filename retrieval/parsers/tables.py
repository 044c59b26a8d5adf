"""CSV, TSV, JSON lines and JSON: each row that has a `text` is a document, and a table without that is one as a whole.

Other columns than `id`, `title`, `text`, `allow` and `language` become metadata. A row without an `id` is called by its
number (data rows of a table and elements of a JSON array, from 1) or its line (JSON lines).
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from retrieval.documents import MAX_TEXT_CHARACTERS, Document, UnreadableDocument, checked, clean_text
from retrieval.parsers import allowed, language_code, one_licence
from retrieval.parsers.text import decode
from retrieval.results import Failure

DELIMITERS: Final = (",", ";", "\t", "|")
MAX_ROWS: Final = 200_000
OWN: Final = ("id", "title", "text", "allow", "language")
"""Columns that are no metadata."""


class Row(NamedTuple):
    """One row by its number, or why it cannot be read."""

    number: int
    values: dict[str, Any]
    problem: str = ""


def parse_table(kind: str, data: bytes, document_id: str, title: str) -> tuple[list[Document], list[Failure]]:
    """The documents in `data`, whose ids begin with `document_id#`, and the rows that are none.

    `kind` is `csv`, `tsv`, `jsonl` or `json`. Raises UnreadableDocument where the whole file cannot be read.
    """
    text = decode(data)
    rows = list(_limited(_json_lines(text) if kind == "jsonl" else _json(text) if kind == "json" else _csv(text, kind)))
    if not rows:
        raise UnreadableDocument("The file has no rows.")
    if kind in ("csv", "tsv") and "text" not in rows[0].values:
        if "allow" in rows[0].values:
            raise UnreadableDocument("The table has `allow` and no column `text`, so it has no rows to be for.")
        return [_whole(rows, document_id, title, kind)], _failures(rows, document_id)
    documents: dict[str, Document] = {}
    failures = _failures(rows, document_id)
    for row in rows:
        if row.problem:
            continue
        try:
            document = _document(row, document_id, title, kind)
            if document.id in documents:
                raise UnreadableDocument("An earlier row has the same `id` and is indexed instead.")
            documents[document.id] = document
        except UnreadableDocument as error:
            failures.append(Failure(f"{document_id}#{row.number}", f"Row {row.number}: {error.message}"))
    return list(documents.values()), failures


def _failures(rows: Sequence[Row], document_id: str) -> list[Failure]:
    return [Failure(f"{document_id}#{row.number}", row.problem) for row in rows if row.problem]


def _limited(rows: Iterator[Row]) -> Iterator[Row]:
    for count, row in enumerate(rows, 1):
        if count > MAX_ROWS:
            raise UnreadableDocument(f"The file has more than {MAX_ROWS:,} rows; split it.")
        yield row


def _document(row: Row, document_id: str, title: str, kind: str) -> Document:
    values = {key: value for key, value in row.values.items() if value not in (None, "") or key == "allow"}
    text = values.get("text")
    if not isinstance(text, str):
        raise UnreadableDocument("`text` is missing." if text is None else f"`text` is {text!r}; it has to be text.")
    name = values.get("id", row.number)
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise UnreadableDocument(f"`id` is {name!r}; it has to be text or a whole number.")
    language = language_code(values.get("language"))
    if "language" in values and not language:
        raise UnreadableDocument(f"`language` is {values['language']!r}; it has to be a code such as `en`.")
    metadata = {key: _plain(value) for key, value in values.items() if key not in OWN}
    return checked(
        Document(
            f"{document_id}#{name}",
            str(values.get("title") or f"{title} {name}"),
            text,
            {**one_licence(metadata), "format": kind},
            allow=allowed(values.get("allow")),
            language=language,
        )
    )


def _plain(value: Any) -> Any:
    """What a filter can compare; anything else as JSON."""
    items = value if isinstance(value, list) else [value]
    simple = all(isinstance(item, str | int | float | bool) for item in items)
    return value if simple else json.dumps(value, ensure_ascii=False)


def _whole(rows: Sequence[Row], document_id: str, title: str, kind: str) -> Document:
    # Each row names its columns: wherever the text is cut, a passage says what its values are.
    lines = [
        "; ".join(f"{name}: {value}" for name, value in row.values.items() if value) for row in rows if not row.problem
    ]
    return checked(Document(document_id, title, "\n\n".join(filter(None, lines)), {"format": kind}))


def _csv(text: str, kind: str) -> Iterator[Row]:
    csv.field_size_limit(MAX_TEXT_CHARACTERS)
    first = text.partition("\n")[0]
    delimiter = "\t" if kind == "tsv" else max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [clean_text(name).strip() for name in next(reader, [])]
        wrong = [name or "(empty)" for name, count in Counter(header).items() if count > 1 or not name]
        if wrong:
            raise UnreadableDocument(f"The header names a column twice or not at all: {', '.join(wrong)}.")
        for number, fields in enumerate(reader, 1):
            if not any(field.strip() for field in fields):
                continue
            problem = ""
            if len(fields) != len(header):
                problem = f"Row {number} (line {reader.line_num}) has {len(fields)} fields, the header {len(header)}."
            values = [" ".join(field.split()) if name != "text" else field for name, field in zip(header, fields)]  # noqa: B905
            yield Row(number, dict(zip(header, values, strict=False)), problem)
    except csv.Error as error:
        raise UnreadableDocument(f"Line {reader.line_num} is no CSV: {error}.") from error


def _json_lines(text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _object(number, line)


def _object(number: int, line: str) -> Row:
    try:
        value = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return Row(number, {}, f"Line {number} is no JSON: {str(error).rstrip('.')}.")
    return _of_value(number, value)


def _of_value(number: int, value: Any) -> Row:
    if isinstance(value, dict):
        return Row(number, value)
    return Row(number, {}, f"Row {number} is {type(value).__name__}; it has to be an object in braces.")


def _json(text: str) -> Iterator[Row]:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UnreadableDocument(f"The file is no JSON: {str(error).rstrip('.')}.") from error
    for number, item in enumerate(value if isinstance(value, list) else [value], 1):
        yield _of_value(number, item)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")
