"""Automations: what Prefect notices about our runs and workers, and tells whom it should."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from flows.engine import client
from store.errors import InputError, NotFoundError
from store.settings import settings

STUCK_AFTER_SECONDS: Final = 3600
"""A run that executes for so long without a change of state is perhaps stuck."""

REVIEW_TOO_OLD_SECONDS: Final = 24 * 3600
"""A run that has waited for a person for so long is told of."""


def _of_runs(*tags: str, **how: Any) -> dict[str, Any]:
    """A trigger about the runs with one of some tags, which they have from their deployments."""
    ids = [f"prefect.tag.{tag}" for tag in tags]
    return {
        "type": "event",
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "match_related": {"prefect.resource.role": "tag", "prefect.resource.id": ids},
        "for_each": ["prefect.resource.id"],
        "threshold": 1,
        **how,
    }


def _unless(after: list[str], within_seconds: int) -> dict[str, Any]:
    """When a run got into one of some states, and into none at all for so long."""
    return _of_runs(
        *("papertray-task", "papertray-operation"),
        posture="Proactive",
        after=[f"prefect.flow-run.{name}" for name in after],
        expect=["prefect.flow-run.*"],
        within=within_seconds,
    )


AUTOMATIONS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    # name: (what it tells, its trigger)
    "papertray: failed": (
        "A run has failed or crashed.",
        _of_runs(
            "papertray",
            posture="Reactive",
            expect=["prefect.flow-run.Failed", "prefect.flow-run.Crashed"],
            within=0,
        ),
    ),
    "papertray: stuck run": (
        "A run has executed for an hour without a change of state.",
        _unless(["Pending", "Running"], STUCK_AFTER_SECONDS),
    ),
    "papertray: review too old": (
        "A task has waited for a person for a day.",
        _unless(["Paused", "Suspended"], REVIEW_TOO_OLD_SECONDS),
    ),
    "papertray: worker gone": (
        "No worker of the work pool is alive.",
        {
            "type": "event",
            "posture": "Reactive",
            "expect": ["prefect.work-pool.not-ready"],
            "match": {"prefect.resource.name": "{pool}"},
            "threshold": 1,
            "within": 0,
        },
    ),
}
"""What `papertray deploy` makes. By itself an automation only writes its event down, where the UI
shows it: Prefect sends messages by blocks, which are the operator's."""


async def ensure_automations(notify: str = "") -> None:
    """Make the automations that are missing; leaves those that are there as people made them.

    Args:
        notify: a notification block that is told, `<type>/<name>`, like `slack-webhook/ops`; it
            becomes the action of those that are there already, too. Empty: nobody is told.

    Raises:
        InputError: that is no such block.
    """
    body = {"automations": {"name": {"any_": list(AUTOMATIONS)}}, "limit": len(AUTOMATIONS)}
    there = {one["name"]: one for one in await client.call("POST", "/automations/filter", body)}
    block = await _block(notify) if notify else None
    for name, (told, trigger) in AUTOMATIONS.items():
        actions: list[dict[str, Any]] = [{"type": "do-nothing"}]
        if block:
            actions = [
                {
                    "type": "send-notification",
                    "block_document_id": block,
                    "subject": name,
                    "body": f"{told} Resource: {{{{ event.resource.id }}}}",
                }
            ]
        if name not in there:
            made = {
                "name": name,
                "description": told,
                "tags": ["papertray"],
                "trigger": _in_pool(trigger),
                "actions": actions,
            }
            await client.call("POST", "/automations/", made)
        elif block:
            kept = there[name]
            changed = {
                key: kept[key] for key in ("name", "description", "enabled", "trigger", "tags")
            }
            path = f"/automations/{kept['id']}"
            await client.call("PUT", path, {**changed, "actions": actions})


def _in_pool(trigger: Mapping[str, Any]) -> dict[str, Any]:
    pool = settings().work_pool
    match = {key: value.format(pool=pool) for key, value in trigger["match"].items()}
    return {**trigger, "match": match}


async def _block(notify: str) -> str:
    kind, _, name = notify.partition("/")
    path = f"/block_types/slug/{quote(kind, safe='')}/block_documents/name/{quote(name, safe='')}"
    try:
        return (await client.call("GET", path))["id"]
    except NotFoundError:
        raise InputError(
            "Prefect has no notification block of that type and name. Make it under Blocks, and"
            " name it like slack-webhook/ops.",
            block=notify,
        ) from None
