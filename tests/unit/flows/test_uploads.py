"""Files that are sent together: how far they are as a whole, who is told, and what is left."""

import json
from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlmodel import col

from api.vocabulary import VOCABULARY, Standing
from flows import erase, verbs
from flows.wordings import body_for
from store.access import Caller, visible
from store.activity import record
from store.database import database
from store.erasing import forget_task, scrub_task
from store.errors import (
    ConflictError,
    FileTooLargeError,
    IllegalTransitionError,
    InputError,
    LimitExceededError,
    NotFoundError,
)
from store.finding import find_project
from store.lifecycle import advance
from store.models import Activity, Delivery, File, Folder, Project, Task, Team, Upload
from store.organizations import team_named
from store.settings import settings
from store.states import Actor, Event, State
from store.uploads import Part, UploadStatus, find_folder, find_upload, part_of, status_of, tasks_of
from tests.receiver import answer, receiving
from tests.unit.flows.conftest import PROJECT, bytes_of

FLOW = Actor("flow", "system")
META = [{"name": "order", "value": "4711"}]


@pytest.fixture
async def project(alice: Caller) -> Project:
    return (await verbs.install_project(alice, PROJECT))[0]


@pytest.fixture
async def team(alice: Caller) -> Team:
    async with database().reading() as session:
        return await session.get_one(Team, await team_named(alice.organization_id, "claims"))


async def stored(caller: Caller, *names: str, **members: Any) -> list[File]:
    files = [
        await verbs.store_bytes(caller, name=name, chunks=bytes_of(b"%PDF-1.7 made up"))
        for name in names
    ]
    for file in files:
        for member, value in members.items():
            setattr(file, member, value)
    return files


async def send(
    caller: Caller, team: Team, project: Project, *names: str, **more: Any
) -> tuple[Upload, Sequence[Task]]:
    files = await stored(caller, *names)
    return await verbs.submit_upload(caller, team=team, project=project, files=files, **more)


async def happen(task: Task, *events: Event, **changes: Any) -> Task:
    for event in events:
        async with database().writing() as session:
            task = await session.get_one(Task, task.id)
            task = await advance(session, task, event, FLOW, **changes)
    return task


async def fresh(upload: Upload) -> Upload:
    async with database().reading() as session:
        return await session.get_one(Upload, upload.id)


async def told_of(upload: Upload) -> list[tuple[str, Any]]:
    async with database().reading() as session:
        query = select(Activity).where(
            col(Activity.subject) == upload.public_id, col(Activity.type) != "upload.created"
        )
        rows = (await session.execute(query.order_by(col(Activity.number)))).scalars()
        return [(row.type, row.data.get("status")) for row in rows]


# How far


def part_in(state: State) -> Part:
    return part_of(Task(state=state, operation="process", organization_id=uuid4()))


def test_what_a_task_adds_follows_the_word_that_the_surface_has_for_it():
    said = {"PROCESSING": Part.WORKED_ON, "REVIEWING": Part.WAITING, "FAILED": Part.FAILED}
    for state in State:
        standing = Standing.WAITING if state is State.IN_REVIEW else Standing(state.value)
        assert part_in(state) is said.get(VOCABULARY[standing].send_ai, Part.DONE)


def test_the_status_is_that_of_all_tasks_taken_together():
    for states in combinations_with_replacement(State, 3):
        status = status_of([part_in(one) for one in states])
        failed = [one in {State.FAILED, State.TIMED_OUT} for one in states]
        if {State.QUEUED, State.RUNNING} & set(states):
            assert status is UploadStatus.PROCESSING
        elif State.IN_REVIEW in states:
            assert status is UploadStatus.IN_REVIEW
        elif all(failed):
            assert status is UploadStatus.FAILED
        else:
            assert status is (UploadStatus.PARTIAL if any(failed) else UploadStatus.COMPLETED)


async def test_a_task_for_each_file_all_with_what_was_sent_beside_them(
    alice: Caller, team: Team, project: Project
):
    upload, tasks = await send(alice, team, project, "a.pdf", "b.pdf", meta=META)
    assert [task.name for task in tasks] == ["a.pdf", "b.pdf"]
    assert [task.task_metadata for task in tasks] == [{"order": "4711"}] * 2
    async with database().reading() as session:
        found = await find_upload(session, alice, project, upload.public_id)
        assert [one.id for one in (await tasks_of(session, alice, [found]))[found.id]] == [
            one.id for one in tasks
        ]
    assert (found.meta, found.folder, found.team_id) == (META, "inbox", team.id)


async def test_it_is_told_once_when_an_upload_waits_and_once_when_it_is_processed(
    alice: Caller, team: Team, project: Project
):
    upload, (one, two) = await send(alice, team, project, "a.pdf", "b.pdf")
    await happen(one, Event.START, Event.ASK)
    assert await told_of(upload) == []
    await happen(two, Event.START, Event.FAIL)
    assert await told_of(upload) == [("upload.in_review", "in_review")]
    assert (await fresh(upload)).folder == "inbox"
    await verbs.discard(alice, one.public_id)
    assert (await told_of(upload))[1:] == [("upload.processed", "partial")]
    assert (await fresh(upload)).folder == "processed"
    await verbs.unlock(alice, one.public_id)
    assert (await told_of(upload))[2:] == [("upload.in_review", "in_review")]
    assert (await fresh(upload)).folder == "inbox"


async def test_a_task_that_is_fetched_does_not_process_its_upload_twice(
    alice: Caller, team: Team, project: Project
):
    upload, (task,) = await send(alice, team, project, "a.pdf")
    await happen(task, Event.START)
    await happen(task, Event.OFFER_EXPORT, export_round=1)
    await verbs.start_export(alice, task.public_id)
    await verbs.complete_export(alice, task.public_id)
    await happen(task, Event.FINISH)
    assert await told_of(upload) == [("upload.processed", "completed")]


async def test_webhooks_are_sent_the_upload_as_it_is_in_the_words_of_send_ai(
    alice: Caller, team: Team, project: Project
):
    upload, (task, _) = await send(alice, team, project, "a.pdf", "b.pdf", meta=META)
    async with database().writing() as session:
        happened = record(
            *(session, "upload.processed", FLOW),
            task=task,
            subject=upload.public_id,
            data={"status": "completed"},
        )
    async with database().reading() as session:
        body = json.loads(await body_for(session, None, happened, None))
    files = body["upload"].pop("files")
    assert sorted(files.values()) == ["a.pdf", "b.pdf"]
    assert body.pop("timestamp").endswith("Z")
    assert body == {
        "id": f"evt_{happened.code}",
        "type": "upload.processed",
        "data": {"id": upload.public_id, "status": "completed"},
        "event": "PROCESSED",
        "event_level": "UPLOAD",
        "team_id": str(team.id),
        "project_id": str(project.id),
        "upload": {
            "id": upload.public_id,
            "name": "a.pdf",
            "status": "COMPLETED",
            "meta": META,
            "folder_id": "folder_inbox",
            "created_at": upload.created_at.isoformat().replace("+00:00", "Z"),
        },
        "task": None,
    }
    await erase.delete_upload(alice, project, upload.public_id)
    async with database().reading() as session:
        body = json.loads(await body_for(session, None, happened, None))
    assert body["upload"] == {"id": upload.public_id, "status": "COMPLETED"}


# What is refused


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"size_bytes": 40 * 2**20 + 1}, FileTooLargeError),
        ({"size_bytes": 20 * 2**20 + 1}, FileTooLargeError),
        ({"size_bytes": 20 * 2**20 + 1, "properties": {"page_count": 2}}, None),
        ({"size_bytes": 40 * 2**20, "properties": {"page_count": 1}}, FileTooLargeError),
    ],
)
async def test_a_file_or_a_page_that_is_too_large_is_named(
    members: dict[str, Any],
    error: type[Exception] | None,
    alice: Caller,
    team: Team,
    project: Project,
):
    files = await stored(alice, "small.pdf") + await stored(alice, "large.pdf", **members)
    if error is None:
        await verbs.submit_upload(alice, team=team, project=project, files=files)
        return
    with pytest.raises(error, match=r"^large\.pdf: "):
        await verbs.submit_upload(alice, team=team, project=project, files=files)
    async with database().reading() as session:
        assert (await session.execute(visible(Upload, alice))).first() is None
        assert (await session.execute(visible(Task, alice))).first() is None


async def test_an_upload_has_one_file_to_a_hundred(alice: Caller, team: Team, project: Project):
    with pytest.raises(InputError):
        await verbs.submit_upload(alice, team=team, project=project, files=[])
    (file,) = await stored(alice, "page.pdf")
    with pytest.raises(LimitExceededError, match=r"page\.pdf"):
        await verbs.submit_upload(alice, team=team, project=project, files=[file] * 101)


# Folders


async def test_an_upload_stays_where_it_was_put(alice: Caller, team: Team, project: Project):
    upload, (task,) = await send(alice, team, project, "a.pdf")
    folder = await verbs.create_folder(alice, project, "Mine")
    await verbs.move_upload(alice, project, upload.public_id, f"folder_{folder.code}")
    await verbs.report(alice, task.public_id, [])
    await happen(task, Event.START, Event.FINISH)
    assert (await fresh(upload)).folder == folder.code
    await verbs.delete_folder(alice, project, f"folder_{folder.code}")
    assert (await fresh(upload)).folder == "inbox"
    with pytest.raises(NotFoundError):
        await verbs.move_upload(alice, project, upload.public_id, f"folder_{folder.code}")


async def test_an_upload_with_a_report_is_where_people_look_for_such(
    alice: Caller, team: Team, project: Project
):
    upload, (task,) = await send(alice, team, project, "a.pdf")
    await verbs.report(alice, task.public_id, [])
    assert (await fresh(upload)).folder == "reported"
    await happen(task, Event.START, Event.FINISH)
    assert (await fresh(upload)).folder == "reported"


async def test_folders_have_names_of_their_own_and_those_of_every_project_stay(
    alice: Caller, project: Project, stranger: Caller
):
    await verbs.create_folder(alice, project, "Mine")
    for name in ("mine", "inbox", "Bin"):
        with pytest.raises(ConflictError):
            await verbs.create_folder(alice, project, name)
    for name in ("", " ", "x" * 101):
        with pytest.raises(InputError):
            await verbs.create_folder(alice, project, name)
    with pytest.raises(ConflictError):
        await verbs.delete_folder(alice, project, "folder_bin")
    async with database().reading() as session:
        assert await find_folder(session, stranger, project, "folder_bin") == "bin"
        assert (await session.execute(visible(Folder, stranger))).first() is None
        for wrong in ("bin", "folder_nothing", ""):
            with pytest.raises(NotFoundError):
                await find_folder(session, alice, project, wrong)


# Unlocking


async def test_a_task_is_unlocked_until_all_of_its_upload_is_processed(
    alice: Caller, team: Team, project: Project
):
    _, (one, two) = await send(alice, team, project, "a.pdf", "b.pdf")
    await happen(one, Event.START)
    with pytest.raises(IllegalTransitionError, match="is running"):
        await verbs.unlock_in_upload(alice, one.public_id)
    await happen(one, Event.FINISH)
    assert (await verbs.unlock_in_upload(alice, one.public_id)).state is State.IN_REVIEW
    await verbs.discard(alice, one.public_id)
    await happen(two, Event.START, Event.FILTER)
    for task in (one, two):
        with pytest.raises(IllegalTransitionError, match="upload of the task is fully processed"):
            await verbs.unlock_in_upload(alice, task.public_id)


async def test_a_task_that_was_exported_is_not_unlocked(
    alice: Caller, team: Team, project: Project
):
    _, (one, _) = await send(alice, team, project, "a.pdf", "b.pdf")
    await happen(one, Event.START)
    await happen(one, Event.FINISH, exported_at=one.created_at)
    with pytest.raises(IllegalTransitionError, match="was exported"):
        await verbs.unlock_in_upload(alice, one.public_id)


async def test_a_task_that_came_alone_has_no_upload_to_wait_for(alice: Caller, queued: Task):
    await happen(queued, Event.START, Event.FINISH)
    assert (await verbs.unlock_in_upload(alice, queued.public_id)).state is State.IN_REVIEW


# The hook of the project


async def hooked(alice: Caller, url: str) -> Task:
    await verbs.install_project(alice, f"{PROJECT}report_hook: {url}\n")
    file = await verbs.take_file(alice, name="a.pdf", chunks=bytes_of(b"%PDF-1.7 made up"))
    return await verbs.submit_process(alice, project="invoices", file_id=file.id)


async def activities(task: Task) -> list[str]:
    async with database().reading() as session:
        query = select(col(Activity.type)).where(col(Activity.task_id) == task.id)
        return list((await session.execute(query.order_by(col(Activity.number)))).scalars())


async def test_a_report_goes_to_the_hook_of_the_project(
    alice: Caller, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PAPERTRAY_ALLOWED_NETWORKS", "127.0.0.1/32")
    settings.cache_clear()
    async with receiving() as hook:
        task = await hooked(alice, hook.url())
        reported = await verbs.report(alice, task.public_id, [{"label": "Blurry"}], "unreadable")
        (heard,) = hook.heard
    assert reported.hook_error == ""
    assert (heard.event["type"], heard.id) == ("task.reported", heard.event["id"])
    assert heard.event["data"] == {
        "id": task.public_id,
        "project": "invoices",
        "state": "queued",
        "issues": [{"label": "Blurry"}],
        "message": "unreadable",
    }
    assert (await activities(task))[-1] == "task.reported"


async def test_a_report_is_kept_when_the_hook_fails(alice: Caller, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PAPERTRAY_ALLOWED_NETWORKS", "127.0.0.1/32")
    settings.cache_clear()
    async with receiving(lambda _: answer(500)) as hook:
        task = await hooked(alice, hook.url())
        reported = await verbs.report(alice, task.public_id, [])
    assert reported.hook_error == "The receiver answered 500."
    assert (await activities(task))[-2:] == ["task.reported", "task.report_not_told"]
    gone = await verbs.report(alice, task.public_id, [])  # nobody listens there any more
    assert gone.hook_error.startswith("The connection failed")


async def test_a_hook_inside_is_not_dialled(alice: Caller, monkeypatch: pytest.MonkeyPatch):
    async with receiving() as hook:
        monkeypatch.setenv("PAPERTRAY_ALLOWED_NETWORKS", "127.0.0.1/32")
        settings.cache_clear()
        task = await hooked(alice, hook.url())
        monkeypatch.delenv("PAPERTRAY_ALLOWED_NETWORKS")
        settings.cache_clear()
        reported = await verbs.report(alice, task.public_id, [])
        assert "not public" in reported.hook_error
        assert not hook.heard


# What is left


async def test_an_upload_goes_with_its_tasks_and_nobody_is_told_that_it_is_processed(
    alice: Caller, team: Team, project: Project
):
    upload, tasks = await send(alice, team, project, "a.pdf", "b.pdf")
    await erase.delete_upload(alice, project, upload.public_id)
    async with database().reading() as session:
        with pytest.raises(NotFoundError):
            await find_upload(session, alice, project, upload.public_id)
        assert (await session.execute(visible(Task, alice))).first() is None
        assert (await session.execute(select(Delivery))).first() is None
    assert await told_of(upload) == []
    for task in tasks:
        assert (await activities(task))[-2:] == ["task.canceled", "task.deleted"]


async def test_what_an_upload_is_called_goes_with_the_content_of_its_last_task(
    alice: Caller, team: Team, project: Project
):
    upload, tasks = await send(alice, team, project, "a.pdf", "b.pdf", name="secret", meta=META)
    for number, task in enumerate(tasks, 1):
        task = await happen(task, Event.START, Event.FINISH)
        async with database().writing() as session:
            await scrub_task(session, await session.get_one(Task, task.id))
        is_last = number == len(tasks)
        left = await fresh(upload)
        assert (left.name, left.meta) == (("", []) if is_last else ("secret", META))
    for number, task in enumerate(tasks, 1):
        async with database().writing() as session:
            await forget_task(session, await session.get_one(Task, task.id))
        async with database().reading() as session:
            assert (await session.get(Upload, upload.id) is None) == (number == len(tasks))


async def test_nobody_else_sees_an_upload(
    alice: Caller, stranger: Caller, team: Team, project: Project
):
    upload, _ = await send(alice, team, project, "a.pdf")
    async with database().reading() as session:
        _, version = await find_project(session, alice, project.name)
        assert version.number == 1
        with pytest.raises(NotFoundError):
            await find_upload(session, stranger, project, upload.public_id)
