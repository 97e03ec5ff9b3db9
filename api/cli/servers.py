"""`papertray up`, `serve`, `worker`, `deploy`: what runs until it is told to stop."""

import asyncio
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from socket import socket
from types import FrameType
from typing import Annotated, Any

from cyclopts import Parameter

from api.cli.keys import has_keys
from api.cli.local import pages_url, store_open
from api.cli.output import DEFAULTS, Answer, Options, table
from api.supervisor import LOOPBACK, Plan, Supervisor, running
from flows.memory import few_arenas
from store.errors import PrefectUnreachableError
from store.keys import create_key
from store.settings import settings

log = logging.getLogger("papertray.cli")

PREFECT_RETRY_SECONDS = 1.0

BULK_RUNS_FOR_EACH_CORE = 4
"""How many runs of the queue `bulk` go at once: enough that the cores, of which each does one
operation at a time, are never idle between two of them."""


async def up(
    *,
    host: str | None = None,
    port: int | None = None,
    prefect_port: int | None = None,
    verbose: Annotated[bool, Parameter(negative="")] = False,
    options: Options = DEFAULTS,
) -> None:
    """Run all of Papertray on this machine, until Ctrl-C.

    Starts a Prefect server (where PREFECT_API_URL names none), the API with its pages, and a
    worker; a part that dies is started again. Everything is kept in the home.

    Args:
        host: Address the API and the pages listen on [PAPERTRAY_HOST].
        port: Port of the API and the pages [PAPERTRAY_PORT].
        prefect_port: Port of the Prefect server that is started [PAPERTRAY_PREFECT_PORT].
        verbose: Show what the parts write here instead of in `logs` of the home.
        options: Common options.
    """
    plan = Plan(
        home=settings().home.expanduser().resolve(),
        host=host or settings().host,
        port=port or settings().port,
        prefect_port=prefect_port or settings().prefect_port,
        prefect_api_url=os.environ.get("PREFECT_API_URL", ""),
        to_terminal=verbose,
    )
    options.tell(f"Starting Papertray from {plan.home} ...")
    async with running_here(plan, options) as (supervisor, stop):
        if supervisor is not None:
            await announce(plan, options)
            await stop.wait()
        options.tell("Stopping ...")
    options.tell("Stopped.")


@asynccontextmanager
async def running_here(
    plan: Plan, options: Options
) -> AsyncIterator[tuple[Supervisor | None, asyncio.Event]]:
    """Papertray, ready; stopped at the end. The event is set when somebody asks to stop.

    The first Ctrl-C or SIGTERM asks; the second does not wait. Whoever asks before it is ready
    gets no supervisor.
    """
    supervisor = Supervisor(plan, say=options.tell)
    stop = asyncio.Event()

    def ask() -> None:
        if stop.is_set():
            supervisor.kill()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask)
    try:
        starting = asyncio.create_task(supervisor.start(_prepare))
        asked = asyncio.create_task(stop.wait())
        with options.busy("the first time takes longest"):
            await asyncio.wait([starting, asked], return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if starting.done():
            await starting  # raises what kept it from starting
            yield supervisor, stop
        else:
            starting.cancel()
            await asyncio.wait([starting])
            yield None, stop
    finally:
        await supervisor.stop()


async def _prepare() -> None:
    """Make the schema what this version needs, before anything uses it."""
    async with store_open(make=True):
        return


async def announce(plan: Plan, options: Options) -> None:
    """Tell where everything is, and the first time a key that opens it."""
    # Made last: a key that nobody saw because the start failed could never be shown again.
    async with store_open():
        key = None if await has_keys() else (await create_key(["admin"])).key
    places = {
        "api_url": f"{plan.url}/v1",
        "docs_url": f"{plan.url}/docs",
        "review_url": f"{pages_url()}/review",
        "prefect_api_url": plan.prefect_url,
        "prefect_ui_url": plan.prefect_ui_url,
        "home": str(plan.home),
    }
    if options.json:
        sys.stdout.write(json.dumps({**places, "admin_key": key}) + "\n")
        sys.stdout.flush()
        return
    options.tell("Papertray is ready.")
    options.tell(f"  API         {places['api_url']}  (described at {places['docs_url']})")
    options.tell(f"  Review      {places['review_url']}")
    options.tell(f"  Prefect UI  {places['prefect_ui_url']}")
    if key:
        options.tell(f"  Admin key   {key}  (shown now and never again)")
    if plan.host not in LOOPBACK and plan.own_prefect and plan.prefect_host in LOOPBACK:
        options.tell(
            "The Prefect server has no users, so it stays on this machine. To reach its UI from"
            " others, set PREFECT_SERVER_API_AUTH_STRING=NAME:PASSWORD and start again."
        )
    options.tell("Ctrl-C stops it.")


def serve(*, options: Options = DEFAULTS) -> None:
    """Serve the API and the pages, until SIGTERM. Its address comes from the settings.

    Args:
        options: Common options.
    """
    import uvicorn  # slow, and only this command needs it
    from uvicorn.config import STARTUP_FAILURE

    del options
    few_arenas()
    use_known_prefect()

    class Server(uvicorn.Server):
        """Ends the streams of events when it is told to stop; else it would wait for them."""

        async def startup(self, sockets: list[socket] | None = None) -> None:
            await super().startup(sockets)
            keep_what_is_loaded()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            from api.v1.streams import stop_streams  # the app has imported it long since

            stop_streams()
            super().handle_exit(sig, frame)

    server = Server(
        uvicorn.Config(
            "api.app:create_app",
            factory=True,
            host=settings().host,
            port=settings().port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=4,
        )
    )
    with suppress(KeyboardInterrupt):  # uvicorn ends in order and raises the signal again
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


async def worker(*, name: str | None = None, options: Options = DEFAULTS) -> None:
    """Run a worker, until SIGTERM. It registers the flows with the Prefect server first.

    Args:
        name: By which operators know it; host and process id when omitted.
        options: Common options.
    """
    few_arenas()
    use_known_prefect()
    from flows.engine import ensure_deployed, tidy_up  # imports Prefect: seconds
    from flows.heartbeat import this_worker  # as above
    from flows.worker import PapertrayWorker  # as above

    del options
    async with store_open(make=True):
        while True:
            try:
                await ensure_deployed()
                await tidy_up()
                break
            except PrefectUnreachableError as error:
                log.warning("%s Trying again in %g s.", error.message, PREFECT_RETRY_SECONDS)
                await asyncio.sleep(PREFECT_RETRY_SECONDS)
        keep_what_is_loaded()
        name = name or this_worker().name
        await PapertrayWorker(settings().work_pool, name=name).start()


async def deploy(*, notify: str = "", options: Options = DEFAULTS) -> Answer:
    """Set the Prefect server up for Papertray; what people changed there is left as it is.

    Makes the work pool, its queues with their priorities, the limit of the queue `bulk`, the
    deployments with their schedules, the automations and the variables. Can be repeated.

    Args:
        notify: Notification block of Prefect that automations tell, like `slack-webhook/ops`.
        options: Common options.
    """
    del options
    use_known_prefect()
    from flows import engine  # imports Prefect: seconds

    pool = settings().work_pool
    async with engine.connected():
        await engine.ensure_deployed()
        await engine.limit_bulk(pool, BULK_RUNS_FOR_EACH_CORE * settings().operation_slots)
        await engine.ensure_variables()
        await engine.ensure_automations(notify)
    made: list[dict[str, Any]] = [
        {"name": one.name, "pool": pool, "queue": one.queue, "tags": one.tags}
        for one in engine.DEPLOYMENTS
    ]
    rows = ([one["name"], one["pool"], one["queue"], ", ".join(one["tags"])] for one in made)
    return Answer(made, table(("deployment", "pool", "queue", "tags"), rows))


def keep_what_is_loaded() -> None:
    """Take what is there for good out of the sight of the garbage collector.

    It would look at half a million objects of modules each time, while requests wait.
    """
    gc.collect()
    gc.freeze()


def use_known_prefect() -> None:
    """Without PREFECT_API_URL take the server of the `up` that runs from this home."""
    facts = running(settings().home)
    if facts:
        os.environ.setdefault("PREFECT_API_URL", facts["prefect_api_url"])
        if password := os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
            os.environ.setdefault("PREFECT_API_AUTH_STRING", password)
