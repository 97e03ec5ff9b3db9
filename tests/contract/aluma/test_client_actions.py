"""/tasks/{id}/client_actions: validation and export, from start to end."""

from datetime import timedelta
from typing import Any

import pytest

from store.ids import now
from store.states import Event
from tests.contract.aluma.desk import (
    Connect,
    awaiting_export,
    awaiting_validation,
    change,
    change_documents,
    create,
    message_in,
    row_of,
    standing,
    worked_on,
)
from tests.contract.world import PNG, Client, let_happen

START, COMPLETE = "pending:start_client_action", "pending:complete_client_action"


async def act(client: Client, task_id: str, action: str, verb: str, **sent: Any) -> Any:
    return await client.post(f"/tasks/{task_id}/client_actions/{action}/{verb}", **sent)


async def started(client: Client, task_id: str, action: str = "validation") -> dict[str, Any]:
    answer = await act(client, task_id, action, "start")
    assert answer.status_code == 200, answer.text
    return answer.json()


def results(specification: dict[str, Any], **changes: Any) -> dict[str, Any]:
    (document,) = specification["documents"]
    return {"documents": [{"id": document["id"], **changes}]}


async def test_a_validation_specification_has_all_that_a_client_shows(
    aluma: Client, project_id: str
):
    task_id = await awaiting_validation(aluma, project_id)
    assert await standing(aluma, task_id) == (START, "validation")
    specification = await started(aluma, task_id)
    assert list(specification) == ["task", "documents", "document_types"]
    assert specification["task"] == (await aluma.get(f"/tasks/{task_id}")).json()
    assert await standing(aluma, task_id) == (COMPLETE, "validation")
    (document,) = specification["documents"]
    assert document["document_type"] == "invoice"
    assert document["fields"][1] == {
        "name": "total",
        "label": "Total",
        "type": "money",
        "value": "9.00",
        "confidence": 0.5,
        "valid": True,
        "needs_confirmation": True,
        "message": "",
        "page": 1,
        "box": [1.0, 2.0, 3.0, 4.0],
    }
    (page,) = document["pages"]
    assert {**page, "image_uri": ""} == {"number": 1, "width": 1, "height": 1, "image_uri": ""}
    image = await aluma.get(page["image_uri"])
    assert (image.status_code, image.content) == (200, PNG)
    message_in(await aluma.get(page["image_uri"].replace("/1/", "/2/")), 404)
    types = {one["name"]: one["fields"] for one in specification["document_types"]}
    assert list(types) == ["invoice", "receipt", "unknown"]
    assert types["receipt"] == [
        {
            "name": "kind",
            "label": "Kind",
            "type": "choice",
            "required": False,
            "options": ["cash", "card"],
        }
    ]


async def test_what_a_client_corrected_is_kept_and_the_task_goes_on(
    aluma: Client, client: Client, project_id: str
):
    task_id = await awaiting_validation(aluma, project_id)
    specification = await started(aluma, task_id)
    corrected = results(specification, document_type="invoice", fields={"total": "11.90"})
    answer = await act(aluma, task_id, "validation", "complete", json=corrected)
    assert (answer.status_code, answer.json()["state"]) == (200, "running")
    public_id = (await row_of(task_id)).public_id
    shown = (await client.get(f"/v1/tasks/{public_id}/documents")).json()["documents"][0]
    assert shown["fields"]["total"]["value"] == "11.90"
    assert shown["fields"]["number"]["value"] == "4711"
    message_in(await act(aluma, task_id, "validation", "complete", json=corrected), 409)


async def test_nothing_need_be_corrected(aluma: Client, project_id: str):
    task_id = await awaiting_validation(aluma, project_id)
    await started(aluma, task_id)
    answer = await act(aluma, task_id, "validation", "complete", json={"documents": []})
    assert (answer.status_code, answer.json()["state"]) == (200, "running")


async def test_results_that_are_not_right_change_nothing_and_name_what_is_wrong(
    aluma: Client, project_id: str
):
    task_id = await awaiting_validation(aluma, project_id)
    specification = await started(aluma, task_id)
    for wrong, said in (
        (results(specification, fields={"total": "much"}), "total"),
        (results(specification, fields={"colour": "red"}), "colour"),
        (results(specification, document_type="letter"), "documents.1"),
        ({"documents": [{"id": "x", "fields": {}}]}, "documents.1.id"),
        ({"documents": results(specification)["documents"] * 2}, "twice"),
        ({"documents": [{"fields": {}}]}, "documents.0.id"),
        ({"results": []}, "results"),
    ):
        answer = await act(aluma, task_id, "validation", "complete", json=wrong)
        assert said in message_in(answer, 400), wrong
    assert await standing(aluma, task_id) == (COMPLETE, "validation")
    assert (await row_of(task_id)).review_round == 1


async def test_another_type_has_the_fields_of_that_type_looked_for(aluma: Client, project_id: str):
    task_id = await awaiting_validation(aluma, project_id)
    specification = await started(aluma, task_id)
    other = results(specification, document_type="receipt")
    answer = await act(aluma, task_id, "validation", "complete", json=other)
    assert (answer.status_code, answer.json()["state"]) == (200, "running")
    row = await row_of(task_id)
    assert row.decision is not None
    assert row.decision["decision"] == "arrange"


async def test_fields_are_refused_while_only_the_type_is_asked_for(aluma: Client, project_id: str):
    task_id = await awaiting_validation(aluma, project_id)
    await change_documents(task_id, is_extracted=False)
    await change(task_id, review_step="sort")
    specification = await started(aluma, task_id)
    assert specification["documents"][0]["fields"] == []
    early = results(specification, fields={"total": "1.00"})
    answer = await act(aluma, task_id, "validation", "complete", json=early)
    assert "documents.1.fields" in message_in(answer, 400)
    answer = await act(aluma, task_id, "validation", "complete", json=results(specification))
    assert answer.status_code == 200, answer.text


async def test_a_task_that_was_given_back_waits_again(aluma: Client, project_id: str):
    task_id = await awaiting_validation(aluma, project_id)
    await started(aluma, task_id)
    answer = await act(aluma, task_id, "validation", "cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, START)
    await started(aluma, task_id)


@pytest.mark.parametrize("action", ["validation", "export"])
async def test_a_task_that_is_failed_is_running_while_its_data_goes(
    aluma: Client, project_id: str, action: str
):
    make = awaiting_validation if action == "validation" else awaiting_export
    for sent in ({"json": {"message": "Not ours."}}, {}):
        task_id = await make(aluma, project_id)
        await started(aluma, task_id, action)
        answer = await act(aluma, task_id, action, "fail", **sent)
        assert (answer.status_code, answer.json()["state"]) == (200, "running")
        row = await row_of(task_id)
        assert row.state.value == "failed"
        assert (row.result["error"] == "Not ours.") == bool(sent)
    wrong = await act(aluma, task_id, action, "fail", json={"why": "x"})
    assert "why" in message_in(wrong, 400)


async def test_an_export_specification_names_files_that_can_be_fetched(
    aluma: Client, project_id: str
):
    task_id = await awaiting_export(aluma, project_id)
    assert await standing(aluma, task_id) == (START, "export")
    specification = await started(aluma, task_id, "export")
    assert await standing(aluma, task_id) == (COMPLETE, "export")
    assert specification["task"]["state"] == COMPLETE
    assert specification["documents"] == [
        {"document_type": "invoice", "fields": {"number": "4711", "total": "9.00"}}
    ]
    (file,) = specification["files"]
    assert (file["name"], file["media_type"]) == ("data.json", "application/json")
    fetched = await aluma.get(file["uri"])
    assert (fetched.status_code, fetched.content) == (200, b"{}")
    message_in(await aluma.get(f"{file['uri']}x"), 404)
    answer = await act(aluma, task_id, "export", "complete")
    assert (answer.status_code, answer.json()["state"]) == (200, "running")


async def test_an_export_that_was_given_back_waits_again(aluma: Client, project_id: str):
    task_id = await awaiting_export(aluma, project_id)
    await started(aluma, task_id, "export")
    answer = await act(aluma, task_id, "export", "cancel")
    assert (answer.json()["state"], answer.json()["client_action"]) == (START, "export")
    await started(aluma, task_id, "export")


@pytest.mark.parametrize("action", ["validation", "export"])
async def test_each_call_needs_its_state_its_action_and_the_caller_that_started(
    aluma: Client, connect: Connect, project_id: str, action: str
):
    make = awaiting_validation if action == "validation" else awaiting_export
    other_action = "export" if action == "validation" else "validation"
    body = {"json": {"documents": []}}
    task_id = await make(aluma, project_id)
    other = await connect()
    later = [("complete", body), ("cancel", {}), ("fail", {})]
    for verb, sent in later:
        message_in(await act(aluma, task_id, action, verb, **sent), 409)
    message_in(await act(aluma, task_id, other_action, "start"), 409)
    await started(aluma, task_id, action)
    for client in (aluma, other):
        message_in(await act(client, task_id, action, "start"), 409)
    for verb, sent in later:
        message_in(await act(other, task_id, action, verb, **sent), 409)
        message_in(await act(aluma, task_id, other_action, verb, **sent), 409)
    assert await standing(aluma, task_id) == (COMPLETE, action)


@pytest.mark.parametrize("action", ["validation", "export"])
async def test_a_lease_that_ran_out_lets_the_next_client_start(
    aluma: Client, connect: Connect, project_id: str, action: str
):
    make = awaiting_validation if action == "validation" else awaiting_export
    task_id = await make(aluma, project_id)
    await started(aluma, task_id, action)
    until = (await row_of(task_id)).claimed_until
    assert until is not None
    assert timedelta(minutes=29) < until - now() <= timedelta(minutes=30)
    await change(task_id, claimed_until=now() - timedelta(seconds=1))
    assert await standing(aluma, task_id) == (START, action)
    other = await connect()
    await started(other, task_id, action)
    message_in(await act(aluma, task_id, action, "complete", json={"documents": []}), 409)
    assert await standing(aluma, task_id) == (COMPLETE, action)


async def test_no_action_can_be_started_before_the_task_waits_or_after_its_end(
    aluma: Client, project_id: str
):
    task_id = await create(aluma, project_id)
    for events in ((), (Event.START,), (Event.FAIL,)):
        if events:
            await worked_on(task_id, *events)
        for action in ("validation", "export"):
            message_in(await act(aluma, task_id, action, "start"), 409)


async def test_a_task_of_data_is_validated_as_one_document(aluma: Client, client: Client):
    source = "name: cases\nblocks: [{name: note, type: text, required: true}]\n"
    await client.post("/v1/projects", json={"source": source})
    made = await client.post("/v1/tasks", json={"project": "cases", "data": {"note": "one"}})
    assert made.status_code == 202, made.text
    row = await let_happen(made.json()["id"], Event.START)
    await let_happen(made.json()["id"], Event.ASK, review_round=1)
    specification = await started(aluma, row.short_id)
    (document,) = specification["documents"]
    assert (document["document_type"], document["fields"][0]["value"]) == ("cases", "one")
    told = results(specification, fields={"note": "two"})
    answer = await act(aluma, row.short_id, "validation", "complete", json=told)
    assert answer.status_code == 200, answer.text
    assert (await row_of(row.short_id)).task_data == {"note": "two"}
