"""The surface of Innodata: jobs on documents, with owners and collaborators (wire/innodata.md)."""

from typing import Final

from fastapi import APIRouter

from api.innodata import catalogue, contents, documents, jobs

TAG: Final = "innodata"

router: Final = APIRouter(tags=[TAG])
for _part in (documents, jobs, contents, catalogue):
    router.include_router(
        _part.router, generate_unique_id_function=lambda route: f"innodata_{route.name}"
    )
