"""Flows over the API: read, search, check (flow-language 10.1). Writing them is a commit: see editing/."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from podium.base import limits
from podium.base.errors import FlowNotFound
from podium.base.lists.conditions import all_hold, pick
from podium.base.moments import to_text
from podium.base.patterns import RegexBudget
from podium.base.ports import FlowRevision
from podium.flows.model import Task, all_tasks
from podium.web.api.looks.finding import in_scope
from podium.web.context import Context, context
from podium.web.errors import MethodNotAllowed
from podium.web.params import Query, read_text
from podium.web.people.roles import Role
from podium.web.routes import FLAG, INTEGER, OBJECT, TEXT, Body, Handler, Param, Route, paged, ref
from podium.web.wire import answer, dump, dump_flow

FILTERS = ("namespace", "flowId", "labels", "scope")
"""On which any condition can be set: filters[field][OP]=value."""
_FRAGMENTS_MAX = 5
_INDENT = 4
_AROUND = {
    "task": "id: part\nnamespace: part\ntasks:\n",
    "trigger": "id: part\nnamespace: part\ntasks:\n  - {id: none, type: io.kestra.plugin.core.log.Log, message: none}\ntriggers:\n",
}
_SORTED: Mapping[str, Callable[[FlowRevision], Any]] = {
    "id": lambda flow: flow.flow_id, "namespace": lambda flow: flow.namespace, "revision": lambda flow: flow.revision,
    "updated": lambda flow: flow.deployed_at,
}
_CONTEXT_CHARS = 60


def flow_view(revision: FlowRevision, *, source: bool) -> dict[str, Any]:
    """A flow as the API shows it; with its text when `source`."""
    view = {
        **dump_flow(revision.model), "revision": revision.revision, "deleted": False, "updated": to_text(revision.deployed_at),
        "git": {"source": revision.source, "commit": revision.commit, "path": revision.path, "blob": revision.blob},
    }
    return {**view, "source": revision.text} if source else view


def namespace_of(request: web.Request) -> tuple[str, str]:
    """Namespace and flow id of the path."""
    return request.match_info["namespace"], request.match_info["id"]


async def _get(request: web.Request) -> web.Response:
    query, here = Query(request), context(request)
    revision, source = query.integer("revision"), query.flag("source")
    try:
        return answer(flow_view(await here.orchestrator.flow(*namespace_of(request), revision=revision), source=source))
    except FlowNotFound:
        if revision is not None or not query.flag("allowDeleted"):
            raise
    known = [each for each in await here.orchestrator.revisions(*namespace_of(request)) if not each.deleted]
    if not known:
        raise FlowNotFound(f"no flow '{'.'.join(namespace_of(request))}'", hint="it never was")
    last = await here.orchestrator.flow(*namespace_of(request), revision=max(each.revision for each in known))
    return answer({**flow_view(last, source=source), "deleted": True})


async def _revisions(request: web.Request) -> web.Response:
    orchestrator = context(request).orchestrator
    known = [each for each in await orchestrator.revisions(*namespace_of(request)) if not each.deleted]
    if not known:
        raise FlowNotFound(f"no flow '{'.'.join(namespace_of(request))}'", hint="list what is deployed: podium flows list")
    texts = [await orchestrator.flow(each.namespace, each.flow_id, revision=each.revision) for each in known]
    return answer([flow_view(each, source=True) for each in texts])


async def _task(request: web.Request) -> web.Response:
    found = await context(request).orchestrator.flow(*namespace_of(request), revision=Query(request).integer("revision"))
    task = find_task(found.model, request.match_info["task"])
    if task is None:
        raise FlowNotFound(f"flow '{found.namespace}.{found.flow_id}' has no task '{request.match_info['task']}'", hint="see the flow's source")
    return answer(dump(task))


def find_task(flow: Any, task_id: str) -> Task | None:
    """The task of that id at any depth of the flow."""
    return next((task for task in all_tasks(flow, listeners=False) if task.id == task_id), None)


def find_flows(query: Query, here: Context) -> list[FlowRevision]:
    """The deployed flows that a query finds: q, namespace (and below), flowId, labels, scope, and conditions on these. By namespace and id."""
    found = here.orchestrator.flows(namespace=query.text("namespace"), query=query.text("q"))
    labels, flow_id, budget = query.labels(), query.text("flowId"), RegexBudget()
    named = [*pick(query.conditions, "namespace", "flowId"), *in_scope(query)]
    labelled = pick(query.conditions, "labels")
    found = [
        each for each in found
        if flow_id in (None, each.flow_id) and all_hold(named, {"namespace": each.namespace, "flowId": each.flow_id}, budget)
    ]
    if labels or labelled:
        found = [
            each for each in found
            if all(_label(each, key) == value for key, value in labels.items())
            and all(one.holds(_label(each, one.key), budget) for one in labelled)
        ]
    return found


def _label(flow: FlowRevision, key: str | None) -> str | None:
    value = flow.model.labels.get(key)
    return None if value is None else str(value)


def flow_query(request: web.Request) -> Query:
    """The query of a list of flows."""
    return Query(request, filters=FILTERS)


async def _search(request: web.Request) -> web.Response:
    query = flow_query(request)
    page = query.page(sorts=tuple(_SORTED))
    found = page.order(await asyncio.to_thread(find_flows, query, context(request)), _SORTED)
    return answer({"results": [flow_view(each, source=False) for each in page.cut(found)], "total": len(found)})


async def _of_namespace(request: web.Request) -> web.Response:
    namespace = request.match_info["namespace"]
    found = context(request).orchestrator.flows(namespace=namespace)
    return answer([flow_view(each, source=False) for each in found if each.namespace == namespace])


async def _search_source(request: web.Request) -> web.Response:
    query = flow_query(request)
    page, text = query.page(sorts=tuple(_SORTED)), query.text("q") or ""
    narrowed, budget = pick(query.conditions, "namespace", "flowId"), RegexBudget()
    found = [
        each for each in context(request).orchestrator.flows(namespace=query.text("namespace"))
        if all_hold(narrowed, {"namespace": each.namespace, "flowId": each.flow_id}, budget)
    ]
    hits = [each for each in found if text.lower() in each.text.lower()]
    results = [{"model": flow_view(each, source=False), "fragments": _fragments(each.text, text)} for each in page.cut(page.order(hits, _SORTED))]
    return answer({"results": results, "total": len(hits)})


def _fragments(text: str, wanted: str) -> list[str]:
    if not wanted:
        return [text[: 2 * _CONTEXT_CHARS]]
    found = []
    for match in re.finditer(re.escape(wanted), text, re.IGNORECASE):
        before, after = text[max(0, match.start() - _CONTEXT_CHARS) : match.start()], text[match.end() : match.end() + _CONTEXT_CHARS]
        found.append(f"{before}[mark]{match[0]}[/mark]{after}")
        if len(found) == _FRAGMENTS_MAX:
            break
    return found


async def _namespaces(request: web.Request) -> web.Response:
    wanted = (Query(request).text("q") or "").lower()
    found = sorted({each.namespace for each in context(request).orchestrator.flows()})
    return answer([name for name in found if wanted in name.lower()])


async def _validate(request: web.Request) -> web.Response:
    text = await read_text(request, limit=limits.FLOW_BYTES_MAX * 4)
    parsed = await asyncio.to_thread(context(request).check_flow, text, "flow.yaml")
    return answer([_verdict(index, each) for index, each in enumerate(parsed)])


def _part(section: str) -> Handler:
    """The handler that checks one task or trigger: it is looked at as that of a flow that has nothing else."""

    async def handler(request: web.Request) -> web.Response:
        text = await read_text(request, limit=limits.FLOW_BYTES_MAX)
        head = _AROUND[section]
        body = "\n".join(f"    {line}" for line in text.expandtabs(2).splitlines())
        (parsed, *_) = await asyncio.to_thread(context(request).check_flow, f"{head}  -\n{body}\n", f"{section}.yaml")
        prefix, above = f"{section}s[0]", head.count("\n") + 1
        verdict = _verdict(0, parsed)
        for name in ("problems", "notes"):
            verdict[name] = [_moved(each, prefix, above) for each in verdict[name]]
        if verdict["problems"]:
            verdict["constraints"] = _constraints(verdict["problems"])
        return answer({key: value for key, value in verdict.items() if key not in {"namespace", "flow"}})

    return handler


def _moved(problem: Mapping[str, Any], prefix: str, above: int) -> dict[str, Any]:
    """Where it is in the text that was sent."""
    line, column = problem.get("line"), problem.get("column")
    path = str(problem.get("path") or "").removeprefix(prefix).removeprefix(".")
    moved = {"line": line - above} if isinstance(line, int) and line > above else {}
    if isinstance(column, int) and column > _INDENT:
        moved["column"] = column - _INDENT
    return {**problem, **moved, "path": path}


def _constraints(problems: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(f"{each['path']}: {each['message']}" if each.get("path") else str(each["message"]) for each in problems)


def _verdict(index: int, parsed: Any) -> dict[str, Any]:
    verdict = {
        "index": index, "namespace": parsed.namespace, "flow": parsed.flow_id, "outdated": False, "infos": [],
        "deprecationPaths": [each.path for each in parsed.warnings if each.code in {"deprecated", "replaced-type"}],
        "warnings": [str(each.message) for each in parsed.warnings], "problems": [each.as_dict() for each in parsed.problems],
        "notes": [each.as_dict() for each in parsed.warnings],
    }
    if parsed.problems:
        verdict["constraints"] = _constraints(verdict["problems"])
    return verdict


async def _patch(request: web.Request) -> web.Response:
    raise MethodNotAllowed("one task cannot be replaced by itself", hint=f"replace the flow: PUT {request.path.rpartition('/')[0]}", path="flows")


_TEXTS = {"type": "array", "items": TEXT}
_YAML = {"application/x-yaml": TEXT, "text/plain": TEXT, "application/yaml": TEXT}
_FIND = (
    Param(name="q", about="part of id, namespace, description"), Param(name="namespace", about="a namespace and those below it"),
    Param(name="labels", about="key:value, may repeat"), Param(name="scope", schema={"enum": ["USER", "SYSTEM"]}), Param(name="flowId"),
    Param(name="page", schema={**INTEGER, "minimum": 1}), Param(name="size", schema={**INTEGER, "minimum": 1, "maximum": 1000}),
    Param(name="sort", about="field:asc or field:desc, field one of " + ", ".join(_SORTED)),
)
_VERDICT = {
    "type": "object", "required": ["index", "warnings", "infos", "deprecationPaths", "problems"],
    "properties": {
        "index": INTEGER, "namespace": {"type": ["string", "null"]}, "flow": {"type": ["string", "null"]}, "outdated": FLAG,
        "constraints": {"type": "string", "description": "absent: valid"}, "warnings": _TEXTS, "infos": _TEXTS, "deprecationPaths": _TEXTS,
        "problems": {"type": "array", "items": OBJECT}, "notes": {"type": "array", "items": OBJECT},
    },
}
_REVISION = Param(name="revision", schema=INTEGER, about="default the newest")
_FLOW = "/flows/{namespace}/{id}"

ROUTES = [
    Route(
        method="GET", path="/flows/search", handler=_search, about="Search flows", tag="flows", query=_FIND,
        answers={200: paged(ref("Flow"))}, errors=(422,),
    ),
    Route(
        method="GET", path="/flows/source", handler=_search_source, about="Search the text of flows", tag="flows", query=_FIND,
        answers={200: paged({"type": "object", "properties": {"model": ref("Flow"), "fragments": _TEXTS}})}, errors=(422,),
    ),
    Route(
        method="GET", path="/flows/distinct-namespaces", handler=_namespaces, about="Namespaces that have flows", tag="flows",
        query=(Param(name="q"),), answers={200: {"type": "array", "items": TEXT}}, errors=(),
    ),
    Route(
        needs=Role.VIEWER,
        method="POST", path="/flows/validate", handler=_validate, about="Check the text of flows; documents are separated by ---", tag="flows",
        body=Body(content=_YAML, required=True), answers={200: {"type": "array", "items": _VERDICT}}, errors=(400,),
    ),
    *(
        Route(
            method="POST", path=f"/flows/validate/{section}", handler=_part(section), about=f"Check one {section}, YAML or JSON", tag="flows",
            body=Body(content={**_YAML, "application/json": OBJECT}, required=True), answers={200: _VERDICT}, errors=(400,), needs=Role.VIEWER,
        )
        for section in _AROUND
    ),
    Route(
        method="GET", path=_FLOW, handler=_get, about="One flow", tag="flows", answers={200: ref("Flow")}, errors=(404, 422),
        query=(
            _REVISION, Param(name="source", schema=FLAG, about="with its text"),
            Param(name="allowDeleted", schema=FLAG, about="also one that was removed: its last revision"),
        ),
    ),
    Route(
        method="GET", path=_FLOW + "/revisions", handler=_revisions, about="Every revision of a flow with its text", tag="flows",
        answers={200: {"type": "array", "items": ref("Flow")}}, errors=(404,),
    ),
    Route(
        method="GET", path=_FLOW + "/tasks/{task}", handler=_task, about="One task of a flow", tag="flows", query=(_REVISION,), errors=(404, 422),
    ),
    Route(
        method="GET", path="/flows/{namespace}", handler=_of_namespace, about="Flows of one namespace", tag="flows",
        answers={200: {"type": "array", "items": ref("Flow")}}, errors=(),
    ),
    Route(method="PATCH", path=_FLOW + "/{task}", needs=Role.EDITOR, handler=_patch, about="Refused: replace the flow", tag="flows", hidden=True),
]
