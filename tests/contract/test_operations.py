"""What holds for every operation, whoever adds the next one."""

import inspect
from pathlib import Path
from typing import Any

import pytest

import operations
from operations.registry import OPERATIONS, Operation, Params, Result

ROOT = Path(__file__).parents[2]
KINDS = {"pdf", "image"}

each = pytest.mark.parametrize("row", OPERATIONS.values(), ids=OPERATIONS)

EXAMPLES: dict[str, dict[str, Any]] = {
    "deskew": {"pages": "2-7"},
    "export-data": {},
    "extract-fields": {"fields": [{"name": "total", "labels": ["Total"], "type": "money"}]},
    "extract-pages": {"pages": "2-7"},
    "extract-text": {"format": "markdown", "pages": "2-7", "languages": ["eng", "deu"]},
    "make-searchable-pdf": {},
    "merge": {"invalidate_signatures": True},
    "ocr": {"mode": "force", "languages": ["eng", "deu"], "pages": "2,3,7"},
    "read-pages": {"mode": "force", "dpi": 200},
    "render": {"dpi": 150, "pages": "1"},
    "rotate": {"degrees": 90, "pages": "2-7"},
    "split": {},
    "split-by-separator": {"separator": "barcode", "barcode_text": "NEXT"},
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
    assert row.params.model_validate_json(params.model_dump_json()) == params


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
