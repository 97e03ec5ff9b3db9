"""What holds for every operation, whoever adds the next one."""

import inspect
from pathlib import Path
from typing import Any

import pytest

import operations
from api.cli.operations import app as commands
from flows import steps, task_run
from operations.registry import OPERATIONS, Operation, Params, Result
from store.errors import PapertrayError
from store.states import Event
from tests.contract.test_errors import problem_in
from tests.contract.world import Client, let_happen, send_file

ROOT = Path(__file__).parents[2]
KINDS = {"pdf", "image"}

each = pytest.mark.parametrize("row", OPERATIONS.values(), ids=OPERATIONS)

EXAMPLES: dict[str, dict[str, Any]] = {
    "apply-effect": {"effect": "scanner"},
    "classify": {
        "page_counts": [2, 1],
        "types": [{"name": "invoice", "keywords": {"invoice": 2}}, {"name": "receipt"}],
    },
    "convert": {"target_format": "image/jpeg", "quality": 85},
    "deskew": {"pages": "2-7"},
    "detect-documents": {},
    "export-data": {},
    "export-values": {"names": ["comment", "approve"], "formats": ["json", "csv"]},
    "extract-fields": {"fields": [{"name": "total", "labels": ["Total"], "type": "money"}]},
    "extract-form": {},
    "extract-pages": {"pages": "2-7"},
    "extract-text": {"format": "markdown", "pages": "2-7", "languages": ["eng", "deu"]},
    "filter-documents": {
        "documents": [{"document_type": "invoice", "page_count": 2}],
        "rules": {"blank": True, "max_pages": 20},
    },
    "group-documents": {"by": "customer_number"},
    "make-searchable-pdf": {"documents": [[1, 2], [3]]},
    "merge": {"invalidate_signatures": True},
    "ocr": {"mode": "force", "languages": ["eng", "deu"], "pages": "2,3,7"},
    "read-pages": {"mode": "force", "dpi": 200},
    "render": {"dpi": 150, "pages": "1"},
    "rotate": {"degrees": 90, "pages": "2-7"},
    "scan": {"effect": "none", "scan_mode": "standard"},
    "split": {},
    "segment": {"page_numbers": [1, 2, 3], "how": {"by": "barcode"}},
    "split-by-separator": {"separator": "barcode", "barcode_text": "NEXT"},
    "warp": {"vertices": [{"x": x, "y": y} for x, y in ((0, 0), (9, 0), (9, 9), (0, 9))]},
}
"""Parameters of each operation, as JSON."""


def test_every_operation_has_an_example() -> None:
    assert set(EXAMPLES) == set(OPERATIONS)


@each
def test_it_is_in_the_list_of_operations_under_its_name(row: Operation) -> None:
    assert getattr(operations, row.name.replace("-", "_")) is row.task
    assert row.task.name == row.name


@each
def test_it_has_a_file_of_its_own_name(row: Operation) -> None:
    assert (ROOT / "operations" / f"{row.name.replace('-', '_')}.py").is_file()


@each
def test_it_has_tests_of_its_own(row: Operation) -> None:
    name = row.name.replace("-", "_")
    tests = "".join(path.read_text() for path in (ROOT / "tests/unit/operations").glob("test_*.py"))
    assert f"{name}.fn(" in tests


@each
def test_it_says_in_one_sentence_what_it_does(row: Operation) -> None:
    assert row.summary.endswith(".")
    assert "\n" not in row.summary


@each
def test_every_field_is_described(row: Operation) -> None:
    for model in (row.params, row.result):
        assert inspect.getdoc(model)
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"


@each
def test_its_models_are_named_after_it(row: Operation) -> None:
    name = row.name.replace("-", " ").title().replace(" ", "")
    assert (row.params.__name__, row.result.__name__) == (f"{name}Params", f"{name}Result")
    assert issubclass(row.params, Params)
    assert issubclass(row.result, Result)


@each
def test_its_parameters_go_through_json_and_back(row: Operation) -> None:
    params = row.params.model_validate(EXAMPLES[row.name])
    # As it is stored: what was not said stays unsaid, since some refuse what has no effect.
    assert row.params.model_validate_json(params.model_dump_json(exclude_unset=True)) == params


@each
def test_an_unknown_parameter_is_refused(row: Operation) -> None:
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        row.params.model_validate({**EXAMPLES[row.name], "no_such_parameter": 1})


@each
def test_it_takes_known_kinds_of_file(row: Operation) -> None:
    assert row.accepts <= KINDS


@each
def test_prefect_keeps_its_result_and_ends_it_in_time(row: Operation) -> None:
    assert row.task.persist_result
    assert row.task.timeout_seconds


# Its ways in

ENDPOINTS = [(row, kind) for row in OPERATIONS.values() for kind in sorted(row.accepts)]

each_endpoint = pytest.mark.parametrize(
    ("row", "kind"), ENDPOINTS, ids=[f"{kind}-{row.name}" for row, kind in ENDPOINTS]
)


def address(row: Operation, kind: str) -> str:
    return f"/v1/{kind}-operations/{row.name}"


def body_for(row: Operation, input_id: str = "file_0000000000000000") -> dict[str, Any]:
    return {"input": [input_id] if row.takes_many else input_id, **EXAMPLES[row.name]}


@each_endpoint
async def test_it_is_taken_in_with_its_example(client: Client, row: Operation, kind: str) -> None:
    body = body_for(row)
    answer = await client.post(address(row, kind), json=body)
    assert answer.status_code == 202, answer.text
    task = answer.json()
    assert (task["operation"], task["status"], task["parameters"]) == (row.name, "pending", body)


@each_endpoint
async def test_what_does_not_fit_its_body_is_refused_by_the_name_of_the_field(
    client: Client, row: Operation, kind: str
) -> None:
    body = body_for(row)
    wrong = {name: {"no": ["such", "type"]} for name in body}
    cases = [
        ({name: value for name, value in body.items() if name != "input"}, "input"),
        ({**body, "input": 7}, "input"),
        ({**body, "input": None}, "input"),
        ({**body, "no_such_parameter": 1}, "no_such_parameter"),
        *(({**body, name: value}, name) for name, value in wrong.items()),
    ]
    for sent, field in cases:
        answer = await client.post(address(row, kind), json=sent)
        problem = problem_in(answer, 422, "validation")
        assert any(name.split(".")[0] == field for name in problem["errors"]), (field, problem)


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """In the place of Prefect: the code of each failure that a run showed, by its task."""
    shown: dict[str, str] = {}

    async def show(public_id: str, error: PapertrayError) -> None:
        shown[public_id] = error.code

    monkeypatch.setattr(task_run, "show_failure", show)
    return shown


@each_endpoint
async def test_it_fails_for_a_file_that_is_not_there_and_says_so(
    client: Client, row: Operation, kind: str, failures: dict[str, str]
) -> None:
    answer = await client.post(address(row, kind), json=body_for(row))
    task_id = answer.json()["id"]
    await task_run.execute((await let_happen(task_id, Event.START)).id, steps.operate)
    task = (await client.get(f"/v1/tasks/{task_id}")).json()
    assert task["status"] == "failed"
    assert failures == {task_id: "not_found"}
    assert task["result"] == {
        "error": "Source file not found.",
        "details": {
            "code": "not_found",
            "file_id": "file_0000000000000000",
            "reason": "The file might have been deleted.",
        },
    }


@pytest.mark.usefixtures("failures")
@each_endpoint
async def test_it_fails_for_a_file_of_another_kind_and_says_so(
    client: Client, row: Operation, kind: str
) -> None:
    file_id = await send_file(client, b"Dear Sir or Madam", "letter.txt")
    answer = await client.post(address(row, kind), json=body_for(row, file_id))
    task_id = answer.json()["id"]
    await task_run.execute((await let_happen(task_id, Event.START)).id, steps.operate)
    result = (await client.get(f"/v1/tasks/{task_id}")).json()["result"]
    assert "of another kind" in result["error"]
    assert result["details"]["file_id"] == file_id
    assert result["details"]["code"] == "file_type_unsupported"


@each_endpoint
async def test_its_endpoint_is_described(client: Client, row: Operation, kind: str) -> None:
    document = (await client.get("/openapi.json")).json()
    described = document["paths"][address(row, kind)]["post"]
    assert row.summary.rstrip(".") in described["summary"]
    assert row.summary in described["description"]
    assert {"202", "401", "403", "422"} <= set(described["responses"])


@each
def test_it_is_a_command_with_a_flag_for_each_parameter(row: Operation) -> None:
    command = commands[row.name]
    flags = {flag for one in command.assemble_argument_collection() for flag in one.names}
    for name in row.params.model_fields:
        assert f"--{name.replace('_', '-')}" in flags
    assert command.help.startswith(row.summary.split(".")[0])
