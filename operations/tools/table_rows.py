"""Rows of a table that somebody sent, as data of tasks; and why a row is none.

A table comes as CSV (RFC 4180; with `,`, `;` or tabs between) or as JSON Lines, in UTF-8 or, where
it says so, in UTF-16. It is read line by line: no line, and no cell, is larger in memory than is
taken.
"""

import codecs
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO, Final

from pydantic import BaseModel, ConfigDict

from store.blocks import BlockPart, faults_of, normal
from store.errors import InputError, LimitExceededError
from store.storable import unstorable

MAX_LINE_BYTES: Final = 1 << 20
"""Longer lines are refused, and skipped without being kept."""

MAX_ROWS: Final = 1_000_000
MAX_REFUSED: Final = 1000
"""So many refused rows are told of one by one."""

_BOMS: Final = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_CHUNK_BYTES: Final = 1 << 16


class Refused(BaseModel):
    """A row that becomes no task."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    line: int
    """On which it begins, 1-based."""
    column: str
    """Name of the column; empty where it is about all of the row."""
    reason: str


class TableFacts(BaseModel):
    """What was in a table."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    count: int
    """How many rows are good."""
    refused_count: int
    refused: list[Refused]
    """The first thousand of them."""


@dataclass(frozen=True)
class _Line:
    """A line of the file, without its end; or why it cannot be read."""

    number: int
    text: str
    fault: str = ""


def read_table(
    source: Path,
    blocks: Sequence[BlockPart],
    target: Path,
    is_json: bool,  # noqa: FBT001  # a child takes no keywords
    ignore_unknown: bool,  # noqa: FBT001  # as above
) -> TableFacts:
    """Read a table, and write its good rows as JSON Lines.

    Args:
        source: the table.
        blocks: of the project; their names are those of the columns.
        target: the file to write.
        is_json: JSON Lines, else CSV.
        ignore_unknown: leave columns out that are no blocks, which else make it refused.

    Raises:
        InputError: it has no head, or one that does not fit the blocks.
        LimitExceededError: it has too many rows.
    """
    read = _json_rows if is_json else _csv_rows
    known = {block.name for block in blocks}
    count = refused_count = 0
    refused: list[Refused] = []
    with source.open("rb") as file, target.open("w", encoding="utf-8") as good:
        for line, found in read(_lines(file), blocks, ignore_unknown):
            faults: Mapping[str, str] = {"": found} if isinstance(found, str) else {}
            if isinstance(found, dict):
                row = {n: v for n, v in found.items() if n in known or not ignore_unknown}
                faults = faults_of(blocks, row, is_final=False)
                if not faults:
                    count += 1
                    good.write(f"{json.dumps(normal(row), ensure_ascii=False)}\n")
            for column, reason in list(faults.items())[:1]:
                refused_count += 1
                if len(refused) < MAX_REFUSED:
                    refused.append(Refused(line=line, column=column, reason=reason))
            if count + refused_count > MAX_ROWS:
                raise LimitExceededError(
                    f"The table has more than {MAX_ROWS} rows. Send it in parts.", limit=MAX_ROWS
                )
    return TableFacts(count=count, refused_count=refused_count, refused=refused)


def _lines(file: BinaryIO) -> Iterator[_Line]:
    """The lines of a file, however it marks their ends."""
    head = file.read(3)
    mark = next((mark for mark in _BOMS if head.startswith(mark)), b"")
    encoding = _BOMS.get(mark, "utf-8")
    file.seek(len(mark))
    end = "\n".encode(encoding)
    rest, number, is_skipping = b"", 1, False
    while chunk := file.read(_CHUNK_BYTES):
        rest += chunk
        *lines, rest = _cut(rest, end)
        for line in lines:
            yield _decoded(line, number, encoding, is_too_long=is_skipping)
            is_skipping = False
            number += 1
        if len(rest) > MAX_LINE_BYTES:
            # What is not kept must be cut between two characters of UTF-16.
            rest, is_skipping = rest[len(rest) & ~1 :], True
    if rest or is_skipping:
        yield _decoded(rest, number, encoding, is_too_long=is_skipping)


def _cut(content: bytes, end: bytes) -> list[bytes]:
    """Parts between line ends; of UTF-16 only at whole characters."""
    if len(end) == 1:
        return content.split(end)
    parts: list[bytes] = []
    start = at = 0
    while (at := content.find(end, at)) >= 0:
        if (at - start) % 2:
            at += 1
            continue
        parts.append(content[start:at])
        start = at = at + len(end)
    return [*parts, content[start:]]


def _decoded(line: bytes, number: int, encoding: str, *, is_too_long: bool) -> _Line:
    if is_too_long or len(line) > MAX_LINE_BYTES:
        return _Line(number, "", f"is longer than {MAX_LINE_BYTES} bytes")
    try:
        text = line.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding[:6].upper()
        return _Line(
            number,
            "",
            f"is not {name} (byte {error.start + 1} of the line). Save the table as UTF-8",
        )
    if "\0" in text:
        return _Line(number, "", "has the character U+0000")
    return _Line(number, text.removesuffix("\r"))


_Row = tuple[int, dict[str, Any] | str]
"""Its line, and its values by column or why it is none."""


def _json_rows(
    lines: Iterator[_Line],
    blocks: Sequence[BlockPart],  # noqa: ARG001  # one signature
    ignore_unknown: bool,  # noqa: ARG001, FBT001  # as above
) -> Iterator[_Row]:
    for line in lines:
        if line.fault:
            yield line.number, line.fault
        elif line.text.strip():
            yield line.number, _object(line.text)


def _object(text: str) -> dict[str, Any] | str:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        return f"is no JSON: {error.msg.lower()} at character {error.colno}"
    except (ValueError, RecursionError):
        return "is no JSON that can be kept"
    if not isinstance(found, dict):
        return "is no JSON object"
    fault = unstorable(found)  # pyright: ignore[reportUnknownArgumentType]  # of JSON
    return f"cannot be kept: {fault}" if fault else found  # pyright: ignore[reportUnknownVariableType]  # as above


def _csv_rows(
    lines: Iterator[_Line],
    blocks: Sequence[BlockPart],
    ignore_unknown: bool,  # noqa: FBT001  # one signature
) -> Iterator[_Row]:
    csv.field_size_limit(MAX_LINE_BYTES)
    source = _Ahead(lines)
    head = next((line for line in source if line.fault or line.text.strip()), None)
    if head is None or head.fault:
        reason = f"Its first line {head.fault}" if head else "It is empty"
        raise InputError(f"The table has no head. {reason}; the first line names the columns.")
    mark = max(",;\t", key=head.text.count)
    record = _record(head, source, mark)
    if isinstance(record, str):
        raise InputError(f"The head of the table cannot be read: it {record}.", line=head.number)
    columns = [name.strip() for name in record]
    _check_columns(columns, blocks, ignore_unknown=ignore_unknown)
    by_name = {block.name: block for block in blocks}
    for line in source:
        if line.fault:
            yield line.number, line.fault
            continue
        if not line.text.strip():
            continue
        cells = _record(line, source, mark)
        if isinstance(cells, str):
            yield line.number, cells
        elif len(cells) != len(columns):
            yield line.number, f"has {len(cells)} cells, and the head {len(columns)}"
        else:
            yield (
                line.number,
                {
                    name: by_name[name].from_text(cell)
                    for name, cell in zip(columns, cells, strict=True)
                    if name in by_name
                },
            )


def _check_columns(
    columns: Sequence[str], blocks: Sequence[BlockPart], *, ignore_unknown: bool
) -> None:
    names = [block.name for block in blocks]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    unknown = [name for name in columns if name not in names]
    missing = [
        block.name
        for block in blocks
        if block.read_only and block.required and block.name not in columns
    ]
    problems: list[str] = []
    if twice:
        problems.append(f"named twice: {', '.join(twice)}")
    if unknown and (not ignore_unknown or len(unknown) == len(columns)):
        shown = [f"{name!r}{_meant(name, names)}" for name in (one[:50] for one in unknown[:10])]
        problems.append(
            f"no blocks of the project: {', '.join(shown)} (its blocks are {', '.join(names)})"
        )
    if missing:
        problems.append(f"missing: {', '.join(missing)}")
    if problems:
        raise InputError(
            f"The columns of the table do not fit. {'; '.join(problems)}.",
            unknown=unknown[:10],
            missing=missing,
        )


def _meant(name: str, names: Sequence[str]) -> str:
    close = get_close_matches(name, names, n=1)
    return f", did you mean {close[0]!r}?" if close else ""


class _Ahead:
    """Lines, of which some can be put back."""

    def __init__(self, lines: Iterator[_Line]):
        self._lines = lines
        self._back: list[_Line] = []

    def __iter__(self) -> Iterator[_Line]:
        return self

    def __next__(self) -> _Line:
        return self._back.pop() if self._back else next(self._lines)

    def put_back(self, lines: Sequence[_Line]) -> None:
        self._back += reversed(lines)


def _record(first: _Line, source: _Ahead, mark: str) -> list[str] | str:
    """The cells of a row, which may go over several lines; or why it is none.

    Where a quote is never closed, the lines after the first are taken to be rows of their own.
    """
    text = first.text
    taken: list[_Line] = []
    size = len(text)
    is_open = _is_open(text, mark, is_open=False)
    while is_open:
        line = next(source, None)
        if line is not None:
            taken.append(line)
            size += len(line.text)
        if line is None or line.fault or size > MAX_LINE_BYTES:
            source.put_back(taken)
            return "has a quote that is opened and never closed"
        is_open = _is_open(line.text, mark, is_open=True)
    text = "\n".join([text, *(line.text for line in taken)])
    try:
        (cells,) = csv.reader([text], delimiter=mark, strict=True)
    except (csv.Error, ValueError):
        source.put_back(taken)
        return "has a quote within a cell that is not doubled"
    return cells


def _is_open(line: str, mark: str, *, is_open: bool) -> bool:
    """Whether a quoted cell goes on after a line (RFC 4180, section 2)."""
    if '"' not in line:
        return is_open
    at_start = not is_open
    position = 0
    while position < len(line):
        letter = line[position]
        if is_open:
            if letter == '"':
                if line[position + 1 : position + 2] == '"':
                    position += 1
                else:
                    is_open = False
        elif letter == '"' and at_start:
            is_open = True
        at_start = letter == mark and not is_open
        position += 1
    return is_open
