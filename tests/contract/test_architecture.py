"""The rooms, and the habits that hold everywhere."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

from importlinter import configuration
from importlinter.application.use_cases import lint_imports

ROOT = Path(__file__).parent.parent.parent
ROOMS = ("api", "flows", "operations", "store")
MODULES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
DRAWERS = {"utils", "util", "helpers", "helper", "common", "core", "base", "misc", "manager"}
MARKS = ("# noqa", "# pyright: ignore", "# type: ignore", "# pragma: no cover")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_go_one_way():
    configuration.configure()
    assert lint_imports(str(ROOT / "pyproject.toml"), cache_dir=None)


def test_the_rooms_are_what_is_installed_checked_and_linted():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert project["hatch"]["build"]["targets"]["wheel"]["packages"] == list(ROOMS)
    assert project["importlinter"]["root_packages"] == list(ROOMS)
    assert set(ROOMS) <= set(project["pyright"]["include"])


def test_every_module_says_what_is_in_it():
    silent = [
        name_of(path)
        for path in MODULES
        if path.parent.name != "versions"  # migrations have their numbers and names
        and (tree := ast.parse(path.read_text())).body
        and not ast.get_docstring(tree)
    ]
    assert silent == []


def test_no_module_is_a_drawer():
    assert [name_of(path) for path in MODULES if path.stem in DRAWERS] == []


def written_states(tree: ast.AST) -> Iterator[int]:
    """Lines that write the state of a task: `task.state = ...`, `.values(state=...)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if ast.unparse(node) == "task.state":
                yield node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_update = node.func.attr == "values"
            if is_update and "state" in {keyword.arg for keyword in node.keywords}:
                yield node.lineno


def test_what_goes_around_the_lifecycle_is_found():
    assert list(written_states(ast.parse("task.state = 1\nupdate(Task).values(state=2)"))) == [1, 2]


def test_only_the_lifecycle_writes_the_state_of_a_task():
    around = [
        f"{name_of(path)}:{line}"
        for path in MODULES
        if name_of(path) != "store/lifecycle.py"
        for line in written_states(ast.parse(path.read_text()))
    ]
    assert around == []


SURFACES = ("aluma", "send_ai", "human_lambdas", "innodata")
RULES = ("store.lifecycle", "store.erasing", "flows.engine", "flows.outbox", "prefect")
"""Where rules are, and who writes: a surface only has words for what the verbs do."""


def reaches_for_rules(tree: ast.AST) -> Iterator[int]:
    """Lines that import from RULES, or open a transaction that writes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            module = getattr(node, "module", None) or ""
            wanted = [module, *names, *(f"{module}.{name}" for name in names)]
            if any(one == rule or one.startswith(f"{rule}.") for one in wanted for rule in RULES):
                yield node.lineno
        elif isinstance(node, ast.Attribute) and node.attr == "writing":
            yield node.lineno


def test_what_reaches_for_rules_is_found():
    source = "import prefect\nfrom flows import engine\nfrom store.lifecycle import advance\n"
    source += "database().writing()\nfrom flows import verbs\nimport prefectly\n"
    assert sorted(reaches_for_rules(ast.parse(source))) == [1, 2, 3, 4]


def test_a_surface_holds_words_and_never_rules():
    reaching = [
        f"{name_of(path)}:{line}"
        for path in MODULES
        if path.parent.name in SURFACES
        for line in reaches_for_rules(ast.parse(path.read_text()))
    ]
    assert reaching == []


def test_an_ignored_rule_has_its_name_and_a_reason():
    bare = [
        f"{name_of(path)}:{number}"
        for path in MODULES
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        for mark in MARKS
        if mark in line
        and not ((rest := line.split(mark, 1)[1]).startswith((":", "[", " ")) and "  # " in rest)
    ]
    assert bare == []


def test_the_readme_of_the_tests_names_every_folder_of_tests():
    told = (ROOT / "tests" / "README.md").read_text()
    folders = {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").rglob("*/*")}
    folders -= {"__pycache__"}
    assert [folder for folder in sorted(folders) if f"`{folder}/`" not in told] == []


def test_what_runs_in_children_is_no_operation():
    """A child would import Prefect for it, which takes longer than most of the work."""
    found: list[str] = []
    for path in sorted((ROOT / "operations").glob("*.py")):
        tree = ast.parse(path.read_text())
        own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
        found += [
            f"{name_of(path)}: {ast.unparse(call.args[0])}"
            for call in calls
            if ast.unparse(call.func) == "in_child" and ast.unparse(call.args[0]) in own
        ]
    assert found == []
