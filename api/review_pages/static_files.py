"""Sends the stylesheet, the scripts and the icon of the pages."""

from fastapi import APIRouter, Request, Response

from api.review_pages.assets import ASSETS
from api.review_pages.page_route import PageRoute
from store.errors import NotFoundError

router = APIRouter(route_class=PageRoute)

FOR_EVER = "public, max-age=31536000, immutable"


@router.get("/static/{name}")
async def send_static_file(request: Request, name: str) -> Response:
    """Send one of the files."""
    asset = ASSETS.get(name)
    if asset is None:
        raise NotFoundError("There is no such file.")
    is_current = request.query_params.get("v") == asset.version
    return Response(
        asset.content,
        media_type=asset.type,
        headers={"Cache-Control": FOR_EVER if is_current else "no-cache"},
    )
