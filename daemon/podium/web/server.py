"""The web server: puts the routes, the rules of access and the answers to errors together, and listens.

Called by app/wiring: `make_app` with everything handlers need, then `serve` for as long as the daemon runs. What always holds:
an answer that is an error has the body of web/errors (JSON below /api, a page elsewhere); every answer carries the headers
that forbid foreign scripts, frames and guessing of types; without a token the server is not reachable beyond this machine.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

from podium.base import limits
from podium.base.errors import PodiumError, SettingsError
from podium.base.inbound.deliveries import DeliveryLog
from podium.base.ports import CopilotControls, EditControls, SourceControls, TriggerControls
from podium.base.system.clock import Clock, monotonic_s
from podium.base.system.log import get_logger
from podium.conductor.port import Orchestrator
from podium.flows.dashboards.scope import ChartReads
from podium.flows.graphs.dependencies import Known
from podium.flows.types import Types
from podium.records.browsing.port import ResultsControls
from podium.runners.remote.desk import Desk
from podium.storage.reader import FileReader
from podium.storage.secrets import Secrets
from podium.web import errors
from podium.web.api import actions, executions, flows, inbound, kv, logs, system, triggers
from podium.web.api.commands import bulk, removing
from podium.web.api.copilot import handlers as copilots
from podium.web.api.dashboards import handlers as dashboards
from podium.web.api.deliveries import routes as deliveries_api
from podium.web.api.editing import routes as editing
from podium.web.api.figures import routes as figures
from podium.web.api.graphs import dependencies
from podium.web.api.graphs import flows as graphs
from podium.web.api.instance import routes as instance_routes
from podium.web.api.instance.port import InstanceReads
from podium.web.api.looks import eval as evaluating
from podium.web.api.looks import routes as lists
from podium.web.api.looks.port import TableReads
from podium.web.api.people import routes as accounts
from podium.web.api.plugins import groups, language
from podium.web.api.switching import bulk as switching
from podium.web.context import CONTEXT, AcceptWebhook, CheckFlow, Context, context
from podium.web.live import Hub
from podium.web.metrics import Metrics
from podium.web.pages import routes as site
from podium.web.pages.dashboards.drawn import DRAWING, Drawing
from podium.web.pages.navigation import PULSE, Pulse
from podium.web.people.access import Access, require_safe
from podium.web.people.guard import guard
from podium.web.people.headers import preflight, set_headers
from podium.web.people.identify import Door
from podium.web.people.roles import ROSTER
from podium.web.people.throttle import Buckets
from podium.web.routes import Handler, Route, document, register
from podium.web.transfers import handlers as transfers

log = get_logger(__name__)

# Those with a fixed word come before those with a name in its place.
API_ROUTES: tuple[Route, ...] = (
    *system.ROUTES, *inbound.ROUTES, *lists.ROUTES, *figures.ROUTES, *executions.LOOKS[:1], *removing.ROUTES[:2], *bulk.ROUTES,
    *logs.ROUTES, *evaluating.ROUTES, *actions.ROUTES, *executions.LOOKS[1:], *removing.ROUTES[2:],
    *executions.STARTS, *graphs.TEXTS, *editing.ROUTES, *flows.ROUTES, *graphs.ROUTES, *dependencies.ROUTES,
    *switching.ROUTES, *triggers.ROUTES, *kv.ROUTES,
    *dashboards.ROUTES, *copilots.ROUTES, *transfers.ROUTES, *accounts.ROUTES, *instance_routes.ROUTES,
    *groups.ROUTES, *language.ROUTES, *deliveries_api.ROUTES,
)
ROUTES: web.AppKey[dict[Handler, Route]] = web.AppKey("routes", dict)
ASKED: web.AppKey[set[Any]] = web.AppKey("asked", set)
"""Connections on which at least one request came."""
CLOSING_S = 5.0
"""How long open requests may take to end when the server stops."""
_SWEEP_S = 2.0


def make_app(
    orchestrator: Orchestrator,
    *,
    accept_webhook: AcceptWebhook,
    sources: SourceControls,
    triggers: TriggerControls,
    check_flow: CheckFlow,
    flow_schema: Callable[[], Mapping[str, Any]],
    clock: Clock,
    instance: str,
    version: str,
    token: str | None = None,
    allowed_hosts: Sequence[str] = (),
    public_url: str = "",
    body_limit: int = limits.BODY_BYTES_MAX,
    upload_limit: int = limits.UPLOAD_BYTES_MAX,
    desk: Desk | None = None,
    edits: EditControls | None = None,
    files: FileReader | None = None,
    secrets: Secrets | None = None,
    types: Types | None = None,
    charts: ChartReads | None = None,
    copilot: CopilotControls | None = None,
    results: ResultsControls | None = None,
    tables: TableReads | None = None,
    door: Door | None = None,
    calls: Buckets | None = None,
    about: InstanceReads | None = None,
    deliveries: DeliveryLog | None = None,
) -> web.Application:
    """The application. check_flow: (text, file name) → Parsed of each document. public_url: where callers reach it, if not by the Host they use.

    desk: where containers on other machines get their files.
    door: who is let in; without it, whoever has the token, and programs of this machine. allowed_hosts: names in the Host header beside loopback
    names and addresses. calls: how often one caller may change something.
    """
    door = door if door is not None else Door(access=Access.of(allowed_hosts), token=token or None, instance=instance)
    # aiohttp's own limit would cut uploads; the readers of web/params hold the limits.
    app = web.Application(middlewares=[_observe, _answer_errors, _guard], client_max_size=0)
    metrics = Metrics(instance=instance, version=version)
    hub = Hub(orchestrator)
    hub.listen(metrics.changed)
    app[CONTEXT] = Context(
        orchestrator=orchestrator, accept_webhook=accept_webhook, sources=sources, triggers=triggers, check_flow=check_flow, flow_schema=flow_schema,
        clock=clock, door=door, calls=calls, about=about, hub=hub, metrics=metrics, instance=instance, version=version,
        public_url=public_url.rstrip("/"), body_limit=body_limit, upload_limit=upload_limit, openapi=document(API_ROUTES, version=version),
        transfers=desk, edits=edits, files=files, secrets=secrets, deliveries=deliveries,
        types=types if types is not None else Types.build(), charts=charts, copilot=copilot,
        results=results, tables=tables,
    )
    language.keep(app)
    app[ASKED] = set()
    app[DRAWING] = Drawing()
    app[dependencies.KNOWN] = Known()
    app[ROSTER] = door.roster
    app[PULSE] = Pulse()
    app[ROUTES] = register(app, [*API_ROUTES, *site.ROUTES])
    app.on_response_prepare.append(set_headers)
    app.cleanup_ctx.append(_run_hub)
    app.on_shutdown.append(_end_streams)
    return app


async def _run_hub(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.create_task(app[CONTEXT].hub.run(), name="web-hub")
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _end_streams(app: web.Application) -> None:
    app[CONTEXT].hub.stop()
    if (desk := app[CONTEXT].transfers) is not None:
        desk.close()


def _route(request: web.Request) -> Route | None:
    return request.app[ROUTES].get(request.match_info.handler)


def _pattern(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical.replace("/api/v1/main/", "/api/v1/") if resource is not None else "unknown"


@web.middleware
async def _observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Measures each answer but streams, and logs it."""
    started, status = monotonic_s(), 500
    request.app[ASKED].add(request.protocol)
    try:
        response = await handler(request)
        status = response.status
        return response
    except web.HTTPException as moved:
        status = moved.status
        raise
    finally:
        took_s = monotonic_s() - started
        route = _route(request)
        if route is None or not route.stream:
            context(request).metrics.answered(method=request.method, route=_pattern(request), status=status, took_s=took_s)
        log.debug("request_answered", method=request.method, route=_pattern(request), status=status, took_s=round(took_s, 4))


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns whatever a handler raises into an answer."""
    try:
        return await handler(request)
    except PodiumError as error:
        return await _refuse(request, error)
    except web.HTTPException as raised:
        refusal = errors.from_http(raised, request)
        if refusal is None:
            raise
        response = await _refuse(request, refusal)
        if "Allow" in raised.headers:
            response.headers["Allow"] = raised.headers["Allow"]
        return response
    except (ConnectionError, asyncio.CancelledError):
        raise
    except (HttpProcessingError, ClientPayloadError) as error:
        return await _refuse(request, errors.BadRequest(f"the request cannot be read: {str(error)[:200]}", hint="send a well-formed body"))
    except Exception:
        log.exception("request_failed", method=request.method, route=_pattern(request))
        return await _refuse(request, PodiumError("the daemon made a mistake; its log has the details", hint="report it with the lines of the log"))


async def _refuse(request: web.Request, error: PodiumError) -> web.StreamResponse:
    status = errors.status_of(error)
    if status >= 500:
        log.warning("request_refused", route=_pattern(request), status=status, code=error.code, error=error.what)
    if _is_api(request):
        return errors.answer_for(error, request)
    return await site.refuse(request, error, status)


def _is_api(request: web.Request) -> bool:
    route = _route(request)
    if route is not None:
        return route.tag != site.TAG
    return request.path.startswith("/api/") or "text/html" not in request.headers.get("Accept", "")


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lets in who may; people/guard says who."""
    return preflight(request) or await guard(request, handler, _route(request))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where the server listens. url: None when it does on Unix sockets only."""

    url: str | None
    unix_socket: Path | None


@asynccontextmanager
async def serve(
    app: web.Application, *, host: str | None = "127.0.0.1", port: int = 8080, unix_socket: Path | None = None, sock: socket.socket | None = None
) -> AsyncIterator[Listening]:
    """Listen while the context is open. host: None listens on the Unix socket only. port: 0 takes a free one.

    unix_socket: made anew with mode 0600. sock: a socket handed over by systemd; it replaces host and port. Raises SettingsError
    when listening there would let strangers in or is not possible.
    """
    door = app[CONTEXT].door
    opened: list[socket.socket] = []
    made: Path | None = None
    try:
        if sock is not None:
            if sock.family != socket.AF_UNIX:
                require_safe(str(sock.getsockname()[0]), token=door.token, accounts=bool(door.roster.origin))
            opened.append(sock)
        elif host is not None:
            require_safe(host, token=door.token, accounts=bool(door.roster.origin))
            opened.extend(_listen(host, port))
        if unix_socket is not None:
            opened.append(_listen_unix(unix_socket))
            made = unix_socket
        quiet = logging.getLogger(f"{__name__}.protocol")
        quiet.addFilter(_not_the_callers_fault)
        runner = web.AppRunner(
            app, access_log=None, logger=quiet, shutdown_timeout=CLOSING_S, handle_signals=False, keepalive_timeout=limits.KEPT_ALIVE_S_MAX
        )
        await runner.setup()
        assert runner.server is not None
        sweeper = asyncio.create_task(_close_silent(runner.server, app[ASKED]), name="web-sweeper")
        try:
            for each in opened:
                await web.SockSite(runner, each).start()
            yield Listening(url=_url(opened), unix_socket=unix_socket)
        finally:
            sweeper.cancel()
            await runner.cleanup()
    finally:
        for each in opened:
            each.close()
        if made is not None:
            _remove(made)


async def _close_silent(server: web.Server, asked: set[Any]) -> None:
    """Close connections on which no request came in time, sooner when there are too many: each costs a file descriptor of the daemon's."""
    since: dict[Any, float] = {}
    while True:
        await asyncio.sleep(_SWEEP_S)
        now, still_open = monotonic_s(), server.connections
        asked.intersection_update(still_open)
        since = {each: since.get(each, now) for each in still_open if each not in asked}
        patience_s = limits.HEAD_S_MAX if len(still_open) <= limits.CONNECTIONS_MAX else _SWEEP_S
        for each, silent_since in since.items():
            if now - silent_since >= patience_s:
                each.force_close()


def _not_the_callers_fault(record: logging.LogRecord) -> bool:
    """Requests that are no HTTP are answered with 400; a trace in the log for each would only fill it."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def _listen(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of `host`; all on one port."""
    opened: list[socket.socket] = []
    try:
        addresses = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in sorted(set(addresses)):
            one = socket.socket(family, kind, protocol)
            opened.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address[0], port or opened[0].getsockname()[1], *address[2:]))
            one.listen(1024)
            one.setblocking(False)
    except OSError as error:
        for each in opened:
            each.close()
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror or error}", hint="is another daemon running? set server.port to another one",
            path="server.port"
        ) from error
    return opened


def _listen_unix(path: Path) -> socket.socket:
    """A socket at `path` that only its owner may use; one that a dead daemon left is replaced."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    short = f"/proc/self/fd/{directory}/{path.name}"
    # The system allows 107 bytes for the path of a socket; through the open directory any home is short enough.
    one = socket.socket(socket.AF_UNIX)
    try:
        _remove_stale(path, short)
        mask = os.umask(0o177)
        try:
            one.bind(short)
        finally:
            os.umask(mask)
        one.listen(1024)
        one.setblocking(False)
    except OSError as error:
        one.close()
        raise SettingsError(f"cannot listen on {path}: {error.strerror or error}", hint="see who owns the folder", path="home") from error
    except SettingsError:
        one.close()
        raise
    finally:
        os.close(directory)
    return one


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _remove_stale(path: Path, short: str) -> None:
    if not path.is_socket():
        if path.exists():
            raise SettingsError(f"{path} is in the way: it is no socket", hint="move it away", path="home")
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(short)
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise SettingsError(f"a daemon already serves {path.parent}", hint="stop it, or give this one another home", path="home")


def _url(opened: Iterable[socket.socket]) -> str | None:
    for each in opened:
        if each.family == socket.AF_UNIX:
            continue
        address, port = each.getsockname()[:2]
        name = f"[{address}]" if ":" in address else address
        return f"http://{'localhost' if ip_address(address).is_unspecified else name}:{port}"
    return None
