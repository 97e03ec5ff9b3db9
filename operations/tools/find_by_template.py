"""Values found by templates of invoice2data, and where on the pages they stand.

The library runs its templates; what it answers has no places. They are found again: where the
pattern of the template matches, else where the value stands for the first time.
"""

import logging
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

import regex
from invoice2data.exceptions import TemplateSyntaxError
from invoice2data.extract.invoice_template import InvoiceTemplate
from invoice2data.extract.loader import prepare_template

from operations.tools.layout import around
from operations.tools.layout_text import LayoutText
from operations.tools.rows import missing, with_rows
from operations.tools.value_types import plain_value, read_as
from operations.tools.values import DATE, NUMBER, Custom, Reading, plain_digits, visible_text
from store.errors import InputError, LimitExceededError
from store.fields import ITEM, Box, FieldType, FieldValue, PageWords, Word
from store.project_fields import ColumnPart, FieldPart, ValuePart, columns_of, item_part

TEMPLATE_SECONDS = 10.0
"""How long one template may take on one document."""

_PATTERN_SECONDS = 1.0
"""How long the place of one value may be looked for by the template's pattern."""

_BY_PATTERN = 0.95
_BY_VALUE = 0.9
_STATIC = 0.9
"""What the template itself says: the issuer, a currency."""

_NOWHERE = 0.6
"""The template made it, but it does not stand on the page."""

_PITCHES = (1.0, 0.79)
"""In widths of a letter, how far the columns of the text stand apart. Templates count spaces that
`pdftotext` made, by rules of its own; of two texts the one counts in which more is found."""

_PAPERS = ((8.268, 11.693), (8.5, 11.0), (8.5, 14.0))
"""Inches: A4, Letter, Legal."""

_OTHER_PAPER_DPI = 150.0

_NUMERIC = frozenset({FieldType.NUMBER, FieldType.MONEY})

# It logs what it finds, and the text of documents.
logging.getLogger("invoice2data").addHandler(logging.NullHandler())
logging.getLogger("invoice2data").propagate = False


def find_by_templates(
    pages: Sequence[PageWords],
    templates: Sequence[Mapping[str, Any]],
    fields: Sequence[FieldPart],
    custom: Custom,
) -> dict[str, FieldValue]:
    """The values of the first template that fits and finds all that it requires.

    Args:
        pages: of one document.
        templates: as a project file has them.
        fields: those with a `template_field` are looked for.
        custom: how the document writes what can be read in two ways.

    Returns:
        By the name of the field, those that were found; none where no template fits.

    Raises:
        LimitExceededError: a template takes too long.
        InputError: a template is not one that invoice2data takes.
    """
    wanted = [field for field in fields if field.template_field]
    if not templates or not wanted:
        return {}
    found = [_run(templates, LayoutText(pages, pitch), pages, custom) for pitch in _PITCHES]
    best = max(found, key=lambda one: one.count if one else 0)
    values = {field.name: best.value(field) for field in wanted} if best else {}
    return {name: value for name, value in values.items() if value.text}


def _run(
    templates: Sequence[Mapping[str, Any]],
    text: LayoutText,
    pages: Sequence[PageWords],
    custom: Custom,
) -> "_Found | None":
    reader = _Reader(text, pages)
    prepared = [_prepared(template) for template in templates]
    for template in sorted(prepared, key=lambda one: one.get("priority", 5), reverse=True):
        output = _output(template, text.text, reader)
        if output:
            return _Found(template, output, text, custom)
    return None


def _prepared(template: Mapping[str, Any]) -> InvoiceTemplate:
    # The library writes into the templates it is given.
    copied = {"template_name": "", **deepcopy(dict(template))}
    try:
        return InvoiceTemplate(prepare_template(copied) or copied)
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"The template {copied['template_name'] or copied.get('issuer')} is not one that"
            f" invoice2data takes: {error}"
        ) from error


def _output(template: InvoiceTemplate, text: str, reader: "_Reader") -> dict[str, Any]:
    name = template["template_name"] or template["issuer"]
    try:
        with _time_limit(TEMPLATE_SECONDS, f"The template {name}"):
            if not template.matches_input(text):
                return {}
            return template.extract(template.prepare_input(text), reader.path, reader)
    except TemplateSyntaxError as error:
        raise InputError(f"The template {name} is not right: {error}") from error
    except (AssertionError, AttributeError, KeyError, LookupError, TypeError, re.error) as error:
        # The library takes templates for well-formed, and says so in all these ways.
        raise InputError(
            f"The template {name} is not one that invoice2data takes ({type(error).__name__})."
        ) from error
    except (ValueError, ArithmeticError):
        return {}  # what it requires is not there, or is no number


@contextmanager
def _time_limit(seconds: float, what: str) -> Iterator[None]:
    """Stop what runs: the library gives its patterns no time limit, but they heed signals."""

    def stop(number: int, frame: object) -> None:  # noqa: ARG001  # as the kernel calls it
        raise LimitExceededError(f"{what} takes too long. Make its patterns simpler.")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Reader:
    """What the library takes for a program that reads PDFs: it gives the text of areas."""

    SUPPORTS_AREA = True
    __name__ = "papertray"

    def __init__(self, text: LayoutText, pages: Sequence[PageWords]):
        self.path = ""
        self._text = text
        self._pages = pages

    def to_text(self, path: str, area: Mapping[str, Any] | None = None) -> str:  # noqa: ARG002  # as the library calls it
        """The text of all pages, or of an area in pixels at its own resolution.

        Raises:
            TemplateSyntaxError: the area is none.
        """
        if area is None:
            return self._text.text
        try:
            x, y, width, height = (float(area[key]) / float(area["r"]) for key in "xyWH")
            first, last = int(area["f"]), int(area["l"])
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise TemplateSyntaxError("an area needs f, l, r, x, y, W and H") from error
        inside: list[PageWords] = []
        for page in self._pages[max(first, 1) - 1 : last]:
            dpi = _dpi_of(page)
            box = (x * dpi, y * dpi, (x + width) * dpi, (y + height) * dpi)
            words = [word for word in page.words if _touches(word.box, box)]
            inside.append(page.model_copy(update={"words": words}))
        return LayoutText(inside, _PITCHES[0]).text


def _dpi_of(page: PageWords) -> float:
    """Dots per inch of a page image, by the shape of the paper."""
    across, down = sorted((page.width_pixels, page.height_pixels))
    near = (
        across / short
        for short, long in _PAPERS
        if abs(across / short - down / long) < 0.01 * across / short
    )
    return next(near, _OTHER_PAPER_DPI)


def _touches(one: Box, other: Box) -> bool:
    return one[0] < other[2] and one[2] > other[0] and one[1] < other[3] and one[3] > other[1]


Span = tuple[int, int]


class _Found:
    """What a template found, as values of fields."""

    def __init__(
        self,
        template: InvoiceTemplate,
        output: Mapping[str, Any],
        text: LayoutText,
        custom: Custom,
    ):
        self._template = template
        self._output = output
        self._text = text
        self._custom = custom
        self.count = sum(
            len(value) if isinstance(value, list) else value not in {None, ""}
            for value in output.values()
        )
        """How much was found: values, and rows of tables."""

    @cached_property
    def _dates(self) -> list[Span]:
        return [found.span() for found in DATE.finditer(self._text.text)]

    @cached_property
    def _numbers(self) -> list[Span]:
        return [found.span() for found in NUMBER.finditer(self._text.text)]

    def value(self, field: FieldPart) -> FieldValue:
        """The value of a field; without one where the template found none."""
        name = field.template_field
        found = self._output.get(name)
        if found is None or found == "":
            return missing(field)
        if field.type is FieldType.TABLE:
            rows = found if isinstance(found, list) else [found]
            return self._table(field, [row for row in rows if isinstance(row, dict)])
        if field.type is FieldType.LIST:
            items = found if isinstance(found, list) else [found]
            part = item_part(field)
            rows = [{ITEM: self._single(part, item, self._spans(name), 0)} for item in items]
            return with_rows(field, rows, "template")
        if isinstance(found, list):
            found = found[0] if len(set(map(str, found))) == 1 else " ".join(map(str, found))
        return self._single(field, found, self._spans(name), 0, is_static=self._is_static(name))

    def _is_static(self, name: str) -> bool:
        fields = self._template["fields"]
        setting = fields.get(name)
        is_parsed = isinstance(setting, dict) and setting.get("parser") != "static"
        return not is_parsed and (name not in fields or isinstance(setting, dict))

    def _table(self, field: FieldPart, rows: Sequence[Mapping[str, Any]]) -> FieldValue:
        found: list[dict[str, FieldValue]] = []
        at = 0
        for row in rows:
            cells: dict[str, FieldValue] = {}
            begin = at
            for column in columns_of(field):
                value = row.get(column.name)
                if value is None or value == "":
                    cells[column.name] = missing(column)
                    continue
                spans = self._by_value(column, value, begin)
                span = next(spans, None)
                cells[column.name] = self._placed(column, value, span, _BY_VALUE)
                at = max(at, span[0] if span else at)
            found.append(cells)
        return with_rows(field, found, "template")

    def _single(
        self,
        part: ValuePart,
        value: Any,
        spans: Sequence[Span],
        start: int,
        *,
        is_static: bool = False,
    ) -> FieldValue:
        same = (span for span in spans if self._says(part, self._text.text[slice(*span)], value))
        by_pattern = next(same, None)
        if by_pattern:
            return self._placed(part, value, by_pattern, _BY_PATTERN)
        span = next(self._by_value(part, value, start), None)
        return self._placed(part, value, span, _STATIC if is_static else _BY_VALUE, is_static)

    def _placed(
        self,
        part: ValuePart,
        value: Any,
        span: Span | None,
        trust: float,
        is_static: bool = False,  # noqa: FBT001, FBT002  # of one class only
    ) -> FieldValue:
        words = self._text.words_of(*span) if span else []
        said = self._text.text[slice(*span)] if span else _as_text(value)
        reading = self._reading(part, value, said)
        page = words[0][1] if words else None
        # A value that goes over two pages has its place on the first.
        boxes = [word.box for word, on in words if on is page]
        sure = _confidence([word for word, _ in words], trust) if words else _NOWHERE
        currency = reading.currency if reading else None
        return missing(part).model_copy(
            update={
                "value": plain_value(part.type, reading) if reading else None,
                "text": " ".join(visible_text(said).split()),
                "confidence": round(trust if is_static and not words else sure, 4),
                "page_number": page.number if page else None,
                "box": around(boxes) if boxes else None,
                "method": "template",
                "currency": (currency or self._currency(part))
                if part.type is FieldType.MONEY
                else None,
            }
        )

    def _currency(self, part: ValuePart) -> str | None:
        currency = self._output.get("currency")
        known = currency if isinstance(currency, str) and re.fullmatch("[A-Z]{3}", currency) else ""
        return known or part.currency or self._custom.currency

    def _reading(self, part: ValuePart, value: Any, said: str) -> Reading | None:
        """A value of the library as one of ours."""
        if isinstance(value, datetime | date):
            day = value.date() if isinstance(value, datetime) else value
            return Reading(day.isoformat()) if part.type is FieldType.DATE else Reading(said)
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = Decimal(str(value))
            if part.type in _NUMERIC and number.is_finite():
                is_money = part.type is FieldType.MONEY
                return Reading(plain_digits(number, is_money=is_money))
        return read_as(part, _as_text(value), self._custom)

    # Places

    def _spans(self, name: str) -> list[Span]:
        """Where the patterns of a field match in the text of the pages."""
        fields = self._template["fields"]
        setting = fields.get(name, fields.get(f"sum_{name}"))
        if isinstance(setting, dict):
            setting = setting.get("regex")
        patterns = setting if isinstance(setting, list) else [setting]
        found: list[Span] = []
        for pattern in patterns:
            if isinstance(pattern, str):
                found += _matches(pattern, self._text.text)
        return found

    def _by_value(self, part: ValuePart, value: Any, start: int) -> Iterator[Span]:
        """Where a value stands, from a place in the text on."""
        for span in self._candidates(value):
            if span[0] >= start and self._says(part, self._text.text[slice(*span)], value):
                yield span

    def _candidates(self, value: Any) -> Iterator[Span]:
        text = self._text.text
        if isinstance(value, datetime | date):
            return iter(self._dates)
        if isinstance(value, int | float):
            return iter(self._numbers)
        words = [re.escape(word) for word in _as_text(value).split()[:200]]
        pattern = r"\s+".join(words) or r"(?!)"
        return (found.span() for found in re.finditer(rf"(?i)(?<!\w){pattern}(?!\w)", text))

    def _says(self, part: ValuePart, said: str, value: Any) -> bool:
        """Whether a text says a value, as the template reads it or as we do."""
        if isinstance(value, datetime | date):
            read = _tried(lambda: self._template.parse_date(said))
            return _day(read) == _day(value) or self._ours(part, said, FieldType.DATE) == _day(
                value
            )
        if isinstance(value, int | float):
            read = _tried(lambda: self._template.parse_number(said.strip()))
            ours = self._ours(part, said, FieldType.NUMBER)
            return read == value or (ours is not None and Decimal(ours) == Decimal(str(value)))
        return _without_spaces(said) == _without_spaces(_as_text(value))

    def _ours(self, part: ValuePart, said: str, kind: FieldType) -> str | None:
        plain = ColumnPart(name="value", type=kind, locale=part.locale)
        reading = read_as(plain, said, self._custom)
        return reading.value if reading else None


def _without_spaces(text: str) -> str:
    return "".join(visible_text(text).split()).casefold()


def _tried(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (ValueError, TypeError, TemplateSyntaxError):
        return None


def _day(value: Any) -> str | None:
    if isinstance(value, datetime):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else None


def _as_text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else str(value)


def _matches(pattern: str, text: str) -> list[Span]:
    """Where a pattern that the library has run matches; none where that takes long."""
    try:
        compiled = regex.compile(pattern)
        group = 1 if compiled.groups else 0
        found = compiled.finditer(text, timeout=_PATTERN_SECONDS)
        return [one.span(group) for one in found if one.start(group) >= 0]
    except (regex.error, TimeoutError):
        return []


def _confidence(words: Sequence[Word], trust: float) -> float:
    return min(word.confidence for word in words) * trust
