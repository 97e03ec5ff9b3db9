"""What the tests of Human Lambdas itself send to its API, and what they expect of it.

Source: `human_lambdas/external/tests` in https://pypi.org/project/human-lambdas/1.0.51/, which is
under Apache-2.0. The requests are theirs; what they look up in tables is looked up in answers here.
"""

from typing import Any

import pytest

from tests.contract.human_lambdas.desk import Desk, ask, done

READ_ONLY = {"read_only": True}
TEXTS: list[dict[str, Any]] = [
    {"id": name, "name": name.lower(), "type": "text", "text": READ_ONLY, "layout": {}}
    for name in ("Alpha", "Beta", "Gamma")
]
CHOICE: dict[str, Any] = {
    "id": "foo",
    "name": "foo",
    "type": "single_selection",
    "single_selection": {"options": ["foo1", "bar1"]},
}
NUMBERS: dict[str, Any] = {
    "id": "Alpha",
    "name": "alpha",
    "type": "list",
    "list": {"subtype": "number"},
}
FORMS: dict[str, Any] = {
    "type": "form_sequence",
    "name": "the formz",
    "id": "the_formz",
    "form_sequence": {
        "is_required": True,
        "data": [
            {"id": "hello", "name": "hello", "type": "text", "text": {"value": None}},
            {"id": "numbah", "name": "numbah", "type": "number", "number": {"value": None}},
        ],
        "history": [],
    },
}


async def create(desk: Desk, spelling: str, status: int, **body: Any) -> Any:
    address = desk.address.replace("/queues", f"/{spelling}")
    return done(await desk.client.post(f"{address}/tasks/create", json=body), status)


@pytest.mark.parametrize("spelling", ["queues", "workflows"])
async def test_tasks_are_created_as_their_tests_create_them(joe: Desk, spelling: str) -> None:
    await joe.set_up("uploader", [*TEXTS, CHOICE])
    data = {"Alpha": "data1", "Beta": "data2", "Gamma": "data3"}
    assert (await create(joe, spelling, 201, data=data))["data"] == {**data, "foo": None}
    await create(joe, spelling, 201, data=dict.fromkeys(data, ""))
    await create(joe, spelling, 400, data={})
    await create(joe, spelling, 400)
    await joe.set_up("lists", [NUMBERS])
    for numbers in ([1, 2, 3], ["1", "2", "3"]):
        made = await create(joe, spelling, 201, data={"Alpha": numbers})
        assert made["data"] == {"Alpha": [1, 2, 3]}
    await joe.set_up("forms", [FORMS])
    form = {"the_formz": {"hello": "word", "numbah": 2}}
    for more in ({}, {"region": "EU"}):
        assert (await create(joe, spelling, 201, data=form, **more))["data"] == form
    joe.id = 1000
    await create(joe, spelling, 404, data=data)


async def test_tasks_are_completed_listed_and_flushed_as_in_their_tests(joe: Desk) -> None:
    await joe.set_up("uploader", [*TEXTS[:1], CHOICE])
    for number in range(3):
        made = await joe.create({"Alpha": f"row {number}"})
        await ask(made["id"])
        await joe.take()
        await joe.submit(made["id"], {"foo": "bar1"})
    await joe.create({"Alpha": "left"})
    workflow = joe.address.replace("/queues", "/workflows")
    page = done(await joe.client.get(f"{workflow}/tasks/completed", params={"limit": 2}))
    assert (page["count"], len(page["tasks"])) == (3, 2)
    for task in page["tasks"]:
        assert task["status"] == "completed"
        assert task["data"] == {"Alpha": task["data"]["Alpha"], "foo": "bar1"}
    done(await joe.client.put(f"{workflow}/flush"))
    assert (await joe.pending())["count"] == 0
    assert (await joe.completed())["count"] == 3
