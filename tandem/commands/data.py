"""`tandem data`: examples that a program drafts from a domain's documents, and a person's review of them."""

import getpass
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tandem.client import post
from tandem.commands.options import (
    DEFAULT_CONFIG,
    DEFAULT_HOME,
    DEFAULT_URL,
    ConfigOption,
    DomainArgument,
    HomeOption,
    JsonOption,
    TimeoutOption,
    UrlOption,
    UserKeyOption,
    open_project,
)
from tandem.commands.output import print_json, progress_bar
from tandem.errors import Conflict, NotFound, UserError
from tandem.workspace import Workspace

if TYPE_CHECKING:
    from tandem.settings import Config
    from training.checks import TextOf
    from training.drafts.drafting import Account
    from training.drafts.store import Draft

app = typer.Typer(
    name="data",
    help="Draft examples from a domain's documents, and review them.",
    rich_markup_mode=None,
)

KEPT_FORMATS = frozenset("\u200c\u200d")
"""Joiners that some scripts need; other signs without a shape could hide what a text says."""
LISTED = 10
CHOICES = "[a]ccept, [e]dit, [r]eject, [s]kip, [q]uit"

FileOption = Path | None


@app.command("draft")
def draft(
    domain: DomainArgument,
    by: Annotated[str, typer.Option("--by", help="Who drafts: rules, or model (asks a running server).")] = "rules",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="New drafts at most.")] = None,
    per_document: Annotated[int, typer.Option("--per-document", min=1, help="Drafts of one document at most.")] = 8,
    answer: Annotated[
        str | None, typer.Option("--answer", metavar="FORM", help="The answers' house style, with {value} in it.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--licence", help="Of documents whose metadata name no `licence`.")
    ] = None,
    basis: Annotated[str | None, typer.Option("--basis", help="Why they may be trained on, likewise.")] = None,
    url: UrlOption = DEFAULT_URL,
    api_key: UserKeyOption = None,
    model: Annotated[
        str | None, typer.Option("--model", help="What that server calls the model; DOMAIN/base by default.")
    ] = None,
    timeout: TimeoutOption = 120,
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Draft examples from a domain's indexed documents; nothing is trained on before a person accepts it."""
    if by not in ("rules", "model"):
        raise UserError(f"{by!r} drafts nothing; there is rules and model.", code="unknown_drafter")
    settings, workspace = open_project(config, home)
    settings.domain(domain)
    from training.drafts.drafting import Wanted, draft_by_model, draft_by_rules

    wanted = Wanted(limit, per_document, answer, licence, basis)
    if by == "rules":
        account = draft_by_rules(settings, workspace, domain, wanted)
    else:

        def ask(body: dict[str, Any]) -> dict[str, Any]:
            return post(url, "/v1/chat/completions", body, api_key, timeout)

        with progress_bar("draft", quiet=json) as progress:
            account = draft_by_model(settings, workspace, domain, wanted, ask, progress, model)
    if json:
        print_json(account.as_dict())
        return
    for line in account_lines(domain, account):
        print(line)


@app.command("review")
def review(
    domain: DomainArgument,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides; your account's name.")] = None,
    export: Annotated[
        FileOption, typer.Option("--export", metavar="FILE", help="Write all drafts as CSV for a spreadsheet.")
    ] = None,
    import_: Annotated[
        FileOption, typer.Option("--import", metavar="FILE", help="Read decisions and edits back from such a file.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Accept, edit or reject drafts one by one, each saved at once; or all of them in a spreadsheet."""
    if export and import_:
        raise UserError("Give --export or --import, not both.", code="usage")
    settings, workspace = open_project(config, home)
    settings.domain(domain)
    reviewer = (by if by is not None else getpass.getuser()).strip()
    if not reviewer:
        raise UserError("Say with --by who decides.", code="no_reviewer")
    from training.drafts.store import read_drafts

    drafts = read_drafts(workspace, domain)
    if not drafts:
        raise NotFound(f"There are no drafts of {domain} yet: make some with `tandem data draft {domain}`.")
    if export:
        _export(export, drafts, json)
    elif import_:
        _import(import_, settings, workspace, domain, reviewer, json)
    elif json:
        states: dict[str, int] = {**Counter(item.state for item in drafts)}
        print_json({"domain": domain, "states": states, "drafts": [asdict(item) for item in drafts]})
    else:
        with _texts(settings, workspace, domain) as text_of:
            _one_by_one(workspace, domain, reviewer, text_of)


def account_lines(domain: str, account: "Account") -> list[str]:
    """What came of drafting, for people."""
    languages = ", ".join(f"{count} {language}" for language, count in account.languages.items())
    made_by = ", ".join(f"{count} by {name}" for name, count in account.made_by.most_common())
    lines = [
        f"{domain}: {len(account.added)} new drafts of {account.documents} documents ({languages})",
        *([f"  {made_by}"] if made_by else []),
        *(f"  not kept: {count}, {reason}" for reason, count in account.left.most_common()),
        *(f"    {visible(one['document'])}: {visible(one['question'])}" for one in worth_a_look(account)),
    ]
    if account.only_headings:
        languages = ", ".join(account.only_headings)
        lines.append(f"  rules know no sentences of {languages}: there they take only headings that are questions")
    if account.without:
        shown = ", ".join(account.without[:LISTED])
        more = f" and {len(account.without) - LISTED} more" if len(account.without) > LISTED else ""
        lines.append(f"  no draft of {len(account.without)} documents: {shown}{more}")
    return [*lines, f"  decide on them with `tandem data review {domain}`; nothing is trained on before"]


def worth_a_look(account: "Account") -> list[dict[str, str]]:
    """The first proposals that were refused for what they say; --json has all of them."""
    said = [one for one in account.refused if one["question"] and "limit" not in one["reason"]]
    return [one for one in said if one["reason"] != "already drafted"][:LISTED]


def visible(text: str) -> str:
    """The text for a terminal: what would steer it, turn its direction or not be seen is spelled out."""
    return "".join(
        sign
        if sign == "\n" or sign in KEPT_FORMATS or unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Co")
        else f"\\u{ord(sign):04x}"
        for sign in text
    )


def _export(path: Path, drafts: "list[Draft]", json: bool) -> None:
    from training.drafts.sheet import write_sheet

    write_sheet(path, drafts)
    if json:
        print_json({"file": str(path), "drafts": len(drafts)})
    else:
        print(f"{path}: {len(drafts)} drafts; write accept or reject under `decision`, then read it with --import")


def _import(path: Path, settings: "Config", workspace: Workspace, domain: str, reviewer: str, json: bool) -> None:
    from training.drafts.review import save_decisions
    from training.drafts.sheet import read_sheet
    from training.drafts.store import read_drafts

    with _texts(settings, workspace, domain) as text_of:
        found = read_sheet(path, read_drafts(workspace, domain), reviewer, text_of)
    save_decisions(workspace, domain, found.changed)
    states = Counter(after.state for _, after in found.changed)
    if json:
        edited = sum(after.edited and not before.edited for before, after in found.changed)
        counts = {"changed": len(found.changed), "edited": edited, "unchanged": found.unchanged}
        print_json({"file": str(path), **counts, "states": dict(states), "missing": found.missing})
        return
    became = ", ".join(f"{count} {state}" for state, count in states.most_common()) or "nothing"
    print(f"{path}: {became} by {reviewer}; {found.unchanged} as they were")
    if found.missing:
        shown = ", ".join(found.missing[:LISTED])
        more = f" and {len(found.missing) - LISTED} more" if len(found.missing) > LISTED else ""
        print(f"  not in the file, and left as they are: {shown}{more}")


@contextmanager
def _texts(settings: "Config", workspace: Workspace, domain: str) -> "Iterator[TextOf]":
    """The indexed documents' texts; NotFound where nothing is indexed, as then no evidence could be checked."""
    from training.prepare import indexed_documents

    with indexed_documents(settings, workspace, domain) as indexed:
        if indexed is None:
            raise NotFound(
                f"The domain {domain} has no indexed documents to check drafts against: run `tandem index {domain}`.",
                code="no_index",
            )
        yield indexed.text_of


def _one_by_one(workspace: Workspace, domain: str, reviewer: str, text_of: "TextOf") -> None:
    """Ask on each open draft; what was decided is saved before the next one is shown."""
    from training.drafts.store import read_drafts

    waiting = [item for item in read_drafts(workspace, domain) if item.state == "open"]
    print(f"{len(waiting)} drafts wait for review by {reviewer}.")
    decided: Counter[str] = Counter()
    try:
        for number, item in enumerate(waiting, 1):
            print(f"\n{number} of {len(waiting)}")
            state = _ask_on(workspace, domain, item, reviewer, text_of)
            if state is None:
                break
            decided[state] += 1
    except typer.Abort:
        print()
    said = ", ".join(f"{count} {state}" for state, count in decided.most_common()) or "nothing decided"
    left = sum(item.state == "open" for item in read_drafts(workspace, domain))
    print(f"\n{said}; {left} wait still. `tandem prepare {domain}` takes the accepted ones.")


def _ask_on(workspace: Workspace, domain: str, item: "Draft", reviewer: str, text_of: "TextOf") -> str | None:
    """What became of one draft; None to stop."""
    from training.drafts.review import Decision, decide, save_decisions

    wanted = Decision.of(item, "open")
    while True:
        _show(item, wanted)
        choice = typer.prompt(CHOICES, default="s", show_default=False).strip().casefold()[:1]
        if choice == "q":
            return None
        if choice == "s":
            return "skipped"
        if choice == "e":
            wanted = _edited(wanted)
            continue
        if choice not in ("a", "r"):
            print("  that is none of the five: a, e, r, s or q")
            continue
        state: Any = "accepted" if choice == "a" else "rejected"
        # What is rejected stays as it was drafted.
        decision = Decision(wanted.question, wanted.answer, wanted.value, wanted.quote, state)
        after, problems = decide(
            item, decision if choice == "a" else Decision.of(item, state), reviewer, text_of(item.document)
        )
        if problems:
            for problem in problems:
                print(f"  cannot be accepted: {visible(problem)}")
            continue
        try:
            save_decisions(workspace, domain, [(item, after)])
        except Conflict as error:
            print(f"  {error.message}")
            return "skipped"
        return str(state)


def _show(item: "Draft", wanted: Any) -> None:
    _line("question", wanted.question)
    _line("answer", wanted.answer)
    if wanted.value and wanted.value != wanted.answer:
        _line("value", wanted.value)
    _line("evidence", f"“{wanted.quote}”")
    _line("from", f"{item.document} {item.start}-{item.end}, {item.made_by}")


def _line(name: str, text: str) -> None:
    print(f"  {name + ':':<10}" + visible(text).replace("\n", "\n" + " " * 12))


def _edited(wanted: Any) -> Any:
    """The texts as a person types them; Enter keeps one, and `-` takes the value away."""
    from training.drafts.review import Decision

    ask: Callable[[str, str], str] = lambda name, text: typer.prompt(  # noqa: E731
        f"  {name} [Enter keeps it]", default=text, show_default=False
    )
    question, answer = ask("question", wanted.question), ask("answer", wanted.answer)
    value = ask("value", wanted.value or "-")
    return Decision(question, answer, None if value.strip() == "-" else value, ask("quote", wanted.quote), "open")
