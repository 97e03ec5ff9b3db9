"""Each operation as a flow with a form of its own, for people who start it in Prefect.

A task that comes in by the API is done by `run_operation`, whatever its operation is. Here the
same life of a task stands behind one form an operation, which asks for what that operation takes.
The attributes of this module are the operations' names in Python: `merge`, `extract_pages` ...
"""

import inspect
from typing import Annotated, Any, Final

from prefect import Flow, flow
from prefect.client.schemas.objects import State as RunState
from pydantic import Field
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from flows import steps
from flows.adopt import adopt_operation_run, block_of
from flows.ending import record_cancellation
from flows.task_run import adopt_and_execute
from operations.registry import OPERATIONS, Operation
from store.settings import settings

_FILE: Final = (
    "Name of a file in the inbox folder, public address of a file (https://...), id of a file that"
    " was sent (file_...), or id of a task whose output is taken (task_...)."
)


def flow_of(row: Operation) -> Flow[..., Any]:
    """The flow of an operation; its parameters, spread out, are the form.

    In the place of a secret it asks for the name of the block that has it: whoever opens Prefect
    reads the parameters of every run.
    """
    fields = dict(
        (block_of(name), _name_of_block(field)) if name in row.secrets else (name, field)
        for name, field in row.params.model_fields.items()
    )

    async def run(**given: Any) -> RunState[Any]:
        # Prefect's form sends what nobody touched, too; an option beside which another has no
        # effect is refused where it was chosen.
        chosen = {
            fields[name].alias or name: to_jsonable_python(value)
            for name, value in given.items()
            if name in fields and value != _default(fields[name])
        }
        adopted = adopt_operation_run(row.name, {"input": given["input"], **chosen})
        return await adopt_and_execute(adopted, steps.operate)

    kind = inspect.Parameter.KEYWORD_ONLY
    run.__name__ = row.name.replace("-", "_")
    run.__module__ = __name__
    run.__signature__ = inspect.Signature(  # pyright: ignore[reportFunctionMemberAccess]  # PEP 362
        [
            inspect.Parameter("input", kind, annotation=list[str] if row.takes_many else str),
            *(
                inspect.Parameter(
                    name,
                    kind,
                    # Not the field itself: Prefect calls by the name, never by an alias.
                    annotation=Annotated[
                        field.annotation, *field.metadata, Field(examples=field.examples)
                    ],
                    default=_default(field),
                )
                for name, field in fields.items()
            ),
        ]
    )
    told = {"input": f"The files, in their order. {_FILE}" if row.takes_many else _FILE}
    told |= {name: " ".join((field.description or "").split()) for name, field in fields.items()}
    # Where Prefect takes the descriptions of a form from.
    run.__doc__ = "\n".join(
        (row.summary, "", "Args:", *(f"    {name}: {text}" for name, text in told.items()))
    )
    return flow(
        name=row.name,
        description=row.summary,
        persist_result=True,
        result_storage=settings().results_folder,
        on_cancellation=[record_cancellation],
    )(run)


def _name_of_block(secret: FieldInfo) -> FieldInfo:
    told = (
        f"{secret.description} Here goes the name of a Secret block of Prefect (Blocks) in which it"
        " is, never it itself: whoever opens Prefect reads what a run was started with."
    )
    return FieldInfo.from_annotated_attribute(str, Field(default="", description=told))


def _default(field: FieldInfo) -> Any:
    if field.is_required():
        return inspect.Parameter.empty
    return field.get_default(call_default_factory=True)


for _row in OPERATIONS.values():
    if _row.accepts:
        globals()[_row.name.replace("-", "_")] = flow_of(_row)
