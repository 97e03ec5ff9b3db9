"""What the addresses of Aluma's API have in common."""

from typing import Annotated, Final

from fastapi import Path, Security

from api.auth import BEARER_KEY, BEARER_TOKEN, caller_by
from api.error_shapes import ALUMA as SHAPE
from api.problems import described
from api.route import SurfaceRoute
from store.access import Caller
from store.errors import ForbiddenError, NotFoundError, PapertrayError, UnauthenticatedError
from store.surface_defaults import ALUMA

_SPELLINGS: Final = (BEARER_TOKEN, BEARER_KEY)
_caller: Final = caller_by(*_SPELLINGS)

TaskReader = Annotated[Caller, Security(_caller, scopes=["task.read"])]
TaskCreator = Annotated[Caller, Security(_caller, scopes=["task.create"])]
TaskEditor = Annotated[Caller, Security(_caller, scopes=["task.edit"])]
ProjectReader = Annotated[Caller, Security(_caller, scopes=["project.read"])]
ProjectEditor = Annotated[Caller, Security(_caller, scopes=["project.edit"])]

TaskId = Annotated[str, Path(description="Id of a task.", examples=["SWdh86taQhKwwpY0HUKD7Q"])]
ProjectId = Annotated[
    str, Path(description="Id of a project.", examples=["ZbfzIZorTFOV60GX58YUuQ"])
]


class AlumaRoute(SurfaceRoute):
    """An address of Aluma's API. A key itself opens it, too, in the place of a token."""

    surface = ALUMA
    spellings = _SPELLINGS


def failures(*kinds: type[PapertrayError] | int) -> dict[int | str, dict[str, object]]:
    """The error answers of an address, beside those that most have."""
    return described(UnauthenticatedError, ForbiddenError, NotFoundError, 422, *kinds, shape=SHAPE)
