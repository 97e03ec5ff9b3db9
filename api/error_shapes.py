"""How errors look, surface by surface: one table, from the address to the shape of the answer."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

from fastapi.responses import Response

JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"


WHOLE_REQUEST: Final = "request"
"""In the place of a field, where it is about none."""


@dataclass(frozen=True)
class Failure:
    """What went wrong, before it has the shape of a surface."""

    status: int
    """HTTP status; a surface may have another for it."""
    code: str
    """Stable word for the kind of error."""
    message: str
    """What happened and what to do; no text of a document."""
    errors: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    """What is wrong, by the field it is wrong with."""
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Further members, for surfaces that show them."""


def _problem(failure: Failure) -> dict[str, Any]:
    """RFC 9457, and `message` for Scan Documents; a fact takes the place of no standard member."""
    standard: dict[str, Any] = {
        "type": f"urn:papertray:error:{failure.code}",
        "title": failure.code.replace("_", " ").capitalize(),
        "status": failure.status,
        "detail": failure.message,
        "message": failure.message,
        "code": failure.code,
    }
    if failure.errors:
        standard["errors"] = dict(failure.errors)
    return standard | {name: v for name, v in failure.facts.items() if name not in standard}


def _message(failure: Failure) -> dict[str, Any]:
    return {"message": _whole(failure)}


def _message_and_errors(failure: Failure) -> dict[str, Any]:
    told: dict[str, Any] = {"message": failure.message}
    return told | {"errors": dict(failure.errors)} if failure.errors else told


def _list_of_errors(failure: Failure) -> dict[str, Any]:
    by_field = [
        {"message": message} if name == WHOLE_REQUEST else {"message": message, "field": name}
        for name, messages in failure.errors.items()
        for message in messages
    ]
    return {"status_code": failure.status, "errors": by_field or [{"message": failure.message}]}


def _envelope(failure: Failure) -> dict[str, Any]:
    return {
        "success": False,
        "status_code": failure.status,
        "tracking": str(uuid4()),
        "response": _message_and_errors(failure),
    }


def _whole(failure: Failure) -> str:
    """All of it in one line, for surfaces that have no place for fields."""
    said = [
        f"{name}: {message}" for name, messages in failure.errors.items() for message in messages
    ]
    return "; ".join([failure.message, *(one for one in said if one not in failure.message)])


@dataclass(frozen=True)
class ErrorShape:
    """How the errors of one surface look."""

    prefixes: tuple[str, ...]
    """Beginnings of its addresses; whole segments."""
    body: Callable[[Failure], dict[str, Any]]
    media_type: str = JSON
    challenge: str = 'Bearer realm="papertray"'
    """What a 401 asks for (RFC 9110, section 11.6.1)."""
    statuses: Mapping[int, int] = field(default_factory=dict[int, int])
    """Statuses that it has not, and what it has in their place."""

    def answer(self, failure: Failure, headers: Mapping[str, str] | None = None) -> Response:
        """The answer that says what went wrong."""
        status = self.statuses.get(failure.status, failure.status)
        failure = Failure(status, failure.code, failure.message, failure.errors, failure.facts)
        told = dict(headers or {})
        if status == HTTPStatus.UNAUTHORIZED:
            told["WWW-Authenticate"] = self.challenge
        # ASCII only: names that came in may hold half of a surrogate pair, which UTF-8 cannot
        # spell.
        content = json.dumps(self.body(failure))
        return Response(content, status, media_type=self.media_type, headers=told)


_NO_422: Final = {422: 400, 415: 400}

V1: Final = ErrorShape(("/v1",), _problem, PROBLEM_JSON)
ALUMA: Final = ErrorShape(("/tasks", "/projects", "/oauth"), _message, statuses=_NO_422)
SEND_AI: Final = ErrorShape(("/v2",), _message_and_errors, statuses={**_NO_422, 409: 400})
HUMAN_LAMBDAS: Final = ErrorShape(
    ("/orgs",), _list_of_errors, challenge='Token realm="papertray"', statuses={**_NO_422, 409: 400}
)
INNODATA: Final = ErrorShape(
    ("/jobs", "/job-types", "/documents", "/status"),
    _envelope,
    challenge='Basic realm="papertray", charset="UTF-8"',
    statuses=_NO_422,
)

SHAPES: Final = (V1, ALUMA, SEND_AI, HUMAN_LAMBDAS, INNODATA)


def shape_of(path: str) -> ErrorShape:
    """The shape of the errors at an address; V1 where it is no surface's."""
    for shape in SHAPES:
        if any(path == one or path.startswith(f"{one}/") for one in shape.prefixes):
            return shape
    return V1
