"""The app, made once a process: to make it costs more than most tests of it."""

from functools import cache

from fastapi import FastAPI

from api.app import create_app


@cache
def whole_app() -> FastAPI:
    """The app with every surface; what carries tasks to Prefect stays off.

    Whoever enters its lifespan has it with the settings, the database and the limits of that
    moment.
    """
    return create_app(run_background=False)
