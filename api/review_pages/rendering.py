"""Templates: one environment, everything escaped."""

from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.review_pages import words
from api.review_pages.assets import static


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (words.age, words.due, words.clock, words.size, words.spoken):
        environment.filters[function.__name__] = function
    environment.globals["static"] = static  # pyright: ignore[reportArgumentType]  # Jinja types globals as those it has
    return environment


def render(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A page.

    Args:
        request: what is answered; `visitor` comes from it where somebody is signed in.
        template: its file in the folder of the templates.
        status: HTTP status of the answer.
        context: what the template needs.
    """
    context.setdefault("visitor", getattr(request.state, "visitor", None))
    return HTMLResponse(_environment().get_template(template).render(context), status_code=status)
