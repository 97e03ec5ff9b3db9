"""Tells the hook of a project of a report, while whoever reports waits."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flows.public_http import (
    UNANSWERED,
    USER_AGENT,
    PublicHttp,
    why_refused,
    why_unanswered,
)
from flows.webhooks import headers_of
from store.ids import now
from store.models import Task

ANSWER_SECONDS: Final = 5.0
"""How long the hook has to answer; connecting included."""


async def tell_hook(url: str, task: Task, issues: Sequence[Mapping[str, Any]], message: str) -> str:
    """Send a report to a hook, once; answers why that failed, or nothing.

    The hook is an address that a stranger may have written into a project file: only public ones
    are dialled. It has no secret, so what it is sent is not signed.

    Args:
        url: of the hook.
        task: that was reported.
        issues: what is wrong with it.
        message: the same in words.
    """
    at = now()
    # Each report makes a version of the task; two of them are told apart by it.
    report_id = f"report_{task.code}-{task.version}"
    body = json.dumps(
        {
            "id": report_id,
            "type": "task.reported",
            "timestamp": at.isoformat().replace("+00:00", "Z"),
            "data": {
                "id": task.public_id,
                "project": task.parameters.get("project"),
                "state": task.state.value,
                "issues": [dict(issue) for issue in issues],
                "message": message,
            },
        }
    )
    headers = {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        **headers_of(report_id, at, body, ()),
    }
    try:
        async with (
            asyncio.timeout(ANSWER_SECONDS),
            PublicHttp() as http,
            http.stream(
                "POST", url, headers=headers, content=body.encode(), timeout_seconds=ANSWER_SECONDS
            ) as answer,
        ):
            return why_refused(answer.status)
    except UNANSWERED as error:
        return why_unanswered(error, ANSWER_SECONDS)
