"""The workspace folder and its schema version."""

import json
import multiprocessing
from pathlib import Path

import pytest

from tandem.errors import ConfigError, UserError
from tandem.workspace import SCHEMA_VERSION, Workspace, migrate


def test_opening_makes_the_folders_and_the_schema_version(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "deep" / "home")
    assert workspace.adapters_folder.is_dir()
    assert workspace.datasets_folder.is_dir()
    assert workspace.verdicts_folder.is_dir()
    assert json.loads(workspace.version_path.read_bytes()) == {"schema_version": 1}


def test_opening_again_keeps_what_is_there(tmp_path: Path) -> None:
    (Workspace.open(tmp_path).adapters_folder / "kept").touch()
    assert (Workspace.open(tmp_path).adapters_folder / "kept").exists()


def test_a_newer_schema_is_refused_in_a_sentence(tmp_path: Path) -> None:
    version_path = Workspace.open(tmp_path).version_path
    version_path.write_text('{"schema_version": 99}')
    with pytest.raises(ConfigError, match="has schema version 99, and this Tandem knows 1: update") as caught:
        Workspace.open(tmp_path)
    assert caught.value.code == "workspace_too_new"
    assert json.loads(version_path.read_bytes()) == {"schema_version": 99}


@pytest.mark.parametrize("content", ["", "{}", '{"schema_version": "1"}', "[]", '{"schema_version": 0}'])
def test_a_damaged_schema_version_is_refused(tmp_path: Path, content: str) -> None:
    Workspace.open(tmp_path).version_path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        Workspace.open(tmp_path)
    assert caught.value.code == "workspace_damaged"


def test_migrations_run_in_order_and_a_failed_one_is_repeated(tmp_path: Path) -> None:
    steps: list[str] = []

    def second(_home: Path) -> None:
        steps.append("second")
        if steps.count("second") == 1:
            raise OSError("killed here")

    version_path = tmp_path / "workspace.json"
    version_path.write_text('{"schema_version": 1}')
    migrations = {1: lambda _home: steps.append("first"), 2: second}
    with pytest.raises(OSError, match="killed here"):
        migrate(version_path, 3, migrations)
    migrate(version_path, 3, migrations)
    assert steps == ["first", "second", "second"]
    assert json.loads(version_path.read_bytes()) == {"schema_version": 3}


def test_a_migration_exists_for_each_older_version(tmp_path: Path) -> None:
    for version in range(1, SCHEMA_VERSION + 1):
        home = tmp_path / str(version)
        Workspace.open(home).version_path.write_text(json.dumps({"schema_version": version}))
        Workspace.open(home)


def test_a_file_where_the_workspace_should_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(ConfigError, match="cannot be used .* name a writable folder with --home or TANDEM_HOME"):
        Workspace.open(tmp_path / "home")


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a b", "-a", "a" * 64, "ä", "a\n"])
def test_names_that_could_leave_the_workspace_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError) as caught:
        Workspace.open(tmp_path).index_folder(name)
    assert caught.value.code == "invalid_name"


def test_many_processes_open_a_new_workspace_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(6) as pool:
        homes = pool.map(_open, [str(tmp_path / "home")] * 12)
    assert set(homes) == {str(tmp_path / "home")}


def _open(home: str) -> str:
    return str(Workspace.open(Path(home)).home)
