"""Every error answer, in one shape: `application/problem+json` (RFC 9457)."""

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

MEDIA_TYPE: Final = "application/problem+json"
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


def problem(
    status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **facts: Any
) -> Response:
    """An error answer.

    Args:
        status: HTTP status.
        code: stable word for the kind of error.
        detail: what happened and what to do; no text of a document.
        headers: further headers.
        facts: further members; a fact cannot take the place of a standard member.
    """
    title = code.replace("_", " ").capitalize()
    content = facts | {
        "type": f"urn:papertray:error:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "message": detail,
        "code": code,
    }
    order = [*Problem.model_fields, *facts]
    content = {name: content[name] for name in dict.fromkeys(order) if name in content}
    # ASCII only: names that came in may hold half of a surrogate pair, which UTF-8 cannot spell.
    return Response(json.dumps(content), status, media_type=MEDIA_TYPE, headers=headers)


def answer_to(error: Exception) -> Response:
    """The answer that says what an error says.

    Args:
        error: of one of the kinds in ANSWERED.
    """
    if isinstance(error, PapertrayError):
        facts = dict(error.details)
        if error.http_status == HTTPStatus.UNPROCESSABLE_ENTITY:
            facts["errors"] = _errors_of(error)
        headers = _HEADERS.get(error.http_status)
        return problem(error.http_status, error.code, error.message, headers=headers, **facts)
    if isinstance(error, RequestValidationError):
        errors = errors_by_field(error.errors())
        detail = "; ".join(f"{field}: {', '.join(found)}" for field, found in errors.items())
        return problem(
            422, CODE_OF_STATUS[422], f"The request is not valid. {detail}", errors=errors
        )
    if isinstance(error, HTTPException):
        return _answer_to_http(error)
    if isinstance(error, ClientDisconnect):
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    raise TypeError(f"no answer to {type(error).__name__}")


_HEADERS: Final[Mapping[int, Mapping[str, str]]] = {
    401: {"WWW-Authenticate": 'Bearer realm="papertray"'},
    503: {"Retry-After": "5"},
}

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
    return {"file" if _is_about_the_file(error) else "request": [error.message]}


def _is_about_the_file(error: PapertrayError) -> bool:
    return isinstance(error, InputError) and error.code.startswith("file_")


UPLOAD_PROBLEMS = (FileTooLargeError, 415, 422, EmptyFileError, StorageFullError)
"""What an address answers that takes a file."""


def described(*kinds: type[PapertrayError] | int) -> dict[int | str, dict[str, Any]]:
    """Error answers for the OpenAPI document, each with an example.

    Args:
        kinds: errors that an address answers with; a number for one of CODE_OF_STATUS.
    """
    found: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        if isinstance(kind, int):
            error: Exception = _EXAMPLES[kind]
        else:
            error = kind()
        example: dict[str, Any] = json.loads(bytes(answer_to(error).body))
        answer = found.setdefault(
            example["status"],
            {
                "description": HTTPStatus(example["status"]).phrase,
                "content": {
                    MEDIA_TYPE: {
                        "schema": {"$ref": "#/components/schemas/Problem"},
                        "examples": {},
                    }
                },
            },
        )
        answer["content"][MEDIA_TYPE]["examples"][example["code"]] = {
            "summary": example["title"],
            "value": example,
        }
    return found


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
        found.setdefault(field, []).append(str(error["msg"]).removeprefix("Value error, "))
    return found


def _answer_to_http(error: HTTPException) -> Response:
    status, detail = error.status_code, str(error.detail)
    if status == HTTPStatus.BAD_REQUEST:
        # The framework's word for a body that it could not take apart at all.
        what = "The body is not valid: it cannot be read as what its Content-Type says."
        return problem(422, CODE_OF_STATUS[422], what, errors={"body": [detail]})
    if detail == HTTPStatus(status).phrase:
        detail = {
            404: "There is nothing at this address. The addresses are listed at /openapi.json.",
            405: "This address does not know that method. The Allow header lists what it knows.",
        }.get(status, detail)
    code = CODE_OF_STATUS.get(status, HTTPStatus(status).phrase.lower().replace(" ", "_"))
    return problem(status, code, detail, headers=error.headers)


def install(app: FastAPI) -> None:
    """Let the app answer every error in the one shape."""

    async def handle(_: Request, error: Exception) -> Response:
        return answer_to(error)

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
            await answer_to(error)(scope, receive, send)
        except Exception:  # the one place that may: here a mistake becomes an answer
            incident = secrets.token_hex(8)
            # The path of the route, not of the request: what is in an address may be personal.
            route = getattr(scope.get("route"), "path", "no route")
            log.exception("incident %s in %s %s", incident, scope["method"], route)
            if started:
                raise  # all that is left is to break the connection, which the server does
            answer = problem(
                500,
                PapertrayError.code,
                "Something went wrong inside Papertray. Give the number of the incident to whoever"
                " operates it: the log has the details.",
                incident=incident,
            )
            await answer(scope, receive, send)
