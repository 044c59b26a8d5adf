"""The kinds of adapter, and which of them a domain can have."""

from typing import Final, get_args

from tandem.adapters import Kind
from tandem.errors import UserError
from tandem.settings import Config

KINDS: tuple[Kind, ...] = get_args(Kind)
WITHOUT_OPTIONS: Final = {
    "documents": "it is trained on the index as it is, and begins anew",
    "multi-task": "it takes the newest dataset of each of its tasks, and begins anew",
}
"""Kind → why it knows neither `--dataset` nor `--parent`."""

OWN_SETTINGS: Final[dict[Kind, set[str]]] = {
    "reading": {"quotes"},
    "mixed": {"quotes", "reading_share"},
    "documents": {"block_tokens"},
}
"""Kind → settings that have no meaning for those it is not named with, and are no part of what their runs are."""


def of_other_kinds(kind: Kind) -> set[str]:
    """The settings that belong to other kinds alone."""
    return set().union(*OWN_SETTINGS.values()) - OWN_SETTINGS.get(kind, set())


def check_kind(kind: str, kinds: tuple[Kind, ...] = KINDS) -> Kind:
    """The kind of adapter, one of `kinds`; UserError for another word."""
    for known in kinds:
        if kind == known:
            return known
    raise UserError(f"{kind!r} is no kind of adapter; there is {', '.join(kinds)}.", code="unknown_kind")


def check_fits(
    config: Config, domain: str, kind: Kind, dataset_name: str | None = None, parent_version: str | None = None
) -> None:
    """Raise UserError where a domain, or an option, has no meaning for a kind."""
    settings = config.domain(domain)
    if settings.multi_task and kind != "multi-task":
        raise UserError(
            f"{domain} is made of several tasks ({', '.join(settings.multi_task.tasks)}): train it with "
            f"`--kind multi-task`, or one of them with `--kind {kind}`.",
            code="unsupported_kind",
        )
    if kind == "multi-task" and not settings.multi_task:
        raise UserError(
            f"{domain} is one task: add a domain with `multi_task: {{tasks: [{domain}, …]}}` to {config.path}, and "
            "train that one.",
            code="unsupported_kind",
        )
    if kind in ("reading", "mixed", "documents"):
        require_reader(config, domain)
    if kind == "documents" and config.training.balance.by:
        raise UserError(
            f"Documents are learned from whole and belong to no {config.training.balance.by}: leave out "
            "`training.balance` for `--kind documents`.",
            code="unsupported_option",
        )
    if kind in ("documents", "multi-task"):
        for option, given in (("--dataset", dataset_name), ("--parent", parent_version)):
            if given:
                raise UserError(
                    f"`{option}` has no meaning for `--kind {kind}`: leave it out; {WITHOUT_OPTIONS[kind]}.",
                    code="unsupported_option",
                )


def require_reader(config: Config, domain: str) -> None:
    """Raise UserError where a domain's task reads no documents."""
    task = config.domain(domain).task
    if task != "answers":
        raise UserError(
            f"{domain} has the task {task}, which works on the text it is given and reads no passages: train it with "
            "`--kind closed-book`.",
            code="unsupported_kind",
        )
