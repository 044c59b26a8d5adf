"""The tokenizer of ``models/tiny``: byte-level BPE over teaching text, digits and passage markers one token each.

A marker ``[n]`` is a single token, so that binding a passage to its number is a matter of one position. The chat
template is ChatML with a space before the assistant's text: the first word of an answer is then the same token as that
word in the middle of a passage, and copying it needs no second spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tandem.prompt import MAX_PASSAGES

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
WORD_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\p{N}|\s+(?!\S)|\s+"
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\n' -}}"
    "{%- if message['role'] == 'assistant' -%}{{- ' ' + message['content'] | trim -}}"
    "{%- else -%}{{- message['content'] -}}{%- endif -%}"
    "{{- '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> PreTrainedTokenizerFast:
    """Train the tokenizer; the same texts give the same tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORD_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    markers = [AddedToken(f"[{number}]", normalized=False) for number in range(1, MAX_PASSAGES + 1)]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size - len(markers),
        special_tokens=[END_OF_TEXT, TURN_START, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens(markers)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def word_pieces(tokenizer: PreTrainedTokenizerFast) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The vocabulary's lower-case pieces that begin a word, and those that go on with one, in alphabetical order."""
    tokens = sorted(tokenizer.get_vocab())
    firsts = tuple(token[1:] for token in tokens if token.startswith("Ġ") and re.fullmatch("[a-z]+", token[1:]))
    return firsts, tuple(token for token in tokens if re.fullmatch("[a-z]+", token))
