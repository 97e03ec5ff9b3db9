"""The requests that are printed on Human Lambdas' page of tasks, and the answers printed there."""

import re
from typing import Any

import pytest

from tests.contract.human_lambdas.desk import Desk, ask, done, finish

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")

CREATED: dict[str, Any] = {
    "completed_at": None,
    "completed_by": None,
    "created_at": "2020-10-08T15:27:08.632837Z",
    "data": {"approve": None, "comment": "This is some random text"},
    "id": 169581,
    "source": "api",
    "status": "new",
    "queue": "Moderate Comments",
    "queue_id": 166,
}
COMPLETED: dict[str, Any] = {
    "count": 2,
    "next": None,
    "previous": None,
    "tasks": [
        {
            "completed_at": "2020-10-08T16:28:22.633450Z",
            "completed_by": "joe@example.com",
            "created_at": "2020-10-08T16:28:16.408194Z",
            "data": {"approve": False, "comment": "This sucks..."},
            "id": 169583,
            "source": "manual",
            "status": "completed",
            "queue": "Moderate Comments",
            "queue_id": 166,
        },
        {
            "completed_at": "2020-10-08T15:28:33.664113Z",
            "completed_by": "joe@example.com",
            "created_at": "2020-10-08T15:27:08.632837Z",
            "data": {"approve": True, "comment": "This is some random text"},
            "id": 169581,
            "source": "api",
            "status": "completed",
            "queue": "Moderate Comments",
            "queue_id": 166,
        },
    ],
}
OURS = {"assigned_to", "correct", "state"}
"""Members of a task that the page does not print."""


def compare(answer: dict[str, Any], printed: dict[str, Any], **own: int) -> None:
    """Each printed member is there with the printed value; ids and times are of their kind."""
    assert answer.keys() - printed.keys() == OURS
    for name, value in printed.items():
        if name in own:
            assert answer[name] == own[name]
        elif isinstance(value, str) and TIME.fullmatch(value):
            assert TIME.fullmatch(answer[name]), answer[name]
        else:
            assert answer[name] == value, name


@pytest.mark.parametrize("spelling", ["queues", "workflows"])
async def test_the_page_of_tasks_is_answered_as_printed(joe: Desk, spelling: str) -> None:
    address = joe.address.replace("queues", spelling)
    sent = (
        '{"data":\n        {\n          "comment": "This is some random text"\n        }\n      }'
    )
    answer = await joe.client.post(
        f"{address}/tasks/create", content=sent, headers={"content-type": "application/json"}
    )
    first = done(answer, 201)
    compare(first, CREATED, id=first["id"], queue_id=joe.id)
    assert isinstance(first["id"], int)

    second = await joe.create({"comment": "This sucks..."}, source="manual")
    for task, verdict in ((first, True), (second, False)):
        await ask(task["id"])
        assert (await joe.take())["id"] == task["id"]
        await joe.submit(task["id"], {"approve": verdict})
        await finish(task["id"])
    listed = done(await joe.client.get(f"{address}/tasks/completed"))
    assert listed.keys() == COMPLETED.keys()
    assert (listed["count"], listed["next"], listed["previous"]) == (2, None, None)
    for task, printed, number in zip(
        listed["tasks"], COMPLETED["tasks"], (second["id"], first["id"]), strict=True
    ):
        compare(task, printed, id=number, queue_id=joe.id)
