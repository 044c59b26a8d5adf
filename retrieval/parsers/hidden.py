"""What a reader of a page does not see: words put there for machines alone, found by their styles."""

import re
from itertools import chain
from typing import Any, Final

_NOTHING: Final = re.compile(r"(?:0+\.?0*|\.0+)(?:[a-z]+|%)?")
# Far more than the width of a screen: a hundred pixels or per cent are layouts of what is seen.
_FAR_AWAY: Final = re.compile(r"-(?:999|\d{4,})(?:\.\d+)?(?:px|em|rem|pt|vw|vh|%)?")
_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
_NO_COLOUR: Final = frozenset({"none", "inherit", "initial", "unset", "revert", "currentcolor"})
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
        or any(_FAR_AWAY.fullmatch(style.get(key, "")) for key in ("left", "top", "text-indent"))
        or _of_the_background(element, style)
    )


def _of_the_background(element: Any, style: dict[str, str]) -> bool:
    """Whether the words have the colour of what is behind them, as far as inline styles say both."""
    colour = _colour(style.get("color", ""))
    if colour in {"", "transparent"}:
        # Words with a picture cut out to their shape are seen, whatever their own colour.
        return bool(colour) and "text" not in {style.get("background-clip"), style.get("-webkit-background-clip")}
    return colour == next(filter(None, map(_background, chain([element], element.iterancestors()))), None)


def _background(element: Any) -> str:
    style = _style(element)
    colour = _colour(style.get("background-color") or style.get("background") or element.get("bgcolor") or "")
    return "" if colour == "transparent" else colour


def _style(element: Any) -> dict[str, str]:
    """Property → value, in lower case; as in browsers the last of equal ones counts, important ones before others."""
    common: dict[str, str] = {}
    important: dict[str, str] = {}
    for part in _COMMENT.sub("", element.get("style") or "").lower().split(";"):
        name, _, value = part.partition(":")
        value, mark, _ = value.partition("!")
        (important if mark else common)[name.strip()] = value.strip()
    return common | important


def _colour(value: str) -> str:
    """A colour as `#rrggbb` where it is written in one of the common ways, else as it is; empty for none."""
    value = "" if value in _NO_COLOUR else _NAMED.get(value, value)
    if re.fullmatch("#[0-9a-f]{3}", value):
        return "#" + "".join(2 * digit for digit in value[1:])
    if match := _RGB.fullmatch(value):
        return "#" + "".join(f"{int(part):02x}" for part in match.groups())
    return value
