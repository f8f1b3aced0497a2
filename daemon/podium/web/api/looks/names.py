"""What there is by name: namespaces, flows that can be executed, the latest execution of each flow (flow-language 10.1 to 10.3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from podium.base import limits
from podium.base.errors import NotFound
from podium.base.ports import FlowRevision
from podium.web.api.flows import flow_view
from podium.web.api.looks.finding import PAGING
from podium.web.context import Context, context
from podium.web.errors import BadRequest
from podium.web.params import Query, read_json, read_object
from podium.web.people.roles import Role
from podium.web.routes import FLAG, INTEGER, MOMENT, OBJECT, TEXT, Body, Param, Route, paged
from podium.web.wire import answer

_FLOWS_MAX = 1_000


def namespace_tree(names: Iterable[str]) -> dict[str, bool]:
    """Every namespace and those above it, sorted → whether it has flows itself."""
    own = set(names)
    found = dict.fromkeys(own, True)
    for name in own:
        while "." in name:
            name = name.rpartition(".")[0]  # noqa: PLW2901 - one step up
            found.setdefault(name, False)
    return dict(sorted(found.items()))


def _tree(here: Context) -> dict[str, bool]:
    """The namespaces that the caller sees."""
    return namespace_tree(each.namespace for each in here.orchestrator.flows())


def _namespace(name: str, *, has_flows: bool) -> dict[str, Any]:
    return {"id": name, "deleted": False, "disabled": not has_flows}


async def _search_namespaces(request: web.Request) -> web.Response:
    query = Query(request)
    page, wanted = query.page(), (query.text("q") or "").lower()
    found = [_namespace(name, has_flows=own) for name, own in _tree(context(request)).items() if wanted in name.lower()]
    if (page.sort or "").endswith(":desc"):
        found = found[::-1]
    return answer({"results": page.cut(found), "total": len(found)})


async def _namespace_of(request: web.Request) -> web.Response:
    name = request.match_info["namespace"]
    tree = _tree(context(request))
    if name not in tree:
        raise NotFound(f"there is no namespace '{name[:200]}'", hint="list them: GET /api/v1/namespaces/search")
    return answer(_namespace(name, has_flows=tree[name]))


async def _autocomplete(request: web.Request) -> web.Response:
    body = await read_object(request, limit=limits.BODY_BYTES_MAX)
    wanted, ids = body.get("q") or "", body.get("ids") or []
    if not isinstance(wanted, str) or not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise BadRequest("'q' is text, 'ids' a list of names", hint='send {"q": "company"}')
    found = [name for name in _tree(context(request)) if wanted.lower() in name.lower()]
    return answer(list(dict.fromkeys([*(each for each in ids if each in found or not wanted), *found]))[: limits.PAGE_SIZE_MAX])


async def _executable(request: web.Request) -> web.Response:
    return answer(sorted({each.namespace for each in context(request).orchestrator.flows()}))


async def _executable_flows(request: web.Request) -> web.Response:
    namespace = request.match_info["namespace"]
    found = [each for each in context(request).orchestrator.flows(namespace=namespace) if each.namespace == namespace]
    return answer([{"id": each.flow_id, "namespace": each.namespace, "revision": each.revision} for each in found])


async def _flow_to_run(request: web.Request) -> web.Response:
    names = request.match_info
    found = await context(request).orchestrator.flow(names["namespace"], names["flow"], revision=Query(request).integer("revision"))
    return answer(_to_run(found))


def _to_run(flow: FlowRevision) -> dict[str, Any]:
    """What a form to run a flow needs."""
    view = flow_view(flow, source=False)
    kept = ("id", "namespace", "revision", "description", "labels", "inputs", "disabled", "deleted", "updated", "checks")
    tasks = [{"id": each["id"], "type": each["type"]} for each in view.get("tasks") or () if isinstance(each, dict) and "type" in each]
    triggers = [{"id": each["id"], "type": each["type"]} for each in view.get("triggers") or ()]
    return {**{key: view[key] for key in kept if key in view}, "tasks": tasks, "triggers": triggers}


async def latest_of(request: web.Request, listed: Any) -> list[dict[str, Any]]:
    """The newest execution of each flow of a list [{namespace, id}] that has any. Raises BadRequest."""
    pairs = []
    for each in listed if isinstance(listed, list) else [None]:
        names = (each.get("namespace"), each.get("flowId") or each.get("id")) if isinstance(each, dict) else (None, None)
        if not all(isinstance(name, str) and name for name in names) or len(listed) > _FLOWS_MAX:
            raise BadRequest(f"the body is not a list of flows, at most {_FLOWS_MAX}", hint='send [{"namespace": "…", "id": "…"}]')
        pairs.append((str(names[0]), str(names[1])))
    here = context(request)
    known = {(each.namespace, each.flow_id) for each in here.orchestrator.flows()}
    found = await here.orchestrator.last_executions([pair for pair in dict.fromkeys(pairs) if pair in known])
    return list(found.values())


async def _latest(request: web.Request) -> web.Response:
    found = await latest_of(request, await read_json(request, limit=limits.BODY_BYTES_MAX))
    return answer([
        {
            "id": each["id"], "namespace": each["namespace"], "flowId": each["flowId"], "startDate": each["state"]["startDate"],
            "status": each["state"]["current"],
        }
        for each in found
    ])


async def _values(request: web.Request) -> web.Response:
    """The values that a filter of executions may have."""
    here, query = context(request), Query(request)
    field = query.text("field") or "flowId"
    flows = here.orchestrator.flows(namespace=query.text("namespace"))
    values = {"namespace": (each.namespace for each in flows), "flowId": (each.flow_id for each in flows)}
    if field not in values:
        raise BadRequest(f"the values of '{field[:40]}' are not kept", hint="ask for field=namespace or field=flowId", path="field")
    wanted = (query.text("q") or "").lower()
    return answer(sorted({value for value in values[field] if wanted in value.lower()})[: limits.PAGE_SIZE_MAX])


_NAMES = {"type": "array", "items": TEXT}
_NAMESPACE = {"type": "object", "required": ["id"], "properties": {"id": TEXT, "deleted": FLAG, "disabled": FLAG}}
FLOW_LIST = Body(
    required=True, about="flows", content={"application/json": {"type": "array", "items": {
        "type": "object", "required": ["namespace", "id"], "properties": {"namespace": TEXT, "id": TEXT},
    }}},
)
_LAST = {"type": "object", "properties": {"id": TEXT, "namespace": TEXT, "flowId": TEXT, "startDate": MOMENT, "status": TEXT}}
_FLOW_NAME = {"type": "object", "properties": {"id": TEXT, "namespace": TEXT, "revision": INTEGER}}

ROUTES = [
    Route(
        method="GET", path="/namespaces/search", handler=_search_namespaces, about="Namespaces that have flows, and those above them",
        tag="namespaces", query=(Param(name="q"), *PAGING), answers={200: paged(_NAMESPACE)}, errors=(422,),
    ),
    Route(
        method="POST", path="/namespaces/autocomplete", handler=_autocomplete, about="Names of namespaces", tag="namespaces", answers={200: _NAMES},
        body=Body(content={"application/json": {"type": "object", "properties": {"q": TEXT, "ids": _NAMES}}}, required=True), errors=(400,),
        needs=Role.VIEWER,
    ),
    Route(
        method="GET", path="/namespaces/{namespace}", handler=_namespace_of, about="One namespace", tag="namespaces", answers={200: _NAMESPACE},
        errors=(404,),
    ),
    Route(
        method="POST", path="/executions/latest", handler=_latest, about="The latest execution of each of these flows", tag="executions",
        body=FLOW_LIST, answers={200: {"type": "array", "items": _LAST}}, errors=(400,), needs=Role.VIEWER,
    ),
    Route(
        method="GET", path="/executions/namespaces", handler=_executable, about="Namespaces whose flows can be executed", tag="executions",
        answers={200: _NAMES}, errors=(),
    ),
    Route(
        method="GET", path="/executions/namespaces/{namespace}/flows", handler=_executable_flows, about="Flows that can be executed",
        tag="executions", answers={200: {"type": "array", "items": _FLOW_NAME}}, errors=(),
    ),
    Route(
        method="GET", path="/executions/flows/{namespace}/{flow}", handler=_flow_to_run, about="A flow as a form to run it needs it",
        tag="executions", query=(Param(name="revision", schema=INTEGER),), answers={200: OBJECT}, errors=(404, 422),
    ),
    Route(
        method="GET", path="/executions/distinct-field-values", handler=_values, about="Values that a filter may have", tag="executions",
        query=(Param(name="field", schema={"enum": ["namespace", "flowId"]}), Param(name="namespace"), Param(name="q")), answers={200: _NAMES},
        errors=(400,),
    ),
]
