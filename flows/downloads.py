"""Files that somebody names by their address: fetched from public addresses alone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from flows.public_http import UNANSWERED, PublicHttp, check_url, why_refused, why_unanswered
from flows.verbs import store_bytes
from store.access import Caller
from store.errors import AddressError, InputError
from store.models import File

WAIT_SECONDS: Final = 30.0
"""For the connection, and for each part of the answer."""

WHOLE_SECONDS: Final = 600.0


def is_address(text: str) -> bool:
    """Whether a text is meant as an address."""
    return text.lower().startswith(("http://", "https://"))


async def download(caller: Caller, url: str) -> File:
    """Fetch a file and store its bytes; the row is not yet added to any transaction.

    Raises:
        AddressError: it is no address that may be reached.
        InputError: there is no file to be had.
        EmptyFileError, FileTooLargeError, StorageFullError: as of a file that is sent.
    """
    check_url(url)
    name = unquote(PurePosixPath(urlsplit(url).path).name) or "download"
    try:
        async with (
            asyncio.timeout(WHOLE_SECONDS),
            PublicHttp() as http,
            http.stream(
                "GET", url, headers={"user-agent": "Papertray"}, timeout_seconds=WAIT_SECONDS
            ) as answer,
        ):
            if reason := why_refused(answer.status):
                raise InputError(f"The file cannot be fetched. {reason}")
            chunks: AsyncIterator[bytes] = answer.aiter_stream()
            return await store_bytes(caller, name=name, chunks=chunks)
    except AddressError:
        raise
    except UNANSWERED as error:
        reason = why_unanswered(error, WAIT_SECONDS)
        raise InputError(f"The file cannot be fetched. {reason}") from None
