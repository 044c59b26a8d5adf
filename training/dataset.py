"""Prepared datasets on disk: folders that are named by what they hold.

`datasets/<domain>-<digest>/` holds train.parquet and validation.parquet, which never change, and
report.json, report.md and report.html, which say how they came about. A task's test examples lie beside them in
test.parquet, and as questions that `tandem eval` reads in questions.jsonl.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from tandem.errors import Conflict, NotFound, UserError
from tandem.files import locked, sync_path, write_atomic
from tandem.names import validate_name
from tandem.workspace import Workspace
from training.examples import Example
from training.languages import UNDETERMINED
from training.splitting import Split

PARTS: Final = ("train", "validation")
TEST: Final = "test.parquet"
QUESTIONS: Final = "questions.jsonl"
REPORT: Final = "report.json"
LATER_KEYS: Final = ("source", "basis", "group", "synthetic", "evidence", "reviewed_by", "reviewed_at")
COLUMNS: Final = tuple(field.name for field in fields(Example))
FIRST_KEYS: Final = tuple(name for name in COLUMNS if name not in LATER_KEYS)
NOTHING_LATER: Final = tuple(field.default for field in fields(Example) if field.name in LATER_KEYS)
_first_values: Final = attrgetter(*FIRST_KEYS)
_later_values: Final = attrgetter(*LATER_KEYS)
PIECE: Final = 1000
"""Examples whose text is in memory at once while their digest is taken."""
DIGEST_PATTERN: Final = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Dataset:
    """A prepared dataset; `digest` is SHA-256 in hexadecimal, of which the folder's name has the first 12."""

    domain: str
    digest: str
    folder: Path
    split: Split
    report: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What `tandem train --dataset` takes."""
        return self.digest[:12]


def content_digest(domain: str, parts: Split, seed: int) -> str:
    """SHA-256 of the rows of all parts; the same examples and seed give the same one.

    A key of `LATER_KEYS` counts where a row has it: datasets from before there were these keep their digests.
    """
    counted = [parts.train, parts.validation, *([parts.test] if parts.test else [])]
    # One JSON array, written piece by piece: the text of a million examples would be larger than they are.
    digest = hashlib.sha256(f"[{_as_json(domain)},{_as_json(seed)}".encode())
    for part in counted:
        digest.update(b",[")
        for start in range(0, len(part), PIECE):
            piece = _as_json([_counted(example) for example in part[start : start + PIECE]])
            digest.update((b"," if start else b"") + piece[1:-1].encode())
        digest.update(b"]")
    digest.update(b"]")
    return digest.hexdigest()


def _counted(example: Example) -> dict[str, Any]:
    values = dict(zip(FIRST_KEYS, _first_values(example), strict=True))
    later = _later_values(example)
    if later != NOTHING_LATER:
        given = zip(LATER_KEYS, later, NOTHING_LATER, strict=True)
        values |= {key: value for key, value, nothing in given if value != nothing}
    return values


_as_json: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def publish_dataset(
    workspace: Workspace,
    domain: str,
    parts: Split,
    seed: int,
    report: Mapping[str, Any],
    report_text: str,
    page: Callable[[Mapping[str, Any]], str] | None = None,
    languages: Mapping[str, str] | None = None,
) -> Dataset:
    """Write a dataset under its digest, whole or not at all; where it is already there, its report is renewed.

    `page` makes the report's HTML of the whole report. `languages` are of examples by id: test questions of several
    languages carry theirs, so that the evaluation scores each.
    """
    digest = content_digest(domain, parts, seed)
    folder = dataset_folder(workspace, domain, digest[:12])
    report = {"domain": domain, "digest": digest, "seed": seed, **report}
    files = {"report.md": report_text, **({"report.html": page(report)} if page else {})}
    if parts.test:
        files[QUESTIONS] = as_questions(parts.test, languages or {})
    with locked(workspace.datasets_folder / ".lock"):
        if _is_whole(workspace, domain, digest[:12]):
            _write_report(folder, report, files)
        else:
            staging = workspace.datasets_folder / ".staging"
            shutil.rmtree(staging, ignore_errors=True)  # what a kill left
            staging.mkdir()
            for name, examples in (("train", parts.train), ("validation", parts.validation)):
                _write_parquet(staging / f"{name}.parquet", examples)
            if parts.test:
                _write_parquet(staging / TEST, parts.test)
            _write_report(staging, report, files)
            shutil.rmtree(folder, ignore_errors=True)
            staging.rename(folder)
            sync_path(folder.parent)
    return Dataset(domain, digest, folder, parts, report)


def read_dataset(workspace: Workspace, domain: str, name: str | None = None) -> Dataset:
    """One dataset of a domain, checked against its digest; without a name the one prepared last.

    Raises UserError for what is no digest, NotFound where there is none, Conflict where its files were changed.
    """
    if name is None:
        return _newest(workspace, domain)
    folder = dataset_folder(workspace, domain, name)
    if not (folder / REPORT).is_file():
        raise NotFound(
            f"{domain} has no dataset {name}: make one with `tandem prepare {domain}`.", code="dataset_not_found"
        )
    try:
        report = json.loads((folder / REPORT).read_bytes())
        parts = Split(*(_read_parquet(folder / f"{part}.parquet") for part in PARTS))
        if (folder / TEST).is_file():
            parts = replace(parts, test=_read_parquet(folder / TEST))
        digest = content_digest(domain, parts, report["seed"])
    except Exception as error:
        raise _damaged(folder, domain) from error
    if digest[:12] != name:
        raise _damaged(folder, domain)
    return Dataset(domain, digest, folder, parts, report)


def dataset_folder(workspace: Workspace, domain: str, name: str) -> Path:
    """The folder of a dataset, whether it is there or not."""
    if not DIGEST_PATTERN.fullmatch(name):
        raise UserError(f"{name!r} is no dataset: 12 of the characters 0-9 and a-f.", code="invalid_dataset")
    return workspace.datasets_folder / f"{validate_name(domain, 'domain')}-{name}"


def _newest(workspace: Workspace, domain: str) -> Dataset:
    prepared = {}
    for folder in workspace.datasets_folder.glob(f"{validate_name(domain, 'domain')}-*"):
        name = folder.name.removeprefix(f"{domain}-")
        if DIGEST_PATTERN.fullmatch(name) and (folder / REPORT).is_file():
            try:
                prepared[name] = str(json.loads((folder / REPORT).read_bytes())["prepared"])
            except (ValueError, KeyError, TypeError):
                continue
    if not prepared:
        raise NotFound(
            f"There is no dataset of {domain} yet: make one with `tandem prepare {domain}`.", code="dataset_not_found"
        )
    return read_dataset(workspace, domain, max(prepared, key=lambda name: (prepared[name], name)))


def _is_whole(workspace: Workspace, domain: str, name: str) -> bool:
    """Whether a dataset is there with the rows that its name says."""
    try:
        read_dataset(workspace, domain, name)
    except (NotFound, Conflict):
        return False
    return True


def _damaged(folder: Path, domain: str) -> Conflict:
    return Conflict(
        f"The files in {folder} were changed after they were written: make them anew with `tandem prepare {domain}`.",
        code="dataset_damaged",
    )


def _write_report(folder: Path, report: Mapping[str, Any], files: Mapping[str, str]) -> None:
    for name, text in files.items():
        write_atomic(folder / name, text.encode("utf-8", "replace"))
    write_atomic(folder / REPORT, json.dumps(report, ensure_ascii=False, indent=2).encode() + b"\n")


def _write_parquet(path: Path, examples: Sequence[Example]) -> None:
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    text = pyarrow.string()
    types = {"documents": pyarrow.list_(text), "synthetic": pyarrow.bool_()}
    columns = {name: pyarrow.array(list(map(attrgetter(name), examples)), types.get(name, text)) for name in COLUMNS}
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(columns), sink)
    write_atomic(path, memoryview(sink.getvalue()))


def as_questions(examples: Sequence[Example], languages: Mapping[str, str]) -> str:
    """Test examples as lines of the evaluation's questions, grouped by language where there are several."""
    several = len({languages.get(example.id) for example in examples}) > 1
    rows = [
        {"id": example.id, "question": example.question, "answers": [example.answer], "documents": []}
        | ({"group": {"language": languages.get(example.id, UNDETERMINED)}} if several else {})
        for example in examples
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _read_parquet(path: Path) -> list[Example]:
    import pyarrow
    import pyarrow.parquet

    # Without threads and memory maps, so that nothing stays open.
    file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(path.read_bytes()))
    batches = file.iter_batches(use_threads=False)
    return [Example(**{**row, "documents": tuple(row["documents"])}) for batch in batches for row in batch.to_pylist()]
