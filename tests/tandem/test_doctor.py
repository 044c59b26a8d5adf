"""`tandem doctor`: each line's state, and the way out where something fails."""

import importlib.metadata
import json
import os
import socket
from pathlib import Path

import pytest

from tandem import cli
from tandem.doctor import machine, packages, project
from tandem.settings import Config


def config_of(folder: Path, **keys: object) -> Config:
    """A configuration whose base model is `folder`."""
    return Config.model_validate({"base_model": str(folder), "domains": {"a": {}}, **keys})


def test_too_old_a_python_fails_with_the_way_out() -> None:
    assert machine.check_python().state == "ok"
    check = machine.check_python((3, 10))
    assert (check.state, "make PYTHON=" in check.way_out) == ("fail", True)


@pytest.mark.parametrize(
    ("flags", "state", "word"),
    [
        ("fpu avx avx2", "ok", "float32"),
        ("avx2 avx512f avx512_bf16 amx_bf16", "ok", "; bfloat16"),
        ("fpu sse4_2", "fail", "without AVX2"),
    ],
)
def test_the_processor_is_judged_by_its_flags(flags: str, state: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: x\n")
    check = machine.check_processor(tmp_path / "cpuinfo", "x86_64")
    assert check.state == state
    assert word in check.message


@pytest.mark.parametrize(("gigabytes", "state"), [(2, "fail"), (5, "warn"), (16, "ok")])
def test_little_memory_warns_and_too_little_fails(gigabytes: int, state: str) -> None:
    assert machine.check_memory(int(gigabytes * 1e9)).state == state


def test_disk_is_measured_where_the_workspace_will_be(tmp_path: Path) -> None:
    assert str(tmp_path) in machine.check_disk(tmp_path / "not" / "yet").message


def test_what_is_installed_is_as_pinned() -> None:
    [check] = packages.check_pins()
    assert check.state == "ok"


def test_a_missing_and_a_wrong_package_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        importlib.metadata, "requires", lambda _name: ["no-such-package>=1", "pytest<1", "numpy; extra == 'gpu'"]
    )
    messages = [check.message for check in packages.check_pins()]
    assert messages == ["no-such-package is missing", f"pytest {pytest.__version__} is not <1"]


def test_a_cuda_package_beside_torch_for_the_cpu_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_version", lambda name: "1.0" if name == "triton" else None)
    assert packages.check_excluded(has_gpu=True).state == "ok"
    check = packages.check_excluded(has_gpu=False)
    assert check.state == "fail"
    assert check.way_out.endswith("-m pip uninstall -y triton")


def test_the_engine_imports() -> None:
    check = packages.check_engine()
    assert (check.state, check.message.split()[0].startswith("vllm")) == ("ok", True)


def test_the_base_models_architecture_and_size_are_shown(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["Qwen3ForCausalLM"]}')
    (tmp_path / "model.safetensors").write_bytes(bytes(2_000_000))
    check = project.check_base_model(config_of(tmp_path))
    assert (check.state, check.message) == ("ok", f"{tmp_path}: Qwen3ForCausalLM, 2 MB of weights")


def test_a_folder_without_weights_is_no_base_model(tmp_path: Path) -> None:
    assert project.check_base_model(config_of(tmp_path)).state == "fail"
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").touch()
    assert "Only safetensors" in project.check_base_model(config_of(tmp_path)).way_out


def test_a_hub_model_warns_when_it_is_not_here_and_fails_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    config = Config.model_validate({"base_model": "some/model", "domains": {"a": {}}})
    assert project.check_base_model(config).state == "warn"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert project.check_base_model(config).state == "fail"
    snapshot = tmp_path / "models--some--model" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (snapshot / "model.safetensors").write_bytes(b"1" * 1_000_000)
    assert project.check_base_model(config).state == "ok"


def test_a_model_at_another_engine_is_not_looked_for() -> None:
    config = Config.model_validate({"base_model": "x/y", "domains": {"a": {}}, "engine": {"url": "http://other:8000"}})
    assert project.check_base_model(config).state == "ok"


def test_the_default_embedder_is_installed_and_a_missing_folder_is_not(tmp_path: Path) -> None:
    assert project.check_embedder("default").state == "ok"
    assert project.check_embedder(str(tmp_path)).state == "fail"


def test_a_workspace_is_not_made_by_looking(tmp_path: Path) -> None:
    assert project.check_workspace(tmp_path / "home").state == "ok"
    assert os.listdir(tmp_path) == []


def test_a_newer_workspace_fails(tmp_path: Path) -> None:
    (tmp_path / "workspace.json").write_text('{"schema_version": 99}')
    assert project.check_workspace(tmp_path).state == "fail"


def test_a_taken_port_warns() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert project.check_port(port).state == "warn"
    assert project.check_port(port).state == "ok"


def test_the_report_exits_1_when_something_needed_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(packages, "check_engine", lambda: packages.Check("engine", "ok", "imports"))
    assert cli.run(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "fail config     There is no configuration" in shown
    assert "→ Mend it, or name another with --config." in shown
    assert cli.run(["doctor", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], [check["name"] for check in report["checks"] if check["state"] == "fail"]) == (
        False,
        ["config"],
    )
