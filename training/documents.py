"""Continued pretraining: the indexed documents' own words, packed into blocks, with a loss on every token."""

import hashlib
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from retrieval.documents import Document, document_digest
from tandem.errors import NotFound, UserError
from tandem.prompt import build_messages, clean_text
from tandem.settings import Config
from tandem.workspace import Workspace
from training.base import Base
from training.dataset import Dataset
from training.prepare import open_index
from training.references import PROMPTS
from training.rows import Row
from training.splitting import Split
from training.tokens import ChatTokens, TokenRow

_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s")


@dataclass(frozen=True)
class DocumentSet(Dataset):
    """The indexed documents as a dataset; `digest` is over their ids, titles and texts, the seed and the share."""

    train: tuple[Document, ...] = ()
    unseen: tuple[Document, ...] = ()
    """Held out, for validation."""
    snapshot: int = 0


def find_documents(config: Config, workspace: Workspace, domain: str) -> DocumentSet:
    """The documents of the domain's live index, parted by the seed into those to train on and those to watch.

    Raises NotFound (`no_index`) and UserError (`too_few_documents`) where there are not two documents at least.
    """
    settings = config.training
    with open_index(config, workspace, domain) as index:
        if index is None:
            raise NotFound(
                f"A documents adapter is trained on the index, and {domain} is not indexed yet: run "
                f"`tandem index {domain}`.",
                code="no_index",
            )
        documents, snapshot = [index.document(info.id) for info in index.documents()], index.snapshot
    if len(documents) < 2:
        raise UserError(
            f"Training on documents needs one to learn from and another to watch, and {domain} has {len(documents)} "
            f"indexed: add documents and run `tandem index {domain}`.",
            code="too_few_documents",
        )
    count = min(max(1, round(settings.validation_share * len(documents))), len(documents) - 1)
    held = set(random.Random(settings.seed).sample(sorted(document.id for document in documents), count))
    train, unseen = (tuple(one for one in documents if (one.id in held) is kept) for kept in (False, True))
    content = [domain, settings.seed, *([[one.id, document_digest(one)] for one in part] for part in (train, unseen))]
    digest = hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
    return DocumentSet(domain, digest, workspace.index_folder(domain), Split([], []), {}, train, unseen, snapshot)


def document_text(document: Document) -> str:
    """What is learned of a document: its title, unless the text begins with it, and its text as prompts show it."""
    text, title = clean_text(document.text), clean_text(document.title)
    return text if title.casefold() in text[: len(title) + 8].casefold() else f"{title}\n\n{text}"


def packed(documents: Sequence[Document], tokenizer: Any, end: int, size: int) -> list[Row]:
    """Rows of up to `size` tokens: the documents one after the other, each followed by the token `end`.

    A block begins with the last token of the block before it, so that every token but the very first is predicted
    exactly once. A row names the documents that it holds a part of.
    """
    tokens: list[int] = []
    owners: list[int] = []
    for number, document in enumerate(documents):
        ids = [*tokenizer(document_text(document), add_special_tokens=False)["input_ids"], end]
        tokens += ids
        owners += [number] * len(ids)
    starts = range(0, max(len(tokens) - 1, 0), size - 1)
    return [
        _block(
            f"block-{number}",
            tokens[start : start + size],
            tuple(documents[owner].id for owner in sorted(set(owners[start : start + size]))),
        )
        for number, start in enumerate(starts)
    ]


def block_size(config: Config, base: Base) -> int:
    """Tokens of a block: the setting, or what the base model takes."""
    return min(config.training.block_tokens, base.context_tokens or config.training.block_tokens)


def prompted(documents: Sequence[Document], chat: ChatTokens, system_prompt: str | None) -> list[Row]:
    """Rows whose prompts are those that a served adapter sees: the domain's prompt and a document's title, without
    passages; the answer is the first sentence. They are asked for reference answers and never trained on."""
    rows = []
    for document in documents[:PROMPTS]:
        messages = build_messages(clean_text(document.title), None, system_prompt)
        first = _SENTENCE_END.split(clean_text(document.text), maxsplit=1)[0]
        rows.append(Row(document.id, messages, first, (document.id,), chat.row(messages, first)))
    return rows


def describe_blocks(documents: DocumentSet, train: Sequence[Row], unseen: Sequence[Row], size: int) -> dict[str, Any]:
    """What the card says of the blocks."""
    return {
        "block_tokens": size,
        "train_documents": len(documents.train),
        "unseen_documents": len(documents.unseen),
        "train_tokens": sum(len(row.tokens.completion_ids) for row in train),
        "unseen_tokens": sum(len(row.tokens.completion_ids) for row in unseen),
    }


def _block(name: str, ids: list[int], documents: tuple[str, ...]) -> Row:
    # No token before the first predicts it, so it takes the prompt's place, which has no loss.
    return Row(name, [], "", documents, TokenRow(ids[:1], ids[1:]))
