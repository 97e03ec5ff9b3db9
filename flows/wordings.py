"""In whose words a webhook is told: ours, or those of the surface that made it."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from flows import upload_words
from flows.queue_words import Queue, task_members
from flows.webhooks import body_of
from store.finding import documents_of, project_file_of
from store.models import Activity, Project, ProjectVersion, Task, Webhook

HUMAN_LAMBDAS: Final = "human_lambdas"


async def _as_human_lambdas(session: AsyncSession, task: Task) -> dict[str, Any]:
    """The task itself, completed (wire/human-lambdas.md)."""
    project = await session.get_one(Project, task.project_id)
    version = await session.get_one(ProjectVersion, project.current_version_id)
    file = await project_file_of(session, task)
    documents = [] if file.blocks else await documents_of(session, task)
    queue = Queue.of(project, version)
    return task_members(task, queue, file, documents, status="completed", holder=None)


WORDINGS: Final[Mapping[str, Callable[[AsyncSession, Task], Awaitable[dict[str, Any]]]]] = {
    HUMAN_LAMBDAS: _as_human_lambdas
}
"""What is sent of a task, by the `wording` of the webhook."""


async def body_for(
    session: AsyncSession, webhook: Webhook | None, activity: Activity, sequence: int | None
) -> str:
    """The body of what is sent; events of uploads have Send AI's words beside ours.

    Args:
        session: any.
        webhook: who is told; None: the `callback_url` of a task.
        activity: what happened.
        sequence: its number for this webhook.
    """
    if activity.type in upload_words.EVENTS:
        return body_of(activity, sequence, **await upload_words.notification_of(session, activity))
    if webhook is None or not webhook.wording or activity.task_id is None:
        return body_of(activity, sequence)
    task = await session.get_one(Task, activity.task_id)
    return json.dumps(await WORDINGS[webhook.wording](session, task), separators=(",", ":"))
