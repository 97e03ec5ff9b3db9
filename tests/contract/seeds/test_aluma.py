"""The page "Create a task" of Aluma: what it prints is sent, and answered as it prints."""

import re
from email.parser import HeaderParser

from store.states import Event
from tests.contract.aluma.desk import (
    create,
    let_data_go,
    offered,
    row_of,
    standing,
    worked_on,
)
from tests.contract.world import Client, put_into_review

REQUEST = r"""POST /tasks?project_id=ZbfzIZorTFOV60GX58YUuQ
Content-Type: application/pdf
X-Aluma-Tags: task_name=AB3947853&file_name=00001.pdf&file_path=C:\inbox&file_created_time=1711958908
"""  # noqa: E501  # as it is printed

ANSWER = {
    "id": "SWdh86taQhKwwpY0HUKD7Q",
    "name": "AB3947853",
    "file_collection_id": "hZ7GkxSHSRmk9ibpio_yOQ",
    "project_id": "ZbfzIZorTFOV60GX58YUuQ",
    "project_name": "ACME Medical Records",
    "created_at": "2024-03-25T16:37:08Z",
    "state": "queued",
}

STATES: dict[str, list[Event]] = {
    "completed": [Event.START, Event.FINISH],
    "failed": [Event.START, Event.FAIL],
    "timed-out": [Event.TIME_OUT],
    "canceled": [Event.CANCEL],
}
"""The final states of the page, and how a task gets there."""

ID = re.compile(r"[A-Za-z0-9_-]{22}")


async def test_the_request_is_answered_as_printed_with_other_ids_and_times(
    aluma: Client, project_id: str
):
    line, _, rest = REQUEST.partition("\n")
    method, address = line.replace(ANSWER["project_id"], project_id).split(" ")
    headers = dict(HeaderParser().parsestr(rest))
    answer = await aluma.request(method, address, headers=headers, content=b"%PDF-1.7 contents")
    assert answer.status_code == 202
    task = answer.json()
    assert list(task) == list(ANSWER)
    ids = {"id", "file_collection_id", "project_id"}
    for name, printed in ANSWER.items():
        if name in ids:
            assert ID.fullmatch(printed)
            assert ID.fullmatch(task[name])
        elif name == "created_at":
            assert re.sub(r"\d", "9", task[name]) == re.sub(r"\d", "9", printed)
        else:
            assert task[name] == printed
    assert task["project_id"] == project_id
    assert len({task[name] for name in ids}) == 3
    assert (await aluma.get(f"/tasks/{task['id']}")).json() == task
    kept = (await row_of(task["id"])).task_metadata
    assert kept == {
        "task_name": "AB3947853",
        "file_name": "00001.pdf",
        "file_path": r"C:\inbox",
        "file_created_time": "1711958908",
    }


async def test_one_tag_is_enough(aluma: Client, project_id: str):
    task_id = await create(aluma, project_id, tags="task_name=AB3947853")
    assert (await aluma.get(f"/tasks/{task_id}")).json()["name"] == "AB3947853"


async def test_as_many_tasks_as_one_likes_remain_queued(aluma: Client, project_id: str):
    ids = [await create(aluma, project_id) for _ in range(30)]
    listed = (await aluma.get("/tasks", params={"state": "queued"})).json()["tasks"]
    assert [task["id"] for task in listed] == ids


async def test_a_task_goes_through_the_states_of_the_page(aluma: Client, project_id: str):
    task_id = await create(aluma, project_id)
    seen = [await standing(aluma, task_id)]

    async def act(action: str, verb: str, **sent: object) -> None:
        address = f"/tasks/{task_id}/client_actions/{action}/{verb}"
        answer = await aluma.post(address, json=sent or None)
        assert answer.status_code == 200, answer.text
        seen.append(await standing(aluma, task_id))

    await put_into_review((await row_of(task_id)).public_id)
    seen.append(await standing(aluma, task_id))
    await act("validation", "start")
    await act("validation", "complete", documents=[])
    await offered(task_id)
    seen.append(await standing(aluma, task_id))
    await act("export", "start")
    await act("export", "complete")
    await worked_on(task_id, Event.FINISH)
    await let_data_go(task_id)
    assert [*seen, await standing(aluma, task_id)] == [
        ("queued", None),
        ("pending:start_client_action", "validation"),
        ("pending:complete_client_action", "validation"),
        ("running", None),
        ("pending:start_client_action", "export"),
        ("pending:complete_client_action", "export"),
        ("running", None),
        ("completed", None),
    ]


async def test_a_task_remains_in_its_final_state(aluma: Client, project_id: str):
    for state, events in STATES.items():
        task_id = await create(aluma, project_id)
        task = await worked_on(task_id, *events)
        assert task.erase_after == task.finished_at  # the file and all related data go at once
        await let_data_go(task_id)
        assert await standing(aluma, task_id) == (state, None)
