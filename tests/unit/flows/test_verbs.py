import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from flows import verbs
from store.access import Caller
from store.blobs import blobs
from store.database import database
from store.errors import (
    AlreadyClaimedError,
    AlreadyDecidedError,
    ConflictError,
    FieldsInvalidError,
    IllegalTransitionError,
    NotClaimedError,
    NotFoundError,
    PapertrayError,
    ProjectFileError,
)
from store.finding import documents_of, field_values, find_project, project_file_of
from store.ids import now
from store.lifecycle import LIFECYCLE
from store.models import Activity, File, Outbox, OutboxKind, Task
from store.states import Event, State
from tests.unit.flows.conftest import PROJECT, Verb, bytes_of, make_wait

RIGHT = {"total": "10.00"}
DECIDING: dict[str, Verb] = {
    "complete": lambda who, task: verbs.complete(who, task, RIGHT),
    "discard": verbs.discard,
    "cancel": verbs.cancel,
}


async def outbox() -> list[tuple[str, dict[str, object]]]:
    async with database().reading() as session:
        rows = (await session.execute(select(Outbox).order_by(col(Outbox.id)))).scalars()
        return [(row.kind, row.payload) for row in rows]


async def activities(task: Task) -> list[str]:
    async with database().reading() as session:
        query = select(Activity).where(col(Activity.task_id) == task.id)
        rows = (await session.execute(query.order_by(col(Activity.number)))).scalars()
        return [row.type for row in rows]


async def fresh(task: Task) -> Task:
    async with database().reading() as session:
        return await session.get_one(Task, task.id)


async def put_into(task: Task, state: State) -> Task:
    async with database().writing() as session:
        return (
            await session.execute(
                update(Task).where(col(Task.id) == task.id).values(state=state).returning(Task)
            )
        ).scalar_one()


async def test_a_task_is_taken_in_with_its_file_its_activity_and_its_call(queued: Task) -> None:
    assert queued.state is State.QUEUED
    assert await outbox() == [(OutboxKind.SUBMIT, {})]
    assert await activities(queued) == ["task.created"]
    assert queued.deadline_at is not None
    assert queued.deadline_at - queued.created_at > timedelta(days=29)


async def test_what_is_not_there_cannot_be_submitted(alice: Caller, file: File) -> None:
    with pytest.raises(NotFoundError, match="no project named 'nothing'"):
        await verbs.submit_process(alice, project="nothing", file_id=file.id)
    await verbs.install_project(alice, PROJECT)
    with pytest.raises(NotFoundError, match="no file"):
        await verbs.submit_process(alice, project="invoices", file_id="file_nothing")
    assert await outbox() == []


async def test_another_organization_finds_nothing(
    stranger: Caller, waiting: Task, file: File
) -> None:
    for verb in (verbs.claim, verbs.release, verbs.unlock, verbs.retry, *DECIDING.values()):
        with pytest.raises(NotFoundError):
            await verb(stranger, waiting.public_id)
    with pytest.raises(NotFoundError):
        await verbs.delete_file(stranger, file.id)
    assert await verbs.next_task(stranger) is None


async def test_a_claim_keeps_others_out_until_it_is_released(
    alice: Caller, bob: Caller, waiting: Task
) -> None:
    held = await verbs.claim(alice, waiting.public_id)
    assert verbs.holder(held) == "alice@example.com"
    for verb in (verbs.claim, DECIDING["complete"], verbs.discard):
        with pytest.raises(AlreadyClaimedError):
            await verb(bob, waiting.public_id)
    with pytest.raises(NotClaimedError):
        await verbs.release(bob, waiting.public_id)
    await verbs.release(alice, waiting.public_id)
    assert verbs.holder(await verbs.claim(bob, waiting.public_id)) == "bob@example.com"


async def test_a_lease_that_ran_out_holds_nobody_back(
    alice: Caller, bob: Caller, waiting: Task
) -> None:
    await verbs.claim(alice, waiting.public_id)
    async with database().writing() as session:
        await session.execute(update(Task).values(claimed_until=now() - timedelta(seconds=1)))
    assert verbs.holder(await verbs.claim(bob, waiting.public_id)) == "bob@example.com"


async def test_the_next_task_is_the_oldest_that_nobody_holds(
    alice: Caller, bob: Caller, file: File, waiting: Task
) -> None:
    younger = await verbs.submit_process(alice, project="invoices", file_id=file.id)
    await make_wait(younger)
    first, second = await verbs.next_task(alice), await verbs.next_task(bob)
    assert first is not None
    assert second is not None
    assert (first.id, second.id) == (waiting.id, younger.id)
    assert await verbs.next_task(alice) is None


async def test_clients_that_race_for_the_next_task_get_different_ones(
    alice: Caller, file: File, waiting: Task
) -> None:
    for _ in range(3):
        await make_wait(await verbs.submit_process(alice, project="invoices", file_id=file.id))
    got = await asyncio.gather(*(verbs.next_task(alice) for _ in range(8)))
    ids = [task.id for task in got if task]
    assert len(ids) == len(set(ids)) == 4


async def test_complete_needs_valid_data_and_changes_nothing_without(
    alice: Caller, waiting: Task
) -> None:
    with pytest.raises(FieldsInvalidError) as caught:
        await verbs.complete(alice, waiting.public_id)
    assert set(caught.value.details["fields"]) == {"total"}
    with pytest.raises(FieldsInvalidError) as caught:
        await verbs.complete(alice, waiting.public_id, {"total": "11.00"})
    assert set(caught.value.details["fields"]) == {"total"}
    with pytest.raises(FieldsInvalidError, match="not valid") as caught:
        await verbs.complete(alice, waiting.public_id, {"colour": "red"})
    assert set(caught.value.details["fields"]) == {"colour"}
    task = await fresh(waiting)
    assert (task.state, task.version) == (State.IN_REVIEW, waiting.version)
    assert [kind for kind, _ in await outbox()] == [OutboxKind.SUBMIT]


async def test_complete_keeps_the_decision_and_wakes_the_run(alice: Caller, waiting: Task) -> None:
    done = await verbs.complete(alice, waiting.public_id, RIGHT, note="checked")
    assert done.state is State.RUNNING
    assert done.decision == {
        "round": 1,
        "decision": "complete",
        "actor": "alice@example.com",
        "note": "checked",
    }
    assert (await outbox())[-1] == (OutboxKind.RESUME, {"key": "review-1", "decision": "complete"})
    async with database().reading() as session:
        document = (await documents_of(session, done))[0]
    total = field_values(document)["total"]
    assert (total.value, total.method, total.confidence) == ("10.00", "person", 1.0)


async def test_save_keeps_what_is_not_valid_yet(alice: Caller, waiting: Task) -> None:
    await verbs.save(alice, waiting.public_id, {"total": "eleven"})
    async with database().reading() as session:
        document = (await documents_of(session, waiting))[0]
    total = field_values(document)["total"]
    assert (total.text, total.valid) == ("eleven", False)
    assert total.message
    assert (await activities(waiting))[-1] == "task.saved"


@pytest.mark.parametrize("first", DECIDING)
@pytest.mark.parametrize("second", DECIDING)
async def test_a_second_decision_is_told_that_it_is_late(
    alice: Caller, bob: Caller, waiting: Task, first: str, second: str
) -> None:
    await DECIDING[first](alice, waiting.public_id)
    if (first, second) == ("complete", "cancel"):
        # The task runs again, and what runs can be cancelled.
        assert (await DECIDING[second](bob, waiting.public_id)).state is State.CANCELED
        return
    with pytest.raises(ConflictError) as caught:
        await DECIDING[second](bob, waiting.public_id)
    if first != "cancel" and second != "cancel":
        assert isinstance(caught.value, AlreadyDecidedError)


async def test_of_many_that_decide_at_once_one_wins(
    alice: Caller, bob: Caller, waiting: Task
) -> None:
    results = await asyncio.gather(
        *(
            DECIDING[("complete", "discard")[n % 2]]((alice, bob)[n % 2], waiting.public_id)
            for n in range(16)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(result, Task) for result in results) == 1
    assert sum(isinstance(result, ConflictError) for result in results) == 15
    assert len([kind for kind, _ in await outbox() if kind == OutboxKind.RESUME]) == 1


async def test_a_canceled_task_has_its_run_cancelled_and_can_be_tried_again(
    alice: Caller, queued: Task
) -> None:
    canceled = await verbs.cancel(alice, queued.public_id, reason="sent by mistake")
    assert canceled.finished_at is not None
    assert [kind for kind, _ in await outbox()] == [OutboxKind.SUBMIT, OutboxKind.CANCEL]
    again = await verbs.retry(alice, queued.public_id)
    assert (again.state, again.attempt, again.finished_at) == (State.QUEUED, 2, None)
    assert (await outbox())[-1][0] == OutboxKind.SUBMIT  # it never had a run
    assert await activities(queued) == ["task.created", "task.canceled", "task.retried"]


async def test_a_discarded_task_can_be_opened_again(alice: Caller, waiting: Task) -> None:
    await verbs.discard(alice, waiting.public_id, "not ours")
    opened = await verbs.unlock(alice, waiting.public_id)
    assert (opened.state, opened.review_round) == (State.IN_REVIEW, 2)
    assert (await outbox())[-1][0] == OutboxKind.RESCHEDULE
    done = await verbs.complete(alice, waiting.public_id, RIGHT)
    assert done.state is State.RUNNING


async def test_a_report_leaves_the_task_where_it_is(alice: Caller, waiting: Task) -> None:
    told = await verbs.report(alice, waiting.public_id, [{"label": "quality", "value": "low"}])
    assert told.task.state is State.IN_REVIEW
    assert (await activities(waiting))[-1] == "task.reported"


NEEDS: dict[str, tuple[Verb, Event]] = {
    "complete": (DECIDING["complete"], Event.ANSWER),
    "discard": (verbs.discard, Event.DISCARD),
    "cancel": (verbs.cancel, Event.CANCEL),
    "unlock": (verbs.unlock, Event.UNLOCK),
    "retry": (verbs.retry, Event.RETRY),
}


@pytest.mark.parametrize("verb", NEEDS)
@pytest.mark.parametrize("state", State)
async def test_a_verb_works_where_the_table_says_and_nowhere_else(
    alice: Caller, waiting: Task, verb: str, state: State
) -> None:
    call, event = NEEDS[verb]
    await put_into(waiting, state)
    before = await activities(waiting)
    if (state, event) in LIFECYCLE:
        changed = await call(alice, waiting.public_id)
        assert changed.state is LIFECYCLE[state, event]
        assert len(await activities(waiting)) == len(before) + 1
    else:
        with pytest.raises(IllegalTransitionError):
            await call(alice, waiting.public_id)
        assert (await fresh(waiting)).state is state
        assert await activities(waiting) == before


async def test_a_file_is_forgotten_with_its_bytes_when_no_task_needs_it(
    alice: Caller, file: File, queued: Task
) -> None:
    with pytest.raises(ConflictError, match="has not ended"):
        await verbs.delete_file(alice, file.id)
    await verbs.cancel(alice, queued.public_id)
    await verbs.delete_file(alice, file.id)
    with pytest.raises(NotFoundError):
        await blobs().read(file.blob)


async def test_changing_a_project_changes_no_task_under_way(alice: Caller, queued: Task) -> None:
    _, first = await verbs.install_project(alice, PROJECT)
    project, second = await verbs.install_project(alice, PROJECT + "title: Bills\n")
    assert (first.number, second.number) == (1, 2)
    assert project.current_version_id == second.id
    assert queued.project_version_id == first.id
    async with database().reading() as session:
        assert (await project_file_of(session, queued)).title == ""


async def test_a_wrong_project_file_makes_no_project(alice: Caller) -> None:
    with pytest.raises(ProjectFileError):
        await verbs.install_project(alice, "name: x")
    async with database().reading() as session:
        with pytest.raises(NotFoundError):
            await find_project(session, alice, "x")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\inbox\\a.pdf", "a.pdf"),
        ("a\x00b\n.pdf", "ab.pdf"),
        ("\u202egnp.exe", "gnp.exe"),
        ("", "file"),
        ("x" * 4096, "x" * 255),
    ],
)
async def test_a_file_name_is_made_harmless(alice: Caller, given: str, kept: str) -> None:
    file = await verbs.take_file(alice, name=given, chunks=bytes_of(b"%PDF-1.7"))
    assert file.name == kept


async def test_an_unknown_operation_is_not_found(alice: Caller) -> None:
    with pytest.raises(PapertrayError, match="no operation"):
        await verbs.submit_operation(alice, operation="fly", kind="pdf", parameters={})
