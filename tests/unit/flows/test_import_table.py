"""Rows of tables become tasks: the good ones, and no others."""

import json
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from flows import verbs
from flows.import_table import import_table
from operations.tools.table_rows import MAX_LINE_BYTES, Refused, TableFacts
from store.access import Caller
from store.database import database
from store.errors import InputError, NotFoundError
from store.models import Outbox, Task

PROJECT = """\
name: mails
blocks:
  - {name: address, type: email, required: true, read_only: true}
  - {name: age, type: number, min: 0}
  - {name: approve, type: binary, required: true}
"""


@pytest.fixture(autouse=True)
async def project(alice: Caller) -> None:
    await verbs.install_project(alice, PROJECT)


async def imported(
    caller: Caller, tmp_path: Path, content: str | bytes, name: str = "table.csv", **more: bool
) -> TableFacts:
    path = tmp_path / "sent"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return await import_table(caller, "mails", path, source=name, **more)


async def data_of_tasks() -> list[dict[str, object]]:
    async with database().reading() as session:
        rows = (await session.execute(select(Task).order_by(col(Task.created_at)))).scalars()
        return [row.task_data or {} for row in rows]


async def test_each_good_row_is_a_task_and_each_bad_one_is_told_of(
    alice: Caller, tmp_path: Path
) -> None:
    table = (
        "address,age\r\na@example.com,7\r\n\r\nnobody,8\r\nb@example.com,-1\r\nc@example.com\r\n"
        '"d@example.com","9"\r\n,5\r\n'
    )
    facts = await imported(alice, tmp_path, table)
    assert (facts.count, facts.refused_count) == (2, 4)
    assert facts.refused == [
        Refused(line=4, column="address", reason="must be an e-mail address"),
        Refused(line=5, column="age", reason="must be a number of at least 0"),
        Refused(line=6, column="", reason="has 1 cells, and the head 2"),
        Refused(line=8, column="address", reason="is missing"),
    ]
    assert await data_of_tasks() == [
        {"address": "a@example.com", "age": 7},
        {"address": "d@example.com", "age": 9},
    ]
    async with database().reading() as session:
        tasks = (await session.execute(select(Task))).scalars().all()
        assert {(task.source, task.created_by) for task in tasks} == {
            ("table.csv", "alice@example.com")
        }
        calls = (await session.execute(select(Outbox))).scalars().all()
    assert {call.task_id for call in calls} == {task.id for task in tasks}


async def test_of_10000_rows_of_which_a_tenth_is_bad_the_good_ones_become_tasks(
    alice: Caller, tmp_path: Path
) -> None:
    rows = [f"p{n}@example.com,{n}" if n % 10 else f"p{n} at example.com,{n}" for n in range(10000)]
    began = time.monotonic()
    facts = await imported(alice, tmp_path, "\n".join(["address,age", *rows]))
    assert (facts.count, facts.refused_count, len(facts.refused)) == (9000, 1000, 1000)
    assert [one.line for one in facts.refused[:2]] == [2, 12]
    async with database().reading() as session:
        assert await session.scalar(select(func.count()).select_from(Task)) == 9000
        assert await session.scalar(select(func.count()).select_from(Outbox)) == 9000
    assert {row["age"] for row in await data_of_tasks()} == {n for n in range(10000) if n % 10}
    assert time.monotonic() - began < 120


@pytest.mark.parametrize(
    ("table", "good", "reason"),
    [
        ("\ufeffaddress;age\na@example.com;1", 1, ""),
        ("address\tage\na@example.com\t1".encode("utf-16"), 1, ""),
        ("address,age\nä@example.com,1\nb@example.com,2".encode("latin-1"), 1, "is not UTF-8"),
        ('address,age\n"a@example.com,1\nb@example.com,2\nc@example.com,3', 2, "never closed"),
        ('address,age\n"a@example.com"x,1\nb@example.com,2', 1, "not doubled"),
        ("address,age\n\0a@example.com,1\nb@example.com,2", 1, "U+0000"),
        (f"address,age\n{'x' * (MAX_LINE_BYTES * 3)}\nb@example.com,2", 1, "longer than"),
        (f"address,age\n{'x' * (MAX_LINE_BYTES * 3)}", 0, "longer than"),
    ],
)
async def test_what_tables_are_like(
    alice: Caller, tmp_path: Path, table: str | bytes, good: int, reason: str
) -> None:
    facts = await imported(alice, tmp_path, table)
    assert facts.count == good == len(await data_of_tasks())
    assert [reason in one.reason for one in facts.refused] == ([True] if reason else [])


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("", "It is empty"),
        ("age\n1", "missing: address"),
        ("adress,age\na@example.com,1", "did you mean 'address'"),
        ("address,address\na@example.com,1", "named twice: address"),
        ('"address,age\na@example.com,1', "quote that is opened"),
        ("\x00\x01\x02PK\n", "U+0000"),
    ],
)
async def test_a_head_that_does_not_fit_is_refused_whole(
    alice: Caller, tmp_path: Path, table: str, problem: str
) -> None:
    with pytest.raises(InputError, match="table") as caught:
        await imported(alice, tmp_path, table)
    assert problem in caught.value.message
    assert await data_of_tasks() == []


async def test_columns_that_are_no_blocks_are_left_out_where_that_is_wanted(
    alice: Caller, tmp_path: Path
) -> None:
    facts = await imported(alice, tmp_path, "id,address\n7,a@example.com", ignore_unknown=True)
    assert facts.count == 1
    assert await data_of_tasks() == [{"address": "a@example.com"}]


@pytest.mark.parametrize("wrong", [r'"\ud800"', r'"\u0000"', "NaN", "[" * 40 + "]" * 40])
async def test_a_row_that_no_database_keeps_is_told_of(
    alice: Caller, tmp_path: Path, wrong: str
) -> None:
    rows = ['{"address": "a@example.com"}', f'{{"address": {wrong}}}', '{"\\ud800": 1}']
    facts = await imported(alice, tmp_path, "\n".join(rows), "table.jsonl")
    assert facts.count == 1
    assert [one.line for one in facts.refused] == [2, 3]


async def test_json_lines_are_rows_too(alice: Caller, tmp_path: Path) -> None:
    good = {"address": "a@example.com", "approve": True}
    lines = [json.dumps(good), '{"address": ', "[]", '{"address": "b@example.com", "age": "1"}', ""]
    facts = await imported(alice, tmp_path, "\n".join(lines), name="rows.jsonl")
    assert facts.count == 1
    assert [(one.line, one.column) for one in facts.refused] == [(2, ""), (3, ""), (4, "age")]
    assert "at character 13" in facts.refused[0].reason
    assert await data_of_tasks() == [good]
    deep = "[" * 100_000
    assert (await imported(alice, tmp_path, deep, name="rows.jsonl")).refused_count == 1


async def test_others_cannot_import_into_a_project(stranger: Caller, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        await imported(stranger, tmp_path, "address\na@example.com")
