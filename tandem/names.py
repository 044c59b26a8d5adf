"""Names that become folders, URL segments and model names, so their alphabet is narrow."""

import re
from pathlib import Path
from typing import Final

from tandem.errors import UserError

NAME_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def is_name(name: str) -> bool:
    """Whether `name` may name a domain: 1 to 63 of a-z, 0-9 and `-`, not starting with `-`."""
    return NAME_PATTERN.fullmatch(name) is not None


def validate_name(name: str, what: str) -> str:
    """Return `name`; raise UserError, which names `what` and the rule, when it is not one."""
    if is_name(name):
        return name
    raise UserError(
        f"{name!r} cannot be the name of a {what}: use 1 to 63 of the characters a-z, 0-9 and '-', "
        "starting with a letter or a digit.",
        code="invalid_name",
    )


def base_name(base_model: str) -> str:
    """What is shown of a base model: a hub id, or a folder's name without its path."""
    return Path(base_model).name if Path(base_model).is_absolute() else base_model
