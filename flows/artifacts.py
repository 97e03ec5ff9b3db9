"""What a run shows of its task in the Prefect UI. Nobody's work depends on it."""

import logging
from collections.abc import Sequence
from typing import Any

import httpx
from prefect.artifacts import (
    acreate_link_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.exceptions import PrefectHTTPStatusError

from store.fields import FieldValue
from store.settings import settings

log = logging.getLogger("papertray.flows")

_UNSHOWN = (httpx.HTTPError, PrefectHTTPStatusError)
"""What keeps Prefect from showing something; the task goes on."""


class ProgressArtifact:
    """The progress bar of one execution of a run."""

    def __init__(self) -> None:
        """Nothing is shown before there is something to show."""
        self._id: Any = None

    async def show(self, step: str, current: int, total: int) -> None:
        """Show how far a step is, in percent; a step that cannot tell shows nothing new."""
        if not total:
            return
        percent = 100 * current / total
        try:
            if self._id is None:
                self._id = await acreate_progress_artifact(
                    percent, key="progress", description=f"{step}: {current} of {total}"
                )
            else:
                await aupdate_progress_artifact(
                    self._id, percent, description=f"{step}: {current} of {total}"
                )
        except _UNSHOWN as error:
            log.warning("progress is not shown in Prefect: %s", type(error).__name__)


async def show_review_link(public_id: str) -> None:
    """Show where the task is reviewed."""
    try:
        await acreate_link_artifact(
            f"{settings().effective_public_url}/review/{public_id}",
            link_text=f"Review {public_id}",
            key="review",
            description="The page on which a person checks this task.",
        )
    except _UNSHOWN as error:
        log.warning("the link is not shown in Prefect: %s", type(error).__name__)


async def show_fields(documents: Sequence[tuple[int, dict[str, FieldValue]]]) -> None:
    """Show the fields as a table: what was found, how sure, and what is wrong."""
    rows = [
        {
            "document": number,
            "field": value.label,
            "value": "" if value.value is None else value.shown,
            "confidence": f"{value.confidence:.0%}",
            "check": value.message or ("please confirm" if value.needs_confirmation else "ok"),
        }
        for number, values in documents
        for value in values.values()
    ]
    try:
        # Without a key: Prefect copies what has one into a list of the newest of that key, and
        # into its events, which nobody can delete.
        await acreate_table_artifact(rows, description="Fields of the document.")
    except _UNSHOWN as error:
        log.warning("the fields are not shown in Prefect: %s", type(error).__name__)
