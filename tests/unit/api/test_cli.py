"""The command line, called as `main` calls it."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cyclopts import App

from api.cli import COMMANDS, make_app, run
from api.cli.doctor_prefect import examine_prefect
from api.cli.findings import Health
from api.cli.output import INTERRUPTED
from api.cli.submit import what_next
from store.access import SCOPES
from store.database import database
from store.errors import ConflictError, InputError, NotFoundError, UnavailableError
from store.ids import now
from store.keys import create_key
from store.models import Activity, Delivery, Document, File, Outbox, OutboxKind, Task, Worker
from store.organizations import default_organization
from store.settings import settings
from store.states import State
from tests.receiver import answer, receiving


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any, str]:
    """Exit status, JSON answer, standard error."""
    status = run([*arguments, "--json"])
    captured = capsys.readouterr()
    return status, json.loads(captured.out) if captured.out else None, captured.err


def leaves(app: App, *path: str) -> list[tuple[str, ...]]:
    """Every command that does something, as what one types."""
    names = [name for name in app if not name.startswith("-")]
    if not names:
        return [path]
    return [leaf for name in names for leaf in leaves(app[name], *path, name)]


async def make_task(state: State = State.QUEUED, **columns: Any) -> Task:
    task = Task(
        organization_id=await default_organization(), operation="process", state=state, **columns
    )
    async with database().writing() as session:
        session.add(task)
    await database().close()
    return task


# The tree of commands


def test_the_commands_of_the_manual_are_all_there():
    wanted = "up serve worker deploy demo submit import tasks projects purge webhooks key op doctor"
    assert set(COMMANDS) == {*wanted.split(), "users", "teams", "watch"}


@pytest.mark.parametrize("path", leaves(make_app()), ids=" ".join)
def test_every_command_has_help_and_speaks_json(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
):
    assert run([*path, "--help"]) == 0
    said = capsys.readouterr().out
    assert "--json" in said
    assert "--home" in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["tasks", "show"], "--task-id"),
        (["tasks", "cancel"], "--task-id"),
        (["submit", "--project", "invoices"], "--files"),
        (["tasks", "list", "--state", "asleep"], "asleep"),
        (["tasks", "list", "--limit", "0"], "--limit"),
        (["tasks", "lst"], "list"),
        (["op", "rotate", "a.pdf", "--degrees", "45"], "--degrees: Input should be a multiple of"),
        (["op", "render", "a.pdf", "--pages", "x"], "--pages: Write numbers and ranges of pages"),
        (["op", "extract-text", "a.pdf", "--format", "json"], " `schema` is required"),
        (["watch", "in", "--project", "invoices", "--poll-seconds", "0"], "--poll-seconds"),
        (["up", "--port", "many"], "many"),
    ],
)
def test_a_wrong_call_ends_with_status_2_and_says_what_is_wrong(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        run(arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_the_program_without_a_command_shows_its_help(capsys: pytest.CaptureFixture[str]):
    assert run([]) == 0
    said = capsys.readouterr().out
    for name in COMMANDS:
        assert name in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["key", "list", "--json"],
        ["tasks", "list"],
        ["projects", "list"],
        ["webhooks", "list"],
    ],
)
def test_what_needs_no_prefect_starts_without_it(home: Path, arguments: list[str]):
    program = (
        "import sys; from api.cli import run\n"
        "try: status = run(sys.argv[1:])\n"
        "except SystemExit as ended: status = ended.code or 0\n"
        "sys.exit(3 if 'prefect' in sys.modules else status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PAPERTRAY_HOME": str(home)},
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


# Errors


def test_an_error_is_told_with_its_code_and_its_remedy(
    home: Path, capsys: pytest.CaptureFixture[str]
):
    status = run(["tasks", "show", "task_nothing"])
    told = capsys.readouterr()
    assert status == NotFoundError.exit_code
    assert "code: not_found" in told.err
    assert told.out == ""


def test_an_error_is_json_where_json_is_asked_for(home: Path, capsys: pytest.CaptureFixture[str]):
    status, answer, err = call(capsys, "tasks", "show", "task_nothing")
    assert status == NotFoundError.exit_code
    assert answer is None
    assert json.loads(err)["error"]["code"] == "not_found"


def test_a_home_that_is_not_there_is_not_made_by_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PAPERTRAY_HOME", str(tmp_path / "before"))
    nowhere = tmp_path / "nowhere"
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", "tasks", "list", "--json", "--home", str(nowhere)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == NotFoundError.exit_code
    assert "papertray up" in json.loads(done.stderr)["error"]["message"]
    assert not nowhere.exists()


def test_an_organization_that_is_not_there_is_not_made_by_looking(
    home: Path, capsys: pytest.CaptureFixture[str]
):
    for _ in range(2):
        status, _, err = call(capsys, "tasks", "list", "--org", "nobody")
        assert status == NotFoundError.exit_code
        assert json.loads(err)["error"]["details"] == {"organization": "nobody"}


def test_ctrl_c_ends_with_the_status_of_a_program_that_was_interrupted(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("api.cli.tasks.operator", interrupt)
    assert run(["tasks", "list"]) == INTERRUPTED


def test_a_project_file_that_is_wrong_is_told_of_with_file_line_and_key(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    project = tmp_path / "mails.yaml"
    project.write_text("name: mails\nblocks:\n- {name: a, type: text}\n- {name: a, type: text}\n")
    assert run(["projects", "install", str(project)]) == InputError.exit_code
    told = "".join(capsys.readouterr().err.split())
    assert f"{project}:" in told
    assert "line4,blocks.1.name:blocknamedtwice:a" in told


# What is found in Prefect


async def test_a_prefect_that_does_not_tell_what_it_noticed_is_told_of() -> None:
    async with receiving(lambda _: answer(500)) as server:
        (told,) = await examine_prefect(server.url("/api"), 10)
    assert (told.name, told.health) == ("automations", Health.OFF)
    assert "not known: HTTPStatusError" in told.detail
    assert told.remedy


# Tables


def test_the_rows_of_a_table_become_tasks_and_the_bad_ones_are_told_of(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    project = tmp_path / "mails.yaml"
    project.write_text(
        "name: mails\nblocks: [{name: address, type: email, required: true, read_only: true}]\n"
    )
    assert run(["projects", "install", str(project)]) == 0
    assert "Next: papertray import TABLE --project mails" in capsys.readouterr().out
    table = tmp_path / "mails.csv"
    table.write_text("address\na@example.com\nnobody\nb@example.com,too many\n")
    capsys.readouterr()
    status, answer, _ = call(capsys, "import", str(table), "--project", "mails")
    assert status == InputError.exit_code
    assert (answer["count"], answer["refused_count"]) == (1, 2)
    assert [one["line"] for one in answer["refused"]] == [3, 4]
    _, listed, _ = call(capsys, "tasks", "list")
    assert len(listed) == 1
    assert run(["import", str(table), "--project", "mails"]) == InputError.exit_code
    assert "must be an e-mail address" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("adress\na@example.com", "did you mean 'address'"),
        (b"\xff\xfe\x00", "Save the table as UTF-8"),
        (None, "is not there"),
    ],
)
def test_a_table_that_cannot_be_taken_is_refused_whole(
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str | bytes | None,
    told: str,
):
    project = tmp_path / "mails.yaml"
    project.write_text("name: mails\nblocks: [{name: address, type: email, required: true}]\n")
    assert run(["projects", "install", str(project)]) == 0
    table = tmp_path / "mails.csv"
    if content is not None:
        table.write_bytes(content.encode() if isinstance(content, str) else content)
    capsys.readouterr()
    status, answer, err = call(capsys, "import", str(table), "--project", "mails")
    assert (status, answer) == (InputError.exit_code, None)
    assert told in json.loads(err)["error"]["message"]
    assert call(capsys, "tasks", "list")[1] == []


# Keys


def test_a_key_is_shown_once_and_never_again(home: Path, capsys: pytest.CaptureFixture[str]):
    status, made, _ = call(capsys, "key", "create", "--scope", "task.read", "--user", "a@b.org")
    assert status == 0
    assert made["scopes"] == ["task.read"]
    assert set(made) >= {"key", "id", "organization_id", "scopes"}

    _, listed, _ = call(capsys, "key", "list")
    assert [one["id"] for one in listed] == [made["id"]]
    assert listed[0]["user"] == "a@b.org"
    assert made["key"] not in json.dumps(listed)


def test_scopes_can_be_given_together_or_one_by_one(home: Path, capsys: pytest.CaptureFixture[str]):
    for spelt in (
        ["--scope", "task.read", "--scope", "file.read"],
        ["--scope", "task.read", "file.read"],
        ["--scope", "task.read,file.read"],
    ):
        _, made, _ = call(capsys, "key", "create", *spelt)
        assert made["scopes"] == ["task.read", "file.read"]


def test_an_unknown_scope_is_refused_with_the_known_ones(
    home: Path, capsys: pytest.CaptureFixture[str]
):
    status, _, err = call(capsys, "key", "create", "--scope", "task.everything")
    assert status == InputError.exit_code
    for scope in SCOPES:
        assert scope in json.loads(err)["error"]["message"]


def test_a_key_is_for_a_person_with_an_e_mail_address(
    home: Path, capsys: pytest.CaptureFixture[str]
):
    assert call(capsys, "key", "create", "--user", "ada")[0] == InputError.exit_code


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [("12h", 0.49, 0.51), ("30d", 29.9, 30.1), ("2w", 13.9, 14.1)],
)
def test_a_key_ends_when_it_was_said(
    home: Path, capsys: pytest.CaptureFixture[str], said: str, least: float, most: float
):
    _, made, _ = call(capsys, "key", "create", "--expires", said)
    left = datetime.fromisoformat(made["expires_at"]) - now()
    assert timedelta(days=least) < left < timedelta(days=most)


@pytest.mark.parametrize("said", ["soon", "0d", "2001-01-01", "9" * 12 + "w", "-3d"])
def test_a_time_that_is_none_or_has_passed_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str], said: str
):
    status, _, err = call(capsys, "key", "create", f"--expires={said}")
    assert status == InputError.exit_code
    assert said in json.loads(err)["error"]["message"]
    assert call(capsys, "key", "list")[1] == []


def test_a_revoked_key_is_listed_as_such(home: Path, capsys: pytest.CaptureFixture[str]):
    _, by_id, _ = call(capsys, "key", "create")
    _, by_prefix, _ = call(capsys, "key", "create")
    for name in (by_id["id"], by_prefix["key"][:12]):
        assert call(capsys, "key", "revoke", name)[0] == 0
    assert [key["state"] for key in call(capsys, "key", "list")[1]] == ["revoked", "revoked"]
    assert call(capsys, "key", "revoke", "ptk_nothing")[0] == NotFoundError.exit_code


def test_keys_of_one_organization_are_not_seen_by_another(
    home: Path, capsys: pytest.CaptureFixture[str]
):
    _, made, _ = call(capsys, "key", "create", "--org", "acme")
    assert call(capsys, "key", "list")[1] == []
    assert call(capsys, "key", "revoke", made["id"])[0] == NotFoundError.exit_code
    assert [key["id"] for key in call(capsys, "key", "list", "--org", "acme")[1]] == [made["id"]]


# Tasks


def test_tasks_are_listed_newest_first_and_by_state(home: Path, capsys: pytest.CaptureFixture[str]):
    asyncio.run(make_task(name="old", created_at=now() - timedelta(hours=1)))
    asyncio.run(make_task(State.IN_REVIEW, name="new"))
    assert [task["name"] for task in call(capsys, "tasks", "list")[1]] == ["new", "old"]
    found = call(capsys, "tasks", "list", "--state", "in_review")[1]
    assert [task["name"] for task in found] == ["new"]
    assert call(capsys, "tasks", "list", "--limit", "1")[1][0]["name"] == "new"
    assert call(capsys, "tasks", "list", "--project", "nothing")[0] == NotFoundError.exit_code


def test_an_operation_tells_of_a_folder_that_cannot_be_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7")
    status = run(["op", "split", str(tmp_path / "a.pdf"), "--output", str(tmp_path / "a.pdf/out")])
    assert status == InputError.exit_code
    assert "a.pdf/out cannot be used: Not a directory." in capsys.readouterr().err.replace("\n", "")


def test_who_waits_for_a_task_reads_why_it_failed():
    wrong = {"error": "The file is empty.", "details": {"code": "file_empty"}}
    failed = Task(organization_id=uuid4(), operation="process", state=State.FAILED, result=wrong)
    assert what_next(failed) == "The file is empty. (file_empty)"


def test_show_tells_fields_files_and_events(home: Path, capsys: pytest.CaptureFixture[str]):
    async def prepare() -> Task:
        task = await make_task(State.COMPLETED, name="invoice [1].pdf")
        total = {"name": "total", "value": "12.50", "confidence": 0.875, "valid": True}
        async with database().writing() as session:
            session.add(
                Document(
                    task_id=task.id, number=1, document_type="invoice", fields={"total": total}
                )
            )
            session.add(
                File(
                    organization_id=task.organization_id,
                    name="data.json",
                    type="application/json",
                    size_bytes=7,
                    sha256="0",
                    blob="files/x",
                    task_id=task.id,
                    role="data",
                )
            )
            session.add(
                Activity(
                    organization_id=task.organization_id,
                    type="task.completed",
                    task_id=task.id,
                    subject=task.public_id,
                    actor="flow",
                    surface="prefect",
                )
            )
        await database().close()
        return task

    task = asyncio.run(prepare())
    _, whole, _ = call(capsys, "tasks", "show", task.public_id)
    assert whole["documents"][0]["fields"]["total"]["value"] == "12.50"
    assert whole["files"][0]["name"] == "data.json"
    assert [event["type"] for event in whole["events"]] == ["task.completed"]

    assert run(["tasks", "show", task.public_id]) == 0
    seen = capsys.readouterr().out
    for expected in ("invoice [1].pdf", "12.50", "88%", "data.json", "task.completed"):
        assert expected in seen


def test_a_long_id_is_shown_whole_on_a_narrow_terminal(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    task = asyncio.run(make_task(name="x" * 200))
    monkeypatch.setattr("api.cli.output.PIPE_WIDTH", 60)
    assert run(["tasks", "list"]) == 0
    assert task.public_id in capsys.readouterr().out


# Doctor


def test_doctor_says_what_programs_ask_for(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    status, told, _ = call(capsys, "doctor")
    assert told["prefect_api_url"] == "http://127.0.0.1:9/api"
    assert told["database"].endswith("papertray.db")
    assert told["storage"] == (home / "blobs").as_uri()
    found = {check["name"]: check for check in told["checks"]}
    assert found["database"]["health"] == "ok"
    assert found["storage"]["health"] == "ok"
    assert found["worker"]["health"] == "off"
    # The server was named and does not answer: that is a problem, with a remedy.
    assert status == UnavailableError.exit_code
    assert found["prefect server"]["health"] == "problem"
    assert "PREFECT_API_URL" in found["prefect server"]["remedy"]


def test_doctor_hides_the_password_of_the_database(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(
        "PAPERTRAY_DATABASE_URL", "postgresql+asyncpg://ann:sesame@127.0.0.1:9/nothing"
    )
    settings.cache_clear()
    database.cache_clear()
    status = run(["doctor", "--json"])
    told = capsys.readouterr()
    assert status == UnavailableError.exit_code
    assert "sesame" not in told.out + told.err
    found = {check["name"]: check for check in json.loads(told.out)["checks"]}
    assert found["database"]["health"] == "problem"


def test_doctor_tells_what_an_api_that_takes_nothing_in_is_without(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    class Unwell(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()
            self.wfile.write(b'{"database": "ok", "storage": "unavailable"}')

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Standard error is looked at."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Unwell) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv("PAPERTRAY_PORT", str(server.server_port))
        settings.cache_clear()
        status, told, _ = call(capsys, "doctor")
        server.shutdown()
    (api,) = (check for check in told["checks"] if check["name"] == "api")
    assert (status, api["health"]) == (UnavailableError.exit_code, "problem")
    assert api["detail"].endswith("takes nothing in: no storage")


def test_doctor_changes_nothing_where_there_is_no_home(tmp_path: Path):
    nowhere = tmp_path / "nowhere"
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", "doctor", "--json", "--home", str(nowhere)],
        capture_output=True,
        text=True,
        timeout=120,
        env={name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["healthy"] is True
    assert not nowhere.exists()


# What a client fetches


def test_a_client_fetches_the_files_of_a_task_by_commands(
    home: Path, capsys: pytest.CaptureFixture[str]
):
    task = asyncio.run(make_task(State.AWAITING_EXPORT, export_round=1)).public_id
    status, answer, _ = call(capsys, "tasks", "start-export", task)
    assert (status, answer["state"], answer["files"]) == (0, "exporting", [])
    assert call(capsys, "tasks", "cancel-export", task)[1]["state"] == "awaiting_export"
    assert call(capsys, "tasks", "complete-export", task)[0] == ConflictError.exit_code
    assert call(capsys, "tasks", "start-export", task)[0] == 0
    status, answer, _ = call(capsys, "tasks", "fail-export", task, "--message", "no room")
    assert (status, answer["state"], answer["result"]["error"]) == (0, "failed", "no room")
    task = asyncio.run(make_task(State.AWAITING_EXPORT, export_round=1)).public_id
    assert call(capsys, "tasks", "start-export", task)[0] == 0
    assert call(capsys, "tasks", "complete-export", task)[1]["state"] == "running"


def test_of_several_tasks_one_that_is_refused_does_not_keep_the_others(
    home: Path, capsys: pytest.CaptureFixture[str]
):
    first, ended, last = (
        asyncio.run(make_task(state)).public_id
        for state in (State.IN_REVIEW, State.COMPLETED, State.IN_REVIEW)
    )
    status, answer, _ = call(capsys, "tasks", "discard", first, ended, last)
    assert status == ConflictError.exit_code
    assert [one["id"] for one in answer] == [first, ended, last]
    assert [one.get("state") for one in answer] == ["discarded", None, "discarded"]
    assert answer[1]["error"]["code"] == "illegal_transition"
    assert run(["tasks", "delete", "nothing", first]) == NotFoundError.exit_code
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("nothing is refused: ")
    assert told[1] == f"Deleted {first}."


# What is not to be kept


def test_a_deleted_task_is_there_for_nobody(home: Path, capsys: pytest.CaptureFixture[str]):
    task = asyncio.run(make_task(State.COMPLETED))
    status, answer, _ = call(capsys, "tasks", "delete", task.public_id)
    assert (status, answer) == (0, [{"id": task.public_id, "deleted": True}])
    assert call(capsys, "tasks", "show", task.public_id)[0] == NotFoundError.exit_code
    assert call(capsys, "tasks", "list")[1] == []


def test_a_purge_shows_what_would_go_and_then_it_is_gone(
    home: Path, capsys: pytest.CaptureFixture[str]
):
    ended = now() - timedelta(days=40)
    asyncio.run(make_task(State.COMPLETED, name="private", finished_at=ended))
    to_go = [{"project": "", "tasks": 1, "bytes": 0, "records": 0}]
    month = ("--older-than", "30d")
    assert call(capsys, "purge", "--dry-run")[1] == {"outcome": "would go", "projects": []}
    for _ in range(2):
        told = call(capsys, "purge", "--dry-run", *month)[1]
        assert told == {"outcome": "would go", "projects": to_go}
    assert call(capsys, "purge", *month)[1] == {"outcome": "gone", "projects": to_go}
    (left,) = call(capsys, "tasks", "list")[1]
    assert left["name"] == ""
    assert call(capsys, "purge", "--dry-run", *month)[1]["projects"] == []
    assert run(["purge", "--dry-run"]) == 0
    assert "nothing to go" in capsys.readouterr().out
    assert run(["purge", "--dry-run", "--older-than", "soon"]) == InputError.exit_code
    assert "30d" in capsys.readouterr().err


# Why a task waits


async def remember(*rows: Any) -> None:
    async with database().writing() as session:
        session.add_all(rows)
    await database().close()


def verdict(capsys: pytest.CaptureFixture[str], task: Task) -> dict[str, dict[str, str]]:
    _, told, _ = call(capsys, "doctor", task.public_id)
    assert told["task"] == task.public_id
    return {check["name"]: check for check in told["checks"]}


def test_doctor_tells_what_a_task_waits_for(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    async def health(*_: Any) -> Any:
        return None

    monkeypatch.setattr("flows.engine.call", health)
    worker = Worker(name="w", host="h", pid=1)
    queued = asyncio.run(make_task())
    found = verdict(capsys, queued)["waits for"]
    assert (found["health"], found["detail"]) == ("problem", "a worker: none is alive")
    assert "papertray worker" in found["remedy"]

    asyncio.run(remember(worker))
    assert "its turn; workers that are alive: 1" in verdict(capsys, queued)["waits for"]["detail"]

    asyncio.run(
        remember(Outbox(kind=OutboxKind.SUBMIT, task_id=queued.id, attempts=3, last_error="gone"))
    )
    told = verdict(capsys, queued)
    assert told["waits for"]["detail"] == "the call `submit` to Prefect"
    assert "after 3 tries (gone)" in told["calls to Prefect"]["detail"]

    cases: dict[str, dict[str, Any]] = {
        "the step that is being done": {"state": State.RUNNING, "worker_id": worker.id},
        "another worker: the one that had it is gone": {"state": State.RUNNING},
        "a client that fetches its files": {"state": State.AWAITING_EXPORT},
        "a person, until whenever: total is odd": {
            "state": State.IN_REVIEW,
            "review_reason": "total is odd",
        },
        "ada@example.com, who holds it": {
            "state": State.IN_REVIEW,
            "claimed_by": "ada@example.com",
            "claimed_until": now() + timedelta(hours=1),
        },
        "nothing: it has ended (file_damaged). It is damaged.": {
            "state": State.FAILED,
            "result": {"error": "It is damaged.", "details": {"code": "file_damaged"}},
        },
        "nothing: it has ended": {"state": State.COMPLETED},
    }
    for detail, columns in cases.items():
        task = asyncio.run(make_task(**columns))
        found = verdict(capsys, task)["waits for"]
        assert found["detail"].startswith(detail), found
        assert found["health"] == "ok"


def test_doctor_tells_that_prefect_keeps_a_task_waiting_and_which_receiver_fails(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    task = asyncio.run(make_task(flow_run_id=uuid4()))
    created = Activity(
        organization_id=task.organization_id,
        type="task.created",
        task_id=task.id,
        subject=task.public_id,
        actor="a",
        surface="b",
    )
    asyncio.run(remember(created))
    assert created.number is not None
    failing = Delivery(
        organization_id=task.organization_id,
        url="https://example.com",
        lane="callback:example.com",
        activity_number=created.number,
        due_at=now(),
        until=now() + timedelta(days=1),
        error="The receiver answered 503.",
    )
    asyncio.run(remember(failing))
    status, told, _ = call(capsys, "doctor", task.public_id)
    found = {check["name"]: check for check in told["checks"]}
    assert status == UnavailableError.exit_code
    assert found["waits for"]["detail"] == "Prefect, which does not answer http://127.0.0.1:9/api"
    assert "papertray up" in found["waits for"]["remedy"]
    assert found["webhooks"]["detail"] == "1 waiting: The receiver answered 503."


def test_doctor_knows_no_task_of_another_organization(
    home: Path, capsys: pytest.CaptureFixture[str]
):
    task = asyncio.run(make_task())
    asyncio.run(create_key(["admin"], organization="other"))
    asyncio.run(database().close())
    assert run(["doctor", task.public_id, "--org", "other"]) == NotFoundError.exit_code
