"""`papertray watch`, called as `main` calls it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from api.cli import run
from store.errors import InputError, NotFoundError

PROJECT = "name: invoices\nfields: [{name: total, type: money, labels: [Total]}]\n"


@pytest.fixture
def folder(home: Path, tmp_path: Path) -> Path:
    (tmp_path / "invoices.yaml").write_text(PROJECT)
    assert run(["projects", "install", str(tmp_path / "invoices.yaml")]) == 0
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


QUICK = ("--settle-seconds", "0", "--poll-seconds", "0.01")


def test_what_is_there_is_taken_in_once(folder: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("a.pdf", "b.pdf"):
        (folder / name).write_bytes(b"%PDF-1.7 made up")
    (folder / "b.json").write_text('{"order": 4711}')
    (folder / "empty.json").write_text("{}")
    capsys.readouterr()
    arguments = ["watch", str(folder), "--project", "invoices", "--once", "--json", *QUICK]
    assert run(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"submitted": 2, "done": 0, "failed": 0, "under_way": 2}
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out) == {**told, "submitted": 0}
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["empty.json"]


@pytest.mark.parametrize(
    ("changed", "status"),
    [({"--project": "nothing"}, NotFoundError), ({"--done": "."}, InputError)],
)
def test_what_cannot_be_watched_ends_at_once(
    folder: Path,
    changed: dict[str, str],
    status: type[NotFoundError | InputError],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(folder)
    options = {"--project": "invoices", **changed}
    words = [word for pair in options.items() for word in pair]
    assert run(["watch", str(folder), *words, *QUICK]) == status.exit_code


def test_it_ends_in_order_when_it_is_told_to(folder: Path):
    watching = subprocess.Popen(
        [sys.executable, "-m", "api.cli", "watch", str(folder), "--project", "invoices", *QUICK],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    with watching:
        assert watching.stdout.readline().startswith("Watching")
        (folder / "a.pdf").write_bytes(b"%PDF-1.7 made up")
        assert watching.stdout.readline().startswith(("0 taken in", "1 taken in"))
        watching.send_signal(signal.SIGTERM)
        assert watching.wait(60) == 0
