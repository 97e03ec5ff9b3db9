"""How long what a task holds is kept once it has ended."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from store.finding import project_file_of
from store.models import Task
from store.project_file import RetentionPart

KEPT: Final = RetentionPart()
"""For a task without a project: until somebody deletes it; its record goes as others do."""

TEST_DATA_KEPT: Final = timedelta(days=1)
"""How long what was made with a test key is there, from when it was made."""


async def retention_of(session: AsyncSession, task: Task) -> RetentionPart:
    """What the project file says that the task was made with."""
    if task.project_version_id is None:
        return KEPT
    return (await project_file_of(session, task)).retention


async def erase_time(session: AsyncSession, task: Task, ends_at: datetime) -> datetime | None:
    """When the content of a task that ends is to be erased; None: it is kept."""
    period = (await retention_of(session, task)).data
    kept_until = None if period is None else ends_at + period
    if task.is_test:
        last = task.created_at + TEST_DATA_KEPT
        return min(kept_until or last, last)
    return kept_until


async def record_period(session: AsyncSession, task: Task) -> timedelta:
    """How long the record of a task stays once its content is erased."""
    if task.is_test:
        return timedelta(0)
    return (await retention_of(session, task)).record
