"""What `make setup` builds on: locks without hosts, one version of torch, pip's settings passed on to uv."""

import importlib
import json
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = sorted((ROOT / "requirements").glob("lock-*.txt"))
EXCLUDED = (ROOT / "requirements" / "cpu-excludes.txt").read_text().split()


@pytest.fixture
def pip_settings(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of scripts/."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("pip_settings")


@pytest.fixture
def setup(pip_settings: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/setup.py, whose environment would be in a temporary folder."""
    module = importlib.reload(importlib.import_module("setup"))
    for name, path in {"VENV": ".venv", "STAMP": ".venv/stamp", "STARTED": ".venv/started", "LOG": "log"}.items():
        monkeypatch.setattr(module, name, tmp_path / path)
    return module


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_versions_only(lock: Path) -> None:
    line = re.compile(r"[a-z0-9-]+==[\w.!+]+( ; [\w .<>=!'()]+)?")
    assert [text for text in lock.read_text().splitlines() if not line.fullmatch(text)] == []


def test_the_cpu_lock_leaves_out_what_breaks_torch() -> None:
    names = {line.partition("==")[0] for line in (ROOT / "requirements" / "lock-cpu.txt").read_text().splitlines()}
    assert not names & {"torch", "vllm", *EXCLUDED}
    assert not [name for name in names if name.startswith("nvidia-")]


def test_every_pinned_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["cpu"] + project["optional-dependencies"]["dev"]
    names = {re.split(r"[^\w.-]", text)[0].lower().replace("_", "-") for text in wanted} - {"torch"}
    locked = {line.partition("==")[0] for line in (ROOT / "requirements" / "lock-cpu.txt").read_text().splitlines()}
    assert names <= locked


def test_torch_has_one_version_everywhere(setup: ModuleType) -> None:
    assert (ROOT / "requirements" / "torch-override.txt").read_text().strip() == setup.TORCH
    assert f'"{setup.TORCH}"' in (ROOT / "pyproject.toml").read_text()


def test_pips_settings_become_uvs(pip_settings: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index").mkdir()
    settings = {
        "index-url": "https://index.example/simple",
        "extra-index-url": f"file://{tmp_path}/index file://{tmp_path}/nowhere",
        "find-links": f"{tmp_path} {tmp_path}/nowhere https://wheels.example/torch/",
        "trusted-host": "index.example",
        "cert": "/etc/certificates.pem",
    }
    monkeypatch.setattr(pip_settings, "read", lambda _python: settings)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    options, environment = pip_settings.for_uv("python", print)
    assert options == [
        *("--default-index", "https://index.example/simple"),
        *("--extra-index-url", f"file://{tmp_path}/index", "--index-strategy", "unsafe-best-match"),
        *("--find-links", str(tmp_path), "--find-links", "https://wheels.example/torch/"),
        *("--allow-insecure-host", "index.example"),
    ]
    assert environment["SSL_CERT_FILE"] == "/etc/certificates.pem"


def test_an_extra_index_that_is_away_is_left_out_and_said(pip_settings: ModuleType) -> None:
    said: list[str] = []
    assert not pip_settings.answers("http://user:secret@127.0.0.1:9/simple", said.append)
    assert said[0].startswith("leaving out the extra index 127.0.0.1:9/simple: ")


def test_the_environment_wins_over_pips_files(
    pip_settings: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.conf").write_text(
        "[global]\nfind-links = /global\nextra-index-url =\n  one\n  two\n[install]\nfind-links = /install\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_TRUSTED_HOST", "here")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    python = str(ROOT / ".venv" / "bin" / "python")
    settings = pip_settings.read(python)
    assert (settings["find-links"], settings["extra-index-url"].split()) == ("/install", ["one", "two"])
    assert settings["trusted-host"] == "here"
    monkeypatch.setenv("PIP_FIND_LINKS", "/environment")
    assert pip_settings.read(python)["find-links"] == "/environment"


@pytest.mark.parametrize(
    ("available", "gpu", "expected"),
    [
        ({"torch==2.13.0+cpu": ""}, False, ("cpu", [])),
        ({"torch==2.13.0+cpu": "https://mirror/torch/"}, False, ("cpu", ["--find-links", "https://mirror/torch/"])),
        ({"torch==2.13.0": ""}, False, ("cpu", ["--overrides", "requirements/torch-override.txt"])),
        ({}, True, ("gpu", None)),
    ],
)
def test_torch_comes_from_the_first_place_that_has_it(
    available: dict[str, str],
    gpu: bool,
    expected: tuple[str, list[str] | None],
    setup: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def has_package(requirement: str, options: list[str], _environment: dict[str, str]) -> bool:
        return requirement in available and (not available[requirement] or available[requirement] in options)

    monkeypatch.setattr(setup, "has_package", has_package)
    monkeypatch.setattr(setup, "has_gpu", lambda: gpu)
    monkeypatch.setenv("TANDEM_TORCH_INDEX", "https://mirror/")
    extra, choice = setup.choose_engine([], {})
    excludes = [] if gpu else ["--excludes", "requirements/cpu-excludes.txt"]
    assert (extra, choice) == (expected[0], excludes + (expected[1] or []))


@pytest.mark.parametrize(("engine", "found"), [("cpu", True), ("gpu", False)])
def test_a_named_engine_wins_over_what_the_machine_has(
    engine: str, found: bool, setup: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "has_package", lambda *_: True)
    monkeypatch.setattr(setup, "has_gpu", lambda: found)
    assert setup.choose_engine([], {}, engine)[0] == engine


def test_no_torch_anywhere_is_one_sentence(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "has_package", lambda *_: False)
    monkeypatch.setattr(setup, "has_gpu", lambda: False)
    with pytest.raises(setup.SetupError, match="can be had neither from pip's configuration, nor from .* nor from the"):
        setup.choose_engine([], {})


def test_an_unreachable_index_is_one_sentence(setup: ModuleType) -> None:
    with pytest.raises(setup.SetupError, match=r"^no luck: a package index cannot be reached \(details in log\)\.$"):
        setup.run(["sh", "-c", "echo 'error: error sending request for url (x)' >&2; exit 2"], "no luck")


def test_a_killed_installer_is_said(setup: ModuleType) -> None:
    with pytest.raises(setup.SetupError, match=r"^no luck: sh was killed by signal 9 \(details in log\)\.$"):
        setup.run(["sh", "-c", "echo Installed; kill -9 $$"], "no luck")


def test_an_environment_cut_short_or_of_another_python_is_removed(setup: ModuleType) -> None:
    python = setup.find_python()
    for name in ("started", "other"):
        setup.VENV.mkdir()
        (setup.VENV / name).touch()
        setup.remove_if_unusable(python)
        assert not setup.VENV.exists()


def test_the_stamp_fits_only_what_it_was_made_for(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    python = setup.find_python()
    (setup.VENV / "bin").mkdir(parents=True)
    (setup.VENV / "bin" / "python").symlink_to(python)
    setup.STAMP.write_text(json.dumps(setup.stamp_of(python)))
    assert setup.is_current(python)
    setup.STAMP.write_text(json.dumps(setup.stamp_of(python) | {"extra": "cpu", "runtime": True}))
    assert setup.is_current(python, "cpu", runtime=True)
    assert not setup.is_current(python, "gpu", runtime=True)
    assert not setup.is_current(python, "cpu")
    setup.STAMP.write_text(json.dumps(setup.stamp_of(python)))
    monkeypatch.setattr(setup, "INPUTS", ("Makefile",))
    assert not setup.is_current(python)
    setup.STAMP.write_text("{")
    assert not setup.is_current(python)
