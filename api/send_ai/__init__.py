"""The surface of Send AI: uploads of files, and the tasks on them (wire/send-ai.md)."""

from typing import Final

from fastapi import APIRouter

from api.send_ai import folders, reports, tasks, uploads

TAG: Final = "send ai"

router: Final = APIRouter(
    tags=[TAG],
    prefix="/v2/{team_id}/project/{project_id}",
    generate_unique_id_function=lambda route: f"send_ai_{route.name}",
)
for _part in (uploads, folders, tasks, reports):
    router.include_router(_part.router)
