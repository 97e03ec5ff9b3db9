"""Schemas of what people write by hand, for their editors: open to all, like the docs."""

from typing import Any

from fastapi import APIRouter

from api.v1 import examples
from store.project_file import project_schema

router = APIRouter(prefix="/schemas", tags=["projects"])


@router.get(
    "/project.json",
    summary="Show the JSON Schema of project files",
    responses={
        200: examples.answer("The schema.", {"title": "Papertray project file", "type": "object"})
    },
)
async def show_project_schema() -> dict[str, Any]:
    """Show what a project file may say, for an editor to complete and to check it.

    A file names it in a line of its own: `# yaml-language-server: $schema=ADDRESS`.
    """
    return project_schema()
