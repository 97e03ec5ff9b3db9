"""A word that is put into every place of a task, and looked for in every place afterwards."""

import os
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.documents import invoice
from tests.e2e.installation import Installation, wait_until

CANARY = "KQXCANARYWJZ"
"""In no dictionary, and in nothing that is not made here."""

ERASED_SECONDS = 180
"""Enough for servers that were killed to start again on a machine that has much else to do."""

WRONG_TOTAL = "120.00"


def places_of(canary: str, home: Path) -> list[str]:
    """Files below a folder in whose bytes or name a word is, in any case and encoding."""
    forms = {
        spelling.encode(encoding)
        for spelling in (canary, canary.lower(), canary.capitalize())
        for encoding in ("utf-8", "utf-16-le", "utf-16-be")
    }
    found: list[str] = []
    for folder, _, names in os.walk(home):
        for name in names:
            path = Path(folder) / name
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue
            if canary.lower() in name.lower() or any(form in content for form in forms):
                found.append(str(path.relative_to(home)))
    return found


def is_clean(papertray: Installation, canary: str) -> None:
    wait_until(
        lambda: not places_of(canary, papertray.home),
        ERASED_SECONDS,
        lambda: f"left in {places_of(canary, papertray.home)}",
    )


def submit(papertray: Installation, canary: str, project: str, content: bytes | None = None) -> str:
    """A task with the word in its text, its file name, its name, its metadata and an answer."""
    answer = papertray.api.post(
        "/tasks",
        files={"file": (f"{canary}.pdf", content or paper(canary))},
        data={
            "project": project,
            "name": f"task of {canary}",
            "metadata": f'{{"{canary}": "{canary}"}}',
        },
        headers={"idempotency-key": os.urandom(8).hex()},
    )
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def paper(canary: str, total: str = WRONG_TOTAL) -> bytes:
    return invoice(number=f"AB-{canary}", total=total)


def write_everywhere(papertray: Installation, canary: str, task: str) -> None:
    """The word in a field, a comment, a report and a reason, as a person writes them."""
    for path, body in {
        "comments": {"text": canary},
        "claim": None,
        "save": {"values": {"number": canary}},
        "report": {"issues": [{"field": canary, "problem": canary}], "message": canary},
    }.items():
        answer = papertray.api.post(
            f"/tasks/{task}/{path}", json=body, headers={"idempotency-key": os.urandom(8).hex()}
        )
        assert answer.is_success, answer.text


def complete(papertray: Installation, canary: str, task: str) -> None:
    answer = papertray.api.post(
        f"/tasks/{task}/complete",
        json={"values": {"total": "119.00", "number": f"{canary}-2"}, "note": canary},
        headers={"idempotency-key": os.urandom(8).hex()},
    )
    assert answer.status_code == 200, answer.text


async def tables_with(canary: str, url: str) -> list[str]:
    """Tables of a PostgreSQL in a row of which a word is, in whatever column, in any case."""
    engine = create_async_engine(url)
    listed = text(
        "SELECT quote_ident(table_schema) || '.' || quote_ident(table_name)"
        " FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
        " AND table_schema NOT IN ('pg_catalog', 'information_schema')"
    )
    found: list[str] = []
    async with engine.connect() as connection:
        for table in (await connection.execute(listed)).scalars().all():
            rows = f"SELECT 1 FROM {table} AS t WHERE t::text ILIKE :word LIMIT 1"
            if (await connection.execute(text(rows), {"word": f"%{canary}%"})).first():
                found.append(table)
    await engine.dispose()
    return found
