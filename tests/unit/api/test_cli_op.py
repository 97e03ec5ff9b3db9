"""`papertray op`, and what is printed as it is."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from api.cli import main, run
from store.errors import DamagedFileError, InputError

SAMPLES = Path(__file__).parents[2] / "samples"
FIELDS = '{"name": "total", "labels": ["Total"]}'
TYPES = '{"name": "letter", "keywords": ["Dear"]}'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told_by(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    status = run(["op", *arguments, "--json"])
    captured = capsys.readouterr()
    assert captured.out == ""
    return status, json.loads(captured.err)["error"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["extract-fields", "--fields", FIELDS], "no file of the words of a page"),
        (["segment", "--page-numbers", "1", "--how.by", "barcode"], "0 images"),
        (["classify", "--page-counts", "2", "--types", TYPES], "1 files of words"),
        (["group-documents", "--by", "total"], "no file of documents"),
        (["export-data"], "no file of documents"),
        (["export-values", "--names", "total"], "no JSON object"),
    ],
)
def test_a_step_of_a_flow_takes_nothing_but_what_another_wrote(
    capsys: pytest.CaptureFixture[str], here: Path, arguments: list[str], told: str
) -> None:
    (here / "given").write_text('[{"fields": 1}]')
    status, error = told_by(capsys, arguments[0], "given", *arguments[1:])
    assert (status, error["code"]) == (InputError.exit_code, InputError.code)
    assert told in error["message"]
    assert [path.name for path in here.iterdir()] == ["given"]


def test_which_of_several_files_is_wrong_is_named_and_what_is_no_file_is_seen_first(
    capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    good, bad = str(SAMPLES / "linn.pdf"), str(SAMPLES / "invalid.pdf")
    status, error = told_by(capsys, "split", good, bad, "--output", "out")
    assert (status, error["code"]) == (DamagedFileError.exit_code, DamagedFileError.code)
    assert error["details"]["file"] == bad
    for wrong, why in (("missing.pdf", "is not there"), (str(here), "is a folder")):
        status, error = told_by(capsys, "split", good, wrong, "--output", "other")
        assert (status, why in error["message"]) == (InputError.exit_code, True)
    assert not (here / "other").exists()


def test_a_file_whose_name_is_no_utf_8_is_worked_on_and_told_of(
    capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    name = os.fsdecode(b"lat\xefn.pdf")
    try:
        (here / name).write_bytes((SAMPLES / "linn.pdf").read_bytes())
    except OSError:  # macOS has no such names
        return
    with pytest.raises(SystemExit) as ended:
        main(["op", "split", name])
    assert ended.value.code == 0
    assert r"lat\udcefn-split/page-0001.pdf" in capsys.readouterr().out
    assert (here / os.fsdecode(b"lat\xefn-split") / "page-0001.pdf").read_bytes()[:5] == b"%PDF-"


def test_what_is_printed_as_text_is_printed_as_it_is(
    home: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"fields: [{{name: total, labels: [{', '.join(f'Sum{n} :id: x' for n in range(40))}]}}]"
    source = f"name: invoices\n# [red] is no colour\n{line}\n".replace(" :id: ", "-:id:-")
    (here / "invoices.yaml").write_text(source)
    assert run(["projects", "install", "invoices.yaml"]) == 0
    capsys.readouterr()
    assert run(["projects", "show", "invoices"]) == 0
    assert capsys.readouterr().out == source
    assert run(["teams", "create", "[bold]claims"]) == 0
    assert capsys.readouterr().out == "Made the team [bold]claims.\n"
