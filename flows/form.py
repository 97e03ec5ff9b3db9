"""The form by which a person decides in the Prefect UI."""

from enum import StrEnum
from typing import Any

from prefect.input import RunInput
from pydantic import Field, create_model

from store.project_file import ProjectFile


class Decision(StrEnum):
    """What a person can decide."""

    COMPLETE = "complete"
    DISCARD = "discard"
    REPORT = "report"


def review_form(project: ProjectFile) -> type[RunInput]:
    """The form of a project: a decision, which is required, corrections, and a note.

    It has no value of the document in it: Prefect keeps a form for as long as the run. The
    decision has no default, since a form of defaults only can be sent by accident.
    """
    corrections: dict[str, Any] = {
        correction_name(field.name): (
            str,
            Field(
                default="",
                title=field.title,
                description="The right value; leave empty to keep what was found.",
            ),
        )
        for field in project.fields
    }
    return create_model(
        "Review",
        __base__=RunInput,
        decision=(
            Decision,
            Field(
                title="Decision",
                description="complete: the data is right; discard: throw the document out;"
                " report: say in the note what is wrong, and leave it in review.",
            ),
        ),
        note=(str, Field(default="", title="Note", description="Why; kept with the task.")),
        **corrections,
    )


def correction_name(field_name: str) -> str:
    """The name in the form, where `decision` and `note` are taken."""
    return f"value_{field_name.replace('-', '_')}"


def corrections_of(project: ProjectFile, answer: RunInput) -> dict[str, str]:
    """The values that the person typed, by the name of their field."""
    return {
        field.name: text
        for field in project.fields
        if (text := getattr(answer, correction_name(field.name)).strip())
    }
