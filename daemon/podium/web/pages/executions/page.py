"""The page of one execution: its head with the buttons that are possible, and a tab below. What is done by a button, and the form to replay with.

What always holds: everything can be read and every button works without scripts; the pieces that change are those that the stream of the page
(live.py) sends, made by the same function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web
from markupsafe import Markup

from podium.base.errors import ConflictError, FlowNotFound, NotFound, PodiumError
from podium.base.ports import FlowRevision
from podium.conductor.port import Orchestrator, View
from podium.flows.model import TERMINAL, Approval
from podium.web.api.actions import asked_for, waiting_task
from podium.web.api.executions import execution_id
from podium.web.context import context
from podium.web.errors import details_of, status_of
from podium.web.pages.executions import actions, runs, tabs
from podium.web.pages.flows.fields import Field, Filled, fields_of, sent
from podium.web.pages.navigation import flash
from podium.web.pages.render import execution_url, form_page, fragment, hide, link, page, render, text_for
from podium.web.pages.text import commit_url
from podium.web.params import Query, read_form
from podium.web.people.roles import Role, caller
from podium.web.wire import encode

TABS = ("overview", "gantt", "logs", "topology", "outputs", "files", "metrics", "trigger", "record")
OLD_TABS = {"data": "outputs"}
_MOVING = frozenset({"overview", "outputs", "files", "metrics", "trigger", "record"})
"""Tabs whose content comes anew as a piece; the others are drawn by a script of their own."""
_ALWAYS = ("head", "asks")
_REVISIONS_SHOWN = 30


async def execution_page(request: web.Request) -> web.Response:
    """One execution. ?tab= chooses what is shown below the head."""
    return await _show(request)


def tab_of(query: Query) -> str:
    """The tab that the address asks for. Raises NotFound."""
    tab = query.text("tab") or "overview"
    tab = OLD_TABS.get(tab, tab)
    if tab not in TABS:
        raise NotFound(f"an execution has no page '{tab[:40]}'", hint=f"there are {', '.join(TABS)}")
    return tab


async def _show(request: web.Request, *, filled: Filled | None = None, problem: PodiumError | None = None) -> web.Response:
    tab = tab_of(Query(request))
    execution = await context(request).orchestrator.execution(execution_id(request))
    values = await facts_of(request, execution, tab, filled=filled, problem=problem)
    parts = await _drawn(request, execution, tab, values)
    return await render(request, "executions/execution.html", status=status_of(problem) if problem else 200, parts=parts, **values)


async def parts_of(request: web.Request, execution: View, tab: str) -> Mapping[str, str]:
    """The pieces of the page that change: id of the element → its content."""
    values = await facts_of(request, execution, tab)
    if tab in _MOVING:
        drawn = await _drawn(request, execution, tab, values)
    else:
        drawn = {name: fragment(request, f"executions/{name}.html", **values) for name in _ALWAYS}
    return {name: str(text) for name, text in drawn.items()}


async def _drawn(request: web.Request, execution: View, tab: str, values: Mapping[str, Any], **also: Any) -> dict[str, Markup]:
    drawn = {name: fragment(request, f"executions/{name}.html", **values) for name in _ALWAYS}
    more = await tabs.VALUES[tab](request, execution) | also
    return {**drawn, "tab": fragment(request, f"executions/tabs/{tab}.html", **values, **more)}


async def facts_of(
    request: web.Request, execution: View, tab: str, *, filled: Filled | None = None, problem: PodiumError | None = None
) -> dict[str, Any]:
    """What the head, its buttons and every tab may show."""
    here = context(request)
    flow = await flow_of(here.orchestrator, execution)
    pinned = execution.get("git") or ({"source": flow.source, "commit": flow.commit, "path": flow.path} if flow else {})
    source = next((each for each in here.sources.status() if each.get("name") == pinned.get("source")), {})
    commit, state = pinned.get("commit"), execution["state"]["current"]
    verbs = actions.allowed(request, execution)
    waits = state == "PAUSED" and flow is not None and "resume" in verbs
    waiting, waiting_run = await waiting_task(here.orchestrator, execution) if waits else (None, "")
    return {
        "execution": execution, "state": state, "ended": state in TERMINAL, "flow": flow, "tab": tab, "tabs": TABS, "verbs": verbs,
        "address": execution_url(execution["id"]), "git": pinned, "commit": commit,
        "commit_href": commit_url(str(source.get("url") or ""), commit) if commit else None,
        "paused": fields_of(asked_for(waiting), filled), "approval": waiting if isinstance(waiting, Approval) else None, "waiting_run": waiting_run,
        "filled": filled or Filled(), "problem": problem, "ends": [each for each in actions.ENDS if each != state], "run_states": actions.RUN_STATES,
        "newest_revision": await _newest(here.orchestrator, execution) if "restart" in verbs else None,
        "operates": caller(request).may(Role.OPERATOR, execution["namespace"]), "files": len(runs.files_of(execution)),
    }


async def _newest(orchestrator: Orchestrator, execution: View) -> int | None:
    """The flow's newest revision, if it is another."""
    try:
        revision = (await orchestrator.flow(execution["namespace"], execution["flowId"])).revision
    except FlowNotFound:
        return None
    return revision if revision != execution.get("flowRevision") else None


async def flow_of(orchestrator: Orchestrator, execution: View) -> FlowRevision | None:
    """The revision that it runs, if that is still known."""
    try:
        return await orchestrator.flow(execution["namespace"], execution["flowId"], revision=execution.get("flowRevision"))
    except FlowNotFound:
        return None


async def act(request: web.Request) -> web.StreamResponse:
    """Do what a button says, then show the execution (a new one after a replay). What is refused is said on the page."""
    here, identifier, verb = context(request), execution_id(request), request.match_info["verb"]
    if verb not in actions.VERBS:
        raise NotFound(f"there is no action '{verb[:40]}'", hint=f"there are {', '.join(sorted(actions.VERBS))}")
    async with read_form(request, text_limit=here.body_limit, file_limit=here.upload_limit) as raw:
        form, filled = sent(raw)
        try:
            after = await actions.do(request, here.orchestrator, verb, form=form, filled=filled)
        except PodiumError as error:
            await here.orchestrator.execution(identifier)
            for each in details_of(error):
                filled.errors.setdefault(each["path"], []).append(each["message"])
            if verb == "replay" and filled.first("_inputs"):
                return await _again(request, filled=filled, problem=error)
            return await _show(request, filled=filled if verb in actions.FORMS else None, problem=error)
    back = filled.first("_tab")
    raise web.HTTPSeeOther(execution_url((after or {}).get("id") or identifier, tab=back if back in TABS[1:] else None))


async def delete(request: web.Request) -> web.StreamResponse:
    """Remove it from lists, with log, metrics and files; the record in Git stays. Then the other executions of its flow are shown."""
    orchestrator, identifier = context(request).orchestrator, execution_id(request)
    execution = await orchestrator.execution(identifier)
    try:
        if "delete" not in actions.allowed(request, execution):
            state = execution["state"]["current"]
            raise ConflictError(f"execution '{identifier}' is {state}: only what has ended can be deleted", hint="kill it first")
        await orchestrator.delete_execution(identifier)
    except PodiumError as error:
        return await _show(request, problem=error)
    response = web.HTTPSeeOther(link("/executions", namespace=execution["namespace"], flowId=execution["flowId"]))
    flash(response, text_for("execution.deleted", id=identifier), "ok")
    raise response


async def attempt_expression(request: web.Request) -> web.StreamResponse:
    """Try an expression, for who has no scripts."""
    here = context(request)
    async with read_form(request, text_limit=here.body_limit, file_limit=0) as form:
        expression, run = form.first("_expression"), form.first("_run")
    execution = await here.orchestrator.execution(execution_id(request))
    problem: PodiumError | None = None
    tried: Mapping[str, Any] | None = None
    try:
        tried = await here.orchestrator.evaluate(execution["id"], expression, task_run_id=run or None) if expression.strip() else None
    except PodiumError as error:
        problem = error
    values = await facts_of(request, execution, "outputs", problem=problem)
    drawn = await _drawn(request, execution, "outputs", values, expression=expression, tried=tried, tried_run=run)
    return await render(request, "executions/execution.html", status=status_of(problem) if problem else 200, parts=drawn, **values)


async def replay_page(request: web.Request) -> web.Response:
    """The form to replay with other inputs, from a task, with another revision."""
    return await _again(request)


async def _again(request: web.Request, *, filled: Filled | None = None, problem: PodiumError | None = None) -> web.Response:
    here, query = context(request), Query(request)
    execution = await here.orchestrator.execution(execution_id(request))
    values = await facts_of(request, execution, "overview")
    if "replay" not in values["verbs"]:
        raise web.HTTPSeeOther(execution_url(execution["id"]))
    asked = filled.first("_revision") if filled else query.text("revision") or ""
    revisions = await here.orchestrator.revisions(execution["namespace"], execution["flowId"])
    shown = [each.revision for each in revisions if not each.deleted][-_REVISIONS_SHOWN:][::-1]
    revision = int(asked) if asked.isdigit() and int(asked) in shown else execution.get("flowRevision")
    flow = await here.orchestrator.flow(execution["namespace"], execution["flowId"], revision=revision)
    chosen = filled.first("_taskRunId") if filled else query.text("taskRunId") or ""
    starts = [run for run in execution.get("taskRunList") or () if not run.get("parentTaskRunId")][:_REVISIONS_SHOWN * 4]
    known = next((run for run in execution.get("taskRunList") or () if run["id"] == chosen), None)
    if known is not None and known not in starts:
        starts.append(known)
    fields = [_kept(each) for each in fields_of(flow.model.inputs, filled or _as_before(execution))]
    values |= {"fields": fields, "revisions": shown, "revision": revision, "starts": starts, "chosen": chosen, "problem": problem}
    return await render(request, "executions/again.html", status=status_of(problem) if problem else 200, **values)


def _as_before(execution: View) -> Filled:
    """The inputs of the execution as if somebody had typed them."""
    filled = Filled()
    for name, value in _inputs("", hide(execution.get("inputs") or {})):
        filled.texts[name] = [str(each) for each in value] if isinstance(value, list) and value else [_typed(value)]
    return filled


def _inputs(path: str, values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in values.items():
        found.append((path + key, value))
        if isinstance(value, Mapping):
            found += _inputs(f"{path}{key}.", value)
    return found


def _typed(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else encode(value).decode("utf-8", "replace")


def _kept(field: Field) -> Field:
    """A field whose value need not be given again: what is left empty stays as it was."""
    note = "Stays as it was when left empty." if field.type in {"SECRET", "FILE"} else field.note
    return replace(field, required=False, note=note)


ROUTES = (
    page("GET", "/executions/{execution}", execution_page),
    page("GET", "/executions/{execution}/replay", replay_page, needs=Role.OPERATOR),
    page("POST", "/executions/{execution}/delete", delete, needs=Role.EDITOR),
    page("POST", "/executions/{execution}/try", attempt_expression, needs=Role.OPERATOR),
    page("POST", "/executions/{execution}/{verb}", act),
    page("GET", "/executions/{execution}/{verb}", form_page),
)
