"""Pages for people: one HTML file each that needs nothing from elsewhere, all in the same style (`page.css`)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def render_page(template: Path, values: Mapping[str, Any], filters: Mapping[str, Callable[..., Any]]) -> str:
    """A Jinja template with its values. What is not marked as safe is escaped; a value that is missing is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment.get_template(template.name).render(values)
