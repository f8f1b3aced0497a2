"""The list of executions: filters that live in the address, saved under a name, live, and what can be done to many at a time.

What always holds: a page costs the same however many executions there are; the ids that a bulk action is done to are those that the filters find.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aiohttp import web

from podium.base import limits
from podium.flows.model import TERMINAL
from podium.web.api.commands.bulk import STATES_FOR
from podium.web.context import context
from podium.web.pages.home.chart import RANGES
from podium.web.pages.render import PAGE_SIZE, page, render
from podium.web.params import Query, moment, parse_labels
from podium.web.people.roles import Role, caller, sees, visible
from podium.web.wire import answer

SIZE_MAX = 100
COLUMNS = ("flow", "execution", "started", "took", "trigger", "labels", "revision")
STATES_SHOWN = (
    "RUNNING", "SUCCESS", "WARNING", "FAILED", "PAUSED", "QUEUED", "KILLED", "CANCELLED", "CREATED", "SUBMITTED", "RETRYING", "RESTARTED", "KILLING",
    "BREAKPOINT", "SKIPPED",
)
"""In the order in which they are chosen most."""
_SORTED_BY = ("startDate", "duration", "state", "flowId")


async def execution_list(request: web.Request) -> web.Response:
    """Executions, filtered, sorted, paged."""
    here, query = context(request), Query(request)
    number, after = query.integer("page", 1, high=1_000_000) or 1, query.text("after")
    size = query.integer("size", PAGE_SIZE, high=SIZE_MAX) or PAGE_SIZE
    sort = query.text("sort") or "startDate:desc"
    sort = sort if sort.partition(":")[0] in _SORTED_BY else "startDate:desc"
    listed = await here.orchestrator.list_executions(after=after, page=number, size=size, sort=sort, **_wanted(request, query))
    filters = {name: query.text(name) or "" for name in ("namespace", "flowId", "labels", "q", "triggerId", "kind", "range", "startDate", "endDate")}
    flows = [each for each in here.orchestrator.flows() if sees(request, each.namespace)]
    known: dict[str, Any] = {**filters, "state": query.states(), "sort": query.text("sort") or "", "size": size if size != PAGE_SIZE else ""}
    return await render(
        request, "lists/executions.html", listed=listed, page=number, size=size, filters=known, after=after, sort=sort, columns=COLUMNS,
        filtered=any(filters.values()) or bool(known["state"]), deep=(number + 1) * size > limits.TOTAL_MAX, ranges=list(RANGES),
        shown_states=STATES_SHOWN,
        namespaces=sorted({each.namespace for each in flows}), flow_ids=sorted({each.flow_id for each in flows})[:2_000],
        states_for={**STATES_FOR, "delete": TERMINAL}, edits=caller(request).highest >= Role.EDITOR,
        operates=caller(request).highest >= Role.OPERATOR, ids_max=limits.PAGE_SIZE_MAX,
    )


async def matching_ids(request: web.Request) -> web.Response:
    """What the filters find, for an action on all of it: {found: [[id, state]], more: whether there are others}."""
    here, query = context(request), Query(request)
    listed = await here.orchestrator.list_executions(page=1, size=limits.PAGE_SIZE_MAX, **_wanted(request, query))
    return answer({"found": [[each["id"], each["state"]["current"]] for each in listed.found], "more": listed.next is not None})


def _wanted(request: web.Request, query: Query) -> dict[str, Any]:
    """What the filters of the address ask of the index."""
    start, end = times(query, context(request).clock.now())
    kind = query.text("kind")
    return {
        "namespace": query.text("namespace"), "flow_id": query.text("flowId"), "states": query.states(), "query": query.text("q"),
        "labels": parse_labels((query.text("labels") or "").replace(",", " ").split()) or None, "started_after": start, "started_before": end,
        "trigger_id": query.text("triggerId"), "child": {"child": True, "main": False}.get(kind or ""), "namespaces": visible(request),
    }


def times(query: Query, now: datetime) -> tuple[datetime | None, datetime | None]:
    """From ?range= (back from now), or from ?startDate= to ?endDate=."""
    chosen = query.text("range") or ""
    if chosen in RANGES:
        return now - RANGES[chosen][0], None
    start, end = (moment(text, path=name) if (text := query.text(name)) else None for name in ("startDate", "endDate"))
    return start, end


ROUTES = (
    page("GET", "/executions", execution_list),
    page("GET", "/executions/ids", matching_ids),
)
