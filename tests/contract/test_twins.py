"""Two organizations in which everything has the same names: neither sees anything of the other."""

import re
from dataclasses import dataclass

from fastapi import FastAPI

from store.keys import create_key
from store.organizations import number_of, organization_named
from store.states import Event
from tests.contract.human_lambdas.desk import BLOCKS, row_of
from tests.contract.test_access_matrix import ADDRESSES, SPELLINGS, schemes_of
from tests.contract.world import (
    PNG,
    Client,
    add_output,
    install,
    let_happen,
    put_into_review,
    task_of,
)

ID = re.compile(
    r"[a-z]+_[a-z0-9]{16}(?![a-z0-9])"
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(?<=\")[A-Za-z0-9_-]{22}(?=\")"
)
"""Ids of every surface, but for whole numbers."""

ONE_OF_MANY = {"task_id", "job_id", "file_id", "document_id", "upload_id", "webhook_id", "key_id"}
"""What is named by an id of its own in the path, and is in no list."""

NO_LISTS = ("/projects/{project_id}", "/tasks/next", "/stream")
"""Named by an id, too; gives a task away; has no end."""

ALIKE = ("/job-types", "/job-types/{job_type_id}", "/{queue_id}/metrics", "/{queue_id}/webhook")
"""What has no id: it may be the same text in both; in metrics, times are most often not."""

OF_ALL = {"folder_inbox", "folder_processed", "folder_reported", "folder_bin"}
"""Ids that are the same in all projects."""

VOLATILE = re.compile(r'"tracking":"[^"]+"|"date":"[^"]+"')
"""What is another at each call."""


def lists() -> list[str]:
    """Every address that shows what there is, by nothing or by names that both have."""
    return [
        path
        for method, path in ADDRESSES
        if method == "get"
        and not any(f"{{{one}}}" in path for one in ONE_OF_MANY)
        and not path.endswith(NO_LISTS)
    ]


@dataclass
class Twin:
    """One of the two."""

    name: str
    key: str
    number: int
    queue: int = 0

    async def get(self, client: Client, path: str) -> str:
        """What a list shows to its admin, who is called the same in both."""
        scheme = next(iter(schemes_of(ADDRESSES["get", path])))
        address = path.format(
            name="invoices",
            user="ada@example.com",
            team="claims",
            organization_id=self.number,
            queue_id=self.queue,
            team_id="claims",
            project_id="invoices",
            job_type_id="invoices",
        )
        answer = await client.get(address, headers=SPELLINGS[scheme](self.key))
        assert answer.status_code == 200, (path, answer.text)
        return VOLATILE.sub("", answer.text)


async def twin(name: str) -> Twin:
    made = await create_key(["admin"], organization=name, user="ada@example.com")
    return Twin(name, made.key, await number_of(await organization_named(name)))


async def fill(one: Twin, client: Client) -> None:
    """A project, a team, a queue, a folder, uploads and tasks in several states."""
    native = {"x-api-key": one.key}
    theirs = f"/orgs/{one.number}/queues"
    client.headers.update(native)
    for path, body in (
        ("/v1/teams", {"name": "claims"}),
        ("/v1/users", {"email": "eve@example.com"}),
        ("/v1/webhooks", {"url": "https://example.com/hook"}),
        ("/v1/keys", {"scopes": ["task.read"], "name": "mail room"}),
    ):
        answer = await client.post(path, json=body)
        assert answer.status_code == 201, answer.text
    await install(client)
    given = await client.put("/v1/projects/invoices/team", json={"team": "claims"})
    assert given.status_code == 200
    for _ in range(2):
        answer = await client.post(
            "/v1/tasks", files={"file": ("a.png", PNG)}, data={"project": "invoices"}
        )
        await put_into_review(answer.json()["id"])
        await add_output(await task_of(answer.json()["id"]))
    token = SPELLINGS["Token"](one.key)
    body = {"name": "Moderate Comments", "data": BLOCKS}
    answer = await client.post(theirs, json=body, headers=token)
    assert answer.status_code == 201, answer.text
    one.queue = answer.json()["id"]
    at, body = f"{theirs}/{one.queue}/tasks/create", {"data": {"comment": "Nice."}}
    for _ in range(2):
        answer = await client.post(at, json=body, headers=token)
        assert answer.status_code == 201, answer.text
    done_with = await row_of(answer.json()["id"])
    await let_happen(done_with.public_id, Event.START, Event.FINISH)
    answer = await client.post(
        "/v2/claims/project/invoices/folder",
        json={"name": "Mine"},
        headers=SPELLINGS["Bearer"](one.key),
    )
    assert answer.status_code == 201, answer.text
    target = f"{theirs}/{one.queue}/webhook"
    answer = await client.put(target, json={"target": "https://example.com/q"}, headers=token)
    assert answer.status_code == 200, answer.text
    answer = await client.post(
        "/v2/claims/project/invoices/upload",
        files={"file": ("a.png", PNG)},
        headers=SPELLINGS["Bearer"](one.key),
    )
    assert answer.status_code == 201, answer.text
    answer = await client.post("/documents", content=PNG, headers=SPELLINGS["Basic"](one.key))
    assert answer.status_code == 201, answer.text
    del client.headers["x-api-key"]


async def test_twins_see_nothing_of_each_other(stranger: Client, app: FastAPI):
    """What the first sees is the same, to the letter, before and after the second does the same."""
    del app
    first, second = await twin("acme"), await twin("globex")
    await fill(first, stranger)
    before = {path: await first.get(stranger, path) for path in lists()}
    await fill(second, stranger)
    after = {path: await first.get(stranger, path) for path in lists()}
    assert after == before
    others = {path: await second.get(stranger, path) for path in lists()}
    ours, theirs = (set(ID.findall("\n".join(one.values()))) for one in (after, others))
    assert len(ours) > 20
    assert ours & theirs <= OF_ALL
    assert all(path.endswith(ALIKE) for path in after if after[path] == others[path])
