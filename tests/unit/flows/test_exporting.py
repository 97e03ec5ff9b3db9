"""What a task leaves with: what it is called, where it gets to, and that it is there once."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from flows import exporting, verbs
from flows.delivering import MOST_NUMBERS, deliver
from flows.form import Decision, PickupDecision
from store.access import Caller
from store.database import database
from store.erasing import scrub_task
from store.errors import IllegalTransitionError, ProjectFileError
from store.models import Activity, ExportedFile, File, Task
from store.settings import settings
from store.states import State
from tests.flow_driver import Driver
from tests.mail import COMPLAINT, INVOICE, stack
from tests.unit.flows.conftest import bytes_of

DATA = """\
name: orders
blocks: [{name: number, type: text}, {name: note, type: text}]
review: never
"""


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    return Driver(monkeypatch)


async def taken(caller: Caller, export: str, number: str = "A/1", more: str = "") -> Task:
    """A task of data, queued."""
    row, _ = await verbs.install_project(caller, f"{DATA}export: {export}\n{more}")
    return await verbs.submit_process(caller, project=row.name, data={"number": number})


def exports() -> dict[str, str]:
    """What is in the folder for exports: name -> content."""
    base = settings().effective_export_urls[0].replace("{organization}", "acme")
    folder = Path(base.removeprefix("file://"))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


async def again(task: Task) -> Task:
    async with database().reading() as session:
        return await session.get_one(Task, task.id)


async def events(task: Task) -> list[str]:
    async with database().reading() as session:
        query = select(col(Activity.type)).where(col(Activity.task_id) == task.id)
        return list((await session.execute(query.order_by(col(Activity.number)))).scalars())


class KilledError(BaseException):
    """The process ends here."""


# Names and places


async def test_documents_leave_under_names_made_of_their_values(
    alice: Caller, driver: Driver, home: Path
) -> None:
    project = """\
name: letters
read: {mode: skip}
segment: {by: page_count, page_count: 1}
document_types:
  - name: invoice
    keywords: {invoice: 2, total due: 1}
    fields: [{name: total, type: money, labels: [Total due]}]
  - name: complaint
    keywords: {complaint: 2, refund: 1}
    fields: [{name: customer, labels: [Customer No]}]
export: {formats: [json, pdf], name: "{document_type} {total} of {input}", to: letters}
"""
    await verbs.install_project(alice, project)
    chunks = bytes_of(stack(INVOICE, COMPLAINT, INVOICE))
    file = await verbs.take_file(alice, name="mail: may.pdf", chunks=chunks)
    task = await verbs.submit_process(alice, project="letters", file_id=file.id)
    task = await driver.process(task)
    assert (task.state, task.result.get("error")) == (State.COMPLETED, None)
    names = [
        "invoice 119.00 of mail- may.json",
        "invoice 119.00 of mail- may.pdf",
        "complaint missing of mail- may.pdf",
        "invoice 119.00 of mail- may-2.pdf",
    ]
    assert [file["name"] for file in task.result["generated_files"]] == names
    assert task.result["exported_files"] == names
    folder = home / "exports/acme/letters"
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert all((folder / name).read_bytes().startswith(b"%PDF") for name in names[1:])
    assert task.exported_at is not None
    assert (await events(task))[-2:] == ["task.exported", "task.completed"]


async def test_without_a_name_files_are_called_after_their_task(
    alice: Caller, driver: Driver
) -> None:
    task = await driver.process(await taken(alice, "{formats: [json, csv], to: orders}"))
    assert list(exports()) == [
        f"orders/{task.public_id}-data.csv",
        f"orders/{task.public_id}-data.json",
    ]
    assert [file["name"] for file in task.result["generated_files"]] == ["data.json", "data.csv"]


async def test_no_file_of_another_is_overwritten(alice: Caller, driver: Driver, home: Path) -> None:
    (home / "exports/acme").mkdir(parents=True)
    (home / "exports/acme/A-1.json").write_text("somebody's")
    export = f'{{name: "{{number}}", to: "file://{home}/exports/acme"}}'
    for task in [await taken(alice, export) for _ in range(2)]:
        await driver.process(task)
    there = exports()
    assert there.pop("A-1.json") == "somebody's"
    assert sorted(there) == ["A-1-2.json", "A-1-3.json"]


async def test_beyond_some_numbers_the_id_of_the_task_tells_files_apart(
    alice: Caller, driver: Driver, home: Path
) -> None:
    (home / "exports/acme/orders").mkdir(parents=True)
    for number in range(1, MOST_NUMBERS + 1):
        (home / f"exports/acme/orders/x{f'-{number}' if number > 1 else ''}.json").touch()
    task = await driver.process(await taken(alice, '{name: "{number}", to: orders}', number="x"))
    assert f"orders/x-{task.public_id}.json" in exports()


async def test_what_is_made_with_a_test_key_gets_to_no_place(alice: Caller, driver: Driver) -> None:
    task = await taken(replace(alice, is_test=True), "{to: orders}")
    task = await driver.process(task)
    assert (task.state, task.exported_at, exports()) == (State.COMPLETED, None, {})
    assert [file["name"] for file in task.result["generated_files"]] == ["data.json"]


async def test_a_project_exports_to_no_place_that_the_operator_does_not_allow(
    alice: Caller,
) -> None:
    with pytest.raises(ProjectFileError) as caught:
        await taken(alice, "\n  formats: [json]\n  to: file:///etc")
    (problem,) = caught.value.details["problems"]
    assert (problem["line"], problem["key"]) == (6, "export.to")
    assert "PAPERTRAY_EXPORT_URLS" in problem["message"]


# Once, whatever happens


async def test_killed_between_writing_and_confirming_each_file_is_there_once(
    alice: Caller, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await taken(alice, '{formats: [json, csv], name: "{number}", to: orders}')

    async def killed(task_id: Any) -> None:
        await deliver.fn(task_id)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(exporting, "deliver", killed)
        with pytest.raises(KilledError):
            await driver.process(task)
    before = exports()
    assert list(before) == ["orders/A-1.csv", "orders/A-1.json"]
    task = await driver.process(await again(task))
    assert (task.state, exports()) == (State.COMPLETED, before)
    assert (await events(task)).count("task.exported") == 1


async def test_killed_after_confirming_nothing_is_delivered_twice(
    alice: Caller, driver: Driver, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    task = await taken(alice, '{name: "{number}", to: orders}')

    async def killed(*_: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(exporting, "end", killed)
        with pytest.raises(KilledError):
            await driver.process(task)
    (home / "exports/acme/orders/A-1.json").unlink()  # somebody has taken it away already
    task = await driver.process(await again(task))
    assert (task.state, exports()) == (State.COMPLETED, {})
    assert task.result["exported_files"] == ["A-1.json"]


async def test_a_corrected_task_replaces_its_own_file(alice: Caller, driver: Driver) -> None:
    task = await taken(alice, '{name: "{number}", to: orders}')
    task = await driver.process(task)
    await verbs.unlock(alice, task.public_id)

    async def correct(waiting: Task) -> None:
        assert waiting.exported_at is None
        await verbs.complete(alice, waiting.public_id, {"note": "corrected"})

    task = await driver.process(await again(task), correct)
    assert (task.state, list(exports())) == (State.COMPLETED, ["orders/A-1.json"])
    assert "corrected" in exports()["orders/A-1.json"]


async def test_of_many_at_once_each_has_a_file_of_its_own(alice: Caller, driver: Driver) -> None:
    tasks = [await taken(alice, '{name: "{number}", to: orders}') for _ in range(6)]
    await asyncio.gather(*(driver.process(task) for task in tasks))
    assert len(exports()) == 6


async def test_an_erased_task_leaves_no_name(alice: Caller, driver: Driver) -> None:
    task = await driver.process(await taken(alice, '{name: "{number}", to: orders}'))
    async with database().writing() as session:
        await scrub_task(session, await session.get_one(Task, task.id))
    async with database().reading() as session:
        assert not (await session.execute(select(ExportedFile))).all()
    other = await driver.process(await taken(alice, '{name: "{number}", to: orders}'))
    assert other.result["exported_files"] == ["A-1-2.json"]


# A place that does not take them


async def test_a_place_that_takes_no_files_makes_a_person_try_again(
    alice: Caller, driver: Driver, home: Path
) -> None:
    (home / "exports").write_text("no folder")
    task = await taken(alice, "{to: orders}")

    async def in_vain(waiting: Task) -> None:
        assert (waiting.state, waiting.review_step) == (State.IN_REVIEW, "export")
        assert waiting.export_failed_at is not None
        await verbs.complete(alice, waiting.public_id)

    async def mend(waiting: Task) -> None:
        assert waiting.review_round == 2
        (home / "exports").unlink()
        await verbs.complete(alice, waiting.public_id, {"note": "late"})

    task = await driver.process(task, in_vain, mend)
    assert (task.state, task.result.get("error")) == (State.COMPLETED, None)
    assert len(driver.asked) == 2
    assert driver.asked[0].startswith("the export failed: The place for the files does not take")
    (content,) = exports().values()
    assert "late" in content
    assert (task.exported_at is not None, task.export_failed_at) == (True, None)


async def test_what_cannot_be_exported_can_be_discarded(
    alice: Caller, driver: Driver, home: Path
) -> None:
    (home / "exports").write_text("no folder")
    task = await taken(alice, "{to: orders}")
    task = await driver.process(
        task, lambda waiting: verbs.discard(alice, waiting.public_id, "not wanted")
    )
    assert task.state is State.DISCARDED


async def test_a_place_that_is_allowed_no_more_is_no_end(
    alice: Caller, driver: Driver, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "before").mkdir()
    (home / "after").mkdir()

    def allow(folder: str) -> None:
        monkeypatch.setenv("PAPERTRAY_EXPORT_URLS", str(home / folder))
        settings.cache_clear()

    allow("before")
    task = await taken(alice, f"{{to: '{home}/before'}}")
    allow("after")

    async def allow_again(waiting: Task) -> None:
        assert "PAPERTRAY_EXPORT_URLS" in waiting.review_reason
        allow("before")
        await verbs.complete(alice, waiting.public_id)

    task = await driver.process(task, allow_again)
    assert (task.state, len(exports())) == (State.COMPLETED, 1)


async def test_documents_are_not_arranged_while_only_the_export_fails(
    alice: Caller, driver: Driver, home: Path
) -> None:
    (home / "exports").write_text("no folder")
    await verbs.install_project(
        alice,
        "name: letters\nread: {mode: skip}\nexport: {to: letters}\nreview: never\n"
        "fields: [{name: total, type: money, labels: [Total due]}]\n",
    )
    file = await verbs.take_file(alice, name="mail.pdf", chunks=bytes_of(stack(INVOICE)))
    task = await verbs.submit_process(alice, project="letters", file_id=file.id)

    async def arrange(waiting: Task) -> None:
        with pytest.raises(IllegalTransitionError, match="only its export failed"):
            await verbs.arrange(alice, waiting.public_id, [verbs.Arranged([1], "document")])
        (home / "exports").unlink()
        await verbs.complete(alice, waiting.public_id, {"total": "7.00"})

    task = await driver.process(task, arrange)
    assert (task.state, task.result.get("error")) == (State.COMPLETED, None)
    assert task.result["documents"][0]["fields"] == {"total": "7.00"}
    assert '"value": "7.00"' in next(iter(exports().values()))


async def test_in_prefect_a_failed_export_is_tried_again_too(
    alice: Caller, driver: Driver, home: Path
) -> None:
    (home / "exports").write_text("no folder")

    async def mend(waiting: Task) -> Any:
        (home / "exports").unlink()
        return Form(decision=Decision.COMPLETE, note="mended", block_0="", block_1="")

    task = await driver.process(await taken(alice, "{to: orders}"), mend)
    assert (task.state, len(exports())) == (State.COMPLETED, 1)


class Form:
    """A form, filled in."""

    def __init__(self, **values: Any):
        self.__dict__.update(values)


# A client that fetches


async def test_a_client_fetches_the_files_and_the_task_goes_on(
    alice: Caller, driver: Driver
) -> None:
    async def fetch(waiting: Task) -> None:
        assert waiting.state is State.AWAITING_EXPORT
        offer = await verbs.start_export(alice, waiting.public_id)
        assert [file.name for file in offer.files] == ["A-1.json"]
        await verbs.complete_export(alice, waiting.public_id)

    task = await driver.process(await taken(alice, '{name: "{number}", pickup: true}'), fetch)
    assert (task.state, driver.asked) == (State.COMPLETED, [])
    assert [file["name"] for file in task.result["generated_files"]] == ["A-1.json"]
    assert "exported_files" not in task.result
    assert (await events(task))[-4:] == [
        "task.awaiting_export",
        "task.exporting",
        "task.exported",
        "task.completed",
    ]


async def test_a_run_that_is_started_again_offers_the_very_same_files(
    alice: Caller, driver: Driver
) -> None:
    async def killed(_: Task) -> None:
        raise KilledError

    task = await taken(alice, "{pickup: true}")
    with pytest.raises(KilledError):
        await driver.process(task, killed)
    before = await files_of(task)

    async def fetch(waiting: Task) -> None:
        assert (waiting.state, waiting.export_round) == (State.AWAITING_EXPORT, 1)
        await verbs.start_export(alice, waiting.public_id)
        await verbs.complete_export(alice, waiting.public_id)

    task = await driver.process(await again(task), fetch)
    assert (task.state, await files_of(task)) == (State.COMPLETED, before)


async def files_of(task: Task) -> list[str]:
    async with database().reading() as session:
        query = select(col(File.id)).where(col(File.task_id) == task.id)
        return list((await session.execute(query)).scalars())


async def test_a_corrected_task_is_fetched_again(alice: Caller, driver: Driver) -> None:
    async def fetch(waiting: Task) -> None:
        await verbs.start_export(alice, waiting.public_id)
        await verbs.complete_export(alice, waiting.public_id)

    task = await driver.process(await taken(alice, "{pickup: true}"), fetch)
    await verbs.unlock(alice, task.public_id)
    task = await driver.process(
        await again(task), lambda waiting: verbs.complete(alice, waiting.public_id), fetch
    )
    assert (task.state, task.export_round) == (State.COMPLETED, 2)


@pytest.mark.parametrize(
    ("decision", "state"),
    [(PickupDecision.COMPLETE, State.COMPLETED), (PickupDecision.FAIL, State.FAILED)],
)
async def test_in_prefect_somebody_decides_in_the_place_of_the_client(
    alice: Caller, driver: Driver, decision: PickupDecision, state: State
) -> None:
    async def while_a_client_is_on_it(waiting: Task) -> Any:
        await verbs.start_export(alice, waiting.public_id)
        return Form(decision=decision, note="by hand")

    async def when_it_is_free(waiting: Task) -> Any:
        assert (waiting.state, waiting.export_round) == (State.EXPORTING, 2)
        await verbs.cancel_export(alice, waiting.public_id)
        return Form(decision=decision, note="by hand")

    task = await taken(alice, "{pickup: true}")
    task = await driver.process(task, while_a_client_is_on_it, when_it_is_free)
    assert task.state is state
    assert task.result.get("error") == (None if state is State.COMPLETED else "by hand")


async def test_a_client_that_refuses_the_files_fails_the_task(
    alice: Caller, driver: Driver
) -> None:
    async def refuse(waiting: Task) -> None:
        await verbs.start_export(alice, waiting.public_id)
        await verbs.fail_export(alice, waiting.public_id, "no such customer")

    task = await driver.process(await taken(alice, "{pickup: true}"), refuse)
    assert task.state is State.FAILED
    assert task.result == {"error": "no such customer", "details": {"code": "export_failed"}}
