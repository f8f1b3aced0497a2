"""Statistics over the API, as Kestra up to 0.24 had them: executions and log lines over time (flow-language 10.3).

What always holds: each answer is one walk along an index; parts of the time without any are there with zeros.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from aiohttp import web

from podium.base import limits
from podium.base.durations import format_duration
from podium.flows.model import STATES
from podium.web.api.figures.buckets import bucket_of, parts_of, span_of
from podium.web.api.looks.names import FLOW_LIST, latest_of
from podium.web.context import Context, context
from podium.web.errors import BadRequest
from podium.web.params import LEVELS, read_json
from podium.web.people.roles import Role
from podium.web.routes import INTEGER, MOMENT, OBJECT, TEXT, Body, Route, ref
from podium.web.wire import answer

_NO_DURATION = {"min": 0, "avg": 0, "max": 0, "sum": 0, "count": 0}


async def _asked(request: web.Request) -> dict[str, Any]:
    """The body: an object with what narrows the executions; none is all."""
    body = await read_json(request, limit=limits.BODY_BYTES_MAX)
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise BadRequest("the body is not an object", hint='send {"startDate": "2026-01-01T00:00:00Z", "namespace": "company"}')
    for name in ("namespace", "flowId", "q"):
        if not isinstance(body.get(name), str | None):
            raise BadRequest(f"'{name}' is not text", hint='send {"namespace": "company"}', path=name)
    return body


async def _rows(here: Context, body: Mapping[str, Any], by: Iterable[str] = ()) -> tuple[list[dict[str, Any]], list[str], str]:
    start, end = span_of(body, here.clock.now())
    bucket = bucket_of(end - start)
    rows = await here.orchestrator.executions_over_time(
        start=start, end=end, bucket=bucket, by=tuple(by), namespace=body.get("namespace") or None, flow_id=body.get("flowId") or None
    )
    return rows, parts_of(start, end, bucket), bucket


def _daily(rows: Iterable[Mapping[str, Any]], parts: Iterable[str], bucket: str) -> list[dict[str, Any]]:
    """One entry for each part of the time."""
    found: dict[str, dict[str, Any]] = {
        at: {"startDate": at, "groupBy": bucket.upper(), "executionCounts": dict.fromkeys(STATES, 0), "duration": dict(_NO_DURATION)} for at in parts
    }
    for row in rows:
        entry = found.get(row["at"])
        if entry is None:
            continue
        entry["executionCounts"][row["state"]] = row["count"]
        took, first = entry["duration"], entry["duration"]["count"] == 0
        took["min"] = round(row["min"] if first else min(took["min"], row["min"]), 3)
        took["max"] = round(max(took["max"], row["max"]), 3)
        took["sum"] = round(took["sum"] + row["sum"], 3)
        took["count"] += row["count"]
        took["avg"] = round(took["sum"] / took["count"], 3)
    return list(found.values())


async def _executions(request: web.Request) -> web.Response:
    rows, parts, bucket = await _rows(context(request), await _asked(request))
    return answer(_daily(rows, parts, bucket))


async def _by_flow(request: web.Request) -> web.Response:
    rows, parts, bucket = await _rows(context(request), await _asked(request), ("namespace", "flow_id"))
    found: dict[str, dict[str, list[Any]]] = {}
    for row in rows:
        found.setdefault(row["namespace"], {}).setdefault(row["flow_id"], []).append(row)
    return answer({namespace: {flow: _daily(each, parts, bucket) for flow, each in flows.items()} for namespace, flows in found.items()})


async def _by_namespace(request: web.Request) -> web.Response:
    rows, parts, bucket = await _rows(context(request), await _asked(request), ("namespace",))
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row["namespace"], []).append(row)
    return answer({namespace: _daily(each, parts, bucket) for namespace, each in found.items()})


async def _latest(request: web.Request) -> web.Response:
    body = await read_json(request, limit=limits.BODY_BYTES_MAX)
    return answer(await latest_of(request, body.get("flows") if isinstance(body, dict) else body))


async def _logs(request: web.Request) -> web.Response:
    here, body = context(request), await _asked(request)
    start, end = span_of(body, here.clock.now())
    bucket = bucket_of(end - start)
    rows = await here.orchestrator.logs_over_time(
        start=start, end=end, bucket=bucket, namespace=body.get("namespace") or None, flow_id=body.get("flowId") or None
    )
    found: dict[str, dict[str, Any]] = {
        at: {"timestamp": at, "groupBy": bucket.upper(), "counts": dict.fromkeys(LEVELS, 0)} for at in parts_of(start, end, bucket)
    }
    for row in rows:
        if row["at"] in found:
            found[row["at"]]["counts"][row["level"]] = row["count"]
    return answer(list(found.values()))


async def _summary(request: web.Request) -> web.Response:
    here, body = context(request), await _asked(request)
    flows = here.orchestrator.flows(namespace=body.get("namespace") or None, query=body.get("q") or None)
    rows, _, _ = await _rows(here, body)
    counts = dict.fromkeys(STATES, 0)
    for row in rows:
        counts[row["state"]] += row["count"]
    took = sum(row["sum"] for row in rows)
    return answer({
        "flows": len(flows), "triggers": sum(len(each.model.triggers) for each in flows), "executionCounts": counts,
        "duration": format_duration(timedelta(seconds=round(took, 3))),
    })


_ASKED = {"type": "object", "properties": {"namespace": TEXT, "flowId": TEXT, "q": TEXT, "startDate": MOMENT, "endDate": MOMENT}}
_BODY = Body(content={"application/json": _ASKED}, about="what narrows it; default the last 30 days")
_COUNTS = {"type": "object", "additionalProperties": INTEGER}
_TOOK = {"type": "object", "properties": {name: {"type": "number"} for name in _NO_DURATION}}
_DAY = {
    "type": "object", "required": ["startDate", "executionCounts"],
    "properties": {"startDate": MOMENT, "groupBy": TEXT, "executionCounts": _COUNTS, "duration": _TOOK},
}
_DAYS = {"type": "array", "items": _DAY}
_LOG_DAYS = {"type": "array", "items": {"type": "object", "properties": {"timestamp": MOMENT, "groupBy": TEXT, "counts": _COUNTS}}}


def _route(path: str, handler: Any, about: str, schema: Mapping[str, Any], body: Body = _BODY) -> Route:
    return Route(
        method="POST", path=path, handler=handler, about=about, tag="statistics", body=body, answers={200: schema}, errors=(400, 422),
        needs=Role.VIEWER,
    )


ROUTES = [
    _route("/stats/summary", _summary, "How many flows, triggers and executions there are", OBJECT),
    _route("/stats/executions/daily", _executions, "Executions over time by state", _DAYS),
    _route(
        "/stats/executions/daily/group-by-flow", _by_flow, "Executions over time by state, for each namespace and flow",
        {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": _DAYS}},
    ),
    _route(
        "/stats/executions/daily/group-by-namespace", _by_namespace, "Executions over time by state, for each namespace",
        {"type": "object", "additionalProperties": _DAYS},
    ),
    _route(
        "/stats/executions/latest/group-by-flow", _latest, "The latest execution of each of these flows",
        {"type": "array", "items": ref("Execution")},
        Body(content={"application/json": {"type": "object", "properties": {"flows": FLOW_LIST.content["application/json"]}}}, required=True),
    ),
    _route("/stats/logs/daily", _logs, "Log lines over time by level", _LOG_DAYS),
]
