"""The pages on which people see the queue and decide: rendered here, no build step, no CDN."""

from fastapi import APIRouter

from api.review_pages import (
    bulk,
    decisions,
    live,
    media,
    metrics,
    page_images,
    pdf_pages,
    queue,
    sign_in,
    static_files,
    task_page,
)

# One part, one concern. What has an address of its own below `/review/` comes before the tasks.
PARTS = (
    static_files,
    sign_in,
    queue,
    bulk,
    metrics,
    live,
    task_page,
    page_images,
    media,
    pdf_pages,
    decisions,
)

router = APIRouter(include_in_schema=False)
for part in PARTS:
    router.include_router(part.router)
