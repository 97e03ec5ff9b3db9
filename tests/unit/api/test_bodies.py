from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError
from starlette.types import Message, Receive, Scope, Send

from api.bodies import MAX_BODY_BYTES, BodyLimit, JsonField, JsonObject, Text, UtcTime, form_limits
from store.errors import FileTooLargeError
from store.settings import settings


async def _read_all(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass


async def _send_nothing(message: Message) -> None:
    raise AssertionError(message)


async def _pass_through(chunks: list[int], path: str = "/v1/tasks", **headers: str) -> int:
    """How much of a body was read before it was stopped, or all of it."""
    read = 0
    left = list(chunks)

    async def receive() -> Message:
        nonlocal read
        size = left.pop(0)
        read += size
        return {"type": "http.request", "body": b"x" * size, "more_body": bool(left)}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": path, "headers": raw}
    try:
        await BodyLimit(_read_all)(scope, receive, _send_nothing)
    except Exception as error:
        return -read if getattr(error, "status_code", 0) == 413 else read
    return read


async def test_a_body_of_the_limit_passes():
    assert await _pass_through([MAX_BODY_BYTES]) == MAX_BODY_BYTES


async def test_a_body_over_the_limit_is_stopped_at_the_piece_that_is_too_much():
    pieces = [MAX_BODY_BYTES, 1, 10**6]
    assert await _pass_through(pieces, content_length="5") == -(MAX_BODY_BYTES + 1)


@pytest.mark.parametrize("announced", [str(MAX_BODY_BYTES + 1), "9" * 5000])
async def test_a_body_that_announces_too_much_is_not_read(announced: str):
    assert await _pass_through([1], content_length=announced) == 0


async def test_a_content_length_that_is_no_number_counts_for_nothing():
    assert await _pass_through([5], content_length="many") == 5


async def test_what_is_no_request_passes():
    passed: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope["type"])

    async def receive() -> Message:
        raise AssertionError

    await BodyLimit(app)({"type": "lifespan"}, receive, _send_nothing)
    assert passed == ["lifespan"]


async def test_a_form_may_be_as_large_as_a_file(monkeypatch: pytest.MonkeyPatch):
    form = {"content_type": "multipart/form-data; boundary=b"}
    assert await _pass_through([MAX_BODY_BYTES, 10], **form) == MAX_BODY_BYTES + 10

    async def receive() -> Message:
        raise AssertionError

    headers = [(b"content-type", b"multipart/form-data"), (b"content-length", b"9" * 12)]
    scope = {"type": "http", "method": "POST", "path": "/v1/tasks", "headers": headers}
    with pytest.raises(FileTooLargeError):
        await BodyLimit(_read_all)(scope, receive, _send_nothing)


async def test_a_form_may_have_many_files_only_where_many_are_taken():
    one_file = form_limits("/v1/files")
    assert (one_file.most_files, one_file.max_bytes) == (
        1,
        MAX_BODY_BYTES + settings().max_file_bytes,
    )
    assert form_limits("/v2/claims/project/invoices/upload/upl_1") == one_file
    assert form_limits("/v2/claims/project/invoices/upload").max_bytes > 100 * 40 * 2**20


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2024-05-01T12:00:00Z", datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("2024-05-01T12:00:00+02:00", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("2024-05-01T12:00:00", datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("2024-05-01", datetime(2024, 5, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_kept_in_utc(sent: str, kept: datetime):
    assert TypeAdapter(UtcTime).validate_python(sent) == kept


@pytest.mark.parametrize("sent", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "x"])
def test_a_time_that_is_none_in_utc_is_refused(sent: str):
    with pytest.raises(ValidationError):
        TypeAdapter(UtcTime).validate_python(sent)


def test_text_with_a_zero_character_is_refused():
    with pytest.raises(ValidationError):
        TypeAdapter(Text).validate_python("a\0b")


def test_json_may_be_32_levels_deep_and_no_deeper():
    value: Any = 1
    for _ in range(31):
        value = [value]
    assert TypeAdapter(JsonObject).validate_python({"a": value}) == {"a": value}
    with pytest.raises(ValidationError):
        TypeAdapter(JsonObject).validate_python({"a": [value]})


@pytest.mark.parametrize("sent", ["", "[]", "{", "1" * 5000, "[" * 5000])
def test_a_field_that_is_no_json_object_is_refused(sent: str):
    with pytest.raises(ValidationError):
        TypeAdapter(JsonField).validate_python(sent)


def test_a_field_of_json_is_read():
    assert TypeAdapter(JsonField).validate_python('{"a": [1, null]}') == {"a": [1, None]}
