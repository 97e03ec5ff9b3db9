"""The pages on which people see the queue and decide: rendered here, no build step, no CDN."""

from fastapi import APIRouter

from api.review_pages import decisions, queue, sign_in, static_files, task_page

router = APIRouter(include_in_schema=False)
for part in (static_files, sign_in, queue, task_page, decisions):
    router.include_router(part.router)
