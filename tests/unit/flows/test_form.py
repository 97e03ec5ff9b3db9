from uuid import uuid4

from flows.form import Decision, data_form, values_form, with_reason
from store.models import Document
from store.project_file import parse_project_file
from tests.documents import project


def test_the_decision_is_asked_for_first_is_required_and_says_why() -> None:
    document = Document(
        task_id=uuid4(), number=1, document_type="invoice", page_numbers=[1], fields={}
    )
    form = values_form(parse_project_file(project()), [document])
    told = with_reason(form, "not valid: total").model_json_schema()
    assert next(iter(told["properties"])) == "decision"
    assert told["required"] == ["decision"]
    assert told["properties"].keys() == form.model_json_schema()["properties"].keys()
    description = told["properties"]["decision"]["description"]
    assert description.startswith("Why: not valid: total. complete: the data is right")
    answer = with_reason(form, "x").model_validate({"decision": "report"})
    assert answer.model_dump()["decision"] is Decision.REPORT


def test_a_form_of_data_says_why_too() -> None:
    source = "name: leases\nblocks:\n  - {name: title, type: text}\n"
    told = with_reason(data_form(parse_project_file(source)), "the project asks for it")
    assert "the project asks for it" in str(told.model_fields["decision"].description)
