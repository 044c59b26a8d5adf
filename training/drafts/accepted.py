"""Accepted drafts as examples: only those whose evidence the documents still hold, and a count of all."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tandem.errors import UserError
from training.checks import TextOf
from training.drafts.proposals import find_quote
from training.drafts.store import Draft
from training.examples import Example
from training.leaving import OUTDATED, Leaving
from training.splitting import Split


@dataclass
class AcceptedDrafts:
    """What of a domain's drafts goes into preparing, and what does not."""

    examples: list[Example] = field(default_factory=list)
    left: list[Leaving] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)

    @property
    def accepted(self) -> int:
        """Drafts that a person accepted."""
        return self.states["accepted"]

    def refuse_names_of(self, others: Sequence[Example], source: Path | str) -> None:
        """Raise UserError where other examples have the id of an accepted draft: they would be trained on twice."""
        names = {example.id for example in self.examples} | {item.id for item in self.left}
        twice = [example.id for example in others if example.id in names]
        if twice:
            raise UserError(
                f"{source} has the example {twice[0]!r}, which is an accepted draft in the workspace too"
                f"{f', and {len(twice) - 1} more such' if len(twice) > 1 else ''}: take it out of the file, or set "
                "`training.drafts` to false.",
                code="invalid_examples",
                ids=twice,
            )


def accepted_drafts(drafts: Sequence[Draft], text_of: TextOf | None) -> AcceptedDrafts:
    """The accepted ones of the drafts.

    Without `text_of` nothing is indexed, and the evidence is taken as it was when a person accepted it.
    """
    found = AcceptedDrafts(states=Counter(draft.state for draft in drafts))
    for draft in drafts:
        if draft.state != "accepted":
            continue
        reason = _outdated(draft, text_of) if text_of else None
        if reason:
            found.left.append(Leaving(draft.id, OUTDATED, reason))
        else:
            found.examples.append(draft.as_example())
    return found


def synthetic_account(kept: Sequence[Example], parts: Split, drafted: AcceptedDrafts) -> dict[str, int]:
    """How many synthetic examples are where; empty where there is neither one nor a draft."""
    counts = {
        name: sum(example.synthetic for example in part)
        for name, part in (
            ("kept", kept),
            ("train", parts.train),
            ("validation", parts.validation),
            ("test", parts.test),
        )
    }
    if not any(counts.values()) and not drafted.states:
        return {}
    states = {f"drafts_{state}": drafted.states[state] for state in ("open", "accepted", "rejected")}
    return counts | {"of": len(kept)} | states | {"drafts_outdated": len(drafted.left)}


def synthetic_lines(account: Mapping[str, int]) -> list[str]:
    """The account for people."""
    parts = f"{account['train']} to train on, {account['validation']} for validation, {account['test']} for the test"
    drafted = f"{account['kept']} of {account['of']} kept examples were drafted by a program and accepted by a person"
    lines = [f"synthetic: {drafted} ({parts})"]
    if account["drafts_open"]:
        lines.append(f"drafts: {account['drafts_open']} wait for review (`tandem data review`) and are not among them")
    if account["drafts_outdated"]:
        lines.append(
            f"drafts: {account['drafts_outdated']} accepted ones left, as their documents no longer hold their evidence"
        )
    return lines


def _outdated(draft: Draft, text_of: TextOf) -> str | None:
    text = text_of(draft.document)
    if text is None:
        return f"there is no document {draft.document}"
    if find_quote(text, draft.quote, draft.start) is None:
        return f"{draft.document} no longer says what it rests on, word for word"
    return None
