"""/v2/.../task/{id}/report: what is wrong with a task."""

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from api.bodies import Text
from api.send_ai import examples, shapes
from api.send_ai.route import SendAiRoute, TaskEditor, TaskId
from api.send_ai.tasks import shown
from api.v1.examples import answer, body
from flows import verbs
from store.errors import IllegalTransitionError

router = APIRouter(prefix="/task", route_class=SendAiRoute)

MAX_TEXT_CHARACTERS = 2000
_Word = Annotated[Text, Field(min_length=1, max_length=255)]


class Issue(BaseModel):
    """One thing that is wrong."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    label: _Word
    """For people: `Poor Document Quality`."""
    value: _Word
    """For programs: `poor_quality`."""


class IssuesBody(BaseModel):
    """What is wrong with a task."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    issues: list[Issue] = Field(min_length=1, max_length=100)
    message: Annotated[Text, Field(max_length=MAX_TEXT_CHARACTERS)] = ""
    """The same in words."""


_HOOK_FAILED: dict[str, Any] = {
    "message": "The report is kept, but the report hook of the project was not told."
    " The receiver answered 500.",
    "errors": {"report_hook": ["The receiver answered 500."]},
}


@router.post(
    "/{task_id}/report",
    status_code=201,
    summary="Report a task",
    responses={
        201: answer("The report is kept.", examples.task()),
        207: answer("It is kept; the hook was not told.", examples.task(**_HOOK_FAILED)),
        **examples.problems(413, IllegalTransitionError),
    },
)
async def report_task(
    task_id: TaskId,
    sent: Annotated[
        IssuesBody,
        body(
            {
                "message": "The document is blurry and text cannot be read clearly.",
                "issues": [{"label": "Poor Document Quality", "value": "poor_quality"}],
            }
        ),
    ],
    place: TaskEditor,
    response: Response,
) -> shapes.Payload[shapes.UploadTask] | shapes.HalfReportedTask:
    """Write down what is wrong with a task, in any state, and tell the report hook of the project.

    207 says that the report is kept, and why the hook was not told.
    """
    await place.find_task(task_id)
    issues = [one.model_dump() for one in sent.issues]
    reported = await verbs.report(place.caller, task_id, issues, sent.message)
    task = await shown(place, task_id)
    if not reported.hook_error:
        return shapes.Payload(payload=task)
    response.status_code = 207
    return shapes.HalfReportedTask(
        payload=task,
        message="The report is kept, but the report hook of the project was not told."
        f" {reported.hook_error}",
        errors={"report_hook": [reported.hook_error]},
    )
