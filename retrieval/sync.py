"""What has to be done so that the index agrees with folders: decided by content, file by file."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from retrieval import rows
from retrieval.addresses import Allowed, FoundUrl
from retrieval.documents import Document, UnreadableDocument, check_id, document_digest
from retrieval.folders import FoundFile, Scan
from retrieval.parsers import TABLES, format_of, parse, parse_all, read_bytes
from retrieval.prepare import Progress, Source
from retrieval.results import Failure
from retrieval.rows import Known
from retrieval.rules import Rules
from retrieval.states import content_digest, validator_of, with_validator
from retrieval.store import Store
from tandem.errors import UserError

if TYPE_CHECKING:
    from retrieval.fetching import Fetched

NO_RULES: Final = Rules()
NOTHING_ALLOWED: Final = Allowed(())

Found = FoundFile | FoundUrl


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

    def __init__(
        self,
        store: Store,
        found: Scan,
        cut: str,
        replace: bool = False,
        rules: Rules = NO_RULES,
        allowed: Allowed = NOTHING_ALLOWED,
    ) -> None:
        self._store = store
        self._found = found
        self._cut = cut
        self._replace = replace
        self._rules = rules
        self._allowed = allowed
        self._plan = Plan(failed=list(found.failures), warnings=rules.unmatched([*found.files, *found.urls]))
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
        total = len(self._found.files) + len(self._found.urls)
        for done, (file, look) in enumerate(self._everything(), start=1):
            try:
                look()
            except UnreadableDocument as error:
                self._plan.failed.append(Failure(file.id, error.message))
                # A file that cannot be opened just now is not a file whose content is gone.
                if error.code == "unreadable_file":
                    self._kept |= {file.id, *self._known_from(file)}
                    self._narrow(file)
            if progress:
                progress("read", done, total)
        if self._replace:
            self._require_all_paths()
        staying = self._taken() | self._kept
        self._plan.remove = [name for name in self._known if name not in staying and self._may_go(self._known[name])]
        self._recut_others()
        return self._plan

    def _everything(self) -> Iterator[tuple[Found, Callable[[], None]]]:
        """Every file and every address, with what decides about it."""
        for file in self._found.files.values():
            yield file, partial(self._consider_file, file)
        if self._found.urls:
            from retrieval.fetching import Fetcher

            asked = [(found, self._validator(found)) for found in self._found.urls.values()]
            for found, result in Fetcher(self._allowed).fetch_all(asked):
                yield found, partial(self._consider_fetched, found, result)

    def _consider_file(self, file: FoundFile) -> None:
        self._refuse_deleted(file.id)
        check_id(file.id)
        kind = format_of(file.id)
        data = read_bytes(file.path)
        digest = content_digest(kind, data, self._rules.key(file.id))
        self._consider(file, kind, data, Source(str(file.root), file.place, digest))

    def _consider_fetched(self, found: FoundUrl, result: "Fetched | UnreadableDocument") -> None:
        self._refuse_deleted(found.id)
        if isinstance(result, UnreadableDocument):
            raise result
        if result.data is None:
            # Nothing is there to be read, and nothing has to be.
            names = self._known_from(found)
            self._plan.unchanged += names
            self._yielded.add(found.id)
            return
        content = content_digest(result.kind, result.data, self._rules.key(found.id))
        # A table's wrong rows are to be named each time, so it is always fetched whole.
        if result.validator and result.kind not in TABLES:
            content = with_validator(content, self._rules.key(found.id), result.validator)
        self._consider(found, result.kind, result.data, Source(str(found.root), found.place, content))

    def _validator(self, found: FoundUrl) -> str:
        """The server's name for the state that the index has; empty where it has to be read in any case."""
        known = [self._known[name] for name in self._known_from(found)]
        if len(known) != 1 or known[0].cut != self._cut or known[0].root != str(found.root):
            return ""
        return validator_of(known[0].content or "", self._rules.key(found.id))

    def _consider(self, found: Found, kind: str, data: bytes, source: Source) -> None:
        if kind in TABLES:
            self._take_table(found, kind, data, source)
            return
        known = self._known.get(found.id)
        if known and known.content == source.content:
            self._take_unchanged(found, known, source)
        else:
            document = self._rules.apply(self._sourced(parse(data, found.id, kind), found), found.id)
            self._take_changed(document, known, source)
        self._yielded.add(found.id)

    def _sourced(self, document: Document, found: Found) -> Document:
        """With the address it was fetched from as its source, where it names none."""
        if isinstance(found, FoundFile) or "source" in document.metadata:
            return document
        return replace(document, metadata={**document.metadata, "source": found.place})

    def _known_from(self, file: Found) -> list[str]:
        """The documents that the index has of a file, which are several where it is a table."""
        return self._by_path.get(file.place, [])

    def _refuse_deleted(self, name: str) -> None:
        if name in self._deleted:
            day = time.strftime("%Y-%m-%d", time.gmtime(self._deleted[name]))
            reason = f"It was deleted from the index on {day} and stays deleted until it is added again by hand."
            raise UnreadableDocument(reason, code="deleted")

    def _take_table(self, file: Found, kind: str, data: bytes, source: Source) -> None:
        """Each row for itself, unless every row of just these bytes is there."""
        names = self._known_from(file)
        whole = replace(source, content=f"{source.content}/{len(names)}")
        if names and all(self._stands(self._known[name], whole) for name in names):
            self._plan.unchanged += names
            self._yielded.add(file.id)
            return
        documents, failures = self._rows(file, kind, data)
        self._plan.failed += failures
        # Wrong rows are to be named each time, so only a table without any is passed over the next time.
        told = source if failures else replace(source, content=f"{source.content}/{len(documents)}")
        for document in documents:
            self._take_changed(document, self._known.get(document.id), told)
            self._yielded.add(file.id)

    def _rows(self, file: Found, kind: str, data: bytes) -> tuple[list[Document], list[Failure]]:
        read, failures = parse_all(data, file.id, kind)
        documents = []
        for document in read:
            try:
                self._refuse_deleted(document.id)
                documents.append(self._rules.apply(self._sourced(document, file), file.id))
            except UnreadableDocument as error:
                failures.append(Failure(document.id, error.message))
        return documents, failures

    def _narrow(self, file: Found) -> None:
        """Let the rules close what the index keeps of an unreadable file; they open nothing until it is read again."""
        for name in sorted(self._known.keys() & {file.id, *self._known_from(file)}):
            stored = self._stored(name)
            allow = self._rules.apply(stored, file.id).allow
            if allow != stored.allow:
                self._plan.write.append((replace(stored, allow=allow), _source_of(self._known[name])))

    def _stands(self, known: Known, source: Source) -> bool:
        return (known.root, known.path, known.content, known.cut) == (
            source.root,
            source.path,
            source.content,
            self._cut,
        )

    def _take_unchanged(self, file: Found, known: Known, source: Source) -> None:
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
                f"{self._found.unlisted[0]} cannot be read, so it is not known what is to replace the"
                " documents of the index; it was left as it was.",
                code="unlisted_folder",
                paths=[str(folder) for folder in self._found.unlisted],
            )
        places = [file.path for file in self._found.files.values() if file.id in self._yielded]
        places += [found.root for found in self._found.urls.values() if found.id in self._yielded]
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
        fetched = "://" in known.path
        return not any(fetched or known.path.startswith(f"{folder}/") for folder in self._found.unlisted)

    def _recut_others(self) -> None:
        """Documents cut under other settings that no file of this scan stands for."""
        settled = self._taken() | {*self._plan.remove}
        for name, known in self._known.items():
            if known.cut != self._cut and name not in settled:
                self._plan.write.append((self._stored(name), _source_of(known)))

    def _stored(self, name: str) -> Document:
        with self._store.reading() as connection:
            return rows.read_document(connection, name)


def _source_of(known: Known) -> Source | None:
    """Where the index has it from; None for what was given to `add`."""
    if known.root is None or known.path is None or known.content is None:
        return None
    return Source(known.root, known.path, known.content)
