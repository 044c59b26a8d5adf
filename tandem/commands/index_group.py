"""`tandem index DOMAIN`, and `tandem index add|remove|stats|…`: one name, with a command that is meant when none is."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from tandem.commands.index import index
from tandem.commands.index_print import print_commit, print_stats
from tandem.commands.options import (
    DEFAULT_CONFIG,
    DEFAULT_HOME,
    ConfigOption,
    DomainArgument,
    HomeOption,
    JsonOption,
    open_project,
)
from tandem.commands.output import print_json
from tandem.commands.search import search
from tandem.errors import NotFound

if TYPE_CHECKING:
    from retrieval.index import Index

DEFAULT_COMMAND = "sync"


class IndexGroup(TyperGroup):
    """Takes words that begin with no command's name for those of `sync`: `tandem index helpdesk`."""

    default_command = DEFAULT_COMMAND

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """As click's, with `sync` put in front where it is meant."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="index",
    cls=IndexGroup,
    help="Bring a domain's index up to date (`tandem index DOMAIN`), change it, check it, copy it.",
    rich_markup_mode=None,
)
app.command(DEFAULT_COMMAND)(index)
app.command("search")(search)


@app.command()
def add(
    domain: DomainArgument,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files and folders.")],
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> int:
    """Add the documents in PATHs, or replace those of the same ids; what was deleted by name comes back, too."""
    from dataclasses import replace

    from retrieval.documents import UnreadableDocument
    from retrieval.folders import scan
    from retrieval.parsers import parse_all, read_bytes
    from retrieval.results import Failure
    from retrieval.rules import Rules

    rules = Rules(open_project(config, home)[0].domain(domain).document_rules)
    found = scan([path.absolute() for path in paths])
    failed, documents = list(found.failures), []
    failed += [Failure(name, "Addresses are fetched by `tandem index DOMAIN` only.") for name in found.urls]
    for file in found.files.values():
        try:
            read, unread = parse_all(read_bytes(file.path), file.id)
            documents += [rules.apply(document, file.id) for document in read]
            failed += unread
        except UnreadableDocument as error:
            failed.append(Failure(file.id, error.message))
    with _opened(domain, config, home, make=True) as opened:
        commit = opened.add(documents)
    return print_commit(domain, replace(commit, failed=[*failed, *commit.failed]), json)


@app.command()
def remove(
    domain: DomainArgument,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of documents.")],
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> int:
    """Delete documents for good: from every kept snapshot and file, and no `tandem index DOMAIN` brings them back."""
    with _opened(domain, config, home) as opened:
        commit = opened.delete(ids)
    return print_commit(domain, commit, json)


@app.command()
def stats(
    domain: DomainArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Sizes of the index, what it was made with, which snapshots are kept, and what is still to be purged."""
    with _opened(domain, config, home) as opened:
        found = opened.stats()
    if json:
        print_json({"domain": domain, **asdict(found)})
    else:
        print_stats(domain, found)


@app.command()
def verify(
    domain: DomainArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> int:
    """Compare every row with its checksum, and the totals and derived files with the rows; status 1 if any is wrong."""
    from retrieval.check import verify as check

    found = check(_folder(domain, config, home))
    if json:
        print_json({"domain": domain, "sound": found.sound, **asdict(found)})
        return 0 if found.sound else 1
    print(f"{domain}: {found.documents} documents, {found.passages} passages, {len(found.files)} derived files read")
    for problem in found.problems:
        print(f"wrong: {problem}")
    print(
        "Nothing is wrong." if found.sound else "`tandem index rebuild` makes derived files anew; rows need a backup."
    )
    return 0 if found.sound else 1


@app.command()
def rebuild(
    domain: DomainArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Make the derived files anew from the database."""
    with _opened(domain, config, home) as opened:
        opened.rebuild()
        found = opened.stats()
    if json:
        print_json({"domain": domain, "snapshot": found.snapshot, "passages": found.passages})
    else:
        print(f"{domain}: the searches over {found.passages} passages were made anew at snapshot {found.snapshot}")


@app.command()
def backup(
    domain: DomainArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; an older backup there is replaced.")],
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Copy the index to FILE; a server may go on searching and adding meanwhile."""
    from retrieval.copies import backup_folder

    snapshot = backup_folder(_folder(domain, config, home), file.absolute())
    size = file.stat().st_size
    if json:
        print_json({"domain": domain, "file": str(file), "snapshot": snapshot, "bytes": size})
    else:
        print(f"{domain}: snapshot {snapshot} is in {file} ({size:,} bytes)")


@app.command()
def restore(
    domain: DomainArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `tandem index backup` wrote.")],
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Put a backup in the place of the index; documents deleted by name since it was made stay deleted."""
    from retrieval.copies import restore as put_back

    settings, workspace = open_project(config, home)
    settings.domain(domain)
    restored = put_back(workspace.index_folder(domain), file.absolute())
    if json:
        print_json({"domain": domain, **asdict(restored)})
        return
    print(f"{domain}: restored {restored.documents} documents; the index is at snapshot {restored.snapshot}")
    for name in restored.deleted:
        print(f"deleted again: {name}")
    if restored.warning:
        print(f"warning: {restored.warning}")


@app.command()
def collect(
    domain: DomainArgument,
    keep: Annotated[int, typer.Option("--keep", min=0, help="Older snapshots to keep.")] = 0,
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Let go of older snapshots, and of the texts that only they have."""
    with _opened(domain, config, home) as opened:
        collected = opened.collect(keep)
        found = opened.stats()
    if json:
        print_json({"domain": domain, "collected": collected, "oldest_snapshot": found.oldest_snapshot})
    else:
        print(f"{domain}: {collected} old documents are gone; snapshots from {found.oldest_snapshot} on are kept")


def _folder(domain: str, config: Path, home: Path) -> Path:
    settings, workspace = open_project(config, home)
    settings.domain(domain)
    folder = workspace.index_folder(domain)
    if not folder.is_dir():
        raise NotFound(f"The domain {domain} is not indexed yet: run `tandem index {domain}`.", code="no_index")
    return folder


def _opened(domain: str, config: Path, home: Path, *, make: bool = False) -> "Index":
    settings, workspace = open_project(config, home)
    settings.domain(domain)
    folder = workspace.index_folder(domain) if make else _folder(domain, config, home)
    from retrieval.embedder import load_embedder
    from retrieval.index import Index

    return Index.open(folder, load_embedder(settings.embedder), settings.retrieval)
