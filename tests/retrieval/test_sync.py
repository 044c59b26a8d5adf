"""Folders: only what changed is touched, what is gone is removed, and all of it is reported."""

import os
import shutil
from pathlib import Path

import pytest

from retrieval.documents import Document
from retrieval.index import Index
from retrieval.parsers import parse_all
from retrieval.results import Failure
from tandem.errors import UserError
from tandem.settings import RetrievalConfig
from tests.retrieval.helpers import CountingEmbedder, make_docx, make_pdf, open_index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.md").write_text("# Alpha\n\nFirst document.")
    (folder / "sub" / "b.txt").write_text("Second document here.")
    (folder / "c.html").write_text("<h1>Gamma</h1><p>Third document.</p>")
    (folder / "d.pdf").write_bytes(make_pdf("Fourth document"))
    (folder / "e.docx").write_bytes(make_docx())
    return folder


def test_folder_is_indexed_with_relative_ids(index: Index, folder: Path) -> None:
    commit = index.sync([folder])
    assert commit.added == ["a.md", "c.html", "d.pdf", "e.docx", "sub/b.txt"]
    assert commit.failed == []
    assert index.document("sub/b.txt").text == "Second document here."


def test_unchanged_folder_is_neither_parsed_nor_embedded_nor_committed(
    index: Index, folder: Path, embedder: CountingEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = index.sync([folder])
    embedder.texts.clear()
    monkeypatch.setattr("retrieval.sync.parse", lambda *_: pytest.fail("parsed an unchanged file"))
    os.utime(folder / "a.md", (1, 1))
    second = index.sync([folder])
    assert (second.snapshot, second.unchanged) == (first.snapshot, first.added)
    assert embedder.texts == []


def test_changed_new_and_gone_files_are_all_that_is_touched(
    index: Index, folder: Path, embedder: CountingEmbedder
) -> None:
    index.sync([folder])
    index.add([Document("by-hand", "t", "Not from a folder.")])
    embedder.texts.clear()
    (folder / "a.md").write_text("# Alpha\n\nChanged document.")
    (folder / "new.txt").write_text("Brand new.")
    (folder / "c.html").unlink()
    commit = index.sync([folder])
    assert (commit.added, commit.replaced, commit.removed) == (["new.txt"], ["a.md"], ["c.html"])
    assert commit.unchanged == ["d.pdf", "e.docx", "sub/b.txt"]
    assert len(embedder.texts) == 2
    assert "by-hand" in {info.id for info in index.documents()}


def test_bad_files_are_reported_one_by_one_and_do_not_stop_the_rest(index: Index, folder: Path) -> None:
    (folder / "empty.md").write_bytes(b"")
    (folder / "photo.png").write_bytes(b"\x89PNG")
    (folder / "latin.txt").write_bytes(b"caf\xe9")
    (folder / "locked.pdf").write_bytes(make_pdf("x", password="p"))
    (folder / "out.txt").symlink_to("/etc/hostname")
    (folder / "loop").symlink_to(folder)
    (folder / ".hidden").write_text("hidden")
    os.mkfifo(folder / "pipe.txt")
    commit = index.sync([folder])
    assert len(commit.added) == 5
    assert {failure.id: failure.reason.split()[2] for failure in commit.failed} == {
        "empty.md": "is",
        "photo.png": "kind",
        "latin.txt": "is",
        "locked.pdf": "is",
        "out.txt": "is",
        "loop": "is",
        "pipe.txt": "not",
    }


def test_file_that_became_unreadable_leaves_the_index(index: Index, folder: Path) -> None:
    index.sync([folder])
    (folder / "a.md").write_bytes(b"")
    commit = index.sync([folder])
    assert commit.removed == ["a.md"]
    assert [failure.id for failure in commit.failed] == ["a.md"]


def test_file_that_cannot_be_opened_just_now_keeps_its_document(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.sync([folder])

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    commit = index.sync([folder])
    assert commit.removed == []
    assert {failure.reason for failure in commit.failed} == {"The file cannot be read: Permission denied."}


def test_missing_paths_are_all_named_and_nothing_is_removed(index: Index, folder: Path) -> None:
    index.sync([folder])
    with pytest.raises(UserError, match=r"nowhere and no .*neither"):
        index.sync([folder, folder / "nowhere", folder / "neither"])
    assert len(index.documents()) == 5


def test_deleted_document_is_not_brought_back_by_its_folder_but_by_hand(index: Index, folder: Path) -> None:
    index.sync([folder])
    index.delete(["a.md"])
    commit = index.sync([folder])
    assert commit.added == []
    assert [failure.id for failure in commit.failed] == ["a.md"]
    assert "stays deleted" in commit.failed[0].reason
    assert index.add([Document("a.md", "Alpha", "Again.")]).added == ["a.md"]
    assert index.sync([folder]).replaced == ["a.md"]


def test_same_id_in_two_folders_is_reported(index: Index, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.md").write_text("Another.")
    commit = index.sync([folder, other])
    assert [failure.id for failure in commit.failed] == ["a.md"]
    assert index.document("a.md").text == "# Alpha\n\nFirst document."


def test_single_file_is_indexed_under_its_name(index: Index, folder: Path) -> None:
    assert index.sync([folder / "sub" / "b.txt"]).added == ["b.txt"]


def test_moved_folder_is_not_embedded_again(index: Index, folder: Path, embedder: CountingEmbedder) -> None:
    index.sync([folder])
    embedder.texts.clear()
    moved = folder.rename(folder.parent / "moved")
    assert len(index.sync([moved]).unchanged) == 5
    assert embedder.texts == []
    (moved / "a.md").unlink()
    assert index.sync([moved]).removed == ["a.md"]


def test_other_passage_settings_recut_every_document_at_the_next_sync(
    tmp_path: Path, folder: Path, embedder: CountingEmbedder
) -> None:
    (folder / "a.md").write_text("word " * 60)
    with open_index(tmp_path / "index", embedder) as index:
        index.sync([folder])
        index.add([Document("by-hand", "t", "word " * 30)])
    larger = RetrievalConfig(passage_tokens=60, overlap_tokens=0)
    with open_index(tmp_path / "index", embedder, larger) as index:
        commit = index.sync([folder])
        assert sorted(commit.replaced) == ["a.md", "by-hand", "c.html", "d.pdf", "e.docx", "sub/b.txt"]
        assert {info.id: info.passages for info in index.documents()}["a.md"] == 1
        assert len(index.sync([folder]).unchanged) == 5


@pytest.fixture
def autumn(folder: Path) -> Path:
    """A newer edition of `folder` elsewhere: one document changed, one new, one gone, one under another name."""
    autumn = folder.parent / "autumn"
    shutil.copytree(folder, autumn)
    (autumn / "a.md").write_text("# Alpha\n\nChanged document.")
    (autumn / "new.txt").write_text("Brand new.")
    (autumn / "c.html").unlink()
    (autumn / "sub" / "b.txt").rename(autumn / "b.txt")
    return autumn


def test_newer_edition_elsewhere_takes_the_place_of_everything_in_one_commit(
    index: Index, folder: Path, autumn: Path, embedder: CountingEmbedder
) -> None:
    first = index.sync([folder])
    index.add([Document("by-hand", "t", "Not from a folder.")])
    embedder.texts.clear()
    commit = index.sync([autumn], replace=True)
    assert (commit.added, commit.replaced) == (["b.txt", "new.txt"], ["a.md"])
    assert sorted(commit.removed) == ["by-hand", "c.html", "sub/b.txt"]
    assert commit.unchanged == ["d.pdf", "e.docx"]
    assert commit.snapshot == first.snapshot + 2
    assert [info.id for info in index.documents()] == ["a.md", "b.txt", "d.pdf", "e.docx", "new.txt"]
    assert len(embedder.texts) == 2  # what moved within the folder keeps its vectors too
    assert index.sync([autumn], replace=True).snapshot == commit.snapshot


def test_without_replace_a_newer_edition_leaves_what_only_the_older_had(
    index: Index, folder: Path, autumn: Path
) -> None:
    index.sync([folder])
    assert index.sync([autumn]).removed == []
    assert {"c.html", "sub/b.txt"} < {info.id for info in index.documents()}


def test_replaced_folder_is_the_one_remembered(index: Index, folder: Path, autumn: Path) -> None:
    index.sync([folder])
    index.sync([autumn], replace=True)
    (autumn / "d.pdf").unlink()
    assert index.sync([autumn]).removed == ["d.pdf"]
    assert index.sync([folder], replace=True).removed == ["b.txt", "new.txt"]


def test_file_with_the_content_that_another_name_had_is_not_embedded_again(
    index: Index, folder: Path, tmp_path: Path, embedder: CountingEmbedder
) -> None:
    index.sync([folder])
    embedder.texts.clear()
    other = tmp_path / "other"
    shutil.copytree(folder, other / "deeper")
    commit = index.sync([other], replace=True)
    assert len(commit.added) == len(commit.removed) == 5
    assert embedder.texts == []


@pytest.mark.parametrize("content", [{}, {".hidden": "x"}, {"photo.png": "x", "sub/empty.md": ""}])
def test_path_without_a_document_replaces_nothing(
    index: Index, folder: Path, tmp_path: Path, content: dict[str, str]
) -> None:
    commit = index.sync([folder])
    bare = tmp_path / "bare"
    (bare / "sub").mkdir(parents=True)
    for name, text in content.items():
        (bare / name).write_text(text)
    for paths in ([bare], [folder, bare]):
        with pytest.raises(UserError, match=f"nothing that can be indexed in {bare}, so nothing was replaced") as error:
            index.sync(paths, replace=True)
        assert error.value.code == "nothing_to_index"
        assert len(error.value.details["failed"]) == sum(not name.startswith(".") for name in content)
    assert (index.snapshot, len(index.documents())) == (commit.snapshot, 5)


def test_missing_path_replaces_nothing(index: Index, folder: Path) -> None:
    index.sync([folder])
    with pytest.raises(UserError, match="There is no .*nowhere"):
        index.sync([folder / "nowhere"], replace=True)
    assert len(index.documents()) == 5


def test_replace_takes_a_file_and_the_folder_it_lies_in(index: Index, folder: Path) -> None:
    assert len(index.sync([folder / "a.md", folder, folder / "sub"], replace=True).added) == 6


def test_folder_that_cannot_be_listed_replaces_nothing(
    index: Index, folder: Path, autumn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.sync([folder])
    listing = os.scandir

    def refuse(place: str) -> object:
        if Path(place).name == "shut":
            raise PermissionError(13, "Permission denied", place)
        return listing(place)

    (autumn / "shut").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match="autumn/shut cannot be read") as error:
        index.sync([autumn], replace=True)
    assert error.value.code == "unlisted_folder"
    assert len(index.documents()) == 5


def test_replace_keeps_the_document_of_a_file_that_cannot_be_opened_just_now(
    index: Index, folder: Path, autumn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.sync([folder])
    reading = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "a.md":
            raise PermissionError(13, "Permission denied")
        return reading(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    commit = index.sync([autumn], replace=True)
    assert commit.removed == ["c.html", "sub/b.txt"]
    assert [failure.id for failure in commit.failed] == ["a.md"]
    assert index.document("a.md").text == "# Alpha\n\nFirst document."


def test_document_deleted_by_name_stays_deleted_and_one_replaced_does_not(
    index: Index, folder: Path, autumn: Path
) -> None:
    index.sync([folder])
    index.delete(["a.md"])
    commit = index.sync([autumn], replace=True)
    assert [failure.id for failure in commit.failed] == ["a.md"]
    assert "c.html" in index.sync([folder], replace=True).added


def test_progress_counts_files_and_passages(index: Index, folder: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    commit = index.sync([folder], progress=lambda *call: calls.append(call))
    assert [call for call in calls if call[0] == "read"] == [("read", done, 5) for done in range(1, 6)]
    assert calls[-1] == ("embed", commit.passages, commit.passages)


def test_an_unchanged_table_is_not_parsed_again_but_where_rows_are_wrong_or_gone(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "good.csv").write_text("id,text\n1,Kettles boil.\n2,Lamps shine.\n")
    (folder / "bad.csv").write_text("id,text\n1,Chairs stand.\n2,\n")
    first = index.sync([folder])
    read: list[str] = []

    def reading(data: bytes, name: str, kind: str | None = None) -> tuple[list[Document], list[Failure]]:
        read.append(name)
        return parse_all(data, name, kind)

    monkeypatch.setattr("retrieval.sync.parse_all", reading)
    second = index.sync([folder])
    assert (read, second.snapshot, second.failed) == (["bad.csv"], first.snapshot, first.failed)
    assert sorted(second.unchanged) == ["bad.csv#1", "good.csv#1", "good.csv#2"]
    index.add([Document("good.csv#1", "Other", "Words given by hand.")])
    assert index.sync([folder]).replaced == ["good.csv#1"]
    index.delete(["good.csv#2"])
    assert [failure.id for failure in index.sync([folder]).failed] == ["bad.csv#2", "good.csv#2"]
    (folder / "good.csv").write_text("id,text\n1,Kettles boil fast.\n")
    assert index.sync([folder]).replaced == ["good.csv#1"]
