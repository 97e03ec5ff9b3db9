"""What people do with the tasks of a queue, and in which order they can."""

from datetime import timedelta

from sqlalchemy import update
from sqlmodel import col

from store.database import database
from store.ids import now
from store.models import Task
from store.states import Event
from tests.contract.human_lambdas.desk import COMMENT, Desk, ask, done, finish, refused, row_of
from tests.contract.world import let_happen

WHOLE = {"comment": COMMENT, "approve": None}


async def test_a_task_is_new_then_in_progress_then_completed(joe: Desk) -> None:
    task = await joe.create()
    number = task["id"]
    assert (task["status"], task["state"]) == ("new", "queued")
    await ask(number)
    assert (await joe.show(number))["status"] == "new"
    taken = await joe.take()
    assert (taken["id"], taken["status"]) == (number, "in_progress")
    assert taken["assigned_to"] == "joe@example.com"
    submitted = await joe.submit(number, {**WHOLE, "approve": True})
    assert (submitted["status"], submitted["state"]) == ("completed", "running")
    assert submitted["completed_by"] == "joe@example.com"
    assert submitted["data"] == {"comment": COMMENT, "approve": True}
    await finish(number)
    shown = await joe.show(number)
    assert (shown["status"], shown["state"]) == ("completed", "completed")
    assert shown["completed_at"] == submitted["completed_at"]


async def test_a_task_that_was_given_back_is_open_until_it_is_taken_again(
    joe: Desk, ada: Desk
) -> None:
    number = (await joe.create())["id"]
    await ask(number)
    await joe.take()
    address = f"{joe.address}/tasks/{number}/assign"
    assert done(await joe.client.post(address, json={"assigned_to": None}))["status"] == "open"
    assert (await joe.show(number))["assigned_to"] is None
    assert (await ada.take())["id"] == number


async def test_next_gives_what_one_has_then_what_is_new_then_what_is_open(
    joe: Desk, ada: Desk
) -> None:
    opened, fresh = (await joe.create())["id"], (await joe.create())["id"]
    for number in (opened, fresh):
        await ask(number)
    assert (await joe.take())["id"] == opened
    assert (await joe.take())["id"] == opened
    assign = f"{joe.address}/tasks/{opened}/assign"
    done(await joe.client.post(assign, json={"assigned_to": None}))
    assert (await joe.take())["id"] == fresh
    assert (await ada.take())["id"] == opened
    lisa = await ada.client.get(f"{ada.address}/tasks/next")
    assert lisa.status_code == 200  # Ada has one, and gets it again
    await ada.submit(opened, {"approve": False})
    nothing = await ada.client.get(f"{ada.address}/tasks/next")
    assert (nothing.status_code, nothing.content) == (204, b"")


async def test_next_is_of_this_queue_alone(joe: Desk) -> None:
    await ask((await joe.create())["id"])
    other = await Desk(joe.client, joe.queues).set_up("Another")
    assert (await other.client.get(f"{other.address}/tasks/next")).status_code == 204


async def test_only_who_has_a_task_saves_and_submits_it(joe: Desk, ada: Desk) -> None:
    number = (await joe.create())["id"]
    address = f"{joe.address}/tasks/{number}"
    body = {"data": {"approve": True}}
    refused(await joe.client.patch(address, json=body), 400)  # not asked yet
    await ask(number)
    refused(await joe.client.patch(address, json=body), 400)  # nobody has it
    refused(await joe.client.post(f"{address}/save", json=body), 400)
    await joe.take()
    refused(await ada.client.patch(address, json=body), 400)
    refused(await ada.client.post(f"{address}/save", json=body), 400)
    await joe.submit(number, body["data"])
    refused(await joe.client.patch(address, json=body), 400)  # it is done
    refused(await joe.client.post(f"{address}/save", json=body), 400)
    refused(await joe.client.post(f"{address}/assign", json={"assigned_to": None}), 400)


async def test_what_is_saved_is_kept_and_the_task_stays(joe: Desk) -> None:
    number = (await joe.create())["id"]
    await ask(number)
    await joe.take()
    saved = await joe.client.post(
        f"{joe.address}/tasks/{number}/save", json={"data": {"approve": True}}
    )
    assert done(saved)["data"]["approve"] is True
    assert (await joe.show(number))["status"] == "in_progress"
    assert (await joe.submit(number, {}))["data"]["approve"] is True


async def test_a_task_is_handed_over_by_e_mail_or_number(joe: Desk, ada: Desk) -> None:
    number = (await joe.create())["id"]
    await ask(number)
    assign = f"{joe.address}/tasks/{number}/assign"
    handed = done(await joe.client.post(assign, json={"assigned_to": "ada@example.com"}))
    assert (handed["assigned_to"], handed["status"]) == ("ada@example.com", "in_progress")
    assert (await ada.take())["id"] == number
    assert (await row_of(number)).claimed_until > now() + timedelta(hours=20)  # pyright: ignore[reportOptionalOperand]  # it is held
    refused(await joe.client.post(assign, json={"assigned_to": "nobody@example.com"}), 404)
    refused(await joe.client.post(assign, json={"assigned_to": 4711}), 404)
    refused(await joe.client.post(assign, json={}), 400)
    handed = done(await joe.client.post(assign, json={"assigned_to": 1}))
    assert handed["assigned_to"] == "joe@example.com"


async def test_a_claim_that_ran_out_leaves_the_task_open(joe: Desk) -> None:
    number = (await joe.create())["id"]
    await ask(number)
    await joe.take()
    async with database().writing() as session:
        late = update(Task).where(col(Task.number) == number)
        await session.execute(late.values(claimed_until=now() - timedelta(seconds=1)))
    assert (await joe.show(number))["status"] == "open"


async def test_a_task_without_data_is_refused_in_these_words(joe: Desk) -> None:
    for body in ({}, {"data": None}, {"data": {}}, {"data": ""}, {"data": []}):
        answer = await joe.client.post(f"{joe.address}/tasks/create", json=body)
        assert answer.status_code == 400
        assert answer.json() == {"status_code": 400, "errors": [{"message": "No data"}]}


async def test_a_value_that_does_not_fit_its_block_is_refused_by_name(joe: Desk) -> None:
    number = (await joe.create())["id"]
    await ask(number)
    await joe.take()
    for data, field in (
        ({"comment": 1}, "comment"),
        ({"comment": COMMENT, "approve": "maybe"}, "approve"),
        ({"comment": COMMENT, "more": 1}, "more"),
    ):
        body = {"data": data}
        (error,) = refused(await joe.client.post(f"{joe.address}/tasks/create", json=body), 400)
        assert error["field"] == field
        wrong = await joe.client.patch(f"{joe.address}/tasks/{number}", json=body)
        assert refused(wrong, 400)[0]["field"] == field


async def test_a_read_only_block_is_not_changed_by_a_worker(joe: Desk) -> None:
    number = (await joe.create())["id"]
    await ask(number)
    await joe.take()
    address = f"{joe.address}/tasks/{number}"
    changed = {"data": {"comment": "mine", "approve": True}}
    assert refused(await joe.client.patch(address, json=changed), 400)[0]["field"] == "comment"
    assert (await joe.show(number))["data"] == WHOLE


async def test_what_is_required_must_be_there_to_submit(joe: Desk) -> None:
    number = (await joe.create())["id"]
    await ask(number)
    await joe.take()
    answer = await joe.client.patch(f"{joe.address}/tasks/{number}", json={"data": {}})
    assert refused(answer, 400) == [{"message": "is missing", "field": "approve"}]


async def test_each_thing_that_happens_is_told_the_newest_first(joe: Desk, ada: Desk) -> None:
    number = (await joe.create())["id"]
    await ask(number)
    await joe.take()
    task = f"{joe.address}/tasks/{number}"
    said = await ada.client.post(f"{task}/activity", json={"comment": "Is this irony?"})
    assert done(said, 201)["comment"] == "Is this irony?"
    done(await joe.client.post(f"{task}/save", json={"data": {"approve": True}}))
    done(await joe.client.post(f"{task}/assign", json={"assigned_to": "ada@example.com"}))
    await ada.submit(number, {"approve": True})
    await finish(number)
    done(await joe.client.put(f"{task}/audit", json={"correct": False}))
    told = done(await joe.client.get(f"{task}/activity"))
    assert [(one["action"], one["created_by"]) for one in told] == [
        ("audited", "joe@example.com"),
        ("completed", "ada@example.com"),
        ("assigned", "joe@example.com"),
        ("saved", "joe@example.com"),
        ("comment", "ada@example.com"),
        ("assigned", "joe@example.com"),
        ("created", "joe@example.com"),
    ]
    by_action = {one["action"]: one for one in reversed(told)}
    assert by_action["audited"]["correct"] is False
    assert [one["assignee"] for one in told if one["action"] == "assigned"] == [
        "ada@example.com",
        "joe@example.com",
    ]
    assert by_action["created"]["source"] == "api"
    refused(await joe.client.post(f"{task}/activity", json={"comment": ""}), 400)


async def test_an_audit_says_whether_it_was_right_or_nothing(joe: Desk) -> None:
    number = (await joe.create())["id"]
    address = f"{joe.address}/tasks/{number}/audit"
    refused(await joe.client.put(address, json={"correct": True}), 400)
    await ask(number)
    await joe.take()
    await joe.submit(number, {"approve": True})
    for verdict in (True, False, None):
        assert done(await joe.client.put(address, json={"correct": verdict}))["correct"] is verdict
    refused(await joe.client.put(address, json={"correct": "yes"}), 400)
    refused(await joe.client.put(address, json={}), 400)


async def test_a_task_that_ends_without_an_answer_is_completed_by_nobody(joe: Desk) -> None:
    ended: list[int] = []
    for event in (Event.DISCARD, Event.CANCEL, Event.FAIL, Event.TIME_OUT):
        number = (await joe.create())["id"]
        await ask(number)
        task = await let_happen((await row_of(number)).public_id, event)
        shown = await joe.show(number)
        assert (shown["status"], shown["completed_by"]) == ("completed", None)
        assert shown["completed_at"] is not None
        assert shown["state"] == task.state.value
        ended.insert(0, number)
    assert [one["id"] for one in (await joe.completed())["tasks"]] == ended


async def test_a_task_of_another_queue_is_not_there(joe: Desk) -> None:
    number = (await joe.create())["id"]
    other = await Desk(joe.client, joe.queues).set_up("Another")
    for path in ("", "/activity"):
        refused(await joe.client.get(f"{other.address}/tasks/{number}{path}"), 404)
    for wrong in ("0", "-1", "x", "99999999", "9" * 40, "%D9%A1"):
        refused(await joe.client.get(f"{joe.address}/tasks/{wrong}"), 404)
        refused(await joe.client.get(f"{joe.queues}/{wrong}"), 404)


async def test_a_post_with_an_idempotency_key_is_done_once(joe: Desk) -> None:
    headers = {"idempotency-key": "one"}
    body = {"data": {"comment": COMMENT}}
    address = f"{joe.address}/tasks/create"
    first = await joe.client.post(address, json=body, headers=headers)
    again = await joe.client.post(address, json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert (await joe.pending())["count"] == 1
    other = await joe.client.post(address, json={"data": {"comment": "other"}}, headers=headers)
    refused(other, 400)
