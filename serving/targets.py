"""Model names: `<domain>/<variant>`, optionally `@<version>`."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from tandem.adapters import VERSION_PATTERN
from tandem.config import Config
from tandem.errors import Conflict, NotFound, UserError
from tandem.variants import RETRIEVING, TUNED, VARIANTS


@dataclass(frozen=True)
class Target:
    """One way of answering in one domain."""

    domain: str
    variant: str
    version: str | None = None

    @property
    def name(self) -> str:
        """The model name clients use."""
        return f"{self.domain}/{self.variant}" + (f"@{self.version}" if self.version else "")

    @property
    def retrieves(self) -> bool:
        """Whether the prompt shows passages."""
        return self.variant in RETRIEVING


def parse_model(name: str, config: Config) -> Target:
    """The target of a model name; NotFound (`model_not_found`) names the nearest that exist."""
    base, at, version = name.partition("@")
    domain, _, variant = base.partition("/")
    if domain not in config.domains or variant not in VARIANTS:
        known = [f"{domain}/{variant}" for domain in config.domains for variant in VARIANTS]
        raise NotFound(f"There is no model {name!r}; {nearest(base, known)}.", code="model_not_found", param="model")
    if at and variant not in TUNED:
        raise NotFound(
            f"{base!r} answers without an adapter and has no versions; leave out '@{version}'.",
            code="model_not_found",
            param="model",
        )
    return Target(domain, variant, check_version(version) if at else None)


def make_target(domain: str, variant: str, version: str | None, config: Config) -> Target:
    """The target that the parameters `domain`, `variant` and `version` name; `variant` may carry the version too."""
    name, at, named_version = variant.partition("@")
    version = named_version if at and version is None else version
    target = Target(check_domain(domain, config), check_variant(name), version)
    if version is not None and check_version(version) and name not in TUNED:
        raise UserError(
            f"{name!r} answers without an adapter; leave out `version`, or ask {' or '.join(sorted(TUNED))}.",
            code="unsupported_variant",
            param="version",
        )
    return target


def check_version(version: str) -> str:
    """`version`; UserError (`invalid_version`) when it is none."""
    if VERSION_PATTERN.fullmatch(version):
        return version
    raise UserError(
        f"{version!r} is no adapter version: 12 of the characters 0-9 and a-f.", code="invalid_version", param="version"
    )


def check_tuned(variant: str) -> str:
    """`variant`; UserError (`unsupported_variant`) when no adapter stands behind it."""
    if check_variant(variant) in TUNED:
        return variant
    raise UserError(
        f"{variant!r} answers without an adapter; name {' or '.join(sorted(TUNED))}.",
        code="unsupported_variant",
        param="variant",
    )


def check_domain(domain: str, config: Config) -> str:
    """`domain`; NotFound (`unknown_domain`) when the configuration has no such one."""
    if domain in config.domains:
        return domain
    raise NotFound(
        f"There is no domain {domain!r}; {nearest(domain, config.domains)}.", code="unknown_domain", param="domain"
    )


def check_variant(variant: str) -> str:
    """`variant`; UserError (`unknown_variant`) when it is none."""
    if variant in VARIANTS:
        return variant
    raise UserError(
        f"There is no variant {variant!r}; {nearest(variant, VARIANTS)}.", code="unknown_variant", param="variant"
    )


def check_answerable(target: Target, config: Config) -> None:
    """Raise Conflict (`no_router`) where nothing chooses the variant yet, UserError where the task reads nothing or
    the domain is made of several."""
    check_one_task(target.domain, config)
    task = config.domains[target.domain].task
    if target.variant == "auto":
        raise no_router(target)
    if target.retrieves and task != "answers":
        raise UserError(
            f"The domain {target.domain!r} has the task {task}, which reads no documents; ask "
            f"'{target.domain}/finetuned' or '{target.domain}/base'.",
            code="unsupported_variant",
            param="model",
        )


def check_one_task(domain: str, config: Config) -> None:
    """Raise UserError (`several_tasks`) for a domain that is made of others: these are asked, and pointed to."""
    several = config.domains[domain].multi_task
    if several:
        raise UserError(
            f"The domain {domain!r} is made of several tasks, and a request names one of them: ask or swap "
            f"{', '.join(repr(f'{task}/finetuned') for task in several.tasks)}.",
            code="several_tasks",
            param="model",
        )


def no_adapter(target: Target) -> Conflict:
    """The error where a tuned variant has no pointer."""
    kind = "reading" if target.retrieves else "closed-book"
    return Conflict(
        f"{target.name!r} cannot answer, because there is no adapter for it yet: train one "
        f"(`tandem train {target.domain} --kind {kind}`) and let it answer "
        f"(`tandem adapters swap {target.domain} VERSION --variant {target.variant}`), or ask '{target.domain}/rag'.",
        code="no_adapter",
        param="model",
    )


def no_router(target: Target) -> Conflict:
    """The error where `auto` has nothing to go by."""
    return Conflict(
        f"The domain {target.domain!r} has no verdict to choose a variant by, so {target.name!r} cannot answer; "
        f"ask '{target.domain}/rag' or '{target.domain}/base'.",
        code="no_router",
        param="model",
    )


def nearest(wrong: str, known: Iterable[str]) -> str:
    """'did you mean …?' or the list of what there is."""
    known = list(known)
    close = difflib.get_close_matches(wrong, known, n=1)
    return f"did you mean {close[0]!r}" if close else f"there are {', '.join(known)}"
