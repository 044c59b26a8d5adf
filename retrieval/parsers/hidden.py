"""What a reader of a page does not see: words put there for machines alone, found by their inline styles."""

import re
from itertools import chain
from typing import Any, Final

_NOTHING: Final = re.compile(r"0*\.?0*(?:[a-z]+|%)?")
_FAR_AWAY: Final = re.compile(r"-\d{3,}(?:\.\d+)?(?:px|em|rem|pt|vw|vh|%)?")
_RGB: Final = re.compile(r"rgba?\((\d{1,3})[,\s]+(\d{1,3})[,\s]+(\d{1,3})(?:[,\s/]+(?:1|1\.0+|100%))?\)")
_NAMED: Final = {"white": "#ffffff", "black": "#000000"}


def drop_hidden(tree: Any) -> int:
    """Take out what is not seen; returns how many characters that were."""
    characters = 0
    for element in tree.xpath("//body//*[@hidden or @style]"):
        # What went with an element around it is no longer below `tree`.
        if _hidden(element) and tree in element.iterancestors():
            characters += len(" ".join(element.text_content().split()))
            element.drop_tree()
    return characters


def _hidden(element: Any) -> bool:
    if element.get("hidden") is not None:
        return True
    style = _style(element)
    return (
        style.get("display") == "none"
        or style.get("visibility") in {"hidden", "collapse"}
        or any(_NOTHING.fullmatch(style[key]) is not None for key in ("font-size", "opacity") if style.get(key))
        or any(_FAR_AWAY.fullmatch(style.get(key, "")) for key in ("left", "top", "text-indent", "margin-left"))
        or _of_the_background(element, style)
    )


def _of_the_background(element: Any, style: dict[str, str]) -> bool:
    """Whether the words have the colour of what is behind them, as far as inline styles say both."""
    colour = _colour(style.get("color", ""))
    if colour in {"", "transparent"}:
        return bool(colour)
    return colour == next(filter(None, map(_background, chain([element], element.iterancestors()))), None)


def _background(element: Any) -> str:
    style = _style(element)
    return _colour(style.get("background-color") or style.get("background") or element.get("bgcolor") or "")


def _style(element: Any) -> dict[str, str]:
    """Property → value, in lower case; as in browsers the last of equal ones counts."""
    declarations = (part.partition(":") for part in (element.get("style") or "").lower().split(";"))
    return {name.strip(): value.replace("!important", "").strip() for name, _, value in declarations}


def _colour(value: str) -> str:
    """A colour as `#rrggbb` where it is written in one of the common ways, else as it is."""
    value = _NAMED.get(value, value)
    if re.fullmatch("#[0-9a-f]{3}", value):
        return "#" + "".join(2 * digit for digit in value[1:])
    if match := _RGB.fullmatch(value):
        return "#" + "".join(f"{int(part):02x}" for part in match.groups())
    return value
