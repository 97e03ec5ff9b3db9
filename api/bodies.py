"""Bodies of requests: how large they may be, in what form they may come, what is in a form."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from tempfile import SpooledTemporaryFile
from typing import Annotated, Any, Final, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.public_http import check_url
from flows.verbs import MAX_FILE_BYTES, MOST_FILES
from store.blobs import CHUNK_BYTES
from store.errors import AddressError, EmptyFileError, FileTooLargeError
from store.settings import settings
from store.storable import storable_json, storable_text

MAX_BODY_BYTES = 1 << 20
"""Largest body without a file; also what the form around a file may add to it."""

MAX_FORM_FIELDS = 20

SPOOLED_BYTES = 1 << 20
"""What of a file is kept in memory while it comes in; more goes to disk."""

ANY_TYPE = "*/*"
"""What an address takes that asks for no media type."""

FILE_BODIES: Mapping[str, Sequence[str]] = {
    "POST /tasks": ("x-aluma-tags",),
    "POST /documents": ("x-name", "x-type"),
    "PUT /documents/*/contents": (),
}
"""Addresses where the body is a file as it is, and the headers in which its sender tells of it;
`*` for any segment."""


@dataclass(frozen=True)
class FormLimits:
    """What a form may hold."""

    most_files: int = 1
    max_file_bytes: int | None = None
    """Of each; what the server takes when None."""

    @property
    def max_bytes(self) -> int:
        """Of the whole form."""
        of_server = settings().max_file_bytes
        of_file = min(self.max_file_bytes or of_server, of_server)
        return MAX_BODY_BYTES + self.most_files * of_file


_FORMS: Final[Mapping[str, FormLimits]] = {
    # One file more than there may be: so that an answer can name it.
    "/v2/*/project/*/upload": FormLimits(MOST_FILES + 1, MAX_FILE_BYTES),
}
"""Addresses whose forms may hold something else than one file; `*` for any segment."""


def form_limits(path: str) -> FormLimits:
    """What a form that is sent to an address may hold."""
    return next((limits for one, limits in _FORMS.items() if _is_at(one, path)), FormLimits())


def _is_at(pattern: str, address: str) -> bool:
    wanted, segments = pattern.split("/"), address.split("/")
    return len(wanted) == len(segments) and all(
        one in {"*", segment} for one, segment in zip(wanted, segments, strict=True)
    )


M = TypeVar("M", bound=BaseModel)


class Body(BaseModel):
    """A body of JSON; a name that is not known is refused, never dropped."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


def headers_of_file(method: str, path: str) -> Sequence[str] | None:
    """The headers that tell of the file that is the body; None where the body is no file."""
    call = f"{method} {path}"
    return next((told for one, told in FILE_BODIES.items() if _is_at(one, call)), None)


class BodyLimit:
    """Stops a body at its limit while it comes in, whatever its Content-Length says."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what the app receives."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_form = headers.get("content-type", "").startswith("multipart/form-data")
        has_file = is_form or headers_of_file(scope["method"], scope["path"]) is not None
        limit = form_limits(scope["path"]).max_bytes if has_file else MAX_BODY_BYTES
        received = 0

        def refuse() -> Exception:
            if has_file:
                return FileTooLargeError(limit_bytes=settings().max_file_bytes)
            return HTTPException(413, f"The body is larger than {limit} bytes.")

        async def count() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise refuse()
            return message

        announced = headers.get("content-length", "0")
        # Python reads no number of 4,300 digits; one of 20 is too large anyway.
        if announced.isdecimal() and (len(announced) > 19 or int(announced) > limit):
            raise refuse()
        await self.app(scope, count, send)


def require_media_type(request: Request, accepted: frozenset[str]) -> None:
    """Refuse a body in another form than the address takes.

    Raises:
        HTTPException: 415; an empty body has no form and passes.
    """
    headers = request.headers
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return
    if ANY_TYPE not in accepted and media_type(request) not in accepted:
        raise HTTPException(
            415,
            f"A body of this form is not taken here. Send {' or '.join(sorted(accepted))}"
            " and say so in Content-Type.",
        )


def media_type(request: Request) -> str:
    """What the Content-Type says, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True)
class Upload:
    """A file that came in. It lies in memory, or from 1 MiB on, on disk."""

    name: str
    file: UploadFile

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes, from the beginning."""
        await self.file.seek(0)
        while chunk := await self.file.read(CHUNK_BYTES):
            yield chunk


async def read_file(request: Request) -> Upload:
    """The file that the body is.

    It is kept with the request and can be read again, until `release`.
    """
    if (kept := getattr(request.state, "file", None)) is None:
        spool = SpooledTemporaryFile(max_size=SPOOLED_BYTES)  # noqa: SIM115  # `release` closes it
        kept = request.state.file = UploadFile(spool)  # pyright: ignore[reportArgumentType]  # as Starlette itself makes one
        async for chunk in request.stream():
            await kept.write(chunk)
    return Upload("", kept)


async def release(request: Request) -> None:
    """Let go of what of a request is kept on disk."""
    await request.close()
    if (file := getattr(request.state, "file", None)) is not None:
        await file.close()


async def parts_of(request: Request) -> list[tuple[str, str | UploadFile]]:
    """The parts of a form.

    They are kept with the request and can be read again; whoever handles the request closes it.
    """
    form = await request.form(
        max_files=form_limits(request.scope["path"]).most_files,
        max_fields=MAX_FORM_FIELDS,
        max_part_size=MAX_BODY_BYTES,
    )
    return form.multi_items()


async def names_in_form(request: Request) -> set[str]:
    """The names of the parts of a form."""
    return {name for name, _ in await parts_of(request)}


async def read_fields(request: Request, model: type[M]) -> M:
    """The fields of a form without a file, as a model.

    Raises:
        RequestValidationError: a field is missing, unknown, or not valid.
    """
    try:
        return model.model_validate(_fields_of(await parts_of(request)))
    except ValidationError as error:
        found = [one | {"loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(found) from None


def _fields_of(parts: Sequence[tuple[str, str | UploadFile]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in parts:
        # Sent twice, a field is a list, and the model says that it takes none.
        fields[name] = [fields[name], value] if name in fields else value
    return fields


async def read_form(request: Request, model: type[M]) -> tuple[Upload, M]:
    """The file of a form, and its other fields as a model.

    Raises:
        RequestValidationError: a field is missing, unknown, or not valid.
        EmptyFileError: the file has no bytes.
    """
    uploads, content = await read_files(request, model)
    if not uploads[0].file.size:
        raise EmptyFileError
    return uploads[0], content


async def read_files(request: Request, model: type[M]) -> tuple[list[Upload], M]:
    """The files of a form, at least one, in order, and its other fields as a model.

    Raises:
        RequestValidationError: a field is missing, unknown, or not valid.
    """
    uploads: list[Upload] = []
    others: list[tuple[str, str | UploadFile]] = []
    for name, value in await parts_of(request):
        if name == "file" and isinstance(value, UploadFile):
            uploads.append(Upload(value.filename or "", value))
        else:
            others.append((name, value))
    fields = _fields_of(others)
    errors: list[Any] = []
    if not uploads:
        fields.pop("file", None)
        errors.append(
            {
                "type": "missing",
                "loc": ("body", "file"),
                "msg": "Send the file as a part with a name.",
            }
        )
    try:
        content = model.model_validate(fields)
    except ValidationError as error:
        errors += [found | {"loc": ("body", *found["loc"])} for found in error.errors()]
        raise RequestValidationError(errors) from None
    if not uploads:
        raise RequestValidationError(errors)
    return uploads, content


async def read_json(request: Request, model: type[M]) -> M:
    """A body of JSON as a model.

    Raises:
        RequestValidationError: it is no JSON, or a field is missing, unknown, or not valid.
    """
    try:
        return model.model_validate(json.loads(await request.body()))
    except ValidationError as error:
        found = [one | {"loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(found) from None
    except (ValueError, RecursionError):
        problem = {"type": "json_invalid", "loc": ("body",), "msg": "JSON is expected"}
        raise RequestValidationError([problem]) from None


async def read_text(request: Request) -> str:
    """A body of text.

    Raises:
        RequestValidationError: it is no UTF-8, or no text that can be kept.
    """
    try:
        return storable_text((await request.body()).decode())
    except ValueError:
        problem = {"type": "text", "loc": ("body",), "msg": "Text in UTF-8 is expected"}
        raise RequestValidationError([problem]) from None


def text_of_header(value: str) -> str:
    """Clients send UTF-8; what is none is Latin-1, as RFC 9110 (section 5.5) has had it.

    Args:
        value: as Starlette gives it: each byte a character.
    """
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _json_of_field(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("A JSON object is expected") from None
    return value


def _checked_url(url: str) -> str:
    try:
        return check_url(url)
    except AddressError as error:
        raise ValueError(error.message) from None


def _in_utc(time: datetime) -> datetime:
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        raise ValueError("There is no such time in UTC") from None


Text = Annotated[str, AfterValidator(storable_text)]
HeaderText = Annotated[Text, BeforeValidator(text_of_header)]
JsonObject = Annotated[dict[str, Any], AfterValidator(storable_json)]
JsonField = Annotated[JsonObject, BeforeValidator(_json_of_field)]
"""A JSON object in a field of a form."""
Url = Annotated[
    Text,
    AfterValidator(_checked_url),
    Field(json_schema_extra={"format": "uri"}, examples=["https://example.com/hook"]),
]
"""An address that may be called: public, http or https."""
UtcTime = Annotated[datetime, AfterValidator(_in_utc)]
"""A point in time; one without a zone is UTC."""
