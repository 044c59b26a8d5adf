"""HTML: the page's own content as Markdown, without navigation and other frame."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import css_inline
from lxml import etree
from lxml import html as lxml_html

from retrieval.documents import UnreadableDocument, clean_text, count_invisible
from retrieval.parsers.hidden import drop_hidden
from retrieval.parsers.parsed import Parsed
from retrieval.parsers.text import decode
from retrieval.structure import headings, tight_lists

# The share of the headings, and of the words outside links, that has to survive the removal of the
# frame (which is mostly links); below it the extraction took content for frame, as on short pages.
KEPT_SHARE: Final = 0.8

MAX_VALUE: Final = 2_000
"""Characters of what a page says of itself."""
_CHARSET: Final = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w-]+)""", re.IGNORECASE)
_DROPPED: Final = frozenset(
    {
        *("aside", "footer", "header", "head", "nav"),
        *("button", "iframe", "noscript", "object", "script", "select", "style", "svg", "template"),
    }
)
_BLOCKS: Final = frozenset(
    {
        *("address", "article", "blockquote", "details", "div", "figcaption", "figure", "form", "hr", "main"),
        *("ol", "p", "pre", "section", "summary", "table", "tr", "ul"),
    }
)


def parse_html(data: bytes) -> Parsed:
    """The page's `main` or only `article` where it marks one, else what trafilatura takes for content.

    Where that is nothing or too little, everything outside `nav`, `header`, `footer` and `aside`.
    """
    source = _decode(data)
    tree = _tree(_styled(clean_text(source)))
    if tree is None:
        return Parsed("")
    hidden = count_invisible(source) + drop_hidden(tree)
    title = _title(tree)
    metadata = _about(tree)
    _simplify(tree)
    marked = tree.xpath("//main") or tree.xpath("//article")
    text = _plain(marked[0]) if len(marked) == 1 else _content(tree)
    return Parsed(clean_text(text), title, metadata, hidden=hidden + count_invisible(text))


def _content(tree: Any) -> str:
    extracted, plain = _extract(tree), _plain(tree)
    linked = sum(len(link.text_content().split()) for link in tree.xpath("//body//a"))
    enough = len(extracted.split()) >= KEPT_SHARE * (len(plain.split()) - linked)
    titles = [heading.title for heading in headings(plain)[1:]]
    kept = sum(heading.title in titles for heading in headings(extracted))
    return extracted if extracted and enough and kept >= KEPT_SHARE * len(titles) else plain


def _decode(data: bytes) -> str:
    """UTF-8, or the encoding that the page declares."""
    try:
        return decode(data)
    except UnreadableDocument:
        declared = _CHARSET.search(data[:4096])
        if declared is None or declared[1].lower() in {b"utf-8", b"utf8"}:
            raise
    try:
        return data.decode(declared[1].decode())
    except (LookupError, UnicodeDecodeError):
        raise UnreadableDocument(f"The page is not in the encoding that it declares, {declared[1].decode()}.") from None


def _styled(source: str) -> str:
    """The page with what its own style sheets say at each element; as it is where they cannot be read."""
    if "<style" not in source.lower():
        return source
    try:
        return css_inline.CSSInliner(load_remote_stylesheets=False).inline(source)
    except css_inline.InlineError:
        return source


def _tree(source: str) -> Any | None:
    # A declaration of the encoding is about the bytes, which are decoded already; lxml refuses it in a string.
    source = re.sub(r"^\s*<\?xml[^>]*\?>", "", source)
    try:
        return lxml_html.document_fromstring(source)
    except etree.ParserError:
        return None


def _title(tree: Any) -> str | None:
    """The first `h1` if there is one, else the page's `title`."""
    for path in ("//h1", "//head/title"):
        for element in tree.xpath(path):
            if text := " ".join(element.text_content().split()):
                return str(text)
    return None


def _about(tree: Any) -> dict[str, Any]:
    """What the page says of itself: its language, the address it calls its own, its licence."""
    found = {
        "language": [tree.get("lang")],
        "source": tree.xpath("//head/link[@rel='canonical']/@href"),
        "licence": tree.xpath("//*[@rel='license']/@href | //head/meta[@name='license']/@content"),
    }
    first = {key: " ".join(str(next(filter(None, values), "")).split())[:MAX_VALUE] for key, values in found.items()}
    return {key: value for key, value in first.items() if value}


def _simplify(tree: Any) -> None:
    """Inline emphasis without marks, and definition lists (which trafilatura drops) as paragraphs."""
    etree.strip_tags(tree, "b", "strong", "i", "em", "u", "mark", "small")
    for term in tree.xpath("//dt"):
        term.tag = "p"
        definition = term.getnext()
        if definition is not None and definition.tag == "dd":
            term.text = f"{' '.join(term.text_content().split())}: {' '.join(definition.text_content().split())}"
            for child in list(term):
                term.remove(child)
            definition.getparent().remove(definition)
    for element in tree.xpath("//dd"):
        element.tag = "p"
    for element in tree.xpath("//dl"):
        element.tag = "div"


@cache
def _settings() -> Any:
    """trafilatura's own, but pages of a few words count too, and no signal handlers are set."""
    from trafilatura.settings import use_config

    config = use_config()
    for key in ("MIN_EXTRACTED_SIZE", "MIN_OUTPUT_SIZE"):
        config.set("DEFAULT", key, "1")
    config.set("DEFAULT", "EXTRACTION_TIMEOUT", "0")
    return config


def _extract(tree: Any) -> str:
    import trafilatura

    extract: Callable[..., str | None] = trafilatura.extract
    text = extract(
        lxml_html.tostring(tree, encoding="unicode"),
        config=_settings(),
        output_format="markdown",
        include_formatting=True,
        include_tables=True,
        include_comments=False,
        favor_recall=True,
    )
    return text or ""


def _plain(tree: Any) -> str:
    """Our own walk: headings, list items and table rows as Markdown, everything in order."""
    pieces: list[str] = []
    _walk(tree, pieces)
    lines = [" ".join(line.split()) for line in "".join(pieces).split("\n")]
    return tight_lists(re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip())


def _walk(element: Any, pieces: list[str]) -> None:
    tag = element.tag
    if not isinstance(tag, str) or tag in _DROPPED:
        return
    if re.fullmatch("h[1-6]", tag):
        pieces.append(f"\n\n{'#' * int(tag[1])} {' '.join(element.text_content().split())}\n\n")
        return
    before, after = _marks(tag)
    pieces.append(before + (element.text or ""))
    for child in element:
        _walk(child, pieces)
        pieces.append(child.tail or "")
    pieces.append(after)


def _marks(tag: str) -> tuple[str, str]:
    if tag == "li":
        return "\n- ", "\n"
    if tag in {"td", "th"}:
        return "", " | "
    if tag == "tr":
        return "\n| ", "\n"
    if tag == "br":
        return "\n", ""
    return ("\n\n", "\n\n") if tag in _BLOCKS else ("", "")
