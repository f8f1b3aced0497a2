"""Task runs over executions, and the outputs of one task run (flow-language 10.2, 10.3).

No index has task runs: they are those of the newest executions that match, and `looked` says of how many. What always holds: one answer reads no more
than EXECUTIONS_MAX executions.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from podium.base.errors import NotFound
from podium.conductor.port import View
from podium.web.api.executions import execution_id
from podium.web.api.looks.finding import FIND, PAGING, find_arguments, find_query
from podium.web.context import context
from podium.web.params import Page
from podium.web.routes import INTEGER, OBJECT, Param, Route, ref
from podium.web.wire import answer

EXECUTIONS_MAX = 50
"""Executions of which one search looks at the task runs."""


async def _search(request: web.Request) -> web.Response:
    here, query = context(request), find_query(request)
    page, states, task = query.page(), set(query.states()), query.text("taskId")
    wanted = {**find_arguments(query, here, Page(number=1, size=EXECUTIONS_MAX)), "states": []}
    listed = await here.orchestrator.list_executions(after=query.text("after"), **wanted)
    views = await asyncio.gather(*(_view(request, each["id"]) for each in listed.found))
    runs = [
        run for view in views if view is not None for run in view.get("taskRunList") or ()
        if (not states or run["state"]["current"] in states) and task in (None, run["taskId"])
    ]
    runs.sort(key=lambda run: str(run["state"].get("startDate")), reverse=True)
    more = {"next": listed.next} if listed.next else {}
    return answer({"results": page.cut(runs), "total": len(runs), "looked": len(listed.found), **more})


async def _view(request: web.Request, identifier: str) -> View | None:
    try:
        return await context(request).orchestrator.execution(identifier)
    except NotFound:  # retention took it meanwhile
        return None


async def _outputs(request: web.Request) -> web.Response:
    names = request.match_info
    view = await context(request).orchestrator.execution(execution_id(request))
    run = next((each for each in view.get("taskRunList") or () if each["id"] == names["taskRun"]), None)
    if run is None:
        raise NotFound(f"execution {view['id']} has no task run '{names['taskRun'][:40]}'", hint="they are in the taskRunList of the execution")
    return answer(run.get("outputs") or {})


_FOUND = {
    "type": "object", "required": ["results", "total", "looked"],
    "properties": {"results": {"type": "array", "items": ref("TaskRun")}, "total": INTEGER, "looked": INTEGER, "next": {"type": "string"}},
}
ROUTES = [
    Route(
        method="GET", path="/taskruns/search", handler=_search, tag="executions", answers={200: _FOUND}, errors=(400, 422),
        about=f"Task runs of the newest {EXECUTIONS_MAX} executions that match, and of those after `next`",
        query=(*FIND, Param(name="taskId"), *PAGING, Param(name="after", about="go on with the executions after this one")),
    ),
    Route(
        method="GET", path="/outputs/{execution}/{taskRun}", handler=_outputs, about="Outputs of one task run", tag="executions",
        answers={200: OBJECT}, errors=(404,),
    ),
]
