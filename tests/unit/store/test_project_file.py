import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import process_time
from typing import Any

import jsonschema
import pytest
import yaml

from store.errors import ProjectFileError
from store.project_fields import FieldPart, SumPart, check_names
from store.project_file import WhenReview, parse_project_file, project_schema
from store.yaml_source import PlacedError

SAMPLES = Path(__file__).parents[3] / "samples"

GOOD = """\
name: invoices
fields:
  - name: number
    labels: [Invoice No]
    required: true
  - name: net
    type: money
    labels: [Net]
  - name: total
    type: money
    pattern: "Total (.*)"
sums:
  - parts: [net]
    total: total
review:
  timeout: 12h
"""


def test_a_project_file_is_read_with_its_defaults() -> None:
    project = parse_project_file(GOOD)
    assert [field.title for field in project.fields] == ["Number", "Net", "Total"]
    assert project.review.timeout == timedelta(hours=12)
    assert (project.read.dpi, project.read.languages, project.read.mode) == (300, ["eng"], "auto")
    assert project.field("total") is project.fields[2]
    assert project.field("nothing") is None


@pytest.mark.parametrize(
    ("said", "data", "record"),
    [
        ("{}", None, timedelta(hours=72)),
        ("{data: keep}", None, timedelta(hours=72)),
        ("{data: final, record: 7d}", timedelta(0), timedelta(days=7)),
        ("{data: 30d}", timedelta(days=30), timedelta(hours=72)),
    ],
)
def test_a_project_says_how_long_data_is_kept(
    said: str, data: timedelta | None, record: timedelta
) -> None:
    retention = parse_project_file(f"{GOOD}retention: {said}\n").retention
    assert (retention.data, retention.record) == (data, record)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("retention: {data: soon}", "must be `final`, `keep`, or a time like `12h` or `30d`"),
        ("retention: {data: 0s}", "must be `final`, `keep`, or a time"),
        ("retention: {data: final}\nnames_outside: true", "contradict each other"),
    ],
)
def test_what_cannot_be_kept_is_said(said: str, message: str) -> None:
    with pytest.raises(ProjectFileError, match=message):
        parse_project_file(f"{GOOD}{said}\n")


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "message"),
    [
        (
            "type: money\n    labels: [Net]",
            "type: coins\n    labels: [Net]",
            7,
            "fields.1.type",
            "money",
        ),
        ("name: net", "name: number", 6, "fields.1.name", "field named twice: number"),
        ('"Total (.*)"', '"Total ("', 11, "fields.2.pattern", "not a regular expression"),
        ("timeout: 12h", "timeout: soon", 16, "review.timeout", "duration"),
        ("timeout: 12h", "timeout: 0h", 16, "review.timeout", "greater than"),
        ("  timeout: 12h", "  tiemout: 12h", 16, "review.tiemout", "did you mean `timeout`?"),
        ("labels: [Invoice No]", "labels: []", 3, "fields.0", "never found"),
        ("parts: [net]", "parts: [nett]", 13, "sums.0.parts.0", "`nett`; did you mean `net`?"),
        ("name: invoices", "name: In Voices", 1, "name", "pattern"),
        ("name: invoices\n", "", 1, "name", "required"),
    ],
)
def test_what_is_wrong_is_told_with_line_and_key(
    old: str, new: str, line: int, key: str, message: str
) -> None:
    assert old in GOOD
    with pytest.raises(ProjectFileError) as caught:
        parse_project_file(GOOD.replace(old, new))
    problem = caught.value.details["problems"][0]
    assert problem["key"].startswith(key)
    assert message in problem["message"]
    assert problem["line"] == line


def problem_of(source: str) -> tuple[int, str, str]:
    with pytest.raises(ProjectFileError) as caught:
        parse_project_file(source)
    problem = caught.value.details["problems"][0]
    return problem["line"], problem["key"], problem["message"]


def test_a_file_without_the_newer_keys_is_read_as_before() -> None:
    project = parse_project_file(GOOD)
    assert (project.version, project.segment, project.group, project.blocks) == (1, None, None, [])
    assert project.when_review is WhenReview.WHEN_NEEDED
    assert [one.name for one in project.types] == ["document"]
    assert project.type_named("anything").fields == project.fields


@pytest.mark.parametrize(
    ("more", "line", "key", "message"),
    [
        ("verison: 1", 18, "verison", "did you mean `version`?"),
        ("version: 2", 18, "version", "possible are `1`"),
        ("review: alwas", 18, "", "the key `review` is there twice"),
        ("segment: {by: page_cuont}", 18, "segment.by", "did you mean `page_count`?"),
        ("segment: {by: page_count}", 18, "segment", "needs `page_count`"),
        ("segment: {by: barcode, page_count: 2}", 18, "segment.page_count", "without effect"),
        ("filter: {min_pages: 3, max_pages: 2}", 18, "filter.max_pages", "filters everything"),
        (
            "filter: {document_types: [bill]}",
            18,
            "filter.document_types.0",
            "no document type `bill`",
        ),
        ("group: {by: totl}", 18, "group.by", "there is no field `totl`; did you mean `total`?"),
        ("blocks: [{name: a, type: txt}]", 18, "blocks.0", "did you mean `text`?"),
        ("blocks: [{name: a, type: text, requred: 1}]", 18, "blocks.0.requred", "`required`?"),
        ("blocks: [{name: a, type: text}]", 18, "blocks", "give only one of"),
        ("document_types: [{name: unknown}]", 18, "document_types.0.name", "take another"),
        ("classify: {confidence_threshold: 2}", 18, "classify.confidence_threshold", "less than"),
        ("extract: {automation: predct}", 18, "extract.automation", "did you mean `predict`?"),
        ("timeout: 3 weeks", 18, "timeout", "write it like `30m`, `12h` or `14d`"),
        ("read: {languages: eng}", 18, "read.languages", 'write it like `["eng"]`'),
        ("names_outside: maybe", 18, "names_outside", "possible are `true`, `false`"),
        ("a: &a [*a]", 18, "", "an alias stands inside of what it names"),
        ("export: {to: a, pickup: true}", 18, "export", "not both"),
        ("export: {name: 'a/{task}'}", 18, "export.name", "no file name can have this in it: /"),
        ("export: {name: '{totl}'}", 18, "export.name", "no `totl`; possible are `task`"),
        ("export: {csv_rows: line_items}", 18, "export.csv_rows", "did you mean `line_item`?"),
        ("limits: {max_file_size: large}", 18, "limits.max_file_size", "integer"),
        ("limits: {file_types: [doc]}", 18, "limits.file_types.0", "possible are `pdf`"),
    ],
)
def test_what_would_be_right_is_told(more: str, line: int, key: str, message: str) -> None:
    found = problem_of(f"{GOOD}\n{more}\n")
    assert found[1].startswith(key)
    assert message in found[2]
    assert found[0] == line


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "message"),
    [
        ("name: price", "name: amount", 9, "fields.0.columns.1.name", "column named twice: amount"),
        ("product: amount", "product: sum", 11, "fields.0.products.0.product", "no column `sum`"),
        ("[amount, amount]", "[amount, prise]", 11, "fields.0.products.0.factors.1", "`price`?"),
        ("unique: [price]", "unique: [prices]", 12, "fields.0.unique.0", "did you mean `price`?"),
        ("field: lines", "field: rows", 15, "fields.1.required_when.field", "no field `rows`"),
        ("parts: [lines.amount]", "parts: [lines.sum]", 17, "sums.0.parts.0", "`lines.amount`"),
        ("total: total}", "total: all}", 17, "sums.0.total", "there is no field `all`"),
    ],
)
def test_what_a_name_means_that_is_not_there_is_told_where_it_stands(
    old: str, new: str, line: int, key: str, message: str
) -> None:
    assert old in LINES
    assert parse_project_file(LINES)
    found = problem_of(LINES.replace(old, new))
    assert found[:2] == (line, key)
    assert message in found[2]


LINES = """\
name: orders

fields:
  - name: lines
    type: table
    columns:
      - name: amount
        type: money
      - name: price
        type: money
    products: [{factors: [amount, amount], product: amount}]
    unique: [price]
  - name: total
    labels: [Total]
    required_when: {field: lines}
sums:
  - {parts: [lines.amount], total: total}
"""


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("export: {formats: [json, pdf]}", "data has no pages"),
        ("export: {name: '{rows}'}", "`rows` is a list"),
        ("limits: {max_pages: 1}", "without effect on `blocks`, leave out: limits"),
    ],
)
def test_what_data_cannot_have_is_refused(more: str, message: str) -> None:
    blocks = "blocks: [{name: a, type: text}, {name: rows, type: list, of: text}]"
    assert message in problem_of(f"name: moderation\n{blocks}\n{more}\n")[2]


def test_what_asks_a_person_is_refused_where_nobody_is_to_be_asked() -> None:
    source = GOOD.replace("review:\n  timeout: 12h", "review: never\nextract: {automation: none}")
    assert "automation of extract" in problem_of(source)[2]


def test_aliases_that_make_gigabytes_are_refused_at_once() -> None:
    laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    assert "aliases make more than" in problem_of(laughs)[2]


@pytest.mark.parametrize("source", ["#" * 10_000_000, "[" * 100_000, "a: " + "{a: " * 5000])
def test_what_is_too_large_or_too_deep_is_refused_before_it_is_read(source: str) -> None:
    assert problem_of(source)[1] == ""


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_schema_and_we_agree_on_the_shipped_files(path: Path) -> None:
    source = path.read_text()
    assert source.startswith("# yaml-language-server: $schema=../docs/project.schema.json\n")
    assert parse_project_file(source).name == path.stem
    validator = jsonschema.Draft202012Validator(project_schema())
    content = yaml.safe_load(source)
    validator.validate(content)
    for wrong in ({**content, "colour": 1}, {**content, "review": "perhaps"}, {"version": 1}):
        assert list(validator.iter_errors(wrong))


def undescribed(node: Any, path: str = "$") -> Iterator[str]:
    """The keys of a JSON Schema of which nothing is said."""
    if isinstance(node, list):
        for member in node:
            yield from undescribed(member, path)
    elif isinstance(node, dict):
        for key, child in node.get("properties", {}).items():
            if not child.get("description"):
                yield f"{path}.{key}"
        for key, child in node.items():
            yield from undescribed(child, f"{path}.{key}")


def test_an_editor_has_something_to_say_of_each_key() -> None:
    assert list(undescribed(project_schema())) == []


def test_the_schema_in_the_docs_is_the_one_of_the_code() -> None:
    path = SAMPLES.parent / "docs" / "project.schema.json"
    assert json.loads(path.read_text()) == project_schema()


@pytest.mark.parametrize(
    "source", ["", "- a\n- b", "just text", "a: [", "\x00", "a: !!python/object:os.system {}"]
)
def test_what_is_no_project_file_is_refused(source: str) -> None:
    with pytest.raises(ProjectFileError):
        parse_project_file(source)


def test_names_in_a_long_project_file_are_compared_in_time_that_grows_with_it() -> None:
    """Not with its square: 20,000 names took minutes, 200 million comparisons."""
    count = 20_000
    fields = [FieldPart(name=f"f{n}", labels=["x"]) for n in range(count)]
    sums = [SumPart(parts=[f"f{count - 1}"], total=f"f{count - 1}")] * count
    began = process_time()
    check_names(fields, sums)
    with pytest.raises(PlacedError, match="field named twice: f0"):
        check_names([*fields, fields[0]], ())
    assert process_time() - began < 10
