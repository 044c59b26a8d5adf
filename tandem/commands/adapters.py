"""`tandem adapters`: the versions of a domain's adapters, and which of them answer."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tandem.adapters import Adapter, find_adapter, list_answering
from tandem.client import post
from tandem.commands.options import (
    DEFAULT_CONFIG,
    DEFAULT_HOME,
    DEFAULT_URL,
    AdminKeyOption,
    ConfigOption,
    DomainArgument,
    HomeOption,
    JsonOption,
    ServedDomainArgument,
    UrlOption,
    open_project,
)
from tandem.commands.output import print_json
from tandem.names import validate_name
from tandem.workspace import Workspace

if TYPE_CHECKING:
    from tandem.database import Pointer
    from tandem.settings import Config

app = typer.Typer(
    name="adapters",
    help="List, export and import a domain's adapters, and swap the one that answers.",
    rich_markup_mode=None,
)

SWAP_SECONDS = 600.0

VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="12 characters, as `list` shows them.")]
VariantOption = Annotated[str, typer.Option("--variant", help="What it answers for: finetuned or hybrid.")]
ExpectedOption = Annotated[
    str | None, typer.Option("--expected", metavar="VERSION", help="Refuse when another version is live.")
]


@app.command("list")
def list_(
    domain: DomainArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """The adapters in the workspace, oldest first, and what they answer for; needs no server."""
    from serving.adapter_views import listing

    settings, workspace = open_project(config, home)
    settings.domain(domain)
    adapters, pointers = list_answering(workspace, domain), _pointers(settings, workspace, domain)
    if json:
        print_json(listing(adapters, pointers))
        return
    for adapter in adapters:
        print(_line(adapter, pointers))
    if not adapters:
        print(f"{domain} has no adapters yet: run `tandem train {domain}`.")


@app.command()
def show(
    domain: DomainArgument,
    version: VersionArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Where one adapter comes from, what it answers for, and what was measured of it; needs no server."""
    from dataclasses import asdict

    from serving.adapter_views import summary

    settings, workspace = open_project(config, home)
    settings.domain(domain)
    adapter = find_adapter(workspace, domain, version)
    body = asdict(adapter.card) | summary(adapter, _pointers(settings, workspace, domain))
    body |= {"documents": list(adapter.card.documents), "folder": str(adapter.folder)}
    if json:
        print_json(body)
        return
    for name, value in body.items():
        if value not in (None, "", [], {}, ()):
            print(f"{name.replace('_', ' '):16}{_shown(value)}")


@app.command()
def swap(
    domain: ServedDomainArgument,
    version: VersionArgument,
    variant: VariantOption = "hybrid",
    expected: ExpectedOption = None,
    force: Annotated[bool, typer.Option("--force", help="Skip the comparison with training.")] = False,
    url: UrlOption = DEFAULT_URL,
    api_key: AdminKeyOption = None,
    json: JsonOption = False,
) -> None:
    """Let a version answer for a variant of a running server; when a check fails, the live one stays."""
    body: dict[str, Any] = {"variant": variant, "version": version, "force": force}
    _change(domain, "swap", body | _given(expected), url, api_key, json)


@app.command()
def rollback(
    domain: ServedDomainArgument,
    variant: VariantOption = "hybrid",
    expected: ExpectedOption = None,
    url: UrlOption = DEFAULT_URL,
    api_key: AdminKeyOption = None,
    json: JsonOption = False,
) -> None:
    """Let the version before the last swap answer again."""
    _change(domain, "rollback", {"variant": variant} | _given(expected), url, api_key, json)


@app.command()
def export(
    domain: DomainArgument,
    version: VersionArgument,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="A new or empty folder.")],
    merged: Annotated[
        bool, typer.Option("--merged", help="A whole model: the base model with the adapter added to its weights.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Write an adapter, or with --merged a whole model, into a folder for others; needs no server."""
    from training.exporting import export as export_adapter

    settings, workspace = open_project(config, home)
    settings.domain(domain)
    adapter = find_adapter(workspace, domain, version)
    folder = export_adapter(adapter, out, merged, settings.base_model)
    if json:
        print_json({"name": adapter.name, "folder": str(folder), "merged": merged})
        return
    what = f"{adapter.card.base_model} with {adapter.name} merged into it" if merged else adapter.name
    print(f"{what}: {folder}")


@app.command("import")
def import_(
    domain: DomainArgument,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="With PEFT's settings and safetensors.")],
    kind: Annotated[
        str, typer.Option("--kind", help="closed-book: it answers from memory; reading: from passages in its prompt.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Take a LoRA adapter that was trained elsewhere, after the checks of one trained here; needs no server."""
    from training.importing import import_adapter

    settings, workspace = open_project(config, home)
    settings.domain(domain)
    say = (lambda _line: None) if json else (lambda line: print(f"  {line}", flush=True))
    adapter = import_adapter(settings, workspace, domain, folder, kind, say)
    if json:
        print_json({"name": adapter.name, "version": adapter.version, "folder": str(adapter.folder)})
        return
    print(f"{domain}: adapter {adapter.version}, imported")
    for warning in adapter.card.warnings:
        print(f"  warning: {warning}")
    print(f"  {adapter.folder}")


def _change(domain: str, what: str, body: dict[str, Any], url: str, api_key: str | None, as_json: bool) -> None:
    route = f"/v1/domains/{validate_name(domain, 'domain')}/adapters/{what}"
    done = post(url, route, body, api_key, SWAP_SECONDS)
    if as_json:
        print_json(done)
        return
    before = f", {done['previous']} did before" if done.get("previous") else ""
    print(f"{domain}/{done['variant']}: {done['version']} answers{before}")
    if parity := done.get("parity"):
        print(
            f"  log-probabilities of {parity['tokens']} reference tokens differ from training by "
            f"{parity['mean_difference']:.4f} on average (allowed: {parity['limit']})"
        )


def _given(expected: str | None) -> dict[str, Any]:
    return {} if expected is None else {"expected": expected}


def _pointers(settings: "Config", workspace: Workspace, domain: str) -> dict[str, "Pointer"]:
    from tandem.database import Database

    database = Database(workspace.database_url(settings.database))
    try:
        return {pointer.variant: pointer for pointer in database.pointers(domain)}
    finally:
        database.close()


def _line(adapter: Adapter, pointers: "Mapping[str, Pointer]") -> str:
    answers_for = [variant for variant, pointer in pointers.items() if pointer.version == adapter.version]
    live = f"  answers for {' and '.join(answers_for)}" if answers_for else ""
    documents = f"{len(adapter.card.documents)} documents"
    parent = f"  goes on from {adapter.card.parent}" if adapter.card.parent else ""
    return f"{adapter.version}  {adapter.card.kind:12}{adapter.card.created or 'no date':27}{documents}{parent}{live}"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
