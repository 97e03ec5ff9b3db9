"""A program of a team, what it sends, and what a worker makes of that."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from store.keys import create_key
from store.states import Event
from tests.contract.world import PNG, Client, let_happen, put_into_review

ALL: Final = (
    *("upload.read", "upload.create", "upload.edit", "upload.delete"),
    *("task.read", "task.edit"),
)
"""The scopes of a program that may do everything here."""


async def key_of(team: str, *scopes: str, organization: str = "acme") -> str:
    """A key of a team."""
    return (await create_key(scopes, organization=organization, team=team)).key


@dataclass(frozen=True)
class Desk:
    """A program at a project of a team."""

    http: Client
    team_id: str
    project_id: str

    def at(self, path: str) -> str:
        """An address of the project."""
        return f"/v2/{self.team_id}/project/{self.project_id}{path}"

    async def call(self, method: str, path: str, **sent: Any) -> httpx.Response:
        return await self.http.request(method, self.at(path), **sent)

    async def send(self, *names: str, **fields: str) -> tuple[str, list[str]]:
        """Send files; answers the ids of the upload and of its tasks."""
        files = [("file", (name, PNG)) for name in names or ("page.png",)]
        answer = await self.call("POST", "/upload", files=files, data=fields)
        upload_id = done(answer, 201)["id"]
        upload = done(await self.call("GET", f"/upload/{upload_id}"))["payload"]
        return upload_id, list(upload["files"])

    async def send_to_review(self, *names: str) -> tuple[str, list[str]]:
        """Send files, of which the first waits for a person."""
        upload_id, tasks = await self.send(*names)
        await put_into_review(tasks[0])
        return upload_id, tasks

    async def task(self, task_id: str) -> dict[str, Any]:
        return done(await self.call("GET", f"/task/{task_id}"))["payload"]

    async def upload(self, upload_id: str) -> dict[str, Any]:
        return done(await self.call("GET", f"/upload/{upload_id}"))["payload"]


def done(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def refused(answer: httpx.Response, status: int = 400) -> dict[str, Any]:
    """An error in the shape of this surface."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["message"]
    assert body.keys() <= {"message", "errors"}
    return body


async def end(task_ids: Sequence[str], *events: Event) -> None:
    """What a worker does to tasks that it has taken up."""
    for task_id in task_ids:
        await let_happen(task_id, Event.START, *events)
