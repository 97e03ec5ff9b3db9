"""/v1/pdf-operations and /v1/image-operations: one address for each operation and kind."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any, Final, cast

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from api.auth import TaskCreator
from api.bodies import Text, Url
from api.problems import described
from api.v1 import examples, words
from api.v1.route import V1Route
from flows import verbs
from operations.registry import OPERATIONS, Operation
from store.errors import ForbiddenError, UnauthenticatedError
from store.storable import storable_json

router = APIRouter(prefix="/v1", tags=["operations"], route_class=V1Route)

KINDS: Final[Mapping[str, str]] = {
    "pdf": "PDF files",
    "image": "image files (PNG, JPEG, WebP, TIFF)",
}
"""What the addresses call a kind of file, and what people do."""

Input = Annotated[
    Text,
    Field(
        max_length=100,
        description="Id of a file that was sent, or of a task, whose output is taken.",
        examples=["file_euyrvozb9302uwhq"],
    ),
]
Inputs = Annotated[
    list[Input],
    Field(
        min_length=1,
        max_length=1000,
        description="Ids of files and tasks, in order.",
        examples=[["file_euyrvozb9302uwhq", "file_k3v9x0c1b2n4m5q7"]],
    ),
]
Name = Annotated[
    Text, Field(max_length=255, description="What people call the task.", examples=["Letter"])
]
CallbackUrl = Annotated[
    Url | None,
    Field(description="Address that is told of the end of the task, by a POST of the event."),
]


class _Sent(BaseModel):
    """What every body for an operation is held to, beside the parameters of the operation."""

    # A model made by a call has no source text in which docstrings could be found.
    model_config = ConfigDict(use_attribute_docstrings=False)

    @model_validator(mode="before")
    @classmethod
    def _can_be_stored(cls, sent: Any) -> Any:
        return storable_json(cast(dict[str, Any], sent)) if isinstance(sent, dict) else sent


def body_of(row: Operation) -> type[BaseModel]:
    """The body of a request for an operation: what it works on, and its own parameters."""
    return create_model(
        f"{row.params.__name__.removesuffix('Params')}Body",
        __base__=(row.params, _Sent),
        __doc__=row.summary,
        input=(Inputs if row.takes_many else Input, ...),
        name=(Name, ""),
        callback_url=(CallbackUrl, None),
    )


def example_of(body: type[BaseModel]) -> dict[str, Any]:
    """A body with what is required, made of the examples and the choices in its schema."""
    schema = body.model_json_schema()
    required: list[str] = schema["required"]
    return {name: _value(schema["properties"][name], schema) for name in required}


def _value(part: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    if "$ref" in part:
        part = schema["$defs"][part["$ref"].rpartition("/")[2]]
    for word in ("examples", "enum"):
        if word in part:
            return part[word][0]
    simple = {"integer": part.get("minimum", 1), "number": part.get("minimum", 1)}
    return simple.get(part.get("type", ""), part.get("const", ""))


def endpoint(
    row: Operation, kind: str, body_model: type[BaseModel]
) -> Callable[..., Coroutine[Any, Any, words.Task]]:
    """What takes in a task that is one operation."""

    async def take_in(body: BaseModel, caller: TaskCreator) -> words.Task:
        sent = body.model_dump(mode="json", exclude_unset=True)
        given = {name: getattr(body, name) for name in row.secrets}
        task = await verbs.submit_operation(
            caller,
            operation=row.name,
            kind=kind,
            parameters=sent,
            secrets={name: value.get_secret_value() for name, value in given.items() if value},
            name=sent.get("name", ""),
        )
        return words.task_of(task)

    # FastAPI reads the annotation; the model is made while the program starts.
    take_in.__annotations__["body"] = Annotated[body_model, examples.body(example_of(body_model))]
    return take_in


for _row in OPERATIONS.values():
    for _kind in sorted(_row.accepts):
        router.post(
            f"/{_kind}-operations/{_row.name}",
            status_code=202,
            name=f"{_kind}_{_row.name.replace('-', '_')}",
            summary=f"{_row.summary.rstrip('.')} ({KINDS[_kind].partition(' ')[0]})",
            description=f"{_row.summary} Takes {KINDS[_kind]}. The answer is a task; its result"
            " is there once it is completed. An input that is not there or of another kind is"
            " accepted, and the task fails and says so.",
            responses={
                202: examples.answer("The task, taken in.", examples.PENDING_TASK),
                **described(UnauthenticatedError, ForbiddenError, 413, 415, 422),
            },
        )(endpoint(_row, _kind, body_of(_row)))
