"""Checks every command in the documentation: `make docs-check`.

Reads the fenced ```bash blocks of README.md and docs/**/*.md. Commands and options of `tandem`, targets of `make`,
files, routes, and profiles and services of compose.yaml that are named there have to exist.
`<!-- docs-check: skip REASON -->` above a block leaves it out.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
SKIP = re.compile(r"<!-- docs-check: skip \S.*-->")
COMPOSE = {"up", "down", "build", "exec", "run", "logs", "ps", "stop"}
OPERATORS = {"|", "||", "&&", ";", "&"}
FILE = re.compile(r"^[\w.-]+(/[\w.-]+)*/?$")
LOCAL_HOSTS = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Command:
    """One command of a block: where it stands and its words."""

    place: str
    words: list[str]


def main(named: list[str]) -> int:
    """Check the named pages, or all; print what is wrong. The exit status is 1 when something is."""
    chosen = [Path(name) for name in named] or pages()
    commands, wrong = 0, []
    for page in chosen:
        made: set[str] = set()
        for command in commands_of(page):
            commands += 1
            wrong += [f"{command.place}: {problem}" for problem in problems_of(command, made)]
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"docs-check: {commands} commands, {len(wrong)} wrong")
    return 1 if wrong else 0


def pages(root: Path = ROOT) -> list[Path]:
    """The documentation."""
    return [page for page in [root / "README.md", *sorted((root / "docs").rglob("*.md"))] if page.is_file()]


def commands_of(page: Path) -> Iterator[Command]:
    """The commands of a page's bash blocks; lines that end in a backslash are joined."""
    inside, skipped, pending, start = False, False, "", 0
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if not inside:
            if line.strip() == "```bash":
                inside = True
            elif line.strip():
                skipped = bool(SKIP.search(line))
            continue
        if line.strip().startswith("```"):
            inside, skipped, pending = False, False, ""
            continue
        start = start if pending else number
        pending += line
        if line.endswith("\\") or quote_is_open(pending):
            pending = pending.removesuffix("\\") + " "
        else:
            text, pending = pending.strip(), ""
            if text and not text.startswith("#") and not skipped:
                for words in split(text):
                    yield Command(f"{page.name}:{start}", words)


def quote_is_open(text: str) -> bool:
    """Whether a command goes on in the next line because a quotation does."""
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return True
    return False


def split(text: str) -> Iterator[list[str]]:
    """The simple commands of a line, without prompts, assignments and redirections."""
    lexer = shlex.shlex(text.removeprefix("$ "), posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in OPERATORS:
            words.append(word)
            continue
        while words and re.match(r"^[A-Z_]+=", words[0]):
            words.pop(0)
        if words:
            yield words
        words = []


def problems_of(command: Command, made: set[str]) -> list[str]:
    """What does not exist, in sentences; `made` collects the folders that `tandem init` makes on the page."""
    program, *arguments = command.words
    if Path(program).name == "tandem" and arguments[:1] == ["init"]:
        made.update(word.rstrip("/") for word in arguments[1:] if not word.startswith("-"))
    arguments = [word for word in arguments if word.partition("/")[0] not in made or word.startswith("-")]
    checks = {
        "tandem": check_tandem,
        "make": check_make,
        "curl": check_curl,
        "python": check_python,
        "cd": check_files,
        "docker": check_docker,
    }
    check = checks.get(Path(program).name.rstrip("0123456789."))
    return check(arguments) if check else []


def check_tandem(arguments: list[str]) -> list[str]:
    """Subcommand, options and files of a `tandem` command."""
    if not arguments or arguments[0] in ("--help", "-h", "--version"):
        return []
    name, *rest = arguments
    commands = tandem_options()
    # Of a group with a command that is meant where none is named (`index`), the name alone is among them.
    if rest and (name not in commands or f"{name} {rest[0]}" in commands):
        name, *rest = f"{name} {rest[0]}", *rest[1:]
    if name not in commands:
        return [f"there is no `tandem {name}`"]
    options = {word.partition("=")[0] for word in rest if word.startswith("-") and word != "-"}
    problems = [f"`tandem {name}` has no option {option}" for option in sorted(options - commands[name])]
    if "--config" in rest[:-1]:
        problems += check_files([rest[rest.index("--config") + 1]])
    return problems


def check_make(arguments: list[str]) -> list[str]:
    """Targets of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = [word for word in arguments if not word.startswith("-") and "=" not in word]
    return [f"there is no target `make {word}`" for word in named if word not in targets]


def check_python(arguments: list[str]) -> list[str]:
    """Modules after -m, and scripts."""
    if arguments[:1] == ["-m"] and len(arguments) > 1:
        module = arguments[1].split(".")
        if not (ROOT / module[0]).is_dir():
            return []
        path = ROOT.joinpath(*module)
        exists = path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
        return [] if exists else [f"there is no module {arguments[1]}"]
    return check_files(arguments[:1])


def check_files(arguments: list[str]) -> list[str]:
    """Relative paths that look like ones of the checkout."""
    paths = [
        word for word in arguments if FILE.match(word) and ("/" in word or "." in word) and word not in (".", "..")
    ]
    return [f"there is no file {path}" for path in paths if not (ROOT / path).exists()]


def check_curl(arguments: list[str]) -> list[str]:
    """Routes of the gateway on this machine, with their method."""
    problems = []
    for url in [word for word in arguments if word.startswith(("http://", "https://"))]:
        parts = urlsplit(url)
        if parts.hostname not in LOCAL_HOSTS:
            continue
        sends = {"-d", "--data", "--json", "-F", "--data-binary", "--data-raw", "--form"} & set(arguments)
        method = next((arguments[i + 1] for i, word in enumerate(arguments) if word in ("-X", "--request")), None)
        method = method or ("POST" if sends else "GET")
        if not any(method in methods and pattern.fullmatch(parts.path or "/") for pattern, methods in routes()):
            problems.append(f"the gateway has no route {method} {parts.path}")
    return problems


def check_docker(arguments: list[str]) -> list[str]:
    """`docker compose`: subcommand, profile and service, and the `tandem` command that is run in a service."""
    if arguments[:1] != ["compose"]:
        return []
    services, profile, rest = compose_services(), None, arguments[1:]
    if rest[:1] == ["--profile"]:
        profile, rest = rest[1], rest[2:]
    name, *rest = rest or [""]
    if name not in COMPOSE:
        return [f"there is no `docker compose {name}`, or the check does not know it"]
    problems = []
    if profile and profile not in {one for profiles in services.values() for one in profiles}:
        problems.append(f"compose.yaml has no profile {profile}")
    while rest and rest[0].startswith("-"):
        rest.pop(0)
    if rest and rest[0] not in services:
        problems.append(f"compose.yaml has no service {rest[0]}")
    elif rest and profile and profile not in services[rest[0]]:
        problems.append(f"the service {rest[0]} is not in the profile {profile}")
    if name == "run":  # the image's entry point is `tandem`
        problems += check_tandem(rest[1:])
    elif name == "exec" and rest[1:2] == ["tandem"]:
        problems += check_tandem(rest[2:])
    return problems


@cache
def compose_services() -> dict[str, list[str]]:
    """Service of compose.yaml → its profiles."""
    import yaml

    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return {name: service.get("profiles", []) for name, service in services.items()}


@cache
def tandem_options() -> dict[str, set[str]]:
    """Subcommand (`ask`, or `adapters swap`) → its options, from the command line itself."""
    import typer.main

    from tandem.cli import app

    group: Any = typer.main.get_command(app)
    named = [
        (" ".join(filter(None, (name, inner))), one)
        for name, command in group.commands.items()
        for inner, one in getattr(command, "commands", {"": command}).items()
    ]
    meant = {name: getattr(command, "default_command", None) for name, command in group.commands.items()}
    named += [(name, group.commands[name].commands[default]) for name, default in meant.items() if default]
    return {
        name: {"--help", "-h", *(option for parameter in command.params for option in parameter.opts)}
        for name, command in named
    }


@cache
def routes() -> list[tuple[re.Pattern[str], set[str]]]:
    """Pattern and methods of each route of the gateway, from its own OpenAPI description."""
    import tempfile

    from serving.app import create_app
    from serving.engine import EngineClient
    from tandem.config import Config
    from tandem.workspace import Workspace

    config = Config.model_validate({"base_model": "none", "domains": {"example": {}}})
    with tempfile.TemporaryDirectory() as home:
        engine = EngineClient(lambda: "http://127.0.0.1:1", 1.0)
        paths = create_app(config, Workspace.open(Path(home)), engine=engine).openapi()["paths"]
    return [
        (re.compile(re.sub(r"\\\{\w+(:\w+)?\\\}", ".+", re.escape(path))), {method.upper() for method in methods})
        for path, methods in paths.items()
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
