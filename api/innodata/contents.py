"""/jobs/{id}/contents: what goes into a job, what comes out, and what people work on in between."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from api.bodies import JsonObject, read_json
from api.innodata import examples, words
from api.innodata.jobs import told
from api.innodata.route import Envelope, InnodataRoute, JobId, TaskEditor, TaskReader, find_job
from api.v1.files import send_stored
from api.v1.lists import base_of
from flows import verbs
from flows.taxonomies import TAXONOMY_TYPES
from store import models
from store.access import Caller
from store.database import database
from store.errors import (
    AlreadyClaimedError,
    AlreadyDecidedError,
    FieldsInvalidError,
    IllegalTransitionError,
    NotFoundError,
)
from store.finding import documents_of, field_values, files_of, find_file

router = APIRouter(prefix="/jobs/{job_id}/contents", route_class=InnodataRoute)

Role = Annotated[
    str, Path(description="What it is to the job: `input`, `output` ...", examples=["output"])
]


class DocumentValues(BaseModel):
    """Values of one of the documents that a job found."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="ignore")

    number: int = Field(ge=1)
    """1-based."""
    fields: JsonObject = {}
    """Values by the names of fields."""


class DataPoints(BaseModel):
    """What a collaborator found, or put right."""

    # What is not known is refused: values beside the documents would be lost.
    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")

    documents: list[DocumentValues] = Field(default=[], max_length=2000)

    @field_validator("documents")
    @classmethod
    def _each_once(cls, documents: list[DocumentValues]) -> list[DocumentValues]:
        for number, count in Counter(one.number for one in documents).items():
            if count > 1:
                raise ValueError(f"Document {number} is there {count} times")
        return documents

    def by_number(self) -> Mapping[int, Mapping[str, Any]]:
        """As the verbs take them."""
        return {one.number: one.fields for one in self.documents}


@router.get(
    "",
    summary="List the contents of a job",
    responses={
        200: examples.enveloped("What belongs to the job.", [examples.INPUT]),
        **examples.problems(),
    },
)
async def list_contents(request: Request, job_id: JobId, caller: TaskReader) -> Envelope:
    """List what belongs to a job: what went in, what it made, and what people work on."""
    row = await find_job(caller, job_id)
    async with database().reading() as session:
        (job,) = await words.jobs_of(session, [row], base_of(request))
    return Envelope([one.model_dump(mode="json") for one in job.contents])


@router.get(
    "/{role}",
    response_class=Response,
    summary="Fetch a content of a job",
    responses={
        200: {
            "description": "The bytes, as they are: in no envelope.",
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        },
        **examples.problems(),
    },
)
async def fetch_content(job_id: JobId, role: Role, caller: TaskReader) -> Response:
    """Fetch the bytes of a content of a job."""
    row = await find_job(caller, job_id)
    async with database().reading() as session:
        if role == words.INPUT and row.input_file_id:
            return await send_stored(await find_file(session, caller, row.input_file_id))
        if role == words.DATA_POINTS and words.has_data_points(row):
            documents = [_shown(one) for one in await documents_of(session, row)]
            return JSONResponse({"documents": documents})
        for kind in TAXONOMY_TYPES.values():
            taxonomy = kind.taxonomy_in(row.task_metadata)
            if role == kind.content_role and taxonomy is not None:
                return JSONResponse(taxonomy)
        roles: list[str] = []
        for file in await files_of(session, row):
            roles.append(words.role_of(file, roles))
            if roles[-1] == role:
                return await send_stored(file)
    raise NotFoundError(f"The job has no content {role!r} now.", role=role)


def _shown(document: models.Document) -> dict[str, Any]:
    return {
        "number": document.number,
        "document_type": document.document_type,
        "page_numbers": document.page_numbers,
        "fields": {name: value.value for name, value in field_values(document).items()},
        "details": {
            name: value.model_dump(mode="json") for name, value in field_values(document).items()
        },
    }


@router.put(
    "/{role}",
    summary="Give a content of a job",
    responses={
        200: examples.enveloped("The job.", examples.JOB),
        **examples.problems(
            *(413, 415, IllegalTransitionError, AlreadyDecidedError, AlreadyClaimedError),
            FieldsInvalidError,
        ),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": DataPoints.model_json_schema(),
                    "example": examples.DATA_POINTS,
                }
            },
        }
    },
)
async def give_content(request: Request, job_id: JobId, role: Role, caller: TaskEditor) -> Envelope:
    """Give what a review is for: `data-points` keeps them, `output` completes the review."""
    row = await find_job(caller, job_id)
    return await told(request, await _give(request, caller, row, role))


async def _give(request: Request, caller: Caller, row: models.Task, role: str) -> models.Task:
    if role not in {words.OUTPUT, words.DATA_POINTS}:
        raise IllegalTransitionError(
            f"{role!r} is nothing that a person gives. Give {words.DATA_POINTS} or {words.OUTPUT}."
        )
    given = (await read_json(request, DataPoints)).by_number()
    verb = verbs.complete if role == words.OUTPUT else verbs.save
    return await verb(caller, row.public_id, documents=given)
