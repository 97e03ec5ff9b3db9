"""Sends bytes from the storage to a browser."""

from collections.abc import AsyncIterator, Mapping

from fastapi import Response
from starlette.responses import FileResponse, StreamingResponse

from store.blobs import CHUNK_BYTES, blobs
from store.errors import NotFoundError


async def send_blob(blob: str, media_type: str, headers: Mapping[str, str]) -> Response:
    """The bytes of a blob; of a file of this machine parts can be asked for, as players do.

    Raises:
        NotFoundError: the bytes are gone.
    """
    path = blobs().local_path(blob)
    if path is None:
        stream = _stream(blob)
        first = await anext(stream)  # a blob that is gone must be found out before the 200
        return StreamingResponse(_after(first, stream), media_type=media_type, headers=headers)
    if not path.is_file():
        raise NotFoundError("The bytes are gone from the storage.")
    return FileResponse(path, media_type=media_type, headers=headers)


async def _stream(blob: str) -> AsyncIterator[bytes]:
    async with blobs().as_local(blob) as path:
        with path.open("rb") as source:
            yield source.read(CHUNK_BYTES)
            while chunk := source.read(CHUNK_BYTES):
                yield chunk


async def _after(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
