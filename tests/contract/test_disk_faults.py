"""The disk refuses the n-th thing that is asked of it, for every n: nothing half, nothing lost."""

import errno
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from flows import erase
from store.blobs import blobs
from store.database import database
from store.models import File, Task
from tests.contract.test_errors import problem_in
from tests.contract.world import PNG, Client, blobs_on_disk, install
from tests.faults import disk_below

ONCE = {"idempotency-key": "order-4711"}
FORM: dict[str, Any] = {"files": {"file": ("page.png", PNG)}, "data": {"project": "invoices"}}
REFUSALS = {
    errno.EIO: (503, "storage_away"),
    errno.ENOSPC: (507, "storage_full"),
    errno.EACCES: (503, "storage_away"),
}


async def inputs() -> list[str]:
    """The blobs of the inputs of all tasks."""
    async with database().reading() as session:
        query = select(col(File.blob)).join(Task, col(Task.input_file_id) == col(File.id))
        return list((await session.execute(query)).scalars())


@pytest.mark.parametrize("code", REFUSALS, ids=lambda code: errno.errorcode[code])
async def test_whatever_the_disk_refuses_of_an_intake_nothing_is_left_and_the_next_try_is_the_first(
    code: int, client: Client, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await install(client)
    monkeypatch.setattr(erase, "ABANDONED_SECONDS", -1.0)
    refused: list[str] = []
    for number in range(1, 40):
        with disk_below(home / "blobs") as disk:
            disk.fails_at, disk.code = number, code
            answer = await client.post("/v1/tasks", headers=ONCE, **FORM)
        refused += disk.refused
        if answer.status_code == 202:
            break
        problem_in(answer, *REFUSALS[code])
        assert str(home) not in answer.text
        assert await inputs() == []
        # What could not even be tidied up is found later.
        await erase.retain_once()
        assert blobs_on_disk() == []
    (blob,) = await inputs()
    assert await blobs().read(blob) == PNG
    print(f"{len(refused)} times the disk refused: {refused}")
    assert {"open", "write", "fsync", "replace"} <= set(refused)


async def test_bytes_without_a_row_are_deleted_once_nobody_can_be_about_to_write_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await install(client)
    sent = await client.post("/v1/tasks", **FORM)
    assert sent.status_code == 202
    replaced = (await client.post("/v1/files", files={"file": ("a.png", PNG)})).json()["id"]
    address = f"/v1/files/{replaced}/content"
    await client.put(address, content=PNG, headers={"content-type": "application/octet-stream"})
    named = blobs_on_disk()

    async def bytes_of_one_that_died() -> AsyncIterator[bytes]:
        yield b"nobody knows"

    await blobs().write_stream("files/file_died", bytes_of_one_that_died())
    await erase.retain_once()
    assert "files/file_died" in blobs_on_disk()
    monkeypatch.setattr(erase, "ABANDONED_SECONDS", -1.0)
    await erase.retain_once()
    assert blobs_on_disk() == named
