"""The value of a field: what was found, where, how sure, and what is wrong with it."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels of the page image, origin at the top left."""


class FieldType(StrEnum):
    """What kind of value a field holds, and so how its text is read."""

    TEXT = "text"
    NUMBER = "number"
    MONEY = "money"
    DATE = "date"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    EMAIL = "email"
    PHONE = "phone"
    IBAN = "iban"
    VAT_ID = "vat_id"
    LIST = "list"
    TABLE = "table"


ROWS: Final = frozenset({FieldType.LIST, FieldType.TABLE})
"""Types whose values have rows."""

ITEM: Final = "item"
"""The one column of a list."""


class FieldValue(BaseModel):
    """One field of one document."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")

    name: str
    label: str
    type: FieldType
    value: Any = None
    """Normalised; None when not found or not readable. Text, choice and e-mail as text; number and
    money as a decimal string; date as YYYY-MM-DD; boolean as true or false; phone as E.164; IBAN
    and VAT id without spaces; a list as a list; a table as a list of objects, a value a column."""
    text: str = ""
    """As it stands on the page, or as a person typed it."""
    confidence: float = Field(default=0.0, ge=0, le=1)
    """0..1, from the confidence of the words and from how the value was found."""
    page_number: int | None = None
    """1-based."""
    box: Box | None = None
    """Where it stands on the page; None when it was typed or not found."""
    method: str = ""
    """How it was found: `label`, `pattern`, `region`, `table`, `list` or `template`; `person` when
    somebody typed or confirmed it, `picked` when somebody took it from the page."""
    currency: str | None = None
    """Of money: its ISO 4217 code, where the page or the project tells."""
    rows: "list[dict[str, FieldValue]]" = []
    """The cells of a table by the name of their column, each with its place; a list has the one
    column `item`."""
    valid: bool = True
    message: str = ""
    """Why it is not valid; empty when it is."""
    needs_confirmation: bool = False
    """Found, but less sure than the project asks for."""

    @property
    def shown(self) -> str:
        """The value as a person reads it; as it was typed where it could not be read."""
        if self.value is None or self.type in ROWS:
            return self.text
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        return str(self.value)


class Word(BaseModel):
    """A word of a page, with its place."""

    text: str
    box: Box
    confidence: float = Field(ge=0, le=1)
    line: int = 0
    """Index of the line on the page, 0-based, in reading order."""
    block: int = 0
    """Index of the block (column, paragraph) on the page, 0-based, in reading order."""


_WORDS = TypeAdapter(list[Word])


def words_from(members: Iterable[Mapping[str, Any]]) -> list[Word]:
    """Words by their members, all at once: one by one they take twice as long."""
    return _WORDS.validate_python(list(members))


TEXT_LAYER: Final = "text_layer"
OCR: Final = "ocr"
"""How a page was read."""


class PageWords(BaseModel):
    """What one page says; the content of a words blob."""

    number: int
    """1-based."""
    width_pixels: int
    height_pixels: int
    method: str
    """`text_layer` or `ocr`."""
    words: list[Word]
