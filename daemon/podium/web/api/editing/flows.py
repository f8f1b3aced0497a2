"""Flows created, replaced, removed and switched over the API (flow-language 10.1), each time as one commit in the caller's name."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from podium.base import limits
from podium.base.errors import FlowNotFound
from podium.base.ports import FlowRevision
from podium.flows.reading.documents import switched
from podium.web.api.editing.archive import EXPORT, exported
from podium.web.api.editing.importing import flows_of, import_flows
from podium.web.api.editing.writing import Saved, Wanted, deletion, save
from podium.web.api.flows import flow_view, namespace_of
from podium.web.context import context
from podium.web.errors import BadRequest, Refused
from podium.web.params import Query, read_json, read_text
from podium.web.people.roles import Role, caller
from podium.web.routes import FLAG, INTEGER, TEXT, Body, Param, Route, ref
from podium.web.wire import answer, dump_flow

_TEXT_MAX = limits.FLOW_BYTES_MAX * 8


async def _create(request: web.Request) -> web.Response:
    (flow,) = await _read_flows(request, one=True)
    if _known(request, flow.namespace, flow.id) is not None:
        raise Refused("flow.id: Flow id already exists", hint=f"replace it with PUT /api/v1/flows/{flow.namespace}/{flow.id}", path="flow.id")
    saved = await save(request, [flow], message=_message(request, f"Add flow {flow.namespace}.{flow.id}"))
    return await _answer_one(request, flow, saved)


async def _replace(request: web.Request) -> web.Response:
    namespace, flow_id = namespace_of(request)
    if _known(request, namespace, flow_id) is None:
        raise _missing(namespace, flow_id)
    (flow,) = await _read_flows(request, one=True)
    for name, is_, was in (("id", flow.id, flow_id), ("namespace", flow.namespace, namespace)):
        if is_ != was:
            hint = "make a new flow, and delete this one"
            raise Refused(f"flow.{name}: Illegal {name} update: '{is_}' is not '{was}'", hint=hint, path=f"flow.{name}")
    wanted = Wanted(namespace=namespace, id=flow_id, text=flow.text, seen=_seen(request))
    saved = await save(request, [wanted], message=_message(request, f"Update flow {namespace}.{flow_id}"))
    return await _answer_one(request, wanted, saved)


async def _delete(request: web.Request) -> web.Response:
    namespace, flow_id = namespace_of(request)
    if _known(request, namespace, flow_id) is None:
        raise _missing(namespace, flow_id)
    gone = deletion(namespace, flow_id, seen=_seen(request))
    saved = await save(request, [gone], message=_message(request, f"Remove flow {namespace}.{flow_id}"))
    return web.Response(status=204) if saved.deployed else answer(_late(saved), status=202)


async def _of_namespace(request: web.Request) -> web.Response:
    query, namespace = Query(request), request.match_info["namespace"]
    flows = await _read_flows(request, one=False)
    for each in flows:
        if each.namespace != namespace:
            raise _elsewhere(each, namespace)
    return await _many(request, flows, {namespace} if query.flag("delete", default=not query.flag("override")) else set())


async def _bulk(request: web.Request) -> web.Response:
    query = Query(request)
    flows = await _read_flows(request, one=False)
    wanted, children = query.text("namespace"), query.flag("allowNamespaceChild")
    for each in flows:
        if wanted and each.namespace != wanted and not (children and each.namespace.startswith(f"{wanted}.")):
            raise _elsewhere(each, wanted)
    all_of_them = {each.namespace for each in flows} | ({wanted} if wanted else set())
    return await _many(request, flows, all_of_them if query.flag("delete", default=True) else set())


def _elsewhere(flow: Wanted, namespace: str) -> Refused:
    what = f"flow.namespace: Invalid namespace '{flow.namespace}' of flow '{flow.id}'"
    return Refused(what, hint=f"it must be '{namespace}'", path="flow.namespace")


async def _many(request: web.Request, flows: Sequence[Wanted], emptied: set[str]) -> web.Response:
    """Write several flows at once. emptied: namespaces whose other flows go. Raises Refused for none: that would empty a namespace by mistake."""
    if not flows:
        hint = "to remove all flows of a namespace: DELETE /api/v1/flows/delete/by-query?namespace=…"
        raise Refused("the body holds no flow", hint=hint, path="flows")
    named = {(each.namespace, each.id) for each in flows}
    gone = [
        deletion(each.namespace, each.flow_id) for each in context(request).orchestrator.flows()
        if each.namespace in emptied and (each.namespace, each.flow_id) not in named
    ]
    where = ", ".join(sorted({each.namespace for each in [*flows, *gone]}))
    saved = await save(request, [*flows, *gone], message=_message(request, f"Update the flows of {where}"))
    return answer([await _view(request, each, saved) for each in flows], status=200 if saved.deployed else 202)


# ---- switching and removing many

async def _switch(request: web.Request, found: Sequence[FlowRevision], *, disabled: bool) -> web.Response:
    to_do = [each for each in found if each.model.disabled is not disabled]
    word = "Disable" if disabled else "Enable"

    def change(flow: FlowRevision) -> Wanted:
        key = (flow.namespace, flow.flow_id)
        return Wanted(namespace=key[0], id=key[1], rewrite=lambda text: switched(text, *key, disabled=disabled))

    if not to_do:
        return answer({"count": 0})
    saved = await save(request, [change(each) for each in to_do], message=_message(request, f"{word} {_names(to_do)}"))
    return _counted(len(to_do), saved)


def _counted(count: int, saved: Saved) -> web.Response:
    return answer({"count": count}) if saved.deployed else answer({"count": count, **_late(saved)}, status=202)


async def _enable_ids(request: web.Request) -> web.Response:
    return await _switch(request, await by_ids(request), disabled=False)


async def _enable_query(request: web.Request) -> web.Response:
    return await _switch(request, by_query(request), disabled=False)


async def _disable_ids(request: web.Request) -> web.Response:
    return await _switch(request, await by_ids(request), disabled=True)


async def _disable_query(request: web.Request) -> web.Response:
    return await _switch(request, by_query(request), disabled=True)


async def _remove(request: web.Request, found: Sequence[FlowRevision]) -> web.Response:
    if not found:
        return answer({"count": 0})
    gone = [deletion(each.namespace, each.flow_id) for each in found]
    return _counted(len(found), await save(request, gone, message=_message(request, f"Remove {_names(found)}")))


async def _remove_ids(request: web.Request) -> web.Response:
    return await _remove(request, await by_ids(request))


async def _remove_query(request: web.Request) -> web.Response:
    return await _remove(request, by_query(request))


async def _export_ids(request: web.Request) -> web.Response:
    return await exported(await by_ids(request))


async def _export_query(request: web.Request) -> web.Response:
    return await exported(by_query(request))


async def _import(request: web.Request) -> web.Response:
    return answer(await import_flows(request))


# ---- what a request names

async def by_ids(request: web.Request) -> list[FlowRevision]:
    """The flows of a body [{namespace, id}]. Raises FlowNotFound for one that is not there."""
    body = await read_json(request, limit=context(request).body_limit)
    if not isinstance(body, list) or len(body) > limits.EDIT_FILES_MAX:
        raise BadRequest("the body is no list of flows", hint='send [{"namespace": "company.team", "id": "hello"}]')
    found = {}
    for each in body:
        namespace, flow_id = (each.get("namespace"), each.get("id")) if isinstance(each, dict) else (None, None)
        if not isinstance(namespace, str) or not isinstance(flow_id, str):
            raise BadRequest("an entry of the body names no flow", hint='send [{"namespace": "company.team", "id": "hello"}]')
        if (known := _known(request, namespace, flow_id)) is None:
            raise _missing(namespace, flow_id)
        found[namespace, flow_id] = known
    return list(found.values())


def by_query(request: web.Request) -> list[FlowRevision]:
    """The flows that the query names, of namespaces that the caller may see."""
    query, who = Query(request), caller(request)
    labels = query.labels()
    found = context(request).orchestrator.flows(namespace=query.text("namespace"), query=query.text("q"))
    return [
        each for each in found
        if who.may(Role.VIEWER, each.namespace) and all(each.model.labels.get(key) == value for key, value in labels.items())
    ]


async def _read_flows(request: web.Request, *, one: bool) -> list[Wanted]:
    """The flows of a YAML body, with the text of each. What cannot be read as flows at all is refused with the validator's words."""
    text = await read_text(request, limit=_TEXT_MAX)
    return await flows_of(request, text, one=one)


def _seen(request: web.Request) -> str | None:
    """The blob that the caller saw, of `If-Match` or the query."""
    given = request.headers.get("If-Match", "").removeprefix("W/").strip('"') or Query(request).text("blob")
    return given if given and given != "*" else None


def _message(request: web.Request, default: str) -> str:
    return Query(request).text("message") or default


def _names(flows: Sequence[FlowRevision]) -> str:
    named = [f"{each.namespace}.{each.flow_id}" for each in flows[:3]]
    return ", ".join(named) + (f" and {len(flows) - 3} more" if len(flows) > 3 else "")


def _known(request: web.Request, namespace: str, flow_id: str) -> FlowRevision | None:
    found = context(request).orchestrator.flows(namespace=namespace)
    return next((each for each in found if (each.namespace, each.flow_id) == (namespace, flow_id)), None)


def _missing(namespace: str, flow_id: str) -> FlowNotFound:
    return FlowNotFound(f"no flow '{namespace}.{flow_id}'", hint="list what is deployed: podium flows list")


# ---- what is answered

async def _answer_one(request: web.Request, flow: Wanted, saved: Saved) -> web.Response:
    return answer(await _view(request, flow, saved), status=200 if saved.deployed else 202)


async def _view(request: web.Request, flow: Wanted, saved: Saved) -> dict[str, Any]:
    """The flow as deployed, or as it will be when that takes longer."""
    known = _known(request, flow.namespace, flow.id)
    if known is not None and saved.deployed:
        return flow_view(known, source=True)
    assert flow.text is not None
    (parsed, *_) = await asyncio.to_thread(context(request).check_flow, flow.text, "flow.yaml")
    view = dump_flow(parsed.flow) if parsed.flow is not None else {"namespace": flow.namespace, "id": flow.id}
    return {**view, "deleted": False, "source": flow.text, **_late(saved)}


def _late(saved: Saved) -> dict[str, Any]:
    """Committed, and not deployed yet: why."""
    return {"deployment": [{"source": source, "commit": saved.commits.get(source), **told} for source, told in saved.told.items()]}


_YAML = {"application/x-yaml": TEXT, "text/plain": TEXT, "application/yaml": TEXT}
_ONE_FLOW, _MANY_FLOWS = Body(content=_YAML, required=True), Body(content=_YAML, required=True, about="documents separated by ---")
_IDS = Body(content={"application/json": {
    "type": "array", "items": {"type": "object", "required": ["namespace", "id"], "properties": {"namespace": TEXT, "id": TEXT}},
}}, required=True)
_FIND = (
    Param(name="q", about="part of id, namespace, description"), Param(name="namespace", about="a namespace and those below it"),
    Param(name="labels", about="key:value, may repeat"),
)
_COUNT = {"type": "object", "required": ["count"], "properties": {"count": INTEGER}}
_SAY = Param(name="message", about="of the commit")
_MATCH = Param(name="If-Match", place="header", about="the blob you saw (`git.blob`): 409 if the file is another by now")
_FLOW = "/flows/{namespace}/{id}"
_REFUSALS = (400, 404, 409, 422)
_LIST = {"type": "array", "items": ref("Flow")}


def _mass(method: str, path: str, handler: Any, about: str, *, body: Body | None) -> Route:
    return Route(
        method=method, path=path, handler=handler, about=about, tag="flows", needs=Role.EDITOR, body=body, errors=_REFUSALS,
        answers={200: _COUNT, 202: _COUNT}, query=(_SAY,) if body else (*_FIND, _SAY),
    )


ROUTES = [
    Route(
        method="POST", path="/flows", handler=_create, about="Add a flow: a commit to its source", tag="flows", body=_ONE_FLOW, needs=Role.EDITOR,
        query=(_SAY,), answers={200: ref("Flow"), 202: ref("Flow")}, errors=_REFUSALS,
    ),
    Route(
        method="POST", path="/flows/bulk", handler=_bulk, about="Write several flows in one commit", tag="flows", body=_MANY_FLOWS, needs=Role.EDITOR,
        query=(
            Param(name="delete", schema=FLAG, about="remove the other flows of these namespaces; default true"), Param(name="namespace"),
            Param(name="allowNamespaceChild", schema=FLAG), _SAY,
        ),
        answers={200: _LIST, 202: _LIST}, errors=_REFUSALS,
    ),
    Route(
        method="POST", path="/flows/import", handler=_import, about="Write the flows of a YAML or ZIP file; answers those that failed", tag="flows",
        body=Body(content={"multipart/form-data": {"type": "object", "properties": {"fileUpload": {"type": "string", "format": "binary"}}}}),
        query=(Param(name="failOnError", schema=FLAG), _SAY), answers={200: {"type": "array", "items": TEXT}}, errors=_REFUSALS, needs=Role.EDITOR,
    ),
    Route(
        method="GET", path="/flows/export/by-query", handler=_export_query, about="Flows as a ZIP of YAML files", tag="flows", query=_FIND,
        answers={200: EXPORT}, content="application/zip", errors=(422,),
    ),
    Route(
        method="POST", path="/flows/export/by-ids", handler=_export_ids, about="These flows as a ZIP of YAML files", tag="flows", body=_IDS,
        answers={200: EXPORT}, content="application/zip", errors=(400, 404), needs=Role.VIEWER,
    ),
    _mass("POST", "/flows/enable/by-ids", _enable_ids, "Enable flows", body=_IDS),
    _mass("POST", "/flows/enable/by-query", _enable_query, "Enable flows", body=None),
    _mass("POST", "/flows/disable/by-ids", _disable_ids, "Disable flows", body=_IDS),
    _mass("POST", "/flows/disable/by-query", _disable_query, "Disable flows", body=None),
    _mass("DELETE", "/flows/delete/by-ids", _remove_ids, "Remove flows", body=_IDS),
    _mass("DELETE", "/flows/delete/by-query", _remove_query, "Remove flows", body=None),
    Route(
        method="POST", path="/flows/{namespace}", handler=_of_namespace, about="Replace the flows of a namespace in one commit", tag="flows",
        body=_MANY_FLOWS, needs=Role.EDITOR, answers={200: _LIST, 202: _LIST}, errors=_REFUSALS,
        query=(Param(name="delete", schema=FLAG, about="remove its other flows; default true"), Param(name="override", schema=FLAG), _SAY),
    ),
    Route(
        method="PUT", path=_FLOW, handler=_replace, about="Replace a flow", tag="flows", body=_ONE_FLOW, needs=Role.EDITOR, query=(_SAY, _MATCH),
        answers={200: ref("Flow"), 202: ref("Flow")}, errors=_REFUSALS,
    ),
    Route(
        method="DELETE", path=_FLOW, handler=_delete, about="Remove a flow", tag="flows", needs=Role.EDITOR, query=(_SAY, _MATCH),
        answers={204: None, 202: {"type": "object"}}, errors=_REFUSALS,
    ),
]
