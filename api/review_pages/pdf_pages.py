"""The pages of a PDF that a task of data shows: images, made here when they are looked at.

No browser opens the PDF itself: its viewer would run what is in it where somebody looks at it.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Response

from api.review_pages.media import HEADERS, BlockIndex, as_file, find_carrier
from api.review_pages.page_route import PageRoute
from api.review_pages.sessions import SignedIn
from operations.render import RenderParams, render
from operations.tools.child import in_child
from operations.tools.properties import properties
from operations.tools.scratch import scratch_folder

router = APIRouter(route_class=PageRoute)

DPI: Final = 110
"""Sharp at the width of a form; more of it is seen by who saves the PDF."""

MOST_PAGES: Final = 50
"""So many are shown; all of them are in the PDF that can be saved."""

PageNumber = Annotated[int, Path(ge=1, le=MOST_PAGES)]


@router.get("/review/{task_id}/media/{index}/pages")
async def count_pages(visitor: SignedIn, task_id: str, index: BlockIndex) -> dict[str, Any]:
    """How many pages the PDF of a block has, and how many of them are shown."""
    carrier = await find_carrier(visitor, task_id, index)
    async with as_file(carrier) as path:
        count = (await in_child(properties, path)).get("page_count", 0)
    return {"page_count": count, "shown": min(count, MOST_PAGES)}


@router.get("/review/{task_id}/media/{index}/pages/{page_number}")
async def send_page(
    visitor: SignedIn, task_id: str, index: BlockIndex, page_number: PageNumber
) -> Response:
    """A page of the PDF of a block."""
    carrier = await find_carrier(visitor, task_id, index)
    params = RenderParams(dpi=DPI, pages=str(page_number))
    async with as_file(carrier) as path:
        with scratch_folder() as folder:
            made = await render.fn(path, params, folder=folder)
            content = (folder / made.files[0]).read_bytes()
    return Response(content, media_type="image/png", headers=HEADERS)
