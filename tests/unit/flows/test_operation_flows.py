"""Each operation has a form in Prefect that asks for what it takes."""

import json
from typing import Any
from uuid import uuid4

import pytest
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from flows import operation_flows, run_operation
from flows.engine import DEPLOYMENTS
from flows.project_steps import validated
from operations.registry import OPERATIONS, Operation

ROWS = [row for row in OPERATIONS.values() if row.accepts]


def form_of(row: Operation) -> dict[str, Any]:
    (deployment,) = (one for one in DEPLOYMENTS if one.name == row.name)
    flow = load_flow_from_entrypoint(deployment.entrypoint, use_placeholder_flow=False)
    assert flow.name == row.name
    return parameter_schema(flow).model_dump_for_openapi()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_form_asks_for_all_that_the_operation_takes_and_secrets_by_their_block(row: Operation):
    form = form_of(row)
    plain = set(row.params.model_fields) - row.secrets
    blocks = {f"{name}_block" for name in row.secrets}
    assert set(form["properties"]) == {"input"} | plain | blocks
    assert all("Secret block" in form["properties"][name]["description"] for name in blocks)
    required = {name for name in plain if row.params.model_fields[name].is_required()}
    assert set(form["required"]) == {"input"} | required
    assert all(one["description"] for one in form["properties"].values())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_form_has_the_types_and_limits_of_the_operation(row: Operation):
    form, own = form_of(row)["properties"], row.params.model_json_schema(by_alias=False)
    for name, told in own["properties"].items():
        if name not in row.secrets:
            for rule in ("type", "enum", "minimum", "maximum", "minItems", "default"):
                assert form[name].get(rule) == told.get(rule), (name, rule)
    assert form["input"]["type"] == ("array" if row.takes_many else "string")


async def test_what_nobody_touched_in_the_form_is_not_sent(monkeypatch: pytest.MonkeyPatch):
    """`languages` beside `mode: skip` is refused, unless nobody asked for it."""
    seen: list[tuple[str, dict[str, Any]]] = []

    async def adopt(operation: str, parameters: dict[str, Any]) -> Any:
        seen.append((operation, parameters))
        raise LookupError

    monkeypatch.setattr(operation_flows, "adopt_operation_run", adopt)
    flow = operation_flows.flow_of(OPERATIONS["extract-text"])
    given = {"input": f"file_{uuid4().hex[:16]}", "format": "plain", "mode": "skip"}
    whole = flow.validate_parameters(given)
    assert whole["languages"] == ["eng"]
    with pytest.raises(LookupError):
        await flow.fn(**whole)
    assert seen == [("extract-text", given)]


@pytest.mark.parametrize(
    ("name", "filled", "sent"),
    [
        (
            "warp",
            {"vertices": [{"x": 1, "y": 2}, {"x": 9, "y": 2}, {"x": 9, "y": 8}, {"x": 1, "y": 8}]},
            "vertices",
        ),
        (
            "extract-text",
            {
                "format": "json",
                "json_schema": {"type": "object", "properties": {"total": {"type": "number"}}},
            },
            "schema",
        ),
        ("convert", {"target_format": "image/webp", "quality": 80}, "quality"),
    ],
)
async def test_what_is_filled_in_is_sent_as_the_json_that_the_api_takes(
    name: str, filled: dict[str, Any], sent: str, monkeypatch: pytest.MonkeyPatch
):
    seen: list[dict[str, Any]] = []

    async def adopt(_: str, parameters: dict[str, Any]) -> Any:
        seen.append(parameters)
        raise LookupError

    monkeypatch.setattr(operation_flows, "adopt_operation_run", adopt)
    row = OPERATIONS[name]
    flow = operation_flows.flow_of(row)
    with pytest.raises(LookupError):
        await flow.fn(**flow.validate_parameters({"input": "a.pdf", **filled}))
    assert json.loads(json.dumps(seen[0])) == seen[0]
    assert seen[0][sent] == list(filled.values())[-1]
    validated(row, {key: value for key, value in seen[0].items() if key != "input"})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_form_as_prefect_fills_it_in_is_taken(row: Operation):
    """Prefect sends the defaults, too, by the names that its form has."""
    form = form_of(row)
    untouched = {
        name: told["default"] for name, told in form["properties"].items() if "default" in told
    }
    filled = {
        name: (told.get("enum") or row.params.model_fields[name].examples or [None])[0]
        for name, told in form["properties"].items()
        if name in form["required"] and name != "input"
    }
    file = ["a.pdf", "b.pdf"] if row.takes_many else "a.pdf"
    operation_flows.flow_of(row).validate_parameters({"input": file, **untouched, **filled})


@pytest.mark.parametrize(
    ("typed", "files"),
    [("a.pdf", "a.pdf"), (" a.pdf\n\nfile_x ", ["a.pdf", "file_x"]), ("", [])],
)
async def test_the_form_of_run_operation_has_all_operations_and_takes_a_file_a_line(
    typed: str, files: Any, monkeypatch: pytest.MonkeyPatch
):
    seen: list[tuple[str, dict[str, Any]]] = []

    async def adopt(operation: str, parameters: dict[str, Any]) -> Any:
        seen.append((operation, parameters))
        raise LookupError

    monkeypatch.setattr(run_operation, "adopt_operation_run", adopt)
    flow = run_operation.run_operation
    form = parameter_schema(flow).model_dump_for_openapi()
    assert form["properties"]["operation"]["enum"] == [row.name for row in ROWS]
    given = {"operation": "merge", "input": typed, "parameters": {"name": "All"}}
    with pytest.raises(LookupError):
        await flow.fn(**flow.validate_parameters(given))
    assert seen == [("merge", {"name": "All", "input": files})]
