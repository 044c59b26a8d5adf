"""The ways of answering: the word after the slash in a model name such as `helpdesk/rag`."""

from typing import Final

VARIANTS: Final = ("base", "finetuned", "rag", "hybrid", "auto")

RETRIEVING: Final = frozenset({"rag", "hybrid"})
"""Variants whose prompt shows retrieved passages."""

TUNED: Final = frozenset({"finetuned", "hybrid"})
"""Variants that answer with an adapter on top of the base model."""
