"""A YAML file together with the line of each of its keys, so that errors can point at them."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tandem.errors import ConfigError

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """Something wrong at a line, counted from 1."""

    line: int
    message: str


@dataclass(frozen=True)
class YamlSource:
    """What a file holds (`values`), where (`lines`), and the keys that occur twice (`problems`)."""

    path: Path
    values: dict[str, Any]
    lines: dict[Location, int]
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "YamlSource":
        """Parse `path`; ConfigError when it is missing, not UTF-8, not YAML or not a mapping."""
        text = _read_text(path)
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            values = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise _broken(path, text, error) from error
        if root is None or not isinstance(values, dict):
            source = cls(path, {}, {})
            raise source.error([Problem(1, "expected keys such as `base_model:` and `domains:`")])
        source = cls(path, {str(key): value for key, value in values.items()}, {})
        source._collect(root, ())
        return source

    def line(self, location: Location) -> int:
        """The line of the key or item at `location`, or of the nearest parent that is there."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)

    def error(self, problems: Sequence[Problem]) -> ConfigError:
        """One error that lists all `problems` by line."""
        ordered = sorted(set(problems), key=lambda problem: (problem.line, problem.message))
        return ConfigError(
            "\n".join(f"{self.path}:{problem.line}: {problem.message}" for problem in ordered),
            problems=[{"line": problem.line, "message": problem.message} for problem in ordered],
        )

    def _collect(self, node: yaml.Node, location: Location) -> None:
        """Fill `lines`, to a depth that no key has, so that an alias of itself ends somewhere."""
        if len(location) > 6:
            return
        if isinstance(node, yaml.MappingNode):
            for key_node, value_node in node.value:
                key = (*location, str(key_node.value))
                line = key_node.start_mark.line + 1
                if key in self.lines:
                    first = self.lines[key]
                    self.problems.append(Problem(line, f"`{key[-1]}` is already in line {first}"))
                self.lines.setdefault(key, line)
                self._collect(value_node, key)
        elif isinstance(node, yaml.SequenceNode):
            for position, item in enumerate(node.value):
                self.lines.setdefault((*location, position), item.start_mark.line + 1)
                self._collect(item, (*location, position))


def nearest(key: str, valid: Sequence[str]) -> str:
    """A clause that names the valid key nearest to `key`, or all of them when none is near."""
    close = difflib.get_close_matches(key, valid, n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else f"the keys are {', '.join(valid)}"


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no configuration {path}: make one with `tandem init DIR`, or name one with --config.",
            code="config_not_found",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start}).") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}).") from error


def _broken(path: Path, text: str, error: Exception) -> ConfigError:
    line, what = 1, str(error)
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        line, what = error.problem_mark.line + 1, error.problem or error.context or "not YAML"
    elif isinstance(error, yaml.reader.ReaderError):
        line, what = text[: error.position].count("\n") + 1, error.reason
    elif isinstance(error, RecursionError):
        what = "nested too deeply"
    return ConfigError(f"{path}:{line}: this is not valid YAML: {what}", problems=[{"line": line, "message": what}])
