"""What the addresses of Send AI have in common: the key, the team, and the project."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Path, Security

from api.auth import BEARER_KEY, caller_by
from api.bodies import Text
from api.route import SurfaceRoute
from store.access import Caller
from store.database import database
from store.finding import find_project_of_team, find_task_of_project
from store.models import Project, Task, Team


class SendAiRoute(SurfaceRoute):
    """An address below /v2."""

    surface = "send-ai"
    spellings = (BEARER_KEY,)


TeamId = Annotated[
    Text,
    Path(
        alias="team_id",
        description="Id of a team, or its name.",
        examples=["1f0e8a52-7a3c-4a59-9d0b-3c0de5b0a1c7"],
    ),
]
ProjectId = Annotated[
    Text,
    Path(
        alias="project_id",
        description="Id of a project of the team or of the whole organization, or its name.",
        examples=["7d1c5b2e-2f64-4d27-8a55-0d6f5e3f9b10"],
    ),
]
TaskId = Annotated[Text, Path(description="Id of a task.", examples=["task_euyrvozb9302uwhq"])]
UploadId = Annotated[Text, Path(description="Id of an upload.", examples=["upl_k3v9x0c1b2n4m5q7"])]
FolderId = Annotated[
    Text,
    Path(
        description="Id of a folder: `folder_inbox`, `folder_processed`, `folder_reported`,"
        " `folder_bin`, or one that was made.",
        examples=["folder_processed"],
    ),
]


@dataclass(frozen=True)
class Place:
    """Who asks, and at which address."""

    caller: Caller
    team: Team
    project: Project

    async def find_task(self, task_id: str) -> Task:
        """The task of that id.

        Raises:
            NotFoundError: there is none in the project, or the caller may not see it.
        """
        async with database().reading() as session:
            return await find_task_of_project(session, self.caller, self.project, task_id)


_caller: Final = caller_by(BEARER_KEY)


def _place_for(scope: str) -> Callable[..., Any]:
    """A dependency: the place, for a caller that may do what the scope says."""

    async def place(
        caller: Annotated[Caller, Security(_caller, scopes=[scope])],
        team_id: TeamId,
        project_id: ProjectId,
    ) -> Place:
        async with database().reading() as session:
            team, project = await find_project_of_team(session, caller, team_id, project_id)
        return Place(caller, team, project)

    return place


UploadReader = Annotated[Place, Depends(_place_for("upload.read"))]
UploadCreator = Annotated[Place, Depends(_place_for("upload.create"))]
UploadEditor = Annotated[Place, Depends(_place_for("upload.edit"))]
UploadDeleter = Annotated[Place, Depends(_place_for("upload.delete"))]
TaskReader = Annotated[Place, Depends(_place_for("task.read"))]
TaskEditor = Annotated[Place, Depends(_place_for("task.edit"))]
