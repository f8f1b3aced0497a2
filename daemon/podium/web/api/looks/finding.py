"""Lists of executions: search with every filter, those of one flow (flow-language 10.2). Bulk commands find theirs with the same arguments."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from podium.base.lists.conditions import Condition
from podium.web.context import Context, context
from podium.web.params import Page, Query
from podium.web.routes import INTEGER, MOMENT, Param, Route, paged, ref
from podium.web.wire import answer

SYSTEM_NAMESPACE = "system"
FIELDS = ("namespace", "flowId", "state", "labels", "startDate", "endDate", "triggerId", "triggerExecutionId", "scope", "childFilter")
"""On which any condition can be set: filters[field][OP]=value."""


def find_query(request: web.Request) -> Query:
    """The query of a list of executions."""
    return Query(request, filters=FIELDS)


def find_arguments(query: Query, here: Context, page: Page) -> dict[str, Any]:
    """What a query asks of Orchestrator.list_executions."""
    start, end = query.window(here.clock.now())
    where = [each for each in query.conditions if each.field not in {"state", "scope", "childFilter"}]
    return {
        "namespace": query.text("namespace"), "flow_id": query.text("flowId"), "states": query.states(), "labels": query.labels() or None,
        "query": query.text("q"), "started_after": start, "started_before": end, "trigger_execution_id": query.text("triggerExecutionId"),
        "trigger_id": query.text("triggerId"), "child": _child(query), "where": [*where, *in_scope(query)], "page": page.number, "size": page.size,
        "sort": page.sort or "startDate:desc",
    }


def _child(query: Query) -> bool | None:
    """childFilter: CHILD are started by an execution, MAIN are not."""
    value, negative = query.chosen("childFilter", ("CHILD", "MAIN"))
    return None if value is None else (value == "CHILD") != negative


def in_scope(query: Query) -> list[Condition]:
    """scope: SYSTEM is the namespace `system` and those below it, USER all others. Both together are all."""
    names = {name.upper() for name in query.many("scope")}
    value, negative = (None, False) if names == {"USER", "SYSTEM"} else query.chosen("scope", ("USER", "SYSTEM"))
    if value is None:
        return []
    if (value == "SYSTEM") != negative:
        return [Condition(field="namespace", op="PREFIX", values=(SYSTEM_NAMESPACE,))]
    return [Condition(field="namespace", op="NOT_PREFIX", values=(SYSTEM_NAMESPACE,))]


async def _search(request: web.Request) -> web.Response:
    query, here = find_query(request), context(request)
    wanted = find_arguments(query, here, query.page())
    listed = await here.orchestrator.list_executions(after=query.text("after"), **wanted)
    more = {"next": listed.next} if listed.next else {}
    return answer({"results": listed.found, "total": listed.total, **more})


async def _list(request: web.Request) -> web.Response:
    query = Query(request)
    for name in ("namespace", "flowId"):
        if not query.text(name):
            query.required(name)
    return await _search(request)


def child_param() -> Param:
    """The parameter childFilter."""
    return Param(name="childFilter", schema={"enum": ["CHILD", "MAIN"]}, about="started by an execution, or not")


FIND = (
    Param(name="q", about="an id, or part of namespace or flow id"), Param(name="namespace", about="a namespace and those below it"),
    Param(name="flowId"), Param(name="state", about="may repeat, or a list with commas"), Param(name="labels", about="key:value, may repeat"),
    Param(name="startDate", schema=MOMENT, about="started at or after"), Param(name="endDate", schema=MOMENT, about="started before"),
    Param(name="timeRange", about="instead of startDate: PT24H"), Param(name="triggerExecutionId", about="started by this execution"),
    Param(name="triggerId"), child_param(), Param(name="scope", schema={"enum": ["USER", "SYSTEM"]}),
)
PAGING = (
    Param(name="page", schema={**INTEGER, "minimum": 1}, about="from 1"), Param(name="size", schema={**INTEGER, "minimum": 1, "maximum": 1000}),
    Param(name="sort", about="field:asc or field:desc, may repeat"),
)
_AFTER = Param(name="after", about="instead of page: what follows after this execution, the `next` of the answer before")
_FOUND = {
    **paged(ref("Execution")),
    "properties": {**paged(ref("Execution"))["properties"], "next": {"type": "string", "description": "the execution to go on after"}},
}

ROUTES = [
    Route(
        method="GET", path="/executions/search", handler=_search, about="Search executions (without their task runs)", tag="executions",
        query=(*FIND, *PAGING, _AFTER), answers={200: _FOUND}, errors=(400, 422),
    ),
    Route(
        method="GET", path="/executions", handler=_list, about="Executions of one flow", tag="executions", errors=(400, 422),
        query=(Param(name="namespace", required=True), Param(name="flowId", required=True), *PAGING), answers={200: _FOUND},
    ),
]
