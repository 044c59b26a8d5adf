"""What has to be done so that the index agrees with folders: decided by content, file by file."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from retrieval import rows
from retrieval.documents import Document, UnreadableDocument, check_id, document_digest
from retrieval.folders import FoundFile, Scan
from retrieval.parsers import PARSER_VERSION, TABLES, format_of, parse, parse_all, read_bytes
from retrieval.prepare import Progress, Source
from retrieval.results import Failure
from retrieval.rows import Known
from retrieval.rules import Rules
from retrieval.store import Store
from tandem.errors import UserError

NO_RULES: Final = Rules()


@dataclass(slots=True)
class Plan:
    """Documents to write, ids to remove, new origins, and what to report."""

    write: list[tuple[Document, Source | None]] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    unchanged: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Planner:
    """Compares one scan with one index. `cut` is the key of the splitter now in use.

    With `replace` everything that the scan did not find is to go, wherever it came from.
    """

    def __init__(self, store: Store, found: Scan, cut: str, replace: bool = False, rules: Rules = NO_RULES) -> None:
        self._store = store
        self._found = found
        self._cut = cut
        self._replace = replace
        self._rules = rules
        self._plan = Plan(failed=list(found.failures), warnings=rules.unmatched(found.files))
        self._kept: set[str] = set()
        self._yielded: set[str] = set()
        """Ids of the files that hold a document."""
        with store.reading() as connection:
            self._known: Mapping[str, Known] = rows.known_documents(connection)
            self._deleted = rows.deleted_ids(connection)
        self._by_path: dict[str | None, list[str]] = {}
        for name, known in self._known.items():
            self._by_path.setdefault(known.path, []).append(name)

    def plan(self, progress: Progress | None = None) -> Plan:
        """Read every file and parse the changed ones; nothing is written.

        Raises UserError where `replace` would remove documents for a mistake: a path without a document in it, or a
        folder of which not all can be seen.
        """
        for done, file in enumerate(self._found.files.values(), start=1):
            try:
                self._consider(file)
            except UnreadableDocument as error:
                self._plan.failed.append(Failure(file.id, error.message))
                # A file that cannot be opened just now is not a file whose content is gone.
                if error.code == "unreadable_file":
                    self._kept |= {file.id, *self._known_from(file)}
            if progress:
                progress("read", done, len(self._found.files))
        if self._replace:
            self._require_all_paths()
        staying = self._taken() | self._kept
        self._plan.remove = [name for name in self._known if name not in staying and self._may_go(self._known[name])]
        self._recut_others()
        return self._plan

    def _consider(self, file: FoundFile) -> None:
        self._refuse_deleted(file.id)
        check_id(file.id)
        kind = format_of(file.id)
        data = read_bytes(file.path)
        source = Source(str(file.root), str(file.path), _content_digest(file.id, data, self._rules.key(file.id)))
        if kind in TABLES:
            self._take_table(file, data, source)
            return
        known = self._known.get(file.id)
        if known and known.content == source.content:
            self._take_unchanged(file, known, source)
        else:
            self._take_changed(self._rules.apply(parse(data, file.id), file.id), known, source)
        self._yielded.add(file.id)

    def _known_from(self, file: FoundFile) -> list[str]:
        """The documents that the index has of a file, which are several where it is a table."""
        return self._by_path.get(str(file.path), [])

    def _refuse_deleted(self, name: str) -> None:
        if name in self._deleted:
            day = time.strftime("%Y-%m-%d", time.gmtime(self._deleted[name]))
            reason = f"It was deleted from the index on {day} and stays deleted until it is added again by hand."
            raise UnreadableDocument(reason, code="deleted")

    def _take_table(self, file: FoundFile, data: bytes, source: Source) -> None:
        """Each row for itself, unless every row of just these bytes is there."""
        names = self._known_from(file)
        whole = replace(source, content=f"{source.content}/{len(names)}")
        if names and all(self._stands(self._known[name], whole) for name in names):
            self._plan.unchanged += names
            self._yielded.add(file.id)
            return
        documents, failures = self._rows(file, data)
        self._plan.failed += failures
        # Wrong rows are to be named each time, so only a table without any is passed over the next time.
        told = source if failures else replace(source, content=f"{source.content}/{len(documents)}")
        for document in documents:
            self._take_changed(document, self._known.get(document.id), told)
            self._yielded.add(file.id)

    def _rows(self, file: FoundFile, data: bytes) -> tuple[list[Document], list[Failure]]:
        read, failures = parse_all(data, file.id)
        documents = []
        for document in read:
            try:
                self._refuse_deleted(document.id)
                documents.append(self._rules.apply(document, file.id))
            except UnreadableDocument as error:
                failures.append(Failure(document.id, error.message))
        return documents, failures

    def _stands(self, known: Known, source: Source) -> bool:
        return (known.root, known.path, known.content, known.cut) == (
            source.root,
            source.path,
            source.content,
            self._cut,
        )

    def _take_unchanged(self, file: FoundFile, known: Known, source: Source) -> None:
        if known.cut != self._cut:
            self._plan.write.append((self._stored(file.id), source))
            return
        self._plan.unchanged.append(file.id)
        if (known.root, known.path) != (source.root, source.path):
            self._plan.sources[file.id] = source

    def _take_changed(self, document: Document, known: Known | None, source: Source) -> None:
        if known and (known.digest, known.cut) == (document_digest(document), self._cut):
            self._plan.unchanged.append(document.id)
            if (known.root, known.path, known.content) != (source.root, source.path, source.content):
                self._plan.sources[document.id] = source
        else:
            self._plan.write.append((document, source))

    def _require_all_paths(self) -> None:
        if self._found.unlisted:
            raise UserError(
                f"The folder {self._found.unlisted[0]} cannot be listed, so it is not known what is to replace the"
                " documents of the index; it was left as it was.",
                code="unlisted_folder",
                paths=[str(folder) for folder in self._found.unlisted],
            )
        places = [file.path for file in self._found.files.values() if file.id in self._yielded]
        empty = [str(root) for root in self._found.roots if not any(place.is_relative_to(root) for place in places)]
        if empty:
            raise UserError(
                f"There is nothing that can be indexed in {' and nothing in '.join(empty)}, so nothing was replaced.",
                code="nothing_to_index",
                paths=empty,
                failed=[f"{failure.id}: {failure.reason}" for failure in self._plan.failed],
            )

    def _taken(self) -> set[str]:
        """Ids that the index will have from this scan."""
        return {*self._plan.unchanged, *(document.id for document, _ in self._plan.write)}

    def _may_go(self, known: Known) -> bool:
        """Whether a document that the scan did not find is to be removed: it came from one of these folders."""
        if self._replace:
            return True
        if known.root is None or known.path is None or known.root not in map(str, self._found.roots):
            return False
        return not any(known.path.startswith(f"{folder}/") for folder in self._found.unlisted)

    def _recut_others(self) -> None:
        """Documents cut under other settings that no file of this scan stands for."""
        settled = self._taken() | {*self._plan.remove}
        for name, known in self._known.items():
            if known.cut != self._cut and name not in settled:
                source = None
                if known.root is not None and known.path is not None and known.content is not None:
                    source = Source(known.root, known.path, known.content)
                self._plan.write.append((self._stored(name), source))

    def _stored(self, name: str) -> Document:
        with self._store.reading() as connection:
            return rows.read_document(connection, name)


def _content_digest(name: str, data: bytes, rules: bytes) -> str:
    """Of the bytes, of what decides how they are parsed, and of what the rules add."""
    person = f"{PARSER_VERSION}{format_of(name)}".encode()
    key = hashlib.blake2b(rules, digest_size=64).digest() if rules else b""
    return hashlib.blake2b(data, digest_size=20, person=person, key=key).hexdigest()
