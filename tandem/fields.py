"""Types of the values in `tandem.yaml`, and what its sections have in common."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tandem.errors import UserError
from tandem.names import validate_name

PositiveInt = Annotated[int, Field(gt=0, strict=True)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def as_list(value: object) -> object:
    """One path as a list of one."""
    return [value] if isinstance(value, str | Path) else value


def as_names(value: object) -> object:
    """Text with commas as a list of names, as in front matter."""
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


def file_or_name(value: Path | str | None) -> Path | str | None:
    """An absolute path is a file, anything else a name."""
    return Path(value) if isinstance(value, str) and Path(value).is_absolute() else value


def off_as_written(value: object) -> object:
    """YAML reads a bare `off` as false."""
    return "off" if value is False else value


def domain_name(name: str) -> str:
    """`name`, which is to be one that folders and adapters can bear."""
    try:
        return validate_name(name, "domain")
    except UserError as error:
        raise ValueError(error.message) from error


def regular_expression(pattern: str) -> str:
    """`pattern`, which is to compile."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression ({error})") from error
    return pattern


def http_address(url: str) -> str:
    """`url` without a slash at its end."""
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
        raise ValueError(f"{url!r} is not an address such as http://127.0.0.1:8000")
    return url.rstrip("/")


AdapterRank = Literal[1, 8, 16, 32, 64, 128, 256, 320, 512]
"""The ranks that vLLM serves."""

DomainName = Annotated[str, AfterValidator(domain_name)]


class Section(BaseModel):
    """What all sections have in common: no unknown keys, no changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
