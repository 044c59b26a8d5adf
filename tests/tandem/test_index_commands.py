"""`tandem index DOMAIN` and the commands under the same name, on the project that `tandem init` makes."""

import json
from pathlib import Path
from typing import Any

import pytest

from tandem import cli


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder made by `tandem init`, indexed, as the current one."""
    for name in ("TANDEM_HOME", "TANDEM_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    assert cli.run(["init", str(tmp_path / "project")]) == 0
    monkeypatch.chdir(tmp_path / "project")
    assert cli.run(["index", "example"]) == 0
    capsys.readouterr()
    return tmp_path / "project"


def told(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> dict[str, Any]:
    """What the command prints for programs."""
    assert cli.run(["index", *words, "--json"]) == status
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    return value


def test_documents_are_added_removed_backed_up_restored_and_stay_deleted(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("more").mkdir()
    Path("more/zebra.md").write_text("# Zebra\n\nThe zebra has remarkable stripes.")
    Path("more/empty.md").write_text("")
    before = told(capsys, "stats", "example")
    added = told(capsys, "add", "example", "more", status=2)
    assert (added["added"], [failure["id"] for failure in added["failed"]]) == (["zebra.md"], ["empty.md"])
    saved = told(capsys, "backup", "example", "copy.db")
    assert saved["snapshot"] == added["snapshot"]
    assert told(capsys, "verify", "example")["sound"]
    removed = told(capsys, "remove", "example", "zebra.md")
    assert removed["removed"] == ["zebra.md"]
    stats = told(capsys, "stats", "example")
    assert (stats["unpurged"], stats["documents"]) == (0, before["documents"])
    folder = project / ".tandem/indexes/example"
    assert not any(b"remarkable stripes" in path.read_bytes() for path in folder.iterdir())
    restored = told(capsys, "restore", "example", "copy.db")
    assert (restored["deleted"], restored["documents"], restored["warning"]) == (["zebra.md"], before["documents"], "")
    assert not any(b"remarkable stripes" in path.read_bytes() for path in folder.parent.rglob("*") if path.is_file())
    assert told(capsys, "remove", "example", "zebra.md", status=2)["error"]["code"] == "not_found"
    assert told(capsys, "verify", "example")["sound"]
    assert cli.run(["index", "example"]) == 0


def test_verify_names_a_damaged_row_and_rebuild_repairs_a_derived_file(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import sqlite3

    folder = project / ".tandem/indexes/example"
    told(capsys, "backup", "example", "copy.db")
    (folder / "vectors.faiss").write_bytes(b"damaged")
    found = told(capsys, "verify", "example", status=1)
    assert ["vectors.faiss" in problem for problem in found["problems"]] == [True]
    assert told(capsys, "rebuild", "example")["passages"] == found["passages"]
    assert told(capsys, "verify", "example")["sound"]
    connection = sqlite3.connect(folder / "index.db")
    with connection:
        connection.execute("UPDATE passages SET text = 'forged' WHERE number = 1")
    connection.close()
    assert cli.run(["index", "verify", "example"]) == 1
    assert "wrong: index.db: passage 1 does not match its checksum." in capsys.readouterr().out
    told(capsys, "restore", "example", "copy.db")
    assert told(capsys, "verify", "example")["sound"]


def test_an_index_that_is_no_database_any_more_is_restored_with_a_warning(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "backup", "example", "copy.db")
    database = project / ".tandem/indexes/example/index.db"
    database.write_bytes(b"damaged" * 5000)
    for name in ("index.db-wal", "index.db-shm"):
        database.with_name(name).unlink(missing_ok=True)
    assert told(capsys, "verify", "example", status=1)["problems"]
    assert "is damaged" in told(capsys, "restore", "example", "copy.db")["warning"]
    assert told(capsys, "verify", "example")["sound"]


def test_what_is_no_backup_is_refused_and_nothing_changes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = told(capsys, "stats", "example")
    Path("text.db").write_text("no database" * 1000)
    Path("empty.db").write_bytes(b"")
    for name, code in (("text.db", "damaged_backup"), ("empty.db", "damaged_backup"), ("none.db", "missing_path")):
        assert told(capsys, "restore", "example", name, status=2)["error"]["code"] == code
    assert told(capsys, "backup", "example", "no/such/folder/copy.db", status=2)["error"]["code"] == "invalid_config"
    assert told(capsys, "stats", "example")["documents"] == before["documents"]


def test_collect_lets_go_of_older_snapshots(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("zebra.md").write_text("The zebra has remarkable stripes.")
    told(capsys, "add", "example", "zebra.md")
    Path("zebra.md").write_text("Another text.")
    told(capsys, "add", "example", "zebra.md")
    assert told(capsys, "collect", "example") == {"domain": "example", "collected": 1, "oldest_snapshot": 3}
    folder = project / ".tandem/indexes/example"
    assert not any(b"remarkable stripes" in path.read_bytes() for path in folder.iterdir())


def test_the_words_of_a_command_without_a_domain_are_a_mistake_in_one_sentence(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["index", "stats"]) == 2
    assert "Missing argument 'DOMAIN'" in capsys.readouterr().err
    assert cli.run(["index", "stats", "nothing"]) == 2
    assert cli.run(["index", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("add", "remove", "stats", "verify", "rebuild", "backup", "restore"))


def test_document_rules_hold_for_the_folder_and_for_what_is_added_by_hand(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("tandem.yaml").write_text(
        Path("tandem.yaml")
        .read_text()
        .replace(
            "    # document_rules: []", '    document_rules: [{path: "secret/", allow: [boss], licence: internal}]'
        )
    )
    Path("documents/secret").mkdir()
    Path("documents/secret/zebra.md").write_text("# Zebra\n\nThe zebra has stripes.")
    Path("more/secret").mkdir(parents=True)
    Path("more/secret/lion.md").write_text("# Lion\n\nThe lion has\u200b a mane.")
    assert told(capsys, "example")["added"] == ["secret/zebra.md"]
    assert told(capsys, "add", "example", "more")["hidden"] == {"secret/lion.md": 1}
    for name in ("boss", "clerk"):
        found = told(capsys, "search", "example", "zebra lion", "-k", "20", "--as", name)["hits"]
        seen = {hit["document"] for hit in found if hit["metadata"].get("licence") == "internal"}
        assert seen == ({"secret/zebra.md", "secret/lion.md"} if name == "boss" else set())
