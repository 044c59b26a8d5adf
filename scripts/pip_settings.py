"""uv does not read pip's configuration; this turns the one into options for the other."""

from __future__ import annotations

import ast
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

PROBE_SECONDS = 8


def for_uv(python: str, say: Callable[[str], None]) -> tuple[list[str], dict[str, str]]:
    """uv's command-line options and environment variables for what pip is configured to use."""
    settings = read(python)
    options: list[str] = []
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        options.append("--no-index")
    if settings.get("index-url"):
        options += ["--default-index", settings["index-url"]]
    extra = [url for url in settings.get("extra-index-url", "").split() if answers(url, say)]
    for url in extra:
        options += ["--extra-index-url", url]
    if extra:
        # pip takes the best version from all indexes; uv by default only looks into the first that has the package.
        options += ["--index-strategy", "unsafe-best-match"]
    for place in settings.get("find-links", "").split():
        if "://" in place or Path(place).exists():
            options += ["--find-links", place]
    for host in settings.get("trusted-host", "").split():
        options += ["--allow-insecure-host", host]
    return options, environment(settings)


def environment(settings: dict[str, str]) -> dict[str, str]:
    """Variables for uv; what the user has set already stays."""
    variables = {
        "UV_NO_SOURCES": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_COMPILE_BYTECODE_TIMEOUT": "600",
        "UV_HTTP_TIMEOUT": "120",
    }
    if settings.get("cert"):
        variables["SSL_CERT_FILE"] = settings["cert"]
    if settings.get("proxy"):
        variables["HTTPS_PROXY"] = variables["HTTP_PROXY"] = settings["proxy"]
    return {name: os.environ.get(name, value) for name, value in variables.items()}


def read(python: str) -> dict[str, str]:
    """pip's settings by name; the environment wins over the install section, that over global."""
    command = [python, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    found: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        name, separator, value = line.partition("=")
        section, dot, key = name.rpartition(".")
        rank = {"global": 0, "install": 1, ":env:": 2}.get(section)
        if not separator or not dot or rank is None:
            continue
        if key not in found or rank >= found[key][0]:
            found[key] = (rank, str(ast.literal_eval(value)))
    return {key: value for key, (_, value) in found.items()}


def answers(url: str, say: Callable[[str], None]) -> bool:
    """Whether an extra index can be used; pip goes on without one that is away, and so does this."""
    if url.startswith("file://"):
        return Path(url[len("file://") :]).is_dir()
    try:
        with urllib.request.urlopen(url, timeout=PROBE_SECONDS):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError) as error:
        say(f"leaving out the extra index {url.rsplit('@', 1)[-1]}: {error}")
        return False
