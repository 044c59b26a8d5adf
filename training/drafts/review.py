"""What a person may do to a draft, checked: one rule for the terminal and for a spreadsheet."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from retrieval.documents import clean_text
from tandem.errors import Conflict
from tandem.workspace import Workspace
from training.checks import holds
from training.drafts.drafting import wrong_to_train_on
from training.drafts.proposals import find_quote
from training.drafts.store import Draft, State, change_drafts

EDITABLE: Final = ("question", "answer", "value", "quote")


@dataclass(frozen=True)
class Decision:
    """What a draft is to be: its texts and its state."""

    question: str
    answer: str
    value: str | None
    quote: str
    state: State

    @classmethod
    def of(cls, draft: Draft, state: State) -> "Decision":
        """The draft as it is, in another state."""
        return cls(draft.question, draft.answer, draft.value, draft.quote, state)


def decide(draft: Draft, decision: Decision, reviewer: str, text: str | None) -> tuple[Draft, list[str]]:
    """The draft after a decision, and what is wrong with it, one clause each; `text` is its document's, None if gone.

    The same draft comes back where nothing changes. A rejection may leave any text behind.
    """
    texts = {key: _tidied(getattr(decision, key)) for key in EDITABLE}
    quote = texts["quote"] or ""
    edited = texts != {key: _tidied(getattr(draft, key)) for key in EDITABLE}
    if not edited and decision.state == draft.state:
        return draft, []
    changed = replace(
        draft,
        question=texts["question"] or "",
        answer=texts["answer"] or "",
        value=texts["value"],
        quote=quote,
        state=decision.state,
        edited=draft.edited or edited,
        revision=draft.revision + 1,
        reviewed_by=None if decision.state == "open" else reviewer,
        reviewed_at=None if decision.state == "open" else datetime.now(UTC).isoformat(timespec="seconds"),
    )
    if decision.state == "rejected":
        return changed, []
    problems = [f"`{key}` is empty" for key in ("question", "answer", "quote") if not texts[key]]
    problems += wrong_to_train_on(changed)
    if changed.value and not holds(quote, changed.value):
        problems.append(f"`value` {changed.value!r} does not stand in `quote`")
    place = find_quote(text, quote, draft.start) if text is not None else None
    if text is None:
        problems.append(f"the document {draft.document!r} is no longer indexed, so the draft can only be rejected")
    elif place is None and quote:
        problems.append(f"`quote` does not stand in {draft.document!r}, letter by letter")
    return (replace(changed, start=place[0], end=place[1]) if place else changed), problems


def save_decisions(workspace: Workspace, domain: str, changed: Sequence[tuple[Draft, Draft]]) -> None:
    """Write (before, after) pairs in one go. Raises Conflict (`draft_changed`), and writes none, where one of them is
    no longer what it was."""
    if not changed:
        return

    def apply(drafts: list[Draft]) -> list[Draft]:
        places = {draft.id: place for place, draft in enumerate(drafts)}
        for before, after in changed:
            place = places.get(before.id)
            if place is None or drafts[place] != before:
                raise Conflict(
                    f"The draft {before.id} was changed by someone else meanwhile; look at it again.",
                    code="draft_changed",
                    id=before.id,
                )
            drafts[place] = after
        return drafts

    change_drafts(workspace, domain, apply)


def _tidied(text: str | None) -> str | None:
    """A text as the index keeps texts, so that they can be compared; None for none."""
    return clean_text(text).strip() or None if text is not None else None
