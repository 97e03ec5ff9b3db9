"""What `papertray doctor` finds in Prefect: what is paused, and what automations noticed."""

from collections import Counter
from datetime import timedelta
from typing import Any, Final

import httpx

from api.cli.findings import Finding, Health
from flows import engine
from store.ids import now
from store.settings import settings

NOTICED_WITHIN: Final = timedelta(days=1)
MOST_EVENTS: Final = 50
"""As many as Prefect gives in one answer."""

_TRIGGERED: Final = "prefect.automation.triggered"


async def examine_prefect(url: str, answer_seconds: float) -> list[Finding]:
    """What is paused, and what was noticed within a day.

    Args:
        url: of its API.
        answer_seconds: for how long each answer is waited for.
    """
    async with httpx.AsyncClient(base_url=url, timeout=answer_seconds, trust_env=False) as client:

        async def ask(path: str, **body: Any) -> Any:
            return (await client.post(path, json=body)).raise_for_status().json()

        try:
            return [
                *_paused(
                    await ask("/deployments/filter", limit=200),
                    await ask(f"/work_pools/{settings().work_pool}/queues/filter"),
                ),
                _noticed(
                    await ask(
                        "/events/filter",
                        limit=MOST_EVENTS,
                        filter={
                            "event": {"name": [_TRIGGERED]},
                            "occurred": {"since": (now() - NOTICED_WITHIN).isoformat()},
                        },
                    ),
                    url,
                ),
            ]
        except httpx.HTTPError as error:
            detail = f"not known: {type(error).__name__} of {url}"
            remedy = "Ask again when that server has less to do, or look into its log."
            return [Finding("automations", Health.OFF, detail, remedy)]


def _paused(deployments: list[dict[str, Any]], queues: list[dict[str, Any]]) -> list[Finding]:
    ours = {one.name for one in engine.DEPLOYMENTS if one.schedules}
    off = [one["name"] for one in deployments if one["name"] in ours and engine.is_off(one)]
    off += [f"queue {one['name']}" for one in queues if one["is_paused"]]
    if not off:
        return []
    remedy = "Somebody did that in Prefect's UI; there it is resumed, too."
    return [Finding("paused", Health.OFF, ", ".join(sorted(off)), remedy)]


def _noticed(answer: dict[str, Any], url: str) -> Finding:
    """What the automations of `papertray deploy` have noticed."""
    names = [one["resource"].get("prefect.resource.name", "") for one in answer["events"]]
    found = Counter(name for name in names if name in engine.AUTOMATIONS)
    if not found:
        return Finding("automations", Health.OK, "noticed nothing within a day")
    told = ", ".join(f"{name} ({count})" for name, count in sorted(found.items()))
    page = f"{url.removesuffix('/').removesuffix('/api')}/events"
    return Finding("automations", Health.OK, f"noticed within a day: {told}", f"Look at {page}")
