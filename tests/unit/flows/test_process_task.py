"""Whole tasks: from a file, or data, to what they leave with."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pypdf
import pytest
from sqlalchemy import select
from sqlmodel import col

from flows import engine, task_run, verbs
from store.access import Caller
from store.blobs import blobs
from store.database import database
from store.errors import ConflictError, FieldsInvalidError, InputError
from store.finding import documents_of
from store.models import Activity, Document, File, Task
from store.states import State
from tests.flow_driver import Driver, kinds
from tests.mail import (
    BLANK,
    CANCELLATION,
    COMPLAINT,
    INVOICE,
    LATER,
    SEPARATOR,
    STRANGE,
    stack,
)
from tests.unit.flows.conftest import bytes_of

SAMPLES = Path(__file__).parents[3] / "samples"

ONE_TYPE = """\
name: letters
read: {mode: skip}
fields:
  - {name: total, type: money, labels: [Total due]}
"""

SORTING = """\
name: letters
read: {mode: skip}
document_types:
  - name: invoice
    keywords: {invoice: 2, total due: 1}
    fields: [{name: total, type: money, required: true, labels: [Total due]}]
  - name: complaint
    keywords: {complaint: 2, refund: 1}
    fields: [{name: customer, labels: [Customer No]}]
"""

FIRST_PAGES = "segment: {by: first_page, first_page_patterns: ['^INVOICE', '^Complaint']}\n"


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    return Driver(monkeypatch)


async def sent(caller: Caller, project: str, *pages: tuple[str, ...]) -> Task:
    row, _ = await verbs.install_project(caller, project)
    file = await verbs.take_file(caller, name="mail.pdf", chunks=bytes_of(stack(*pages)))
    return await verbs.submit_process(caller, project=row.name, file_id=file.id)


async def found(task: Task) -> list[Document]:
    async with database().reading() as session:
        return list(await documents_of(session, task))


async def content(file: Mapping[str, Any]) -> bytes:
    async with database().reading() as session:
        return await blobs().read((await session.get_one(File, file["id"])).blob)


# Shipped project files


async def test_a_stack_of_mail_is_told_apart_sorted_indexed_and_grouped(
    alice: Caller, driver: Driver
) -> None:
    project = (SAMPLES / "indexing.yaml").read_text()
    task = await sent(alice, project, INVOICE, LATER, SEPARATOR, COMPLAINT, SEPARATOR, CANCELLATION)
    task = await driver.process(task)
    assert (task.state, task.result.get("error"), driver.asked) == (State.COMPLETED, None, [])
    documents = task.result["documents"]
    assert kinds(documents) == [("invoice", [1, 2]), ("complaint", [4]), ("cancellation", [6])]
    assert [one["fields"] for one in documents] == [
        {"customer": "C-1001", "total": "119.00"},
        {"customer": "C-2002", "date": "2026-03-14"},
        {"customer": "C-1001", "end_date": "2026-12-31"},
    ]
    assert [one["group_number"] for one in documents] == [1, 2, 1]

    files = {file["name"]: file for file in task.result["generated_files"]}
    pdfs = [f"document-000{number}.pdf" for number in (1, 2, 3)]
    assert list(files) == ["data.json", "data.csv", *pdfs]
    texts = []
    for name in pdfs:
        reader = pypdf.PdfReader(io.BytesIO(await content(files[name])))
        texts.append([page.extract_text().split("\n")[0] for page in reader.pages])
    assert texts == [["INVOICE", LATER[0]], ["Complaint"], ["Cancellation"]]
    data = json.loads(await content(files["data.json"]))
    assert kinds(data["documents"]) == kinds(documents)


async def test_of_a_contract_the_machine_proposes_and_a_person_decides(
    alice: Caller, driver: Driver
) -> None:
    project = (SAMPLES / "data-point-extraction.yaml").read_text()
    contract = (
        "Contract No: SV-2026/17",
        "Effective Date: 2026-01-01",
        "Governing Law: England",
        "Annual Fee: 1,200.00",
    )
    task = await sent(alice, project, contract)

    async def confirm(waiting: Task) -> None:
        assert waiting.review_step == "extract"
        await verbs.complete(alice, waiting.public_id, {"end_date": "2027-12-31"})

    task = await driver.process(task, confirm)
    assert (task.state, task.result.get("error")) == (State.COMPLETED, None)
    assert driver.asked == ["the project asks for it: extract is predict"]
    assert task.result["documents"][0]["fields"] == {
        "contract_number": "SV-2026/17",
        "effective_date": "2026-01-01",
        "end_date": "2027-12-31",
        "governing_law": "England",
        "annual_fee": "1200.00",
    }


async def test_data_is_filled_in_by_a_person_and_leaves(alice: Caller, driver: Driver) -> None:
    await verbs.install_project(alice, (SAMPLES / "moderation.yaml").read_text())
    given = {"comment": "Buy =2+2 now", "author": "eve@example.com"}
    task = await verbs.submit_process(alice, project="moderation", data=given, source="api")

    async def decide(waiting: Task) -> None:
        for values, fault in (
            ({}, {"approve": "is missing"}),
            ({"approve": "perhaps"}, {"approve": "must be true or false"}),
            ({"approve": True, "reason": "taste"}, None),
            ({"approve": True, "comment": "Buy nothing"}, {"comment": "is only to be read"}),
            ({"approve": True, "colour": 1}, {"colour": "is no block of the project"}),
        ):
            with pytest.raises(FieldsInvalidError) as caught:
                await verbs.complete(alice, waiting.public_id, values)
            assert fault is None or caught.value.details["fields"] == fault
        await verbs.save(alice, waiting.public_id, {"reason": "spam"})
        await verbs.complete(alice, waiting.public_id, {"approve": False})

    task = await driver.process(task, decide)
    assert (task.state, task.source) == (State.COMPLETED, "api")
    right = {**given, "approve": False, "reason": "spam"}
    assert task.result["data"] == task.task_data == right
    files = {file["name"]: file for file in task.result["generated_files"]}
    assert json.loads(await content(files["data.json"])) == {"data": right}
    head, row, *_ = (await content(files["data.csv"])).decode("utf-8-sig").split("\r\n")
    assert head == "comment,author,page,approve,reason,note"
    assert row == "Buy =2+2 now,eve@example.com,,false,spam,"


# Which documents there are


async def test_blank_pages_first_pages_and_counts_tell_documents_apart(
    alice: Caller, driver: Driver
) -> None:
    async def accept(waiting: Task) -> None:
        await verbs.complete(alice, waiting.public_id)

    pages = (INVOICE, LATER, BLANK, COMPLAINT, BLANK, BLANK, INVOICE)
    for segment, expected in (
        ("{by: blank_page}", [[1, 2], [4], [7]]),
        ("{by: blank_page, separator_page: last}", [[1, 2, 3], [4, 5], [6], [7]]),
        ("{by: first_page, first_page_patterns: [^INVOICE, ^Comp]}", [[1, 2, 3], [4, 5, 6], [7]]),
        ("{by: page_count, page_count: 3}", [[1, 2, 3], [4, 5, 6], [7]]),
    ):
        task = await sent(alice, f"{ONE_TYPE}segment: {segment}\n", *pages)
        task = await driver.process(task, accept)
        assert task.state is State.COMPLETED, task.result
        assert [one["page_numbers"] for one in task.result["documents"]] == expected
    # The complaint and the blank pages have none of the fields; nothing else needs a person.
    assert all(reason.startswith("no field found: document 2") for reason in driver.asked)


async def test_a_file_of_separators_alone_fails_and_says_so(alice: Caller, driver: Driver) -> None:
    task = await sent(alice, f"{ONE_TYPE}segment: {{by: blank_page}}\n", *[BLANK] * 8)
    task = await driver.process(task)
    assert task.state is State.FAILED
    assert "Every page of the file separates documents" in task.result["error"]
    assert task.result["details"] == {"code": "input_rejected", "page_count": 8}


async def test_a_failed_task_is_tried_again_when_its_run_was_and_not_when_it_is_only_reported_late(
    alice: Caller, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that dies before Prefect knows of the end leaves a run for another to take over."""

    class Run:
        id = str(uuid4())

    restarted = 0

    async def times_restarted(flow_run_id: UUID) -> int:
        assert str(flow_run_id) == Run.id
        return restarted

    monkeypatch.setattr(task_run, "this_run", Run)
    monkeypatch.setattr(engine, "times_restarted", times_restarted)
    task = await sent(alice, f"{ONE_TYPE}segment: {{by: blank_page}}\n", *[BLANK] * 8)
    task = await driver.process(task)
    assert (await driver.process(task)).attempt == 1
    restarted = 1
    assert (await driver.process(task)).attempt == 2
    task = await driver.process(task)
    assert (task.state, task.attempt) == (State.FAILED, 2)


async def test_where_the_file_begins_in_the_middle_a_person_looks(
    alice: Caller, driver: Driver
) -> None:
    async def accept(waiting: Task) -> None:
        assert waiting.review_step == "sort"
        assert [one.fields for one in await found(waiting)] == [{}, {}]
        await verbs.complete(alice, waiting.public_id)

    project = SORTING + FIRST_PAGES.replace("'^INVOICE'", "'^INVOICE$'")
    task = await sent(alice, project, (*INVOICE[1:], "invoice"), COMPLAINT)
    task = await driver.process(task, accept)
    assert driver.asked == ["documents to be told apart: document 1"]
    assert task.state is State.COMPLETED, task.result
    assert kinds(task.result["documents"]) == [("invoice", [1]), ("complaint", [2])]


async def test_a_person_says_which_documents_there_are_and_their_fields_are_found(
    alice: Caller, driver: Driver
) -> None:
    async def arrange(waiting: Task) -> None:
        for wrong, key in (
            ([verbs.Arranged([1, 9], "invoice")], "documents.1"),
            ([verbs.Arranged([1], "invoice"), verbs.Arranged([1], "invoice")], "documents.2"),
            ([verbs.Arranged([1], "letter")], "documents.1"),
            ([], "documents"),
        ):
            with pytest.raises(FieldsInvalidError) as caught:
                await verbs.arrange(alice, waiting.public_id, wrong)
            assert list(caught.value.details["fields"]) == [key]
        right = [verbs.Arranged([1, 2], "invoice"), verbs.Arranged([4], "complaint")]
        await verbs.arrange(alice, waiting.public_id, right)

    project = SORTING + "segment: {by: page_count, page_count: 9, automation: none}\n"
    task = await sent(alice, project, INVOICE, LATER, STRANGE, COMPLAINT)
    task = await driver.process(task, arrange)
    assert driver.asked[0].startswith("documents to be told apart: document 1")
    assert task.state is State.COMPLETED, task.result
    documents = task.result["documents"]
    assert kinds(documents) == [("invoice", [1, 2]), ("complaint", [4])]
    assert [one["fields"] for one in documents] == [{"total": "119.00"}, {"customer": "C-2002"}]


async def test_documents_can_still_be_arranged_when_their_values_are_looked_at(
    alice: Caller, driver: Driver
) -> None:
    async def arrange(waiting: Task) -> None:
        first, second = await found(waiting)
        assert waiting.review_step == "extract"
        await verbs.save(alice, waiting.public_id, {"total": "7.00"}, first.number)
        assert second.document_type == "complaint"
        right = [verbs.Arranged([1], "invoice"), verbs.Arranged([2], "invoice")]
        await verbs.arrange(alice, waiting.public_id, right)

    async def correct(waiting: Task) -> None:
        first, second = await found(waiting)
        assert first.fields["total"]["value"] == "7.00"  # it stayed as the person left it
        assert second.fields["total"]["value"] is None
        with pytest.raises(FieldsInvalidError) as caught:
            await verbs.complete(alice, waiting.public_id)
        assert caught.value.details["fields"] == {"2.total": "is missing"}
        await verbs.complete(alice, waiting.public_id, documents={2: {"total": "8.00"}})

    project = f"{SORTING}{FIRST_PAGES}review: always\n"
    task = await driver.process(await sent(alice, project, INVOICE, COMPLAINT), arrange, correct)
    assert task.state is State.COMPLETED, task.result
    assert driver.asked == ["the project asks for it", "not valid: 2.total"]
    assert [one["fields"] for one in task.result["documents"]] == [
        {"total": "7.00"},
        {"total": "8.00"},
    ]


async def test_documents_that_a_person_arranged_and_that_are_sure_wait_for_nobody(
    alice: Caller, driver: Driver
) -> None:
    async def arrange(waiting: Task) -> None:
        assert waiting.review_step == "extract"
        await verbs.arrange(alice, waiting.public_id, [verbs.Arranged([2], "invoice")])

    project = SORTING + "segment: {by: page_count, page_count: 1}\n"
    task = await sent(alice, project, ("INVOICE", "total due"), INVOICE)
    task = await driver.process(task, arrange)
    assert driver.asked == ["not valid: 1.total"]
    assert task.state is State.COMPLETED, task.result
    assert [one["fields"] for one in task.result["documents"]] == [{"total": "119.00"}]


async def test_what_is_of_no_type_waits_for_a_person_goes_on_or_is_unknown(
    alice: Caller, driver: Driver
) -> None:
    async def say(waiting: Task) -> None:
        assert [one.document_type for one in await found(waiting)] == ["unknown"]
        await verbs.arrange(alice, waiting.public_id, [verbs.Arranged([1], "complaint")])

    async def accept(waiting: Task) -> None:
        await verbs.complete(alice, waiting.public_id)

    task = await driver.process(await sent(alice, SORTING, STRANGE), say, accept)
    assert driver.asked == ["types to be confirmed: document 1", "no field found: document 1"]
    assert kinds(task.result["documents"]) == [("complaint", [1])]
    for more in ("classify: {unknown: keep}\n", "review: never\n"):
        task = await driver.process(await sent(alice, SORTING + more, STRANGE))
        assert kinds(task.result["documents"]) == [("unknown", [1])]
        assert task.result["documents"][0]["fields"] == {}
    assert len(driver.asked) == 2


@pytest.mark.parametrize("step", ["segment", "classify", "extract"])
@pytest.mark.parametrize(("automation", "asks"), [("predict", 1), ("process", 0)])
async def test_how_far_the_machine_goes_is_said_for_each_step(
    alice: Caller, driver: Driver, step: str, automation: str, asks: int
) -> None:
    async def accept(waiting: Task) -> None:
        await verbs.complete(alice, waiting.public_id)

    first = ", by: first_page, first_page_patterns: ['^INVOICE']" if step == "segment" else ""
    project = f"{SORTING}{step}: {{automation: {automation}{first}}}\n"
    task = await driver.process(await sent(alice, project, INVOICE), accept)
    assert task.state is State.COMPLETED, task.result
    assert len(driver.asked) == asks
    assert task.result["documents"][0]["fields"] == {"total": "119.00"}


# What is filtered


@pytest.mark.parametrize(
    ("rules", "pages", "reason"),
    [
        ("{blank: true}", [BLANK, BLANK], "blank"),
        ("{min_pages: 2}", [INVOICE], "fewer than 2 pages"),
        ("{max_pages: 1}", [INVOICE, LATER], "more than 1 pages"),
        ("{document_types: [complaint]}", [INVOICE], "of another type"),
    ],
)
async def test_a_task_of_which_nothing_is_left_ends_as_filtered(
    alice: Caller, driver: Driver, rules: str, pages: list[tuple[str, ...]], reason: str
) -> None:
    task = await sent(alice, f"{SORTING}filter: {rules}\nreview: never\n", *pages)
    task = await driver.process(task)
    assert task.state is State.FILTERED, task.result
    (out,) = task.result["filtered_documents"]
    assert out["reason"] == reason
    async with database().reading() as session:
        query = select(Activity).where(col(Activity.type) == "task.filtered")
        assert (await session.execute(query)).scalar_one().reason == reason


async def test_what_is_wanted_goes_on_without_what_is_not(alice: Caller, driver: Driver) -> None:
    project = f"{SORTING}{FIRST_PAGES}filter: {{document_types: [invoice]}}\n"
    task = await driver.process(await sent(alice, project, COMPLAINT, INVOICE, LATER))
    assert kinds(task.result["documents"]) == [("invoice", [2, 3])]


async def test_the_same_file_again_is_a_duplicate_in_its_project_alone(
    alice: Caller, stranger: Caller, driver: Driver
) -> None:
    project = f"{ONE_TYPE}filter: {{duplicates: true}}\n"
    first = await driver.process(await sent(alice, project, INVOICE))
    second = await driver.process(await sent(alice, project, INVOICE))
    other = await driver.process(await sent(alice, project, INVOICE, LATER))
    elsewhere = await driver.process(await sent(alice, project.replace("letters", "post"), INVOICE))
    theirs = await driver.process(await sent(stranger, project, INVOICE))
    states = [one.state for one in (first, second, other, elsewhere, theirs)]
    assert states == [
        State.COMPLETED,
        State.FILTERED,
        State.COMPLETED,
        State.COMPLETED,
        State.COMPLETED,
    ]
    assert second.step == ""  # it was not even read


async def test_a_person_gets_back_what_was_filtered(alice: Caller, driver: Driver) -> None:
    project = f"{ONE_TYPE}filter: {{duplicates: true, min_pages: 3}}\n"
    await driver.process(await sent(alice, project, INVOICE))
    task = await driver.process(await sent(alice, project, INVOICE))
    assert task.state is State.FILTERED
    task = await verbs.unlock(alice, task.public_id)
    with pytest.raises(ConflictError, match="not read yet"):
        await verbs.complete(alice, task.public_id)

    async def accept(waiting: Task) -> None:
        await verbs.complete(alice, waiting.public_id)

    task = await driver.process(task, accept)
    assert task.state is State.COMPLETED
    assert task.result["documents"][0]["fields"] == {"total": "119.00"}


# What else must hold


async def test_a_changed_project_changes_no_task_under_way(alice: Caller, driver: Driver) -> None:
    task = await sent(alice, ONE_TYPE, INVOICE)
    changed = ONE_TYPE.replace("total,", "customer,").replace("type: money, ", "")
    await verbs.install_project(alice, changed.replace("Total due", "Customer No"))

    task = await driver.process(task)
    assert task.result["documents"][0]["fields"] == {"total": "119.00"}
    later = await driver.process(
        await sent(alice, changed.replace("Total due", "Customer No"), INVOICE)
    )
    assert later.result["documents"][0]["fields"] == {"customer": "C-1001"}
    assert task.project_version_id != later.project_version_id


async def test_a_pattern_that_never_ends_fails_the_task_and_is_named(
    alice: Caller, driver: Driver
) -> None:
    project = SORTING.replace("keywords: {complaint: 2, refund: 1}", "patterns: ['(?:a|a|aa)+$']")
    task = await driver.process(await sent(alice, project, ("a" * 70 + "!",)))
    assert task.state is State.FAILED
    assert task.result["details"]["code"] == "limit_exceeded"
    assert "(?:a|a|aa)+$" in task.result["error"]


async def test_where_no_field_is_found_a_person_looks_or_the_task_fails(
    alice: Caller, driver: Driver
) -> None:
    german = ONE_TYPE.replace("Total due", "Gesamtbetrag")
    waits: list[str] = []

    async def fill_in(waiting: Task) -> None:
        waits.append(waiting.review_reason)
        await verbs.complete(alice, waiting.public_id, {})

    task = await driver.process(await sent(alice, german, INVOICE), fill_in)
    assert (waits, task.state) == (["no field found: document 1"], State.COMPLETED)
    task = await driver.process(await sent(alice, f"{german}review: never\n", INVOICE))
    assert task.state is State.FAILED
    assert task.result["details"]["fields"] == {"total": "is not found, and no other field is"}


async def test_a_file_is_for_files_and_data_for_data(alice: Caller, file: File) -> None:
    await verbs.install_project(alice, ONE_TYPE)
    await verbs.install_project(alice, "name: words\nblocks: [{name: word, type: text}]\n")
    with pytest.raises(InputError, match="takes data and no file"):
        await verbs.submit_process(alice, project="words", file_id=file.id)
    with pytest.raises(InputError, match="takes files and no data"):
        await verbs.submit_process(alice, project="letters", data={"word": "a"})
    with pytest.raises(FieldsInvalidError) as caught:
        await verbs.submit_process(alice, project="words", data={"word": 7, "more": 1})
    assert set(caught.value.details["fields"]) == {"word", "more"}


async def test_data_that_needs_nobody_goes_through(alice: Caller, driver: Driver) -> None:
    project = (
        "name: words\nreview: when_needed\n"
        "blocks: [{name: word, type: text, required: true}, {name: note, type: text}]\n"
    )
    await verbs.install_project(alice, project)
    whole = await verbs.submit_process(alice, project="words", data={"word": "a"})
    empty = await verbs.submit_process(alice, project="words", data={})

    async def fill_in(waiting: Task) -> None:
        await verbs.complete(alice, waiting.public_id, {"word": "b"})

    assert (await driver.process(whole)).result["data"] == {"word": "a"}
    assert driver.asked == []
    assert (await driver.process(empty, fill_in)).result["data"] == {"word": "b"}
    assert driver.asked == ["to be filled in: word"]
