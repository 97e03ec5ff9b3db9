"""One store, driven through five surfaces at once: they all tell the same of each task.

After each step all five show the task, each in its own words, as the table of states has it; and
in the end every list has what its counts say, and nothing of anybody else.
"""

import asyncio
import itertools
import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import update
from sqlmodel import col, select

from api.app import create_app
from api.error_shapes import shape_of
from api.rate_limits import RateLimit
from store.database import database
from store.ids import now, short_of
from store.keys import create_key
from store.lifecycle import LIFECYCLE, advance
from store.models import Project, Task
from store.organizations import number_of, organization_named, team_named
from store.states import Event, State
from tests.conftest import forget_process_state
from tests.contract.counters import counted_anew, counted_on
from tests.contract.test_access_matrix import SPELLINGS
from tests.contract.world import PNG, WORKER, add_document
from tests.properties.five_surfaces import (
    DOINGS,
    REFUSED,
    SCHEMES,
    SHOWN,
    WORKERS_EVENTS,
    Doing,
    Known,
)

EXAMPLES = int(os.environ.get("PAPERTRAY_SURFACE_EXAMPLES", "6"))
STEPS = int(os.environ.get("PAPERTRAY_SURFACE_STEPS", "30"))
MOST_TASKS = 4

PROJECTS = {
    "invoices": "name: invoices\nretention: {data: 30d}\nfields: [{name: total, labels: [T]}]\n",
    "comments": "name: comments\nretention: {data: 30d}\nblocks: [{name: comment, type: text}]\n",
}
ADMINS = ("ada", "bob", "robot")
"""Two people and a program; all of them may do everything that is not private to another."""


class Server:
    """The app on a store of its own, and the event loop in which it runs."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.app = create_app(run_background=False)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://papertray.test"
        )
        self._life = self.app.router.lifespan_context(self.app)
        self.run(self._life.__aenter__())
        limits = self.app.state.rate_limits
        limits.of_key = limits.of_organization = RateLimit(0)

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def stop(self) -> None:
        self.run(self.client.aclose())
        self.run(self._life.__aexit__(None, None, None))
        self.runner.close()


class FiveSurfaces(RuleBasedStateMachine):
    """Random calls by random callers; each example is an organization of its own."""

    server: Server
    numbers = itertools.count()

    @initialize()
    def begin(self) -> None:
        self.tasks: list[Known] = []
        self.run(self._begin(f"organization-{next(self.numbers)}"))

    async def _begin(self, name: str) -> None:
        made = {
            who: await create_key(
                [scope],
                organization=organization,
                user="" if who == "robot" else f"{who}@example.com",
            )
            for who, scope, organization in (
                *((admin, "admin", name) for admin in ADMINS),
                ("reader", "task.read", name),
                ("eve", "admin", f"{name}-twin"),
            )
        }
        self.keys = {who: one.key for who, one in made.items()}
        self.actors = {who: f"{who}@example.com" for who in made}
        self.actors["robot"] = f"key:{made['robot'].row.prefix}"
        self.organization_id = await organization_named(name)
        self.place = {
            "organization": str(await number_of(self.organization_id)),
            "team": str(await team_named(self.organization_id, "claims")),
        }
        for source in PROJECTS.values():
            await self.call("v1", "ada", "POST", "/v1/projects", json={"source": source})
        query = select(Project).where(col(Project.organization_id) == self.organization_id)
        async with database().reading() as session:
            found = (await session.execute(query)).scalars().all()
        self.projects = {one.name: one for one in found}

    def run(self, work: Any) -> Any:
        return self.server.run(work)

    async def call(
        self, surface: str, who: str, method: str, path: str, **sent: Any
    ) -> httpx.Response:
        """A call, which no surface may answer with a fault of its own."""
        headers = SPELLINGS[SCHEMES[surface]](self.keys[who])
        answer = await self.server.client.request(method, path, headers=headers, **sent)
        assert answer.status_code < 500, (method, path, answer.text)
        if answer.is_error:
            assert answer.headers["content-type"] == shape_of(path).media_type
        return answer

    def left(self) -> list[Known]:
        return [task for task in self.tasks if not task.is_gone]

    # What callers do

    @precondition(lambda self: len(self.left()) < MOST_TASKS)
    @rule(
        surface=st.sampled_from(sorted(SHOWN)),
        who=st.sampled_from(ADMINS),
        then=st.sampled_from([(), (Event.START, Event.ASK), (Event.START, Event.OFFER_EXPORT)]),
    )
    def create(self, surface: str, who: str, then: tuple[Event, ...]) -> None:
        """A task: new, or one that waits for a person or a client already."""
        self.run(self._create(surface, who))
        for event in then:
            self.run(self._work(event, self.tasks[-1]))

    async def _create(self, surface: str, who: str) -> None:
        files, project = self.projects["invoices"], {"project": "invoices"}
        file = {"file": ("a.png", PNG)}
        is_of_file = surface != "human_lambdas"
        match surface:
            case "v1":
                sent: dict[str, Any] = {"path": "/v1/tasks", "files": file, "data": project}
            case "aluma":
                path = f"/tasks?project_id={short_of(files.id)}"
                sent = {"path": path, "content": PNG}
            case "send_ai":
                path = f"/v2/{self.place['team']}/project/{files.id}/upload"
                sent = {"path": path, "files": file}
            case "human_lambdas":
                queue = self.projects["comments"].number
                path = f"/orgs/{self.place['organization']}/queues/{queue}/tasks/create"
                sent = {"path": path, "json": {"data": {"comment": "Nice."}}}
            case _:
                answer = await self.call("innodata", who, "POST", "/documents", content=PNG)
                uri = answer.json()["response"]["contents_uri"]
                contents = [{"role": "input", "uri": uri}]
                sent = {"path": "/jobs", "json": {"type": "invoices", "contents": contents}}
        answer = await self.call(surface, who, "POST", **sent)
        assert answer.is_success, answer.text
        query = select(Task).where(col(Task.organization_id) == self.organization_id)
        async with database().reading() as session:
            newest = query.order_by(col(Task.number).desc()).limit(1)
            row = (await session.execute(newest)).scalar_one()
        if is_of_file:
            await add_document(row)
        of = files if is_of_file else self.projects["comments"]
        names = {
            "v1": row.public_id,
            "aluma": row.short_id,
            "job": str(row.id),
            "number": str(row.number),
            "project": str(of.id),
            "queue": str(of.number),
        }
        owner = who if surface == "innodata" else None
        known = Known(names | self.place, is_of_file, owner, surface == "send_ai")
        self.tasks.append(known)
        await self.look(known)

    @precondition(lambda self: self.left())
    @rule(doing=st.sampled_from(DOINGS), who=st.sampled_from(ADMINS), data=st.data())
    def do(self, doing: Doing, who: str, data: st.DataObject) -> None:
        self.run(self._do(doing, who, data.draw(st.sampled_from(self.left()))))

    async def _do(self, doing: Doing, who: str, task: Known) -> None:
        sent = {} if doing.body is None else {"json": doing.body}
        path = doing.path.format(**task.names)
        answer = await self.call(doing.surface, who, doing.method, path, **sent)
        actor = self.actors[who]
        if task.owner not in {None, who}:
            assert answer.status_code == 404, answer.text
        elif doing.is_allowed(task, actor):
            assert answer.is_success, (doing, task, answer.text)
            doing.apply(task, actor)
        else:
            assert answer.status_code == REFUSED[doing.surface], (doing, task, answer.text)
        await self.look(task)

    @precondition(lambda self: self.left())
    @rule(who=st.sampled_from(ADMINS), data=st.data())
    def do_in_order(self, who: str, data: st.DataObject) -> None:
        """What is possible just now, which a random call seldom is."""
        task = data.draw(st.sampled_from(self.left()))
        who = next((name for name in ADMINS if self.actors[name] == task.claimed_by), who)
        possible = [one for one in DOINGS if one.is_allowed(task, self.actors[who])]
        able = [one for one in possible if one.does not in {"", "go"}]
        if able:
            self.run(self._do(data.draw(st.sampled_from(able)), who, task))

    @precondition(lambda self: self.left())
    @rule(doing=st.sampled_from(DOINGS), data=st.data())
    def be_nobody(self, doing: Doing, data: st.DataObject) -> None:
        """Whoever may only read, and an admin of another organization, change nothing."""
        task = data.draw(st.sampled_from(self.left()))
        self.run(self._be_nobody(doing, task))

    async def _be_nobody(self, doing: Doing, task: Known) -> None:
        path = doing.path.format(**task.names)
        sent = {} if doing.body is None else {"json": doing.body}
        elsewhere = 403 if doing.surface == "human_lambdas" else 404
        for who, status in (("reader", 403), ("eve", elsewhere)):
            answer = await self.call(doing.surface, who, doing.method, path, **sent)
            assert answer.status_code == status, (doing, who, answer.text)
        assert (await self.row_of(task)).state is task.state

    @precondition(lambda self: self.left())
    @rule(who=st.sampled_from(ADMINS), surface=st.sampled_from(("v1", "human_lambdas")))
    def take_next(self, who: str, surface: str) -> None:
        self.run(self._take_next(who, surface))

    async def _take_next(self, who: str, surface: str) -> None:
        queue = self.projects["invoices"].number
        at = f"/orgs/{self.place['organization']}/queues/{queue}/tasks/next"
        seen = [task for task in self.left() if task.owner in {None, who}]
        waiting = [task for task in seen if task.state is State.IN_REVIEW]
        free = [task for task in waiting if task.holder is None]
        if surface == "v1":
            answer = await self.call("v1", who, "POST", "/v1/tasks/next")
        else:
            answer = await self.call(surface, who, "GET", at)
            waiting = [task for task in waiting if task.is_of_file]
            mine = [task for task in waiting if task.holder == self.actors[who]]
            free = [task for task in waiting if task.holder is None]
            free = mine or [task for task in free if not task.was_claimed] or free
        if not free:
            assert answer.status_code == 204, answer.text
            return
        assert answer.status_code == 200, answer.text
        name = "v1" if surface == "v1" else "number"
        (given,) = [task for task in seen if task.names[name] == str(answer.json()["id"])]
        assert given is free[0]
        given.hold(self.actors[who])
        await self.look(given)

    # What else happens

    @precondition(lambda self: self.left())
    @rule(event=st.sampled_from(WORKERS_EVENTS), data=st.data())
    def work(self, event: Event, data: st.DataObject) -> None:
        """A worker, or the clock, does what the table allows."""
        able = [task for task in self.left() if (task.state, event) in LIFECYCLE]
        if able:
            self.run(self._work(event, data.draw(st.sampled_from(able))))

    async def _work(self, event: Event, task: Known) -> None:
        row = await self.row_of(task)
        changes: dict[str, Any] = {}
        if event is Event.ASK:
            changes = {"review_round": row.review_round + 1, "review_step": "extract"}
        elif event is Event.OFFER_EXPORT:
            changes = {"export_round": row.export_round + 1}
        async with database().writing() as session:
            await advance(session, row, event, WORKER, **changes)
        task.happen(event)
        if event is not Event.START:  # in whose place something else is seen in a moment
            await self.look(task)

    @precondition(lambda self: any(task.holder for task in self.left()))
    @rule(data=st.data())
    def let_a_lease_run_out(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from([task for task in self.left() if task.holder]))
        task.is_live = False
        self.run(self._let_run_out(task))

    async def _let_run_out(self, task: Known) -> None:
        row = await self.row_of(task)
        async with database().writing() as session:
            past = update(Task).where(col(Task.id) == row.id)
            await session.execute(past.values(claimed_until=now() - timedelta(seconds=1)))
        await self.look(task)

    # What must be so

    async def row_of(self, task: Known) -> Task:
        query = select(Task).where(col(Task.number) == int(task.names["number"]))
        async with database().reading() as session:
            return (await session.execute(query)).scalar_one()

    async def look(self, task: Known) -> None:
        """All five tell the same of a task, each in its own words; others are told of none."""
        who = task.owner or "bob"
        told = {
            surface: await self.call(surface, who, "GET", path.format(**task.names))
            for surface, path in SHOWN.items()
        }
        if task.is_gone:
            assert {one.status_code for one in told.values()} == {404}
            return
        shown = {surface: one.json() for surface, one in told.items()}
        assert {one.status_code for one in told.values()} == {200}, shown
        v1, job, words = shown["v1"], shown["innodata"]["response"], task.words
        action = shown["aluma"].get("client_action")
        assert {v1["state"], job["state"], shown["human_lambdas"]["state"]} == {task.state}
        assert (v1["status"], job["status"]) == (words.v1, words.innodata)
        assert (shown["aluma"]["state"], action) == (words.aluma, words.client_action)
        assert shown["send_ai"]["payload"]["status"] == words.send_ai
        assert shown["human_lambdas"]["status"] == words.human_lambdas
        assert v1["claimed_by"] == task.holder
        assert (await self.row_of(task)).state is task.state

    def teardown(self) -> None:
        if hasattr(self, "projects"):
            self.run(self._compare_lists())

    async def _compare_lists(self) -> None:
        assert await counted_on() == await counted_anew()
        for who in (*ADMINS, "eve"):
            seen = [task for task in self.left() if task.owner in {None, who} and who != "eve"]
            v1 = (await self.call("v1", who, "GET", "/v1/tasks?take=100")).json()["data"]
            assert [one["id"] for one in v1] == [task.names["v1"] for task in reversed(seen)]
            aluma = (await self.call("aluma", who, "GET", "/tasks")).json()["tasks"]
            assert [one["id"] for one in aluma] == [task.names["aluma"] for task in seen]
            jobs = (await self.call("innodata", who, "GET", "/jobs")).json()["response"]
            expected = [task.names["job"] for task in reversed(seen) if task.is_of_file]
            assert [one["id"] for one in jobs["jobs"]] == expected
            assert jobs["count"] == len(expected)
            if who == "eve":
                continue
            for project in self.projects.values():
                of = [task for task in seen if task.names["queue"] == str(project.number)]
                at = f"/orgs/{self.place['organization']}/queues/{project.number}/tasks"
                for word, is_settled in (("completed", True), ("pending", False)):
                    page = (await self.call("human_lambdas", who, "GET", f"{at}/{word}")).json()
                    numbers = {str(one["id"]) for one in page["tasks"]}
                    assert page["count"] == len(page["tasks"]) == len(numbers)
                    assert numbers == {
                        task.names["number"] for task in of if task.is_settled is is_settled
                    }


@pytest.fixture
def server(
    migrated_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    shutil.copy(migrated_database, tmp_path / "papertray.db")
    monkeypatch.setenv("PAPERTRAY_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    forget_process_state()
    server = Server()
    yield server
    server.stop()
    forget_process_state()


def test_all_five_surfaces_tell_the_same_of_every_task(
    server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(FiveSurfaces, "server", server, raising=False)
    run_state_machine_as_test(
        FiveSurfaces,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize="PAPERTRAY_SURFACE_EXAMPLES" not in os.environ,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
