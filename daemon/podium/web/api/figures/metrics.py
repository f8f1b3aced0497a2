"""Metrics of a flow over the API: their names, the tasks they are of, their values over time (flow-language 10.3)."""

from __future__ import annotations

from aiohttp import web

from podium.web.api.figures.buckets import bucket_of, parts_of, span_of
from podium.web.context import context
from podium.web.errors import Refused
from podium.web.params import Query
from podium.web.routes import MOMENT, TEXT, Param, Route
from podium.web.wire import answer

_AGGREGATIONS = ("sum", "avg", "min", "max")


async def _names(request: web.Request) -> web.Response:
    names = request.match_info
    return answer(await context(request).orchestrator.metric_names(names["namespace"], names["flow"], task_id=names.get("task")))


async def _tasks(request: web.Request) -> web.Response:
    names = request.match_info
    return answer(await context(request).orchestrator.metric_tasks(names["namespace"], names["flow"]))


async def _aggregates(request: web.Request) -> web.Response:
    here, query, names = context(request), Query(request), request.match_info
    aggregate = (query.text("aggregation") or "sum").lower()
    if aggregate not in _AGGREGATIONS:
        raise Refused(f"'{aggregate[:40]}' is no aggregation", hint=f"use one of {', '.join(_AGGREGATIONS)}", path="aggregation")
    start, end = span_of({"startDate": query.text("startDate"), "endDate": query.text("endDate")}, here.clock.now())
    bucket = bucket_of(end - start)
    found = await here.orchestrator.metric_values(
        names["namespace"], names["flow"], names["metric"], task_id=names.get("task"), start=start, end=end, bucket=bucket, aggregate=aggregate
    )
    values = [{"name": names["metric"], "date": at, "value": found.get(at, 0)} for at in parts_of(start, end, bucket)]
    return answer({"groupBy": bucket, "aggregations": values})


_LIST = {"type": "array", "items": TEXT}
_AGGREGATED = {
    "type": "object", "required": ["groupBy", "aggregations"],
    "properties": {"groupBy": TEXT, "aggregations": {"type": "array", "items": {
        "type": "object", "properties": {"name": TEXT, "date": MOMENT, "value": {"type": "number"}},
    }}},
}
_SPAN = (
    Param(name="startDate", schema=MOMENT, about="default 30 days ago"), Param(name="endDate", schema=MOMENT, about="default now"),
    Param(name="aggregation", schema={"enum": list(_AGGREGATIONS)}, about="default sum"),
)
ROUTES = [
    Route(
        method="GET", path="/metrics/names/{namespace}/{flow}", handler=_names, about="Names of the metrics of a flow", tag="metrics",
        answers={200: _LIST}, errors=(),
    ),
    Route(
        method="GET", path="/metrics/names/{namespace}/{flow}/{task}", handler=_names, about="Names of the metrics of a task", tag="metrics",
        answers={200: _LIST}, errors=(),
    ),
    Route(
        method="GET", path="/metrics/tasks/{namespace}/{flow}", handler=_tasks, about="Tasks of a flow that have metrics", tag="metrics",
        answers={200: _LIST}, errors=(),
    ),
    Route(
        method="GET", path="/metrics/aggregates/{namespace}/{flow}/{metric}", handler=_aggregates, about="A metric of a flow over time",
        tag="metrics", query=_SPAN, answers={200: _AGGREGATED}, errors=(422,),
    ),
    Route(
        method="GET", path="/metrics/aggregates/{namespace}/{flow}/{task}/{metric}", handler=_aggregates, about="A metric of a task over time",
        tag="metrics", query=_SPAN, answers={200: _AGGREGATED}, errors=(422,),
    ),
]
