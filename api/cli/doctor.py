"""`papertray doctor`: what is installed, what is reachable, and what to do about what is not."""

import asyncio
import os
import platform
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from alembic.script import ScriptDirectory
from sqlalchemy import select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from api.cli.doctor_prefect import examine_prefect
from api.cli.doctor_task import examine
from api.cli.findings import START_A_WORKER, Finding, Health, told
from api.cli.output import DEFAULTS, Answer, Options
from api.supervisor import reachable, running
from flows.heartbeat import BEATS_UNTIL_DEAD
from operations.tools import tesseract
from operations.tools.child import is_isolated
from store.blobs import blobs
from store.database import alembic_config, database
from store.errors import PapertrayError
from store.ids import now
from store.models import Worker
from store.settings import settings

LEAST_FREE_BYTES = 2 * 2**30
ANSWER_SECONDS = 10.0
"""A busy server takes seconds; where none is, the answer comes at once."""


async def doctor(task: str = "", *, options: Options = DEFAULTS) -> Answer:
    """Tell what is installed and reachable, and what to do about what is not.

    Args:
        task: Id of a task: tell where it is and what it waits for, and nothing else.
        options: Common options.
    """
    if task:
        return told(await examine(options, task), task=task)
    findings = [finding for check in CHECKS for finding in await check()]
    return told(
        findings,
        version=version("papertray"),
        home=str(settings().home),
        prefect_api_url=prefect_api_url(),
        database=_without_password(settings().effective_database_url),
        storage=settings().effective_storage,
    )


def prefect_api_url() -> str:
    """The address of the Prefect server that is used: the one named, else the one of `up`."""
    named = os.environ.get("PREFECT_API_URL")
    if named:
        return named
    started = running(settings().home).get("prefect_api_url")
    return started or f"http://127.0.0.1:{settings().prefect_port}/api"


def _without_password(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)


async def _programs() -> list[Finding]:
    found = [
        Finding("papertray", Health.OK, version("papertray")),
        Finding("python", Health.OK, f"{platform.python_version()} ({platform.platform()})"),
        Finding("prefect", Health.OK, version("prefect")),
    ]
    try:
        program = tesseract.find_program()
        detail = await asyncio.to_thread(_tesseract, program)
        found.append(Finding("tesseract", Health.OK, detail))
    except (PapertrayError, OSError, subprocess.SubprocessError) as error:
        remedy = "Install it: " + ", or ".join(tesseract.INSTALL_LINES)
        found.append(Finding("tesseract", Health.PROBLEM, _first_line(error), remedy))
    return found


def _tesseract(program: tesseract.Program) -> str:
    models = {"TESSDATA_PREFIX": program.models} if program.models else {}

    def lines(flag: str) -> list[str]:
        said = subprocess.run(
            [program.command, flag],
            check=True,
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
            env={**os.environ, **models},
        )
        return (said.stdout or said.stderr).splitlines()

    languages = [line for line in lines("--list-langs") if line.isidentifier()]
    name = lines("--version")[0]
    return f"{name} at {program.command}; languages: {', '.join(languages)}"


async def _children() -> list[Finding]:
    if await asyncio.to_thread(is_isolated):
        return [Finding("child processes", Health.OK, "what opens documents has no network")]
    remedy = (
        "To keep hostile documents from the network, let this user have user namespaces (in"
        " sysctl kernel.unprivileged_userns_clone, in AppArmor, in the profile of the container)."
    )
    return [Finding("child processes", Health.OK, "what opens documents has a network", remedy)]


async def _home() -> list[Finding]:
    home = settings().home
    if not home.exists():
        remedy = "papertray up, serve or worker makes it."
        return [Finding("home", Health.OFF, f"{home} is not there yet", remedy)]
    if not os.access(home, os.W_OK | os.X_OK):
        remedy = "Let this user write to it, or choose another one with PAPERTRAY_HOME."
        return [Finding("home", Health.PROBLEM, f"{home} cannot be written to", remedy)]
    free = shutil.disk_usage(home).free
    detail = f"{free / 2**30:.1f} GiB free at {home}"
    if free < LEAST_FREE_BYTES:
        return [Finding("home", Health.OK, str(home)), _no_room(detail)]
    return [Finding("home", Health.OK, str(home)), Finding("disk", Health.OK, detail)]


def _no_room(detail: str) -> Finding:
    remedy = "Free some, or set a shorter retention in the projects."
    return Finding("disk", Health.PROBLEM, detail, remedy)


async def _database() -> list[Finding]:
    url = settings().effective_database_url
    shown = _without_password(url)
    address = make_url(url)
    is_sqlite = address.get_backend_name() == "sqlite"
    if is_sqlite and address.database and not Path(address.database).exists():
        return [
            Finding("database", Health.OFF, f"{shown} is not there yet", "papertray up makes it.")
        ]
    newest = ScriptDirectory.from_config(alembic_config(url)).get_current_head()
    try:
        async with _open_database() as session:
            there = await session.scalar(text("SELECT version_num FROM alembic_version"))
            alive = await _workers(session)
    except (SQLAlchemyError, PapertrayError, OSError) as error:
        remedy = "Check PAPERTRAY_DATABASE_URL, and that the database server runs."
        return [Finding("database", Health.PROBLEM, f"{shown}: {_first_line(error)}", remedy)]
    if there != newest:
        remedy = "papertray up, serve or worker brings it up to date."
        return [Finding("database", Health.OFF, f"{shown} is at {there}, not {newest}", remedy)]
    return [Finding("database", Health.OK, f"{shown}, schema {there}"), alive]


@asynccontextmanager
async def _open_database() -> AsyncIterator[Any]:
    try:
        async with database().reading() as session:
            yield session
    finally:
        await database().close()


async def _workers(session: Any) -> Finding:
    query = select(Worker).where(col(Worker.stopped_at).is_(None)).order_by(col(Worker.seen_at))
    fresh = BEATS_UNTIL_DEAD * settings().heartbeat_seconds
    rows = (await session.execute(query)).scalars().all()
    alive = [row for row in rows if (now() - row.seen_at).total_seconds() < fresh]
    if alive:
        names = ", ".join(f"{row.name} on {row.host}" for row in alive)
        return Finding("worker", Health.OK, f"{len(alive)} alive: {names}")
    return Finding("worker", Health.OFF, "none is alive", START_A_WORKER)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__} {str(error).splitlines()[0] if str(error) else ''}".strip()


async def _storage() -> list[Finding]:
    url = settings().effective_storage
    if url.startswith("file:") and not settings().home.exists() and not settings().storage:
        return [Finding("storage", Health.OFF, f"{url} is not there yet", "papertray up makes it.")]
    key = f"doctor/{uuid4()}"

    async def probe() -> AsyncIterator[bytes]:
        yield b"probe"

    try:
        storage = blobs()
        await storage.write_stream(key, probe())
        await storage.read(key)
        await storage.delete(key)
    except (OSError, ImportError, ValueError, PapertrayError) as error:
        remedy = "Check PAPERTRAY_STORAGE, the credentials, and that the folder or bucket is there."
        return [Finding("storage", Health.PROBLEM, f"{url}: {_first_line(error)}", remedy)]
    return [Finding("storage", Health.OK, f"{url}: written, read and deleted")]


async def _servers() -> list[Finding]:
    facts = running(settings().home)
    is_named = bool(os.environ.get("PREFECT_API_URL"))
    prefect = prefect_api_url()
    url = facts.get("url") or f"http://{reachable(settings().host)}:{settings().port}"
    prefect_said, api_said = await asyncio.gather(
        _ask(f"{prefect.rstrip('/')}/health"), _ask(f"{url}/healthz")
    )
    if prefect_said and prefect_said.is_success:
        server = Finding("prefect server", Health.OK, f"answers at {prefect}")
    elif is_named:
        remedy = "Start it, or correct PREFECT_API_URL. Tasks are taken in meanwhile, and wait."
        server = Finding("prefect server", Health.PROBLEM, f"no answer at {prefect}", remedy)
    else:
        server = Finding("prefect server", Health.OFF, f"no answer at {prefect}", "papertray up")
    noticed = await examine_prefect(prefect, ANSWER_SECONDS) if server.health is Health.OK else []
    return [server, *noticed, _api(url, api_said)]


def _api(url: str, said: httpx.Response | None) -> Finding:
    if said is None:
        return Finding("api", Health.OFF, f"no answer at {url}", "papertray up, or papertray serve")
    if said.is_success:
        return Finding("api", Health.OK, f"answers at {url}")
    # Its user, its sandbox and its environment may be others than those of this command.
    remedy = "Where it works from here, let the user and the sandbox of that process reach it."
    return Finding("api", Health.PROBLEM, f"{url} takes nothing in: {_away(said)}", remedy)


def _away(said: httpx.Response) -> str:
    """What `/healthz` finds missing, in its words."""
    try:
        words: Any = said.json()
    except ValueError:
        words = None
    known: dict[str, Any] = words if isinstance(words, dict) else {}
    missing = [name for name in ("database", "storage") if known.get(name) == "unavailable"]
    if not missing:
        return f"it answers {said.status_code}, and may be another program"
    return f"no {' and no '.join(missing)}"


async def _ask(url: str) -> httpx.Response | None:
    try:
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as client:
            return await client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL):
        return None


CHECKS: tuple[Callable[[], Awaitable[list[Finding]]], ...] = (
    _programs,
    _children,
    _home,
    _database,
    _storage,
    _servers,
)
