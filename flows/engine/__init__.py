"""Every call to Prefect's REST API.

Prefect's forced state changes (the only ones that park, give back or end a run from outside)
skip its rules and compare nothing. Here each is followed by a look at the history: what it
overwrote by accident is put right (`transitions.py`).
"""

from flows.engine.automations import AUTOMATIONS, ensure_automations
from flows.engine.clearing import delete_run, empty, tidy_up
from flows.engine.client import call, connected, errors_are_ours
from flows.engine.deployments import (
    BULK_SET,
    DEPLOYMENTS,
    JOB_TEMPLATE,
    POOL_TYPE,
    QUEUES,
    VERSION,
    Deployment,
    deploy,
    ensure_deployed,
    ensure_pool,
    is_off,
    is_paused,
    limit_bulk,
    queue_of,
)
from flows.engine.following import (
    LONGEST_PAUSE_SECONDS,
    follow,
    keep_following,
    run_of,
    state_events,
)
from flows.engine.runs import (
    Run,
    Submission,
    held_by,
    read_run,
    read_runs,
    runs_ended_since,
    runs_held,
    submit,
    times_restarted,
    worker_in,
)
from flows.engine.secret_blocks import secret_in
from flows.engine.transitions import (
    RESUME_TRIES,
    Outcome,
    Parked,
    cancel,
    claim,
    end,
    finish_cancelling,
    park,
    reschedule,
    resume,
    suspend,
    take_over,
)
from flows.engine.variables import VARIABLES, ensure_variables, variable

__all__ = [
    "AUTOMATIONS",
    "BULK_SET",
    "DEPLOYMENTS",
    "JOB_TEMPLATE",
    "LONGEST_PAUSE_SECONDS",
    "POOL_TYPE",
    "QUEUES",
    "RESUME_TRIES",
    "VARIABLES",
    "VERSION",
    "Deployment",
    "Outcome",
    "Parked",
    "Run",
    "Submission",
    "call",
    "cancel",
    "claim",
    "connected",
    "delete_run",
    "deploy",
    "empty",
    "end",
    "ensure_automations",
    "ensure_deployed",
    "ensure_pool",
    "ensure_variables",
    "errors_are_ours",
    "finish_cancelling",
    "follow",
    "held_by",
    "is_off",
    "is_paused",
    "keep_following",
    "limit_bulk",
    "park",
    "queue_of",
    "read_run",
    "read_runs",
    "reschedule",
    "resume",
    "run_of",
    "runs_ended_since",
    "runs_held",
    "secret_in",
    "state_events",
    "submit",
    "suspend",
    "take_over",
    "tidy_up",
    "times_restarted",
    "variable",
    "worker_in",
]
