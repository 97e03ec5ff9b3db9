"""Examples: a package of one's own that is installed beside Papertray, and a flow of one's own."""

import importlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pikepdf
import pytest

from flows import verbs
from operations.plugins import GROUP, load_plugins
from operations.registry import OPERATIONS
from store.access import Caller
from store.errors import InputError, ProjectFileError
from store.states import State
from tests.flow_driver import Driver
from tests.mail import stack
from tests.unit.flows.conftest import bytes_of

EXAMPLES = Path(__file__).parents[3] / "examples"
REPOSITORY = EXAMPLES.parent

PROJECT = """\
name: invoices
read: {mode: skip}
review: never
steps:
  - {use: supplier-number, params: {numbers: {Joinery Ltd: S-17}}}
fields:
  - {name: supplier, labels: [Supplier]}
  - {name: supplier_number, labels: [Our supplier number]}
"""


def install(folder: Path) -> Path:
    """What an installer does with the package of the example."""
    project = tomllib.loads((EXAMPLES / "own_package" / "pyproject.toml").read_text())["project"]
    shutil.copy(EXAMPLES / "own_package" / "our_papertray.py", folder)
    facts = folder / f"our_papertray-{project['version']}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = project["entry-points"][GROUP]
    lines = [f"[{GROUP}]", *(f"{name} = {value}" for name, value in points.items())]
    (facts / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package, installed and loaded."""
    before = dict(OPERATIONS)
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(install(folder))
    load_plugins()
    yield folder
    OPERATIONS.clear()
    OPERATIONS.update(before)
    sys.modules.pop("our_papertray", None)
    importlib.invalidate_caches()


async def processed(
    alice: Caller, monkeypatch: pytest.MonkeyPatch, project: str, *lines: str
) -> Any:
    await verbs.install_project(alice, project)
    file = await verbs.take_file(alice, name="a.pdf", chunks=bytes_of(stack(lines)))
    task = await verbs.submit_process(alice, project="invoices", file_id=file.id)
    with monkeypatch.context() as patch:
        driver = Driver(patch)
        for name, row in OPERATIONS.items():  # called as they are, without Prefect
            patch.setitem(OPERATIONS, name, replace(row, task=cast("Any", row.task.fn)))
        return await driver.process(task)


async def test_a_step_of_a_project_is_an_operation_of_a_package_that_is_installed(
    alice: Caller, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await processed(alice, monkeypatch, PROJECT, "Supplier: JOINERY LTD")
    assert task.state is State.COMPLETED, task.result
    (document,) = task.result["documents"]
    assert document["fields"] == {"supplier": "JOINERY LTD", "supplier_number": "S-17"}


async def test_a_step_that_is_not_installed_is_refused_with_the_project(
    alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("supplier-number", "merge"):  # not there; and no step
        project = PROJECT.replace("supplier-number", name)
        with pytest.raises(ProjectFileError, match=f"no step named '{name}'"):
            await verbs.install_project(alice, project)


async def test_parameters_that_do_not_fit_a_step_are_refused_with_the_project(
    alice: Caller, installed: Path
) -> None:
    with pytest.raises(ProjectFileError, match="supplier-number"):
        await verbs.install_project(alice, PROJECT.replace("numbers:", "names:"))


async def test_what_a_step_writes_must_be_fields(
    alice: Caller, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = PROJECT.replace("numbers:", "number: total, numbers:")
    task = await processed(alice, monkeypatch, project, "Supplier: Joinery Ltd")
    assert task.state is State.FAILED
    assert task.result["details"]["code"] == InputError.code
    assert "supplier-number" in task.result["error"]


def test_an_operation_of_a_package_is_there_wherever_ours_are(tmp_path: Path) -> None:
    """In a process of its own, which finds the package as it starts."""
    folder = install(tmp_path)
    shutil.copy(REPOSITORY / "tests" / "samples" / "tagged.pdf", tmp_path / "letter.pdf")
    program = (
        "import sys; from api.cli import run; from flows.engine import DEPLOYMENTS;"
        "assert 'encrypt' in {one.name for one in DEPLOYMENTS};"
        "sys.exit(run(sys.argv[1:]))"
    )
    arguments = ["op", "encrypt", "letter.pdf", "--password", "opensesame", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(folder), str(REPOSITORY)]),
            "PAPERTRAY_HOME": str(tmp_path / "home"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (made,) = tmp_path.rglob("encrypted.pdf")
    with pytest.raises(pikepdf.PasswordError):
        pikepdf.open(made)
    with pikepdf.open(made, password="opensesame") as document:
        assert len(document.pages) > 0
    assert "opensesame" not in done.stdout


def test_a_package_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (install(tmp_path) / "our_papertray.py").write_text("import nothing_of_this_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match="The operations of our-papertray cannot be loaded"):
        load_plugins()


async def test_the_flow_of_the_example_puts_letters_together(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    example = importlib.import_module("mail_of_the_day")
    for name in ("merge_pdfs", "extract_text"):
        monkeypatch.setattr(example, name, getattr(example, name).fn)
    letters, out = tmp_path / "letters", tmp_path / "out"
    letters.mkdir()
    for number in range(2):
        (letters / f"{number}.pdf").write_bytes(stack((f"Letter {number} of today",)))
    name = await example.mail_of_the_day.fn(letters, out)
    assert "Letter 1 of today" in (out / name).read_text()
