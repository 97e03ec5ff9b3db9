"""A field of a document, and a table of them, as a form shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from api.review_pages.words import Mark, confidence_words, fault, field_mark, spoken
from operations.tools.rows import CELL_MARK
from operations.validate_fields import how_to_type
from store.fields import FieldType, FieldValue
from store.project_fields import FieldPart

LONG_TEXT_CHARACTERS = 60
"""A value longer than this, or of several lines, gets a field of several lines."""

Entered = str | Sequence[Mapping[str, str]]
"""The text of a field; of a table its rows, each column name -> text."""

EMPTY_ROWS = 3
"""At the end of a table, for what was not found."""


@dataclass(frozen=True)
class PickedPlace:
    """Where on which page a value was picked that is not saved yet."""

    page_number: int
    """1-based."""
    box: tuple[float, float, float, float]

    def __str__(self) -> str:
        """As the form sends it; `sent_form.py` reads it back."""
        return " ".join(map(str, (self.page_number, *self.box)))


@dataclass(frozen=True)
class Change:
    """What somebody made of a value."""

    at: datetime
    who: str
    before: str
    after: str


@dataclass(frozen=True)
class CellView:
    """A cell of a table as the form shows it."""

    id: str
    input_name: str
    label: str
    text: str
    is_number: bool
    message: str = ""
    """Why it is not valid; empty when it is."""
    is_unsure: bool = False
    page_number: int | None = None
    box: tuple[float, float, float, float] | None = None
    picked: PickedPlace | None = None

    @property
    def mark(self) -> Mark:
        """Whether a person must look at it."""
        if self.message:
            return Mark("Invalid", "invalid")
        return Mark("To be confirmed", "confirm") if self.is_unsure else Mark("Sure", "sure")


@dataclass(frozen=True)
class TableView:
    """The cells of a table, with empty rows for what is missing; a row left empty is no row."""

    titles: Sequence[str]
    rows: Sequence[Sequence[CellView]]


@dataclass(frozen=True)
class Marked:
    """A stretch of a text, and what it was marked as."""

    text: str
    start: int
    """Index of its first character in the text."""
    label: str = ""
    """What people read of the mark; empty: it has none."""
    color: int = 0
    """Which of the colours of the pages the mark has."""


@dataclass(frozen=True)
class Place:
    """A place on a picture, and what it was marked as; in pixels of the picture or in fractions."""

    left: float
    top: float
    width: float
    height: float
    label: str
    color: int


@dataclass(frozen=True)
class FieldView:
    """A field as the form shows it."""

    id: str
    """Of its input, in the page."""
    input_name: str
    name: str
    label: str
    text: str
    mark: Mark
    message: str
    is_long: bool
    is_required: bool
    confidence: str = ""
    page_number: int | None = None
    box: tuple[float, float, float, float] | None = None
    picked: PickedPlace | None = None
    kind: str = ""
    """Type of the block that it is."""
    input_type: str = "text"
    """What browsers call what is typed."""
    placeholder: str = ""
    is_read_only: bool = False
    link: str = ""
    """Address of what it names."""
    media: str = ""
    """Address at which what it shows is sent by Papertray."""
    options: Sequence[tuple[str, str]] = ()
    """Of what is chosen: what is sent, and what people read."""
    is_multiple: bool = False
    """Several can be chosen."""
    chosen: Sequence[str] = ()
    hint: str = ""
    """How it is typed, where that needs a word."""
    table: TableView | None = None
    marked: Sequence[Marked] = ()
    """Of a text with marks on it: all of it, in order."""
    places: Sequence[Place] = ()
    """Of a picture with marks on it."""
    unit: str = ""
    said: Sequence[tuple[str, str]] = ()
    """Of a conversation: who, and what."""
    changes: Sequence[Change] = field(default=())
    """What people made of it, the newest first."""

    @property
    def needs_a_person(self) -> bool:
        """Whether somebody must look at it."""
        return self.mark.tone in {"invalid", "confirm"}

    @property
    def focus(self) -> str:
        """The id of what gets the focus where the field is to have it."""
        return f"{self.id}-0" if self.is_multiple else self.id


def field_view(
    document_number: int,
    value: FieldValue,
    part: FieldPart | None,
    entered: Mapping[str, Entered],
    reasons: Mapping[str, str],
    changes: Sequence[Change],
    picked: Mapping[str, PickedPlace],
) -> FieldView:
    """A field of a document.

    Args:
        document_number: 1-based.
        value: as it is stored.
        part: of the project file; None: that has no such field any more.
        entered: what was typed and not taken, by the names of fields; shown in its place.
        reasons: why that was not taken.
        changes: what people made of it.
        picked: where that was picked, by the names of fields and cells (`items.0.amount`).
    """
    stored = value.shown
    sent = entered.get(value.name, stored)
    text = as_text(sent)
    place = picked.get(value.name)
    label = value.label or spoken(value.name)
    mark, message = field_mark(value), value.message
    if value.name in reasons:
        mark, message = Mark("Invalid", "invalid"), reasons[value.name]
    elif text != stored or (reasons and not value.valid):
        mark, message = Mark("Changed, not saved", "quiet"), ""
    return FieldView(
        id=f"field-{document_number}-{value.name}",
        input_name=input_name(document_number, value.name),
        name=value.name,
        label=label,
        text=text,
        mark=mark,
        message=fault(label, message),
        confidence=confidence_words(value, part),
        page_number=place.page_number if place else value.page_number,
        box=place.box if place else value.box,
        picked=place,
        is_long=len(text) > LONG_TEXT_CHARACTERS or "\n" in text,
        is_required=part is not None and part.required,
        options=_options(part, text) if part else (),
        hint=how_to_type(part) if part and part.type is FieldType.LIST else "",
        table=_table_view(document_number, part, value, sent, picked)
        if part and part.type is FieldType.TABLE
        else None,
        changes=changes,
    )


def as_text(entered: Entered) -> str:
    """What was entered, as it is read and copied."""
    if isinstance(entered, str):
        return entered
    return "\n".join(f" {CELL_MARK} ".join(row.values()) for row in entered if any(row.values()))


def input_name(document_number: int, name: str) -> str:
    """The name of the input of a field; `sent_form.py` reads it back.

    Behind the name of a table stand the index of a row and the name of a column.
    """
    return f"field.{document_number}.{name}"


def _options(part: FieldPart, text: str) -> Sequence[tuple[str, str]]:
    if part.type is FieldType.BOOLEAN:
        return with_others([(value, value) for value in ("yes", "no")], text)
    if part.type is FieldType.CHOICE:
        return with_others([(option.value, option.value) for option in part.options], text)
    return ()


def with_others(options: Sequence[tuple[str, str]], text: str) -> Sequence[tuple[str, str]]:
    """What can be chosen; what stands there and is none of it can be kept, and is told as wrong."""
    others = [(text, text)] if text and text not in {value for value, _ in options} else []
    return [("", ""), *options, *others]


_NUMBERS = frozenset({FieldType.NUMBER, FieldType.MONEY})


def _table_view(
    document_number: int,
    part: FieldPart,
    value: FieldValue,
    sent: Entered,
    picked: Mapping[str, PickedPlace],
) -> TableView:
    if isinstance(sent, str):
        texts = [{name: cell.shown for name, cell in row.items()} for row in value.rows]
        found, numbers = value.rows, range(len(texts))
    else:
        numbers = [number for number, row in enumerate(sent) if any(row.values())]
        texts, found = [dict(sent[number]) for number in numbers], []
    rows: list[list[CellView]] = []
    for index in range(len(texts) + EMPTY_ROWS):
        cells = texts[index] if index < len(texts) else {}
        places = value.rows[index] if index < len(value.rows) else {}
        judged = found[index] if index < len(found) else {}
        number = numbers[index] if index < len(numbers) else -1
        rows.append(
            [
                CellView(
                    id=f"field-{document_number}-{part.name}-{index}-{column.name}",
                    input_name=f"{input_name(document_number, part.name)}.{index}.{column.name}",
                    label=f"{column.title}, row {index + 1}",
                    text=cells.get(column.name, ""),
                    is_number=column.type in _NUMBERS,
                    message=cell.message if cell and not cell.valid else "",
                    is_unsure=cell is not None
                    and value.needs_confirmation
                    and cell.confidence < part.confidence_threshold,
                    page_number=place.page_number if place else None,
                    box=place.box if place else None,
                    picked=taken,
                )
                for column in part.columns
                for cell in [judged.get(column.name)]
                for taken in [picked.get(f"{part.name}.{number}.{column.name}")]
                for place in [taken or places.get(column.name)]
            ]
        )
    return TableView([column.title for column in part.columns], rows)
