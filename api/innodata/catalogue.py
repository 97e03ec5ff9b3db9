"""/job-types and /status: what there is."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from api.innodata import examples, words
from api.innodata.route import Envelope, InnodataRoute, ProjectReader
from store.access import Caller
from store.database import database
from store.errors import NotFoundError
from store.finding import projects_of

router = APIRouter(route_class=InnodataRoute)


@router.get(
    "/job-types",
    summary="List the types of jobs",
    responses={
        200: examples.enveloped("The types.", {"job_types": [examples.JOB_TYPE]}),
        **examples.problems(),
    },
)
async def list_job_types(caller: ProjectReader) -> Envelope:
    """List what jobs can be: two whose taxonomy comes with the job, and one for each project."""
    types = await _types(caller)
    return Envelope({"job_types": [one.model_dump(mode="json") for one in types]})


@router.get(
    "/job-types/{job_type_id}",
    summary="Show a type of jobs",
    responses={
        200: examples.enveloped("The type.", examples.JOB_TYPE),
        **examples.problems(),
    },
)
async def show_job_type(
    job_type_id: Annotated[str, Path(description="Id of a type.", examples=["indexing"])],
    caller: ProjectReader,
) -> Envelope:
    """Show a type of jobs, and what metadata it needs."""
    for one in await _types(caller):
        if one.id == job_type_id:
            return Envelope(one.model_dump(mode="json"))
    raise NotFoundError(f"There is no type of jobs {job_type_id!r}.", type=job_type_id)


async def _types(caller: Caller) -> list[words.JobType]:
    async with database().reading() as session:
        return words.job_types(await projects_of(session, caller))


@router.get(
    "/status",
    summary="Show that the API answers",
    responses={
        200: examples.enveloped("It does.", {"status": "ok", "user": "ana@example.com"}),
        **examples.problems(),
    },
)
async def show_status(request: Request) -> Envelope:
    """Show that the API answers, and to whom."""
    caller: Caller = request.state.caller
    return Envelope({"status": "ok", "user": caller.actor.name})
