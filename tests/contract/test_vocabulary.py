"""The table of words in code is the one in the docs, and each filter finds what its word names."""

import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from sqlalchemy import select
from sqlmodel import col

from api import vocabulary
from api.v1 import words as v1_words
from api.vocabulary import (
    VOCABULARY,
    Standing,
    Words,
    is_called,
    standing_of,
    states_called,
    words_of,
)
from flows.task_run import RUN_STATE_OF
from store.database import database
from store.ids import now
from store.models import Organization, Task
from store.states import State

DOCS = Path(__file__).parent.parent.parent / "docs" / "surfaces.md"

HOLDING = {
    "nobody yet": "waiting",
    "nobody any more": "released",
    "somebody": "claimed",
    "somebody has completed it": "answered",
}

STATE_OF = {
    Standing.ANSWERED: State.RUNNING,
    Standing.WAITING: State.IN_REVIEW,
    Standing.RELEASED: State.IN_REVIEW,
    Standing.CLAIMED: State.IN_REVIEW,
}


def told() -> dict[Standing, Words]:
    """The table in the docs."""
    table = DOCS.read_text().split("## What each calls a task")[1].split("\n## ")[0]
    rows: list[list[Any]] = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("| ") and not line.startswith(("| state", "| ---"))
    ]
    found: dict[Standing, Words] = {}
    for state, holding, prefect, aluma, *others in rows:
        action: Any = re.search(r"\((.*)\)", aluma)
        send_ai, v1, human_lambdas, innodata = others
        found[Standing(HOLDING.get(holding, state))] = Words(
            prefect,
            aluma.split(" ")[0],
            action[1] if action else None,
            send_ai,
            v1,
            human_lambdas,
            innodata,
        )
    return found


def test_the_words_are_those_of_the_docs():
    assert told() == dict(VOCABULARY)


def test_there_is_a_word_for_every_standing_and_a_standing_for_every_word():
    assert set(VOCABULARY) == set(Standing)
    kinds = {
        "aluma": vocabulary.AlumaWord,
        "client_action": vocabulary.ClientAction,
        "send_ai": vocabulary.SendAiWord,
        "v1": vocabulary.V1Word,
        "human_lambdas": vocabulary.HumanLambdasWord,
        "innodata": vocabulary.InnodataWord,
    }
    for name, kind in kinds.items():
        used = {getattr(words, name) for words in VOCABULARY.values()} - {None}
        assert used == set(get_args(kind)), name


def test_a_run_ends_in_the_state_that_the_table_says():
    for state, (kind, name) in RUN_STATE_OF.items():
        said = VOCABULARY[Standing(state.value)].prefect
        assert kind.value in said
        assert "/" not in said or said.endswith(f"/ {name}")


def test_the_native_words_are_those_of_the_table():
    for standing in Standing:
        assert v1_words.STATUS[STATE_OF.get(standing) or State(standing.value)] == (
            VOCABULARY[standing].v1
        )


def task_in(organization: Organization, standing: Standing) -> Task:
    """A task that stands so."""
    task = Task(
        organization_id=organization.id,
        operation="process",
        state=STATE_OF.get(standing) or State(standing.value),
        settled_at=now() if standing is Standing.ANSWERED else None,
    )
    if standing in {Standing.RELEASED, Standing.CLAIMED, Standing.EXPORTING}:
        task.claimed_at = now() - timedelta(hours=1)
        task.claimed_by = "ada@example.com"
        later = timedelta(hours=-0.5 if standing is Standing.RELEASED else 1)
        task.claimed_until = now() + later
    return task


@pytest.mark.usefixtures("app")
async def test_a_client_that_went_silent_exports_no_more():
    async with database().writing() as session:
        organization = Organization(name="acme")
        session.add(organization)
        await session.flush()
        task = task_in(organization, Standing.EXPORTING)
        task.claimed_until = now() - timedelta(seconds=1)
        session.add(task)
    assert standing_of(task) is Standing.AWAITING_EXPORT
    async with database().reading() as session:
        for word, expected in (
            ("pending:start_client_action", [task.id]),
            ("pending:complete_client_action", []),
        ):
            query = select(col(Task.id)).where(is_called(lambda words: words.aluma == word))  # noqa: B023  # called at once
            assert (await session.execute(query)).scalars().all() == expected


@pytest.mark.usefixtures("app")
async def test_a_filter_finds_the_tasks_that_are_called_so_and_no_others():
    async with database().writing() as session:
        organization = Organization(name="acme")
        session.add(organization)
        await session.flush()
        tasks = {standing: task_in(organization, standing) for standing in Standing}
        session.add_all(tasks.values())
    assert {standing: standing_of(task) for standing, task in tasks.items()} == {
        standing: standing for standing in Standing
    }
    checks = [
        (one.name, word)
        for one in fields(Words)
        for word in {getattr(words, one.name) for words in VOCABULARY.values()}
    ]
    async with database().reading() as session:
        for name, word in checks:
            query = select(Task).where(is_called(lambda words: getattr(words, name) == word))  # noqa: B023  # called at once
            found = (await session.execute(query)).scalars().all()
            expected = {one.id for one in tasks.values() if getattr(words_of(one), name) == word}
            assert {task.id for task in found} == expected, (name, word)


def test_innodata_has_one_word_for_all_of_a_state():
    for word in get_args(vocabulary.InnodataWord):
        states = states_called(lambda words, word=word: words.innodata == word)
        standings = {one for one, words in VOCABULARY.items() if words.innodata == word}
        assert {STATE_OF.get(one) or State(one.value) for one in standings} == states
