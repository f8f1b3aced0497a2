"""The pages as routes, the files they load, logging in and out, and the pages that say what went wrong.

Called by the server. What always holds: a stranger sees the login page and its assets only.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePath
from urllib.parse import quote

from aiohttp import web

from podium.base.errors import NotFound, PodiumError
from podium.base.redact import redact_url
from podium.web.auth import COOKIE, SESSION_S, safe_next
from podium.web.context import TRUST, context
from podium.web.errors import headers_for
from podium.web.pages import executions, flows, operate, overview
from podium.web.pages.render import HERE, digest, link, render
from podium.web.params import read_form
from podium.web.routes import Handler, Route

TAG = "pages"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


async def refuse(request: web.Request, error: PodiumError, status: int) -> web.StreamResponse:
    """The page for an error; the login page for a stranger who wants to read."""
    if status == 401 and request.method in {"GET", "HEAD"} and context(request).access.token is not None:
        raise web.HTTPSeeOther(link("/login", next=request.path_qs if request.path != "/" else None))
    request.setdefault(TRUST, None)
    response = await render(request, "error.html", status=status, error=error, message=redact_url(error.what), code=status)
    response.headers.update(headers_for(error, status))
    return response


async def login_page(request: web.Request) -> web.StreamResponse:
    """The form for the token."""
    context(request).access.check_host(request)
    if request[TRUST] is not None:
        raise web.HTTPSeeOther(safe_next(request.query.get("next")))
    return await render(request, "login.html", next=safe_next(request.query.get("next")), wrong=False)


async def login(request: web.Request) -> web.StreamResponse:
    """Trade the token for a cookie."""
    here = context(request)
    here.access.check_host(request)
    async with read_form(request, text_limit=64 * 1024, file_limit=0) as form:
        token, target = form.first("token"), safe_next(form.first("next"))
    if not here.access.is_token(token.strip()):
        return await render(request, "login.html", status=401, next=target, wrong=True)
    response = web.HTTPSeeOther(target)
    response.set_cookie(
        COOKIE, here.access.new_session(here.clock.now()), max_age=SESSION_S, httponly=True, samesite="Lax", path="/",
        secure=request.secure or here.public_url.startswith("https:"),
    )
    raise response


async def logout(request: web.Request) -> web.StreamResponse:
    """Forget the cookie."""
    context(request).access.check_host(request)
    response = web.HTTPSeeOther("/login")
    response.del_cookie(COOKIE, path="/")
    raise response


async def asset(request: web.Request) -> web.StreamResponse:
    """A file of assets/. With its digest in the address it may be kept for ever."""
    name = request.match_info["name"]
    if name not in asset_names():
        raise NotFound(f"there is no asset '{name[:80]}'", hint="reload the page")
    fresh = request.query.get("v") == digest(name)
    response = web.FileResponse(HERE / "assets" / name, headers={"Cache-Control": "public, max-age=31536000, immutable" if fresh else "no-cache"})
    response.content_type = _TYPES[PurePath(name).suffix]
    return response


@lru_cache(maxsize=1)
def asset_names() -> frozenset[str]:
    """The files of assets/."""
    return frozenset(path.name for path in (HERE / "assets").iterdir() if path.suffix in _TYPES)


async def old_address(request: web.Request) -> web.StreamResponse:
    """Addresses of executions and flows as other tools write them: /ui/[main/]executions/<namespace>/<flow>/<id>."""
    parts = [part for part in request.match_info["rest"].split("/") if part]
    if parts[:1] == ["main"]:
        parts = parts[1:]
    if parts[:1] == ["executions"] and len(parts) >= 4:
        raise web.HTTPFound(f"/executions/{quote(parts[3], safe='')}")
    if parts[:1] == ["flows"] and len(parts) >= 4 and parts[1] == "edit":
        raise web.HTTPFound(f"/flows/{quote(parts[2], safe='')}/{quote(parts[3], safe='')}")
    raise web.HTTPFound(f"/{parts[0]}" if parts[:1] in (["executions"], ["flows"], ["triggers"]) else "/")


async def form_page(request: web.Request) -> web.Response:
    """To the page with the form: a form that was sent with mistakes is shown at the address it was sent to, which cannot be read."""
    place, _, _ = request.rel_url.raw_path.rpartition("/")
    raise web.HTTPFound(f"{place}?tab=run" if "flow" in request.match_info else place)


def _page(method: str, path: str, handler: Handler, *, to_all: bool = False) -> Route:
    return Route(method=method, path=path, handler=handler, about="", tag=TAG, root=True, hidden=True, open=to_all)


ROUTES = [
    _page("GET", "/", overview.overview),
    _page("GET", "/search", overview.search),
    _page("GET", "/flows", flows.flow_list),
    _page("GET", "/flows/{namespace}/{flow}", flows.flow_page),
    _page("POST", "/flows/{namespace}/{flow}/run", flows.run),
    _page("GET", "/flows/{namespace}/{flow}/run", form_page),
    _page("GET", "/executions", executions.execution_list),
    _page("GET", "/executions/{execution}", executions.execution_page),
    _page("POST", "/executions/{execution}/{verb}", executions.act),
    _page("GET", "/executions/{execution}/{verb}", form_page),
    _page("GET", "/triggers", operate.triggers_page),
    _page("POST", "/triggers/{namespace}/{flow}/{trigger}/{verb}", operate.trigger_act),
    _page("GET", "/sources", operate.sources_page),
    _page("POST", "/sources/{source}/confirm", operate.confirm),
    _page("GET", "/login", login_page, to_all=True),
    _page("POST", "/login", login, to_all=True),
    _page("POST", "/logout", logout, to_all=True),
    _page("GET", "/assets/{name}", asset, to_all=True),
    _page("GET", "/ui{rest:(/.*)?}", old_address),
]
