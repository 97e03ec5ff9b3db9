import ast
import asyncio
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from store.database import Database
from store.errors import ConflictError, IllegalTransitionError
from store.lifecycle import ACTIVITY_OF, FINAL, LIFECYCLE, advance, amend
from store.models import Activity, Task
from store.states import Actor, Event, State

WHO = Actor("tester", "tests")
ROOMS = ("api", "flows", "operations", "store")


async def test_a_transition_writes_state_version_and_activity(opened: Database, task: Task) -> None:
    async with opened.writing() as session:
        changed = await advance(session, task, Event.START, WHO, reason="because")
    assert (changed.state, changed.version) == (State.RUNNING, 2)
    async with opened.reading() as session:
        row = (await session.execute(select(Activity))).scalar_one()
        stored = await session.get_one(Task, task.id)
    assert (row.type, row.actor, row.surface, row.reason) == (
        "task.started",
        "tester",
        "tests",
        "because",
    )
    assert row.data == {"state": "running"}
    assert stored.state is State.RUNNING
    assert stored.updated_at > task.created_at


async def test_an_event_that_does_not_fit_the_state_changes_nothing(
    opened: Database, task: Task
) -> None:
    with pytest.raises(IllegalTransitionError, match="Possible now: cancel, fail, start, time_out"):
        async with opened.writing() as session:
            await advance(session, task, Event.FINISH, WHO)
    async with opened.reading() as session:
        assert (await session.get_one(Task, task.id)).version == 1
        assert (await session.execute(select(Activity))).first() is None


async def test_of_two_that_read_the_same_version_one_wins(opened: Database, task: Task) -> None:
    async def cancel() -> Task:
        async with opened.writing() as session:
            return await advance(session, task, Event.CANCEL, WHO)

    results = await asyncio.gather(*(cancel() for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, Task) for result in results) == 1
    assert sum(isinstance(result, ConflictError) for result in results) == 7
    async with opened.reading() as session:
        assert len((await session.execute(select(Activity))).all()) == 1


async def test_amend_refuses_the_state(opened: Database, task: Task) -> None:
    with pytest.raises(TypeError, match="only advance"):
        async with opened.writing() as session:
            await amend(session, task, "task.saved", WHO, state=State.COMPLETED)


async def test_the_database_refuses_a_word_that_is_no_state(opened: Database, task: Task) -> None:
    with pytest.raises(IntegrityError):
        async with opened.writing() as session:
            await session.execute(text("UPDATE task SET state = 'nonsense'"))


def test_every_state_is_reached_and_every_event_happens() -> None:
    assert {State.QUEUED, *LIFECYCLE.values()} == set(State)
    assert {event for _, event in LIFECYCLE} == set(Event) == set(ACTIVITY_OF)


def test_every_state_that_is_not_final_can_be_canceled_fail_and_time_out() -> None:
    for state in set(State) - FINAL:
        for event, end in (
            (Event.CANCEL, State.CANCELED),
            (Event.FAIL, State.FAILED),
            (Event.TIME_OUT, State.TIMED_OUT),
        ):
            assert LIFECYCLE[state, event] is end


def test_the_final_states_are_the_six_of_the_surfaces() -> None:
    assert {state.value for state in FINAL} == {
        "completed",
        "filtered",
        "discarded",
        "failed",
        "timed_out",
        "canceled",
    }


def test_only_the_lifecycle_writes_a_state() -> None:
    """No assignment to `.state`, and no `values(state=...)`, anywhere else."""
    offenders: list[str] = []
    for room in ROOMS:
        for path in Path(room).rglob("*.py"):
            if path == Path("store/lifecycle.py"):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                targets = (
                    node.targets
                    if isinstance(node, ast.Assign)
                    else [node.target]
                    if isinstance(node, ast.AnnAssign | ast.AugAssign)
                    else []
                )
                writes = any(
                    isinstance(t, ast.Attribute)
                    and t.attr == "state"
                    and isinstance(t.value, ast.Name)
                    and t.value.id in {"task", "current"}
                    for t in targets
                )
                sets = (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr == "values"
                    and any(keyword.arg == "state" for keyword in node.keywords)
                )
                if writes or sets:
                    offenders.append(f"{path}:{getattr(node, 'lineno', 0)}")
    assert offenders == []
