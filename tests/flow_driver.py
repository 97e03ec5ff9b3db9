"""Takes a task through all of its flow in this process, without a Prefect server.

The operations are called as they are, and do their work; what is Prefect's (the run, its
artifacts, its pause) is left out, and a person is a function that calls verbs.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest

from flows import exporting, process_task, review, reviewing, sorting, steps, task_run
from flows.waits import pause_key
from operations.registry import OPERATIONS
from store.database import database
from store.lifecycle import advance
from store.models import Task
from store.states import Actor, Event, State

Person = Callable[[Task], Awaitable[Any]]


async def _nothing(*_: Any, **__: Any) -> None:
    """In the place of what Prefect would show."""


class Driver:
    """A worker and its people."""

    def __init__(self, patch: pytest.MonkeyPatch):
        """With the operations called directly."""
        self._patch = patch
        self.asked: list[str] = []
        """Why people were asked, in order."""
        self._people: Iterator[Person] = iter(())
        self._task: Task | None = None
        for module in (sorting, steps, exporting):
            for row in OPERATIONS.values():
                name = row.name.replace("-", "_")
                if getattr(module, name, None) is row.task:
                    patch.setattr(module, name, row.task.fn)
        patch.setattr(reviewing, "show_fields", _nothing)
        patch.setattr(steps, "show_output", _nothing)
        patch.setattr(reviewing, "show_review_link", _nothing)
        patch.setattr(exporting, "deliver", exporting.deliver.fn)
        patch.setattr(review, "wait_for_answer", self._wait)
        patch.setattr(task_run.ProgressArtifact, "show", _nothing)
        patch.setattr(task_run, "show_failure", _nothing)

    async def _wait(self, form: Any, *, key: str) -> Any:
        assert self._task is not None
        async with database().reading() as session:
            task = await session.get_one(Task, self._task.id)
        assert key == pause_key(task)
        if task.state is State.IN_REVIEW:
            self.asked.append(task.review_reason)
        return await next(self._people)(task)

    async def process(self, task: Task, *people: Person) -> Task:
        """Take a task to its end; each person decides one wait.

        A person who answers with a filled form decides as in the Prefect UI.
        """
        self._people = iter(people)
        self._task = task
        if task.state is State.QUEUED:
            async with database().writing() as session:
                task = await advance(session, task, Event.START, Actor("flow", "system"))
        await task_run.execute(task.id, process_task.go_through)
        async with database().reading() as session:
            return await session.get_one(Task, task.id)


def kinds(documents: Sequence[Any]) -> list[tuple[str, list[int]]]:
    """Type and pages of each document, of a result."""
    return [(one["document_type"], one["page_numbers"]) for one in documents]
