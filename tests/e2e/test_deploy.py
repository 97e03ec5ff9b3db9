"""What `papertray deploy` makes of a Prefect server, and `prefect deploy --all` of a checkout."""

import asyncio
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings
from sqlalchemy import select

from api.cli.doctor_prefect import examine_prefect
from api.cli.servers import deploy
from flows import dispatch, engine, verbs
from flows.daily_report import daily_report
from store.access import Caller
from store.database import database
from store.errors import InputError
from store.ids import now
from store.models import Outbox, Task
from store.organizations import organization_named
from store.settings import settings
from store.states import Actor
from tests.bad_network import Fault, bad_network
from tests.e2e.prefect_server_fixture import PREFECT, REPOSITORY, Server, until

pytestmark = pytest.mark.e2e

KEPT = ("updated", "entrypoint", "description", "version", "tags", "work_queue_name", "pull_steps")
RULED = ("parameter_openapi_schema", "enforce_parameter_schema", "parameters")


async def seen() -> dict[str, Any]:
    """What an operator sees in Prefect of what is set up."""
    listed = await engine.call("POST", "/deployments/filter", {"limit": 200})
    return {
        "deployments": {
            one["name"]: {
                **{name: one[name] for name in (*KEPT, *RULED)},
                "schedules": [
                    (schedule["slug"], schedule["active"], schedule["schedule"])
                    for schedule in one["schedules"]
                ],
            }
            for one in listed
            if one["work_pool_name"] == "papertray"
        },
        "queues": {
            one["name"]: (one["priority"], one["concurrency_limit"])
            for one in await engine.call("POST", "/work_pools/papertray/queues/filter", {})
        },
        "automations": {
            one["name"]: (one["enabled"], one["trigger"]["posture"], one["actions"])
            for one in await engine.call("POST", "/automations/filter", {})
        },
        "variables": {
            one["name"]: one["value"] for one in await engine.call("POST", "/variables/filter", {})
        },
    }


async def notification_block() -> str:
    """Make the block custom-webhook/ops; answers its id."""
    kind = await engine.call("GET", "/block_types/slug/custom-webhook")
    schemas = {"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}}
    (schema, *_) = await engine.call("POST", "/block_schemas/filter", schemas)
    block = {
        "name": "ops",
        "data": {"name": "ops", "url": "http://127.0.0.1:9/"},
        "block_schema_id": schema["id"],
        "block_type_id": kind["id"],
    }
    return (await engine.call("POST", "/block_documents/", block))["id"]


async def test_deploying_again_changes_nothing_and_prefect_deploys_the_same(
    prefect_server: Server, tmp_path: Path
) -> None:
    made = (await deploy()).data
    assert [one["name"] for one in made] == [one.name for one in engine.DEPLOYMENTS]
    first = await seen()
    assert list(first["queues"].items()) == [
        ("interactive", (1, None)),
        ("default", (2, None)),
        ("bulk", (3, 4 * settings().operation_slots)),
    ]
    assert set(first["automations"]) == set(engine.AUTOMATIONS)
    assert first["variables"].items() >= engine.VARIABLES.items()
    assert set(first["deployments"]) == {one.name for one in engine.DEPLOYMENTS}
    for one in first["deployments"].values():
        assert one["description"]
        assert one["version"] == engine.VERSION
        properties = one["parameter_openapi_schema"]["properties"]
        assert all(field.get("description") for field in properties.values())

    # What people set stays, and what they did not set is not even written again.
    (schedule,) = (await engine.call("GET", "/deployments/name/retain/retain"))["schedules"]
    path = f"/deployments/{schedule['deployment_id']}/schedules/{schedule['id']}"
    await engine.call("PATCH", path, {"active": False})
    await engine.call("PATCH", "/work_pools/papertray/queues/bulk", {"concurrency_limit": 3})
    await engine.call("PATCH", "/variables/name/papertray_report_days", {"value": 7})
    ops = await notification_block()
    before = await seen()
    assert (await deploy(notify="custom-webhook/ops")).data == made
    assert [await engine.is_paused(name) for name in ("retain", "expire")] == [True, False]
    (paused, noticed) = await examine_prefect(prefect_server.url, 30)
    assert (paused.name, paused.detail) == ("paused", "retain")
    assert noticed.detail == "noticed nothing within a day"
    second = await seen()
    for _, _, actions in second["automations"].values():
        assert [(one["type"], one["block_document_id"]) for one in actions] == [
            ("send-notification", ops)
        ]
    assert {**second, "automations": before["automations"]} == before
    with pytest.raises(InputError, match="no notification block"):
        await deploy(notify="custom-webhook/nobody")

    # Each takes Prefect a second: those of the operations are printed from the same table.
    told = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())
    told["deployments"] = [one for one in told["deployments"] if "operation" not in one["name"]][:8]
    file = tmp_path / "prefect.yaml"
    file.write_text(yaml.safe_dump(told))
    by_prefect = await asyncio.to_thread(
        subprocess.run,
        [PREFECT, "--no-prompt", "deploy", "--all", "--prefect-file", str(file)],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert by_prefect.returncode == 0, by_prefect.stdout[-2000:]
    third = await seen()
    for one in told["deployments"]:
        name = one["name"]
        assert comparable(third, name) == comparable(second, name)
    assert third["queues"] == second["queues"]


async def run_in(kind: str, name: str) -> None:
    """A run of a task that gets into a state, as its worker tells Prefect."""
    deployment = await engine.call("GET", "/deployments/name/process-task/process-task")
    run = await engine.call("POST", f"/deployments/{deployment['id']}/create_flow_run", {})
    body = {"state": {"type": kind, "name": name}, "force": True}
    await engine.call("POST", f"/flow_runs/{run['id']}/set_state", body)


async def test_each_automation_notices_what_it_is_for(prefect_server: Server) -> None:
    await deploy()
    body = {"automations": {"name": {"any_": list(engine.AUTOMATIONS)}}}
    for one in await engine.call("POST", "/automations/filter", body):
        if one["trigger"]["posture"] == "Proactive":  # an hour, and a day; Prefect's least is 10 s
            kept = ("name", "description", "enabled", "tags", "actions")
            changed = {name: one[name] for name in kept}
            trigger = {**one["trigger"], "within": 10}
            path = f"/automations/{one['id']}"
            await engine.call("PUT", path, {**changed, "trigger": trigger})
    since = now()
    await run_in("FAILED", "Failed")
    await run_in("RUNNING", "Running")
    await run_in("PAUSED", "Suspended")
    worker = {"name": "one", "heartbeat_interval_seconds": 1}
    pool = settings().work_pool
    await engine.call("POST", f"/work_pools/{pool}/workers/heartbeat", worker)
    body = {
        "filter": {
            "event": {"prefix": ["prefect.automation.triggered"]},
            "occurred": {"since": since.isoformat()},
        }
    }
    found: Counter[str] = Counter()

    async def all_triggered() -> bool:
        events = (await engine.call("POST", "/events/filter", body))["events"]
        found.clear()
        found.update(one["resource"]["prefect.resource.name"] for one in events)
        return set(found) == set(engine.AUTOMATIONS)

    try:
        await until(all_triggered, 90, 0.5)
    except TimeoutError as error:
        error.add_note(str(found))
        raise
    assert set(found.values()) == {1}, found
    (*_, told) = await examine_prefect(prefect_server.url, 30)
    assert all(f"{name} (1)" in told.detail for name in engine.AUTOMATIONS)


@pytest.mark.filterwarnings("ignore:Artifact creation outside:FutureWarning")
async def test_the_daily_report_is_there_as_artifacts(prefect_server: Server, home: Path) -> None:
    state = await daily_report.fn(days=3)
    assert state.message is not None
    assert state.message.endswith("0 came in, 0 completed, 0 failed.")
    keys = ["papertray-volume", "papertray-latency", "papertray-accuracy", "papertray-days"]
    found = {one["key"]: one for one in await engine.call("POST", "/artifacts/latest/filter", {})}
    assert [found[key]["type"] for key in keys] == ["image", "image", "image", "table"]


def comparable(all_seen: dict[str, Any], name: str) -> dict[str, Any]:
    """A deployment without what differs by who made it."""
    one = all_seen["deployments"][name]
    schema = {key: value for key, value in one["parameter_openapi_schema"].items() if value}
    # Prefect counts intervals from when it deploys, and switches on what was off.
    schedules = [
        (slug, {key: value for key, value in schedule.items() if key != "anchor_date"})
        for slug, _, schedule in one["schedules"]
    ]
    return {**one, "parameter_openapi_schema": schema, "schedules": schedules, "updated": None}


async def test_whatever_the_network_loses_of_the_dispatchers_calls_each_task_has_one_run(
    prefect_server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each kind of call one is lost after it was carried out, one cut, one refused, one late."""
    await deploy()
    monkeypatch.setattr(dispatch, "BATCH", 5)
    alice = Caller(await organization_named("acme"), Actor("alice@example.com", "tests"))
    await verbs.install_project(alice, "name: orders\nblocks: [{name: a, type: text}]\n")
    tasks = [await verbs.submit_process(alice, project="orders", data={}) for _ in range(40)]
    async with bad_network(prefect_server.port) as network:
        with temporary_settings({PREFECT_API_URL: network.url}):
            stop = asyncio.Event()
            dispatcher = asyncio.create_task(dispatch.run_dispatcher(stop))
            await until(all_calls_are_made, 120)
            for task in tasks:
                await verbs.cancel(alice, task.public_id)
            await until(all_calls_are_made, 120)
            stop.set()
            await dispatcher
    mine = {"tags": {"all_": [f"org:{alice.organization_id}"]}}
    runs = await engine.call("POST", "/flow_runs/filter", {"limit": 200, "flow_runs": mine})
    assert len(runs) == len(tasks)
    async with database().reading() as session:
        found = (await session.execute(select(Task))).scalars().all()
    assert {str(task.flow_run_id): str(task.id) for task in found} == {
        run["id"]: run["idempotency_key"] for run in runs
    }
    assert {run["state"]["type"] for run in runs} == {"CANCELLED"}
    print(f"{network.faults.total()} faults in {network.calls.total()} calls: {network.calls}")
    assert all(network.faults[fault] >= 2 for fault in Fault)


async def all_calls_are_made() -> bool:
    async with database().reading() as session:
        return (await session.execute(select(Outbox).limit(1))).first() is None
