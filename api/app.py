"""The HTTP server: every way in over HTTP, put together."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api import (
    aluma,
    gauges,
    health,
    human_lambdas,
    innodata,
    problems,
    review_pages,
    schemas,
    send_ai,
)
from api.bodies import BodyLimit
from api.error_shapes import V1, shape_of
from api.rate_limits import RateLimits
from api.v1 import (
    batch,
    colleagues,
    events,
    exports,
    files,
    keys,
    metrics,
    operations,
    people,
    projects,
    streams,
    tasks,
    webhooks,
)
from flows.clock import run_clock_watch
from flows.deliver_webhooks import run_deliverer
from flows.dispatch import run_dispatcher
from flows.erase import run_eraser
from flows.reconcile import follow_prefect
from flows.switches import unless_paused
from store.database import database, migrate
from store.errors import RateLimitedError

log = logging.getLogger("papertray.api")

DESCRIPTION = """\
A tray for documents. Send a file, and it is read, split into fields, checked by a person where that
is needed, and leaves with its data. Every task is a Prefect flow run.

**Keys.** Send a key as `x-api-key: KEY` or as `Authorization: Bearer KEY`. `papertray key create`
makes them; each has scopes, and an address says which one it needs.

**Waiting.** A POST that starts work answers 202 with the task. Ask for the task until its `status`
is `completed` or `failed`.

**Errors** are `application/problem+json` with a stable `code`; `detail` says what to do.

**Sending twice.** A POST with the header `Idempotency-Key` is done once: for 24 hours the same key
with the same body gets the same answer, with `Idempotent-Replayed: true`; with another body it gets
422, and while the first is being answered, 409.

**Too much.** A key that asks for more than the server lets through gets 429, and `Retry-After` says
in how many seconds to send again.

**Lists** give `data` and `links`; `links.next` and `links.previous` are whole addresses or null.
"""

TAGS = [
    {"name": "files", "description": "Bytes in, bytes out."},
    {"name": "tasks", "description": "Documents on their way, and what people decide."},
    {"name": "operations", "description": "One step on one file, without a project."},
    {"name": "events", "description": "What happened."},
    {"name": "webhooks", "description": "Who is told of what happens."},
    {"name": "projects", "description": "Named ways of treating documents."},
    {"name": "metrics", "description": "How much went through, and how well."},
    {"name": "people", "description": "People, teams and keys; for admins."},
    {"name": "aluma", "description": "Tasks in Aluma's words, for its clients."},
    {"name": "human lambdas", "description": "Queues of data, as Human Lambdas has them."},
    {"name": "send ai", "description": "Uploads of files and their tasks, as Send AI has them."},
    {"name": "innodata", "description": "Jobs on documents, as Innodata has them."},
    {"name": "server", "description": "The server itself."},
]

RESTART_SECONDS = 1.0
"""Before something that runs in the background and broke is started again."""

SURFACES = (
    *(files, tasks, colleagues, batch, exports, operations, events, streams, webhooks, projects),
    *(metrics, people, keys),
    aluma,
    human_lambdas,
    send_ai,
    innodata,
    *(schemas, health, gauges),
)


def create_app(*, run_background: bool = True) -> FastAPI:
    """Make the app.

    Args:
        run_background: whether it carries what it takes in to Prefect, follows Prefect, and
            tells webhooks. Without, it takes tasks in, and another process must do that.
    """
    app = FastAPI(
        title="Papertray",
        summary="A self-hosted tray for documents.",
        description=DESCRIPTION,
        version=version("papertray"),
        openapi_tags=TAGS,
        lifespan=_lifespan(run_background=run_background),
        # An address is spelt one way: a redirect would lose the body of a POST in some clients.
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    for surface in SURFACES:
        app.include_router(surface.router)
    app.include_router(review_pages.router)
    problems.install(app)
    # The last one added is the first to see a request.
    app.add_middleware(BodyLimit)
    app.add_middleware(problems.Incidents)
    app.openapi = lambda: _openapi(app)
    return app


def _lifespan(*, run_background: bool) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        app.state.rate_limits = RateLimits()
        await asyncio.to_thread(migrate)  # it has an event loop of its own
        stop = asyncio.Event()
        loops = (
            run_dispatcher,
            follow_prefect,
            unless_paused("deliver-webhooks", run_deliverer),
            unless_paused("retain", run_eraser),
            run_clock_watch,
        )
        running = [
            asyncio.create_task(_keep_running(loop, stop)) for loop in loops if run_background
        ]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*running)
            await database().close()

    return lifespan


async def _keep_running(
    loop: Callable[[asyncio.Event], Awaitable[None]], stop: asyncio.Event
) -> None:
    """Run something until told to stop; a mistake in it must not end it for good."""
    while not stop.is_set():
        try:
            await loop(stop)
        except Exception:  # whatever it is: tasks that were taken in wait for this loop
            log.exception("%s broke and is started again", getattr(loop, "__name__", loop))
            await asyncio.sleep(RESTART_SECONDS)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the shapes that no endpoint is annotated with."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        _keep_nulls(document)
        _drop_other_shapes(document)
        _add_rate_limits(document)
        shapes = document["components"]["schemas"]
        for shape in (problems.Problem, tasks.TaskBody, projects.ProjectBody):
            shapes[shape.__name__] = shape.model_json_schema()
        app.openapi_schema = document
    return app.openapi_schema


def _drop_other_shapes(document: dict[str, Any]) -> None:
    """Take out the 422 that FastAPI adds by itself: no surface answers in that shape."""
    for path, methods in document["paths"].items():
        for described in methods.values() if shape_of(path) is not V1 else ():
            described["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def _add_rate_limits(document: dict[str, Any]) -> None:
    """Say of each address that takes a key what it answers to one that asks for too much."""
    for path, methods in document["paths"].items():
        told = problems.described(RateLimitedError, shape=shape_of(path))
        for described in methods.values():
            if described.get("security"):
                described["responses"].update({str(status): one for status, one in told.items()})


def _keep_nulls(document: dict[str, Any]) -> None:
    """Put back the examples of answers as they were given: FastAPI drops each null in them."""
    for route in (route for surface in SURFACES for route in surface.router.routes):
        if not isinstance(route, APIRoute):
            continue
        for method in route.methods or ():
            described = document["paths"][route.path_format][method.lower()]["responses"]
            for status, answer in route.responses.items():
                for media_type, content in answer.get("content", {}).items():
                    shown = {name: content[name] for name in content if name.startswith("example")}
                    described[str(status)]["content"][media_type].update(shown)
