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
from typing import Any, Final

import regex
from invoice2data.exceptions import TemplateSyntaxError
from invoice2data.extract.invoice_template import InvoiceTemplate
from invoice2data.extract.loader import prepare_template

from operations.tools.layout import around
from operations.tools.layout_text import LayoutText
from operations.tools.rows import missing, with_rows
from operations.tools.template_texts import AreaReader, TemplateTexts, without_spaces
from operations.tools.value_types import plain_value, read_as
from operations.tools.values import DATE, NUMBER, Custom, Reading, plain_digits, visible_text
from store.errors import InputError, LimitExceededError
from store.fields import ITEM, ROWS, FieldType, FieldValue, PageWords, Word
from store.project_fields import ColumnPart, FieldPart, ValuePart, columns_of, item_part
from store.templates import REQUIRED

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

_RIVALLED = 0.8
"""Another way of writing the text out gives another value."""

_GUESSED = 0.7
"""The template finds it where letters are taken for others than were read."""

_CUT = 0.5
"""The template finds it in the middle of a word: of `1l9.00` it takes the first `1`."""

_NO_NUMBER = "Decimal separator cannot appear more than once"
"""The library blames the template for it, but it is the text."""

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
    found = _first_that_fits(templates, TemplateTexts(pages), custom)
    values = {field.name: _value(found, field) for field in wanted} if found else {}
    return {name: value for name, value in values.items() if value.text}


def _first_that_fits(
    templates: Sequence[Mapping[str, Any]], texts: TemplateTexts, custom: Custom
) -> "list[_Found]":
    """What the first template that finds all it requires found in each text, the best first."""
    prepared = [_prepared(template) for template in templates]
    for template in sorted(prepared, key=lambda one: one.get("priority", 5), reverse=True):
        if not texts.may_be_of(template):
            continue
        required = set(template.get("required_fields", REQUIRED))
        template["required_fields"] = []  # of all texts together
        found: list[_Found] = []
        for tried in (texts.as_read, texts.mended_for(template)):
            outputs = [(_output(template, text, texts.pages), text) for text in tried]
            some = [_Found(template, output, text, custom) for output, text in outputs if output]
            found += sorted(some, key=lambda one: one.count, reverse=True)
        if required <= {name for one in found for name in one.names}:
            return found
    return []


def _value(found: "Sequence[_Found]", field: FieldPart) -> FieldValue:
    """The value of a field, from the best of the texts that have it."""
    name = field.template_field
    having = [one for one in found if name in one.names]
    if not having:
        return missing(field)
    if field.type in ROWS:
        return max(having, key=lambda one: (one.size_of(name), one.count)).value(field)
    ways: dict[str, _Found] = {}
    for one in having:
        ways.setdefault(without_spaces(str(one.output[name])), one)
    values = {said: one.value(field) for said, one in ways.items()}
    if len(values) == 1:
        return next(iter(values.values()))
    first = next(iter(ways))
    is_text = isinstance(having[0].output[name], str)

    def rank(said: str) -> tuple[int, float]:
        # A part that one text lacks was there, but not as the template wants it.
        return len(said) if is_text and first in said else 0, values[said].confidence

    best = values[max(values, key=rank)]
    return best.model_copy(update={"confidence": round(best.confidence * _RIVALLED, 4)})


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


def _output(
    template: InvoiceTemplate, text: LayoutText, pages: Sequence[PageWords]
) -> dict[str, Any]:
    name = template["template_name"] or template["issuer"]
    reader = AreaReader(text, pages)
    try:
        with _time_limit(TEMPLATE_SECONDS, f"The template {name}"):
            return template.extract(template.prepare_input(text.text), reader.path, reader)
    except TemplateSyntaxError as error:
        if _NO_NUMBER in str(error):
            return {}
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


Span = tuple[int, int]


_EMPTY: Final = (None, "", [])
"""What is no value; of zero the library makes one."""


class _Found:
    """What a template found in a text, as values of fields."""

    def __init__(
        self,
        template: InvoiceTemplate,
        output: Mapping[str, Any],
        text: LayoutText,
        custom: Custom,
    ):
        self._template = template
        self.output = output
        self.names = {name for name, value in output.items() if value not in _EMPTY}
        self._text = text
        self._custom = custom
        self.count = sum(self.size_of(name) for name in self.names)
        """How much was found: values, and cells of tables."""

    def size_of(self, name: str) -> int:
        """How many values a field has, over all rows and cells."""
        value = self.output.get(name)
        rows = value if isinstance(value, list) else [value]
        return sum(
            sum(cell not in _EMPTY for cell in row.values()) if isinstance(row, dict) else 1
            for row in rows
        )

    @cached_property
    def _dates(self) -> list[Span]:
        return [found.span() for found in DATE.finditer(self._text.text)]

    @cached_property
    def _numbers(self) -> list[Span]:
        return [found.span() for found in NUMBER.finditer(self._text.text)]

    def value(self, field: FieldPart) -> FieldValue:
        """The value of a field; without one where the template found none."""
        name = field.template_field
        found = self.output.get(name)
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
        if any(id(word) in self._text.mending.guessed for word, _ in words):
            sure *= _GUESSED
        if span and self._cuts(span):
            sure *= _CUT
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

    def _cuts(self, span: Span) -> bool:
        """Whether a number or date goes on behind its end, or begins before its beginning."""
        text, (start, end) = self._text.text, span
        around = text[start - 1 : start] + text[start : start + 1], text[end - 1 : end + 1]
        return any(len(pair) == 2 and pair.isalnum() for pair in around)

    def _currency(self, part: ValuePart) -> str | None:
        currency = self.output.get("currency")
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
        return without_spaces(said) == without_spaces(_as_text(value))

    def _ours(self, part: ValuePart, said: str, kind: FieldType) -> str | None:
        plain = ColumnPart(name="value", type=kind, locale=part.locale)
        reading = read_as(plain, said, self._custom)
        return reading.value if reading else None


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
