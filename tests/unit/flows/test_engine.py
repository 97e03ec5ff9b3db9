from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed

from flows import engine
from flows.engine import Outcome, Parked, Run, Submission, client, deployments, transitions
from store.errors import (
    ConflictError,
    NotFoundError,
    PapertrayError,
    PrefectUnreachableError,
    UnavailableError,
)

REPOSITORY = Path(__file__).parents[3]
BEGAN = datetime(2026, 11, 22, tzinfo=UTC)


class FakePrefect:
    """One run of a Prefect server: answers calls as the server does, forces what it is told."""

    def __init__(self) -> None:
        self.id = uuid4()
        self.states: list[dict[str, Any]] = []
        self.infrastructure_pid: str | None = None
        self.policy: dict[str, Any] = {}
        self.calls: list[tuple[str, str, Any]] = []
        self.before_force: Callable[[], object] = lambda: None
        """What happens to the run between being read and being forced."""
        self.resume_answers: list[dict[str, Any] | PapertrayError] = []

    def becomes(self, kind: str, name: str, **details: Any) -> dict[str, Any]:
        at = BEGAN + timedelta(seconds=len(self.states))
        state = {
            "id": str(uuid4()),
            "type": kind,
            "name": name,
            "message": "",
            "data": None,
            "timestamp": at.isoformat(),
            "state_details": {"transition_id": str(uuid4()), **details},
        }
        self.states.append(state)
        return state

    @property
    def names(self) -> list[str]:
        return [state["name"] for state in self.states]

    async def call(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        self.calls.append((method, path, body))
        if path.endswith("/set_state"):
            if body["force"]:
                before, self.before_force = self.before_force, lambda: None
                before()
            wanted = body["state"]
            state = self.becomes(wanted["type"], wanted["name"], **wanted.get("state_details", {}))
            return {"status": "ACCEPT", "state": state, "details": {}}
        if path.endswith("/resume"):
            answer = self.resume_answers.pop(0)
            if isinstance(answer, PapertrayError):
                raise answer
            return answer
        if method == "PATCH":
            self.infrastructure_pid = body.get("infrastructure_pid", self.infrastructure_pid)
            self.policy = body.get("empirical_policy", self.policy)
            return None
        if path == "/flow_run_states/":
            return self.states
        assert (method, path) == ("GET", f"/flow_runs/{self.id}"), (method, path)
        return {
            "id": str(self.id),
            "created": BEGAN.isoformat(),
            "state": self.states[-1],
            "run_count": 1,
            "infrastructure_pid": self.infrastructure_pid,
            "empirical_policy": self.policy,
        }


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch) -> FakePrefect:
    fake = FakePrefect()
    monkeypatch.setattr(client, "call", fake.call)
    monkeypatch.setattr(transitions, "FIRST_PAUSE_SECONDS", 0.0)
    return fake


def paused(prefect: FakePrefect) -> None:
    prefect.becomes("RUNNING", "Running")
    prefect.becomes(
        "PAUSED",
        "Paused",
        pause_key="review-1",
        run_input_keyset={"schema": "s"},
        pause_timeout="2036-01-01T00:00:00+00:00",
        pause_reschedule=False,
    )


async def test_a_parked_run_keeps_its_key_its_form_and_its_deadline(prefect: FakePrefect) -> None:
    paused(prefect)
    assert await engine.park(prefect.id) is Parked.PARKED
    details = prefect.states[-1]["state_details"]
    assert prefect.names[-1] == "Suspended"
    assert details["pause_reschedule"] is True
    for kept in ("pause_key", "run_input_keyset", "pause_timeout"):
        assert details[kept] == prefect.states[1]["state_details"][kept]
    sent = next(body for _, path, body in prefect.calls if path.endswith("/set_state"))
    assert "transition_id" not in sent["state"]["state_details"]


async def test_a_resume_that_parking_overwrote_is_carried_out(prefect: FakePrefect) -> None:
    paused(prefect)
    prefect.before_force = lambda: prefect.becomes("RUNNING", "Running")
    assert await engine.park(prefect.id) is Parked.RESCHEDULED
    assert prefect.names == ["Running", "Paused", "Running", "Suspended", "Resuming"]


async def test_a_cancel_that_parking_overwrote_is_carried_out(prefect: FakePrefect) -> None:
    paused(prefect)
    prefect.before_force = lambda: prefect.becomes("CANCELLING", "Cancelling")
    assert await engine.park(prefect.id) is Parked.OVER
    assert prefect.names[-1] == "Cancelled"


async def test_a_run_whose_parking_was_carried_out_twice_is_parked(prefect: FakePrefect) -> None:
    """As when Prefect dies before it answers the first time."""
    paused(prefect)
    prefect.before_force = lambda: prefect.becomes("PAUSED", "Suspended", pause_reschedule=True)
    assert await engine.park(prefect.id) is Parked.PARKED
    assert prefect.names[-1] == "Suspended"


async def test_a_resume_between_two_parkings_is_carried_out(prefect: FakePrefect) -> None:
    paused(prefect)

    def happen() -> None:
        prefect.becomes("PAUSED", "Suspended", pause_reschedule=True)
        prefect.becomes("SCHEDULED", "Resuming")

    prefect.before_force = happen
    assert await engine.park(prefect.id) is Parked.RESCHEDULED
    assert prefect.names[-2:] == ["Suspended", "Resuming"]


@pytest.mark.parametrize("is_before", [True, False], ids=["before", "meanwhile"])
async def test_a_cancel_that_a_wait_without_a_process_overwrote_is_carried_out(
    is_before: bool, prefect: FakePrefect
) -> None:
    prefect.becomes("RUNNING", "Running")
    if is_before:
        prefect.becomes("CANCELLING", "Cancelling")
    else:
        prefect.before_force = lambda: prefect.becomes("CANCELLING", "Cancelling")
    await engine.suspend(prefect.id, pause_key="review-1", keyset={}, until=BEGAN)
    assert prefect.names[-1] == "Cancelled"


async def test_an_end_that_parking_overwrote_stands(prefect: FakePrefect) -> None:
    paused(prefect)
    prefect.before_force = lambda: prefect.becomes("FAILED", "TimedOut")
    assert await engine.park(prefect.id) is Parked.OVER
    assert prefect.names[-1] == "TimedOut"


@pytest.mark.parametrize(
    ("kind", "name", "outcome"),
    [
        ("RUNNING", "Running", Parked.RESUMED),
        ("SCHEDULED", "Resuming", Parked.RESCHEDULED),
        ("COMPLETED", "Completed", Parked.OVER),
    ],
)
async def test_only_a_paused_run_is_parked(
    prefect: FakePrefect, kind: str, name: str, outcome: Parked
) -> None:
    prefect.becomes(kind, name)
    assert await engine.park(prefect.id) is outcome
    assert len(prefect.states) == 1


async def test_a_run_that_is_given_back_can_be_found_and_cancelled(prefect: FakePrefect) -> None:
    prefect.becomes("RUNNING", "Running")
    prefect.infrastructure_pid = "host:1"
    prefect.policy = {"retry_type": "in_process", "pause_keys": ["review-1"]}
    assert await engine.reschedule(prefect.id)
    assert prefect.infrastructure_pid is None
    assert prefect.policy == {"retry_type": "reschedule", "pause_keys": ["review-1"]}
    assert prefect.names[-1] == "AwaitingRetry"
    assert prefect.states[-1]["state_details"]["scheduled_time"]


async def test_a_run_that_has_ended_is_executed_again_only_on_demand(prefect: FakePrefect) -> None:
    prefect.becomes("FAILED", "Failed")
    assert not await engine.reschedule(prefect.id)
    assert await engine.reschedule(prefect.id, even_if_final=True)
    assert prefect.names == ["Failed", "AwaitingRetry"]


async def test_a_run_that_was_taken_over_was_not_restarted_and_one_that_was_over_was(
    prefect: FakePrefect,
) -> None:
    prefect.becomes("RUNNING", "Running")
    assert await engine.reschedule(prefect.id)
    prefect.becomes("RUNNING", "Running")
    assert await engine.times_restarted(prefect.id) == 0
    prefect.becomes("FAILED", "Failed")
    assert await engine.times_restarted(prefect.id) == 0
    assert await engine.reschedule(prefect.id, even_if_final=True)
    assert await engine.times_restarted(prefect.id) == 1


async def test_a_run_that_ended_while_it_was_given_back_stays_ended(prefect: FakePrefect) -> None:
    prefect.becomes("RUNNING", "Running")
    prefect.before_force = lambda: prefect.becomes("COMPLETED", "Filtered")
    assert not await engine.reschedule(prefect.id)
    assert prefect.names[-1] == "Filtered"


@pytest.mark.parametrize(
    ("kind", "name", "details", "then"),
    [
        ("PENDING", "Pending", {}, "AwaitingRetry"),
        ("RUNNING", "Running", {}, "AwaitingRetry"),
        ("CANCELLING", "Cancelling", {}, "Cancelled"),
        ("PAUSED", "Paused", {"pause_key": "review-1"}, "Suspended"),
        ("PAUSED", "Suspended", {"pause_reschedule": True}, "Suspended"),
        ("SCHEDULED", "Late", {}, "Late"),
        ("COMPLETED", "Filtered", {}, "Filtered"),
    ],
)
async def test_what_a_dead_worker_held_is_freed(
    prefect: FakePrefect, kind: str, name: str, details: dict[str, Any], then: str
) -> None:
    prefect.becomes(kind, name, **details)
    await engine.take_over(prefect.id)
    assert prefect.names[-1] == then


async def test_a_run_that_ended_is_not_cancelled(prefect: FakePrefect) -> None:
    prefect.becomes("COMPLETED", "Completed")
    await engine.cancel(prefect.id)
    assert prefect.names == ["Completed"]


async def test_a_cancel_does_not_wait_for_a_process_that_is_gone(prefect: FakePrefect) -> None:
    prefect.becomes("SCHEDULED", "AwaitingRetry")
    prefect.infrastructure_pid = "host:1"
    await engine.cancel(prefect.id)
    assert prefect.infrastructure_pid is None
    assert prefect.calls[-1][2]["force"] is False


async def test_a_run_is_ended_once(prefect: FakePrefect) -> None:
    prefect.becomes("PAUSED", "Suspended")
    await engine.end(prefect.id, Completed(name="Discarded"))
    await engine.end(prefect.id, Completed(name="Discarded"))
    assert prefect.names == ["Suspended", "Discarded"]


ACCEPT = {"status": "ACCEPT", "details": {}}
NO_SCHEMA = {"status": "REJECT", "details": {"reason": "Run input schema not found."}}
UNFIT = {"status": "REJECT", "details": {"reason": "Reason: 'x' failed. Failure reason: secret"}}
NOT_PAUSED = {"status": "ABORT", "details": {"reason": "Cannot resume a flow run ..."}}


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([ACCEPT], Outcome.ACCEPTED),
        ([NO_SCHEMA, NO_SCHEMA, ACCEPT], Outcome.ACCEPTED),
        ([PrefectUnreachableError(), NOT_PAUSED], Outcome.NOT_PAUSED),
        ([UNFIT], Outcome.INVALID),
        ([NotFoundError()], Outcome.NOT_PAUSED),
    ],
)
async def test_a_resume_is_tried_until_it_is_answered(
    prefect: FakePrefect, answers: list[Any], outcome: Outcome, caplog: pytest.LogCaptureFixture
) -> None:
    prefect.resume_answers = list(answers)
    assert await engine.resume(prefect.id, {"decision": "complete"}) is outcome
    assert prefect.resume_answers == []
    assert "secret" not in caplog.text


async def test_a_resume_is_not_tried_for_ever(prefect: FakePrefect) -> None:
    prefect.resume_answers = [NO_SCHEMA] * engine.RESUME_TRIES
    with pytest.raises(UnavailableError):
        await engine.resume(prefect.id, {"decision": "complete"})
    prefect.resume_answers = [PrefectUnreachableError()] * engine.RESUME_TRIES
    with pytest.raises(PrefectUnreachableError):
        await engine.resume(prefect.id, {"decision": "complete"})


async def test_a_resume_is_for_its_own_round_only(prefect: FakePrefect) -> None:
    paused(prefect)
    prefect.resume_answers = [ACCEPT]
    answer = {"decision": "complete"}
    assert await engine.resume(prefect.id, answer, pause_key="review-2") is Outcome.NOT_PAUSED
    assert await engine.resume(prefect.id, answer, pause_key="review-1") is Outcome.ACCEPTED


async def test_a_deployment_that_was_made_anew_is_found_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new, run, task = uuid4(), uuid4(), uuid4(), uuid4()
    monkeypatch.setitem(deployments.deployment_ids, "process-task", old)
    bodies: list[Any] = []

    async def call(method: str, path: str, body: Any = None, **params: Any) -> Any:
        if str(old) in path:
            raise NotFoundError
        if path == "/deployments/name/process-task/process-task":
            return {"id": str(new)}
        assert path == f"/deployments/{new}/create_flow_run/bulk"
        bodies.append(body)
        return {"results": [{"status": "CREATED", "flow_run_id": str(run)}]}

    monkeypatch.setattr(client, "call", call)
    submission = Submission(task, "process", "task_abc", ["op:process"])
    assert await engine.submit([submission]) == {task: run}
    assert bodies == [
        [
            {
                "name": "task_abc",
                "tags": ["op:process"],
                "parameters": {"task_id": str(task)},
                "idempotency_key": str(task),
            }
        ]
    ]


async def test_a_batch_of_which_prefect_made_only_a_part_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(deployments.deployment_ids, "run-operation", uuid4())

    async def call(method: str, path: str, body: Any = None, **params: Any) -> Any:
        return {"results": [{"status": "FAILED", "flow_run_id": None, "error": "secret"}]}

    monkeypatch.setattr(client, "call", call)
    with pytest.raises(PapertrayError) as caught:
        await engine.submit([Submission(uuid4(), "extract-text", "task_abc", [])])
    assert "secret" not in f"{caught.value}{caught.value.details}"


def test_a_worker_is_read_from_the_state_it_has_set() -> None:
    worker = uuid4()
    assert engine.worker_in(engine.held_by(worker)) == worker
    assert engine.worker_in("something else") is None


def test_prefect_yaml_says_what_is_deployed() -> None:
    """Also that there are no schedules: at a terminal Prefect asks where the key is missing."""
    told = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())["deployments"]
    assert told == [
        {
            "name": one.name,
            "entrypoint": one.entrypoint,
            "version": engine.VERSION,
            "tags": one.tags,
            "work_pool": {"name": "papertray", "work_queue_name": one.queue},
            "schedules": one.schedules,
        }
        for one in engine.DEPLOYMENTS
    ]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, NotFoundError),
        (409, ConflictError),
        (401, PrefectUnreachableError),
        (500, PrefectUnreachableError),
        (503, PrefectUnreachableError),
        (418, PapertrayError),
    ],
)
def test_an_error_of_prefect_is_one_of_ours(status: int, kind: type[PapertrayError]) -> None:
    request = httpx.Request("GET", "http://prefect.test/flow_runs/x")
    error = client._error_of(httpx.Response(status, text="secret", request=request))
    assert type(error) is kind
    assert error.details == {"prefect_status": status, "prefect_path": "/flow_runs/x"}


async def test_without_an_address_no_server_is_started_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client.PREFECT_API_URL, "value", lambda: None, raising=False)
    with pytest.raises(PrefectUnreachableError):
        await engine.read_run(UUID(int=0))


async def test_a_server_that_is_not_there_is_an_error_of_ours() -> None:
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        pytest.raises(PrefectUnreachableError),
    ):
        await engine.read_run(UUID(int=0))


def test_a_run_without_a_state_can_be_read() -> None:
    row = {
        "id": str(uuid4()),
        "created": BEGAN.isoformat(),
        "state": None,
        "run_count": 0,
        "infrastructure_pid": None,
        "empirical_policy": None,
    }
    run = Run.of(row)
    assert (run.type, run.is_final, run.is_parked) == ("PENDING", False, False)
