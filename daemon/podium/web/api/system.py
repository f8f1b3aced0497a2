"""The daemon itself over the API: health, metrics, sources, what pushes deployed and refused, the OpenAPI document."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from podium.base.errors import PodiumError
from podium.base.redact import redact_url
from podium.web.api.logs import PREVIEW_ROWS, PREVIEW_ROWS_MAX
from podium.web.api.looks.finding import SYSTEM_NAMESPACE
from podium.web.context import TRUST, context
from podium.web.metrics import CONTENT_TYPE
from podium.web.params import Query
from podium.web.people.roles import Role, done_by
from podium.web.routes import FLAG, INTEGER, OBJECT, TEXT, Body, Param, Route, ref
from podium.web.wire import answer

_SYNCS_MAX = 200
_WORDS_MAX = 500
_WORKING = frozenset({"UP", "DEGRADED"})


async def _health(request: web.Request) -> web.Response:
    """Strangers learn the state only."""
    here = context(request)
    try:
        health = await here.orchestrator.health()
    except PodiumError as error:
        health = {"status": "DOWN", "message": redact_url(error.what), "hint": error.hint}
    status = 200 if health.get("status") in _WORKING else 503
    if request[TRUST] is None:
        health = {"status": health.get("status")}
    return answer({**health, "instance": here.instance, "version": here.version} if request[TRUST] else health, status=status)


async def _ping(_request: web.Request) -> web.Response:
    return web.Response(text="pong")


async def _metrics(request: web.Request) -> web.Response:
    here = context(request)
    text = await here.metrics.text(here.orchestrator, streams=here.hub.open_streams)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})


async def _openapi(request: web.Request) -> web.Response:
    return answer(context(request).openapi)


async def _configs(request: web.Request) -> web.Response:
    here = context(request)
    return answer(
        {
            "product": "podium", "version": here.version, "instance": here.instance, "isBasicAuthEnabled": here.door.has_accounts,
            "systemNamespace": SYSTEM_NAMESPACE, "hiddenLabelsPrefixes": ["system.", "internal."],
            "uuid": here.instance, "commitId": None, "commitDate": None, "edition": "OSS", "tenants": {"enabled": False, "static": "main"},
            "preview": {"initial": PREVIEW_ROWS, "max": PREVIEW_ROWS_MAX}, "isAnonymousUsageEnabled": False, "isUiAnonymousUsageEnabled": False,
            "isTemplateEnabled": False, "isCustomDashboardsEnabled": True, "isTaskRunEnabled": True, "isConcurrencyViewEnabled": True,
            "url": here.public_url or None,
        }
    )


async def _sources(request: web.Request) -> web.Response:
    return answer([safe_source(each) for each in context(request).sources.status()])


def safe_source(status: dict[str, Any]) -> dict[str, Any]:
    """A source's state with no password in its texts."""
    return {key: redact_url(value) if isinstance(value, str) else value for key, value in status.items()}


async def _syncs(request: web.Request) -> web.Response:
    limit = Query(request).integer("limit", 20, high=_SYNCS_MAX) or 20
    return answer(await context(request).orchestrator.syncs(limit=limit))


async def _rejected(request: web.Request) -> web.Response:
    return answer(context(request).orchestrator.rejected())


async def _confirm(request: web.Request) -> web.Response:
    here = context(request)
    return answer(await here.sources.confirm(request.match_info["source"], commit=Query(request).text("commit")))


async def _queue(request: web.Request) -> web.Response:
    return answer(context(request).orchestrator.queue())


async def _pause_all(request: web.Request) -> web.Response:
    query = Query(request)
    by, reason = (query.text("by") or "")[:_WORDS_MAX], (query.text("reason") or "")[:_WORDS_MAX]
    return answer(await context(request).orchestrator.pause_all(by=done_by(request, by), reason=reason))


async def _resume_all(request: web.Request) -> web.Response:
    return answer(await context(request).orchestrator.resume_all())


async def _collect_garbage(request: web.Request) -> web.Response:
    return answer(await context(request).orchestrator.collect_garbage(dry=Query(request).flag("dryRun")))


ROUTES = [
    Route(
        method="GET", path="/health", handler=_health, about="Whether the daemon works; details for those who may see them", tag="system",
        answers={200: ref("Health"), 503: ref("Health")}, errors=(), root=True, open=True,
    ),
    Route(
        method="GET", path="/ping", handler=_ping, about="pong", tag="system", content="text/plain", answers={200: TEXT}, errors=(),
        root=True, open=True
    ),
    Route(
        method="GET", path="/metrics", everywhere=True, handler=_metrics, about="Metrics for Prometheus", tag="system", content="text/plain",
        answers={200: TEXT}, errors=(),
        root=True,
    ),
    Route(
        method="GET", path="/executions/queue", handler=_queue, about="What waits and why: executions to begin, task runs for a slot, commands",
        tag="system", answers={200: ref("Queue")}, errors=(),
    ),
    Route(
        needs=Role.ADMIN,
        method="POST", path="/system/pause", handler=_pause_all, about="Let no new execution begin: they are accepted and wait", tag="system",
        query=(Param(name="reason", about="shown while it lasts"), Param(name="by", about="who does it")),
        body=Body(content={"application/json": OBJECT}), answers={200: ref("Queue")}, errors=(503,),
    ),
    Route(
        method="POST", path="/system/resume", needs=Role.ADMIN, handler=_resume_all, about="Let begin what waits", tag="system",
        body=Body(content={"application/json": OBJECT}), answers={200: ref("Queue")}, errors=(503,),
    ),
    Route(
        needs=Role.ADMIN,
        method="POST", path="/gc", handler=_collect_garbage, about="Remove what is past its time ([retention]), and say how much", tag="system",
        query=(Param(name="dryRun", schema=FLAG, about="only say what would go"),), body=Body(content={"application/json": OBJECT}),
        answers={200: ref("Collected")}, errors=(422,),
    ),
    Route(method="GET", path="/openapi.json", handler=_openapi, about="This document", tag="system", errors=()),
    Route(
        method="GET", path="/configs", handler=_configs, about="Version and features", tag="system",
        answers={200: ref("Configs")}, errors=(),
    ),
    Route(
        method="GET", path="/sources", handler=_sources, about="Sources and how far each is deployed", tag="sources",
        answers={200: {"type": "array", "items": ref("Source")}}, errors=(),
    ),
    Route(
        method="GET", path="/sources/rejected", handler=_rejected, about="Files refused by the newest deployment of each source", tag="sources",
        answers={200: {"type": "array", "items": ref("Rejected")}}, errors=(),
    ),
    Route(
        method="GET", path="/syncs", handler=_syncs, about="What the newest deployments changed", tag="sources",
        query=(Param(name="limit", schema=INTEGER),),
        answers={200: {"type": "array", "items": ref("Sync")}}, errors=(422,),
    ),
    Route(
        needs=Role.EDITOR, everywhere=True,
        method="POST", path="/sources/{source}/confirm", handler=_confirm, about="Apply the removals that a deployment holds back", tag="sources",
        query=(Param(name="commit", about="refuse if another deployment came since"),), body=Body(content={"application/json": OBJECT}),
        errors=(404, 409),
    ),
]
