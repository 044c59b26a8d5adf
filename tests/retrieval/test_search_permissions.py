"""Permissions: decided before the search, so that what one may not see changes nothing of what one sees."""

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retrieval import visible
from retrieval.check import verify
from retrieval.documents import Document, document_digest
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from retrieval.results import Hit
from retrieval.schema import SCHEMA, SCHEMA_VERSION
from retrieval.store import Store, _statements, insert_snapshot
from tandem.errors import NotFound
from tests.retrieval.helpers import SMALL, documents, open_index

pytestmark = pytest.mark.usefixtures("store")

OWNERS = [f"owner{number}" for number in range(20)]
WORDS = ["kettle", "invoice", "contract", "salary", "berlin", "meeting", "budget", "warranty", "secret", "plan"]


def owned(owner: str, count: int = 5) -> list[Document]:
    """Documents of one owner, each with a word that no other document has."""
    draw = random.Random(owner)
    return [
        Document(
            f"{owner}/{number}",
            f"Notes {number}",
            f"{' '.join(draw.choices(WORDS, k=12))} canary{owner}n{number} {' '.join(draw.choices(WORDS, k=6))}",
            {"number": number},
            allow=(owner,),
        )
        for number in range(count)
    ]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    with open_index(tmp_path_factory.mktemp("shared")) as index:
        index.add([document for owner in OWNERS for document in owned(owner)])
        index.add([Document("public", "Public", "the public plan for the kettle warranty")])
        yield index


@pytest.mark.parametrize("count", [2_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_no_query_finds_a_passage_of_another_owner(shared: Index, count: int) -> None:
    draw = random.Random(count)
    texts = [document.text for owner in OWNERS for document in owned(owner)]
    foreign = found = 0
    for _ in range(count):
        owner = draw.choice(OWNERS)
        text = draw.choice(texts)
        words = text.split()
        query = draw.choice([text, " ".join(draw.sample(words, 3)), next(w for w in words if w.startswith("canary"))])
        filter = draw.choice([None, None, {"number": draw.randrange(5)}, {"document_prefix": "owner"}])
        hits = shared.search(query, draw.choice([1, 5, 100]), filter, principals=frozenset({owner, "staff"})).hits
        foreign += sum(not hit.document.startswith((f"{owner}/", "public")) for hit in hits)
        found += len(hits)
    assert foreign == 0
    assert found > count


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5, 1.0])
def test_nearest_allowed_passages_are_found_whatever_share_is_allowed(tmp_path: Path, share: float) -> None:
    draw = random.Random(2)
    texts = {f"d{n}": " ".join(draw.choices(WORDS, k=6)) for n in range(2_000)}
    allowed = set(draw.sample(sorted(texts), int(share * len(texts))))
    dense = SMALL.model_copy(update={"lexical_weight": 0.0})
    with open_index(tmp_path, settings=dense) as index:
        index.add([Document(k, k, text, allow=("ana",) if k in allowed else ("ben",)) for k, text in texts.items()])
        embedder = HashEmbedder()
        searchable = {key: f"{key}\n{texts[key]}" for key in sorted(allowed)}
        vectors = embedder.encode(list(searchable.values()))
        for query in ("kettle plan", "secret budget for berlin", "meeting salary contract kettle"):
            best = np.sort(vectors @ embedder.encode_queries([query])[0])[::-1][:10]
            hits = index.search(query, 10, principals=frozenset({"ana"})).hits
            assert {hit.document for hit in hits} <= allowed
            assert [hit.similarity for hit in hits] == pytest.approx(best.tolist(), abs=1e-5)


def test_documents_of_others_change_no_bit_of_ones_results(shared: Index, tmp_path: Path) -> None:
    draw = random.Random(1)
    for owner in OWNERS[:4]:
        with open_index(tmp_path / owner) as alone:
            alone.add(owned(owner))
            alone.add([Document("public", "Public", "the public plan for the kettle warranty")])
            for _ in range(40):
                query = " ".join(draw.choices(WORDS, k=draw.randint(1, 6)))
                mine = shared.search(query, 50, principals=frozenset({owner})).hits
                assert facts(mine) == facts(alone.search(query, 50).hits)


def facts(hits: list[Hit]) -> list[tuple]:
    return [(hit.document, hit.start, hit.end, hit.text, hit.score, hit.similarity) for hit in hits]


def test_k_results_however_few_may_be_seen(tmp_path: Path) -> None:
    with open_index(tmp_path, settings=SMALL.model_copy(update={"depth": 5})) as index:
        index.add([Document(f"d{n}", "t", f"common words {n}", allow=("rare",) if n % 100 == 7 else ("other",))
                   for n in range(1_000)])  # fmt: skip
        hits = index.search("common words", 10, principals=frozenset({"rare"})).hits
        assert {hit.document for hit in hits} == {f"d{n}" for n in range(7, 1_000, 100)}
        assert index.search("common words", 10, principals=frozenset()).hits == []


def test_groups_everybody_and_nobody(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.add([Document("all", "t", "plan"), Document("none", "t", "plan", allow=())])
        index.add(
            [Document("staff", "t", "plan", allow=("staff", "ana")), Document("ben", "t", "plan", allow=("ben",))]
        )

        def seen(*names: str) -> set[str]:
            return {hit.document for hit in index.search("plan", 9, principals=frozenset(names)).hits}

        assert seen() == {"all"}
        assert seen("ana") == seen("cleo", "staff") == {"all", "staff"}
        assert seen("ben", "staff") == {"all", "staff", "ben"}
        assert {hit.document for hit in index.search("plan", 9).hits} == {"all", "none", "staff", "ben"}
        assert [info.id for info in index.documents(principals=frozenset({"ben"}))] == ["all", "ben"]
        assert index.document("ben", principals=frozenset({"ben"})).allow == ("ben",)
        for name in ("none", "staff", "nothing"):
            with pytest.raises(NotFound, match=f"There is no document '{name}' in the index"):
                index.document(name, principals=frozenset({"ben"}))


def test_changed_permissions_hold_from_the_next_search(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        document = Document("d", "t", "plan", allow=("ana",))
        index.add([document, Document("x", "t", "other")])
        ben = frozenset({"ben"})
        assert {hit.document for hit in index.search("plan", principals=ben).hits} == {"x"}
        assert index.add([Document("d", "t", "plan", allow=("ana", "ben"))]).replaced == ["d"]
        assert {hit.document for hit in index.search("plan", principals=ben).hits} == {"d", "x"}


def test_what_may_be_seen_is_decided_once_for_each_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_index(tmp_path) as index:
        index.add(owned("ana"))
        decided = []
        original = visible.hidden_documents
        monkeypatch.setattr(visible, "hidden_documents", lambda *what: decided.append(what[1:]) or original(*what))
        for _ in range(3):
            for value in (True, 1, 2):
                index.search("plan", filter={"number": value}, principals=frozenset({"ana", "staff"}))
        assert len(decided) == 3, "1 and true are different values"
        index.add([Document("new", "t", "plan")])
        index.search("plan", filter={"number": 2}, principals=frozenset({"staff", "ana"}))
        assert len(decided) == 4


def test_kept_decisions_have_a_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visible, "MAX_KEPT_NUMBERS", 20)
    with open_index(tmp_path) as index:
        index.add([document for owner in OWNERS for document in owned(owner)])
        for owner in OWNERS:
            assert index.search("plan secret", 50, principals=frozenset({owner})).hits
        cache = index._searcher._visible
        assert cache._count == sum(len(kept) + 1 for kept in cache._kept.values()) <= 20
        assert 1 <= len(cache._kept) < len(OWNERS)


def test_an_older_snapshot_is_searched_with_the_permissions_of_now(tmp_path: Path) -> None:
    names = {name: frozenset({name}) for name in ("ana", "ben")}
    with open_index(tmp_path) as index:
        index.add([Document("open", "T", "the kettle plan"), Document("ana", "T", "the kettle plan", allow=("ana",))])
        index.add([Document("open", "T", "the kettle secret", allow=("ana",)), Document("ana", "T", "the kettle bill")])

        def found(snapshot: int, name: str) -> set[str]:
            return {hit.document for hit in index.search("kettle", 9, principals=names[name], snapshot=snapshot).hits}

        assert found(2, "ana") == {"open", "ana"}
        assert found(2, "ben") == {"ana"}
        assert found(1, "ana") == {"open", "ana"}
        assert found(1, "ben") == set(), "one was closed since, the other was closed then"
        assert {info.id for info in index.documents(principals=names["ben"], snapshot=1)} == set()
        with pytest.raises(NotFound):
            index.document("open", principals=names["ben"], snapshot=1)
        assert index.document("open", principals=names["ana"], snapshot=1).text == "the kettle plan"


def test_digests_of_documents_without_the_new_fields_stay_what_they_were() -> None:
    plain = Document("d", "Title", "text", {"a": 1})
    assert document_digest(plain) == "bd3da5ffa6b0846756b15113e0afa9f77ab87bae"
    others = [Document("d", "Title", "text", {"a": 1}, allow=allow) for allow in ((), ("ana",))]
    others.append(Document("d", "Title", "text", {"a": 1}, language="es"))
    assert len({document_digest(document) for document in [plain, *others]}) == 4


def test_a_database_of_version_1_is_migrated_and_everybody_sees_its_documents(tmp_path: Path) -> None:
    with open_index(tmp_path / "new") as index:
        index.add(documents(3))
        expected = facts(index.search("word1", 3).hits)
    copied = ("meta", "snapshots", "documents", "passages", "removals", "attributes", "sources", "deletions")
    (tmp_path / "old").mkdir()
    old = sqlite3.connect(tmp_path / "old" / "index.db")
    for statement in _statements(SCHEMA):
        old.execute(statement)
    old.execute("ATTACH ? AS new", (str(tmp_path / "new" / "index.db"),))
    for table in copied:
        columns = ", ".join(row[1] for row in old.execute(f"PRAGMA table_info({table})"))
        old.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM new.{table}")
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    with open_index(tmp_path / "old") as index:
        assert facts(index.search("word1", 3, principals=frozenset({"ana"})).hits) == expected
        assert index.document("d1").allow is None
    connection = sqlite3.connect(tmp_path / "old" / "index.db")
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    connection.close()


def test_a_failed_migration_leaves_the_old_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "index.db"
    old = sqlite3.connect(path)
    for statement in _statements(SCHEMA):
        old.execute(statement)
    insert_snapshot(old, 0)
    old.execute("PRAGMA user_version = 1")
    old.commit()
    monkeypatch.setattr("retrieval.store.MIGRATIONS", {2: "ALTER TABLE documents ADD COLUMN allow TEXT;\nBROKEN;"})
    with pytest.raises(Exception, match="BROKEN"):
        Store(path)
    assert old.execute("PRAGMA user_version").fetchone() == (1,)
    assert "allow" not in {row[1] for row in old.execute("PRAGMA table_info(documents)")}
    old.close()


def test_a_document_with_permissions_and_a_language_is_found_sound(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.add([Document("d", "T", "the kettle plan", allow=("ana",), language="en"), Document("e", "T", "a lamp")])
        index.add([Document("d", "T", "the kettle bill", allow=("ana", "ben"), language="en")])
    assert verify(tmp_path).problems == []
