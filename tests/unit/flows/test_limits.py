"""What is beyond the limits of a project is refused: at once where it is known, else as a task."""

import io

import pytest
from PIL import Image

from flows import steps, verbs
from store.access import Caller
from store.errors import FileTooLargeError, LimitExceededError, UnsupportedFileError
from store.models import File, Task
from store.project_file import parse_project_file
from store.states import State
from tests.flow_driver import Driver
from tests.mail import INVOICE, stack
from tests.unit.flows.conftest import PROJECT, bytes_of


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    return Driver(monkeypatch)


async def installed(caller: Caller, limits: str) -> None:
    await verbs.install_project(caller, f"{PROJECT}read: {{mode: skip}}\nlimits: {limits}\n")


async def submitted(caller: Caller, file: File) -> Task:
    return await verbs.submit_process(caller, project="invoices", file_id=file.id)


async def test_a_file_that_is_too_large_is_refused(alice: Caller, file: File) -> None:
    await installed(alice, f"{{max_file_size: {file.size_bytes - 1}}}")
    with pytest.raises(FileTooLargeError) as caught:
        await submitted(alice, file)
    assert caught.value.http_status == 413
    assert caught.value.details == {
        "size_bytes": file.size_bytes,
        "limit_bytes": file.size_bytes - 1,
    }
    await installed(alice, f"{{max_file_size: {file.size_bytes}}}")
    assert (await submitted(alice, file)).state is State.QUEUED


async def test_a_file_of_another_type_is_refused_by_its_content(alice: Caller, file: File) -> None:
    await installed(alice, "{file_types: [tiff, jpeg]}")
    with pytest.raises(UnsupportedFileError) as caught:
        await submitted(alice, file)
    assert caught.value.details == {
        "detected": "application/pdf",
        "accepted": ["image/tiff", "image/jpeg"],
    }
    picture = io.BytesIO()
    Image.new("L", (9, 9)).save(picture, "TIFF")
    scan = await verbs.take_file(alice, name="a.pdf", chunks=bytes_of(picture.getvalue()))
    assert (await submitted(alice, scan)).state is State.QUEUED


async def test_a_file_whose_pages_were_counted_is_refused_at_once(alice: Caller) -> None:
    await installed(alice, "{max_pages: 1}")
    chunks = bytes_of(stack(INVOICE, INVOICE))
    file = await verbs.take_file(alice, name="a.pdf", chunks=chunks, properties={"page_count": 2})
    with pytest.raises(LimitExceededError, match="2 pages, more than the 1"):
        await submitted(alice, file)


async def test_else_its_task_fails_before_a_page_is_read(
    alice: Caller, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await installed(alice, "{max_pages: 1}")

    async def never(*_: object, **__: object) -> None:
        raise AssertionError("a page was read")

    with monkeypatch.context() as patch:
        patch.setattr(steps, "read_pages", never)
        file = await verbs.take_file(alice, name="a.pdf", chunks=bytes_of(stack(INVOICE, INVOICE)))
        task = await driver.process(await submitted(alice, file))
    assert task.state is State.FAILED
    assert task.result["details"] == {"code": "limit_exceeded", "page_count": 2, "limit_pages": 1}
    assert "more than the 1 that the project takes" in task.result["error"]
    file = await verbs.take_file(alice, name="b.pdf", chunks=bytes_of(stack(INVOICE)))
    task = await driver.process(
        await submitted(alice, file), lambda one: verbs.discard(alice, one.public_id)
    )
    assert task.state is State.DISCARDED


@pytest.mark.parametrize(
    ("written", "size"),
    [("20MB", 20_000_000), ("512 KiB", 524_288), ("2gb", 2_000_000_000), ("7B", 7), ("7", 7)],
)
def test_a_size_is_written_with_its_unit(written: str, size: int) -> None:
    project = parse_project_file(f"{PROJECT}limits: {{max_file_size: {written}}}\n")
    assert project.limits.max_file_size == size
