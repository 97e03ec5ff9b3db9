"""The page "Task Operations" of Scan Documents: its two tasks, made as they are printed."""

import re
from dataclasses import replace
from typing import Any

import pytest

from flows import steps, task_run
from flows.task_run import TaskRun
from operations.registry import OPERATIONS
from store.states import Event
from tests.contract.world import Client, let_happen, send_file
from tests.documents import invoice

COMPLETED: dict[str, Any] = {
    "id": "task_euyrvozb9302uwhq",
    "operation": "extract-text",
    "status": "completed",
    "parameters": {"input": "file_abc123xyz", "format": "markdown"},
    "result": {
        "format": "markdown",
        "content": "**This** is the *extracted* text content",
    },
    "created_at": "2021-05-03T10:00:00Z",
    "updated_at": "2021-05-03T10:05:00Z",
}
FAILED: dict[str, Any] = {
    **COMPLETED,
    "status": "failed",
    "result": {
        "error": "Source file not found.",
        "details": {
            "file_id": "file_abc123xyz",
            "reason": "The file might have been deleted.",
        },
    },
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
ADDRESS = "/v1/pdf-operations/extract-text"


def compare(task: dict[str, Any], printed: dict[str, Any], *own: str) -> None:
    """Each printed member is there with the printed value; ids and times are of their kind."""
    assert len(task["id"]) == len(printed["id"])
    assert task["id"].startswith("task_")
    for name in ("created_at", "updated_at"):
        assert TIME.fullmatch(task[name])
        assert TIME.fullmatch(printed[name])
    for name in printed.keys() - {"id", "created_at", "updated_at", *own}:
        assert task[name] == printed[name], name


@pytest.fixture(autouse=True)
def progress_is_told_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def show(*_: Any, **__: Any) -> None:
        """In the place of Prefect, which shows how far a run is, and what it made."""

    monkeypatch.setattr(task_run.ProgressArtifact, "show", show)
    monkeypatch.setattr(steps, "show_output", show)
    monkeypatch.setattr(task_run, "show_failure", show)


async def work_on(task_id: str) -> None:
    """What a worker does."""
    run = TaskRun(await let_happen(task_id, Event.START))
    async with task_run._executed(run):
        await steps.operate(run)


async def test_a_task_is_pending_then_processing_then_completed_as_printed(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    row = OPERATIONS["extract-text"]
    seen: list[dict[str, Any]] = []

    async def look(*args: Any, **given: Any) -> Any:
        seen.append((await client.get(f"/v1/tasks/{task_id}")).json())
        return await row.task.fn(*args, **given)

    monkeypatch.setitem(OPERATIONS, row.name, replace(row, task=look))  # pyright: ignore[reportArgumentType]  # a worker awaits it alike
    file_id = await send_file(client, invoice(), "invoice.pdf")
    sent = {**COMPLETED["parameters"], "input": file_id}
    answer = await client.post(ADDRESS, json=sent)
    assert answer.status_code == 202
    seen.append(answer.json())
    task_id = seen[0]["id"]
    await work_on(task_id)
    task = (await client.get(f"/v1/tasks/{task_id}")).json()
    assert [(one["status"], one["result"]) for one in seen] == [("pending", {}), ("processing", {})]
    compare(task, COMPLETED, "parameters", "result")
    assert task["parameters"] == sent
    assert task["result"].keys() - COMPLETED["result"].keys() == {"read"}  # ours: how it was read
    assert task["result"]["format"] == "markdown"
    assert "Northwind Traders Ltd" in task["result"]["content"]
    events = (await client.get("/v1/events", params={"type": "task.completed"})).json()["data"]
    assert [one["data"]["id"] for one in events] == [task_id]


async def test_a_task_on_a_file_that_is_not_there_fails_as_printed(client: Client):
    answer = await client.post(ADDRESS, json=FAILED["parameters"])
    assert answer.status_code == 202
    task_id = answer.json()["id"]
    await work_on(task_id)
    task = (await client.get(f"/v1/tasks/{task_id}")).json()
    compare(task, FAILED, "result")
    details: dict[str, str] = task["result"].pop("details")
    assert task["result"] == {"error": FAILED["result"]["error"]}
    assert details == {**FAILED["result"]["details"], "code": "not_found"}


async def test_a_page_range_that_cannot_be_fails_the_task_and_a_format_makes_none(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    row = OPERATIONS["extract-pages"]
    monkeypatch.setitem(OPERATIONS, row.name, replace(row, task=row.task.fn))  # pyright: ignore[reportArgumentType]  # as above
    sent = {"input": await send_file(client, invoice(), "invoice.pdf"), "pages": "2-7"}
    task_id = (await client.post("/v1/pdf-operations/extract-pages", json=sent)).json()["id"]
    await work_on(task_id)
    task = (await client.get(f"/v1/tasks/{task_id}")).json()
    assert task["status"] == "failed"
    assert task["result"].keys() == FAILED["result"].keys()
    assert "2-7" in task["result"]["error"]
    answer = await client.post(ADDRESS, json={**FAILED["parameters"], "format": "papyrus"})
    assert answer.status_code == 422
    assert answer.json()["errors"].keys() == {"format"}
