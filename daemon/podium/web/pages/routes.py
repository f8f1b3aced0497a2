"""The pages as routes, the files they load, and the pages that say what went wrong.

Called by the server. What always holds: a stranger sees the login page and its assets only.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePath
from urllib.parse import quote

from aiohttp import web

from podium.base.errors import NotFound, PodiumError
from podium.base.redact import redact_url
from podium.web.context import TRUST, context
from podium.web.errors import headers_for
from podium.web.pages.dashboards import page as dashboards
from podium.web.pages.editor import page as editor
from podium.web.pages.executions import files as execution_files
from podium.web.pages.executions import live as execution_live
from podium.web.pages.executions import page as executions
from podium.web.pages.flows import page as flows
from podium.web.pages.home import page as home
from podium.web.pages.instance import settings, system
from podium.web.pages.lists import executions as execution_list
from podium.web.pages.lists import flows as flow_list
from podium.web.pages.lists import logs as log_search
from podium.web.pages.namespaces import page as namespaces
from podium.web.pages.people import account, login
from podium.web.pages.plugins import page as plugins
from podium.web.pages.render import HERE, TAG, digest, link, page, render
from podium.web.pages.results import page as results
from podium.web.pages.syncs import page as syncs
from podium.web.pages.triggers import page as triggers
from podium.web.pages.webhooks import page as webhooks
from podium.web.routes import Route

__all__ = ["ROUTES", "TAG", "refuse"]
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


async def refuse(request: web.Request, error: PodiumError, status: int) -> web.StreamResponse:
    """The page for an error; the login page for a stranger who wants to read."""
    if status == 401 and request.method in {"GET", "HEAD"} and context(request).door.has_accounts:
        raise web.HTTPSeeOther(link("/login", next=request.path_qs if request.path != "/" else None))
    request.setdefault(TRUST, None)
    response = await render(request, "error.html", status=status, error=error, message=redact_url(error.what), code=status)
    response.headers.update(headers_for(error, status))
    return response


async def asset(request: web.Request) -> web.StreamResponse:
    """A file of assets/. With its digest in the address it may be kept for ever."""
    name = request.match_info["name"]
    if name not in asset_names():
        raise NotFound(f"there is no asset '{name[:80]}'", hint="reload the page")
    fresh = PurePath(name).name.startswith("chunk-") or request.query.get("v") == digest(name)
    response = web.FileResponse(HERE / "assets" / name, headers={"Cache-Control": "public, max-age=31536000, immutable" if fresh else "no-cache"})
    response.content_type = _TYPES[PurePath(name).suffix]
    return response


@lru_cache(maxsize=1)
def asset_names() -> frozenset[str]:
    """The files of assets/, by their path in it."""
    folder = HERE / "assets"
    return frozenset(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in _TYPES and not path.name.startswith("."))


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


ROUTES: tuple[Route, ...] = (
    *home.ROUTES, *flow_list.ROUTES, *execution_list.ROUTES, *log_search.ROUTES, *flows.ROUTES, *execution_files.ROUTES, *execution_live.ROUTES,
    *executions.ROUTES, *results.ROUTES, *triggers.ROUTES, *webhooks.ROUTES, *dashboards.ROUTES, *syncs.ROUTES, *namespaces.ROUTES, *editor.ROUTES,
    *plugins.ROUTES, *login.ROUTES, *account.ROUTES, *settings.ROUTES, *system.ROUTES,
    page("GET", "/assets/{name:.+}", asset, to_all=True),
    page("GET", "/ui{rest:(/.*)?}", old_address),
)
