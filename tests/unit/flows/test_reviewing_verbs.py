"""Leaving, judging, and what is remembered of each value."""

from datetime import timedelta
from pathlib import Path

import pytest

from flows import verbs
from flows.metrics import day_metrics, field_metrics, person_metrics, queue_metrics
from store.access import Caller
from store.database import database
from store.erasing import scrub_task
from store.errors import FieldsInvalidError, InputError
from store.finding import changes_of, find_task
from store.ids import now
from store.keys import create_key
from store.lifecycle import advance, amend
from store.models import Document, Page, Task
from store.states import Actor, Event

FLOW = Actor("flow", "system")
PROJECT = """\
name: letters
document_types:
  - name: letter
    keywords: [dear]
    fields:
      - {name: sender, labels: [From]}
      - {name: total, type: money, labels: [Total]}
  - name: note
    keywords: [note]
    fields: [{name: subject, labels: [Subject]}]
"""


@pytest.fixture
async def ana(home: Path) -> Caller:
    key = await create_key(["admin"], user="ana@example.org")
    caller = Caller(key.row.organization_id, Actor("ana@example.org", "pages"))
    await verbs.install_project(caller, PROJECT)
    return caller


@pytest.fixture
def ben(ana: Caller) -> Caller:
    return Caller(ana.organization_id, Actor("ben@example.org", "pages"))


async def in_review(caller: Caller, documents: int = 1) -> str:
    async def content():
        yield b"%PDF-1.7\n"

    file = await verbs.take_file(caller, name="a.pdf", chunks=content())
    task = await verbs.submit_process(caller, project="letters", file_id=file.id)
    async with database().writing() as session:
        task = await session.get_one(Task, task.id)
        task = await advance(session, task, Event.START, FLOW)
        for number in range(1, documents + 1):
            session.add(
                Page(
                    task_id=task.id,
                    number=number,
                    width_pixels=1,
                    height_pixels=1,
                    method="ocr",
                    confidence=1.0,
                    image_blob="",
                    words_blob="",
                )
            )
            fields = {
                name: {"name": name, "label": name, "type": kind, "value": value, "text": value}
                for name, kind, value in (("sender", "text", "Ada"), ("total", "money", "1.00"))
            }
            session.add(
                Document(
                    task_id=task.id,
                    number=number,
                    document_type="letter",
                    page_numbers=[number],
                    fields=fields,
                )
            )
        await advance(session, task, Event.ASK, FLOW, review_round=1, review_step="extract")
    return task.public_id


async def task_of(caller: Caller, public_id: str) -> Task:
    async with database().reading() as session:
        return await find_task(session, caller, public_id)


async def told(caller: Caller, public_id: str) -> list[tuple[int, str, str, str, str]]:
    async with database().reading() as session:
        task = await find_task(session, caller, public_id)
        changes = await changes_of(session, task)
    return [(c.document_number, c.name, c.before, c.after, c.actor) for c in reversed(changes)]


async def test_who_leaves_holds_the_task_on_for_moments_only(ana: Caller, ben: Caller) -> None:
    task_id = await in_review(ana)
    await verbs.claim(ana, task_id)
    task = await verbs.leave(ana, task_id)
    assert verbs.holder(task) == ana.actor.name
    assert verbs.holder(task, at=now() + verbs.LEFT_FOR + timedelta(seconds=1)) is None
    assert (await verbs.leave(ana, task_id)).version == task.version
    # To come back is to claim again.
    back = await verbs.claim(ana, task_id)
    assert back.claimed_until is not None
    assert back.claimed_until > now() + timedelta(minutes=29)
    # What one does not hold, and what was handed over, stays as it is.
    assert (await verbs.leave(ben, task_id)).version == back.version
    await create_key(["admin"], user=ben.actor.name)
    given = await verbs.assign(ana, task_id, ben.actor.name)
    assert (await verbs.leave(ben, task_id)).claimed_until == given.claimed_until


async def test_every_value_tells_who_made_it_of_what(ana: Caller, ben: Caller) -> None:
    task_id = await in_review(ana, documents=2)
    await verbs.save(ana, task_id, {"sender": "Bob", "total": "1.00"})
    await verbs.save(ana, task_id, documents={2: {"total": "7"}})
    await verbs.save(ben, task_id, {"sender": ""})
    expected = [
        (1, "sender", "Ada", "Bob", ana.actor.name),
        (2, "total", "1.00", "7.00", ana.actor.name),
        (1, "sender", "Bob", "", ben.actor.name),
    ]
    assert await told(ana, task_id) == expected
    # A document that is kept keeps what became of its values, under its new number.
    kept = verbs.Arranged([2], "letter")
    await verbs.arrange(ana, task_id, [kept, verbs.Arranged([1], "note")])
    assert await told(ana, task_id) == [(1, "total", "1.00", "7.00", ana.actor.name)]


async def test_with_its_content_the_history_of_values_goes(ana: Caller) -> None:
    task_id = await in_review(ana)
    await verbs.save(ana, task_id, {"sender": "Somebody else"})
    await verbs.discard(ana, task_id)
    async with database().writing() as session:
        await scrub_task(session, await find_task(session, ana, task_id))
    assert await told(ana, task_id) == []


async def decided(ana: Caller, by: Caller) -> str:
    task_id = await in_review(ana)
    await verbs.complete(by, task_id)
    async with database().writing() as session:
        await advance(session, await find_task(session, ana, task_id), Event.FINISH, FLOW)
    return task_id


async def test_audits_tell_how_right_people_fields_and_projects_are(
    ana: Caller, ben: Caller
) -> None:
    by_ana, by_ben = [await decided(ana, ana) for _ in range(2)], await decided(ana, ben)
    await verbs.audit(ben, by_ana[0], is_correct=True)
    await verbs.audit(ben, by_ana[1], is_correct=False, wrong_fields=["total"])
    await verbs.audit(ana, by_ben, is_correct=False)
    waiting = await in_review(ana)
    async with database().writing() as session:
        task = await find_task(session, ana, waiting)
        since = now() - timedelta(hours=3)
        await amend(session, task, "task.saved", FLOW, review_since=since)
    span = (ana, now() - timedelta(days=1))
    (queue,) = await queue_metrics(*span)
    assert (queue.audited, queue.straight_through, queue.waiting) == (3, 0.0, 1)
    assert queue.accuracy == pytest.approx(1 / 3)
    assert queue.waiting_since == since
    people = {one.actor: (one.decided, one.accuracy) for one in await person_metrics(*span)}
    assert people == {ana.actor.name: (2, 0.5), ben.actor.name: (1, 0.0)}
    # Of the third nobody said which field is wrong: it counts for none.
    fields = {one.field: (one.audited, one.accuracy) for one in await field_metrics(*span)}
    assert fields["total"] == (2, 0.5)
    assert fields["sender"] == (2, 1.0)
    (day,) = day_metrics([queue])
    assert (day.day, day.ended, day.straight_through) == (now().date(), 3, 0)
    # They are counted alike where their day is part of the span as a whole, and where it is not.
    midnight = now().replace(hour=0, minute=0, second=0, microsecond=0)
    for one in (person_metrics, field_metrics, queue_metrics):
        whole = await one(ana, midnight)
        assert whole == await one(ana, midnight + timedelta(microseconds=1)) == await one(*span)


async def test_a_verdict_names_fields_of_the_task_and_only_of_wrong_ones(ana: Caller) -> None:
    task_id = await decided(ana, ana)
    with pytest.raises(InputError, match="Only of a wrong decision"):
        await verbs.audit(ana, task_id, is_correct=True, wrong_fields=["total"])
    with pytest.raises(FieldsInvalidError):
        await verbs.audit(ana, task_id, is_correct=False, wrong_fields=["nothing"])
    task = await verbs.audit(ana, task_id, is_correct=False, wrong_fields=["total", "total"])
    assert task.wrong_fields == ["total"]
    assert (await verbs.audit(ana, task_id, is_correct=None)).wrong_fields is None
