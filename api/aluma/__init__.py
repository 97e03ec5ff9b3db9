"""The surface of Aluma Tasks: `/tasks`, `/projects` and `/oauth/token`, in Aluma's words."""

from fastapi import APIRouter

from api.aluma import client_actions, oauth, projects, tasks

router = APIRouter(generate_unique_id_function=lambda route: f"aluma_{route.name}")
for part in (oauth, tasks, client_actions, projects):
    router.include_router(part.router)
