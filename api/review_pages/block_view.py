"""A block of a task of data as a form shows it: each type in its own way."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from api.review_pages.field_view import (
    EMPTY_ROWS,
    LONG_TEXT_CHARACTERS,
    CellView,
    Change,
    Entered,
    FieldView,
    Marked,
    Place,
    TableView,
    as_text,
    with_others,
)
from api.review_pages.sent_form import BLOCK_PREFIX, CHOICE_PREFIX, ROW_PREFIX
from api.review_pages.words import Mark
from store.blocks import (
    BlockPart,
    BoundingBoxesBlock,
    FormSequenceBlock,
    ListBlock,
    MultipleSelectionBlock,
    NamedEntityRecognitionBlock,
    NumberBlock,
    TextSequenceBlock,
)

COLORS: Final = 8
"""How many colours of marks the stylesheet has."""

MEDIA: Final = frozenset({"image", "audio", "video", "pdf"})
"""Types of blocks that show what is elsewhere: a file, or what is at an address."""

_INPUT_TYPES: Final = {"email": "email", "link": "url"}
_AUTHOR, _TEXT = "author", "text"


def block_view(
    block: BlockPart,
    index: int,
    value: Any,
    *,
    entered: Entered | None,
    reason: str,
    changes: Sequence[Change],
    address: str,
) -> FieldView:
    """A block of the data of a task.

    Args:
        block: of the project file.
        index: among its blocks, 0-based.
        value: as it is stored; None: there is none.
        entered: what was typed and not taken; shown in its place.
        reason: why that was not taken.
        changes: what people made of it.
        address: of the page of the task.
    """
    stored = written(block, value)
    text = stored if entered is None else as_text(entered)
    shown = value if entered is None else value_of(block, entered, value)
    fault = block.fault(value) if value is not None else ""
    reason = reason or (f"must be {fault}" if fault else "")
    kind: str = getattr(block, "type", "")
    return FieldView(
        id=f"field-0-{index}",
        input_name=f"{_prefix(block)}{block.name}",
        name=block.name,
        label=block.title,
        text=text,
        mark=_mark(block, reason, stored, is_changed=shown != value),
        message=f"{block.title} {reason}." if reason else "",
        is_long=len(text) > LONG_TEXT_CHARACTERS or "\n" in text or not block.is_plain,
        is_required=block.required and not block.read_only,
        kind=kind,
        input_type=_INPUT_TYPES.get(kind, "text"),
        placeholder=block.placeholder,
        options=_options(block, text),
        is_multiple=isinstance(block, MultipleSelectionBlock),
        chosen=_texts(shown),
        hint=_hint(block),
        is_read_only=block.read_only,
        link=stored if stored.startswith(("http://", "https://")) and "\n" not in stored else "",
        media=_media(block, index, shown, address),
        changes=changes,
        **_drawn(block, index, shown),
    )


def _prefix(block: BlockPart) -> str:
    return CHOICE_PREFIX if isinstance(block, MultipleSelectionBlock) else BLOCK_PREFIX


def _mark(block: BlockPart, reason: str, stored: str, *, is_changed: bool) -> Mark:
    if reason:
        return Mark("Invalid", "invalid")
    if is_changed:
        return Mark("Changed, not saved", "quiet")
    if block.read_only:
        return Mark("To be read", "quiet")
    return Mark("Filled in", "sure") if stored else Mark("Empty", "quiet")


def _options(block: BlockPart, text: str) -> Sequence[tuple[str, str]]:
    if isinstance(block, MultipleSelectionBlock | NamedEntityRecognitionBlock | BoundingBoxesBlock):
        return [(option.id, option.title) for option in block.options]
    return with_others(block.choices, text) if block.choices else ()


def _hint(block: BlockPart) -> str:
    if isinstance(block, ListBlock):
        return f"One {block.of} a line."
    return "" if isinstance(block, MultipleSelectionBlock) else block.hint


def _media(block: BlockPart, index: int, value: Any, address: str) -> str:
    carrier = media_of(block, value)
    if not carrier:
        return ""
    # The address changes with what is at it, so that no browser shows what was there before.
    return f"{address}/media/{index}?v={hashlib.sha256(carrier.encode()).hexdigest()[:12]}"


def media_of(block: BlockPart, value: Any) -> str:
    """The file, or the address, that a block shows; empty where it shows none that is valid."""
    if value is None or block.fault(value):
        return ""
    if isinstance(block, BoundingBoxesBlock):
        return value[block.carrier]
    return value if getattr(block, "type", "") in MEDIA else ""


# What people type, and the value that it is


def written(block: BlockPart, value: Any) -> str:
    """A value as it is typed into the input of its block."""
    if isinstance(block, ListBlock) and isinstance(value, list):
        lines = [str(one) for one in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # of JSON
        if not any("\n" in line or not line for line in lines) and lines[:1] != ["["]:
            return "\n".join(lines)
    return block.to_text(value)


def value_of(block: BlockPart, entered: Entered, before: Any) -> Any:
    """The value that was typed into a block.

    Args:
        block: of the project file.
        entered: its text, or its rows.
        before: the value that it had.
    """
    if not isinstance(entered, str):
        rows = [row for row in entered if any(text.strip() for text in row.values())]
        if isinstance(block, FormSequenceBlock):
            return [_filled(block, row) for row in rows] or None
        return _said(rows, before) or None
    if isinstance(block, ListBlock) and not entered.lstrip().startswith("["):
        lines = [line.strip() for line in entered.split("\n") if line.strip()]
        number = NumberBlock(name="entry", type="number")
        read: Callable[[str], Any] = str if block.of == "text" else number.from_text
        return [read(line) for line in lines] or None
    return block.from_text(entered)


def _filled(block: FormSequenceBlock, row: Mapping[str, str]) -> dict[str, Any]:
    values = {
        part.name: part.from_text(row.get(str(index), ""))
        for index, part in enumerate(block.blocks)
    }
    return {name: value for name, value in values.items() if value is not None}


def _said(rows: Sequence[Mapping[str, str]], before: Any) -> list[Any]:
    """What was said, as texts or as objects, as each was before."""
    old: list[Any] = before if isinstance(before, list) else []  # pyright: ignore[reportUnknownVariableType]  # of JSON
    said: list[Any] = []
    for index, row in enumerate(rows):
        author, text = row.get(_AUTHOR, "").strip(), row.get(_TEXT, "")
        was_object = index < len(old) and isinstance(old[index], dict)
        if author:
            said.append({_AUTHOR: author, _TEXT: text})
        else:
            said.append({_TEXT: text} if was_object else text)
    return said


# What is drawn


def _drawn(block: BlockPart, index: int, value: Any) -> dict[str, Any]:
    """The members of the view that only some types have."""
    fits = value is not None and not block.fault(value)
    if isinstance(block, FormSequenceBlock):
        rows = [] if value is None else value
        if not _are_rows(rows):
            return {}  # it cannot be shown as a table, and is typed as JSON
        return {"table": _form_table(block, index, rows)}
    if isinstance(block, TextSequenceBlock) and (fits or value is None):
        said = [_speaker_and_text(one) for one in value or []]
        return {"said": said, "table": _said_table(block, index, said)}
    if value is None or not fits:
        return {}
    if isinstance(block, NamedEntityRecognitionBlock):
        return {"marked": _marked(block, value[block.carrier], value.get(block.marks, []))}
    if isinstance(block, BoundingBoxesBlock):
        places = [_place(block, mark) for mark in value.get(block.marks, [])]
        return {"places": places, "unit": block.unit}
    return {}


def _place(block: BoundingBoxesBlock, mark: Any) -> Place:
    title, color = _name(block, mark)
    left, top, width, height = (mark[side] for side in ("left", "top", "width", "height"))
    return Place(left, top, width, height, title, color)


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)  # pyright: ignore[reportUnknownVariableType]  # of JSON


def _name(block: NamedEntityRecognitionBlock | BoundingBoxesBlock, mark: Any) -> tuple[str, int]:
    """What people read of a mark, and its colour."""
    number = block.ids.index(mark["label"])
    return block.options[number].title, number % COLORS


def _marked(
    block: NamedEntityRecognitionBlock, text: str, entities: Sequence[Any]
) -> Sequence[Marked]:
    """The text cut where a name begins or ends; where names overlap, it is all of them."""
    edges = {0, len(text)}
    for one in entities:
        edges |= {one["start"], one["end"]}
    found: list[Marked] = []
    for start, end in pairwise(sorted(edges)):
        names = [_name(block, e) for e in entities if e["start"] <= start and end <= e["end"]]
        label = ", ".join(dict.fromkeys(title for title, _ in names))
        found.append(Marked(text[start:end], start, label, names[0][1] if names else 0))
    return found


def _form_table(block: FormSequenceBlock, index: int, rows: Sequence[Any]) -> TableView:
    texts = [[part.to_text(row.get(part.name)) for part in block.blocks] for row in rows]
    numbers = [isinstance(part, NumberBlock) for part in block.blocks]
    columns = [(str(number), part.title) for number, part in enumerate(block.blocks)]
    return _table(block, index, columns, texts, numbers)


def _said_table(block: TextSequenceBlock, index: int, said: Sequence[tuple[str, str]]) -> TableView:
    columns = [(_AUTHOR, "Who"), (_TEXT, "What")]
    return _table(block, index, columns, said, [False, False])


def _speaker_and_text(one: Any) -> tuple[str, str]:
    return ("", one) if isinstance(one, str) else (one.get(_AUTHOR, ""), one[_TEXT])


def _table(
    block: BlockPart,
    index: int,
    columns: Sequence[tuple[str, str]],
    texts: Sequence[Sequence[str]],
    numbers: Sequence[bool],
) -> TableView:
    empty = [[""] * len(columns)] * (1 if texts else EMPTY_ROWS)
    rows = [
        [
            CellView(
                id=f"field-0-{index}-{row}-{key}",
                input_name=f"{ROW_PREFIX}{row}.{key}.{block.name}",
                label=f"{title}, row {row + 1}",
                text=text,
                is_number=is_number,
            )
            for (key, title), text, is_number in zip(columns, line, numbers, strict=True)
        ]
        for row, line in enumerate([*texts, *empty])
    ]
    return TableView([title for _, title in columns], rows)


def _texts(value: Any) -> Sequence[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]  # of JSON
