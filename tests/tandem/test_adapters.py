"""Adapter versions: named by their content, never overwritten, read only when whole."""

import json
from pathlib import Path

import pytest

from tandem.adapters import CARD, CONTENT, AdapterCard, list_adapters, note, publish, read_adapter, verify
from tandem.errors import Conflict, NotFound, UserError
from tandem.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "home")


def staged(folder: Path, created: str = "2026-01-01T00:00:00Z", weights: bytes = b"weights") -> Path:
    folder.mkdir()
    card = AdapterCard(
        domain="helpdesk",
        kind="reading",
        base_model="tiny",
        base_digest="0" * 64,
        dataset_digest="1" * 64,
        prompt_hash="2" * 64,
        documents=("a.md", "b.md"),
        created=created,
    )
    for name in CONTENT:
        (folder / name).write_bytes(card.to_json() if name == CARD else weights)
    return folder


def test_a_published_adapter_is_read_back_under_its_version(workspace: Workspace, tmp_path: Path) -> None:
    adapter = publish(staged(tmp_path / "staging"), workspace, "helpdesk")
    assert adapter.name == f"helpdesk-{adapter.version}"
    assert read_adapter(workspace, "helpdesk", adapter.version) == adapter
    assert adapter.card.documents == ("a.md", "b.md")
    assert not (tmp_path / "staging").exists()
    verify(adapter)


def test_the_same_content_is_one_version_and_other_content_another(workspace: Workspace, tmp_path: Path) -> None:
    first = publish(staged(tmp_path / "one"), workspace, "helpdesk")
    again = publish(staged(tmp_path / "two"), workspace, "helpdesk")
    other = publish(staged(tmp_path / "three", "2026-02-01T00:00:00Z", b"more"), workspace, "helpdesk")
    assert first == again != other
    assert list_adapters(workspace, "helpdesk") == [first, other]
    assert list_adapters(workspace, "clinic") == []


def test_what_is_noted_later_does_not_change_the_version(workspace: Workspace, tmp_path: Path) -> None:
    adapter = publish(staged(tmp_path / "staging"), workspace, "helpdesk")
    note(adapter, "parity", {"difference": 0.01})
    verify(adapter)
    assert json.loads((adapter.folder / "parity.json").read_text()) == {"difference": 0.01}


def test_a_changed_or_missing_file_is_noticed(workspace: Workspace, tmp_path: Path) -> None:
    adapter = publish(staged(tmp_path / "staging"), workspace, "helpdesk")
    (adapter.folder / CONTENT[1]).write_bytes(b"other")
    with pytest.raises(Conflict, match="were changed"):
        verify(adapter)
    (adapter.folder / CONTENT[1]).unlink()
    with pytest.raises(Conflict, match="lacks files"):
        verify(adapter)


@pytest.mark.parametrize("version", ["../../etc", "", "ABCDEFABCDEF", "0123456789ab/.."])
def test_what_is_no_version_never_becomes_a_path(workspace: Workspace, version: str) -> None:
    with pytest.raises(UserError, match="is no adapter version"):
        read_adapter(workspace, "helpdesk", version)


def test_an_unfinished_folder_is_not_published_and_a_missing_version_is_not_found(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = staged(tmp_path / "staging")
    (folder / CARD).unlink()
    with pytest.raises(UserError, match=r"card\.json is missing"):
        publish(folder, workspace, "helpdesk")
    with pytest.raises(NotFound, match="has no adapter 0123456789ab"):
        read_adapter(workspace, "helpdesk", "0123456789ab")
