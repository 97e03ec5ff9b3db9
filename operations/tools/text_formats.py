"""Words with places, written as plain text, Markdown or HTML."""

import html
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from statistics import median

from operations.tools.layout import Block, Line, Segment, height_of, told_blocks
from operations.tools.step_files import words_in
from store.fields import PageWords, Word

# How much larger than the text of its page a line is set, for it to be a heading of a level.
_HEADING_RATIOS = ((1.9, 1), (1.5, 2), (1.25, 3))
_HEADING_LINES = 3
_HEADING_LETTERS = 200

# Those at the end are what tesseract takes bullets for.
_MARK = re.compile(r"[•‣▪●◦■□–*·¢©-](?=\s|$)")  # noqa: RUF001  # as documents have them
_NUMBER = re.compile(r"\(?(?:\d{1,3}|[a-z])[.)](?=\s|$)")

_TABLE_LINES = 3
_TABLE_COLUMNS = range(2, 13)
_MAX_CELL_LINES = 4
"""Lines of a cell under its first."""


@dataclass
class Part:
    """A piece of a page, as it is written."""

    kind: str
    """`heading`, `paragraph`, `list` or `table`."""
    rows: list[list[str]]
    """Lines of a heading or paragraph, items of a list, cells of the rows of a table."""
    level: int = 0
    """Of a heading, 1 to 3."""
    numbers: list[str] = field(default_factory=list[str])
    """Of the items of a numbered list."""


def write_text(pages: Sequence[Path], form: str, target: Path) -> None:
    """Write the text of pages.

    Args:
        pages: files of words, in order.
        form: `plain`, `markdown` or `html`.
        target: the file to write.
    """
    # Page by page: the words of a thousand pages take a gigabyte.
    read = (words_in(path) for path in pages)
    with target.open("w", encoding="utf-8") as sink:
        sink.writelines(_WRITERS[form](read))


def _plain(pages: Iterable[PageWords]) -> Iterator[str]:
    for position, page in enumerate(pages):
        blocks = ("\n".join(map(_tabbed, block)) for block in told_blocks(page.words))
        yield ("\f" if position else "") + "\n\n".join(blocks) + "\n"


def _tabbed(line: Line) -> str:
    return "\t".join(_text(segment.words) for segment in line)


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def _markdown(pages: Iterable[PageWords]) -> Iterator[str]:
    written = ("\n\n".join(map(_markdown_part, parts_of(page.words))) for page in pages)
    for position, page in enumerate(filter(None, written)):
        yield ("\n\n---\n\n" if position else "") + page
    yield "\n"


def _markdown_part(part: Part) -> str:
    if part.kind == "heading":
        return f"{'#' * part.level} {_escaped(' '.join(row[0] for row in part.rows))}"
    if part.kind == "list":
        marks = part.numbers or ["-"] * len(part.rows)
        return "\n".join(f"{m} {_escaped(row[0])}" for m, row in zip(marks, part.rows, strict=True))
    if part.kind == "table":
        first, *others = [f"| {' | '.join(map(_escaped_cell, row))} |" for row in part.rows]
        return "\n".join((first, f"|{' --- |' * len(part.rows[0])}", *others))
    return _escaped(_joined([row[0] for row in part.rows]))


_MARKDOWN = re.compile(r"([\\`*_\[\]<>])")
_LINE_START = re.compile(r"^(#{1,6}\s|>|[-+]\s|\d{1,9}[.)]\s|---|===)")


def _escaped(text: str) -> str:
    """So that what stands on the page is no mark-up."""
    text = _MARKDOWN.sub(r"\\\1", text)
    found = _LINE_START.match(text)
    return f"{text[: found.end(1) - 1].rstrip()}\\{text[found.end(1) - 1 :]}" if found else text


def _escaped_cell(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text).replace("|", "\\|")


def _html(pages: Iterable[PageWords]) -> Iterator[str]:
    yield '<!doctype html>\n<html>\n<head><meta charset="utf-8"><title>Text</title></head>\n'
    yield "<body>\n"
    for page in pages:
        parts = "".join(f"{_html_part(part)}\n" for part in parts_of(page.words))
        yield f'<section data-page="{page.number}">\n{parts}</section>\n'
    yield "</body>\n</html>\n"


def _html_part(part: Part) -> str:
    rows = [[html.escape(cell) for cell in row] for row in part.rows]
    if part.kind == "heading":
        return f"<h{part.level}>{' '.join(row[0] for row in rows)}</h{part.level}>"
    if part.kind == "list":
        tag = "ol" if part.numbers else "ul"
        return f"<{tag}>{''.join(f'<li>{row[0]}</li>' for row in rows)}</{tag}>"
    if part.kind == "table":
        cells = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"
    return f"<p>{_joined([row[0] for row in rows])}</p>"


_WRITERS: Mapping[str, Callable[[Iterable[PageWords]], Iterator[str]]] = {
    "plain": _plain,
    "markdown": _markdown,
    "html": _html,
}


def _joined(lines: Sequence[str]) -> str:
    """Lines of a paragraph as one, words divided at their ends made whole."""
    text = lines[0]
    for line in lines[1:]:
        if re.search(r"[^\W\d_]-$", text) and line[:1].islower():
            text = text[:-1] + line
        else:
            text = f"{text} {line}"
    return text


def parts_of(words: Sequence[Word]) -> list[Part]:
    """What a page is made of, whose words were each told their place in the order."""
    blocks = told_blocks(words)
    if not blocks:
        return []
    lines = [line for block in blocks for line in block]
    usual = median(height_of(line) for line in lines for segment in line for _ in segment.words)
    parts: list[Part] = []
    for is_table, group in groupby(_with_tables_joined(blocks), key=_is_table):
        for block in group:
            if is_table:
                parts.append(Part("table", _cells(block)))
            elif (level := _heading_level(block, usual)) is not None:
                parts.append(Part("heading", [[_spaced(line)] for line in block], level))
            else:
                parts.extend(_lists_and_paragraphs(block))
    return parts


def _spaced(line: Line) -> str:
    return " ".join(_text(segment.words) for segment in line)


def _with_tables_joined(blocks: Sequence[Block]) -> list[Block]:
    """The blocks, but tables apart from the rest, and one table where its rows stand apart."""
    joined: list[Block] = []
    for block in blocks:
        for piece in _pieces(block):
            if joined and _goes_on(joined[-1], piece):
                joined[-1] = [*joined[-1], *piece]
            else:
                joined.append(piece)
    return joined


def _pieces(block: Block) -> list[Block]:
    """A block, cut where rows of a table begin and end."""
    in_columns = [n for n, line in enumerate(block) if len(line) > 1]
    cuts: list[int] = []
    for _, run in groupby(enumerate(in_columns), key=lambda item: item[1] - item[0]):
        numbers = [number for _, number in run]
        cuts.extend((numbers[0], numbers[-1] + 1))
    pieces = [block[a:b] for a, b in pairwise([0, *cuts, len(block)]) if b > a]
    merged: list[Block] = []
    for piece in pieces:
        # A line under a row that goes on with one of its cells, with another row under it.
        if len(merged) > 1 and _is_row(piece) and _continues(merged[-2], merged[-1]):
            merged[-2:] = [[*merged[-2], *merged[-1], *piece]]
        else:
            merged.append(piece)
    if any(map(_is_table, merged)):
        return merged
    return [block]


def _is_row(piece: Block) -> bool:
    return len(piece[0]) > 1


def _continues(table: Block, lines: Block) -> bool:
    """Whether lines are nothing but the rest of cells of the row above them."""
    if not _is_row(table) or len(lines) > _MAX_CELL_LINES:
        return False
    row = table[-1]
    size = height_of(row)
    for (segment,) in lines:
        over = [s for s in row if abs(s.box[0] - segment.box[0]) <= size]
        right = [s.box[0] for s in row if s.box[0] > segment.box[0] + size]
        if not over or segment.box[2] > min(right, default=math.inf):
            return False
    return True


def _goes_on(table: Block, piece: Block) -> bool:
    """Whether rows that stand apart belong to the table above: they fill the same columns."""
    if not all(len(line) > 1 for line in (table[-1], *piece)):
        return False
    above, below = _columns(table), _columns(piece)
    if len(above) != len(below) or not _is_table([*table, *piece]):
        return False
    return all(
        min(a[1], b[1]) > max(a[0], b[0]) or abs(a[0] - b[0]) < height_of(piece[0])
        for a, b in zip(above, below, strict=True)
    )


def _is_table(block: Block) -> bool:
    rows = [line for line in block if len(line) > 1]
    return (
        len(rows) >= _TABLE_LINES
        and len(block[0]) > 1
        and len(block[-1]) > 1
        and len(_columns(block)) in _TABLE_COLUMNS
        and all(len(cells) == len(line) for cells, line in zip(_filled(block), block, strict=True))
    )


def _columns(block: Block) -> list[tuple[float, float]]:
    """Left and right ends of the columns: what no segment of any row crosses is between them."""
    columns: list[tuple[float, float]] = []
    spans = sorted((s.box[0], s.box[2]) for line in block for s in line)
    for left, right in spans:
        if columns and left <= columns[-1][1]:
            columns[-1] = columns[-1][0], max(right, columns[-1][1])
        else:
            columns.append((left, right))
    return columns


def _filled(block: Block) -> list[set[int]]:
    """For each row the columns in which it has something."""
    columns = _columns(block)
    return [{_column_of(segment, columns) for segment in line} for line in block]


def _column_of(segment: Segment, columns: Sequence[tuple[float, float]]) -> int:
    return next(n for n, (_, right) in enumerate(columns) if segment.box[2] <= right)


def _cells(block: Block) -> list[list[str]]:
    columns = _columns(block)
    rows: list[list[str]] = []
    for line in block:
        row = [""] * len(columns)
        for segment in line:
            row[_column_of(segment, columns)] = _text(segment.words)
        if len(line) > 1:
            rows.append(row)
        else:
            rows[-1] = [f"{cell} {more}".strip() for cell, more in zip(rows[-1], row, strict=True)]
    return rows


def _heading_level(block: Block, usual: float) -> int | None:
    letters = sum(len(word.text) for line in block for segment in line for word in segment.words)
    if len(block) > _HEADING_LINES or letters > _HEADING_LETTERS or letters < 2:
        return None
    size = median(height_of(line) for line in block)
    return next((level for ratio, level in _HEADING_RATIOS if size >= ratio * usual), None)


def _lists_and_paragraphs(block: Block) -> list[Part]:
    parts: list[Part] = []
    for line in block:
        text = _spaced(line)
        mark = _MARK.match(text)
        number = _NUMBER.match(text)
        found = mark or number
        if found is None:
            if parts and parts[-1].kind == "list":
                last = parts[-1].rows[-1]
                last[0] = _joined([last[0], text])
            elif parts:
                parts[-1].rows.append([text])
            else:
                parts.append(Part("paragraph", [[text]]))
            continue
        if not parts or parts[-1].kind != "list" or bool(parts[-1].numbers) != bool(number):
            parts.append(Part("list", []))
        parts[-1].rows.append([text[found.end() :].strip()])
        if number:
            parts[-1].numbers.append(number[0])
    return parts
