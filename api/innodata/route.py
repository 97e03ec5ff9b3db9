"""What the addresses of Innodata's API have in common: the key, and the envelope."""

from typing import Annotated, Any, Final
from uuid import UUID, uuid4

from fastapi import Path, Security
from fastapi.responses import JSONResponse

from api.auth import BASIC_KEY, Spelling, caller_by
from api.route import SurfaceRoute
from store.access import Caller
from store.database import database
from store.errors import NotFoundError, UnauthenticatedError
from store.finding import find_task_by_id
from store.keys import FoundKey, find_key
from store.models import Task

_PREFIXES: Final = {"user-live-": False, "user-test-": True}
"""What Innodata's own keys begin with, and whether they are for tests."""


async def _find(said: str) -> FoundKey:
    """A key, which may have the beginning that Innodata's clients look for.

    Raises:
        UnauthenticatedError: it opens nothing, or is of the other kind than it says.
    """
    for prefix, is_test in _PREFIXES.items():
        if said.startswith(prefix):
            found = await find_key(said.removeprefix(prefix))
            if found.row.is_test is not is_test:
                raise UnauthenticatedError
            return found
    return await find_key(said)


BASIC: Final = Spelling(BASIC_KEY.scheme, BASIC_KEY.read, _find)


class InnodataRoute(SurfaceRoute):
    """An address of Innodata's API."""

    surface = "innodata"
    spellings = (BASIC,)


class Envelope(JSONResponse):
    """Every answer of JSON: `{success, status_code, tracking, response}`."""

    def render(self, content: Any) -> bytes:
        """Put it into its envelope."""
        return super().render(enveloped(content, self.status_code))


def enveloped(content: Any, status: int = 200) -> dict[str, Any]:
    """An answer as it goes out."""
    return {
        "success": True,
        "status_code": status,
        "tracking": str(uuid4()),
        "response": content,
    }


_caller: Final = caller_by(BASIC_KEY)

TaskReader = Annotated[Caller, Security(_caller, scopes=["task.read"])]
TaskCreator = Annotated[Caller, Security(_caller, scopes=["task.create"])]
TaskEditor = Annotated[Caller, Security(_caller, scopes=["task.edit"])]
FileReader = Annotated[Caller, Security(_caller, scopes=["file.read"])]
FileCreator = Annotated[Caller, Security(_caller, scopes=["file.create"])]
FileDeleter = Annotated[Caller, Security(_caller, scopes=["file.delete"])]
ProjectReader = Annotated[Caller, Security(_caller, scopes=["project.read"])]

JobId = Annotated[
    str,
    Path(
        alias="job_id",
        description="Id of a job.",
        examples=["9b2f8c1e-6d5e-4d1f-8a37-2f4b6a1c9e10"],
    ),
]
DocumentId = Annotated[
    str,
    Path(alias="document_id", description="Id of a document.", examples=["file_euyrvozb9302uwhq"]),
]


async def find_job(caller: Caller, job_id: str) -> Task:
    """The task behind a job.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
    """
    no_job = NotFoundError("There is no job with that id.", id=job_id)
    try:
        id_ = UUID(job_id)
    except ValueError:
        raise no_job from None
    try:
        async with database().reading() as session:
            return await find_task_by_id(session, caller, id_)
    except NotFoundError:
        raise no_job from None
