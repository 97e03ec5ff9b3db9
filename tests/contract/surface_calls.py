"""How every address of the four other surfaces is called so that it answers well."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import col, select

from store.database import database
from store.ids import new_code, short_of
from store.keys import create_key
from store.models import File, Project, Task
from store.organizations import number_of, organization_named, team_named
from tests.contract.aluma.desk import PDF, PROJECT_FILE
from tests.contract.human_lambdas.desk import BLOCKS
from tests.contract.innodata.bench import TAXONOMY
from tests.contract.test_v1_access import (
    awaiting_export,
    completed,
    data_project,
    decided,
    in_review,
    project,
    queued,
    send_file,
)
from tests.contract.world import PNG, Client, task_of

Subject = dict[str, str]
"""What an address is about, by the names in it."""
Maker = Callable[[Client], Awaitable[str]]


@dataclass(frozen=True)
class Call:
    """How an address is called so that it answers well."""

    of: Callable[[Client], Awaitable[Subject]]
    """Makes what it is about."""
    send: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Beside the address; the parts of the subject are put into its texts."""
    held_by: str = ""
    """The verb by which the caller takes the task first."""
    work: str = "read"
    """What is done to a task: `read` is for who sees it, `review` and `export` for who works on
    that step, `own` for its owner alone."""
    unheld: int | None = None
    """What a caller gets who was not let take the task; as others who may not when omitted."""
    elsewhere: int | None = None
    """What another organization gets where the address itself names nothing."""

    def sent(self, subject: Subject) -> dict[str, Any]:
        """What goes beside the address."""
        return _filled(dict(self.send), subject)


def _filled(value: Any, subject: Subject) -> Any:
    if isinstance(value, str) and value.startswith("{"):
        return subject[value.strip("{}")]
    if isinstance(value, dict):
        return {name: _filled(one, subject) for name, one in value.items()}
    return [_filled(one, subject) for one in value] if isinstance(value, list) else value


# What a task is called


async def project_of(name: str) -> Project:
    query = select(Project).where(col(Project.name) == name)
    async with database().reading() as session:
        return (await session.execute(query)).scalar_one()


async def _output_of(task: Task) -> str:
    query = select(col(File.id)).where(col(File.task_id) == task.id)
    async with database().reading() as session:
        return (await session.execute(query)).scalar() or ""


async def v1_names(task: Task) -> Subject:
    return {"task_id": task.public_id}


async def aluma_names(task: Task) -> Subject:
    return {"task_id": task.short_id, "file_id": await _output_of(task)}


async def human_lambdas_names(task: Task) -> Subject:
    async with database().reading() as session:
        of = await session.get_one(Project, task.project_id)
    number = str(await number_of(of.organization_id))
    return {"organization_id": number, "queue_id": str(of.number), "task_id": str(task.number)}


async def send_ai_names(task: Task) -> Subject:
    team_id = await team_named(task.organization_id, "claims")
    return {
        "team_id": str(team_id),
        "project_id": str(task.project_id),
        "task_id": task.public_id,
    }


async def innodata_names(task: Task) -> Subject:
    return {"job_id": str(task.id), "role": "output"}


def task_as(names: Callable[[Task], Awaitable[Subject]], make: Maker) -> Any:
    """Makes a task, and answers what a surface calls it."""

    async def made(client: Client) -> Subject:
        public_id = await make(client)
        return {"public_id": public_id, "number": "1"} | await names(await task_of(public_id))

    return made


def aluma(make: Maker, **more: Any) -> Call:
    return Call(task_as(aluma_names, make), **more)


def queue_task(make: Maker, **more: Any) -> Call:
    return Call(task_as(human_lambdas_names, make), **more)


def send_ai(make: Maker, **more: Any) -> Call:
    return Call(task_as(send_ai_names, make), **more)


def innodata(make: Maker, **more: Any) -> Call:
    return Call(task_as(innodata_names, make), **more)


# What else there is


async def nothing(client: Client) -> Subject:
    del client
    return {}


async def aluma_project(client: Client) -> Subject:
    return {"project_id": short_of((await project_of(await project(client))).id)}


async def organization(client: Client) -> Subject:
    del client
    number = await number_of(await organization_named("acme"))
    return {"organization_id": str(number), "new_name": new_code()}


async def queue(client: Client) -> Subject:
    of = await project_of(await data_project(client))
    return {**await organization(client), "queue_id": str(of.number)}


async def team_project(client: Client) -> Subject:
    of = await project_of(await project(client))
    return {
        "team_id": str(await team_named(of.organization_id, "claims")),
        "project_id": str(of.id),
        "folder_id": "folder_bin",
    }


async def upload(client: Client) -> Subject:
    place = await team_project(client)
    key = (await create_key(["upload.create"], organization="acme")).key
    answer = await client.post(
        "/v2/{team_id}/project/{project_id}/upload".format(**place),
        files={"file": ("a.png", PNG)},
        headers={"authorization": f"Bearer {key}"},
    )
    assert answer.status_code == 201, answer.text
    return {**place, "upload_id": answer.json()["id"]}


async def folder(client: Client) -> Subject:
    place = await team_project(client)
    key = (await create_key(["upload.edit"], organization="acme")).key
    answer = await client.post(
        "/v2/{team_id}/project/{project_id}/folder".format(**place),
        json={"name": new_code()},
        headers={"authorization": f"Bearer {key}"},
    )
    assert answer.status_code == 201, answer.text
    return {**place, "folder_id": answer.json()["payload"]["id"]}


async def document(client: Client) -> Subject:
    return {"document_id": await send_file(client)}


async def job_type(client: Client) -> Subject:
    return {"job_type_id": await project(client)}


JSON = dict[str, Any]
ISSUES: JSON = {"json": {"issues": [{"label": "a", "value": "b"}]}}
VALUES: JSON = {"json": {"data": {"total": "9.00"}}}
ANNOTATIONS: JSON = {"json": {"annotations": [{"entity_id": "total", "content": "1.00"}]}}
YAML: JSON = {"content": PROJECT_FILE, "headers": {"content-type": "application/yaml"}}
JOB: JSON = {
    "json": {
        "type": "data-point-extraction",
        "contents": [{"role": "input", "uri": "{document_id}"}],
        "mapping.taxonomy": TAXONOMY,
    }
}
REVIEWS: JSON = {"held_by": "claim", "work": "review"}
EXPORTS: JSON = {"held_by": "export/start", "work": "export"}

ALUMA: dict[tuple[str, str], Call] = {
    ("post", "/tasks"): Call(
        aluma_project, {"params": {"project_id": "{project_id}"}, "content": PDF}, elsewhere=404
    ),
    ("get", "/tasks"): aluma(queued),
    ("get", "/tasks/{task_id}"): aluma(queued),
    ("post", "/tasks/{task_id}/cancel"): aluma(queued, work="own"),
    ("get", "/tasks/{task_id}/pages/{number}/image"): aluma(in_review),
    ("get", "/tasks/{task_id}/files/{file_id}"): aluma(completed),
    ("get", "/projects"): Call(aluma_project),
    ("post", "/projects"): Call(nothing, YAML),
    ("get", "/projects/{project_id}"): Call(aluma_project),
    ("delete", "/projects/{project_id}"): Call(aluma_project),
}
for _action, _make, _held, _fail in (
    ("validation", in_review, REVIEWS, None),
    ("export", awaiting_export, EXPORTS, 409),
):
    _at = f"/tasks/{{task_id}}/client_actions/{_action}"
    _results = {"json": {"documents": []}} if _action == "validation" else {}
    ALUMA.update(
        {
            ("post", f"{_at}/start"): aluma(_make, work=_held["work"]),
            ("post", f"{_at}/complete"): aluma(_make, send=_results, unheld=409, **_held),
            ("post", f"{_at}/cancel"): aluma(_make, unheld=409, **_held),
            ("post", f"{_at}/fail"): aluma(_make, unheld=_fail, **_held),
        }
    )

_TASK = "/{queue_id}/tasks/{task_id}"
_QUEUES: dict[tuple[str, str], Call] = {
    ("get", ""): Call(queue),
    ("post", ""): Call(organization, {"json": {"name": "{new_name}", "data": BLOCKS}}),
    ("get", "/{queue_id}"): Call(queue),
    ("patch", "/{queue_id}"): Call(queue, {"json": {"description": "Be kind."}}),
    ("post", "/{queue_id}/upload"): Call(
        queue, {"files": {"file": ("rows.csv", b"comment\nnice\n")}}
    ),
    ("put", "/{queue_id}/flush"): Call(queue),
    ("get", "/{queue_id}/webhook"): Call(queue),
    ("put", "/{queue_id}/webhook"): Call(queue, {"json": {"target": "https://example.com/hook"}}),
    ("get", "/{queue_id}/metrics"): Call(queue),
    ("get", "/{queue_id}/tasks/completed"): queue_task(decided),
    ("get", "/{queue_id}/tasks/pending"): queue_task(queued),
    ("post", "/{queue_id}/tasks/create"): Call(queue, {"json": {"data": {"comment": "Nice."}}}),
    ("get", "/{queue_id}/tasks/next"): queue_task(in_review),
    ("get", _TASK): queue_task(queued),
    ("patch", _TASK): queue_task(in_review, send=VALUES, **REVIEWS),
    ("post", f"{_TASK}/save"): queue_task(in_review, send=VALUES, **REVIEWS),
    ("post", f"{_TASK}/assign"): queue_task(
        in_review, send={"json": {"assigned_to": "ada@example.com"}}, work="review"
    ),
    ("get", f"{_TASK}/activity"): queue_task(queued),
    ("post", f"{_TASK}/activity"): queue_task(queued, send={"json": {"comment": "Look."}}),
    ("put", f"{_TASK}/audit"): queue_task(decided, send={"json": {"correct": True}}),
}
HUMAN_LAMBDAS = {
    (method, f"/orgs/{{organization_id}}/{spelling}{path}"): call
    for spelling in ("queues", "workflows")
    for (method, path), call in _QUEUES.items()
}

_UPLOADS: dict[tuple[str, str], Call] = {
    ("post", "/upload"): Call(team_project, {"files": {"file": ("a.png", PNG)}}),
    ("get", "/upload"): Call(upload),
    ("get", "/upload/{upload_id}"): Call(upload),
    ("delete", "/upload/{upload_id}"): Call(upload),
    ("post", "/upload/{upload_id}/move/{folder_id}"): Call(upload),
    ("get", "/folder"): Call(team_project),
    ("post", "/folder"): Call(team_project, {"json": {"name": "Mine"}}),
    ("delete", "/folder/{folder_id}"): Call(folder),
    ("get", "/task/{task_id}"): send_ai(queued),
    ("patch", "/task/{task_id}"): send_ai(in_review, send=ANNOTATIONS, work="review"),
    ("post", "/task/{task_id}/complete"): send_ai(in_review, work="review"),
    ("post", "/task/{task_id}/discard"): send_ai(in_review, work="review"),
    ("put", "/task/{task_id}/discard"): send_ai(in_review, work="review"),
    ("post", "/task/{task_id}/unlock"): send_ai(completed, work="own"),
    ("put", "/task/{task_id}/unlock"): send_ai(completed, work="own"),
    ("post", "/task/{task_id}/report"): send_ai(queued, send=ISSUES),
}
SEND_AI = {
    (method, f"/v2/{{team_id}}/project/{{project_id}}{path}"): call
    for (method, path), call in _UPLOADS.items()
}

INNODATA: dict[tuple[str, str], Call] = {
    ("post", "/documents"): Call(nothing, {"content": PNG}),
    ("get", "/documents"): Call(document),
    ("get", "/documents/{document_id}"): Call(document),
    ("delete", "/documents/{document_id}"): Call(document),
    ("get", "/documents/{document_id}/contents"): Call(document),
    ("put", "/documents/{document_id}/contents"): Call(document, {"content": b"%PDF-1.7"}),
    ("post", "/jobs"): Call(document, JOB, elsewhere=404),
    ("get", "/jobs"): innodata(queued),
    ("get", "/jobs/{job_id}"): innodata(queued),
    ("put", "/jobs/{job_id}"): innodata(queued, send={"json": {"metadata": {}}}, work="own"),
    ("delete", "/jobs/{job_id}"): innodata(in_review, work="own"),
    ("post", "/jobs/{job_id}/cancel"): innodata(queued, work="own"),
    ("post", "/jobs/{job_id}/rewind"): innodata(completed, work="own"),
    ("get", "/jobs/{job_id}/contents"): innodata(queued),
    ("get", "/jobs/{job_id}/contents/{role}"): innodata(completed),
    ("put", "/jobs/{job_id}/contents/{role}"): innodata(
        in_review, send={"json": {"documents": []}}, work="review"
    ),
    ("get", "/job-types"): Call(nothing),
    ("get", "/job-types/{job_type_id}"): Call(job_type),
}

SURFACE_CALLS: dict[tuple[str, str], Call] = ALUMA | HUMAN_LAMBDAS | SEND_AI | INNODATA
