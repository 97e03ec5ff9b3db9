"""Bytes: where they lie, how they come in and go out."""

import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from store.errors import FileTooLargeError, NotFoundError
from store.full_disk import full_disk_is_ours
from store.settings import settings

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Stored:
    """What is known of bytes that were just stored."""

    size_bytes: int
    sha256: str


class Blobs:
    """A folder or a bucket. Keys are relative paths with `/`."""

    def __init__(self, url: str):
        """Open it.

        Args:
            url: fsspec URL: `file:///folder`, `s3://bucket/prefix` ...
        """
        found: tuple[Any, str] = fsspec.url_to_fs(url)
        self.files, self.root = found
        self.is_local = isinstance(self.files, LocalFileSystem)

    def local_path(self, key: str) -> Path | None:
        """Where the blob lies on this machine; None where the storage is elsewhere."""
        return Path(self._path(key)) if self.is_local else None

    async def write_stream(
        self, key: str, chunks: AsyncIterable[bytes], max_bytes: int | None = None
    ) -> Stored:
        """Store what comes in; nothing is visible under the key before it is whole.

        Raises:
            FileTooLargeError: more than `max_bytes` came in; nothing is kept.
            StorageFullError: there is no room; nothing is kept.
        """
        digest, size = hashlib.sha256(), 0
        with full_disk_is_ours(), self._new_incoming() as incoming:
            path = Path(incoming.name)
            try:
                async for chunk in chunks:
                    size += len(chunk)
                    if max_bytes is not None and size > max_bytes:
                        raise FileTooLargeError(limit_bytes=max_bytes)
                    digest.update(chunk)
                    # Writing one chunk here costs less than the way to a thread and back.
                    incoming.write(chunk)
                incoming.flush()
                await asyncio.to_thread(self._put, incoming.fileno(), path, key)
            finally:
                path.unlink(missing_ok=True)
        return Stored(size, digest.hexdigest())

    async def write_file(self, key: str, path: Path) -> Stored:
        """Store a copy of a local file."""
        return await self.write_stream(key, chunks_of(path))

    async def read(self, key: str) -> bytes:
        """All the bytes of a blob that is known to be small.

        Raises:
            NotFoundError: there is no such blob.
        """
        try:
            content: bytes = await asyncio.to_thread(self.files.cat_file, self._path(key))
        except FileNotFoundError:
            raise NotFoundError("The bytes are gone from the storage.", blob=key) from None
        return content

    @asynccontextmanager
    async def as_local(self, key: str) -> AsyncIterator[Path]:
        """The blob as a file of this machine, to be read only; a copy only where it must be.

        Raises:
            NotFoundError: there is no such blob.
        """
        path = self.local_path(key)
        if path is not None:
            if not path.is_file():
                raise NotFoundError("The bytes are gone from the storage.", blob=key)
            yield path
            return
        with tempfile.TemporaryDirectory(dir=self._incoming()) as folder:
            copy = Path(folder) / "blob"
            try:
                await asyncio.to_thread(self.files.get_file, self._path(key), str(copy))
            except FileNotFoundError:
                raise NotFoundError("The bytes are gone from the storage.", blob=key) from None
            yield copy

    async def delete(self, key: str) -> None:
        """Remove a blob, or all below a key that ends with `/`; nothing there is no error."""

        def remove() -> None:
            try:
                # What is below a key may be known from before, without what came since.
                self.files.invalidate_cache()
                self.files.rm(self._path(key), recursive=key.endswith("/"))
            except FileNotFoundError:
                return

        await asyncio.to_thread(remove)

    async def size_bytes(self, key: str) -> int:
        """How much lies under a key that ends with `/`."""

        def measure() -> int:
            try:
                self.files.invalidate_cache()
                return sum(
                    one["size"] for one in self.files.find(self._path(key), detail=True).values()
                )
            except FileNotFoundError:
                return 0

        return await asyncio.to_thread(measure)

    async def delete_abandoned(self, older_than_seconds: float) -> int:
        """Remove what was coming in when its process was killed; answers how many files."""

        def remove() -> int:
            folder, removed = self._incoming(), 0
            before = time.time() - older_than_seconds
            for path in folder.iterdir() if self.is_local else ():
                try:
                    if path.is_file() and path.stat().st_mtime < before:
                        path.unlink()
                        removed += 1
                except FileNotFoundError:
                    continue  # it has come in, or another one removes it
            return removed

        return await asyncio.to_thread(remove)

    def _path(self, key: str) -> str:
        parts = key.rstrip("/").split("/")
        if any(part in {"", ".", ".."} for part in parts):
            raise ValueError(f"not a key of a blob: {key!r}")
        return f"{self.root}/{'/'.join(parts)}"

    def _incoming(self) -> Path:
        folder = Path(self.root) / ".incoming" if self.is_local else settings().scratch_folder
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _new_incoming(self) -> BinaryIO:
        """A new file that this user alone may read, whatever the umask."""

        def private(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        return open(self._incoming() / uuid4().hex, "xb", opener=private)  # the caller's

    def _put(self, descriptor: int, path: Path, key: str) -> None:
        if self.is_local:
            target = Path(self._path(key))
            target.parent.mkdir(parents=True, exist_ok=True)
            os.fsync(descriptor)
            path.replace(target)
        else:
            self.files.put_file(str(path), self._path(key))


async def chunks_of(path: Path) -> AsyncIterator[bytes]:
    """The bytes of a local file, from the beginning."""
    with path.open("rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            yield chunk


@cache
def blobs() -> Blobs:
    """The storage of this process, as the settings say."""
    return Blobs(settings().effective_storage)
