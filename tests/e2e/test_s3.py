"""A real S3 server, by the file system that users install for it: files in it, and on their way."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import pytest
import s3fs

from flows import verbs
from store.access import Caller
from store.blobs import Blobs
from store.errors import NotFoundError, StorageAwayError, StorageFullError, UnavailableError
from store.models import Task
from store.organizations import organization_named
from store.settings import settings
from store.states import Actor, State
from tests.bad_network import Fault, bad_network
from tests.conftest import forget_process_state
from tests.e2e.installation import free_port, wait_until
from tests.flow_driver import Driver
from tests.receiver import answer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

T = TypeVar("T")

PROJECT = """\
name: orders
blocks: [{name: number, type: text}, {name: note, type: text}]
review: never
export: {formats: [json, csv], name: "{number}", to: s3://papers/orders}
"""


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code < 500
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server with nothing in it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(url), 120, lambda: "the S3 server does not answer")
        yield url
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What looks into the server, whose files only we put there."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", server),
        ("PAPERTRAY_EXPORT_URLS", "s3://papers"),
    ):
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # those of before know another address
    return s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)


def files(s3: Any) -> dict[str, bytes]:
    return {path: s3.cat_file(path) for path in sorted(s3.find("papers"))}


async def test_files_leave_to_a_bucket_whole_and_once_and_wait_while_it_is_away(
    home: Path, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_process_state()
    s3.mkdir("papers")
    alice = Caller(await organization_named("acme"), Actor("alice@example.com", "tests"))
    await verbs.install_project(alice, PROJECT)
    driver = Driver(monkeypatch)

    async def order(number: str) -> Task:
        return await verbs.submit_process(alice, project="orders", data={"number": number})

    first = await driver.process(await order("A/1"))
    assert (first.state, first.result["exported_files"]) == (
        State.COMPLETED,
        ["A-1.json", "A-1.csv"],
    )
    there = files(s3)
    assert list(there) == ["papers/orders/A-1.csv", "papers/orders/A-1.json"]
    assert b'"number": "A/1"' in there["papers/orders/A-1.json"]

    # Somebody's own file of the next name is left as it is.
    s3.pipe_file("papers/orders/B.json", b"somebody's")
    second = await driver.process(await order("B"))
    assert second.result["exported_files"] == ["B-2.json", "B.csv"]
    there = files(s3)
    assert there["papers/orders/B.json"] == b"somebody's"
    assert b'"number": "B"' in there["papers/orders/B-2.json"]

    s3.rm("papers", recursive=True)

    async def mend(waiting: Task) -> None:
        assert (waiting.state, waiting.review_step) == (State.IN_REVIEW, "export")
        s3.mkdir("papers")
        await verbs.complete(alice, waiting.public_id)

    third = await driver.process(await order("C"), mend)
    assert driver.asked[0].startswith("the export failed: The place for the files does not take")
    assert third.state is State.COMPLETED
    assert list(files(s3)) == ["papers/orders/C.csv", "papers/orders/C.json"]


def refusal(status: int, code: str) -> bytes:
    """How S3 refuses a call.

    https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    """
    body = f"<Error><Code>{code}</Code><Message>made up</Message></Error>"
    return answer(status, body, Content_Type="application/xml", Connection="close")


CONTENT = bytes(range(256)) * 4096
FAULTS: dict[str, tuple[Fault | bytes, type[UnavailableError]]] = {
    "it is refused": (Fault.REFUSED, StorageAwayError),
    "the answer is lost": (Fault.LOST, StorageAwayError),
    "the answer is cut": (Fault.CUT, StorageAwayError),
    "the answer is late": (Fault.LATE, StorageAwayError),
    "the key is not allowed": (refusal(403, "AccessDenied"), StorageAwayError),
    "the bucket is gone": (refusal(404, "NoSuchBucket"), StorageAwayError),
    "it breaks": (refusal(500, "InternalError"), StorageAwayError),
    "it is slow": (refusal(503, "SlowDown"), StorageAwayError),
    "it is away": (refusal(503, "ServiceUnavailable"), StorageAwayError),
    "it is full": (refusal(507, "XMinioStorageFull"), StorageFullError),
}
"""What a storage elsewhere may do to every call, and what is told of it."""


async def one_chunk() -> AsyncIterator[bytes]:
    yield CONTENT


async def test_whatever_a_bucket_refuses_is_told_as_of_a_disk_and_over_when_it_is_over(
    home: Path, s3: Any, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("retries", 1), ("read_timeout", 1), ("connect_timeout", 2)):
        monkeypatch.setattr(s3fs.S3FileSystem, name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3.mkdir("store")
    async with bad_network(urlsplit(server).port or 0) as network:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{network.port}")
        s3fs.S3FileSystem.clear_instance_cache()
        network.at, network.late_seconds = {}, 60.0
        storage = Blobs("s3://store/blobs")
        await patiently(lambda: storage.write_stream("files/there", one_chunk()))
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "write": lambda: storage.write_stream("files/new", one_chunk()),
            "read": lambda: storage.read("files/there"),
            "copy": lambda: copied(storage, "files/there"),
            "delete": lambda: storage.delete("files/other"),
            "list": lambda: storage.written_before("files/", 0.0),
        }
        refused = 0
        for fault, expected in FAULTS.values():
            for call in calls.values():
                network.always = fault
                with pytest.raises(expected):
                    await call()
                refused += 1
                network.always = None
                assert await patiently(lambda: storage.read("files/there")) == CONTENT
                assert list(settings().scratch_folder.iterdir()) == []
        for call in calls.values():
            await patiently(call)
        assert await patiently(lambda: copied(storage, "files/new")) == CONTENT
        for read in (storage.read, partial(copied, storage)):
            with pytest.raises(NotFoundError):
                await patiently(partial(read, "files/never"))
    print(f"{refused} calls were refused, of {len(calls)} kinds by {len(FAULTS)} faults")


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Ask a storage that is well, on a machine that may be too busy to hear it in time."""
    async with asyncio.timeout(60):
        while True:
            with suppress(StorageAwayError):
                return await call()


async def copied(storage: Blobs, key: str) -> bytes:
    async with storage.as_local(key) as path:
        return path.read_bytes()
