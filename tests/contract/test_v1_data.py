"""Tasks of data, tables, and the documents of a file, over the native API."""

import json
from typing import Any

import pytest

from store.states import Event
from tests.contract.test_errors import problem_in
from tests.contract.world import Client, let_happen, put_into_review, send_task

PROJECT = """\
name: moderation
blocks:
  - {name: comment, type: text, read_only: true, required: true}
  - {name: approve, type: binary, required: true}
"""
DATA = {"comment": "nice"}


@pytest.fixture(autouse=True)
async def project(client: Client) -> None:
    answer = await client.post("/v1/projects", json={"source": PROJECT})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    "sent",
    [
        {"json": {"project": "moderation", "data": DATA}},
        # A form without a file must still be one of several parts.
        {"files": {"project": (None, "moderation"), "data": (None, json.dumps(DATA))}},
    ],
    ids=["json", "form"],
)
async def test_a_task_is_made_of_data(client: Client, sent: dict[str, Any]) -> None:
    answer = await client.post("/v1/tasks", **sent)
    assert answer.status_code == 202, answer.text
    task = answer.json()
    assert (task["data"], task["source"], task["state"]) == (DATA, "api", "queued")
    await let_happen(task["id"], Event.START)
    await let_happen(task["id"], Event.ASK, review_round=1, review_step="extract")
    address = f"/v1/tasks/{task['id']}"
    missing = await client.post(f"{address}/complete")
    assert problem_in(missing, 422, "fields_invalid")["errors"] == {"approve": ["is missing"]}
    changed = await client.post(f"{address}/save", json={"values": {"comment": "bad"}})
    problem = problem_in(changed, 422, "fields_invalid")
    assert problem["errors"] == {"comment": ["is only to be read"]}
    done = await client.post(f"{address}/complete", json={"values": {"approve": True}})
    assert done.json()["data"] == {**DATA, "approve": True}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"project": "moderation", "data": {"approve": True}}, "fields_invalid"),
        ({"project": "moderation", "data": {**DATA, "more": 1}}, "fields_invalid"),
        ({"project": "moderation", "data": [1]}, "validation"),
        ({"project": "moderation"}, "validation"),
        ({"project": "moderation", "data": DATA, "input": "file_x"}, "validation"),
    ],
)
async def test_data_that_does_not_fit_makes_no_task(
    client: Client, body: dict[str, Any], code: str
) -> None:
    problem_in(await client.post("/v1/tasks", json=body), 422, code)
    assert (await client.get("/v1/tasks")).json()["data"] == []


async def test_a_table_becomes_tasks_and_its_bad_rows_are_told_of(client: Client) -> None:
    table = "comment,approve\nnice,yes\n,no\nbad,perhaps\n"
    answer = await client.post(
        "/v1/projects/moderation/import", files={"file": ("rows.csv", table.encode())}
    )
    assert answer.status_code == 201, answer.text
    assert answer.json() == {
        "count": 1,
        "refused_count": 2,
        "refused": [
            {"line": 3, "column": "comment", "reason": "is missing"},
            {"line": 4, "column": "approve", "reason": "must be true or false"},
        ],
    }
    (task,) = (await client.get("/v1/tasks")).json()["data"]
    assert (task["data"], task["source"]) == ({"comment": "nice", "approve": True}, "rows.csv")


async def test_the_documents_of_a_file_are_arranged(client: Client) -> None:
    task_id = await send_task(client)
    await put_into_review(task_id)
    address = f"/v1/tasks/{task_id}"
    wrong = {"documents": [{"page_numbers": [1, 2], "document_type": "invoice"}]}
    problem = problem_in(await client.post(f"{address}/arrange", json=wrong), 422, "fields_invalid")
    assert list(problem["errors"]) == ["documents.1"]
    right = {"documents": [{"page_numbers": [1], "document_type": "invoice"}]}
    answer = await client.post(f"{address}/arrange", json=right)
    assert (answer.status_code, answer.json()["state"]) == (200, "running")
    found = (await client.get(f"{address}/documents")).json()["documents"]
    assert [(one["number"], one["page_numbers"], one["group_number"]) for one in found] == [
        (1, [1], None)
    ]


async def test_everybody_may_read_the_schema_of_project_files(stranger: Client) -> None:
    schema = (await stranger.get("/schemas/project.json")).json()
    assert schema["title"] == "Papertray project file"
    assert {"segment", "classify", "blocks"} <= schema["properties"].keys()
