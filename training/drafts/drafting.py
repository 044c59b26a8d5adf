"""Documents in, drafts out: what a program proposes is checked against the document before it is kept."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from retrieval.documents import clean_text
from tandem.errors import ConfigError, NotFound, UserError
from tandem.settings import Config
from tandem.workspace import Workspace
from training.checks import holds
from training.cleaning import normalise
from training.contamination import Questions
from training.drafts import model, rules
from training.drafts.model import Ask, Piece, Unusable
from training.drafts.proposals import Proposal, Source, find_quote
from training.drafts.store import Draft, change_drafts, draft_id, read_drafts
from training.drafts.wordings import WORDINGS
from training.examples import contradictions, read_questions, read_source
from training.languages import language_of
from training.prepare import open_index

if TYPE_CHECKING:
    from retrieval.index import Index

LONGEST_QUESTION: Final = 300
LONGEST_QUOTE: Final = 1200
DETECTED: Final = 4000
"""Characters of a document that its language is told by."""
PIECES_AT_ONCE: Final = 8
"""Answers of the model after which its drafts are saved."""
VALUE: Final = "{value}"
LIKE: Final = {"exact": "its question", "near": "nearly its question", "overlap": "it in eight words in a row"}

Progress = Callable[[str, int, int], None]
Item = TypeVar("Item")
Offered = tuple[Source, Proposal | Unusable]


@dataclass(frozen=True)
class Wanted:
    """What to draft; `limit` counts new drafts, `per_document` also those that are there and not rejected."""

    limit: int | None = None
    per_document: int = 8
    answer: str | None = None
    """The house style: a text with `{value}` in it."""
    licence: str | None = None
    """Of documents whose metadata name no `licence`."""
    basis: str | None = None
    """Of documents whose metadata name no `basis`."""

    def __post_init__(self) -> None:
        if self.answer is not None and self.answer.count(VALUE) != 1:
            raise UserError(
                f"The answer's form {self.answer!r} has to hold {VALUE} once, where the fact goes.", code="invalid_form"
            )


@dataclass
class Account:
    """What came of drafting; every proposal that was not kept is counted by its reason."""

    documents: int
    languages: dict[str, int]
    """Language → documents in it."""
    only_headings: list[str]
    """Languages of which rules know no sentence: there they take headings that are questions, and nothing else."""
    added: list[str] = field(default_factory=list)
    made_by: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    refused: list[dict[str, str]] = field(default_factory=list)
    """Each proposal that was not kept: `document`, `question`, `quote`, `reason`; texts are "" where there are none."""
    without: list[str] = field(default_factory=list)
    """Documents of which there is no draft."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"made_by": dict(self.made_by), "left": dict(self.left.most_common())}


def draft_by_rules(config: Config, workspace: Workspace, domain: str, wanted: Wanted) -> Account:
    """Draft by rules alone. Raises NotFound where nothing is indexed, UserError for a task that reads no documents."""
    drafting = _Drafting(config, workspace, domain, wanted)
    offered = [(source, proposal) for source in drafting.sources for proposal in rules.propose(source)]
    drafting.keep(offered)
    account = drafting.account()
    account.only_headings = sorted(set(account.languages) - set(WORDINGS))
    return account


def draft_by_model(
    config: Config,
    workspace: Workspace,
    domain: str,
    wanted: Wanted,
    ask: Ask,
    progress: Progress | None = None,
    name: str | None = None,
) -> Account:
    """Draft by a model (`name`; the server's base model by default).

    It makes one proposal on each piece of text of which there is no draft of it yet. What was drafted before an error
    is kept, and calling again goes on from there. Raises as `draft_by_rules` does, and what `ask` raises.
    """
    drafting = _Drafting(config, workspace, domain, wanted)
    name = name or f"{domain}/base"
    todo = _in_turns(drafting.undrafted())
    done = 0
    for batch in _batches(iter(todo), PIECES_AT_ONCE):
        if drafting.is_full:
            break
        offered: list[Offered] = []
        try:
            for piece in batch:
                if drafting.has_room(piece.source):
                    offered.append((piece.source, model.propose(piece, name, ask)))
                done += 1
                if progress:
                    progress(piece.source.document, done, len(todo))
        finally:
            drafting.keep(offered)
    return drafting.account()


class _Drafting:
    """One run of drafting: what it reads, what it keeps, what it counts."""

    def __init__(self, config: Config, workspace: Workspace, domain: str, wanted: Wanted) -> None:
        settings = config.domain(domain)
        if settings.task != "answers":
            raise ConfigError(
                f"The domain {domain} has the task {settings.task}, which reads no documents, so nothing can be "
                "drafted from any; drafts are for domains that answer questions.",
                code="unsupported_task",
            )
        self._workspace, self._domain, self._wanted = workspace, domain, wanted
        self.sources, self._metadata = _read_sources(config, workspace, domain)
        questions = read_questions(settings.questions) if settings.questions else []
        self._asked = Questions(questions)
        written = read_source(settings.examples).examples if settings.examples else []
        self._examples = {normalise(example.question) for example in written}
        languages = Counter(source.language for source in self.sources)
        self._account = Account(len(self.sources), dict(languages.most_common()), [])
        self._count(read_drafts(workspace, domain))

    @property
    def is_full(self) -> bool:
        """Whether the limit of new drafts is reached."""
        return self._wanted.limit is not None and len(self._account.added) >= self._wanted.limit

    def has_room(self, source: Source) -> bool:
        """Whether more may be drafted of a document."""
        return not self.is_full and self._of_document[source.document] < self._wanted.per_document

    def undrafted(self) -> dict[str, list[Piece]]:
        """Document → pieces that hold the evidence of no draft by the model."""
        found = {}
        for source in self.sources:
            places = [d.start for d in self._known if d.document == source.document and d.made_by.startswith("model:")]
            found[source.document] = [
                piece for piece in model.pieces(source) if not any(piece.start <= place < piece.end for place in places)
            ]
        return found

    def keep(self, offered: Sequence[Offered]) -> None:
        """Add what holds to the drafts in the workspace, in one write; count everything else."""
        checked: list[Draft] = []
        for source, proposal in offered:
            result = self._check(source, proposal)
            if isinstance(result, Draft):
                checked.append(result)
            elif isinstance(proposal, Unusable):
                self._refuse(source.document, "", "", result)
            else:
                self._refuse(source.document, proposal.question, proposal.quote, result)
        change_drafts(self._workspace, self._domain, lambda known: [*known, *self._new(known, checked)])

    def _leave(self, draft: Draft, reason: str) -> None:
        self._refuse(draft.document, draft.question, draft.quote, reason)

    def _refuse(self, document: str, question: str, quote: str, reason: str) -> None:
        self._account.left[reason] += 1
        self._account.refused.append({"document": document, "question": question, "quote": quote, "reason": reason})

    def account(self) -> Account:
        """What came of it."""
        drafted = {draft.document for draft in read_drafts(self._workspace, self._domain)}
        self._account.without = [source.document for source in self.sources if source.document not in drafted]
        return self._account

    def _count(self, known: Sequence[Draft]) -> None:
        self._known = list(known)
        self._of_document = Counter(draft.document for draft in known if draft.state != "rejected")

    def _new(self, known: Sequence[Draft], checked: Sequence[Draft]) -> list[Draft]:
        """Of the checked drafts those to add: not there yet, with a question of their own, within the limits."""
        self._count(known)
        ids, questions = {draft.id for draft in known}, {normalise(draft.question) for draft in known}
        answers: defaultdict[str, set[str]] = defaultdict(set)
        for draft in checked:
            answers[normalise(draft.question)].add(normalise(draft.answer))
        fresh: dict[str, list[Draft]] = defaultdict(list)
        for draft in checked:
            question = normalise(draft.question)
            if draft.id in ids:
                self._leave(draft, "already drafted")
            elif len(answers[question]) > 1:
                self._leave(draft, "several places answer its question, each otherwise")
            elif question in questions:
                self._leave(draft, "another draft asks the same")
            else:
                ids.add(draft.id)
                questions.add(question)
                fresh[draft.document].append(draft)
        added = set()
        for draft in _in_turns(fresh):
            if self.is_full:
                self._leave(draft, "over the limit of this run")
            elif self._of_document[draft.document] >= self._wanted.per_document:
                self._leave(draft, "over the limit of its document")
            else:
                self._of_document[draft.document] += 1
                self._account.added.append(draft.id)
                self._account.made_by[draft.made_by] += 1
                added.add(draft.id)
        # By document, as a person reads them.
        return [draft for drafts in fresh.values() for draft in drafts if draft.id in added]

    def _check(self, source: Source, proposal: Proposal | Unusable) -> Draft | str:
        """The draft, or why the proposal is none."""
        if isinstance(proposal, Unusable):
            return proposal.reason
        question = " ".join(clean_text(proposal.question).split())
        quote = clean_text(proposal.quote).strip()
        value = None if proposal.value is None else " ".join(clean_text(proposal.value).split())
        place = find_quote(source.text, quote, proposal.near)
        if place is None:
            return "its quote is not in the document"
        if len(quote) > LONGEST_QUOTE or not question or len(question) > LONGEST_QUESTION:
            return "its question or its quote is too long"
        if value == "" or (value and not holds(quote, value)):
            return "its answer is not in its quote"
        if value and holds(question, value):
            return "its question says the answer"
        bare = value or " ".join(quote.split())
        metadata = self._metadata[source.document]
        draft = Draft(
            id=draft_id(source.document, quote, question),
            document=source.document,
            start=place[0],
            end=place[1],
            quote=quote,
            question=question,
            answer=self._wanted.answer.replace(VALUE, bare) if self._wanted.answer else bare,
            value=value,
            language=source.language,
            made_by=proposal.made_by,
            drafted_at=datetime.now(UTC).isoformat(timespec="seconds"),
            licence=_text(metadata, "licence") or _text(metadata, "license") or self._wanted.licence,
            basis=_text(metadata, "basis") or self._wanted.basis,
        )
        if wrong_to_train_on(draft):
            return "it holds signs of prompts or markers of citations"
        like = self._asked.like(draft.as_example())
        if like is not None:
            return f"the evaluation asks {LIKE[like.likeness]}"
        if normalise(question) in self._examples:
            return "an example asks its question"
        return draft


def wrong_to_train_on(draft: Draft) -> list[str]:
    """What of a draft an examples file would be refused for, one clause each."""
    example = draft.as_example()
    wrong = [problem for problem in contradictions(example) if "`reviewed_by`" not in problem]
    return wrong + ["`question` holds `<|`, with which the signs of a chat template begin"] * ("<|" in draft.question)


def _read_sources(
    config: Config, workspace: Workspace, domain: str
) -> tuple[list[Source], dict[str, Mapping[str, Any]]]:
    """The indexed documents with their languages, and their metadata."""
    with open_index(config, workspace, domain) as index:
        infos = index.documents() if index else []
        if index is None or not infos:
            raise NotFound(
                f"The domain {domain} has no indexed documents to draft from: run `tandem index {domain}`.",
                code="no_index",
            )
        sources = [_source(index, info.id) for info in infos]
    return sources, {info.id: info.metadata for info in infos}


def _source(index: "Index", name: str) -> Source:
    document = index.document(name)
    return Source(name, document.title, document.text, language_of(document.text[:DETECTED]))


def _text(metadata: Mapping[str, Any], key: str) -> str | None:
    value = metadata.get(key)
    return value.strip() or None if isinstance(value, str) else None


def _in_turns(groups: Mapping[str, Sequence[Item]]) -> list[Item]:
    """The first of each group, then the second of each: a limit leaves something of every document."""
    longest = max((len(group) for group in groups.values()), default=0)
    return [group[turn] for turn in range(longest) for group in groups.values() if turn < len(group)]


def _batches(items: Iterator[Item], size: int) -> Iterable[list[Item]]:
    while batch := list(islice(items, size)):
        yield batch
