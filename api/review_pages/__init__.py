"""The pages on which people see the queue and decide: rendered here, no build step, no CDN."""

from fastapi import APIRouter

from api.review_pages import decisions, queue, sign_in, static_files, task_page

# One part, one concern. `/review/next` comes before the buttons of a task.
PARTS = (static_files, sign_in, queue, task_page, decisions)

router = APIRouter(include_in_schema=False)
for part in PARTS:
    router.include_router(part.router)
