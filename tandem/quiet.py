"""Turns the libraries' telemetry off, before any of them is imported."""

import os
from collections.abc import MutableMapping
from typing import Final

TELEMETRY_OFF: Final = {
    "DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "ANONYMIZED_TELEMETRY": "False",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "RAY_USAGE_STATS_ENABLED": "0",
    "SCARF_NO_ANALYTICS": "true",
}


def turn_off_telemetry(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set what is not set yet; child processes (the engine) inherit it.

    An operator who sets one of these on purpose keeps the value.
    """
    for name, value in TELEMETRY_OFF.items():
        environment.setdefault(name, value)
