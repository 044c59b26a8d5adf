"""The command line: exit statuses, sentences, JSON, and what it loads."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tandem import cli
from tandem.commands import index as index_command
from tandem.quiet import TELEMETRY_OFF, turn_off_telemetry

LIGHT = {"typer", "shellingham", "annotated_doc", "typing_extensions"}
"""The libraries that the command line may load before it knows the command."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder made by `tandem init`, as the current one."""
    assert cli.run(["init", str(tmp_path / "project")]) == 0
    capsys.readouterr()
    monkeypatch.chdir(tmp_path / "project")
    for name in ("TANDEM_HOME", "TANDEM_CONFIG", "TANDEM_URL", "TANDEM_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "project"


def error_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The error object that a command with --json printed."""
    error: dict[str, Any] = json.loads(capsys.readouterr().out)["error"]
    return error


def test_help_loads_no_library_but_the_one_that_prints_it() -> None:
    code = """
import sys
at_start = set(sys.modules)
from importlib.metadata import packages_distributions
from tandem import cli
cli.run(["--help"])
loaded = {name.partition(".")[0] for name in set(sys.modules) - at_start}
print("loaded:", *sorted(loaded & set(packages_distributions())))
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = finished.stdout.splitlines()[-1].removeprefix("loaded:").split()
    assert "typer" in loaded
    assert set(loaded) <= LIGHT | {"tandem", "training", "retrieval", "serving", "eval"}


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(
        f"  {name}" in shown
        for name in ("init", "index", "prepare", "train", "serve", "ask", "compare", "eval", "adapters", "demo")
    )


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([]) == 0
    assert "Usage: tandem" in capsys.readouterr().out


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == "tandem 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nix"], "error: No such command 'nix'; see `tandem --help`.\n"),
        (["index"], "error: Missing argument 'DOMAIN'; see `tandem --help`.\n"),
        (["index", "a", "--nix"], "error: No such option: --nix"),
        (["index", "a", "--replace", ""], "error: Invalid value for '[PATH]...': a path is empty"),
        (["serve", "--port", "99999"], "error: Invalid value for '--port': "),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_exit_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments) == 2
    shown = capsys.readouterr().err
    assert sentence in shown
    assert shown.count("\n") == 1


def test_with_json_a_wrong_command_line_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["index", "--json"]) == 2
    assert error_of(capsys)["code"] == "usage"


@pytest.mark.parametrize("command", [["index", "a"], ["search", "a", "b"], ["serve"]])
def test_a_missing_configuration_makes_no_workspace(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(command) == 2
    assert "There is no configuration" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_a_broken_configuration_lists_its_lines(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "tandem.yaml").write_text("base_modle: a/b\ndomains: {a: {documents: nowhere}}\n")
    assert cli.run(["search", "a", "b"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert "tandem.yaml:1: unknown key `base_modle`; did you mean `base_model`?" in "\n".join(lines)
    assert cli.run(["search", "a", "b", "--json"]) == 2
    assert [problem["line"] for problem in error_of(capsys)["problems"]] == [1, 1, 2]


def test_an_unknown_domain_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["index", "nix", "--json"]) == 2
    assert error_of(capsys)["code"] == "domain_not_found"


def test_init_never_overwrites(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "tandem.yaml").unlink()
    (project / "documents" / "rooms.md").write_text("mine")
    (project / "documents" / "lending.md").unlink()
    assert cli.run(["init", "."]) == 2
    assert "rooms.md already there; nothing was written." in capsys.readouterr().err
    assert (project / "documents" / "rooms.md").read_text() == "mine"
    assert not (project / "tandem.yaml").exists()
    assert not (project / "documents" / "lending.md").exists()


def test_init_says_where_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert cli.run(["init", str(tmp_path / "file" / "folder")]) == 2
    assert "cannot be written (Not a directory)" in capsys.readouterr().err


def test_a_domain_is_indexed_searched_and_kept_up_to_date(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["index", "example", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["snapshot"], first["documents"], len(first["added"])) == (1, 3, 3)
    (project / "documents" / "rooms.md").unlink()
    (project / "documents" / "cafe.md").write_text("# Café\n\nThe café sells soup from noon.\n")
    assert cli.run(["index", "example"]) == 0
    assert "snapshot 2, 3 documents (1 added, 0 replaced, 1 removed, 2 unchanged)" in capsys.readouterr().out
    assert cli.run(["search", "example", "When can I have soup?", "--json", "-k", "1"]) == 0
    [hit] = json.loads(capsys.readouterr().out)["hits"]
    assert hit["document"] == "cafe.md"
    assert cli.run(["search", "example", "When can I have soup?"]) == 0
    assert capsys.readouterr().out.startswith("[1] Café  (cafe.md ")


def test_a_newer_edition_elsewhere_is_noticed_and_with_replace_takes_the_place(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "documents").rename(project / "spring")
    shutil.copytree(project / "spring", project / "autumn")
    (project / "autumn" / "rooms.md").unlink()
    (project / "documents").mkdir()
    assert cli.run(["index", "example", "spring"]) == 0
    capsys.readouterr()
    assert cli.run(["index", "example", "autumn"]) == 0
    assert capsys.readouterr().out == (
        "example: snapshot 1, 3 documents (0 added, 0 replaced, 0 removed, 2 unchanged)\n"
        "  1 of them came from elsewhere (`--replace` removes such)\n"
    )
    assert cli.run(["index", "example", "autumn", "--replace"]) == 0
    assert capsys.readouterr().out == (
        "example: snapshot 2, 2 documents (0 added, 0 replaced, 1 removed, 2 unchanged)\n"
    )
    assert cli.run(["index", "example", "--replace"]) == 2
    assert capsys.readouterr().err.endswith("documents, so nothing was replaced.\n")


def test_an_unreadable_document_is_named_and_the_others_are_indexed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "documents" / "empty.md").touch()
    assert cli.run(["index", "example"]) == 2
    shown = capsys.readouterr()
    assert "3 documents (3 added" in shown.out
    assert "not indexed: empty.md: " in shown.err


def test_a_domain_that_is_not_indexed_says_how(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["search", "example", "word"]) == 2
    assert "run `tandem index example`" in capsys.readouterr().err


def test_a_domain_without_documents_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "tandem.yaml").write_text("base_model: a/b\ndomains: {example: {}}\n")
    assert cli.run(["index", "example"]) == 2
    assert "has no `documents`" in capsys.readouterr().err


def test_a_bug_names_itself_and_a_log_with_the_traceback(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr(index_command, "open_project", broken)
    assert cli.run(["index", "example"]) == 1
    shown = capsys.readouterr().err
    assert "this is a bug in Tandem, not a mistake of yours: RuntimeError: the sky fell." in shown
    assert "Traceback" not in shown
    log = Path(shown.strip().rstrip(".").rpartition(" ")[2])
    assert 'raise RuntimeError("the sky fell")' in log.read_text()
    log.unlink()


def test_an_interrupt_is_no_traceback(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(index_command, "open_project", interrupted)
    assert cli.run(["index", "example"]) == 130
    assert capsys.readouterr().err == ""


def test_telemetry_is_off_unless_the_operator_says_otherwise() -> None:
    environment = {"HF_HUB_DISABLE_TELEMETRY": "0"}
    turn_off_telemetry(environment)
    assert environment == TELEMETRY_OFF | {"HF_HUB_DISABLE_TELEMETRY": "0"}


def test_the_command_line_turns_telemetry_off_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_NO_USAGE_STATS", raising=False)
    seen = []
    monkeypatch.setattr(cli, "run", lambda _arguments: seen.append(os.environ.get("VLLM_NO_USAGE_STATS")) or 0)
    monkeypatch.setattr(sys, "argv", ["tandem"])
    with pytest.raises(SystemExit):
        cli.main()
    assert seen == ["1"]
