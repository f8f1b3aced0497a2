"""Stands before every handler: who calls, whether they may, how often, and what is noted about it.

The middleware of the server. What always holds: a route whose path names a namespace or an execution is answered only to who has its role there; a
route that names none, only to who has it anywhere, and then shows their own namespaces only (people/scope); what changes something is written to the
daemon's log with the name of who did it.
"""

from __future__ import annotations

from aiohttp import web

from podium.base.access.actor import acting
from podium.base.errors import LimitError, NotFound
from podium.base.system.clock import monotonic_s
from podium.base.system.log import get_logger
from podium.web.context import CONTEXT, TRUST, Context
from podium.web.errors import NotAllowedHere
from podium.web.people.access import SAFE_METHODS, is_unix
from podium.web.people.identify import unauthorised
from podium.web.people.roles import CALLER, Caller, Role, role_needed
from podium.web.routes import Handler, Route

log = get_logger(__name__)
_NOT_NOTED = frozenset({"validate", "follow"})


class TooManyCalls(LimitError):
    """A caller changes things more often than server.rate_limit allows."""

    code = "too-many-calls"


async def guard(request: web.Request, handler: Handler, route: Route | None) -> web.StreamResponse:
    """Lets in who may. An open route learns whether the caller is trusted; it is answered all the same."""
    here = request.app[CONTEXT]
    if route is not None and route.open:
        try:
            who = await here.door.who(request, here.clock.now(), at_an_open_route=True)
        except (NotAllowedHere, LimitError):
            who = None
        request[TRUST] = who.via if who is not None else None
        if who is not None:
            request[CALLER] = who
        return await handler(request)
    who = await here.door.who(request, here.clock.now())
    request[TRUST] = who.via if who is not None else None
    if who is None:
        raise unauthorised(here.door)
    request[CALLER] = who
    writes = request.method not in SAFE_METHODS
    if writes:
        _count(here, request, who)
    if route is not None:
        await _allow(request, here, who, route)
    if not writes:
        return await handler(request)
    status = 0
    try:
        with acting(who.account):
            response = await handler(request)
        status = response.status
        return response
    except web.HTTPException as answer:
        status = answer.status
        raise
    finally:
        _note(here, request, who, status)


async def _allow(request: web.Request, here: Context, who: Caller, route: Route) -> None:
    """Raises RoleNeeded or NotFound unless the caller may call this route with this path."""
    role = route.role
    if who.may(role, ""):
        return
    names = request.match_info
    if route.instance:
        raise role_needed(role, "")
    if (identifier := names.get("execution")) is not None:
        namespace = await here.orchestrator.namespace_of(identifier)
        if namespace is None or not who.may(Role.VIEWER, namespace):
            raise NotFound(f"no execution '{identifier[:40]}'", hint="list those you may see: GET /api/v1/executions/search")
        if not who.may(role, namespace):
            raise role_needed(role, namespace)
    elif (namespace := names.get("namespace") or names.get("ns")) is not None:
        if not who.may(role, namespace):
            raise role_needed(role, namespace)
    elif who.highest < role:
        raise role_needed(role, None)


def _count(here: Context, request: web.Request, who: Caller) -> None:
    """Raises TooManyCalls. Programs of this machine are not counted."""
    if here.calls is None or who.via in {"socket", "loopback"}:
        return
    key = f"{who.kind}:{who.account}" if who.account else f"address {here.access.address_of(request)}"
    if (wait := here.calls.take(key, monotonic_s())) > 0:
        raise TooManyCalls(
            f"more than {here.calls.rate:g} changes a second are asked for", hint="call more slowly, or raise server.rate_limit", retry_after_s=wait
        )


def _note(here: Context, request: web.Request, who: Caller, status: int) -> None:
    """The line of the daemon's log that says who did what. It has the path, never the query: that may hold values."""
    resource = request.match_info.route.resource
    if request.path.rsplit("/", 1)[-1] in _NOT_NOTED:
        return
    address = "socket" if is_unix(request) else here.access.address_of(request)
    named = {key: value[:200] for key, value in request.match_info.items() if key not in {"key", "path"}}
    log.info(
        "audit", who=who.account or who.name, via=who.via, address=address, method=request.method,
        route=resource.canonical if resource is not None else None, status=status or None, **{f"of_{key}": value for key, value in named.items()},
    )
