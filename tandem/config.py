"""Reads `tandem.yaml` and reports everything that is wrong with it at once, by line."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from tandem.fields import Section
from tandem.names import validate_name
from tandem.settings import (
    Config,
    DocumentRule,
    DomainConfig,
    EngineConfig,
    LanguageWeights,
    MultiTaskConfig,
    RetrievalConfig,
    ServingConfig,
    StyleRule,
    SuccessConfig,
)
from tandem.training_settings import CleaningConfig, TrainingConfig
from tandem.yaml_source import Problem, YamlSource, nearest

__all__ = [
    "Config",
    "DomainConfig",
    "EngineConfig",
    "RetrievalConfig",
    "ServingConfig",
    "StyleRule",
    "SuccessConfig",
    "TrainingConfig",
    "load_config",
    "validate_name",
]

SECTIONS: Final[dict[str, type[Section]]] = {
    "engine": EngineConfig,
    "retrieval": RetrievalConfig,
    "serving": ServingConfig,
    "training": TrainingConfig,
}

DATA_ENDINGS: Final = {".jsonl", ".json", ".csv", ".parquet", ".txt"}
"""Names that end so are meant as files."""

HUB_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


def load_config(path: Path) -> Config:
    """Read and check `path`; paths in the result are absolute.

    Raises ConfigError with one line for each problem, `FILE:LINE: what is wrong`; the same is in
    `details["problems"]` as objects with `line` and `message`.
    """
    path = Path(os.path.abspath(path.expanduser()))
    source = YamlSource.read(path)
    values = _with_defaults(source.values)
    problems = [*source.problems, *_resolve_paths(source, values, path.parent)]
    if "path" in values:
        problems.append(_unknown_key(source, ("path",)))
    try:
        config = Config.model_validate(values | {"path": path})
    except ValidationError as error:
        problems += [_describe(source, dict(item)) for item in error.errors()]
    if problems:
        raise source.error(problems)
    return config


def _with_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """A copy in which sections left empty (every line of them a comment) are empty mappings."""
    copy = {key: {} if value is None and key in SECTIONS else value for key, value in values.items()}
    domains = copy.get("domains")
    if isinstance(domains, dict):
        copy["domains"] = {
            name: dict(domain) if isinstance(domain, dict) else ({} if domain is None else domain)
            for name, domain in domains.items()
        }
    return copy


def _describe(source: YamlSource, error: dict[str, Any]) -> Problem:
    """One problem as a person would say it, from one of pydantic's error objects."""
    location: tuple[str | int, ...] = tuple(part for part in error["loc"] if part != "[key]")
    if error["type"] == "extra_forbidden":
        return _unknown_key(source, location)
    name = ".".join(str(part) for part in location)
    line = source.line(location)
    if error["type"] == "missing":
        return Problem(line, f"`{name}` is missing")
    if error["type"] == "value_error":
        return Problem(line, f"`{name}`: {error['ctx']['error']}")
    expectation = str(error["msg"]).replace("Input should be", "should be")
    return Problem(line, f"`{name}` {expectation}, and is {_shown(error['input'])}")


def _shown(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "…"


def _unknown_key(source: YamlSource, location: tuple[str | int, ...]) -> Problem:
    *parents, key = location
    match parents:
        case []:
            section: type[Section] = Config
        case ["domains", _]:
            section = DomainConfig
        case ["domains", _, "document_rules", _]:
            section = DocumentRule
        case ["domains", _, "success"]:
            section = SuccessConfig
        case ["domains", _, "success", "style_rules", _]:
            section = StyleRule
        case ["domains", _, "multi_task"]:
            section = MultiTaskConfig
        case ["retrieval", "languages", _]:
            section = LanguageWeights
        case ["training", "cleaning"]:
            section = CleaningConfig
        case [name, *_]:
            section = SECTIONS[str(name)]
    valid = [name for name in section.model_fields if (section, name) != (Config, "path")]
    where = f" in `{'.'.join(str(part) for part in parents)}`" if parents else ""
    return Problem(source.line(location), f"unknown key `{key}`{where}; {nearest(str(key), valid)}")


def _resolve_paths(source: YamlSource, values: dict[str, Any], folder: Path) -> list[Problem]:
    """Make the paths in `values` absolute, in place; return those that do not exist."""
    problems = []
    for mapping, key, location in _path_fields(values):
        resolved = _absolute(folder, mapping[key])
        if resolved.exists():
            mapping[key] = str(resolved)
        elif key == "examples" and _may_be_dataset(mapping[key]):
            continue
        else:
            problems.append(Problem(source.line(location), f"`{_dotted(location)}`: {resolved} does not exist"))
    retrieval = values.get("retrieval")
    models: list[tuple[dict[str, Any], str, tuple[str, ...]]] = [
        (values, key, (key,)) for key in ("base_model", "embedder")
    ]
    if isinstance(retrieval, dict):
        values["retrieval"] = retrieval = dict(retrieval)
        models.append((retrieval, "reranker", ("retrieval", "reranker")))
    for mapping, key, location in models:
        value = mapping.get(key)
        if not isinstance(value, str) or not value:
            continue
        resolved = _absolute(folder, value)
        if resolved.is_dir():
            mapping[key] = str(resolved)
        elif not HUB_ID.fullmatch(value):
            message = f"`{_dotted(location)}`: there is no folder {resolved}, and {value!r} is no hub id"
            problems.append(Problem(source.line(location), message))
    return problems


def _may_be_dataset(value: str) -> bool:
    """Whether what is no file may be the name of a dataset: `name` or `owner/name`, without the ending of a file."""
    return HUB_ID.fullmatch(value) is not None and Path(value).suffix.lower() not in DATA_ENDINGS


def _path_fields(values: dict[str, Any]) -> Iterator[tuple[Any, Any, tuple[str | int, ...]]]:
    """Container, key and location of each path in the domains."""
    domains = values.get("domains")
    for name, domain in domains.items() if isinstance(domains, dict) else ():
        if not isinstance(domain, dict):
            continue
        for key in ("documents", "examples", "questions", "json_schema"):
            value = domain.get(key)
            if isinstance(value, str):
                yield domain, key, ("domains", name, key)
            elif isinstance(value, list) and key == "documents":
                domain[key] = list(value)
                for position, item in enumerate(value):
                    if isinstance(item, str):
                        yield domain[key], position, ("domains", name, key, position)


def _absolute(folder: Path, value: str) -> Path:
    return Path(os.path.abspath(folder / Path(value).expanduser()))


def _dotted(location: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in location)
