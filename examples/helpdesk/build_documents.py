"""Makes the handbook's PDF and DOCX files from the Markdown under `source/`, the same bytes each time.

    python examples/helpdesk/build_documents.py

`source/documents/services/care-plan.pdf.md` becomes `documents/services/care-plan.pdf`. Needs fpdf2 and
python-docx (the extra `dev`).
"""

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

FOLDER: Final = Path(__file__).parent
EDITIONS: Final = {"documents": "spring edition", "documents-v2": "autumn edition"}
# Both formats store times; a fixed one keeps the files the same from build to build.
BUILD_TIME: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Block:
    """One block of the Markdown subset that the sources use."""

    kind: Literal["title", "heading", "bullet", "paragraph", "table"]
    text: str = ""
    rows: tuple[tuple[str, ...], ...] = ()


def read_blocks(markdown: str) -> Iterator[Block]:
    """Yield the blocks of `markdown`: headings, bullets, tables, and paragraphs of one line."""
    lines = [line.strip() for line in markdown.splitlines()]
    rows: list[tuple[str, ...]] = []
    for line in [*lines, ""]:
        if line.startswith("|"):
            cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
            if not all(re.fullmatch("-+", cell) for cell in cells):
                rows.append(cells)
            continue
        if rows:
            yield Block("table", rows=tuple(rows))
            rows = []
        if line.startswith("# "):
            yield Block("title", line[2:])
        elif line.startswith("## "):
            yield Block("heading", line[3:])
        elif line.startswith("- "):
            yield Block("bullet", line[2:])
        elif line:
            yield Block("paragraph", line)


def pdf_bytes(markdown: str, edition: str) -> bytes:
    """Set `markdown` as an A4 page or more, with the edition at the foot of the last one.

    Raises ValueError where it holds a table, which no PDF of the handbook does.
    """
    from fpdf import FPDF

    pdf = FPDF(format="A4")
    pdf.set_creation_date(BUILD_TIME)
    pdf.set_producer("Wendlemark handbook")
    # Uncompressed: the bytes then do not depend on the machine's zlib.
    pdf.set_compression(False)
    pdf.set_margin(22)
    pdf.add_page()

    def write(text: str, size: float, style: Literal["", "B", "I"] = "", indent: float = 0, after: float = 2) -> None:
        pdf.set_font("Helvetica", style=style, size=size)
        pdf.set_x(pdf.l_margin + indent)
        pdf.multi_cell(0, size * 0.5, text, align="L", new_x="LMARGIN", new_y="NEXT")
        pdf.ln(after)

    for block in read_blocks(markdown):
        match block.kind:
            case "title":
                pdf.set_title(block.text)
                write(block.text, 20, "B", after=4)
            case "heading":
                pdf.ln(2)
                write(block.text, 14, "B")
            case "bullet":
                write(f"- {block.text}", 11, indent=4, after=1)
            case "paragraph":
                write(block.text, 11)
            case "table":
                raise ValueError("A PDF source holds a table; write it as a list.")
    write(f"Wendlemark support handbook, {edition}", 9, "I")
    return bytes(pdf.output())


def docx_bytes(markdown: str, edition: str) -> bytes:
    """Set `markdown` as a Word document in its built-in styles, with the edition in the page footer."""
    from docx import Document

    document = Document()
    styles = {"title": "Title", "heading": "Heading 1", "bullet": "List Bullet", "paragraph": "Normal"}
    for block in read_blocks(markdown):
        if block.kind == "title":
            document.core_properties.title = block.text
        if block.kind != "table":
            document.add_paragraph(block.text, style=styles[block.kind])
            continue
        table = document.add_table(rows=0, cols=len(block.rows[0]), style="Table Grid")
        for row in block.rows:
            for cell, text in zip(table.add_row().cells, row, strict=True):
                cell.text = text
    document.sections[0].footer.paragraphs[0].text = f"Wendlemark support handbook, {edition}"
    properties = document.core_properties
    properties.author = properties.last_modified_by = "Wendlemark"
    properties.created = properties.modified = BUILD_TIME.replace(tzinfo=None)
    buffer = io.BytesIO()
    document.save(buffer)
    return _with_fixed_times(buffer.getvalue())


def _with_fixed_times(archive: bytes) -> bytes:
    """The same zip archive, each member dated BUILD_TIME instead of now."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(archive)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name, BUILD_TIME.timetuple()[:6]), old.read(name), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def build(folder: Path = FOLDER) -> dict[Path, bytes]:
    """The path and the bytes of every PDF and DOCX that the sources under `folder` describe."""
    made = {}
    for name, edition in EDITIONS.items():
        sources = folder / "source" / name
        for source in sorted(sources.rglob("*.md")):
            target = folder / name / source.relative_to(sources).with_suffix("")
            write = {".pdf": pdf_bytes, ".docx": docx_bytes}[target.suffix]
            made[target] = write(source.read_text(encoding="utf-8"), edition)
    return made


def main() -> None:
    """Write every PDF and DOCX into its place."""
    for path, content in build().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    main()
