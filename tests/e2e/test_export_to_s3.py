"""Files leave to a bucket of a real S3 server, by the file system that users install for it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import s3fs

from flows import verbs
from store.access import Caller
from store.models import Task
from store.organizations import organization_named
from store.states import Actor, State
from tests.conftest import forget_process_state
from tests.e2e.installation import free_port, wait_until
from tests.flow_driver import Driver

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

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


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What looks into the server, whose files only we put there."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", url),
        ("PAPERTRAY_EXPORT_URLS", "s3://papers"),
    ):
        monkeypatch.setenv(name, value)
    command = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(url), 120, lambda: "the S3 server does not answer")
        yield s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
    finally:
        process.kill()
        process.wait()


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
