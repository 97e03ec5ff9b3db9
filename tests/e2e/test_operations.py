"""Operations through the whole: sent to the API, or started in Prefect, done by the worker."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pikepdf
import pytest
from PIL import Image

from tests import pdfs
from tests.documents import invoice, scan
from tests.e2e.installation import Installation
from tests.photos import page

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def papertray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    one = Installation(tmp_path_factory.mktemp("operations"))
    one.start()
    yield one
    one.stop()


def sent(papertray: Installation, content: bytes, name: str) -> str:
    answer = papertray.api.post("/files", files={"file": (name, content)})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def asked(papertray: Installation, address: str, **body: Any) -> str:
    answer = papertray.api.post(address, json=body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "pending"
    return answer.json()["id"]


def result_of(papertray: Installation, task_id: str) -> dict[str, Any]:
    task = papertray.until(task_id, "completed", "failed")
    assert task["state"] == "completed", task["result"]
    return task["result"]


def download(papertray: Installation, file: dict[str, Any]) -> bytes:
    answer = papertray.api.get(f"/files/{file['id']}/download")
    assert answer.headers["content-type"] == file["type"]
    assert len(answer.content) == file["properties"]["size"]
    return answer.content


def png(image: Image.Image) -> bytes:
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


def test_what_one_operation_makes_is_the_input_of_the_next(papertray: Installation):
    """Each is sent before the one it waits for is done."""
    letters = sent(papertray, invoice(pages=2), "letters.pdf")
    photo = sent(papertray, png(page()), "photo.png")
    flat = asked(
        papertray, "/image-operations/scan", input=photo, effect="grayscale", scan_mode="none"
    )
    merged = asked(papertray, "/pdf-operations/merge", input=[letters, flat], name="All")
    split = asked(papertray, "/pdf-operations/split", input=merged)

    (whole,) = result_of(papertray, merged)["generated_files"]
    assert (whole["name"], whole["type"]) == ("All", "application/pdf")
    with pikepdf.open(io.BytesIO(download(papertray, whole))) as document:
        assert len(document.pages) == 3
    parts = result_of(papertray, split)["generated_files"]
    assert [part["properties"]["page_count"] for part in parts] == [1, 1, 1]
    assert papertray.events(split)[0] == "task.completed"


def test_a_scan_becomes_searchable_and_its_picture_stays(papertray: Installation):
    original = scan(invoice(number="XK-2290"))
    task = asked(papertray, "/pdf-operations/ocr", input=sent(papertray, original, "scan.pdf"))
    (made,) = result_of(papertray, task)["generated_files"]
    with (
        pikepdf.open(io.BytesIO(original)) as before,
        pikepdf.open(io.BytesIO(download(papertray, made))) as after,
    ):
        pictures = [
            [bytes(image.read_raw_bytes()) for image in document.pages[0].get_images().values()]
            for document in (before, after)
        ]
    assert pictures[0] == pictures[1]
    text = asked(
        papertray, "/pdf-operations/extract-text", input=made["id"], format="plain", mode="skip"
    )
    assert "XK-2290" in result_of(papertray, text)["content"]


def test_an_operation_is_started_by_its_form_in_prefect(papertray: Installation):
    inbox = papertray.home / "inbox"
    inbox.mkdir(exist_ok=True)
    (inbox / "letters.pdf").write_bytes(invoice(pages=3))
    with pytest.raises(httpx.HTTPStatusError, match="409"):  # Prefect checks: `input` is missing
        papertray.start_in_prefect("extract-pages", pages="2-3")
    run = papertray.start_in_prefect("extract-pages", input="letters.pdf", pages="2-3")
    task = papertray.until_adopted(run)
    (made,) = result_of(papertray, task)["generated_files"]
    assert made["properties"]["page_count"] == 2
    papertray.until_run(task, "Completed")


def secret_block(papertray: Installation, name: str, value: str) -> None:
    kind = papertray.prefect.get("/block_types/slug/secret").json()["id"]
    wanted = {"block_schemas": {"block_type_id": {"any_": [kind]}}}
    schema = papertray.prefect.post("/block_schemas/filter", json=wanted).json()[0]["id"]
    made = papertray.prefect.post(
        "/block_documents/",
        json={
            "name": name,
            "data": {"value": value},
            "block_type_id": kind,
            "block_schema_id": schema,
        },
    )
    assert made.status_code == 201, made.text


def test_a_run_of_prefect_takes_a_password_from_a_block_and_shows_it_nowhere(
    papertray: Installation, tmp_path: Path
):
    inbox = papertray.home / "inbox"
    inbox.mkdir(exist_ok=True)
    pdfs.encrypted(inbox / "locked.pdf", pdfs.book(tmp_path / "book.pdf", 2))
    secret_block(papertray, "for-letters", pdfs.PASSWORD)
    run = papertray.start_in_prefect(
        "extract-pages", input="locked.pdf", pages="2", password_block="for-letters"
    )
    task = papertray.until_adopted(run)
    (made,) = result_of(papertray, task)["generated_files"]
    assert made["properties"]["page_count"] == 1
    papertray.until_run(task, "Completed")
    answer = papertray.prefect.get(f"/flow_runs/{run}")
    assert answer.json()["parameters"]["password_block"] == "for-letters"
    logs = {"logs": {"flow_run_id": {"any_": [run]}}}
    told = [answer, papertray.prefect.post("/logs/filter", json=logs)]
    assert all(pdfs.PASSWORD not in str(one.json()) for one in told)


def test_a_task_whose_input_is_wrong_fails_with_the_cause_and_the_worker_goes_on(
    papertray: Installation,
):
    letters = sent(papertray, invoice(), "letters.pdf")
    wrong = [
        asked(papertray, "/image-operations/scan", input=letters, effect="none", scan_mode="none"),
        asked(papertray, "/pdf-operations/extract-pages", input=letters, pages="7-9"),
        asked(papertray, "/pdf-operations/split", input="file_0000000000000000"),
    ]
    for task_id in wrong:
        failed = papertray.until(task_id, "completed", "failed")
        assert failed["state"] == "failed"
        assert failed["result"]["error"]
        assert failed["result"]["details"]
    good = asked(papertray, "/pdf-operations/render", input=letters, dpi=72)
    assert len(result_of(papertray, good)["generated_files"]) == 1
