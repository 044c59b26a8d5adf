"""A third party's LoRA adapter, checked as one trained here is, and published as a version."""

import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tandem.adapters import SETTINGS, WEIGHTS, Adapter, AdapterCard, Kind, file_digest, list_adapters
from tandem.errors import UserError
from tandem.files import locked, write_atomic
from tandem.lora_shapes import read_shapes, wrong_shapes
from tandem.names import base_name
from tandem.prompt import PROMPT_HASH
from tandem.settings import Config
from tandem.workspace import Workspace
from training.base import Base, find_base
from training.dataset import Dataset
from training.describing import shown_documents
from training.kinds import check_fits, check_kind
from training.material import find_dataset, require_index
from training.prepare import open_index
from training.publishing import adapter_settings, complete, package_versions
from training.references import PROMPTS, choose
from training.reporter import Say
from training.rows import Row, RowMaker, require_rows
from training.servable import check_servable
from training.tasks import task_rules
from training.tokens import ChatTokens

LARGEST_SETTINGS: Final = 1 << 20
"""Bytes of an `adapter_config.json` that are read."""
SPARE: Final = 2
"""Examples that are looked at for each reference prompt: some make no row."""
IMPORTABLE: Final[tuple[Kind, ...]] = ("closed-book", "reading")
"""The kinds as which an adapter of others can be taken: its own training is unknown, and these say how it is asked."""
UNKNOWN: Final = (
    "What it was trained on, under which licence, and whether personal data or test questions were among it.",
    "How it was trained, and what its losses were.",
    "Whether it was trained on exactly this base model: names and shapes of all its matrices fit, and no more is told.",
    "Whether it was trained with this prompt: its reference answers were made with it.",
)


def import_adapter(config: Config, workspace: Workspace, domain: str, folder: Path, kind: str, say: Say) -> Adapter:
    """Publish the PEFT LoRA adapter in `folder` as a version of a domain; the same one twice is one version.

    Its reference answers are made over prompts of the domain's newest dataset. Raises UserError for a folder, files,
    settings or weights that cannot be taken (`import_refused`), ConfigError for what vLLM cannot serve.
    """
    kind = check_kind(kind, IMPORTABLE)
    config = config.model_copy(update={"training": config.training.for_kind(kind)})
    check_fits(config, domain, kind)
    dataset = find_dataset(config, workspace, domain, None)
    if kind == "reading":
        require_index(workspace, domain)
    with staged(workspace.adapters_folder) as staging:
        # Checked is the copy, which nobody changes between the check and the use.
        copy_files(folder.expanduser().absolute(), staging)
        came = {name: file_digest(staging / name) for name in (SETTINGS, WEIGHTS)}
        settings = read_settings(staging / SETTINGS)
        base = find_base(config.base_model)
        problems = [*wrong_settings(settings, config.max_adapter_rank), *wrong_weights(settings, staging, base)]
        if problems:
            raise refused(folder, "; ".join(problems))
        for adapter in list_adapters(workspace, domain):
            if _is_same(adapter.card, came, kind, base, config.domain(domain).task):
                say(f"{adapter.name} is this adapter already")
                return adapter
        write_atomic(staging / SETTINGS, adapter_settings(staging / SETTINGS, base))
        say("asking the adapter for its reference answers")
        tokenizer = base.load_tokenizer()
        references = reference_rows(config, workspace, domain, kind, base, tokenizer, dataset)
        card = imported_card(config, domain, kind, base, dataset, settings, came, references)
        return complete(workspace, staging, card, base, tokenizer, references)


@contextmanager
def staged(adapters: Path) -> Iterator[Path]:
    """A new folder beside the adapters, for one import at a time; what is left in it, also by a kill, is removed."""
    folder = adapters / ".import"
    with locked(adapters / ".import.lock"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def copy_files(folder: Path, staging: Path) -> None:
    """Copy PEFT's two files, following no link; UserError where they are not there as plain files."""
    if folder.is_symlink() or not folder.is_dir():
        raise refused(folder, "it is no folder (links are not followed)")
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            raise refused(folder, f"{path.name} is a link: copy the files themselves there, as `cp -rL` does")
    for name in (SETTINGS, WEIGHTS):
        if not (folder / name).exists():
            pickled = name == WEIGHTS and any(folder.glob("adapter_model.[bp]*"))
            instead = ", only pickled ones, which may run code: save it anew as safetensors" if pickled else ""
            raise refused(folder, f"it has no {name}{instead}")
        _copy_plain(folder, name, staging)


def _copy_plain(folder: Path, name: str, staging: Path) -> None:
    try:
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as source, (staging / name).open("xb") as target:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise refused(folder, f"{name} is no plain file")
            shutil.copyfileobj(source, target)
    except OSError as error:
        raise refused(folder, f"{name} cannot be copied ({error.strerror or error})") from error


def read_settings(path: Path) -> dict[str, Any]:
    """PEFT's settings; UserError where they are no JSON object."""
    values: Any = None
    if path.stat().st_size <= LARGEST_SETTINGS:
        try:
            values = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            values = None
    if not isinstance(values, dict):
        raise UserError(f"The adapter's {SETTINGS} is no JSON object: save it anew with PEFT.", code="import_refused")
    return values


def wrong_settings(settings: dict[str, Any], max_rank: int) -> Iterator[str]:
    """What of PEFT's settings cannot be taken; ConfigError (`not_servable`) for what vLLM cannot serve."""
    from peft import LoraConfig

    if settings.get("peft_type") != "LORA":
        yield f"it is {settings.get('peft_type')!r} and no LoRA"
        return
    if settings.get("task_type") != "CAUSAL_LM":
        yield f"its task_type is {settings.get('task_type')!r}, and only CAUSAL_LM answers"
    if settings.get("auto_mapping"):
        yield "its auto_mapping names code to load: save it from a model without code of its own"
    known = {field.name for field in fields(LoraConfig)}
    strange = sorted(name for name, value in settings.items() if name not in known and value)
    if strange:
        yield f"this PEFT does not know its setting {strange[0]}"
    rank = settings.get("r")
    pattern = settings.get("rank_pattern") or {}
    found = [rank, *pattern.values()] if isinstance(pattern, dict) else []
    ranks = [one for one in found if isinstance(one, int) and not isinstance(one, bool) and one > 0]
    if not ranks or len(ranks) < len(found):
        yield "its rank is no positive number"
        return
    try:
        lora = LoraConfig(**{name: value for name, value in settings.items() if name in known})
    except (TypeError, ValueError, AttributeError, ImportError) as error:
        yield f"PEFT cannot read its settings ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
        return
    check_servable(lora)
    if max(ranks) > max_rank:
        yield f"its rank is {max(ranks)}, and the engine takes at most {max_rank}: set `engine.max_adapter_rank`"


def wrong_weights(settings: dict[str, Any], folder: Path, base: Base) -> Iterator[str]:
    """Matrices that do not fit the base model, or hold what is no number."""
    import torch
    from safetensors.torch import load_file

    if not isinstance(settings.get("r"), int):
        return
    try:
        shapes = read_shapes(folder / WEIGHTS)
        of_base = {
            name: shape for path in base.folder.glob("*.safetensors") for name, shape in read_shapes(path).items()
        }
    except ValueError as error:
        yield f"its weights cannot be read ({error})"
        return
    wrong = list(wrong_shapes(settings, shapes, of_base))
    yield from wrong
    if wrong:
        return
    for name, tensor in sorted(load_file(folder / WEIGHTS).items()):
        if not tensor.is_floating_point() or not torch.isfinite(tensor.float()).all():
            yield f"{name} holds values that are no finite numbers"
            return


def reference_rows(
    config: Config, workspace: Workspace, domain: str, kind: Kind, base: Base, tokenizer: Any, dataset: Dataset
) -> list[Row]:
    """Rows of the domain's own dataset to ask the adapter, as for one trained here."""
    maker = RowMaker(config, domain, ChatTokens(tokenizer, base.end_tokens(tokenizer)), base.context_tokens)
    examples = [*dataset.split.validation, *dataset.split.train][: PROMPTS * SPARE]
    if kind == "closed-book":
        made = maker.closed_book(examples)
    else:
        with open_index(config, workspace, domain) as index:
            assert index is not None, "require_index was asked"
            made = maker.reading(examples, index)
    return choose([], require_rows(made, "reference answers", domain), config.training.seed)


def imported_card(
    config: Config,
    domain: str,
    kind: Kind,
    base: Base,
    dataset: Dataset,
    settings: dict[str, Any],
    came: dict[str, str],
    references: list[Row],
) -> AdapterCard:
    """What is known of an adapter that others trained, and what is not."""
    rules = task_rules(config.domain(domain))
    split = dataset.split
    named = base_name(str(settings.get("base_model_name_or_path") or "")) or "no base model"
    other = f"Its settings name {named} as the base model, and it was imported over {base.name}."
    return AdapterCard(
        domain=domain,
        kind=kind,
        base_model=base.name,
        base_digest=base.digest,
        dataset_digest="",
        prompt_hash=PROMPT_HASH,
        documents=shown_documents(references),
        hyperparameters={name: settings[name] for name in ("r", "lora_alpha", "use_rslora") if name in settings},
        packages=package_versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        warnings=() if named == base.name else (other,),
        task=rules.task,
        labels=rules.labels_of([*split.train, *split.validation, *split.test]),
        json_schema=rules.json_schema,
        imported=came,
        unknown=UNKNOWN,
    )


def refused(folder: Path, reason: str) -> UserError:
    """The refusal of a folder, with its reason."""
    return UserError(f"The adapter in {folder} cannot be imported: {reason}.", code="import_refused")


def _is_same(card: AdapterCard, came: dict[str, str], kind: Kind, base: Base, task: str) -> bool:
    same = (card.kind, card.base_digest, card.prompt_hash, card.task) == (kind, base.digest, PROMPT_HASH, task)
    return same and dict(card.imported) == came
