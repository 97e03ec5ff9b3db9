"""Keeps what tasks hold for as long as their projects say, and no longer."""

from prefect import flow

from flows.erase import retain_once


@flow(name="retain")
async def retain() -> None:
    """Erase the content of tasks whose time is over, and later their records."""
    await retain_once()
