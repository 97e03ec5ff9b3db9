"""Every route: who gets in, with which scope, and that everybody else is told in this shape."""

from typing import Any

import pytest

from tests.contract.send_ai.desk import ALL, Desk, key_of, refused
from tests.contract.world import PNG, MakeKey
from tests.whole_app import whole_app

METHODS = {"get", "post", "put", "patch", "delete"}
OPERATIONS: dict[tuple[str, str], Any] = {
    (method, path): described
    for path, methods in whole_app().openapi()["paths"].items()
    for method, described in methods.items()
    if path.startswith("/v2/") and method in METHODS
}

SENT: dict[tuple[str, str], dict[str, Any]] = {
    ("post", "/upload"): {"files": {"file": ("a.png", PNG)}},
    ("post", "/folder"): {"json": {"name": "Mine"}},
    ("patch", "/task/{task_id}"): {
        "json": {"annotations": [{"entity_id": "total", "content": "1.00"}]}
    },
    ("post", "/task/{task_id}/report"): {"json": {"issues": [{"label": "a", "value": "b"}]}},
}
OUT_OF_ORDER = {
    ("delete", "/folder/{folder_id}"),
    ("post", "/task/{task_id}/unlock"),
    ("put", "/task/{task_id}/unlock"),
}
"""Calls that are let in and refused all the same: of a folder that stays, of a task in review."""


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=str)
async def test_a_key_opens_what_its_scope_says_and_only_for_its_team(
    method: str, path: str, desk: Desk, make_key: MakeKey
):
    upload_id, (task_id,) = await desk.send_to_review()
    ids = {"upload_id": upload_id, "task_id": task_id, "folder_id": "folder_inbox"}
    whole = {"team_id": desk.team_id, "project_id": desk.project_id, **ids}
    short = path.partition("{project_id}")[2]
    sent = SENT.get((method, short), {})
    (scope,) = OPERATIONS[(method, path)]["security"][0]["Bearer"]

    async def status_with(key: str, place: dict[str, str] = whole) -> int:
        headers = {"authorization": f"Bearer {key}"} if key else {"authorization": ""}
        answer = await desk.http.request(method, path.format(**place), headers=headers, **sent)
        if answer.is_error:
            refused(answer, answer.status_code)
            documented = OPERATIONS[(method, path)]["responses"]
            assert str(answer.status_code) in documented
        return answer.status_code

    assert await status_with("") == 401
    assert await status_with("ptk_wrong") == 401
    assert await status_with(await key_of("claims", *sorted({*ALL} - {scope}))) == 403
    right = await key_of("claims", scope)
    for other in (
        await make_key(organization="globex"),
        await key_of("claims", scope, organization="globex"),
        await key_of("returns", scope),
        await make_key(scope),
    ):
        assert await status_with(other) == 404
    for name in whole.keys() - {"folder_id"} if short.count("{") else ("team_id", "project_id"):
        if f"{{{name}}}" in path:
            assert await status_with(right, {**whole, name: "00000000"}) == 404
    expected = 400 if (method, short) in OUT_OF_ORDER else 200
    assert await status_with(right) in {expected, 201, 204}


async def test_what_is_no_address_here_is_told_in_this_shape(desk: Desk):
    refused(await desk.call("GET", "/nothing"), 404)
    refused(await desk.http.get("/v2/nothing"), 404)
    refused(await desk.call("PUT", "/upload"), 405)
    refused(await desk.call("POST", "/folder", content=b"name=Mine"), 400)
    refused(await desk.call("POST", "/folder", content=bytes(2**20 + 1)), 413)
    refused(await desk.call("POST", "/folder", content=b"{"), 400)


async def test_team_and_project_are_named_by_their_names_too(desk: Desk):
    upload_id, _ = await desk.send()
    answer = await desk.http.get(f"/v2/claims/project/invoices/upload/{upload_id}")
    assert answer.status_code == 200
