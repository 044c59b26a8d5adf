"""How the engine is started, from the configuration and the machine."""

from pathlib import Path
from typing import Any

import pytest

from serving.launch import Machine, engine_launch, this_machine
from tandem.config import Config

PLAIN = Machine(cores=2, cpu_flags=frozenset({"avx2"}), gpu=False)
MODERN = Machine(cores=16, cpu_flags=frozenset({"avx512_bf16"}), gpu=False)
GPU = Machine(cores=16, cpu_flags=frozenset({"avx512_bf16"}), gpu=True)


INHERITED = {"PATH": "/bin", "TANDEM_API_KEY": "secret"}


def launch(
    machine: Machine, base_model: str = "some/model", inherited: dict[str, str] = INHERITED, **engine: Any
) -> tuple[list[str], dict[str, str]]:
    config = Config.model_validate({"base_model": base_model, "domains": {"d": {}}, "engine": engine})
    started = engine_launch(config, 8123, machine, inherited)
    return list(started.command), dict(started.environment)


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


@pytest.mark.parametrize(("machine", "dtype"), [(PLAIN, "float32"), (MODERN, "bfloat16"), (GPU, "auto")])
def test_arithmetic_is_what_the_processor_can_do(machine: Machine, dtype: str) -> None:
    assert option(launch(machine)[0], "--dtype") == dtype
    assert option(launch(machine, dtype="float16")[0], "--dtype") == "float16"


def test_the_engine_listens_on_loopback_and_bounds_its_queue() -> None:
    command, _ = launch(PLAIN, max_num_seqs=4, max_queued=8)
    assert (option(command, "--host"), option(command, "--port")) == ("127.0.0.1", "8123")
    assert option(command, "--max-num-queued-reqs") == "12"
    assert "--enable-prefix-caching" in command


def test_a_core_is_left_to_the_gateway() -> None:
    assert launch(PLAIN)[1]["OMP_NUM_THREADS"] == "1"
    assert launch(MODERN)[1]["OMP_NUM_THREADS"] == "14"


def test_keys_do_not_reach_the_engine() -> None:
    _, environment = launch(PLAIN)
    assert "TANDEM_API_KEY" not in environment
    assert environment["VLLM_NO_USAGE_STATS"] == "1"


def test_a_folder_means_no_hub(tmp_path: Path) -> None:
    assert launch(PLAIN, str(tmp_path))[1]["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in launch(PLAIN)[1]


def test_a_gpu_is_not_treated_as_a_cpu() -> None:
    command, environment = launch(GPU)
    assert not {"--enforce-eager", "--kv-cache-memory-bytes"} & set(command)
    assert environment["TANDEM_ENGINE_START_METHOD"] == "spawn"
    assert "OMP_NUM_THREADS" not in environment


def test_spawn_is_had_by_setting() -> None:
    assert launch(PLAIN)[1]["TANDEM_ENGINE_START_METHOD"] == "fork"
    assert launch(PLAIN, start_method="spawn")[1]["TANDEM_ENGINE_START_METHOD"] == "spawn"


def test_extra_arguments_come_last() -> None:
    assert launch(PLAIN, extra_args=["--seed", "3"])[0][-2:] == ["--seed", "3"]


def test_adapters_may_be_loaded_while_the_engine_runs() -> None:
    command, environment = launch(PLAIN, max_adapters=3, max_adapters_in_memory=5, max_adapter_rank=32)
    assert "--enable-lora" in command
    numbers = [option(command, name) for name in ("--max-loras", "--max-cpu-loras", "--max-lora-rank")]
    assert numbers == ["3", "5", "32"]
    assert environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"
    assert option(launch(PLAIN)[0], "--max-lora-rank") == "16"


def test_without_adapters_the_engine_takes_none() -> None:
    command, environment = launch(PLAIN, max_adapters=0)
    assert "--enable-lora" not in command
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" not in environment


def test_a_list_of_allowed_plugins_gets_ours_too() -> None:
    assert "VLLM_PLUGINS" not in launch(PLAIN)[1]
    assert launch(PLAIN, inherited={"VLLM_PLUGINS": ""})[1]["VLLM_PLUGINS"] == "tandem_cpu_lora"
    assert launch(PLAIN, inherited={"VLLM_PLUGINS": "other"})[1]["VLLM_PLUGINS"] == "other,tandem_cpu_lora"


def test_a_folder_is_named_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    assert option(launch(PLAIN, "model")[0], "--model") == str(tmp_path / "model")
    assert option(launch(PLAIN, "some/model")[0], "--model") == "some/model"


def test_less_memory_than_adapters_at_once_is_a_contradiction() -> None:
    with pytest.raises(ValueError, match=r"max_adapters_in_memory \(2\) cannot be smaller than max_adapters \(4\)"):
        launch(PLAIN, max_adapters_in_memory=2)


def test_this_machine_has_cores() -> None:
    assert this_machine().cores >= 1
