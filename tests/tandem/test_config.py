"""`tandem.yaml`: what is accepted, and the sentences for what is not."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tandem.config import Config, load_config
from tandem.errors import ConfigError, NotFound
from tandem.starter import CONFIGURATION

SMALLEST = "base_model: Qwen/Qwen3-0.6B\ndomains:\n  helpdesk:\n"


def problems(folder: Path, text: str) -> list[str]:
    """The lines of the error for a file with `text`, without the folder."""
    path = folder / "tandem.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return [line.replace(f"{folder}/", "") for line in caught.value.message.splitlines()]


def test_base_model_and_one_domain_are_enough(tmp_path: Path) -> None:
    (tmp_path / "tandem.yaml").write_text(SMALLEST)
    config = load_config(tmp_path / "tandem.yaml")
    assert config.base_model == "Qwen/Qwen3-0.6B"
    assert config.domain("helpdesk").documents is None
    assert (config.retrieval.k, config.engine.kv_cache_bytes, config.database) == (4, 300_000_000, "sqlite")


def test_paths_are_relative_to_the_file_and_become_absolute(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "docs").mkdir(parents=True)
    (tmp_path / "model").mkdir()
    (project / "questions.jsonl").touch()
    (project / "tandem.yaml").write_text(
        "base_model: ../model\ndomains:\n"
        "  a: {documents: docs, questions: questions.jsonl}\n"
        "  b: {documents: [docs, .]}\n"
    )
    config = load_config(project / "tandem.yaml")
    assert config.base_model == str(tmp_path / "model")
    assert config.domains["a"].documents == [project / "docs"]
    assert config.domains["a"].questions == project / "questions.jsonl"
    assert config.domains["b"].documents == [project / "docs", project]


def test_an_existing_folder_wins_over_a_hub_id(tmp_path: Path) -> None:
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    (tmp_path / "tandem.yaml").write_text("base_model: models/tiny\nembedder: hub/embedder\ndomains: {a: }\n")
    config = load_config(tmp_path / "tandem.yaml")
    assert config.base_model == str(tmp_path / "models" / "tiny")
    assert config.embedder == "hub/embedder"


def test_a_section_with_every_line_commented_out_has_its_defaults(tmp_path: Path) -> None:
    (tmp_path / "tandem.yaml").write_text(SMALLEST + "engine:\n  # dtype: auto\nserving:\n")
    assert load_config(tmp_path / "tandem.yaml").engine.dtype == "auto"


def test_loaded_settings_cannot_be_changed(tmp_path: Path) -> None:
    (tmp_path / "tandem.yaml").write_text(SMALLEST)
    config = load_config(tmp_path / "tandem.yaml")
    with pytest.raises(ValidationError, match="frozen"):
        config.base_model = "other"


def test_a_missing_file_points_to_init(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no configuration .*: make one with `tandem init DIR`") as caught:
        load_config(tmp_path / "tandem.yaml")
    assert caught.value.code == "config_not_found"


def test_a_folder_as_the_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


def test_bytes_that_are_no_text_are_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "tandem.yaml").write_bytes(b"base_model: \xff\xfe")
    with pytest.raises(ConfigError, match=r"is not UTF-8 text \(byte 12\)"):
        load_config(tmp_path / "tandem.yaml")


def test_broken_yaml_names_file_and_line(tmp_path: Path) -> None:
    [line] = problems(tmp_path, "base_model: a/b\ndomains: [\n  helpdesk: {\n")
    assert line.startswith("tandem.yaml:4: this is not valid YAML: ")
    [line] = problems(tmp_path, "base_model: a/b\n\tdomains: x\n")
    assert line.startswith("tandem.yaml:2: this is not valid YAML: ")


@pytest.mark.parametrize("text", ["", "just words\n", "- a\n- b\n", "42"])
def test_what_is_no_mapping_says_what_was_expected(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text) == ["tandem.yaml:1: expected keys such as `base_model:` and `domains:`"]


def test_an_unknown_key_names_file_line_and_nearest_key(tmp_path: Path) -> None:
    assert problems(tmp_path, SMALLEST + "embeder: default\n") == [
        "tandem.yaml:4: unknown key `embeder`; did you mean `embedder`?"
    ]
    assert problems(tmp_path, SMALLEST + "engine:\n  dtype: auto\n  max_queud: 3\n") == [
        "tandem.yaml:6: unknown key `max_queud` in `engine`; did you mean `max_queued`?"
    ]
    assert problems(tmp_path, SMALLEST + "    exampels: a.jsonl\n") == [
        "tandem.yaml:4: unknown key `exampels` in `domains.helpdesk`; did you mean `examples`?"
    ]


def test_a_key_that_resembles_none_gets_the_list(tmp_path: Path) -> None:
    [line] = problems(tmp_path, SMALLEST + "    zzz: 1\n")
    [names] = [line.partition("the keys are ")[2]]
    assert (
        names
        == "documents, document_rules, examples, questions, system_prompt, permissions, task, labels, json_schema,"
        " success, multi_task"
    )


def test_the_path_of_the_file_is_no_key_in_it(tmp_path: Path) -> None:
    [line] = problems(tmp_path, SMALLEST + "path: /etc\n")
    assert line.startswith("tandem.yaml:4: unknown key `path`; ")


def test_a_key_given_twice_names_both_lines(tmp_path: Path) -> None:
    assert problems(tmp_path, SMALLEST + "base_model: other/model\n") == [
        "tandem.yaml:4: `base_model` is already in line 1"
    ]


def test_a_wrong_type_names_key_expectation_and_value(tmp_path: Path) -> None:
    assert problems(tmp_path, SMALLEST + "retrieval:\n  k: many\n") == [
        "tandem.yaml:5: `retrieval.k` should be a valid integer, and is 'many'"
    ]
    assert problems(tmp_path, SMALLEST + "retrieval:\n  k: 0\n") == [
        "tandem.yaml:5: `retrieval.k` should be greater than 0, and is 0"
    ]
    assert problems(tmp_path, SMALLEST + "engine: [1]\n")[0].startswith(
        "tandem.yaml:4: `engine` should be a valid dict"
    )
    assert problems(tmp_path, SMALLEST + "engine: {url: localhost}\n") == [
        "tandem.yaml:4: `engine.url`: 'localhost' is not an address such as http://127.0.0.1:8000"
    ]


def test_missing_keys_are_named(tmp_path: Path) -> None:
    assert problems(tmp_path, "embedder: default\n") == [
        "tandem.yaml:1: `base_model` is missing",
        "tandem.yaml:1: `domains` is missing",
    ]
    [line] = problems(tmp_path, "base_model: a/b\ndomains: {}\n")
    assert line.startswith("tandem.yaml:2: `domains` ")


def test_missing_paths_are_named(tmp_path: Path) -> None:
    assert problems(tmp_path, "base_model: ./model\ndomains:\n  a:\n    documents:\n      - .\n      - nowhere\n") == [
        f"tandem.yaml:1: `base_model`: there is no folder {'model'}, and './model' is no hub id",
        "tandem.yaml:6: `domains.a.documents.1`: nowhere does not exist",
    ]


@pytest.mark.parametrize("name", ["Help Desk", "a/b", "-a", "a" * 64])
def test_a_domain_name_that_could_leave_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    [line] = problems(tmp_path, f'base_model: a/b\ndomains:\n  "{name}": {{}}\n')
    assert line.startswith(f"tandem.yaml:3: `domains.{name}`: {name!r} cannot be the name of a domain")


def test_contradictions_are_refused_by_their_names(tmp_path: Path) -> None:
    [line] = problems(tmp_path, SMALLEST + "retrieval: {passage_tokens: 10, overlap_tokens: 10}\n")
    assert line.endswith("overlap_tokens (10) has to be smaller than passage_tokens (10)")
    [line] = problems(tmp_path, SMALLEST + "retrieval: {dense_weight: 0, lexical_weight: 0}\n")
    assert line.endswith("dense_weight and lexical_weight cannot both be 0")


def test_everything_wrong_is_reported_at_once_in_order(tmp_path: Path) -> None:
    path = tmp_path / "tandem.yaml"
    path.write_text("domains:\n  a: {documents: nowhere}\nengine: {dtype: float64}\nretreival: {}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert [problem["line"] for problem in caught.value.details["problems"]] == [1, 2, 3, 4]


def test_an_alias_of_itself_ends_with_an_error(tmp_path: Path) -> None:
    assert problems(tmp_path, "base_model: a/b\ndomains: &d\n  a: *d\n")


def test_an_unknown_domain_lists_the_known_ones() -> None:
    config = Config.model_validate({"base_model": "a/b", "domains": {"one": {}, "two": {}}})
    with pytest.raises(NotFound, match="There is no domain 'three' in .*; there is one, two"):
        config.domain("three")


def test_the_starter_shows_every_key_with_its_default(tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "train.jsonl").touch()
    (tmp_path / "questions.jsonl").touch()
    shown = CONFIGURATION.format(base_model="a/b").replace("# ", "", 1)
    lines = [line.replace("# ", "", 1) if line.lstrip().startswith("#") else line for line in shown.splitlines()[2:]]
    (tmp_path / "tandem.yaml").write_text("\n".join(lines))
    config = load_config(tmp_path / "tandem.yaml")
    default = Config.model_validate({"base_model": "a/b", "domains": {"example": {}}})
    for section in ("engine", "retrieval", "training", "serving"):
        assert getattr(config, section) == getattr(default, section)
        assert getattr(config, section).model_fields_set == set(type(getattr(default, section)).model_fields)
    shown_keys = {
        "documents",
        "document_rules",
        "examples",
        "questions",
        "system_prompt",
        "permissions",
        "task",
        "labels",
        "json_schema",
    }
    assert config.domains["example"].model_fields_set == shown_keys


@pytest.mark.parametrize(
    "path",
    sorted((Path(__file__).parent.parent.parent / "examples").rglob("tandem.yaml")),
    ids=lambda path: path.parent.name,
)
def test_every_shipped_configuration_loads(path: Path) -> None:
    assert load_config(path).domains


def test_a_success_metric_whose_weights_do_not_sum_to_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tandem.yaml"
    path.write_text("base_model: a/b\ndomains:\n  helpdesk:\n    success: {correct: 0.5, citation: 0.2}\n")
    with pytest.raises(ConfigError, match="have to sum to 1"):
        load_config(path)


def test_a_style_rule_that_is_no_pattern_and_an_unknown_key_of_it_are_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "tandem.yaml"
    path.write_text(
        "base_model: a/b\ndomains:\n  helpdesk:\n    success:\n      correct: 0.5\n      style: 0.5\n"
        "      style_rules:\n        - name: form\n          pattern: '('\n          patern: x\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert "is no regular expression" in caught.value.message
    assert ":10: unknown key `patern`" in caught.value.message


def test_each_kind_of_adapter_has_its_own_settings_where_they_are_given_and_the_common_ones_elsewhere() -> None:
    given = {"epochs": 4, "closed_book": {"rank": 64, "epochs": 9}, "reading": {"learning_rate": 0.002}}
    config = Config.model_validate({"base_model": "a/b", "domains": {"one": {}}, "training": given})
    closed_book, reading = config.training.for_kind("closed-book"), config.training.for_kind("reading")
    assert (closed_book.rank, closed_book.epochs, closed_book.learning_rate) == (64, 9, 0.001)
    assert (reading.rank, reading.epochs, reading.learning_rate) == (16, 4, 0.002)
    assert closed_book.for_kind("closed-book") == closed_book
    assert config.max_adapter_rank == 64


def test_examples_may_be_the_name_of_a_dataset_and_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tandem.yaml"
    text = "base_model: a/b\ndomains:\n  shop:\n    examples: {}\n"
    path.write_text(text.format("owner/rows"))
    assert load_config(path).domain("shop").examples == "owner/rows"
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "rows").write_text("")
    assert load_config(path).domain("shop").examples == tmp_path / "owner" / "rows"
    path.write_text(text.format("rows.csv"))
    with pytest.raises(ConfigError, match=r"rows\.csv does not exist"):
        load_config(path)


def test_an_unknown_step_of_cleaning_names_the_nearest_one(tmp_path: Path) -> None:
    path = tmp_path / "tandem.yaml"
    path.write_text("base_model: a/b\ndomains: {shop: {}}\ntraining:\n  cleaning:\n    near_duplicate: false\n")
    with pytest.raises(ConfigError, match=r":5: unknown key `near_duplicate` in .*did you mean `near_duplicates`"):
        load_config(path)
