"""What a run shows of its task in the Prefect UI. Nobody's work depends on it."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

import httpx
from prefect.artifacts import (
    acreate_link_artifact,
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.exceptions import PrefectHTTPStatusError

from store.errors import PapertrayError
from store.fields import FieldValue
from store.settings import settings

log = logging.getLogger("papertray.flows")

MOST_FILES: Final = 20
"""More are listed on the page of the task alone."""

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


def _page_of(public_id: str) -> str:
    return f"{settings().effective_public_url}/review/{public_id}"


async def show_review_link(public_id: str) -> None:
    """Show where the task is reviewed."""
    try:
        await acreate_link_artifact(
            _page_of(public_id),
            link_text=f"Review {public_id}",
            key="review",
            description="The page on which a person checks this task.",
        )
    except _UNSHOWN as error:
        log.warning("the link is not shown in Prefect: %s", type(error).__name__)


async def show_output(public_id: str, file_names: Mapping[str, str]) -> None:
    """Show what an operation made, and where it is.

    Args:
        public_id: of its task, whose page has all of it.
        file_names: by the ids of the files that it made; none: its outcome is on the page.
    """
    page = _page_of(public_id)
    files = list(file_names.items())
    lines = [f"- [{_link_text(name)}]({page}/files/{id_})" for id_, name in files[:MOST_FILES]]
    if len(files) > MOST_FILES:
        lines.append(f"- and {len(files) - MOST_FILES} more")
    told = f"Output of [{public_id}]({page})."
    try:
        await acreate_markdown_artifact("\n".join([told, "", *lines]), description=told)
    except _UNSHOWN as error:
        log.warning("the output is not shown in Prefect: %s", type(error).__name__)


async def show_failure(public_id: str, error: PapertrayError) -> None:
    """Show why a task failed, and where it is: the state of its run has room for a code alone."""
    await _show_error(f"[{public_id}]({_page_of(public_id)}) failed.", error)


async def show_refusal(error: PapertrayError) -> None:
    """Show why a run that was started in Prefect made no task, with each thing that is wrong."""
    await _show_error("This run made no task.", error)


async def _show_error(told: str, error: PapertrayError) -> None:
    lines = [f"- {_plain(f'{name}: {value}')}" for name, value in _spread(error.details)]
    text = "\n".join([f"{told} {_plain(error.message)}", "", *lines])
    try:
        await acreate_markdown_artifact(text, description=told)
    except _UNSHOWN as unshown:
        log.warning("the error is not shown in Prefect: %s", type(unshown).__name__)


def _spread(details: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Each detail by its name, those within another by both names."""
    for name, value in details.items():
        whole = ".".join(part for part in (within, str(name)) if part)
        if isinstance(value, Mapping):
            yield from _spread(cast("Mapping[str, Any]", value), whole)
        else:
            yield whole, value


def _link_text(name: str) -> str:
    """A name as the text of a link; only what could end the link, or be HTML, is escaped.

    Prefect's UI shows what is left (`*`, `_`, `&`) as it is, and a backslash before it, too; of
    brackets alone it takes the backslash away (3.8.8).
    """
    return re.sub(r"[\\`\[\]<]", r"\\\g<0>", " ".join(name.split()))


def _plain(name: str) -> str:
    """A name that somebody gave, as text in which nothing is Markdown (CommonMark 0.31, 2.4)."""
    return re.sub(r"[!-/:-@\[-`{-~]", r"\\\g<0>", " ".join(name.split()))


async def show_fields(
    public_id: str, documents: Sequence[tuple[int, dict[str, FieldValue]]]
) -> None:
    """Show the fields of a task as a table: what was found, how sure, and what is wrong."""
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
    page = _page_of(public_id)
    try:
        # Without a key: Prefect copies what has one into a list of the newest of that key, and
        # into its events, which nobody can delete.
        told = f"Fields of [{public_id}]({page})."
        await acreate_table_artifact(rows, description=told)
    except _UNSHOWN as error:
        log.warning("the fields are not shown in Prefect: %s", type(error).__name__)
