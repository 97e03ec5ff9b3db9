"""The project file: YAML that says what happens to the documents of a project."""

import re
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from store.errors import ProjectFileError
from store.project_fields import FieldPart, Name, Part, SumPart

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: Any) -> Any:
    """`30m`, `12h`, `7d` besides what Pydantic reads (ISO 8601 and seconds)."""
    if isinstance(value, str) and (found := re.fullmatch(r"(\d+)\s*([smhd])", value.strip())):
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration), Field(gt=timedelta(0))]


class ReadPart(Part):
    """How pages are read."""

    mode: Literal["auto", "force", "skip"] = "auto"
    """auto: the text layer where it is good, else OCR; force: OCR always; skip: never OCR."""
    languages: list[str] = Field(default=["eng"], min_length=1)
    """Tesseract's names of the languages on the pages."""
    dpi: int = Field(default=300, ge=72, le=600)
    """Dots per inch of the page images."""


class WhenReview(StrEnum):
    """When a person looks at a task."""

    NEEDED = "needed"
    ALWAYS = "always"
    NEVER = "never"


class ReviewPart(Part):
    """The wait for a person."""

    when: WhenReview = WhenReview.NEEDED
    """needed: when a value is invalid or not sure enough; never: an invalid task fails."""
    timeout: Duration = timedelta(days=14)
    """How long a task waits for a person: `30m`, `12h`, `14d`."""
    then: Literal["time_out", "complete", "discard"] = "time_out"
    """What happens when that time is over; complete only happens to valid data."""


class ExportPart(Part):
    """What a finished task leaves with."""

    formats: list[Literal["json", "csv", "pdf"]] = ["json"]
    """json and csv: the data; pdf: the pages with the text laid under them."""


class ProjectFile(Part):
    """A project: what happens to its documents."""

    name: Name
    """By which tasks name it."""
    title: str = ""
    """What people read; the name when omitted."""
    document_type: str = "document"
    """What its documents are called in the data."""
    names_outside: bool = False
    """Show task names in Prefect, where everybody who opens its UI reads them."""
    read: ReadPart = ReadPart()
    fields: list[FieldPart] = Field(min_length=1)
    sums: list[SumPart] = []
    review: ReviewPart = ReviewPart()
    export: ExportPart = ExportPart()
    timeout: Duration = timedelta(days=30)
    """How long a task may take, waiting included."""

    @model_validator(mode="after")
    def _names_fit(self) -> "ProjectFile":
        names = [field.name for field in self.fields]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"field named twice: {', '.join(twice)}")
        for sum_ in self.sums:
            if unknown := sorted({*sum_.parts, sum_.total} - set(names)):
                raise ValueError(f"sums names fields that are not there: {', '.join(unknown)}")
        return self

    def field(self, name: str) -> FieldPart | None:
        """The field of that name."""
        return next((field for field in self.fields if field.name == name), None)


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
        root = yaml.compose(source, Loader=yaml.SafeLoader)
        content = yaml.safe_load(source)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = {
            "line": mark.line + 1 if mark else 1,
            "key": "",
            "message": f"not YAML: {getattr(error, 'problem', None) or error}",
        }
        raise _invalid([problem]) from None
    if not isinstance(content, dict):
        raise _invalid([{"line": 1, "key": "", "message": "a mapping of keys is expected"}])
    try:
        return ProjectFile.model_validate(content)
    except ValidationError as error:
        raise _invalid(
            [
                {
                    "line": _line(root, found["loc"]),
                    "key": ".".join(str(part) for part in found["loc"]),
                    "message": found["msg"].removeprefix("Value error, "),
                }
                for found in error.errors()
            ]
        ) from None


def _invalid(problems: list[dict[str, Any]]) -> ProjectFileError:
    text = "; ".join(
        f"line {problem['line']}, {problem['key'] or 'the file'}: {problem['message']}"
        for problem in problems
    )
    return ProjectFileError(f"The project file is not valid: {text}.", problems=problems)


def _line(node: yaml.Node | None, path: tuple[int | str, ...]) -> int:
    """The 1-based line of a key, or of the nearest thing around it that is there."""
    line = node.start_mark.line + 1 if node else 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                break
            entry: yaml.Node = node.value[part]
            line, node = entry.start_mark.line + 1, entry
        else:
            break
    return line
