"""The blocks of tasks that have data and no file: what they show, and which values fit them.

The types are those of Human Lambdas. One model each; `BLOCK_TYPES` is the table of them.
"""

import json
import math
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from store.project_fields import Part, must_differ
from store.storable import unstorable

BlockName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_ .-]{0,99}$")]
"""The name of a block in the data, and of its column in a table."""

MAX_TEXT_CHARACTERS: Final = 100_000
MAX_ENTRIES: Final = 10_000

_FILE_ID = re.compile(r"file_[a-z0-9]{16}")
# What WHATWG's HTML takes for an e-mail address, with a dot in its domain
# (https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address).
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})+")


def is_email(value: object) -> bool:
    """Whether it is one address, without a name."""
    # RFC 5321, 4.5.3.1.3
    return isinstance(value, str) and len(value) <= 254 and bool(_EMAIL.fullmatch(value))


class OptionPart(Part):
    """One of the values a person chooses from."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    """What is in the data."""
    name: str = ""
    """What people read; the id when omitted."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        return {"id": value} if isinstance(value, str) else value

    @property
    def title(self) -> str:
        """What people read."""
        return self.name or self.id


class BlockPart(Part):
    """What all blocks have."""

    name: BlockName
    """Its name in the data."""
    label: str = ""
    """What people read; the name when omitted."""
    read_only: bool = False
    """Shown, and never changed by a person."""
    required: bool = False
    """A task without it is not complete; one that is read only must come with the task."""
    placeholder: str = ""
    """Shown while it is empty."""

    what: ClassVar[str]
    """What fits, in words that follow "must be"."""
    is_plain: ClassVar[bool] = True
    """Whether its value is written as text, else as JSON."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Each type is described by what its blocks are."""
        schema = handler(core_schema)
        whole = handler.resolve_ref_schema(schema)
        if "type" in whole["properties"]:
            whole["properties"]["type"]["description"] = whole["description"]
        return schema

    @property
    def title(self) -> str:
        """What people read."""
        return self.label or self.name.replace("_", " ").replace("-", " ").capitalize()

    @property
    def choices(self) -> list[tuple[str, str]]:
        """What one is chosen from: as text, and as people read it; none where anything fits."""
        return []

    @abstractmethod
    def fault(self, value: Any) -> str:
        """Why a value, which is not None, does not fit; empty when it does."""

    def from_text(self, text: str) -> Any:
        """The value that somebody wrote, in a form or a cell of a table; None for nothing.

        What cannot be read stays text, and does not fit.
        """
        if not text.strip():
            return None
        if self.is_plain:
            return text
        try:
            return json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return text

    @property
    def hint(self) -> str:
        """How a value is written, where that is not plain."""
        return ""

    def to_text(self, value: Any) -> str:
        """The same the other way round."""
        if value is None:
            return ""
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT_CHARACTERS


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_url(value: Any) -> bool:
    if not _is_text(value) or any(c.isspace() or not c.isprintable() for c in value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _is_media(value: Any) -> bool:
    return _is_url(value) or (isinstance(value, str) and bool(_FILE_ID.fullmatch(value)))


def _entries(value: Any) -> list[Any] | None:
    return value if isinstance(value, list) and len(value) <= MAX_ENTRIES else None  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # of JSON


def _has_keys(value: Any, needed: set[str], possible: set[str]) -> bool:
    return isinstance(value, dict) and needed <= set(value) <= needed | possible  # pyright: ignore[reportUnknownArgumentType]  # of JSON


class BinaryBlock(BlockPart):
    """Yes or no."""

    type: Literal["binary"]
    what = "true or false"
    true_label: str = "Yes"
    """What people read for true."""
    false_label: str = "No"
    """What people read for false."""

    _WORDS: ClassVar[Mapping[str, bool]] = {
        **dict.fromkeys(("true", "yes", "y", "1"), True),
        **dict.fromkeys(("false", "no", "n", "0"), False),
    }

    def fault(self, value: Any) -> str:
        """Only the truth values of JSON."""
        return "" if isinstance(value, bool) else self.what

    @property
    def choices(self) -> list[tuple[str, str]]:
        """True and false, and what they are called."""
        return [("true", self.true_label), ("false", self.false_label)]

    def from_text(self, text: str) -> Any:
        """Yes and no, their labels, 1 and 0."""
        word = text.strip().casefold()
        labels = {self.true_label.casefold(): True, self.false_label.casefold(): False}
        return {**self._WORDS, **labels}.get(word, text) if word else None


class TextBlock(BlockPart):
    """Plain text."""

    type: Literal["text"]
    what = f"text of at most {MAX_TEXT_CHARACTERS} characters"
    max_characters: int = Field(default=MAX_TEXT_CHARACTERS, ge=1, le=MAX_TEXT_CHARACTERS)
    """More is refused."""

    def fault(self, value: Any) -> str:
        """Text, not too long."""
        if not _is_text(value):
            return self.what
        if len(value) > self.max_characters:
            return f"text of at most {self.max_characters} characters"
        return ""


class NumberBlock(BlockPart):
    """A number."""

    type: Literal["number"]
    what = "a number"
    min: float | None = None
    """Less is refused."""
    max: float | None = None
    """More is refused."""

    def fault(self, value: Any) -> str:
        """A finite number, within the limits."""
        if not _is_number(value):
            return self.what
        if self.min is not None and value < self.min:
            return f"a number of at least {self.min:g}"
        return (
            f"a number of at most {self.max:g}" if self.max is not None and value > self.max else ""
        )

    def from_text(self, text: str) -> Any:
        """As JSON and Python write numbers, the decimals behind a point."""
        plain = text.strip()
        if not re.fullmatch(
            r"[+-]?(\d{1,300}(\.\d{1,300})?|\.\d{1,300})([eE][+-]?\d{1,3})?", plain
        ):
            return text if plain else None
        return int(plain) if re.fullmatch(r"[+-]?\d+", plain) else float(plain)


class DateBlock(BlockPart):
    """A day, or a moment."""

    type: Literal["date"]
    what = "a date like 2026-01-31, or a time like 2026-01-31T12:00:00Z"

    def fault(self, value: Any) -> str:
        """ISO 8601."""
        if not isinstance(value, str):
            return self.what
        for read in (date.fromisoformat, datetime.fromisoformat):
            try:
                read(value)
            except ValueError:
                continue
            return ""
        return self.what


class EmailBlock(BlockPart):
    """An e-mail address."""

    type: Literal["email"]
    what = "an e-mail address"

    def fault(self, value: Any) -> str:
        """One address, without a name."""
        return "" if is_email(value) else self.what


class LinkBlock(BlockPart):
    """An address of the web."""

    type: Literal["link"]
    what = "an http or https address"

    def fault(self, value: Any) -> str:
        """Nothing that runs when it is opened."""
        return "" if _is_url(value) else self.what


class _MediaBlock(BlockPart):
    what = "an http or https address, or the id of a file (file_...)"

    def fault(self, value: Any) -> str:
        """An address or a file of ours."""
        return "" if _is_media(value) else self.what


class ImageBlock(_MediaBlock):
    """A picture."""

    type: Literal["image"]


class AudioBlock(_MediaBlock):
    """A recording."""

    type: Literal["audio"]


class VideoBlock(_MediaBlock):
    """A film."""

    type: Literal["video"]


class PdfBlock(_MediaBlock):
    """A PDF."""

    type: Literal["pdf"]


class EmbedBlock(LinkBlock):
    """A page of the web that is shown inside of the task's."""

    type: Literal["embed"]  # pyright: ignore[reportIncompatibleVariableOverride]  # the tag of the union


class ListBlock(BlockPart):
    """Several texts or numbers."""

    type: Literal["list"]
    what = "a list"
    is_plain = False
    of: Literal["text", "number"] = "text"
    """What its entries are."""

    def fault(self, value: Any) -> str:
        """Each entry of the one kind."""
        entries, fits = _entries(value), _is_text if self.of == "text" else _is_number
        if entries is None or not all(fits(one) for one in entries):
            return f"a list of {self.of}s, at most {MAX_ENTRIES}"
        return ""


class ChoosingBlock(BlockPart):
    """Something that is chosen, or labelled, from some options."""

    options: list[OptionPart] = Field(min_length=1, max_length=1000)
    """What can be chosen: an id, or `{id, name}`."""

    @field_validator("options")
    @classmethod
    def _once(cls, options: list[OptionPart]) -> list[OptionPart]:
        must_differ("option", [option.id for option in options], key="id")
        return options

    @property
    def ids(self) -> list[str]:
        """The ids of the options."""
        return [option.id for option in self.options]

    def id_of(self, text: str) -> str:
        """The id of the option of that id or name; the text where there is none."""
        word = text.strip()
        by_name = {option.title.casefold(): option.id for option in self.options}
        return word if word in self.ids else by_name.get(word.casefold(), word)

    def _possible(self) -> str:
        return f"{', '.join(self.ids[:20])}{' ...' if len(self.ids) > 20 else ''}"


class SingleSelectionBlock(ChoosingBlock):
    """One of some options."""

    type: Literal["single_selection"]
    what = "one of the options"

    def fault(self, value: Any) -> str:
        """The id of an option."""
        fits = isinstance(value, str) and value in self.ids
        return "" if fits else f"one of {self._possible()}"

    @property
    def choices(self) -> list[tuple[str, str]]:
        """The options."""
        return [(option.id, option.title) for option in self.options]

    def from_text(self, text: str) -> Any:
        """The id or the name of an option."""
        return self.id_of(text) if text.strip() else None


class MultipleSelectionBlock(ChoosingBlock):
    """Some of some options."""

    type: Literal["multiple_selection"]
    what = "a list of options"
    is_plain = False

    def fault(self, value: Any) -> str:
        """Ids of options, each once."""
        chosen = _entries(value)
        if chosen is None or not all(isinstance(one, str) and one in self.ids for one in chosen):
            return f"a list of some of {self._possible()}"
        return "" if len(set(chosen)) == len(chosen) else "a list with each option once"

    def from_text(self, text: str) -> Any:
        """JSON, or ids or names with `;` or `,` between."""
        if not text.strip():
            return None
        given = super().from_text(text)
        if isinstance(given, list):
            return given  # pyright: ignore[reportUnknownVariableType]  # of JSON
        return [self.id_of(one) for one in re.split(r"[;,]", text) if one.strip()]

    @property
    def hint(self) -> str:
        """The options."""
        return f"some of: {self._possible()}; with ; between"

    def to_text(self, value: Any) -> str:
        """Ids with `;` between, where no id has one in it."""
        if isinstance(value, list) and not any(re.search(r"[;,]", str(one)) for one in value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # of JSON
            return "; ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType]  # as above
        return super().to_text(value)


_InForm = Annotated[
    BinaryBlock
    | TextBlock
    | NumberBlock
    | DateBlock
    | EmailBlock
    | LinkBlock
    | SingleSelectionBlock
    | MultipleSelectionBlock,
    Field(discriminator="type"),
]


class FormSequenceBlock(BlockPart):
    """The same small form, filled in as often as is needed."""

    type: Literal["form_sequence"]
    what = "a list of filled forms"
    is_plain = False
    blocks: list[_InForm] = Field(min_length=1, max_length=50)
    """The form."""

    @field_validator("blocks")
    @classmethod
    def _once(cls, blocks: list[_InForm]) -> list[_InForm]:
        must_differ("block", [block.name for block in blocks])
        return blocks

    def fault(self, value: Any) -> str:
        """Objects of values that fit the blocks of the form."""
        rows = _entries(value)
        if rows is None or not all(isinstance(row, dict) for row in rows):
            return "a list of objects"
        for number, row in enumerate(rows, 1):
            if faults := faults_of(self.blocks, row, is_final=True):
                name, why = next(iter(faults.items()))
                return f"a list of filled forms; {name} of form {number} {why}"
        return ""


class TextSequenceBlock(BlockPart):
    """Texts in order, as of a conversation."""

    type: Literal["text_sequence"]
    what = "a list of texts, or of objects with `text` and perhaps `author`"
    is_plain = False

    def fault(self, value: Any) -> str:
        """Each with or without who says it."""
        entries = _entries(value)
        fits = entries is not None and all(
            _is_text(one)
            or (_has_keys(one, {"text"}, {"author"}) and all(map(_is_text, one.values())))
            for one in entries
        )
        return "" if fits else self.what


class _MarkingBlock(ChoosingBlock):
    """Something with marks on it, each labelled by an option: `{<carrier>, <marks>: [...]}`."""

    is_plain = False
    carrier: ClassVar[str]
    """Key of what is marked."""
    marks: ClassVar[str]
    """Key of the marks."""

    def fault(self, value: Any) -> str:
        """Each mark as its kind says."""
        if not _has_keys(value, {self.carrier}, {self.marks}):
            return self.what
        marks = _entries(value.get(self.marks, []))
        if marks is None or not self._is_carrier(value[self.carrier]):
            return self.what
        faults = (self._fault_of_mark(mark, value[self.carrier]) for mark in marks)
        return next(filter(None, faults), "")

    @abstractmethod
    def _is_carrier(self, value: Any) -> bool:
        """Whether it is something that can be marked."""

    @abstractmethod
    def _fault_of_mark(self, mark: Any, on: Any) -> str:
        """Why a mark does not fit; empty when it does."""

    def _fault_of_label(self, mark: Any) -> str:
        if mark["label"] in self.ids:
            return ""
        return f"an object whose `{self.marks}` are labelled by one of {self._possible()}"


class NamedEntityRecognitionBlock(_MarkingBlock):
    """Names in a text, each of a kind."""

    type: Literal["named_entity_recognition"]
    what = "an object with `text` and `entities`"
    carrier = "text"
    marks = "entities"

    def _is_carrier(self, value: Any) -> bool:
        return _is_text(value)

    def _fault_of_mark(self, mark: Any, on: Any) -> str:
        """`{start, end, label}`: characters from 0, the end not included."""
        if not _has_keys(mark, {"start", "end", "label"}, {"text"}):
            return "an object whose `entities` have `start`, `end` and `label`"
        start, end = mark["start"], mark["end"]
        if not (_is_whole(start) and _is_whole(end) and 0 <= start < end <= len(on)):
            return "an object whose `entities` lie within its `text`"
        if fault := self._fault_of_label(mark):
            return fault
        if mark.get("text", on[start:end]) != on[start:end]:
            return "an object whose `entities` have the text that stands at their place"
        return ""

    def from_text(self, text: str) -> Any:
        """JSON, or the text in which names are to be found."""
        given = super().from_text(text)
        return {"text": text, "entities": []} if isinstance(given, str) else given


class RichTextBlock(BlockPart):
    """Text with marks of form, as it was written (HTML or Markdown); it is shown as it stands."""

    type: Literal["rich_text"]
    what = f"text of at most {MAX_TEXT_CHARACTERS} characters"

    def fault(self, value: Any) -> str:
        """Text, not too long."""
        return "" if _is_text(value) else self.what


class BoundingBoxesBlock(_MarkingBlock):
    """Places on a picture, each of a kind."""

    type: Literal["bounding_boxes"]
    what = "an object with `image` and `boxes`"
    carrier = "image"
    marks = "boxes"
    unit: Literal["pixel", "fraction"] = "pixel"
    """In what places are given: fraction: of the width and the height of the picture, 0 to 1."""

    def _is_carrier(self, value: Any) -> bool:
        return _is_media(value)

    def _fault_of_mark(self, mark: Any, on: Any) -> str:  # noqa: ARG002  # how large the picture is, is not known
        """`{left, top, width, height, label}`, from the top left."""
        if not _has_keys(mark, {"left", "top", "width", "height", "label"}, set()):
            return "an object whose `boxes` have `left`, `top`, `width`, `height`, `label`"
        sides = [mark[side] for side in ("left", "top", "width", "height")]
        if not all(map(_is_number, sides)) or min(sides) < 0 or not (sides[2] and sides[3]):
            return f"an object whose `boxes` have places in {self.unit}s, and some width and height"
        if self.unit == "fraction" and max(sides) > 1:
            return "an object whose `boxes` have places in fractions, from 0 to 1"
        return self._fault_of_label(mark)

    def from_text(self, text: str) -> Any:
        """JSON, or the picture on which places are to be marked."""
        given = super().from_text(text)
        return {"image": text.strip(), "boxes": []} if isinstance(given, str) else given


Block = Annotated[
    BinaryBlock
    | TextBlock
    | NumberBlock
    | DateBlock
    | EmailBlock
    | LinkBlock
    | ImageBlock
    | AudioBlock
    | VideoBlock
    | PdfBlock
    | EmbedBlock
    | ListBlock
    | SingleSelectionBlock
    | MultipleSelectionBlock
    | FormSequenceBlock
    | TextSequenceBlock
    | NamedEntityRecognitionBlock
    | RichTextBlock
    | BoundingBoxesBlock,
    Field(discriminator="type"),
]

BLOCK_TYPES: Final[Mapping[str, type[BlockPart]]] = {
    get_args(model.model_fields["type"].annotation)[0]: model
    for model in get_args(get_args(Block)[0])
}
"""The types of blocks, by their words."""


def faults_of(
    blocks: Sequence[BlockPart], data: Mapping[str, Any], *, is_final: bool
) -> dict[str, str]:
    """What is wrong with the data of a task.

    Args:
        blocks: of its project.
        data: values by the names of blocks; None is no value.
        is_final: a person is done with it: whatever is required must be there. Before that, only
            what nobody can fill in later.

    Returns:
        For each value that does not fit why, in words that follow its name.
    """
    known = {block.name: block for block in blocks}
    faults = {name: "is no block of the project" for name in data if name not in known}
    for name, block in known.items():
        value = data.get(name)
        if value is None:
            if block.required and (is_final or block.read_only):
                faults[name] = "is missing"
        elif fault := block.fault(value):
            faults[name] = f"must be {fault}"
        elif fault := unstorable(value):
            faults[name] = f"cannot be kept: {fault}"
        elif block.required and is_final and value in ("", []):
            faults[name] = "is missing"
    return faults


def normal(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data without the values that are none."""
    return {name: value for name, value in data.items() if value is not None}
