"""The forms by which a person decides in the Prefect UI."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from prefect.input import RunInput
from pydantic import Field, create_model

from flows.verbs import Arranged
from operations.validate_fields import how_to_type
from store.errors import InputError
from store.fields import ROWS
from store.finding import field_values
from store.models import Document
from store.project_fields import FieldPart
from store.project_file import ProjectFile

MAX_CORRECTIONS: Final = 200
"""More inputs than this are no form any more: only those in doubt are then in it."""


class Decision(StrEnum):
    """What a person can decide."""

    COMPLETE = "complete"
    DISCARD = "discard"
    REPORT = "report"


def values_form(project: ProjectFile, documents: Sequence[Document]) -> type[RunInput]:
    """The form for the values of documents: a decision, which is required, corrections, a note.

    It has no value of the document in it: Prefect keeps a form for as long as the run. The
    decision has no default, since a form of defaults only can be sent by accident.
    """
    fields = [
        (document, part, part.name in _doubtful(document))
        for document in documents
        for part in project.type_named(document.document_type).fields
    ]
    if len(fields) > MAX_CORRECTIONS:
        fields = [one for one in fields if one[2]][:MAX_CORRECTIONS]
    several = len(documents) > 1
    corrections: dict[str, Any] = {
        correction_name(document.number, part.name): (
            str,
            Field(
                default="",
                title=f"Document {document.number}: {part.title}" if several else part.title,
                description=_what_to_type(part),
                json_schema_extra={"format": "textarea"} if part.type in ROWS else None,
            ),
        )
        for document, part, _ in fields
    }
    return _form("Review", corrections)


def _what_to_type(part: FieldPart) -> str:
    return f"The right value; leave empty to keep what was found. {how_to_type(part)}".rstrip()


def _doubtful(document: Document) -> set[str]:
    values = field_values(document).items()
    return {name for name, value in values if not value.valid or value.needs_confirmation}


def sorting_form(project: ProjectFile) -> type[RunInput]:
    """The form for the documents of a file: which pages each has, and of which type it is."""
    types = ", ".join(one.name for one in project.types)
    arrangement = (
        str,
        Field(
            default="",
            title="Documents",
            description="One a line, its pages and its type, like `1-2 invoice`; leave empty to"
            f" keep what was found. Types: {types}. Pages that are left out are dropped.",
            json_schema_extra={"format": "textarea"},
        ),
    )
    return _form("Sorting", {"documents": arrangement})


def data_form(project: ProjectFile) -> type[RunInput]:
    """The form for the data of a task: each block that a person may change."""
    inputs: dict[str, Any] = {
        block_input(index): (
            str,
            Field(
                default="",
                title=block.title,
                description=f"{block.what[:1].upper()}{block.what[1:]}; leave empty to keep what"
                " is there.",
            ),
        )
        for index, block in enumerate(project.blocks)
        if not block.read_only
    }
    return _form("Data", inputs)


def _form(name: str, inputs: dict[str, Any]) -> type[RunInput]:
    return create_model(
        name,
        __base__=RunInput,
        decision=(
            Decision,
            Field(
                title="Decision",
                description="complete: the data is right; discard: throw the task out;"
                " report: say in the note what is wrong, and leave it in review.",
            ),
        ),
        note=(str, Field(default="", title="Note", description="Why; kept with the task.")),
        **inputs,
    )


def with_reason(form: type[RunInput], reason: str) -> type[RunInput]:
    """A form whose decision says why it is asked for.

    What stands above a form that is longer than its window is shrunk to nothing in the Prefect UI
    (3.8), so it is said here, too.

    Args:
        form: one of the above.
        reason: names fields, never their values.
    """
    decision = form.model_fields["decision"]
    told = Field(title=decision.title, description=f"Why: {reason}. {decision.description}")
    inputs: dict[str, Any] = {"decision": (decision.annotation, told)}
    return create_model(form.__name__, __base__=form, **inputs)


class PickupDecision(StrEnum):
    """How a client's fetching of the files can end."""

    COMPLETE = "complete"
    FAIL = "fail"


def pickup_form() -> type[RunInput]:
    """The form for the files that a client fetches, where somebody decides in its place."""
    return create_model(
        "Pickup",
        __base__=RunInput,
        decision=(
            PickupDecision,
            Field(
                title="Decision",
                description="complete: the files were fetched; fail: they cannot be used, which"
                " ends the task.",
            ),
        ),
        note=(str, Field(default="", title="Note", description="Why; kept with the task.")),
    )


def correction_name(document_number: int, field_name: str) -> str:
    """The name in the form, where `decision` and `note` are taken."""
    prefix = "value" if document_number == 1 else f"value_{document_number}"
    return f"{prefix}_{field_name.replace('-', '_')}"


def corrections_of(
    project: ProjectFile, documents: Sequence[Document], answer: RunInput
) -> Mapping[int, Mapping[str, str]]:
    """The values that the person typed: document number -> field name -> text."""
    values: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for document in documents:
        for part in project.type_named(document.document_type).fields:
            text = getattr(answer, correction_name(document.number, part.name), "").strip()
            if text:
                values[document.number][part.name] = text
    return values


_ARRANGED = re.compile(r"\s*(\d[\d\s,-]*?)\s+([^\d\s].*?)\s*")


def arrangement_of(answer: RunInput) -> Sequence[Arranged]:
    """The documents that the person wrote down; none where what was found is kept.

    Raises:
        InputError: a line is none.
    """
    return read_arrangement(getattr(answer, "documents", ""))


def read_arrangement(text: str) -> Sequence[Arranged]:
    """Documents as a person writes them down: one a line, its pages and its type.

    Raises:
        InputError: a line is none.
    """
    return [_arranged(line) for line in re.split(r"[\n;]", text) if line.strip()]


def written_arrangement(documents: Sequence[Document]) -> str:
    """The same the other way round."""
    return "\n".join(f"{page_ranges(one.page_numbers)} {one.document_type}" for one in documents)


def page_ranges(numbers: Sequence[int]) -> str:
    """Page numbers as people write them: `1-3, 5`."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)


def _arranged(line: str) -> Arranged:
    found = _ARRANGED.fullmatch(line)
    numbers: list[int] = []
    for part in found[1].split(",") if found else [""]:
        pages = re.fullmatch(r"\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?", part)
        if pages is None or found is None:
            raise InputError("Write each document like `1-2 invoice`: its pages, then its type.")
        numbers += range(int(pages[1]), int(pages[2] or pages[1]) + 1)
    return Arranged(page_numbers=numbers, document_type=found[2] if found else "")


def block_input(index: int) -> str:
    """The name of the input of a block, whose own name may be no name in Python."""
    return f"block_{index}"


def data_of(project: ProjectFile, answer: RunInput) -> dict[str, Any]:
    """The values that the person filled in, by the names of their blocks."""
    return {
        block.name: block.from_text(text)
        for index, block in enumerate(project.blocks)
        if not block.read_only and (text := getattr(answer, block_input(index)).strip())
    }
