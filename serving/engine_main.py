"""The engine's process: vLLM's own API server, started fast and tied to the life of its parent.

Run by `serving.supervisor` as `python -m serving.engine_main ARGUMENTS OF VLLM`. Two variables steer it:
`TANDEM_ENGINE_PARENT` (process id of the gateway) and `TANDEM_ENGINE_START_METHOD` (`fork` or `spawn`).
"""

import ctypes
import importlib
import multiprocessing
import os
import signal
import sys
import time
from typing import Any

PARENT_VARIABLE = "TANDEM_ENGINE_PARENT"
START_METHOD_VARIABLE = "TANDEM_ENGINE_START_METHOD"
PR_SET_PDEATHSIG = 1
NAP_SECONDS = 0.0001


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends, however it ends (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def exit_if_orphaned() -> None:
    """End when the parent died before `die_with_parent` took hold."""
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is not None and int(parent) != os.getppid():
        raise SystemExit("The gateway is gone; the engine does not start without it.")


def fork_instead_of_spawn() -> None:
    """Let vLLM's processes be forks of this one, which has everything imported: 20 s instead of 34 on two cores.

    vLLM's CPU platform sets `spawn` over whatever the environment says, so the function that reads it is replaced,
    before the modules that import it by name. The model class is looked at in this process instead of in one more
    interpreter for the same reason. Only for CPU: a forked CUDA context does not work.
    """
    system_utils: Any = importlib.import_module("vllm.utils.system_utils")
    registry: Any = importlib.import_module("vllm.model_executor.models.registry")
    context = multiprocessing.get_context("fork")
    system_utils.get_mp_context = lambda: context
    if hasattr(registry, "_run_in_subprocess"):
        registry._run_in_subprocess = lambda function: function()
    # Forked children share the parent's fate too; spawned ones run this module and do it below.
    os.register_at_fork(after_in_child=die_with_parent)


def nap_instead_of_spinning() -> None:
    """Let vLLM's processes sleep for moments while they wait for each other.

    On CPU its engine core and its worker are two processes, and the one that waits spins, which takes a core from the
    other, from the embedder and from the gateway: about a sixth of the answers on two cores.
    """
    broadcast: Any = importlib.import_module("vllm.distributed.device_communicators.shm_broadcast")
    if hasattr(broadcast, "sched_yield"):
        broadcast.sched_yield = lambda: time.sleep(NAP_SECONDS)


def put_our_operators_in_place() -> None:
    """Register the plugin ourselves, so that it holds where the package's entry points are not installed either."""
    importlib.import_module("serving.cpu_lora").register()


def main() -> None:
    """Start vLLM's API server with this process's arguments."""
    die_with_parent()
    exit_if_orphaned()
    if os.environ.get(START_METHOD_VARIABLE, "spawn") == "fork":
        fork_instead_of_spawn()
        nap_instead_of_spinning()
    put_our_operators_in_place()
    entry: Any = importlib.import_module("vllm.entrypoints.launchers.api_server.entry")
    entry.main()


if __name__ == "__main__":
    main()
elif __name__ == "__mp_main__":  # a child that multiprocessing spawned
    die_with_parent()
    put_our_operators_in_place()
