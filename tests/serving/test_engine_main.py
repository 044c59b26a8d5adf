"""What the engine's process changes in vLLM is there to be changed."""

import subprocess
import sys


def test_vllms_processes_nap_while_they_wait_for_each_other() -> None:
    code = """
from serving.engine_main import nap_instead_of_spinning
nap_instead_of_spinning()
from vllm.distributed.device_communicators import shm_broadcast
import inspect
assert "sched_yield()" in inspect.getsource(shm_broadcast.SpinCondition.wait)
print(shm_broadcast.sched_yield.__module__)
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.split()[-1] == "serving.engine_main"
