"""The fields of a project file: what is to be found, and what must hold of it."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Protocol

import regex
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from store.fields import ITEM, ROWS, FieldType
from store.locales import is_known
from store.yaml_source import PlacedError, instead

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,49}$")]


class Part(BaseModel):
    """A part of a project file."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)


def must_compile(pattern: str) -> str:
    """A regular expression, as it was given.

    Raises:
        ValueError: it is none.
    """
    # The engine that will run it: it knows more than `re`, and has a timeout.
    try:
        regex.compile(pattern)
    except (regex.error, RecursionError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


def _as_text(value: Any) -> Any:
    is_plain = isinstance(value, int | float | Decimal | date) and not isinstance(value, bool)
    return str(value) if is_plain else value


Pattern = Annotated[str, Field(max_length=10_000), AfterValidator(must_compile)]
"""A regular expression of the `regex` library; may be empty."""

Bound = Annotated[
    str,
    BeforeValidator(_as_text, json_schema_input_type=int | float | str),
    Field(pattern=r"^(-?\d{1,30}(\.\d{1,30})?|\d{4}-\d\d-\d\d)?$"),
]
"""A number, or a date as YYYY-MM-DD; may be empty."""


def _is_known(locale: str) -> str:
    if locale and not is_known(locale):
        raise ValueError(f"it is not known how numbers are written in {locale[:2]}; leave it out")
    return locale


Locale = Annotated[str, Field(pattern=r"^([a-z]{2}([_-][A-Z]{2})?)?$"), AfterValidator(_is_known)]
"""A language and a region: `de_CH`; may be empty."""

Currency = Annotated[str, Field(pattern=r"^([A-Z]{3})?$")]
Country = Annotated[str, Field(pattern=r"^([A-Z]{2})?$")]
Words = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=1000)]


def must_differ(what: str, names: Sequence[str], *place: int | str, key: str = "name") -> None:
    """See that each has a name of its own.

    Args:
        what: the names are of.
        names: in order.
        place: keys that lead to the list of what they are of.
        key: of the name in each.

    Raises:
        PlacedError: the first that has the name of one before.
    """
    before: set[str] = set()
    for number, name in enumerate(names):
        if name in before:
            raise PlacedError(
                f"{what} named twice: {name}; give each a name of its own", *place, number, key
            )
        before.add(name)


def must_be_there(what: str, name: str, known: Mapping[str, Any], *place: int | str) -> None:
    """See that a name means something.

    Args:
        what: is named.
        name: of it.
        known: by names that mean something, in order.
        place: keys that lead to the name.

    Raises:
        PlacedError: it means nothing.
    """
    if name not in known:
        raise PlacedError(f"there is no {what} `{name}`; {instead(name, list(known))}", *place)


def handed_down(value: Any, key: str, children: str) -> Any:
    """A mapping whose children have one of its keys, too, where they have none of their own."""
    if (
        not isinstance(value, dict)
        or not value.get(key)
        or not isinstance(value.get(children), list)
    ):
        return value
    kept = [{key: value[key], **one} if isinstance(one, dict) else one for one in value[children]]
    return {**value, children: kept}


class Direction(StrEnum):
    """Where a value stands, seen from its label."""

    SAME = "same"  #: in the same cell, behind the label
    RIGHT = "right"
    BELOW = "below"
    LEFT = "left"
    ABOVE = "above"


class OptionPart(Part):
    """One of the values that a choice may have; a word alone is its `value`."""

    value: Annotated[str, Field(min_length=1, max_length=200)]
    """What is in the data."""
    synonyms: Words = []
    """What may stand on the page instead, any case."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        return {"value": value} if isinstance(value, str) else value


class RegionPart(Part):
    """A part of a page, in fractions of its width and height from the top left."""

    page: int | None = None
    """1 is the first page of the document, -1 the last; omitted: any."""
    left: float = Field(default=0, ge=0, le=1)
    """Where it begins across the page: 0 at its left edge, 1 at its right."""
    top: float = Field(default=0, ge=0, le=1)
    """Where it begins down the page: 0 at its top, 1 at its bottom."""
    right: float = Field(default=1, ge=0, le=1)
    """Where it ends across the page."""
    bottom: float = Field(default=1, ge=0, le=1)
    """Where it ends down the page."""

    @model_validator(mode="after")
    def _has_an_area(self) -> "RegionPart":
        if self.left >= self.right or self.top >= self.bottom:
            raise ValueError("`left` must be less than `right`, and `top` less than `bottom`")
        if self.page == 0:
            raise ValueError("pages count from 1; -1 is the last one")
        return self


class ConditionPart(Part):
    """When something is asked for."""

    field: Name
    """Name of the field that it depends on."""
    equals: Words = []
    """Its values for which it is; omitted: as soon as it has one."""


class ProductPart(Part):
    """Columns of a table of which one is the others multiplied."""

    factors: list[Name] = Field(min_length=2, max_length=5)
    """Names of the columns that are multiplied: quantity, price."""
    product: Name
    """Name of the column that must be their product."""
    tolerance: Decimal = Field(default=Decimal("0.01"), ge=0)
    """By how much it may differ, for prices that were rounded."""


_ONLY_OF: Final[dict[str, frozenset[FieldType]]] = {
    "options": frozenset({FieldType.CHOICE, FieldType.LIST}),
    "currency": frozenset({FieldType.MONEY, FieldType.LIST}),
    "country": frozenset({FieldType.PHONE, FieldType.VAT_ID, FieldType.LIST}),
    "minimum": frozenset({FieldType.NUMBER, FieldType.MONEY, FieldType.DATE}),
    "maximum": frozenset({FieldType.NUMBER, FieldType.MONEY, FieldType.DATE}),
    "items": frozenset({FieldType.LIST}),
    "columns": frozenset({FieldType.TABLE}),
    "products": frozenset({FieldType.TABLE}),
    "unique": ROWS,
}
"""Keys that mean something to some types only."""


SELF_EVIDENT: Final = frozenset({FieldType.EMAIL, FieldType.IBAN, FieldType.VAT_ID})
"""Types whose values are known by their looks, wherever they stand."""


class ValuePart(Part):
    """A value: what it is called, how its text is read, and what must hold of it."""

    name: Name
    """Its name in the data."""
    label: str = ""
    """What people read; the name when omitted."""
    type: FieldType = FieldType.TEXT
    """How its text is read."""
    required: bool = False
    """Without it the document is not valid."""
    pattern: Pattern = ""
    """Regular expression of the value; with a group, the group is the value."""
    options: list[OptionPart] = Field(default=[], max_length=1000)
    """Of a choice: what it may be."""
    locale: Locale = ""
    """How its numbers and dates are written: `de_CH`; omitted: as the document writes them."""
    currency: Currency = ""
    """Of money, where none stands beside it: `EUR` (ISO 4217)."""
    country: Country = ""
    """Of phone numbers and VAT ids written without it: `DE` (ISO 3166-1)."""
    minimum: Bound = ""
    """The least number or the first date that is valid."""
    maximum: Bound = ""
    """The largest number or the last date that is valid."""

    @property
    def title(self) -> str:
        """What people read."""
        return self.label or self.name.replace("_", " ").replace("-", " ").capitalize()

    @model_validator(mode="after")
    def _fits_its_type(self) -> "ValuePart":
        for key in sorted(self.model_fields_set & _ONLY_OF.keys()):
            kinds = _ONLY_OF[key]
            if getattr(self, key) and self.type not in kinds:
                allowed = " or ".join(sorted(kind.value for kind in kinds))
                raise ValueError(f"`{key}` belongs to type {allowed}, not to {self.type.value}")
        if self.type is FieldType.CHOICE and not self.options:
            raise ValueError("a choice needs `options`, the values it may have")
        is_date = self.type is FieldType.DATE
        for key in ("minimum", "maximum"):
            bound = getattr(self, key)
            if bound and ("-" in bound[1:]) != is_date:
                what = "a date like 2026-01-31" if is_date else "a number"
                raise ValueError(f"`{key}` of type {self.type.value} must be {what}")
        return self


class ColumnPart(ValuePart):
    """A column of a table."""

    labels: Words = []
    """What stands above the column, any case; its name when omitted."""

    @model_validator(mode="after")
    def _is_simple(self) -> "ColumnPart":
        if self.type in ROWS:
            raise ValueError(
                f"a column cannot be of type {self.type.value}: only of a single value"
            )
        return self


class FieldPart(ValuePart):
    """A field to find."""

    labels: Words = []
    """What stands before, above or beside the value on the page, any case."""
    directions: list[Direction] = Field(
        default=[Direction.SAME, Direction.RIGHT, Direction.BELOW], min_length=1
    )
    """Where the value stands, seen from its label; the first is looked at first."""
    region: RegionPart | None = None
    """Where on the page it stands: alone, all that stands there; with labels or a pattern, only
    what is found there."""
    template_field: str = Field(default="", max_length=200)
    """What the templates of `extract` call it."""
    items: FieldType = FieldType.TEXT
    """Of a list: the type of its values."""
    columns: list[ColumnPart] = Field(default=[], max_length=200)
    """Of a table: its columns, found by what stands above them."""
    unique: list[Name] = Field(default=[], max_length=50)
    """Of a table: names of the columns by which no two rows are the same; of a list: `[item]`."""
    products: list[ProductPart] = Field(default=[], max_length=20)
    """Of a table: columns that are the product of others."""
    required_when: ConditionPart | None = None
    """It must be there only then."""
    confidence_threshold: float = Field(default=0.7, ge=0, le=1)
    """A person confirms what is less sure than this."""

    @model_validator(mode="before")
    @classmethod
    def _columns_inherit(cls, value: Any) -> Any:
        return handed_down(value, "locale", "columns")

    @field_validator("directions")
    @classmethod
    def _differ(cls, directions: list[Direction]) -> list[Direction]:
        if len(set(directions)) < len(directions):
            raise ValueError("name each direction once")
        return directions

    @model_validator(mode="after")
    def _can_be_found(self) -> "FieldPart":
        if self.type is FieldType.TABLE:
            self._check_columns()
        elif self.type not in SELF_EVIDENT and not (
            self.labels or self.pattern or self.region or self.template_field
        ):
            raise ValueError(
                "give `labels`, a `pattern`, a `region` or a `template_field`, else it is never"
                " found"
            )
        if self.items is FieldType.CHOICE and not self.options:
            raise ValueError("a list of choices needs `options`, the values they may have")
        if self.items in ROWS:
            raise ValueError(f"the items of a list cannot be of type {self.items.value}")
        return self

    def _check_columns(self) -> None:
        if not self.columns:
            raise ValueError("a table needs `columns`")
        names = [column.name for column in self.columns]
        must_differ("column", names, "columns")
        known = dict.fromkeys(names)
        for number, one in enumerate(self.products):
            for n, factor in enumerate(one.factors):
                must_be_there("column", factor, known, "products", number, "factors", n)
            must_be_there("column", one.product, known, "products", number, "product")
        for number, name in enumerate(self.unique):
            must_be_there("column", name, known, "unique", number)

    def column(self, name: str) -> ColumnPart | None:
        """The column of that name."""
        return next((column for column in self.columns if column.name == name), None)


class SumPart(Part):
    """Fields that add up."""

    parts: list[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)?$")]] = Field(
        min_length=1
    )
    """Names of the fields that are added; `lines.amount` is a column of a table, all its rows."""
    total: Name
    """Name of the field that must be their sum."""
    tolerance: Decimal = Field(default=Decimal("0.005"), ge=0)
    """By how much it may differ."""


class FieldRules(Protocol):
    """What must hold of the values of a document."""

    @property
    def fields(self) -> Sequence[FieldPart]:
        """The fields, in order."""
        ...

    @property
    def sums(self) -> Sequence[SumPart]:
        """Which of them add up."""
        ...


def check_names(fields: Sequence[FieldPart], sums: Sequence[SumPart]) -> None:
    """See that fields have names of their own, and that whatever names one means one.

    Raises:
        ValueError: which one does not.
    """
    names = [field.name for field in fields]
    must_differ("field", names, "fields")
    known = dict.fromkeys(names)
    cells = (f"{field.name}.{column.name}" for field in fields for column in field.columns)
    summed = known | dict.fromkeys(cells)
    for number, one in enumerate(sums):
        for n, part in enumerate(one.parts):
            must_be_there("field", part, summed, "sums", number, "parts", n)
        must_be_there("field", one.total, known, "sums", number, "total")
    for number, field in enumerate(fields):
        if (condition := field.required_when) is not None:
            must_be_there(
                "field", condition.field, known, "fields", number, "required_when", "field"
            )


def item_part(field: FieldPart) -> ColumnPart:
    """The one column of a list."""
    return ColumnPart(
        name=ITEM,
        label=field.title,
        type=field.items,
        pattern=field.pattern,
        options=field.options,
        locale=field.locale,
        currency=field.currency,
        country=field.country,
    )


def columns_of(field: FieldPart) -> Sequence[ColumnPart]:
    """The columns of the rows of a table or list."""
    return field.columns if field.type is FieldType.TABLE else [item_part(field)]
