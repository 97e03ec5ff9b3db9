"""/jobs: work on documents."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.bodies import MAX_BODY_BYTES, JsonObject, Text
from api.innodata import examples, words
from api.innodata.documents import DEFAULT_LIMIT, Limit, Offset
from api.innodata.route import (
    Envelope,
    InnodataRoute,
    JobId,
    TaskCreator,
    TaskEditor,
    TaskReader,
    find_job,
)
from api.v1.examples import body
from api.v1.lists import base_of
from api.vocabulary import InnodataWord, states_called
from flows import erase, verbs
from flows.taxonomies import TAXONOMY_TYPES, TaxonomyType
from store import models
from store.access import Caller
from store.blobs import blobs
from store.database import database
from store.errors import (
    FieldsInvalidError,
    IllegalTransitionError,
    NotFoundError,
)
from store.finding import find_file, find_project
from store.jobs import tasks_on_files

router = APIRouter(prefix="/jobs", route_class=InnodataRoute)

_DOCUMENT_URI: Final = re.compile(r"(?:.*/documents/)?(file_[a-z0-9]{16})(?:/contents)?/?")
"""The address of a document, of its contents, or its id alone."""


class _Body(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class ContentBody(_Body):
    """A document that a job gets."""

    role: Text
    """`input`, or what the type of the job calls it."""
    uri: Text
    """Address of a document, or of its contents."""


class CollaboratingTeam(_Body):
    """A team that is to work on a job, named by one of the two."""

    id: Text = ""
    name: Text = ""
    steps: list[Text] = Field(min_length=1, max_length=100)
    """On which steps; `*` is all."""


class CollaboratingUser(_Body):
    """A user who is to work on a job, named by one of the two."""

    id: Text = ""
    email: Text = ""
    steps: list[Text] = Field(min_length=1, max_length=100)
    """On which steps; `*` is all."""


class CollaborationBody(_Body):
    """Who is to work on a job beside its owner."""

    teams: list[CollaboratingTeam] = Field(default=[], max_length=100)
    users: list[CollaboratingUser] = Field(default=[], max_length=100)

    def collaborators(self) -> list[verbs.Collaborator]:
        """As the verbs take them."""
        teams = [
            verbs.Collaborator(
                f"collaboration.teams.{index}", team=one.id or one.name, steps=one.steps
            )
            for index, one in enumerate(self.teams)
        ]
        users = [
            verbs.Collaborator(
                f"collaboration.users.{index}", user=one.id or one.email, steps=one.steps
            )
            for index, one in enumerate(self.users)
        ]
        return teams + users


class JobBody(_Body):
    """A job to be made; any further member is kept in its metadata."""

    type: Text
    """Id of a type of jobs."""
    contents: list[ContentBody] = Field(min_length=1, max_length=20)
    """The documents; one of them has the role `input`."""
    collaboration: CollaborationBody = CollaborationBody()
    metadata: JsonObject = {}

    @model_validator(mode="before")
    @classmethod
    def _keep_what_is_unknown(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        unknown = {name: value[name] for name in value if name not in cls.model_fields}
        kept = value.get("metadata", {})
        if not isinstance(kept, dict):
            return value
        known = {name: value[name] for name in value if name in cls.model_fields}
        return {**known, "metadata": {**kept, **unknown}}


class JobChange(_Body):
    """What is to be changed of a job; what is left out stays."""

    collaboration: CollaborationBody | None = None
    metadata: JsonObject | None = None


_CHANGED: Final = examples.enveloped("The job.", examples.JOB)


async def told(request: Request, row: models.Task, status: int = 200) -> Envelope:
    """A job, in its envelope."""
    async with database().reading() as session:
        (job,) = await words.jobs_of(session, [row], base_of(request))
    return Envelope(job.model_dump(mode="json"), status)


@router.post(
    "",
    status_code=201,
    summary="Create a job",
    responses={
        201: examples.enveloped("The job.", examples.JOB, 201),
        **examples.problems(413, 415, FieldsInvalidError),
    },
)
async def create_job(
    request: Request, sent: Annotated[JobBody, body(examples.JOB_BODY)], caller: TaskCreator
) -> Envelope:
    """Create a job on a document that was sent before. Only its owner and collaborators see it."""
    given = _by_role(sent.contents)
    metadata = dict(sent.metadata)
    kind = TAXONOMY_TYPES.get(sent.type)
    project_file = await _prepared(caller, kind, given, metadata) if kind else None
    if kind is None:
        _must_be_the_only_one(given)
        await _must_be_a_type(caller, sent.type)
    row = await verbs.submit_process(
        caller,
        project=sent.type,
        file_id=given[words.INPUT],
        metadata=metadata,
        is_private=True,
        collaborators=sent.collaboration.collaborators(),
        project_file=project_file,
    )
    return await told(request, row, 201)


async def _must_be_a_type(caller: Caller, name: str) -> None:
    try:
        async with database().reading() as session:
            await find_project(session, caller, name)
    except NotFoundError:
        raise FieldsInvalidError(
            f"There is no type of jobs {name!r}. GET /job-types lists them.",
            fields={"type": "is no type of jobs"},
        ) from None


def _by_role(contents: Sequence[ContentBody]) -> dict[str, str]:
    """Ids of documents by their roles.

    Raises:
        FieldsInvalidError: there is no input, or two of one role, or no address of a document.
    """
    given: dict[str, str] = {}
    for index, one in enumerate(contents):
        found = _DOCUMENT_URI.fullmatch(one.uri)
        if found is None:
            reason = "is not the address of a document here; send it to POST /documents"
            raise FieldsInvalidError(fields={f"contents.{index}.uri": reason})
        if one.role in given:
            raise FieldsInvalidError(fields={f"contents.{index}.role": "is there twice"})
        given[one.role] = found[1]
    if words.INPUT not in given:
        raise FieldsInvalidError(fields={"contents": "has none with the role `input`"})
    return given


def _must_be_the_only_one(given: Mapping[str, str], *others: str) -> None:
    if unknown := sorted(set(given) - {words.INPUT, *others}):
        raise FieldsInvalidError(
            fields={"contents": f"has a role that the type does not know: {', '.join(unknown)}"}
        )


async def _prepared(
    caller: Caller, kind: TaxonomyType, given: Mapping[str, str], metadata: dict[str, Any]
) -> str:
    """The project file of a job whose taxonomy comes with it, perhaps as a document.

    Raises:
        FieldsInvalidError: the metadata is not as the type needs it.
    """
    _must_be_the_only_one(given, kind.content_role)
    if kind.content_role in given:
        metadata[kind.taxonomy] = await _read_json(caller, given[kind.content_role])
    source = kind.project_file_of(metadata)
    try:
        async with database().reading() as session:
            await find_project(session, caller, kind.name)
    except NotFoundError:
        await verbs.install_project(caller, kind.project_file)
    return source


async def _read_json(caller: Caller, file_id: str) -> Any:
    async with database().reading() as session:
        file = await find_file(session, caller, file_id)
    if file.size_bytes > MAX_BODY_BYTES:
        raise FieldsInvalidError(
            fields={"contents": f"has JSON of more than {MAX_BODY_BYTES} bytes"}
        )
    try:
        return json.loads(await blobs().read(file.blob))
    except (ValueError, RecursionError):
        raise FieldsInvalidError(fields={"contents": "has a taxonomy that is no JSON"}) from None


@router.get(
    "",
    summary="List jobs",
    responses={
        200: examples.enveloped(
            "A page of jobs.", {"count": 1, "limit": 100, "offset": 0, "jobs": [examples.JOB]}
        ),
        **examples.problems(),
    },
)
async def list_jobs(
    request: Request,
    caller: TaskReader,
    limit: Limit = DEFAULT_LIMIT,
    offset: Offset = 0,
    status: Annotated[InnodataWord | None, Query(description="Only jobs that are so.")] = None,
    type: Annotated[Text | None, Query(description="Only jobs of this type.")] = None,  # noqa: A002  # Innodata's
) -> Envelope:
    """List the jobs that the caller may see, the newest first."""
    states = states_called(lambda one: status in {None, one.innodata})
    async with database().reading() as session:
        page = await tasks_on_files(
            session, caller, states=states, project=type, limit=limit, offset=offset
        )
        jobs = await words.jobs_of(session, page.rows, base_of(request))
    shown = words.Jobs(count=page.count, limit=limit, offset=offset, jobs=jobs)
    return Envelope(shown.model_dump(mode="json"))


@router.get("/{job_id}", summary="Show a job", responses={200: _CHANGED, **examples.problems()})
async def show_job(request: Request, job_id: JobId, caller: TaskReader) -> Envelope:
    """Show a job, and how far it is."""
    return await told(request, await find_job(caller, job_id))


@router.put(
    "/{job_id}",
    summary="Change a job",
    responses={200: _CHANGED, **examples.problems(413, 415, FieldsInvalidError)},
)
async def change_job(
    request: Request,
    job_id: JobId,
    sent: Annotated[JobChange, body({"collaboration": examples.COLLABORATION})],
    caller: TaskEditor,
) -> Envelope:
    """Say who works on a job, and what is kept with it. Only its owner may."""
    row = await find_job(caller, job_id)
    row = await verbs.change_task(
        caller,
        row.public_id,
        collaborators=sent.collaboration.collaborators() if sent.collaboration else None,
        metadata=await _kept(row, sent.metadata),
    )
    return await told(request, row)


async def _kept(row: models.Task, sent: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Metadata in the place of what was kept with a job; what its type needs stays."""
    if sent is None or row.erased_at is not None:
        return sent
    async with database().reading() as session:
        project = await session.get(models.Project, row.project_id)
    kind = TAXONOMY_TYPES.get(project.name) if project else None
    return kind.changed(row.task_metadata, sent) if kind else sent


@router.delete(
    "/{job_id}",
    summary="Remove a job",
    responses={
        200: examples.enveloped("It is gone.", {"id": examples.JOB["id"]}),
        **examples.problems(),
    },
)
async def remove_job(job_id: JobId, caller: TaskEditor) -> Envelope:
    """Cancel a job if it has not ended, and erase all of it. Only its owner may."""
    row = await find_job(caller, job_id)
    await erase.delete_task(caller, row.public_id)
    return Envelope({"id": str(row.id)})


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a job",
    responses={200: _CHANGED, **examples.problems(IllegalTransitionError)},
)
async def cancel_job(request: Request, job_id: JobId, caller: TaskEditor) -> Envelope:
    """Cancel a job that has not ended."""
    row = await find_job(caller, job_id)
    return await told(request, await verbs.cancel(caller, row.public_id))


@router.post(
    "/{job_id}/rewind",
    summary="Rewind a job",
    responses={200: _CHANGED, **examples.problems(IllegalTransitionError)},
)
async def rewind_job(request: Request, job_id: JobId, caller: TaskEditor) -> Envelope:
    """Bring a job that has ended back to its review."""
    row = await find_job(caller, job_id)
    return await told(request, await verbs.unlock(caller, row.public_id))
