"""Files whose very bytes came before: let through, flagged, refused, or answered by the first."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from flows import verbs
from store.access import Caller
from store.database import database
from store.errors import DuplicateFileError
from store.models import File, Outbox, Project, Task, Team
from store.organizations import team_named
from store.settings import settings
from store.states import Actor, State
from tests.flow_driver import Driver
from tests.unit.flows.conftest import bytes_of

_ID, _OTHER_ID = uuid4(), uuid4()

SAME = b"%PDF-1.7 the same"


def project(duplicates: str, more: str = "") -> str:
    limits = f"limits: {{duplicates: {duplicates}}}"
    return f"name: mail\n{limits}\nfields: [{{name: number, labels: [Number]}}]\n{more}"


async def send(caller: Caller, content: bytes = SAME, **options: Any) -> Task:
    file = await verbs.store_bytes(caller, name="a.pdf", chunks=bytes_of(content))
    return await verbs.submit_process(caller, project="mail", file=file, **options)


async def count(kind: type[Any]) -> int:
    async with database().reading() as session:
        return (await session.execute(select(func.count()).select_from(kind))).scalar_one()


def blobs_on_disk() -> int:
    return sum(1 for path in (settings().home / "blobs").rglob("*") if path.is_file())


async def test_where_nothing_is_said_each_gets_a_task(alice: Caller) -> None:
    await verbs.install_project(alice, project("allow"))
    first, second = await send(alice), await send(alice)
    assert first.id != second.id
    assert second.duplicate_of is None


async def test_a_flagged_one_names_the_first(alice: Caller) -> None:
    await verbs.install_project(alice, project("flag"))
    first, other = await send(alice), await send(alice, b"%PDF-1.7 another")
    second, third = await send(alice), await send(alice)
    assert [one.duplicate_of for one in (first, other, second, third)] == [
        None,
        None,
        first.code,
        first.code,
    ]


async def test_a_second_one_is_refused_with_the_first_and_leaves_no_row(alice: Caller) -> None:
    await verbs.install_project(alice, project("reject"))
    first = await send(alice)
    with pytest.raises(DuplicateFileError) as caught:
        await send(alice)
    assert caught.value.details == {"task": first.public_id}
    assert (await count(Task), await count(File), await count(Outbox)) == (1, 1, 1)


async def test_a_second_one_is_the_first_and_its_bytes_are_not_kept(alice: Caller) -> None:
    await verbs.install_project(alice, project("first"))
    first = await send(alice, name="mine", metadata={"order": 1})
    again = await send(alice, name="other", metadata={"order": 2})
    assert (again.id, again.name, again.task_metadata) == (first.id, "mine", {"order": 1})
    assert (await count(Task), await count(File), await count(Outbox)) == (1, 1, 1)
    assert blobs_on_disk() == 1
    # One that was sent before stays: others may have it.
    file = await verbs.take_file(alice, name="b.pdf", chunks=bytes_of(SAME))
    named = await verbs.submit_process(alice, project="mail", file_id=file.id)
    assert (named.id, blobs_on_disk()) == (first.id, 2)


async def test_of_many_that_send_the_same_at_once_all_get_one_task(alice: Caller) -> None:
    await verbs.install_project(alice, project("first"))
    tasks = await asyncio.gather(*(send(alice) for _ in range(50)))
    assert len({task.id for task in tasks}) == 1
    assert (await count(Task), await count(File), blobs_on_disk()) == (1, 1, 1)


async def test_one_that_came_to_nothing_does_not_count(alice: Caller) -> None:
    await verbs.install_project(alice, project("reject"))
    first = await send(alice)
    await verbs.cancel(alice, first.public_id)
    assert (await send(alice)).duplicate_of is None


async def test_nobody_learns_what_others_have_sent(alice: Caller, bob: Caller) -> None:
    await verbs.install_project(alice, project("first"))
    mine = Caller(alice.organization_id, alice.actor, frozenset({"task.create"}), key_id=_ID)
    private = await send(mine, is_private=True)
    theirs = Caller(bob.organization_id, bob.actor, frozenset({"task.create"}), key_id=_OTHER_ID)
    assert (await send(theirs)).id != private.id
    assert (await send(mine)).id == private.id


async def test_another_project_and_another_organization_do_not_count(
    alice: Caller, stranger: Caller
) -> None:
    source = project("reject")
    for caller, text in ((alice, source), (stranger, source), (alice, source.replace("mail", "b"))):
        await verbs.install_project(caller, text)
    await send(alice)
    await send(stranger)
    file = await verbs.take_file(alice, name="b.pdf", chunks=bytes_of(SAME))
    await verbs.submit_process(alice, project="b", file_id=file.id)


async def test_for_clients_of_aluma_the_task_of_a_second_one_fails(
    alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    await verbs.install_project(alice, project("reject"))
    aluma = Caller(alice.organization_id, Actor("alice@example.com", "aluma"))
    first, second = await send(aluma), await send(aluma)
    done = await Driver(monkeypatch).process(second)
    assert (done.state, done.result["details"]) == (
        State.FAILED,
        {"code": "file_duplicate", "task": first.public_id},
    )


async def test_in_an_upload_each_file_has_a_task_that_names_the_first(
    alice: Caller, home: Path
) -> None:
    await verbs.install_project(alice, project("first"))
    first = await send(alice)
    team_id = await team_named(alice.organization_id, "claims")
    file = await verbs.store_bytes(alice, name="a.pdf", chunks=bytes_of(SAME))
    async with database().reading() as session:
        team = await session.get_one(Team, team_id)
        mail = (await session.execute(select(Project))).scalar_one()
    _, tasks = await verbs.submit_upload(alice, team=team, project=mail, files=[file])
    assert [one.duplicate_of for one in tasks] == [first.code]


async def of_upload(caller: Caller, *contents: bytes) -> list[File]:
    return [
        await verbs.store_bytes(caller, name="a.pdf", chunks=bytes_of(content))
        for content in contents
    ]


async def test_in_one_upload_the_first_of_equal_files_is_known_and_a_second_may_be_refused(
    alice: Caller,
) -> None:
    team_id = await team_named(alice.organization_id, "desk")
    await verbs.install_project(alice, project("flag"))
    async with database().reading() as session:
        team = await session.get_one(Team, team_id)
        mail = (await session.execute(select(Project))).scalar_one()
    _, tasks = await verbs.submit_upload(
        alice, team=team, project=mail, files=await of_upload(alice, SAME, b"%PDF-1.7 b", SAME)
    )
    assert [one.duplicate_of for one in tasks] == [None, None, tasks[0].code]
    rows = await count(Task)
    await verbs.install_project(alice, project("reject"))
    with pytest.raises(DuplicateFileError, match="Two of the files"):
        await verbs.submit_upload(
            alice, team=team, project=mail, files=await of_upload(alice, *[b"%PDF-1.7 c"] * 2)
        )
    assert await count(Task) == rows
    await verbs.install_project(alice, project("allow"))
    _, tasks = await verbs.submit_upload(
        alice, team=team, project=mail, files=await of_upload(alice, SAME, SAME)
    )
    assert [one.duplicate_of for one in tasks] == [None, None]
