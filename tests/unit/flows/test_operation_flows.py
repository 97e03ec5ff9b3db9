"""Each operation has a form in Prefect that asks for what it takes."""

from typing import Any
from uuid import uuid4

import pytest
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from flows import operation_flows, run_operation
from flows.engine import DEPLOYMENTS
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
