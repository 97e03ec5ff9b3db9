"""Every error answer has one shape, whatever went wrong and wherever."""

import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from api.bodies import MAX_BODY_BYTES
from store import errors
from store.errors import PapertrayError
from store.settings import settings
from store.states import Event
from tests.contract.test_v1_access import OPERATIONS
from tests.contract.world import (
    PNG,
    Client,
    blobs_on_disk,
    install,
    let_happen,
    put_into_review,
    send_file,
    send_task,
)
from tests.whole_app import whole_app

STANDARD = ["type", "title", "status", "detail", "message", "code"]
KNOWN_CODES = {
    kind.code
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, PapertrayError)
} | {"method_not_allowed", "body_too_large", "media_type_unsupported", "validation"}


def problem_in(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = answer.json()
    assert list(content)[:6] == STANDARD
    assert content["code"] == code
    assert content["code"] in KNOWN_CODES
    assert content["status"] == status
    assert content["type"] == f"urn:papertray:error:{code}"
    assert content["detail"] == content["message"] != ""
    if status == 422:
        assert content["errors"]
        assert all(isinstance(found, list) for found in content["errors"].values())
    return content


async def test_an_unknown_address_is_a_404(client: Client):
    problem_in(await client.get("/v1/nothing"), 404, "not_found")
    problem_in(await client.post("/v3/nothing"), 404, "not_found")


async def test_an_address_with_a_slash_too_many_is_a_404_and_no_redirect(client: Client):
    problem_in(await client.get("/v1/files/"), 404, "not_found")


async def test_a_wrong_method_is_a_405_that_says_which_are_right(client: Client):
    answer = await client.put("/v1/tasks")
    problem_in(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


async def test_a_missing_key_is_a_401_that_says_how_to_send_one(stranger: Client):
    answer = await stranger.get("/v1/tasks")
    problem_in(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_stranger_is_refused_before_the_body_is_read(stranger: Client):
    read = []

    async def body() -> AsyncIterator[bytes]:
        read.append(1)
        yield b"x"

    answer = await stranger.post(
        "/v1/files", content=body(), headers={"content-type": "multipart/form-data; boundary=b"}
    )
    problem_in(answer, 401, "unauthenticated")
    assert read == []


async def test_a_missing_scope_is_a_403_that_names_it(stranger: Client, make_key: Any):
    key = {"x-api-key": await make_key("task.read")}
    content = problem_in(await stranger.get("/v1/files", headers=key), 403, "forbidden")
    assert content["scope"] == "file.read"


@pytest.mark.parametrize("wrong", ["file_0000000000000000", "task_x", "%00", "a" * 5000, "é"])
async def test_an_id_that_is_not_there_is_a_404(client: Client, wrong: str):
    problem_in(await client.get(f"/v1/files/{wrong}"), 404, "not_found")
    problem_in(await client.get(f"/v1/tasks/{wrong}"), 404, "not_found")
    problem_in(await client.post(f"/v1/tasks/{wrong}/claim"), 404, "not_found")
    problem_in(await client.get(f"/v1/projects/{wrong}"), 404, "not_found")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("take=0", "take"),
        ("take=101", "take"),
        ("take=many", "take"),
        ("state=lost", "state.0"),
        ("created_after=yesterday", "created_after"),
        ("created_after=0001-01-01T00:00:00%2B23:59", "created_after"),
        ("q=%00", "q"),
    ],
)
async def test_a_wrong_query_is_a_422_that_names_the_field(client: Client, query: str, field: str):
    content = problem_in(await client.get(f"/v1/tasks?{query}"), 422, "validation")
    assert list(content["errors"]) == [field]


async def test_a_wrong_body_is_a_422_that_names_each_field_and_repeats_no_value(client: Client):
    address = "/v1/pdf-operations/extract-text"
    body = {"format": "Frau Mustermann", "colour": "red"}
    content = problem_in(await client.post(address, json=body), 422, "validation")
    assert set(content["errors"]) == {"format", "colour", "input"}
    assert "Mustermann" not in json.dumps(content)


@pytest.mark.parametrize(
    "body",
    [b"{", b"\xff\xfe", b"[1]", b'"text"', b"null", b"[" * 5000, b"1" * 5000, b'{"a": NaN}'],
    ids=lambda body: body[:8].decode("latin-1"),
)
@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/pdf-operations/extract-text", "/v1/projects"])
async def test_a_body_that_is_no_json_object_is_a_422(client: Client, path: str, body: bytes):
    answer = await client.post(path, content=body, headers={"content-type": "application/json"})
    problem_in(answer, 422, "validation")


@pytest.mark.parametrize(
    "value",
    [
        {"a": "\0"},
        {"\0": 1},
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": "\ud800"},
        {"a": json.loads("[" * 40 + "]" * 40)},
    ],
    ids=["zero", "zero in a name", "nan", "infinity", "half a pair", "deep"],
)
async def test_metadata_that_no_database_keeps_is_a_422(client: Client, value: dict[str, Any]):
    await install(client)
    body = {"input": await send_file(client), "project": "invoices", "metadata": value}
    answer = await client.post(
        "/v1/tasks", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    content = problem_in(answer, 422, "validation")
    assert list(content["errors"]) == ["metadata"]
    form = {"project": "invoices", "metadata": json.dumps(value)}
    answer = await client.post("/v1/tasks", files={"file": ("a.png", PNG)}, data=form)
    assert list(problem_in(answer, 422, "validation")["errors"]) == ["metadata"]


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ({"data": {"project": "invoices"}, "files": {"other": ("a", b"x")}}, {"file", "other"}),
        ({"files": {"file": ("a.png", PNG)}}, {"project"}),
        ({"files": {"file": ("a.png", PNG)}, "data": {"project": ["a", "b"]}}, {"project"}),
        (
            {"files": {"file": ("a.png", PNG)}, "data": {"project": "a", "colour": "red"}},
            {"colour"},
        ),
        (
            {"files": {"file": ("a.png", PNG)}, "data": {"project": "a", "metadata": "no json"}},
            {"metadata"},
        ),
        ({"files": [("file", ("a", PNG)), ("file", ("b", PNG))]}, {"body"}),
    ],
)
async def test_a_wrong_form_is_a_422_that_names_each_field(
    client: Client, form: dict[str, Any], fields: set[str]
):
    content = problem_in(await client.post("/v1/tasks", **form), 422, "validation")
    assert set(content["errors"]) == fields


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=b"])
async def test_a_form_that_cannot_be_taken_apart_is_a_422(client: Client, content_type: str):
    answer = await client.post(
        "/v1/files", content=b"no form at all", headers={"content-type": content_type}
    )
    problem_in(answer, 422, "validation")


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/v1/files", "application/json"),
        ("/v1/tasks", "text/plain"),
        ("/v1/projects", "multipart/form-data; boundary=b"),
        ("/v1/pdf-operations/extract-text", "application/x-www-form-urlencoded"),
        ("/v1/tasks/task_x/discard", ""),
    ],
)
async def test_a_body_of_another_form_is_a_415(client: Client, path: str, content_type: str):
    headers = {"content-type": content_type}
    problem_in(
        await client.post(path, content=b"x", headers=headers), 415, "media_type_unsupported"
    )


@pytest.fixture
def small_limit(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setenv("PAPERTRAY_MAX_FILE_BYTES", "1000")
    settings.cache_clear()
    yield 1000
    settings.cache_clear()


async def test_a_file_over_the_limit_is_a_413_and_leaves_nothing(small_limit: int, client: Client):
    answer = await client.post("/v1/files", files={"file": ("a", b"x" * (small_limit + 1))})
    assert problem_in(answer, 413, "file_too_large")["limit_bytes"] == small_limit
    assert blobs_on_disk() == []
    answer = await client.post("/v1/files", files={"file": ("a", b"x" * small_limit)})
    assert answer.status_code == 201


async def test_a_form_over_the_limit_is_stopped_while_it_comes_in(small_limit: int, client: Client):
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        while True:
            sent += 1 << 16
            yield b"x" * (1 << 16)

    for lie in ({}, {"content-length": "10"}):
        sent = 0
        headers = {"content-type": "multipart/form-data; boundary=b", **lie}
        answer = await client.post("/v1/files", content=endless(), headers=headers)
        problem_in(answer, 413, "file_too_large")
        assert sent <= small_limit + MAX_BODY_BYTES + (1 << 17)
    assert blobs_on_disk() == []


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/pdf-operations/extract-text", "/v1/projects"])
async def test_a_body_without_a_file_over_the_limit_is_a_413(client: Client, path: str):
    headers = {"content-type": "application/json"}

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * (1 << 16)

    answer = await client.post(path, content=endless(), headers=headers)
    problem_in(answer, 413, "body_too_large")
    announced = {**headers, "content-length": str(MAX_BODY_BYTES + 1)}
    answer = await client.post(path, content=b"{}", headers=announced)
    problem_in(answer, 413, "body_too_large")


async def test_an_empty_file_is_a_422_and_leaves_nothing(client: Client):
    answer = await client.post("/v1/files", files={"file": ("empty.pdf", b"")})
    assert list(problem_in(answer, 422, "file_empty")["errors"]) == ["file"]
    assert blobs_on_disk() == []


async def test_an_unknown_project_is_a_404_and_leaves_nothing(client: Client):
    form: dict[str, Any] = {"files": {"file": ("a.png", PNG)}, "data": {"project": "nobody"}}
    problem_in(await client.post("/v1/tasks", **form), 404, "not_found")
    assert blobs_on_disk() == []
    assert (await client.get("/v1/files")).json()["data"] == []
    assert (await client.get("/v1/tasks")).json()["data"] == []


async def test_an_unknown_file_of_a_task_is_a_404(client: Client):
    await install(client)
    body = {"input": "file_0000000000000000", "project": "invoices"}
    problem_in(await client.post("/v1/tasks", json=body), 404, "not_found")


async def test_a_project_file_that_is_not_valid_is_a_422_that_says_where(client: Client):
    answer = await client.post("/v1/projects", json={"source": "name: invoices\nfields: none\n"})
    content = problem_in(answer, 422, "project_file_invalid")
    assert list(content["errors"]) == ["fields"]
    assert content["problems"][0]["line"] == 2


async def test_what_cannot_happen_now_is_a_409(client: Client, stranger: Client, make_key: Any):
    task_id = await send_task(client)
    address = f"/v1/tasks/{task_id}"
    problem_in(await client.post(f"{address}/claim"), 409, "illegal_transition")
    problem_in(await client.post(f"{address}/retry"), 409, "illegal_transition")
    problem_in(await client.post(f"{address}/release"), 409, "not_claimed")
    await put_into_review(task_id)
    ada = {"x-api-key": await make_key(user="ada@example.com")}
    assert (await stranger.post(f"{address}/claim", headers=ada)).status_code == 200
    problem_in(await client.post(f"{address}/complete"), 409, "already_claimed")
    assert (await stranger.post(f"{address}/discard", headers=ada)).status_code == 200
    problem_in(await client.post(f"{address}/complete"), 409, "already_decided")
    problem_in(await client.post(f"{address}/cancel"), 409, "illegal_transition")


async def test_a_file_that_a_task_needs_is_not_deleted(client: Client):
    task_id = await send_task(client)
    file_id = (await client.get(f"/v1/tasks/{task_id}")).json()["parameters"]["input"]
    answer = await client.delete(f"/v1/files/{file_id}")
    assert problem_in(answer, 409, "conflict")["task"] == task_id
    await let_happen(task_id, Event.START, Event.FAIL)
    assert (await client.delete(f"/v1/files/{file_id}")).status_code == 204


async def test_a_field_that_is_not_of_the_project_is_a_422_that_names_it(client: Client):
    task_id = await send_task(client)
    await put_into_review(task_id)
    answer = await client.post(f"/v1/tasks/{task_id}/save", json={"values": {"colour": "red"}})
    assert list(problem_in(answer, 422, "fields_invalid")["errors"]) == ["colour"]


async def test_bytes_that_are_gone_are_a_404_and_not_half_an_answer(client: Client, home: Path):
    file_id = await send_file(client)
    (home / "blobs" / "files" / file_id).unlink()
    problem_in(await client.get(f"/v1/files/{file_id}/download"), 404, "not_found")


async def test_a_mistake_of_ours_is_a_500_with_a_number_that_is_in_the_log(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr("api.v1.tasks.find_task", broken)
    with caplog.at_level(logging.ERROR):
        answer = await client.get("/v1/tasks/task_0000000000000000")
    content = problem_in(answer, 500, "internal")
    assert "secret" not in answer.text
    (record,) = [one for one in caplog.records if one.name == "papertray.api"]
    assert content["incident"] in record.getMessage()
    assert "/v1/tasks/{task_id}" in record.getMessage()
    assert record.exc_info


async def test_a_full_storage_is_a_507(client: Client, monkeypatch: pytest.MonkeyPatch):
    async def full(*_: Any, **__: Any) -> Any:
        raise errors.StorageFullError

    monkeypatch.setattr("store.blobs.Blobs.write_stream", full)
    problem_in(await client.post("/v1/files", files={"file": ("a.png", PNG)}), 507, "storage_full")


class TestTheDocument:
    def test_describes_every_error_by_example_in_the_one_shape(self):
        for described in OPERATIONS.values():
            answers = described["responses"]
            assert {"401", "403", "422"} <= answers.keys()
            for status, answer in answers.items():
                if status < "400":
                    continue
                content = answer["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                for code, example in content["examples"].items():
                    assert code in KNOWN_CODES
                    assert list(example["value"])[:6] == STANDARD
                    assert example["value"]["status"] == int(status)

    def test_describes_what_an_address_takes_and_gives(self):
        for (method, path), described in OPERATIONS.items():
            assert described["summary"], path
            assert len(described["description"]) > 20, path
            assert described["tags"], path
            good = [answer for status, answer in described["responses"].items() if status < "300"]
            assert good
            for answer in good:
                for content in answer.get("content", {}).values():
                    assert "example" in content or "examples" in content, path
            if method == "post" and "requestBody" in described:
                for content in described["requestBody"]["content"].values():
                    assert "example" in content or "examples" in content, path
            for parameter in described.get("parameters", []):
                assert parameter["description"], (path, parameter["name"])

    def test_has_no_dangling_reference_and_no_two_operations_of_one_name(self):
        document = whole_app().openapi()
        text = json.dumps(document)
        schemas = document["components"]["schemas"]
        for part in text.split('"#/components/schemas/')[1:]:
            assert part.split('"')[0] in schemas
        names = [described["operationId"] for described in OPERATIONS.values()]
        assert len(names) == len(set(names))
        assert {"ApiKey", "Bearer", "Token"} <= document["components"]["securitySchemes"].keys()


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=20),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = [
    *("input", "project", "name", "metadata", "format", "pages", "values", "document_number"),
    *("note", "reason", "issues", "message", "source"),
]
NAMES = {
    "task_id": "task_0000000000000000",
    "webhook_id": "webhook_0",
    "delivery_id": "delivery_0",
    "name": "no-such-project",
}
"""What stands in the addresses."""
BODIES = st.dictionaries(st.sampled_from(FIELDS), JUNK, max_size=5) | JUNK
POSTS = sorted(path for method, path in OPERATIONS if method == "post")


@hypothesis_settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(path=st.sampled_from(POSTS), body=BODIES | st.binary(max_size=50), data=st.data())
async def test_junk_is_answered_and_never_with_a_500(
    client: Client, path: str, body: Any, data: st.DataObject
):
    content = body if isinstance(body, bytes) else json.dumps(body)
    media_types = ["application/json", "multipart/form-data; boundary=b", "application/yaml"]
    answer = await client.post(
        path.format_map(NAMES),
        content=content,
        headers={"content-type": data.draw(st.sampled_from(media_types))},
    )
    assert answer.status_code < 500, answer.text
    if answer.is_error:
        problem_in(answer, answer.status_code, answer.json()["code"])
