"""/v1/files."""

from io import BytesIO
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from store.settings import settings
from tests.contract.test_errors import problem_in
from tests.contract.world import (
    PNG,
    Client,
    add_output,
    blobs_on_disk,
    let_happen,
    send_file,
    send_task,
)


def pdf(pages: int) -> bytes:
    content = BytesIO()
    canvas = Canvas(content)
    for number in range(pages):
        canvas.drawString(72, 72, f"Page {number + 1}")
        canvas.showPage()
    canvas.save()
    return content.getvalue()


def image(kind: str, width: int = 30, height: int = 20, **options: object) -> bytes:
    content = BytesIO()
    Image.new("RGB", (width, height), "white").save(content, kind, **options)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "media_type", "properties"),
    [
        (pdf(3), "application/pdf", {"page_count": 3}),
        (image("PNG"), "image/png", {"width": 30, "height": 20}),
        (image("JPEG"), "image/jpeg", {"width": 30, "height": 20}),
        (image("WEBP"), "image/webp", {"width": 30, "height": 20}),
        (
            image("TIFF", save_all=True, append_images=[Image.new("RGB", (5, 5))]),
            "image/tiff",
            {"width": 30, "height": 20, "page_count": 2},
        ),
    ],
    ids=["pdf", "png", "jpeg", "webp", "tiff"],
)
async def test_a_file_has_the_type_and_the_properties_of_its_content(
    client: Client, content: bytes, media_type: str, properties: dict[str, int]
):
    part = ("page.exe", content, "application/x-msdownload")
    answer = await client.post("/v1/files", files={"file": part}, data={"name": "Example Image"})
    assert answer.status_code == 201
    made = answer.json()
    assert list(made) == ["id", "name", "type", "properties", "task_id", "created_at"]
    assert made["name"] == "Example Image"
    assert made["type"] == media_type
    assert made["properties"] == {"size": len(content), **properties}
    assert made["task_id"] is None
    assert made["created_at"].endswith("Z")
    assert (await client.get(f"/v1/files/{made['id']}")).json() == made


@pytest.mark.parametrize("content", [b"%PDF-1.7 and then nothing", b"\x89PNG\r\n\x1a\n", b"plain"])
async def test_a_file_that_cannot_be_worked_on_is_stored_without_properties(
    client: Client, content: bytes
):
    answer = await client.post("/v1/files", files={"file": ("a", content)})
    assert answer.status_code == 201
    assert answer.json()["properties"] == {"size": len(content)}
    download = await client.get(f"/v1/files/{answer.json()['id']}/download")
    assert download.content == content


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("C:\\scans\\letter.pdf", "letter.pdf"),
        ("../../etc/passwd", "passwd"),
        ("a" * 100 + ".pdf", "a" * 46 + ".pdf"),
        ("." + "b" * 100, "." + "b" * 49),
        ("a\r\nb.pdf", "ab.pdf"),
    ],
)
async def test_a_file_without_a_name_is_called_what_was_uploaded(
    client: Client, sent: str, kept: str
):
    answer = await client.post("/v1/files", files={"file": (sent, PNG)})
    # httpx sends a line break as %0A: what comes in is told from what it was sent as.
    assert answer.json()["name"].replace("%0D%0A", "") == kept


@pytest.mark.parametrize("name", ["", "x" * 51])
async def test_a_name_has_1_to_50_characters(client: Client, name: str):
    answer = await client.post("/v1/files", files={"file": ("a", PNG)}, data={"name": name})
    assert list(problem_in(answer, 422, "validation")["errors"]) == ["name"]
    assert blobs_on_disk() == []


async def test_a_download_is_an_attachment_that_a_browser_does_not_run(client: Client):
    name = 'Rechnung "Müller" %41.html'
    answer = await client.post(
        "/v1/files", files={"file": ("a", b"<script>alert(1)</script>")}, data={"name": name}
    )
    download = await client.get(f"/v1/files/{answer.json()['id']}/download")
    assert download.status_code == 200
    headers = download.headers
    assert headers["content-type"].partition(";")[0] == answer.json()["type"]
    assert headers["content-length"] == str(len(download.content))
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]
    kind, plain, full = headers["content-disposition"].split("; ")
    assert kind == "attachment"
    assert plain == 'filename="Rechnung _M_ller_ _41.html"'
    assert full.startswith("filename*=UTF-8''")
    assert unquote(full.partition("''")[2]) == name


async def test_a_large_file_goes_in_and_out_in_pieces(client: Client, home: Path):
    content = b"%PDF-" + bytes(range(256)) * 20_000
    answer = await client.post("/v1/files", files={"file": ("large.pdf", content)})
    assert answer.json()["properties"]["size"] == len(content)
    async with client.stream("GET", f"/v1/files/{answer.json()['id']}/download") as download:
        pieces = [piece async for piece in download.aiter_raw()]
    assert b"".join(pieces) == content


async def test_a_deleted_file_is_gone_with_its_bytes(client: Client):
    file_id = await send_file(client)
    answer = await client.delete(f"/v1/files/{file_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert blobs_on_disk() == []
    problem_in(await client.get(f"/v1/files/{file_id}"), 404, "not_found")
    problem_in(await client.get(f"/v1/files/{file_id}/download"), 404, "not_found")
    problem_in(await client.delete(f"/v1/files/{file_id}"), 404, "not_found")


async def test_a_file_that_a_task_made_names_the_task(client: Client):

    task_id = await send_task(client)
    made = await add_output(await let_happen(task_id))
    assert (await client.get(f"/v1/files/{made.id}")).json()["task_id"] == task_id
    listed = {one["id"]: one["task_id"] for one in (await client.get("/v1/files")).json()["data"]}
    assert listed[made.id] == task_id
    outputs = (await client.get(f"/v1/tasks/{task_id}/outputs")).json()["data"]
    assert [(one["id"], one["role"]) for one in outputs] == [(made.id, "data")]


async def test_links_lead_through_all_pages_and_back(client: Client):
    ids = [await send_file(client, name=f"{number}.png") for number in range(5)]
    ids.reverse()
    first = (await client.get("/v1/files", params={"take": 2})).json()
    assert first["links"]["previous"] is None
    assert first["links"]["next"].startswith("http://papertray.test/v1/files?take=2&from=file_")
    pages = [first]
    while address := pages[-1]["links"]["next"]:
        pages.append((await client.get(address)).json())
    assert [[one["id"] for one in page["data"]] for page in pages] == [ids[:2], ids[2:4], ids[4:]]
    back = [pages[-1]]
    while address := back[-1]["links"]["previous"]:
        back.append((await client.get(address)).json())
    assert [one["data"] for one in back] == [one["data"] for one in reversed(pages)]


async def test_a_page_is_of_twenty_and_never_of_more_than_a_hundred(client: Client):
    for number in range(21):
        await send_file(client, name=f"{number}.png")
    page = (await client.get("/v1/files")).json()
    assert len(page["data"]) == 20
    assert "take=20&from=" in page["links"]["next"]
    assert len((await client.get("/v1/files", params={"take": 100})).json()["data"]) == 21
    for take in ("0", "101", "x"):
        answer = await client.get("/v1/files", params={"take": take})
        assert list(problem_in(answer, 422, "validation")["errors"]) == ["take"]


async def test_a_list_stands_still_while_files_come_in(client: Client):
    ids = [await send_file(client, name=f"{number}.png") for number in range(4)][::-1]
    first = (await client.get("/v1/files", params={"take": 2})).json()
    await send_file(client)
    second = (await client.get(first["links"]["next"])).json()
    assert [one["id"] for one in second["data"]] == ids[2:]


async def test_a_list_begins_at_the_file_that_is_named(client: Client):
    ids = [await send_file(client, name=f"{number}.png") for number in range(3)][::-1]
    page = (await client.get("/v1/files", params={"from": ids[1]})).json()
    assert [one["id"] for one in page["data"]] == ids[1:]
    await client.delete(f"/v1/files/{ids[1]}")
    problem_in(await client.get("/v1/files", params={"from": ids[1]}), 404, "not_found")


async def test_links_have_the_public_address_where_one_is_set(
    client: Client, monkeypatch: pytest.MonkeyPatch
):

    monkeypatch.setenv("PAPERTRAY_PUBLIC_URL", "https://tray.example.com/")
    settings.cache_clear()
    for _ in range(2):
        await send_file(client)
    page = (await client.get("/v1/files", params={"take": 1})).json()
    assert page["links"]["next"].startswith("https://tray.example.com/v1/files?take=1&from=file_")
