"""Every error has the shape of the surface at whose address it happened."""

import json
from typing import Any
from uuid import UUID

import pytest

from api.error_shapes import SHAPES, V1, shape_of
from api.problems import answer_to
from store.errors import FieldsInvalidError, NotFoundError, UnauthenticatedError
from tests.contract.world import Client


def at(path: str, error: Exception) -> tuple[int, dict[str, Any], str]:
    answer = answer_to(error, path)
    return answer.status_code, json.loads(bytes(answer.body)), answer.headers["content-type"]


def test_each_surface_has_its_own_shape():
    error = NotFoundError("There is no task with that id.", id="task_x")
    assert at("/tasks/x", error)[:2] == (404, {"message": "There is no task with that id."})
    assert at("/v2/t/project/p/task/x", error)[1] == {"message": "There is no task with that id."}
    assert at("/orgs/1/queues/2", error)[1] == {
        "status_code": 404,
        "errors": [{"message": "There is no task with that id."}],
    }
    status, body, kind = at("/jobs/x", error)
    assert (status, kind) == (404, "application/json")
    assert UUID(body.pop("tracking"))
    assert body == {
        "success": False,
        "status_code": 404,
        "response": {"message": "There is no task with that id."},
    }
    status, body, kind = at("/v1/tasks/x", error)
    assert (status, kind, body["code"]) == (404, "application/problem+json", "not_found")


def test_what_is_wrong_with_a_field_is_said_in_every_shape():
    error = FieldsInvalidError("Some values are not valid.", fields={"total": "is no number"})
    assert at("/tasks/x", error)[:2] == (
        400,
        {"message": "Some values are not valid.; total: is no number"},
    )
    assert at("/v2/x", error)[:2] == (
        400,
        {"message": "Some values are not valid.", "errors": {"total": ["is no number"]}},
    )
    assert at("/orgs/x", error)[:2] == (
        400,
        {"status_code": 400, "errors": [{"message": "is no number", "field": "total"}]},
    )
    assert at("/jobs", error)[1]["response"]["errors"] == {"total": ["is no number"]}
    status, body, _ = at("/v1/tasks", error)
    assert (status, body["errors"]) == (422, {"total": ["is no number"]})


def test_an_address_is_of_a_surface_by_whole_segments():
    assert shape_of("/jobs").prefixes == shape_of("/jobs/x").prefixes
    assert shape_of("/jobsite") is V1
    assert shape_of("/") is V1


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.prefixes[0])
def test_who_sends_no_key_is_told_how_to(shape: Any):
    answer = answer_to(UnauthenticatedError(), f"{shape.prefixes[0]}/x")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == shape.challenge


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.prefixes[0])
async def test_an_address_that_is_not_there_answers_in_the_shape_of_its_surface(
    shape: Any, client: Client
):
    answer = await client.get(f"{shape.prefixes[-1]}/of/nothing/that/is/there")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == shape.media_type
    assert "detail" not in answer.json() or shape is V1
