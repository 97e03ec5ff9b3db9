"""Sends bytes from the storage to a browser, which may ask for parts of them, as players do."""

from collections.abc import Mapping

from fastapi import Response
from starlette.responses import FileResponse

from api.v1 import files
from store.blobs import blobs
from store.errors import NotFoundError


async def send_blob(blob: str, media_type: str, headers: Mapping[str, str]) -> Response:
    """The bytes of a blob; of one that lies on this machine parts, too.

    Raises:
        NotFoundError: the bytes are gone.
    """
    path = blobs().local_path(blob)
    if path is None:
        return await files.send_blob(blob, media_type, headers)
    if not path.is_file():
        raise NotFoundError("The bytes are gone from the storage.")
    return FileResponse(path, media_type=media_type, headers={**files.SAFE_HEADERS, **headers})
