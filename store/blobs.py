"""Bytes: where they lie, how they come in and go out."""

import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from store.disk_errors import disk_errors_are_ours, is_full
from store.errors import (
    FileTooLargeError,
    NotFoundError,
    PapertrayError,
    StorageAwayError,
    StorageFullError,
)
from store.settings import settings

CHUNK_BYTES = 1 << 20

T = TypeVar("T")


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
            StorageAwayError: the storage refuses it; nothing is kept.
        """
        digest, size = hashlib.sha256(), 0
        with disk_errors_are_ours(), self._new_incoming() as incoming:
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
                await self._ask(lambda: self._put(incoming.fileno(), path, key))
            finally:
                with suppress(OSError):  # `delete_abandoned` finds it
                    path.unlink(missing_ok=True)
        return Stored(size, digest.hexdigest())

    async def write_file(self, key: str, path: Path) -> Stored:
        """Store a copy of a local file."""
        async with aclosing(chunks_of(path)) as chunks:
            return await self.write_stream(key, chunks)

    async def read(self, key: str) -> bytes:
        """All the bytes of a blob that is known to be small.

        Raises:
            NotFoundError: there is no such blob.
            StorageAwayError: the storage does not give it.
        """
        where = self._path(key)
        try:
            content: bytes = await self._ask(lambda: self.files.cat_file(where))
        except FileNotFoundError:
            raise NotFoundError("The bytes are gone from the storage.", blob=key) from None
        return content

    @asynccontextmanager
    async def as_local(self, key: str) -> AsyncIterator[Path]:
        """The blob as a file of this machine, to be read only; a copy only where it must be.

        Raises:
            NotFoundError: there is no such blob.
            StorageAwayError: the storage does not give it.
        """
        path = self.local_path(key)
        if path is not None:
            if not path.is_file():
                raise NotFoundError("The bytes are gone from the storage.", blob=key)
            yield path
            return
        with tempfile.TemporaryDirectory(dir=self._incoming()) as folder:
            copy, where = Path(folder) / "blob", self._path(key)
            try:
                await self._ask(lambda: self.files.get_file(where, str(copy)))
            except FileNotFoundError:
                raise NotFoundError("The bytes are gone from the storage.", blob=key) from None
            yield copy

    async def delete(self, key: str) -> None:
        """Remove a blob, or all below a key that ends with `/`; nothing there is no error.

        Raises:
            StorageAwayError: the storage does not let go of it.
        """
        where = self._path(key)

        def remove() -> None:
            # What is below a key may be known from before, without what came since.
            self.files.invalidate_cache()
            self.files.rm(where, recursive=key.endswith("/"))

        with suppress(FileNotFoundError):
            await self._ask(remove)

    async def size_bytes(self, key: str) -> int:
        """How much lies under a key that ends with `/`."""
        return sum(one["size"] for one in (await self._find(key)).values())

    async def written_before(self, key: str, older_than_seconds: float) -> list[str]:
        """The keys right below a key that ends with `/`, of what was stored so long ago."""
        before = time.time() - older_than_seconds
        return [
            f"{key}{path.rsplit('/', 1)[1]}"
            for path, facts in (await self._find(key)).items()
            if _stored_at(facts) < before
        ]

    async def _find(self, key: str) -> dict[str, dict[str, Any]]:
        where = self._path(key)

        def find() -> dict[str, dict[str, Any]]:
            self.files.invalidate_cache()
            found: dict[str, dict[str, Any]] = self.files.find(where, detail=True)
            if not found:
                self._must_be_there()
            return found

        try:
            return await self._ask(find)
        except FileNotFoundError:
            return {}

    async def _ask(self, call: Callable[[], T]) -> T:
        """Ask the storage for something; FileNotFoundError: it is there, and has no such blob."""

        def ask() -> T:
            try:
                return call()
            except FileNotFoundError:
                self._must_be_there()
                raise

        with disk_errors_are_ours() if self.is_local else _errors_of_others_are_ours():
            return await asyncio.to_thread(ask)

    def _must_be_there(self) -> None:
        """Tell a blob that is gone from a bucket that is.

        Raises:
            StorageAwayError: it is the bucket.
        """
        bucket = self.root.partition("/")[0]
        if not self.is_local and bucket and not self.files.exists(bucket):
            raise StorageAwayError(reason="there is no such bucket")

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

        return await self._ask(remove)

    def _path(self, key: str) -> str:
        parts = key.rstrip("/").split("/")
        if any(part in {"", ".", ".."} for part in parts):
            raise ValueError(f"not a key of a blob: {key!r}")
        return f"{self.root}/{'/'.join(parts)}"

    def _incoming(self) -> Path:
        self._incoming_folder.mkdir(parents=True, exist_ok=True)
        return self._incoming_folder

    @property
    def _incoming_folder(self) -> Path:
        return Path(self.root) / ".incoming" if self.is_local else settings().scratch_folder

    def _new_incoming(self) -> BinaryIO:
        """A new file that this user alone may read, whatever the umask."""
        name = uuid4().hex
        try:
            return open(self._incoming_folder / name, "xb", opener=_private)  # the caller's
        except FileNotFoundError:  # it is the first of all
            return open(self._incoming() / name, "xb", opener=_private)

    def _put(self, descriptor: int, path: Path, key: str) -> None:
        if self.is_local:
            target = Path(self._path(key))
            os.fsync(descriptor)
            try:
                path.replace(target)
            except FileNotFoundError:  # it is the first one there
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
            _sync_folder(target.parent)
        else:
            try:
                self.files.put_file(str(path), self._path(key))
            except FileNotFoundError:
                raise StorageAwayError(reason="there is no such bucket") from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    """Have the name of a new file survive a loss of power, as its bytes do (fsync(2), notes)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stored_at(facts: dict[str, Any]) -> float:
    """When something was stored, in seconds since 1970; each file system has a word for it."""
    at = facts.get("mtime") or facts.get("LastModified") or facts["created"]
    return at.timestamp() if isinstance(at, datetime) else float(at)


@contextmanager
def _errors_of_others_are_ours() -> Iterator[None]:
    """Raise whatever a storage elsewhere says as StorageAwayError, or StorageFullError.

    Each file system has errors of its own (botocore's, aiohttp's), some of them no OSError. Their
    messages name the file: only the kind is told on.
    """
    try:
        yield
    except (FileNotFoundError, PapertrayError):
        raise
    except Exception as error:
        if is_full(error) or _status_of(error) == HTTPStatus.INSUFFICIENT_STORAGE:
            raise StorageFullError from error
        raise StorageAwayError(reason=type(error).__name__) from error


def _status_of(error: Exception) -> int | None:
    """The HTTP status of what S3 said, which s3fs has as the cause of its error."""
    said = getattr(error.__cause__ or error, "response", None)
    metadata: dict[str, Any] = said.get("ResponseMetadata", {}) if isinstance(said, dict) else {}
    return metadata.get("HTTPStatusCode")


async def chunks_of(path: Path) -> AsyncGenerator[bytes, None]:
    """The bytes of a local file, from the beginning."""
    with path.open("rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            yield chunk


@cache
def blobs() -> Blobs:
    """The storage of this process, as the settings say."""
    return Blobs(settings().effective_storage)
