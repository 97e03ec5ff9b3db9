"""What each error is answered: its status, its words, and what it looks like in OpenAPI."""

import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.error_shapes import V1, WHOLE_REQUEST, ErrorShape, Failure, shape_of
from store.errors import (
    EmptyFileError,
    FieldsInvalidError,
    FileTooLargeError,
    InputError,
    PageRangeError,
    PapertrayError,
    ProjectFileError,
    StorageFullError,
)

log = logging.getLogger("papertray.api")

CODE_OF_STATUS: Final[Mapping[int, str]] = {
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "media_type_unsupported",
    422: "validation",
}
"""Codes of the errors that the web framework finds, beside those of store/errors.py."""

CLIENT_CLOSED_REQUEST: Final = 499  # nginx's word for it; nobody reads the answer, logs do


class Problem(BaseModel):
    """What went wrong, and what to do about it."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="allow")

    type: str
    """URI of the kind of error: `urn:papertray:error:<code>`."""
    title: str
    """The kind of error in words; the same for every occurrence."""
    status: int
    """The HTTP status."""
    detail: str
    """What happened this time, and what to do."""
    message: str
    """The same as `detail`, under the name that Scan Documents gives it."""
    code: str
    """Stable word for the kind of error, to be told apart by programs."""
    errors: dict[str, list[str]] | None = None
    """With 422: what is wrong, by the field it is wrong with."""


def answer_to(error: Exception, path: str) -> Response:
    """The answer that says what an error says, in the shape of the surface.

    Args:
        error: of one of the kinds in ANSWERED.
        path: the address that was asked.
    """
    return _answer_in(shape_of(path), error)


def _answer_in(shape: ErrorShape, error: Exception) -> Response:
    if isinstance(error, ClientDisconnect):
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    if isinstance(error, HTTPException):
        return shape.answer(_failure_of_http(error), error.headers)
    if isinstance(error, RequestValidationError):
        errors = errors_by_field(error.errors())
        detail = "; ".join(f"{field}: {', '.join(found)}" for field, found in errors.items())
        message = f"The request is not valid. {detail}"
        return shape.answer(Failure(422, CODE_OF_STATUS[422], message, errors))
    if isinstance(error, PapertrayError):
        is_invalid = error.http_status == HTTPStatus.UNPROCESSABLE_ENTITY
        errors = _errors_of(error) if is_invalid else {}
        failure = Failure(error.http_status, error.code, error.message, errors, error.details)
        return shape.answer(failure, headers_of(error))
    raise TypeError(f"no answer to {type(error).__name__}")


RETRY_AFTER_SECONDS: Final = 5
"""When to send again what may go well then, where nothing better is known."""


def headers_of(error: PapertrayError) -> Mapping[str, str]:
    """What the answer to an error says beside its body."""
    if not error.retryable:
        return {}
    wait = error.details.get("retry_after_seconds", RETRY_AFTER_SECONDS)
    return {"Retry-After": str(wait)}


ANSWERED: Final = (PapertrayError, RequestValidationError, HTTPException, ClientDisconnect)
"""What is raised on purpose; anything else is a mistake of ours."""


def _errors_of(error: PapertrayError) -> dict[str, list[str]]:
    if isinstance(error, FieldsInvalidError):
        return {name: [reason] for name, reason in error.details.get("fields", {}).items()}
    if isinstance(error, ProjectFileError):
        problems: list[dict[str, Any]] = error.details.get("problems", [])
        found: dict[str, list[str]] = {}
        for one in problems:
            found.setdefault(one["key"] or "source", []).append(one["message"])
        return found
    if isinstance(error, PageRangeError):
        return {"pages": [error.message]}
    field = "file" if _is_about_the_file(error) else error.details.get("field", WHOLE_REQUEST)
    return {str(field): [error.message]}


def _is_about_the_file(error: PapertrayError) -> bool:
    return isinstance(error, InputError) and error.code.startswith("file_")


UPLOAD_PROBLEMS = (FileTooLargeError, 415, 422, EmptyFileError, StorageFullError)
"""What an address answers that takes a file."""


def described(
    *kinds: type[PapertrayError] | int, shape: ErrorShape = V1
) -> dict[int | str, dict[str, Any]]:
    """Error answers for the OpenAPI document, each with an example.

    Args:
        kinds: errors that an address answers with; a number for one of CODE_OF_STATUS.
        shape: of the surface that the address is of.
    """
    found: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        if isinstance(kind, int):
            error: Exception = _EXAMPLES[kind]
        else:
            error = kind()
        answer = _answer_in(shape, error)
        example: dict[str, Any] = json.loads(bytes(answer.body))
        if "tracking" in example:  # the document is the same at each start
            example["tracking"] = "7d0c3f52-1f0e-4b3c-9a68-5c2e8f4b6d17"
        told = found.setdefault(
            answer.status_code,
            {
                "description": HTTPStatus(answer.status_code).phrase,
                "content": {shape.media_type: {"schema": _schema_of(shape), "examples": {}}},
            },
        )
        code = error.code if isinstance(error, PapertrayError) else CODE_OF_STATUS[int(str(kind))]
        told["content"][shape.media_type]["examples"][code] = {
            "summary": code.replace("_", " ").capitalize(),
            "value": example,
        }
    return found


def _schema_of(shape: ErrorShape) -> dict[str, Any]:
    return {"$ref": "#/components/schemas/Problem"} if shape is V1 else {"type": "object"}


_EXAMPLES: Final[Mapping[int, Exception]] = {
    413: HTTPException(413, "The body is larger than 1048576 bytes."),
    415: HTTPException(
        415,
        "A body of this form is not taken here. Send application/json and say so in Content-Type.",
    ),
    422: RequestValidationError(
        [{"type": "missing", "loc": ("body", "input"), "msg": "Field required"}]
    ),
}


def errors_by_field(errors: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Pydantic's errors as `field: [what is wrong with it]`, without the values."""
    found: dict[str, list[str]] = {}
    for error in errors:
        # The first part is where the field was (body, query ...); a number there is an offset.
        path = [str(part) for part in error["loc"][1:]] if error["type"] != "json_invalid" else []
        field = ".".join(path) or str(error["loc"][0] if error["loc"] else "body")
        found.setdefault(field, []).append(_said(error))
    return found


def _said(error: Mapping[str, Any]) -> str:
    if error["type"] in {"too_long", "too_short"} and isinstance(error.get("input"), str):
        # What Pydantic says of a text, too, that it has looked at before it counts: "items".
        return str(error["msg"]).replace("Value", "Text").replace(" items", " characters")
    return str(error["msg"]).removeprefix("Value error, ")


def _failure_of_http(error: HTTPException) -> Failure:
    status, detail = error.status_code, str(error.detail)
    if status == HTTPStatus.BAD_REQUEST:
        # The framework's word for a body that it could not take apart at all.
        what = "The body is not valid: it cannot be read as what its Content-Type says."
        return Failure(422, CODE_OF_STATUS[422], what, {"body": [detail]})
    if detail == HTTPStatus(status).phrase:
        detail = {
            404: "There is nothing at this address. The addresses are listed at /openapi.json.",
            405: "This address does not know that method. The Allow header lists what it knows.",
        }.get(status, detail)
    code = CODE_OF_STATUS.get(status, HTTPStatus(status).phrase.lower().replace(" ", "_"))
    return Failure(status, code, detail)


def install(app: FastAPI) -> None:
    """Let the app answer every error in the shape of its surface."""

    async def handle(request: Request, error: Exception) -> Response:
        return answer_to(error, request.url.path)

    for kind in ANSWERED:
        app.add_exception_handler(kind, handle)


class Incidents:
    """Answers what nobody expected with a number, and writes the rest into the log."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; catch what comes back."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except ANSWERED as error:  # raised outside of a route
            if started:
                raise
            await answer_to(error, scope["path"])(scope, receive, send)
        except Exception:  # the one place that may: here a mistake becomes an answer
            incident = secrets.token_hex(8)
            # The path of the route, not of the request: what is in an address may be personal.
            route = getattr(scope.get("route"), "path", "no route")
            log.exception("incident %s in %s %s", incident, scope["method"], route)
            if started:
                raise  # all that is left is to break the connection, which the server does
            failure = Failure(
                500,
                PapertrayError.code,
                "Something went wrong inside Papertray. Give the number of the incident to whoever"
                f" operates it, {incident}: the log has the details.",
                facts={"incident": incident},
            )
            await shape_of(scope["path"]).answer(failure)(scope, receive, send)
