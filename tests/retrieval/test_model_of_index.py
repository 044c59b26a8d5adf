"""A state machine: the index against a dictionary and a product of two matrices."""

import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from retrieval.documents import Document, clean_text
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from retrieval.passages import Splitter
from tandem.errors import Conflict, NotFound
from tests.retrieval.helpers import SMALL, exact_order, open_index

names = st.sampled_from([f"d{number}" for number in range(6)])
words = st.sampled_from(["kettle", "cable", "warranty", "été", "years", "five", "boils", "# Part\n\n"])
bodies = st.lists(words, min_size=1, max_size=30).map(" ".join).filter(lambda text: text.strip(" #\nPart"))
colours = st.sampled_from(["red", "blue"])

DENSE = SMALL.model_copy(update={"lexical_weight": 0.0, "depth": 1000})


class IndexMachine(RuleBasedStateMachine):
    """`twin` is what the index should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tandem-test-"))
        self.embedder = HashEmbedder(dimension=32)
        self.splitter = Splitter(self.embedder, DENSE)
        self.twin: dict[str, Document] = {}
        self.commits = 0
        self.past: dict[int, dict[str, Document]] = {0: {}}

    @initialize()
    def open(self) -> None:
        self.index: Index = open_index(self.folder, self.embedder, DENSE)

    @rule(name=names, body=bodies, colour=colours)
    def add_or_replace(self, name: str, body: str, colour: str) -> None:
        document = Document(name, f"Title {name}", clean_text(body), {"colour": colour})
        commit = self.index.add([document])
        changed = self.twin.get(name) != document
        expected = ([name], []) if changed and name in self.twin else ([], [name]) if changed else ([], [])
        assert (commit.replaced, commit.added) == expected
        self.commits += changed
        self.twin[name] = document

    @rule(name=names)
    def delete(self, name: str) -> None:
        if name in self.twin:
            assert self.index.delete([name]).removed == [name]
            del self.twin[name]
            self.commits += 1
            for documents in self.past.values():
                documents.pop(name, None)
        else:
            try:
                self.index.delete([name])
            except NotFound:
                return
            raise AssertionError("deleted what was not there")

    @rule()
    def reopen(self) -> None:
        self.index.close()
        self.open()

    @rule()
    def lose_derived_files(self) -> None:
        self.index.close()
        (self.folder / "vectors.faiss").unlink(missing_ok=True)
        self.open()

    @rule(back=st.integers(0, 13), colour=st.none() | colours)
    def look_back(self, back: int, colour: str | None) -> None:
        snapshot = max(0, self.commits - back)
        if back > DENSE.keep_snapshots and snapshot < self.commits - DENSE.keep_snapshots:
            with pytest.raises(Conflict, match="was collected"):
                self.index.documents(snapshot=snapshot)
            return
        then = self.past[snapshot]
        assert {
            info.id: self.index.document(info.id, snapshot=snapshot) for info in self.index.documents(snapshot=snapshot)
        } == then
        wanted = {
            f"{name}#{position}": self.splitter.split(document)[position - 1].text
            for name, document in then.items()
            if colour is None or document.metadata["colour"] == colour
            for position in range(1, len(self.splitter.split(document)) + 1)
        }
        if then:
            hits = self.index.search("kettle", 1000, {"colour": colour} if colour else None, snapshot=snapshot).hits
            assert {hit.passage: hit.text for hit in hits} == wanted

    @rule(query=bodies, colour=st.none() | colours, k=st.integers(1, 8))
    def search(self, query: str, colour: str | None, k: int) -> None:
        try:
            result = self.index.search(query, k, {"colour": colour} if colour else None)
        except Conflict:
            assert not self.twin
            return
        texts, scores = self.twin_passages(colour), {}
        for name in exact_order(query, texts, self.embedder):
            scores[name] = self.embedder.encode([texts[name]])[0] @ self.embedder.encode([clean_text(query).strip()])[0]
        assert len(result.hits) == min(k, len(texts))
        for hit, best in zip(result.hits, sorted(scores.values(), reverse=True), strict=False):
            assert self.twin[hit.document].text[hit.start : hit.end] == hit.text
            # Near-ties may change places, scores may not.
            assert abs(scores[hit.passage] - best) < 1e-5
            assert abs(hit.similarity - best) < 1e-5

    def twin_passages(self, colour: str | None) -> dict[str, str]:
        """Passage id → what is embedded of it."""
        return {
            f"{name}#{position}": passage.searchable
            for name, document in self.twin.items()
            if colour is None or document.metadata["colour"] == colour
            for position, passage in enumerate(self.splitter.split(document), start=1)
        }

    @invariant()
    def documents_are_those_of_the_twin(self) -> None:
        if hasattr(self, "index"):
            assert [info.id for info in self.index.documents()] == sorted(self.twin)
            assert all(self.index.document(name) == document for name, document in self.twin.items())
            assert self.index.snapshot == self.commits
            self.past[self.commits] = dict(self.twin)

    def teardown(self) -> None:
        if hasattr(self, "index"):
            self.index.close()
        shutil.rmtree(self.folder)


TestIndexMachine = IndexMachine.TestCase
TestIndexMachine.settings = settings(max_examples=10, stateful_step_count=20)
