"""The steps that projects have of their own: operations on fields, from packages of others."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from operations.registry import OPERATIONS, FieldsChanged, Operation, Params
from store.errors import InputError


def step_named(name: str) -> Operation:
    """The operation that a project has as a step.

    Raises:
        InputError: there is none of that name on this server.
    """
    row = OPERATIONS.get(name)
    if row is None or not issubclass(row.result, FieldsChanged):
        raise InputError(
            f"There is no step named {name!r} on this server. Install the package that has it, and"
            " start the workers again.",
            step=name,
        )
    return row


def validated(row: Operation, given: Mapping[str, Any]) -> Params:
    """The parameters of an operation.

    Raises:
        InputError: they do not fit.
    """
    try:
        return row.params.model_validate(given)
    except ValidationError as error:
        wrong = {
            ".".join(map(str, one["loc"])) or "parameters": one["msg"].removeprefix("Value error, ")
            for one in error.errors()
        }
        raise InputError(
            f"These parameters are not right for {row.name}; the details say what is wrong.",
            fields=wrong,
        ) from None
