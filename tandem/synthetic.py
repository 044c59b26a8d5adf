"""How a row that a program drafted is told from one that a person wrote, wherever it turns up."""

import re
from collections.abc import Mapping
from typing import Any, Final

DRAFT_ID: Final = re.compile(r"draft-[0-9a-f]{16}")
"""Ids of drafts, in the workspace, in spreadsheets and in datasets."""


def is_synthetic(row: Mapping[str, Any]) -> bool:
    """Whether a row says that it is synthetic, or has the id of a draft."""
    return bool(row.get("synthetic")) or (isinstance(row.get("id"), str) and bool(DRAFT_ID.fullmatch(row["id"])))
