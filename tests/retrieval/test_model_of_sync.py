"""A state machine: two editions of a folder and documents by hand, against a dictionary."""

import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from retrieval.documents import Document
from retrieval.index import Index
from tandem.errors import UserError
from tests.retrieval.helpers import CountingEmbedder, open_index

names = st.sampled_from(["a.md", "b.md", "sub/c.md", "sub/d.md"])
words = st.lists(st.sampled_from(["kettle", "cable", "boils"]), max_size=3).map(" ".join)
editions = st.sampled_from(["spring", "autumn"])


class SyncMachine(RuleBasedStateMachine):
    """`files` is what lies on disk, `twin` what the index should hold: text and edition (None: by hand)."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tandem-test-"))
        self.embedder = CountingEmbedder()
        self.files: dict[str, dict[str, str]] = {"spring": {}, "autumn": {}}
        self.twin: dict[str, tuple[str, str | None]] = {}
        self.deleted: set[str] = set()

    @initialize()
    def open(self) -> None:
        for edition in self.files:
            (self.folder / edition / "sub").mkdir(parents=True)
        self.index: Index = open_index(self.folder / "index", self.embedder)

    @rule(edition=editions, name=names, text=words)
    def write(self, edition: str, name: str, text: str) -> None:
        self.files[edition][name] = text  # without a word: a file that cannot be indexed
        (self.folder / edition / name).write_text(text)

    @rule(edition=editions, name=names)
    def unlink(self, edition: str, name: str) -> None:
        self.files[edition].pop(name, None)
        (self.folder / edition / name).unlink(missing_ok=True)

    @rule(name=names | st.just("by-hand"), text=words.filter(bool))
    def add(self, name: str, text: str) -> None:
        same = self.twin.get(name, ("", None))[0] == text and self.index.document(name).title == name
        self.index.add([Document(name, name, text)])
        self.twin[name] = (text, self.twin[name][1] if same else None)
        self.deleted.discard(name)

    @rule(name=names)
    def delete(self, name: str) -> None:
        if self.twin.pop(name, None):
            self.index.delete([name])
            self.deleted.add(name)

    @rule(edition=editions)
    def sync(self, edition: str) -> None:
        found = self.indexable(edition)
        commit = self.index.sync([self.folder / edition])
        gone = {name for name, (_, origin) in self.twin.items() if origin == edition and name not in found}
        assert set(commit.removed) == gone
        self.twin = {name: held for name, held in self.twin.items() if name not in gone}
        self.twin |= {name: (text, edition) for name, text in found.items()}

    @rule(edition=editions)
    def replace(self, edition: str) -> None:
        found, before, place = self.indexable(edition), self.index.snapshot, self.folder / edition
        if not found:
            with pytest.raises(UserError, match="nothing was replaced"):
                self.index.sync([place], replace=True)
            assert self.index.snapshot == before
            return
        self.embedder.texts.clear()
        commit = self.index.sync([place], replace=True)
        assert set(commit.removed) == self.twin.keys() - found.keys()
        assert set(commit.added) == found.keys() - self.twin.keys()
        assert set(commit.replaced) | set(commit.unchanged) == found.keys() & self.twin.keys()
        same = {name for name, text in found.items() if self.twin.get(name) in ((text, "spring"), (text, "autumn"))}
        assert same <= set(commit.unchanged)
        assert self.embedder.texts == [] or same != found.keys()
        assert commit.snapshot == before + bool(commit.removed or commit.added or commit.replaced)
        self.twin = {name: (text, edition) for name, text in found.items()}

    def indexable(self, edition: str) -> dict[str, str]:
        """Files of an edition that a sync takes."""
        return {name: text for name, text in self.files[edition].items() if text and name not in self.deleted}

    @invariant()
    def documents_are_those_of_the_twin(self) -> None:
        if hasattr(self, "index"):
            held = {info.id: self.index.document(info.id).text for info in self.index.documents()}
            assert held == {name: text for name, (text, _) in self.twin.items()}

    def teardown(self) -> None:
        if hasattr(self, "index"):
            self.index.close()
        shutil.rmtree(self.folder)


TestSyncMachine = SyncMachine.TestCase
TestSyncMachine.settings = settings(max_examples=20, stateful_step_count=30)
