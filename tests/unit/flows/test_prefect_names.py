"""What Papertray replaces in Prefect, or knows by name, must be as it was when that was written.

When one of these fails after an upgrade: read what changed in the named place of Prefect, adapt
`flows/worker.py` or `flows/review.py` to it, then write the new digest down here.
"""

import hashlib
import inspect
from typing import Any

import pytest
from prefect import flow_runs
from prefect.client.orchestration import PrefectClient
from prefect.context import FlowRunContext
from prefect.flow_engine import AsyncFlowRunEngine, BaseFlowRunEngine
from prefect.input import run_input
from prefect.workers.base import BaseWorker

from flows.run_engine import RunEngine
from flows.worker import PapertrayWorker

# What we replace or rely on line by line, and the beginning of the SHA-256 of its source.
KNOWN_SOURCE = {
    AsyncFlowRunEngine.initialize_run: "3279d7989699",
    AsyncFlowRunEngine.setup_run_context: "ea28d9ae0c9b",
    BaseFlowRunEngine.setup_flow_run_suspension_request: "91afa9cbdc07",
    AsyncFlowRunEngine.begin_run: "bfcfbedbd61e",
    AsyncFlowRunEngine.start: "fb40c564eddf",
    AsyncFlowRunEngine.run_context: "33075ff9607b",
    AsyncFlowRunEngine.set_state: "f1a7c604f48f",
    BaseWorker.start: "79b7cda67b75",
    BaseWorker.setup: "3dae79de43ac",
    BaseWorker.teardown: "282f27b5627e",
    BaseWorker.get_and_submit_flow_runs: "fcb6c4c67be0",
    flow_runs.apause_flow_run: "f9cd3e52140c",
    run_input.keyset_from_paused_state: "96dba3b0e666",
    run_input.keyset_from_base_key: "3fbccac0fc0a",
}


def digest(function: Any) -> str:
    source = inspect.getsource(inspect.unwrap(function))
    return hashlib.sha256(source.encode()).hexdigest()[:12]


@pytest.mark.parametrize("function", KNOWN_SOURCE, ids=lambda function: function.__qualname__)
def test_what_is_replaced_in_prefect_is_as_it_was(function: Any) -> None:
    assert digest(function) == KNOWN_SOURCE[function]


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (BaseWorker, ["_emit_worker_started_event", "_propose_crashed_state"]),
        (AsyncFlowRunEngine, ["_client", "_is_started", "_get_flow_run_suspension_request"]),
        (PrefectClient, ["request", "api_url"]),
    ],
)
def test_the_names_that_are_used_are_there(owner: type, names: list[str]) -> None:
    assert [name for name in names if not hasattr(owner, name)] == []


def test_the_attributes_of_a_worker_that_are_used_are_there() -> None:
    used = {"_work_pool", "_work_pool_name", "_work_queues", "_prefetch_seconds", "_client"}
    stock = vars(PapertrayWorker("pool"))
    assert used - set(stock) == set()


def test_the_context_of_a_run_has_the_fields_that_are_set() -> None:
    ours = {"flow", "log_prints", "flow_run", "parameters", "client", "result_store", "task_runner"}
    assert ours | {"persist_result", "flow_run_suspension_request"} <= set(
        FlowRunContext.model_fields
    )


def test_the_engine_replaces_only_what_is_there() -> None:
    replaced = {"heartbeat_seconds", "setup_flow_run_suspension_request", "set_state"} | {
        "initialize_run",
        "setup_run_context",
    }
    for name in replaced:
        assert name in vars(RunEngine)
        assert hasattr(AsyncFlowRunEngine, name)
