"""The pages of flows: the list, one flow with its tabs, the run form."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from aiohttp import web

from podium.base.errors import FlowNotFound, InputError, PodiumError
from podium.base.ports import FlowRevision
from podium.conductor.port import StartRequest, View
from podium.flows.dynamic import has_expression
from podium.flows.inputs import flatten
from podium.flows.model import Task, Trigger
from podium.web.api.inputs import inputs_of
from podium.web.api.triggers import state_view
from podium.web.api.graphs.flows import flow_graph
from podium.web.context import Context, base_url, context
from podium.web.errors import details_of
from podium.web.pages.flows.fields import Filled, fields_of, sent, wrong_inputs
from podium.web.pages.render import execution_url, form_page, page, render
from podium.web.pages.text import coloured, commit_url, difference, markdown
from podium.web.pages.timeline import length_of_time
from podium.web.params import Query, moment, parse_labels, read_form

_LAST = 10
TABS = ("overview", "topology", "run", "source", "revisions", "triggers")


async def flow_page(request: web.Request) -> web.Response:
    """One flow. ?tab= and ?revision= choose what is shown."""
    return await _flow_page(request, tab=request.query.get("tab", "overview"))


async def _flow_page(request: web.Request, *, tab: str, filled: Filled | None = None, status: int = 200) -> web.Response:
    here, query = context(request), Query(request)
    namespace, flow_id = request.match_info["namespace"], request.match_info["flow"]
    if tab not in TABS:
        raise FlowNotFound(f"a flow has no page '{tab[:40]}'", hint=f"there are {', '.join(TABS)}")
    known = [each for each in await here.orchestrator.revisions(namespace, flow_id) if not each.deleted]
    flow = await here.orchestrator.flow(namespace, flow_id, revision=query.integer("revision"))
    newest = max((each.revision for each in known), default=flow.revision)
    values = await _TAB_VALUES[tab](request, flow, filled)
    source = next((each for each in here.sources.status() if each.get("name") == flow.source), {})
    return await render(
        request, "flows/flow.html", status=status, flow=flow, model=flow.model, tab=tab, newest=newest,
        revisions=sorted(known, key=lambda each: -each.revision),
        commit_href=commit_url(str(source.get("url") or ""), flow.commit), **values,
    )


async def _overview(request: web.Request, flow: FlowRevision, _filled: Filled | None) -> dict[str, Any]:
    last, total = await context(request).orchestrator.executions(namespace=flow.namespace, flow_id=flow.flow_id, size=_LAST)
    return {"description": markdown(flow.model.description), "last": last, "total": total, "outline": outline(flow)}


async def _topology(request: web.Request, flow: FlowRevision, _filled: Filled | None) -> dict[str, Any]:
    return {"graph": await flow_graph(context(request).orchestrator, flow.model, Query(request).many("subflows")), "outline": outline(flow)}


def outline(flow: FlowRevision) -> list[tuple[str, list[dict[str, Any]]]]:
    """The tasks of each part of the flow: [(part, [{id, type, description, lists: [(name, […])]}])]."""
    model = flow.model
    parts = (("tasks", model.tasks), ("errors", model.errors), ("finally", model.finally_), ("after execution", model.after_execution))
    return [(name, [_outline(task, 0) for task in tasks]) for name, tasks in parts if tasks]


def _outline(task: Task, depth: int) -> dict[str, Any]:
    lists = [(name, [_outline(each, depth + 1) for each in tasks]) for name, tasks in task.lists_of_tasks().items() if tasks] if depth < 20 else []
    return {"id": task.id, "type": task.type, "description": task.description, "disabled": task.disabled, "lists": lists}


async def _run(request: web.Request, flow: FlowRevision, filled: Filled | None) -> dict[str, Any]:
    return {"fields": fields_of(flow.model.inputs, filled), "filled": filled or Filled(), "description": markdown(flow.model.description)}


async def _source(_request: web.Request, flow: FlowRevision, _filled: Filled | None) -> dict[str, Any]:
    return {"lines": await asyncio.to_thread(coloured, flow.text)}


async def _revisions(request: web.Request, flow: FlowRevision, _filled: Filled | None) -> dict[str, Any]:
    orchestrator, query = context(request).orchestrator, Query(request)
    known = sorted((each for each in await orchestrator.revisions(flow.namespace, flow.flow_id) if not each.deleted), key=lambda each: -each.revision)
    syncs = {each.get("commit"): each for each in await orchestrator.syncs(limit=100)}
    numbers = [each.revision for each in known]
    right = query.integer("right") or (numbers[0] if numbers else flow.revision)
    left = query.integer("left") or next((number for number in numbers if number < right), right)
    old, new = [await orchestrator.flow(flow.namespace, flow.flow_id, revision=number) for number in (left, right)]
    lines = await asyncio.to_thread(difference, old.text, new.text)
    return {"known": known, "left": left, "right": right, "diff": lines, "too_long": lines is None, "syncs": syncs}


async def _triggers(request: web.Request, flow: FlowRevision, _filled: Filled | None) -> dict[str, Any]:
    return {"rows": await trigger_rows(request, [(flow, trigger) for trigger in flow.model.triggers])}


async def trigger_rows(request: web.Request, found: list[tuple[FlowRevision, Trigger]]) -> list[dict[str, Any]]:
    """What pages show of triggers: state, what makes them fire, the address of a webhook."""
    here = context(request)
    states = await asyncio.gather(*(here.orchestrator.trigger_state(flow.namespace, flow.flow_id, trigger.id) for flow, trigger in found))
    return [
        {
            "flow": flow, "trigger": trigger, "state": state_view(flow.namespace, flow.flow_id, trigger, state), "when": _fires(trigger, state or {}),
            "webhook": _webhook_url(request, flow, trigger), "schedule": getattr(trigger, "cron", None) is not None, "in_file": trigger.disabled,
        }
        for (flow, trigger), state in zip(found, states, strict=True)
    ]


def _fires(trigger: Trigger, state: Mapping[str, Any]) -> str:
    """What makes it fire, in a few words; of a flow trigger's windows, what they wait for."""
    if windows := state.get("windows"):
        return "; ".join(f"{len(each['met'])} of {each['needed']} met, missing {', '.join(each['missing']) or 'nothing'}" for each in windows)
    cron, zone, interval = (getattr(trigger, name, None) for name in ("cron", "timezone", "interval"))
    if cron:
        return f"{cron} ({zone})" if zone else str(cron)
    if isinstance(interval, timedelta):
        return f"every {length_of_time(interval)}"
    path = getattr(trigger, "path", None)
    if isinstance(path, str):
        return f"{path.rstrip('/')}/{getattr(trigger, 'glob', None) or '*'}"
    return ""


def _webhook_url(request: web.Request, flow: FlowRevision, trigger: Trigger) -> str:
    key = getattr(trigger, "key", None)
    if not isinstance(key, str) or not trigger.type.endswith("Webhook"):
        return ""
    shown = "<key>" if has_expression(key) else quote(key, safe="")
    return f"{base_url(request)}/api/v1/executions/webhook/{quote(flow.namespace, safe='')}/{quote(flow.flow_id, safe='')}/{shown}"


_TAB_VALUES = {"overview": _overview, "topology": _topology, "run": _run, "source": _source, "revisions": _revisions, "triggers": _triggers}


async def run(request: web.Request) -> web.StreamResponse:
    """Start an execution from the form; with mistakes, the form again with each at its field."""
    here = context(request)
    namespace, flow_id = request.match_info["namespace"], request.match_info["flow"]
    flow = await here.orchestrator.flow(namespace, flow_id)
    async with read_form(request, text_limit=here.body_limit, file_limit=here.upload_limit) as raw:
        form, filled = sent(raw)
        execution = await _start(here, flow, form, filled)
    if execution is None:
        return await _flow_page(request, tab="run", filled=filled, status=422)
    raise web.HTTPSeeOther(execution_url(execution["id"]))


async def _start(here: Context, flow: FlowRevision, form: Any, filled: Filled) -> View | None:
    """The execution, or None with the mistakes noted in `filled`."""
    try:
        inputs = await inputs_of(form, flow.model.inputs, orchestrator=here.orchestrator, namespace=flow.namespace, flow_id=flow.flow_id)
        when = filled.first("_scheduleDate")
        wanted = StartRequest(
            namespace=flow.namespace, flow_id=flow.flow_id, inputs=inputs,
            labels=parse_labels([line for line in filled.first("_labels").splitlines() if line.strip()], path="_labels"),
            schedule_date=moment(when, path="_scheduleDate") if when else None,
        )
        if wrong_inputs(await here.orchestrator.validate_inputs(wanted), filled):
            return None
        return await here.orchestrator.start(wanted)
    except InputError as error:
        for each in details_of(error):
            filled.errors.setdefault(each["path"] if each["path"] in _ids(flow) else "", []).append(each["message"])
    except PodiumError as error:
        path = str(error.facts.get("path", ""))
        filled.errors.setdefault(path if path.startswith("_") else "", []).append(f"{error.what} {error.hint}".strip())
    return None


def _ids(flow: FlowRevision) -> set[str]:
    return {identifier for identifier, _ in flatten(flow.model.inputs)}


ROUTES = (
    page("GET", "/flows/{namespace}/{flow}", flow_page),
    page("POST", "/flows/{namespace}/{flow}/run", run),
    page("GET", "/flows/{namespace}/{flow}/run", form_page),
)
