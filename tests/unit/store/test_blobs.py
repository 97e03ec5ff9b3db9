import errno
import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from store.blobs import Blobs
from store.errors import FileTooLargeError, NotFoundError, StorageFullError
from store.settings import settings


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.fixture(params=["file", "memory"])
def blobs(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Blobs]:
    if request.param == "file":
        yield Blobs((tmp_path / "blobs").as_uri())
        return
    monkeypatch.setenv("PAPERTRAY_HOME", str(tmp_path))
    settings.cache_clear()
    yield Blobs(f"memory://{tmp_path.name}")
    settings.cache_clear()


async def test_what_is_written_is_read_back(blobs: Blobs) -> None:
    stored = await blobs.write_stream("files/a", chunks(b"one ", b"two"))
    assert (stored.size_bytes, stored.sha256) == (7, hashlib.sha256(b"one two").hexdigest())
    assert await blobs.read("files/a") == b"one two"
    async with blobs.as_local("files/a") as path:
        assert path.read_bytes() == b"one two"


async def test_writing_again_replaces(blobs: Blobs) -> None:
    await blobs.write_stream("files/a", chunks(b"one"))
    await blobs.write_stream("files/a", chunks(b"two"))
    assert await blobs.read("files/a") == b"two"


async def test_beyond_the_limit_nothing_is_kept(blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(FileTooLargeError):
        await blobs.write_stream("files/a", chunks(b"12345", b"67890"), max_bytes=9)
    with pytest.raises(NotFoundError):
        await blobs.read("files/a")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


async def test_a_sender_that_breaks_off_leaves_nothing(blobs: Blobs, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await blobs.write_stream("files/a", broken())
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


async def test_a_full_disk_is_told_and_leaves_nothing(blobs: Blobs, tmp_path: Path) -> None:
    async def disk_full() -> AsyncIterator[bytes]:
        yield b"half"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageFullError):
        await blobs.write_stream("files/a", disk_full())
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


async def test_deleting_takes_one_or_all_below(blobs: Blobs) -> None:
    for key in ("tasks/1/a", "tasks/1/b/c", "tasks/2/a"):
        await blobs.write_stream(key, chunks(b"x"))
    await blobs.delete("tasks/1/")
    await blobs.delete("tasks/never was")
    for key in ("tasks/1/a", "tasks/1/b/c"):
        with pytest.raises(NotFoundError):
            await blobs.read(key)
    assert await blobs.read("tasks/2/a") == b"x"


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd", "a//b", "", "."])
async def test_a_key_never_leaves_the_storage(blobs: Blobs, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        await blobs.read(key)
