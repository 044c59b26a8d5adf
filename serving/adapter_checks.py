"""What has to hold of an adapter before an engine gets it: vLLM takes one of another shape without a word.

Everything that is wrong is found and told at once.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serving.engine import Json
from tandem.adapters import SETTINGS, WEIGHTS, Adapter, base_digest, verify
from tandem.config import Config
from tandem.errors import Conflict
from tandem.lora_shapes import Shapes, read_shapes, wrong_shapes
from tandem.prompt import PROMPT_HASH
from tandem.served_lora import highest_rank, obstacles


class BaseModel:
    """The base model's folder, which adapters have to fit; read when first asked. Blocks: call it from a thread."""

    def __init__(self, base_model: str) -> None:
        self._base_model = base_model
        self._digest: str | None = None
        self._shapes: Shapes | None = None

    @property
    def folder(self) -> Path | None:
        """Where its weights lie; None where they are only where the engine runs."""
        folder = Path(self._base_model)
        return folder if folder.is_dir() else _hub_folder(self._base_model)

    def digest(self) -> str | None:
        """`tandem.adapters.base_digest` of the folder."""
        if self._digest is None and self.folder is not None:
            self._digest = base_digest(self.folder)
        return self._digest

    def shapes(self) -> Shapes | None:
        """Name of each weight → its shape."""
        if self._shapes is None and self.folder is not None:
            files = sorted(self.folder.glob("*.safetensors"))
            self._shapes = {name: shape for file in files for name, shape in read_shapes(file).items()}
        return self._shapes


def check_adapter(adapter: Adapter, config: Config, base: BaseModel) -> None:
    """Raise Conflict when files, base model, prompt, options or shapes do not fit. Blocks: call it from a thread."""
    verify(adapter)
    problems = [
        *wrong_origin(adapter, base),
        *wrong_task(adapter, config),
        *wrong_weights(adapter, config.max_adapter_rank, base.shapes()),
    ]
    if problems:
        raise Conflict(
            f"The adapter {adapter.name} cannot be served: {'; '.join(problems)}.",
            code="adapter_unfit",
            problems=problems,
        )


def wrong_task(adapter: Adapter, config: Config) -> Iterator[str]:
    """What does not fit between the card and the domain as it is configured now."""
    for name, duty in adapter.card.duties.items():
        domain = config.domains.get(name)
        if domain is not None and domain.task != duty.task:
            whose = f"{name}'s" if adapter.card.tasks else "the domain's"
            yield f"it was trained for the task {duty.task}, and {whose} is {domain.task}: train it anew"


def wrong_origin(adapter: Adapter, base: BaseModel) -> Iterator[str]:
    """What does not fit in the card."""
    if adapter.name != f"{adapter.card.domain}-{adapter.version}":
        yield f"it was trained for the domain {adapter.card.domain!r}"
    digest = base.digest()
    if digest is not None and adapter.card.base_digest != digest:
        yield (
            f"it was trained on a base model ({adapter.card.base_model}) with the digest "
            f"{adapter.card.base_digest[:12]}, and this server's has {digest[:12]}: train it on this one"
        )
    if adapter.card.prompt_hash != PROMPT_HASH:
        yield (
            f"it was trained with another prompt ({adapter.card.prompt_hash}) than this server shows ({PROMPT_HASH}): "
            "train it again"
        )


def wrong_weights(adapter: Adapter, max_rank: int, base: Shapes | None) -> Iterator[str]:
    """What does not fit in PEFT's two files."""
    try:
        settings = json.loads((adapter.folder / SETTINGS).read_bytes())
        shapes = read_shapes(adapter.folder / WEIGHTS)
        yield from wrong_settings(settings, max_rank)
        yield from wrong_shapes(settings, shapes, base)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        yield f"its files cannot be read ({error})"


def wrong_settings(settings: Json, max_rank: int) -> Iterator[str]:
    """Options of `adapter_config.json` that the engine cannot serve."""
    if settings.get("peft_type") != "LORA":
        yield f"it is {settings.get('peft_type')!r} and no LoRA"
    yield from obstacles(settings)
    rank = highest_rank(settings)
    if rank > max_rank:
        yield f"its rank is {rank}, and the engine takes at most {max_rank} (engine.max_adapter_rank)"


def _hub_folder(hub_id: str) -> Path | None:
    """The snapshot of a hub id on this machine, without asking the hub."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        found: Any = snapshot_download(hub_id, local_files_only=True)
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    return Path(found)
