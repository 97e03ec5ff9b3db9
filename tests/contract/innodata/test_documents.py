import pytest

from tests.contract.innodata.bench import Bench
from tests.contract.world import PNG


async def test_a_document_is_sent_shown_fetched_and_deleted(ana: Bench):
    sent = await ana.send()
    assert set(sent) == {"contents_uri", "id", "name", "owner", "size", "type"}
    assert (sent["name"], sent["type"], sent["size"]) == ("contract.png", "image/png", len(PNG))
    assert sent["owner"]["email"] == "ana@example.com"
    assert await ana.call("GET", f"/documents/{sent['id']}") == sent
    assert (await ana.client.get(sent["contents_uri"])).content == PNG
    listed = await ana.call("GET", "/documents")
    assert (listed["count"], listed["documents"]) == (1, [sent])
    assert (await ana.client.delete(f"/documents/{sent['id']}")).status_code == 204
    await ana.call("GET", f"/documents/{sent['id']}", 404)


async def test_a_document_is_called_what_its_sender_says_in_any_letters(ana: Bench):
    for name in ("Verträge.pdf".encode(), "Verträge.pdf".encode("latin-1")):
        headers = {b"X-Name": name, b"X-Type": b"application/pdf"}
        sent = await ana.call("POST", "/documents", 201, content=b"%PDF-", headers=headers)
        assert sent["name"] == "Verträge.pdf"
    told = await ana.call("POST", "/documents", 400, content=b"x", headers={"X-Name": "x" * 256})
    assert list(told["errors"]) == ["x-name"]


async def test_the_contents_of_a_document_are_replaced_until_a_job_has_it(ana: Bench):
    sent = await ana.send()
    address = f"/documents/{sent['id']}/contents"
    changed = await ana.call("PUT", address, content=b"%PDF-1.7 other")
    assert changed["size"] == len(b"%PDF-1.7 other")
    assert (await ana.client.get(address)).content == b"%PDF-1.7 other"
    contents = [{"role": "input", "uri": sent["contents_uri"]}]
    body = {"type": "data-point-extraction", "contents": contents, "mapping.taxonomy": ["Number"]}
    await ana.call("POST", "/jobs", 201, json=body)
    await ana.call("PUT", address, 409, content=b"again")
    assert (await ana.client.get(address)).content == b"%PDF-1.7 other"


async def test_nobody_else_sees_a_document(ana: Bench, ben: Bench, eve: Bench):
    sent = await ana.send()
    for other in (ben, eve):
        await other.call("GET", f"/documents/{sent['id']}", 404)
        await other.call("GET", f"/documents/{sent['id']}/contents", 404)
        await other.call("PUT", f"/documents/{sent['id']}/contents", 404, content=b"x")
        await other.call("DELETE", f"/documents/{sent['id']}", 404)
        assert (await other.call("GET", "/documents"))["count"] == 0


async def test_a_document_without_bytes_is_refused(ana: Bench):
    await ana.call("POST", "/documents", 400, content=b"")
    assert (await ana.call("GET", "/documents"))["count"] == 0


async def test_a_page_of_documents_begins_where_it_is_asked_to(ana: Bench):
    ids = [(await ana.send(name=f"{n}.png"))["id"] for n in range(3)]
    page = await ana.call("GET", "/documents", params={"limit": 1, "offset": 1})
    assert (page["count"], [one["id"] for one in page["documents"]]) == (3, [ids[1]])


@pytest.mark.parametrize("name", ["user-live-", ""])
async def test_a_key_may_begin_as_those_of_innodata_do(ana: Bench, name: str):
    answer = await ana.client.get("/status", auth=(f"{name}{ana.key}", "anything"))
    assert answer.json()["response"]["user"] == "ana@example.com"


@pytest.mark.parametrize("said", ["user-test-{key}", "wrong", "{key}x"])
async def test_a_key_that_is_not_one_opens_nothing(ana: Bench, said: str):
    answer = await ana.client.get("/status", auth=(said.format(key=ana.key), ""))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert answer.json()["success"] is False
