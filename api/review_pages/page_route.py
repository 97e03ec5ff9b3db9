"""How every route of the pages answers: its headers, and its errors as pages."""

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from api.problems import headers_of
from api.review_pages.rendering import render
from store.errors import PapertrayError, UnauthenticatedError

# No script or style but the files of the pages: what a document or a person wrote stays text
# even where escaping were forgotten. Nobody may frame the pages, so a click is a real one.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""What every answer has where its route does not say otherwise."""

HEADINGS = {
    403: "This is not allowed",
    404: "There is nothing here",
    409: "Somebody was faster",
    413: "That was too much",
    422: "That was not understood",
    429: "That was too much at once",
    503: "Not available now",
    507: "No room left",
}


class PageRoute(APIRoute):
    """A route for people."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler of FastAPI."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except UnauthenticatedError:
                response = to_sign_in(request)
            except PapertrayError as error:
                response = error_page(request, error.http_status, error.message)
                response.headers.update(headers_of(error))
            except HTTPException as error:
                response = error_page(request, error.status_code, error.detail)
            except RequestValidationError:
                response = error_page(request, 404, "This address leads nowhere.")
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return answer


def error_page(request: Request, status: int, message: str) -> Response:
    """An error as a page."""
    heading = HEADINGS.get(status, "Something went wrong")
    return render(request, "error.html", status=status, heading=heading, message=message)


def to_sign_in(request: Request) -> Response:
    """Send a browser to the sign-in page, and back to where it was afterwards."""
    address = f"/sign-in?next={quote(_came_from(request), safe='/')}"
    if "HX-Request" in request.headers:
        # htmx would put the page it is redirected to into the fragment it asked for.
        return Response(status_code=401, headers={"HX-Redirect": address})
    return RedirectResponse(address, status_code=303)


def _came_from(request: Request) -> str:
    """The page a person was on; a form or a fragment is no place to come back to."""
    if "HX-Request" in request.headers:
        return urlsplit(request.headers.get("HX-Current-URL", "")).path
    if request.method != "GET":
        return "/review"
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{request.url.path}{query}"
