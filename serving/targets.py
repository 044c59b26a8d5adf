"""Model names: `<domain>/<variant>`, optionally `@<version>`."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

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
    base, _, version = name.partition("@")
    domain, _, variant = base.partition("/")
    if domain not in config.domains or variant not in VARIANTS:
        known = [f"{domain}/{variant}" for domain in config.domains for variant in VARIANTS]
        raise NotFound(f"There is no model {name!r}; {nearest(base, known)}.", code="model_not_found", param="model")
    target = Target(domain, variant, version or None)
    if "@" in name and target.variant not in TUNED:
        raise NotFound(
            f"{base!r} answers without an adapter and has no versions; leave out '@{version}'.",
            code="model_not_found",
            param="model",
        )
    return target


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


def check_answerable(target: Target) -> None:
    """Raise Conflict where nothing stands behind the target yet, with the way out."""
    reason = why_not_answerable(target)
    if reason is not None:
        code, sentence = reason
        raise Conflict(sentence, code=code, param="model")


def why_not_answerable(target: Target) -> tuple[str, str] | None:
    """Code and sentence where nothing stands behind the target yet; None where it answers."""
    if target.variant in TUNED:
        return "no_adapter", (
            f"The domain {target.domain!r} has no adapter yet, so {target.name!r} cannot answer; train one on the "
            f"domain's examples (`tandem train {target.domain}`), or ask '{target.domain}/rag'."
        )
    if target.variant == "auto":
        return "no_router", (
            f"The domain {target.domain!r} has no verdict to choose a variant by, so {target.name!r} cannot answer; "
            f"ask '{target.domain}/rag' or '{target.domain}/base'."
        )
    return None


def nearest(wrong: str, known: Iterable[str]) -> str:
    """'did you mean …?' or the list of what there is."""
    known = list(known)
    close = difflib.get_close_matches(wrong, known, n=1)
    return f"did you mean {close[0]!r}" if close else f"there are {', '.join(known)}"
