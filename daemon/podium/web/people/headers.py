"""Headers that every answer carries, and those that let pages of other origins call the API when the settings name them (CORS).

Called by the server. What always holds: no page of ours loads a script, style or frame from elsewhere; a browser is told to show an answer to another
origin's page only for origins of the settings, and sends along what it holds for us (cookies) only for origins named one by one.
"""

from __future__ import annotations

from aiohttp import web

from podium.web.context import CONTEXT
from podium.web.people.access import Page, is_https

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Permitted-Cross-Domain-Policies": "none",
}
_HSTS = "max-age=31536000"
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_ASKED_HEADERS = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Range, ttl"
_SHOWN_HEADERS = "Content-Disposition, Content-Range, Podium-Execution, Retry-After"
_PREFLIGHT_S = "600"


async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Signal of the application: before an answer goes out."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    if is_https(request, request.app[CONTEXT].public_url):
        response.headers.setdefault("Strict-Transport-Security", _HSTS)
    if request.path.startswith("/api/") or request.path in {"/health", "/ping"}:
        _share(request, response)


def _share(request: web.Request, response: web.StreamResponse) -> bool:
    """Let the page that asks see the answer, if its origin may."""
    access = request.app[CONTEXT].access
    if not access.cors_origins:
        return False
    response.headers.add("Vary", "Origin")
    page = access.page_of(request)
    if page not in {Page.NAMED, Page.ANY}:
        return False
    response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"] if page is Page.NAMED else "*"
    response.headers["Access-Control-Expose-Headers"] = _SHOWN_HEADERS
    if page is Page.NAMED:
        response.headers["Access-Control-Allow-Credentials"] = "true"
    return True


def preflight(request: web.Request) -> web.Response | None:
    """The answer to a browser that asks whether a page of another origin may call; None when the request is something else."""
    if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers or not request.path.startswith("/api/"):
        return None
    access = request.app[CONTEXT].access
    if access.page_of(request) not in {Page.NAMED, Page.ANY, Page.OURS}:
        return None
    return web.Response(status=204, headers={
        "Access-Control-Allow-Methods": _METHODS, "Access-Control-Allow-Headers": _ASKED_HEADERS, "Access-Control-Max-Age": _PREFLIGHT_S,
    })
