"""The project file: YAML that says what happens to the documents of a project."""

import re
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from store.blocks import Block
from store.errors import ProjectFileError
from store.export_names import check_template
from store.fields import ROWS
from store.project_export import ExportPart
from store.project_fields import (
    FieldPart,
    Locale,
    Name,
    Part,
    SumPart,
    check_names,
    handed_down,
    must_be_there,
    must_differ,
)
from store.project_limits import LimitsPart
from store.project_sorting import (
    UNKNOWN,
    Automation,
    ClassifyPart,
    FilterPart,
    GroupPart,
    Pattern,
    SegmentPart,
    TypeName,
)
from store.templates import Templates
from store.yaml_source import PlacedError, YamlSource, YamlSourceError

VERSION: Final = 1
"""Of the form of project files."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: Any) -> Any:
    """`30m`, `12h`, `7d` besides what Pydantic reads (ISO 8601 and seconds)."""
    if isinstance(value, str) and (found := re.fullmatch(r"(\d{1,9})\s*([smhd])", value.strip())):
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    return value


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    Field(gt=timedelta(0)),
    WithJsonSchema(
        {"type": ["string", "number"], "examples": ["30m", "12h", "14d"]}, mode="validation"
    ),
]

_Weight = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]


def _weighed(given: Any) -> Any:
    return dict.fromkeys(given, 1.0) if isinstance(given, list) else given  # pyright: ignore[reportUnknownArgumentType]  # of any YAML


_WEIGHTS_SCHEMA = WithJsonSchema(
    {
        "anyOf": [
            {
                "type": "object",
                "additionalProperties": {"type": "number", "minimum": -10, "maximum": 10},
            },
            {"type": "array", "items": {"type": "string"}},
        ]
    },
    mode="validation",
)
Keywords = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=200)], _Weight],
    BeforeValidator(_weighed),
    _WEIGHTS_SCHEMA,
]
Patterns = Annotated[dict[Pattern, _Weight], BeforeValidator(_weighed), _WEIGHTS_SCHEMA]


class ReadPart(Part):
    """How pages are read."""

    mode: Literal["auto", "force", "skip"] = "auto"
    """auto: the text layer where it is good, else OCR; force: OCR always; skip: never OCR."""
    languages: list[str] = Field(default=["eng"], min_length=1)
    """Tesseract's names of the languages on the pages."""
    dpi: int = Field(default=300, ge=72, le=600)
    """Dots per inch of the page images."""


class FieldsPart(Part):
    """What is to be found on a document, and what must hold of it."""

    fields: list[FieldPart] = Field(default=[])
    """What is to be found."""
    sums: list[SumPart] = Field(default=[])
    """Fields that add up."""
    locale: Locale = ""
    """How numbers and dates are written: `de_CH`; a field may say otherwise. Omitted: as each
    document writes them."""

    @model_validator(mode="before")
    @classmethod
    def _fields_inherit(cls, value: Any) -> Any:
        return handed_down(value, "locale", "fields")

    @model_validator(mode="after")
    def _fields_fit(self) -> "FieldsPart":
        check_names(self.fields, self.sums)
        return self

    def field(self, name: str) -> FieldPart | None:
        """The field of that name."""
        return next((field for field in self.fields if field.name == name), None)


class DocumentTypePart(FieldsPart):
    """A kind of documents: what it is known by, and its fields."""

    name: TypeName
    """What it is called in the data."""
    title: str = ""
    """What people read; the name when omitted."""
    keywords: Keywords = Field(default={})
    """Words and phrases that speak for it, any case, each with its weight; in a list they weigh
    1. One of weight 3 is nearly enough by itself; a negative weight speaks against."""
    patterns: Patterns = Field(default={})
    """Regular expressions that speak for it, weighed like the keywords."""

    @field_validator("name")
    @classmethod
    def _is_not_unknown(cls, name: str) -> str:
        if name == UNKNOWN:
            raise ValueError(f"`{UNKNOWN}` is what documents of no type are called; take another")
        return name

    @property
    def spoken(self) -> str:
        """What people read."""
        return self.title or self.name.replace("_", " ").replace("-", " ").capitalize()


class ExtractPart(Part):
    """How fields are found."""

    automation: Automation = Automation.PROCESS
    """none: a person types them; predict: a person always looks; process: only where a value is
    not sure or not valid."""
    templates: Templates = Field(default=[])
    """Templates of invoice2data, or the folder in which they are, seen from this file: what one
    finds goes before what is found otherwise. Fields name what they take by `template_field`."""


class StepPart(Part):
    """What is done with the fields of each document once they are found."""

    use: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=100)]
    """Name of an operation on fields, from a package that is installed on the server."""
    params: dict[str, Any] = Field(default={})
    """What is said to it."""


class WhenReview(StrEnum):
    """When a person looks at a task."""

    WHEN_NEEDED = "when_needed"
    ALWAYS = "always"
    NEVER = "never"


class ReviewPart(Part):
    """The wait for a person; a word alone is its `when`."""

    when: WhenReview | None = None
    """when_needed: when something is invalid or not sure enough; never: an invalid task fails.
    Omitted: when_needed for files, always for data."""
    timeout: Duration = timedelta(days=14)
    """How long a task waits for a person: `30m`, `12h`, `14d`."""
    then: Literal["time_out", "complete", "discard"] = "time_out"
    """What happens when that time is over; complete only happens to valid data."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        return {"when": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The word alone, besides the mapping."""
        whole = handler.resolve_ref_schema(handler(core_schema))
        words = [when.value for when in WhenReview]
        return {
            "title": whole.pop("title"),
            "description": whole.get("description", ""),
            "anyOf": [{"type": "string", "enum": words}, whole],
        }


def _period(value: Any) -> Any:
    """`final` for no time at all, `keep` for no end, else a duration."""
    words = {"final": timedelta(0), "keep": None}
    if isinstance(value, str) and value.strip() in words:
        return words[value.strip()]
    try:
        return parse_duration(value)
    except ValidationError:
        raise ValueError("must be `final`, `keep`, or a time like `12h` or `30d`") from None


_DURATION: Final = TypeAdapter[timedelta](Duration)


def parse_duration(text: Any) -> timedelta:
    """Read a duration: `30m`, `12h`, `30d`.

    Raises:
        ValueError: it is none.
    """
    return _DURATION.validate_python(text)


class RetentionPart(Part):
    """How long what a task holds is kept once it has ended."""

    data: Annotated[
        timedelta | None,
        BeforeValidator(_period),
        WithJsonSchema(
            {"type": ["string", "number"], "examples": ["final", "30d", "keep"]},
            mode="validation",
        ),
    ] = None
    """The file and all that came from it, from the end of the task on: final: not at all; keep:
    until somebody deletes the task; or a time: `12h`, `30d`."""
    record: Duration = timedelta(hours=72)
    """How long after that it can be seen that there was a task, and how it ended."""


class ProjectFile(FieldsPart):
    """A project: what happens to its documents, or to its data."""

    version: Literal[1] = VERSION
    """Of the form of this file."""
    name: Name
    """By which tasks name it."""
    title: str = ""
    """What people read; the name when omitted."""
    description: str = Field(default="", max_length=10_000)
    """What people who decide on its tasks should know."""
    document_type: TypeName = "document"
    """What its documents are called in the data, where they are all of one type."""
    names_outside: bool = False
    """Show task names in Prefect, where everybody who opens its UI reads them."""
    read: ReadPart = ReadPart()
    """How pages are read: by their text layer or by OCR, in which languages."""
    segment: SegmentPart | None = None
    """How a file is cut into documents; omitted: it is one."""
    classify: ClassifyPart = ClassifyPart()
    """How the type of a document is found out, where there are several."""
    extract: ExtractPart = ExtractPart()
    """How fields are found: how far without a person, and by which templates."""
    steps: list[StepPart] = Field(default=[], max_length=20)
    """Operations of your own on the fields that were found, one after the other, before a person
    looks at them."""
    group: GroupPart | None = None
    """Which documents of a file belong together."""
    filter: FilterPart = FilterPart()
    """Which documents are taken out; a task of which nothing is left ends as filtered."""
    fields: list[FieldPart] = Field(default=[])
    """What is to be found, where all documents are of one type."""
    sums: list[SumPart] = Field(default=[])
    """Fields that add up, where all documents are of one type."""
    document_types: list[DocumentTypePart] = Field(default=[], max_length=100)
    """The types of its documents, each with its own fields."""
    blocks: list[Block] = Field(default=[], max_length=200)
    """What a person sees and fills in, where tasks have data and no file."""
    review: ReviewPart = ReviewPart()
    """When a person looks at a task, and how long it waits for one."""
    export: ExportPart = ExportPart()
    """What a finished task leaves with: which files, what they are called, where they get to."""
    limits: LimitsPart = LimitsPart()
    """Which files are refused: by their size, their pages, or their type."""
    report_hook: str = Field(default="", max_length=2048)
    """Address that is told when somebody reports a task, while they wait: `https://...`."""
    retention: RetentionPart = RetentionPart()
    """How long the data of a task is kept once it has ended, and how long its record."""
    timeout: Duration = timedelta(days=30)
    """How long a task may take, waiting included."""

    @model_validator(mode="after")
    def _is_one_kind(self) -> "ProjectFile":
        kinds = [kind for kind in ("fields", "document_types", "blocks") if getattr(self, kind)]
        if not kinds:
            raise ValueError(
                "give `fields` (documents of one type), `document_types` (of several), or"
                " `blocks` (tasks of data without a file)"
            )
        if len(kinds) > 1:
            said = " and ".join(f"`{kind}`" for kind in kinds)
            raise PlacedError(f"give only one of {said}", kinds[-1])
        if self.blocks and (idle := sorted(_OF_FILES & self.model_fields_set)):
            raise PlacedError(f"without effect on `blocks`, leave out: {', '.join(idle)}", idle[0])
        if self.document_types and (idle := sorted(_OF_ONE_TYPE & self.model_fields_set)):
            raise PlacedError(f"belongs into each of `document_types`: {', '.join(idle)}", idle[0])
        return self

    @model_validator(mode="after")
    def _names_fit(self) -> "ProjectFile":
        must_differ("document type", [one.name for one in self.document_types], "document_types")
        must_differ("block", [block.name for block in self.blocks], "blocks")
        known = dict.fromkeys([*(one.name for one in self.types), UNKNOWN])
        for number, name in enumerate(self.filter.document_types):
            must_be_there("document type", name, known, "filter", "document_types", number)
        if self.group:
            fields = dict.fromkeys(field.name for one in self.types for field in one.fields)
            must_be_there("field", self.group.by, fields, "group", "by")
        return self

    @model_validator(mode="after")
    def _exports_what_there_is(self) -> "ProjectFile":
        if self.blocks and "pdf" in self.export.formats:
            raise PlacedError(
                "data has no pages: leave `pdf` out of the formats of `export`", "export", "formats"
            )
        single = {field.name: field.type not in ROWS for one in self.types for field in one.fields}
        single |= {block.name: block.is_plain for block in self.blocks}
        try:
            check_template(self.export.name, single)
        except ValueError as error:
            raise PlacedError(str(error), "export", "name") from None
        return self

    @model_validator(mode="after")
    def _leaves_no_name(self) -> "ProjectFile":
        if self.names_outside and self.retention.data == timedelta(0):
            raise PlacedError(
                "`names_outside` and `retention: {data: final}` contradict each other: Prefect"
                " keeps the names of runs in its events; leave one of them out",
                "names_outside",
            )
        return self

    @model_validator(mode="after")
    def _can_be_decided(self) -> "ProjectFile":
        if self.when_review is WhenReview.NEVER:
            parts: dict[str, SegmentPart | ClassifyPart | ExtractPart | GroupPart | None] = {
                "segment": self.segment,
                "extract": self.extract,
                "group": self.group,
            }
            if self.sorts:
                parts["classify"] = self.classify
            asking = [
                key for key, part in parts.items() if part and part.automation != Automation.PROCESS
            ]
            if asking:
                raise PlacedError(
                    f"`review: never`, and yet a person is asked by the automation of"
                    f" {', '.join(asking)}: make it `process`",
                    asking[0],
                    "automation",
                )
        is_told = self.classify.automation == Automation.NONE or len(self.document_types) == 1
        for number, one in enumerate(self.document_types):
            if not is_told and not one.keywords and not one.patterns:
                raise PlacedError(
                    f"the document type {one.name} needs `keywords` or `patterns`, else it is"
                    " never recognised (or `classify: {automation: none}`)",
                    "document_types",
                    number,
                )
        return self

    @property
    def types(self) -> list[DocumentTypePart]:
        """The types of its documents; none where tasks have data."""
        if self.blocks:
            return []
        return self.document_types or [
            DocumentTypePart.model_construct(
                name=self.document_type,
                title="",
                keywords={},
                patterns={},
                fields=self.fields,
                sums=self.sums,
            )
        ]

    def type_named(self, name: str) -> DocumentTypePart:
        """The type of that name; one without fields where there is none.

        Where all documents are of one type, each is of that.
        """
        if not self.document_types and self.fields:
            return self.types[0]
        found = next((one for one in self.types if one.name == name), None)
        return found or DocumentTypePart.model_construct(
            name=name, title="", keywords={}, patterns={}, fields=[], sums=[]
        )

    @property
    def sorts(self) -> bool:
        """Whether the type of a document must be found out."""
        return len(self.document_types) > 1 or any(
            one.keywords or one.patterns for one in self.document_types
        )

    @property
    def when_review(self) -> WhenReview:
        """When a person looks at its tasks."""
        return self.review.when or (WhenReview.ALWAYS if self.blocks else WhenReview.WHEN_NEEDED)

    def block(self, name: str) -> Block | None:
        """The block of that name."""
        return next((block for block in self.blocks if block.name == name), None)


_OF_FILES: Final = frozenset(
    {
        "read",
        "segment",
        "classify",
        "extract",
        "steps",
        "group",
        "filter",
        "sums",
        "document_type",
        "limits",
    }
)
_OF_ONE_TYPE: Final = frozenset({"sums", "document_type"})


@lru_cache(maxsize=256)
def parse_project_file(source: str) -> ProjectFile:
    """Read a project file.

    The answer is kept for the next call with the same text: every task of a project asks, and
    reading YAML takes milliseconds.

    Raises:
        ProjectFileError: it is no YAML, or a key is wrong; `problems` in the details has, for
            each, `line` (1-based), `key`, and `message`.
    """
    try:
        yaml = YamlSource(source)
    except YamlSourceError as error:
        raise _invalid([{"line": error.line, "key": "", "message": error.reason}]) from None
    try:
        return ProjectFile.model_validate(yaml.content)
    except ValidationError as error:
        raise _invalid([yaml.problem(one, project_schema()) for one in error.errors()]) from None


def refused(source: str, place: Sequence[str | int], reason: str) -> ProjectFileError:
    """The error about a value that is right in itself and not possible on this server.

    Args:
        source: of a project file that can be read.
        place: the keys that lead to the value.
        reason: what is wrong, and what would be right.
    """
    found = {"loc": tuple(place), "msg": reason, "type": "value_error"}
    return _invalid([YamlSource(source).problem(found, project_schema())])


def _invalid(problems: list[dict[str, Any]]) -> ProjectFileError:
    text = "; ".join(
        f"line {problem['line']}, {problem['key'] or 'the file'}: {problem['message']}"
        for problem in problems
    )
    return ProjectFileError(f"The project file is not valid: {text}.", problems=problems)


@lru_cache(maxsize=1)
def project_schema() -> dict[str, Any]:
    """The JSON Schema of project files, for editors."""
    schema = ProjectFile.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Papertray project file",
    }
