"""extract-text under /v1: the formats, the schema, and options that would have no effect."""

from typing import Any

import pytest

from tests.contract.test_errors import problem_in
from tests.contract.world import Client

SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}}
WRONG = {"type": "object", "properties": {"total": {"type": "number", "pattern": "a"}}}


@pytest.mark.parametrize("kind", ["pdf", "image"])
async def test_a_schema_is_shown_as_it_was_sent(client: Client, kind: str) -> None:
    body = {"input": "file_abc123xyz", "format": "json", "schema": SCHEMA}
    answer = await client.post(f"/v1/{kind}-operations/extract-text", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["parameters"] == body


async def test_a_bad_schema_is_refused_with_its_place(client: Client) -> None:
    body = {"input": "file_abc123xyz", "format": "json", "schema": WRONG}
    answer = await client.post("/v1/pdf-operations/extract-text", json=body)
    problem = problem_in(answer, 422, "validation")
    assert "/properties/total/pattern" in str(problem["errors"]["schema"])


@pytest.mark.parametrize(
    "body",
    [
        {"format": "json"},
        {"format": "html", "schema": SCHEMA},
        {"format": "plain", "mode": "skip", "languages": ["deu"]},
        {"format": "plain", "mode": "skip", "dpi": 200},
        {"format": "plain", "quality": 3},
    ],
)
async def test_what_would_have_no_effect_is_refused(client: Client, body: dict[str, Any]) -> None:
    answer = await client.post(
        "/v1/pdf-operations/extract-text", json={"input": "file_abc123xyz", **body}
    )
    problem_in(answer, 422, "validation")
