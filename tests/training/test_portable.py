"""Adapters that leave and come: the page to read, export, merging, and import, with PEFT on `models/tiny`."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tandem.adapters import CARD, REFERENCES, SETTINGS, WEIGHTS, Adapter, content_version, list_adapters, verify
from tandem.cli import run as run_command
from tandem.errors import Conflict, UserError
from tandem.settings import Config
from tandem.workspace import Workspace
from tests.training.helpers import TINY, kettle_config
from training.base import find_base
from training.exporting import export
from training.importing import import_adapter
from training.model_card import README, model_card
from training.prepare import prepare
from training.publishing import load_adapter
from training.references import log_probabilities
from training.train import train

Change = dict[str, Any]


def silent(*_what: object) -> None:
    """No progress bar, and nothing said."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    steps = {"epochs": 1, "batch_size": 4, "rank": 8, "learning_rate": 0.01}
    return kettle_config(tmp_path_factory.mktemp("project"), **steps)


@pytest.fixture(scope="module")
def workspace(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace.open(tmp_path_factory.mktemp("home"))
    prepare(config, workspace, "shop")
    return workspace


@pytest.fixture(scope="module")
def trained(config: Config, workspace: Workspace) -> Adapter:
    return train(config, workspace, "shop", "closed-book", None, silent, silent)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a third party saved with PEFT alone: a random LoRA over the tiny model."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(7)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(find_base(str(TINY)).load_model(), lora)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    folder = tmp_path_factory.mktemp("foreign") / "adapter"
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def copy(foreign: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(foreign, tmp_path / "copy"))


@pytest.fixture(scope="module")
def imported(config: Config, workspace: Workspace, foreign: Path) -> Adapter:
    return import_adapter(config, workspace, "shop", foreign, "closed-book", silent)


def test_a_published_adapter_has_a_page_that_its_version_does_not_cover(trained: Adapter) -> None:
    page = (trained.folder / README).read_text(encoding="utf-8")
    assert page == model_card(trained.card, trained.version)
    for shown in (trained.card.base_digest, trained.card.dataset_digest, "| learning rate | 0.01 |", "tandem serve"):
        assert shown in page
    (trained.folder / README).unlink()
    verify(trained)
    (trained.folder / README).write_text(page, encoding="utf-8")


def test_a_page_keeps_the_texts_of_others_from_becoming_markup(trained: Adapter) -> None:
    card = replace(trained.card, warnings=("a\n# b <script>",), labels=("[x](y)",), hyperparameters={"a": "1|2"})
    page = model_card(card, trained.version)
    assert "- a # b &lt;script>" in page
    assert "- \\[x](y)" in page
    assert "| a | 1\\|2 |" in page


def test_an_exported_adapter_has_the_same_weights_and_none_of_the_domains_texts(
    trained: Adapter, tmp_path: Path
) -> None:
    folder = export(trained, tmp_path / "deep" / "out", False, str(TINY))
    assert {path.name for path in folder.iterdir()} == {WEIGHTS, SETTINGS, CARD, README}
    assert (folder / WEIGHTS).read_bytes() == (trained.folder / WEIGHTS).read_bytes()
    assert json.loads((folder / SETTINGS).read_bytes())["base_model_name_or_path"] == trained.card.base_model
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


def test_a_merged_model_answers_as_base_and_adapter_do(trained: Adapter, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = export(trained, tmp_path / "out", True, str(TINY))
    tokenizer, original = AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(TINY)
    assert tokenizer.chat_template == original.chat_template
    weights, base = load_file(folder / "model.safetensors"), load_file(TINY / "model.safetensors")
    assert {name: value.dtype for name, value in weights.items()} == {n: value.dtype for n, value in base.items()}
    merged = AutoModelForCausalLM.from_pretrained(folder, dtype="float32", use_safetensors=True).eval()
    plain = find_base(str(TINY)).load_model().eval()
    near, far = [], []
    for reference in json.loads((trained.folder / REFERENCES).read_bytes())["prompts"]:
        ids = reference["prompt_ids"], reference["completion_ids"]
        expected = torch.tensor(reference["logprobs"])
        near += (torch.tensor(log_probabilities(merged, *ids)) - expected).abs().tolist()
        far += (torch.tensor(log_probabilities(plain, *ids)) - expected).abs().tolist()
    assert sum(near) / len(near) < 0.05 < sum(far) / len(far)
    assert {path.stat().st_mode & 0o444 for path in folder.iterdir()} == {0o444}


def test_what_a_kill_leaves_of_an_export_or_an_import_is_removed_by_the_next(
    trained: Adapter, config: Config, workspace: Workspace, foreign: Path, tmp_path: Path
) -> None:
    (tmp_path / ".out.export").mkdir()
    (tmp_path / ".out.export" / "half").write_text("half")
    (workspace.adapters_folder / ".import").mkdir()
    (workspace.adapters_folder / ".import" / "half").write_text("half")
    export(trained, tmp_path / "out", False, str(TINY))
    import_adapter(config, workspace, "shop", foreign, "closed-book", silent)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not (workspace.adapters_folder / ".import").exists()


def test_a_folder_that_holds_something_is_left_as_it_is(trained: Adapter, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is no empty folder: name a new one with --out") as error:
        export(trained, tmp_path, True, str(TINY))
    assert error.value.code == "folder_not_empty"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_merging_into_another_base_model_is_refused(trained: Adapter, tmp_path: Path) -> None:
    other = shutil.copytree(TINY, tmp_path / "other")
    (other / "config.json").write_text((TINY / "config.json").read_text() + "\n")
    with pytest.raises(Conflict, match="set `base_model` to the one it was trained on"):
        export(trained, tmp_path / "out", True, str(other))
    assert not (tmp_path / "out").exists()


def test_an_imported_adapter_is_a_version_with_its_own_references(imported: Adapter, foreign: Path) -> None:
    verify(imported)
    assert content_version(imported.folder) == imported.version
    assert (imported.folder / WEIGHTS).read_bytes() == (foreign / WEIGHTS).read_bytes()
    model = load_adapter(find_base(str(TINY)), imported.folder)
    reference = json.loads((imported.folder / REFERENCES).read_bytes())["prompts"][0]
    again = log_probabilities(model, reference["prompt_ids"], reference["completion_ids"])
    assert again == pytest.approx(reference["logprobs"], abs=1e-4)
    assert reference["messages"][0]["content"] == "You sell kettles."


def test_an_imported_adapter_says_so_and_what_is_unknown(imported: Adapter) -> None:
    page = (imported.folder / README).read_text(encoding="utf-8")
    assert set(imported.card.imported) == {SETTINGS, WEIGHTS}
    assert "| Dataset | unknown |" in page
    assert "## Unknown\n\n- What it was trained on" in page


def test_the_same_adapter_imported_twice_is_one_version(
    config: Config, workspace: Workspace, foreign: Path, imported: Adapter
) -> None:
    before = list_adapters(workspace, "shop")
    assert import_adapter(config, workspace, "shop", foreign, "closed-book", silent).version == imported.version
    assert list_adapters(workspace, "shop") == before


def test_an_exported_adapter_can_be_imported(
    config: Config, workspace: Workspace, trained: Adapter, tmp_path: Path
) -> None:
    folder = export(trained, tmp_path / "out", False, str(TINY))
    again = import_adapter(config, workspace, "shop", folder, "closed-book", silent)
    assert (again.folder / WEIGHTS).read_bytes() == (trained.folder / WEIGHTS).read_bytes()
    assert again.version != trained.version


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"use_dora": True}, "vLLM cannot serve DoRA"),
        ({"r": 700}, "vLLM cannot serve rank 700"),
        ({"r": "8"}, "its rank is no positive number"),
        ({"r": 512}, "its rank is 512, and the engine takes at most 8: set `engine.max_adapter_rank`"),
        ({"bias": "all"}, "vLLM cannot serve trained biases"),
        ({"init_lora_weights": "pissa"}, "which changes the base model"),
        ({"modules_to_save": ["lm_head"]}, "vLLM cannot serve whole modules"),
        ({"peft_type": "IA3"}, "it is 'IA3' and no LoRA"),
        ({"task_type": "SEQ_CLS"}, "its task_type is 'SEQ_CLS'"),
        ({"auto_mapping": {"base_model_class": "Evil"}}, "its auto_mapping names code to load"),
        ({"new_method": True}, "this PEFT does not know its setting new_method"),
    ],
)
def test_settings_that_cannot_be_served_are_refused(
    config: Config, workspace: Workspace, copy: Path, change: Change, sentence: str
) -> None:
    values = json.loads((copy / SETTINGS).read_bytes())
    (copy / SETTINGS).write_text(json.dumps(values | change))
    assert_refused(config, workspace, copy, sentence)


def test_weights_that_do_not_fit_are_refused(config: Config, workspace: Workspace, copy: Path) -> None:
    weights = load_file(copy / WEIGHTS)
    name = next(name for name in weights if "lora_A" in name)
    save_file(weights | {name: weights[name][:, :-1].contiguous()}, copy / WEIGHTS)
    assert_refused(config, workspace, copy, "for a weight of")
    save_file(weights | {name: torch.full_like(weights[name], float("nan"))}, copy / WEIGHTS)
    assert_refused(config, workspace, copy, "holds values that are no finite numbers")
    (copy / WEIGHTS).write_bytes(b"no tensors")
    assert_refused(config, workspace, copy, "its weights cannot be read")


def test_pickles_and_links_are_refused(config: Config, workspace: Workspace, copy: Path, foreign: Path) -> None:
    (copy / WEIGHTS).rename(copy / "adapter_model.bin")
    assert_refused(config, workspace, copy, "only pickled ones, which may run code")
    (copy / WEIGHTS).symlink_to(foreign / WEIGHTS)
    assert_refused(config, workspace, copy, "is a link: copy the files themselves there")
    assert_refused(config, workspace, copy / "nowhere", "it is no folder")


def test_settings_that_are_no_json_object_are_refused(config: Config, workspace: Workspace, copy: Path) -> None:
    for text in ("[", "[]", "[" * 100_000):
        (copy / SETTINGS).write_text(text)
        assert_refused(config, workspace, copy, "is no JSON object")


def assert_refused(config: Config, workspace: Workspace, folder: Path, sentence: str) -> None:
    """An import is refused with this in its sentence, and leaves nothing behind."""
    before = sorted(workspace.adapters_folder.glob("[!.]*"))
    with pytest.raises(UserError) as error:
        import_adapter(config, workspace, "shop", folder, "closed-book", silent)
    assert sentence in error.value.message
    assert sorted(workspace.adapters_folder.glob("[!.]*")) == before
    assert not (workspace.adapters_folder / ".import").exists()


def test_training_does_not_go_on_from_an_imported_adapter(
    config: Config, workspace: Workspace, imported: Adapter
) -> None:
    with pytest.raises(UserError, match="it was imported, and nobody can tell what it would forget"):
        train(config, workspace, "shop", "closed-book", None, silent, silent, parent_version=imported.version)


def test_the_commands_show_one_sentence(
    trained: Adapter, workspace: Workspace, config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tandem.yaml"
    examples = config.domains["shop"].examples
    file.write_text(f"base_model: {TINY}\ndomains: {{shop: {{examples: {examples}}}}}\n")
    options = ["--config", str(file), "--home", str(workspace.home)]
    out = str(tmp_path / "out")
    export_ = ["adapters", "export", "shop", trained.version, "--out", out, *options]
    assert run_command(export_) == 0
    assert run_command(export_) != 0
    assert run_command(["adapters", "import", "shop", str(tmp_path), "--kind", "closed-book", *options]) != 0
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    assert f"it has no {SETTINGS}" in " ".join(shown.err.split())
