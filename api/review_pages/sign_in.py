"""Signing in with an API key, and out."""

import re
import secrets
from datetime import timedelta

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from api.rate_limits import count_failure, must_not_fail_on
from api.review_pages.page_route import PageRoute
from api.review_pages.rendering import render
from api.review_pages.sessions import (
    COOKIE,
    LIFETIME,
    SignedIn,
    begin_session,
    end_session,
    must_match,
    read_form,
    set_cookie,
    text_of,
)
from store.errors import UnauthenticatedError

router = APIRouter(route_class=PageRoute)

HOME = "/review"

# Before there is a session, its token is in a cookie of its own and in the form: another site
# can send neither, so nobody is signed in as somebody else without seeing it.
TOKEN_COOKIE = "papertray_sign_in"  # noqa: S105  # the name of a cookie, no secret
TOKEN_LIFETIME = timedelta(hours=1)


@router.get("/")
async def go_home() -> Response:
    """Send people where the work is."""
    return RedirectResponse(HOME, status_code=303)


@router.get("/sign-in")
async def show_sign_in(request: Request) -> Response:
    """The form for the key."""
    return _form(request, inside(request.query_params.get("next", "")))


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Begin a session where the key is valid."""
    form = text_of(await read_form(request))
    must_match(form["csrf_token"], request.cookies.get(TOKEN_COOKIE, ""))
    target = inside(form["next"])
    must_not_fail_on(request)
    try:
        token = await begin_session(form["key"].strip())
    except UnauthenticatedError:
        count_failure(request)
        message = "This key is not valid. Check that you copied all of it."
        return _form(request, target, status=401, message=message)
    response = RedirectResponse(target, status_code=303)
    set_cookie(request, response, COOKIE, token, LIFETIME)
    response.delete_cookie(TOKEN_COOKIE)
    return response


@router.post("/sign-out")
async def sign_out(request: Request, _: SignedIn) -> Response:
    """End the session."""
    await end_session(request)
    response = RedirectResponse("/sign-in", status_code=303)
    response.delete_cookie(COOKIE)
    response.headers["Clear-Site-Data"] = '"cache"'  # page images, which are kept for an hour
    return response


def inside(address: str) -> str:
    """An address of these pages, and the queue in place of any other.

    By its beginning, as a browser reads it: a parser takes `///host` for a path.
    """
    is_ours = re.match(r"/review(?![^/?])", address) is not None
    return address if is_ours and "\\" not in address else HOME


def _form(request: Request, target: str, *, status: int = 200, message: str = "") -> Response:
    # One token for all tabs: a second tab must not make the form of the first too old.
    token = request.cookies.get(TOKEN_COOKIE) or secrets.token_urlsafe(32)
    response = render(
        request,
        "sign_in.html",
        status=status,
        next=target,
        message=message,
        sign_in_token=token,
    )
    set_cookie(request, response, TOKEN_COOKIE, token, TOKEN_LIFETIME)
    return response
