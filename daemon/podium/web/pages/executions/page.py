"""The pages of executions: the list, one execution, and what is done to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from podium.base import limits
from podium.base.errors import FlowNotFound, NotFound, PodiumError
from podium.base.ports import FlowRevision
from podium.conductor.port import Orchestrator, View
from podium.flows.model import STATES, TERMINAL, Approval
from podium.web.api.actions import asked_for, waiting_task
from podium.web.api.executions import execution_id
from podium.web.api.inputs import inputs_of
from podium.web.context import context
from podium.web.errors import BadRequest, details_of, status_of
from podium.web.pages.flows.fields import Filled, fields_of, sent
from podium.web.pages.render import execution_url, form_page, page, render
from podium.web.pages.text import commit_url
from podium.web.pages.timeline import timeline
from podium.web.params import Form, Query, known_state, parse_labels, read_form
from podium.web.wire import pretty

TABS = ("overview", "data", "metrics", "record")
LOGS_SHOWN = 300
_RUNS_SHOWN = 200
_LOG_BATCH, _LOG_BATCHES = 10_000, 20
"""How much of a log is looked through for its last lines; the rest is for the download."""


async def execution_page(request: web.Request) -> web.Response:
    """One execution. ?tab= chooses what is shown below the head."""
    return await _execution_page(request)


async def _execution_page(request: web.Request, *, filled: Filled | None = None, problem: PodiumError | None = None) -> web.Response:
    here, query = context(request), Query(request)
    orchestrator, tab = here.orchestrator, query.text("tab") or "overview"
    if tab not in TABS:
        raise NotFound(f"an execution has no page '{tab[:40]}'", hint=f"there are {', '.join(TABS)}")
    execution = await orchestrator.execution(execution_id(request))
    flow = await _flow_of(orchestrator, execution)
    pinned = execution.get("git") or ({"source": flow.source, "commit": flow.commit} if flow else {})
    commit = pinned.get("commit")
    source = next((each for each in here.sources.status() if each.get("name") == pinned.get("source")), {})
    state = execution["state"]["current"]
    waiting, waiting_run = await waiting_task(orchestrator, execution) if state == "PAUSED" and flow else (None, "")
    values: dict[str, Any] = {
        "execution": execution, "state": state, "flow": flow, "commit": commit,
        "commit_href": commit_url(str(source.get("url") or ""), commit) if commit else None,
        "tab": tab, "paused": fields_of(asked_for(waiting), filled), "approval": waiting if isinstance(waiting, Approval) else None,
        "waiting_run": waiting_run,
        "filled": filled or Filled(), "problem": problem, "ended": state in TERMINAL,
        "ends": sorted(TERMINAL - {"SKIPPED", "RETRIED", state}),
        "children": (await orchestrator.executions(trigger_execution_id=execution["id"], size=20))[0],
        "logs_shown": LOGS_SHOWN, "tabs": TABS,
    }
    values |= await _TAB_VALUES[tab](orchestrator, execution, query, here.clock.now())
    return await render(request, "executions/execution.html", status=status_of(problem) if problem else 200, **values)


async def _flow_of(orchestrator: Orchestrator, execution: View) -> FlowRevision | None:
    try:
        return await orchestrator.flow(execution["namespace"], execution["flowId"], revision=execution.get("flowRevision"))
    except FlowNotFound:
        return None


async def _overview(orchestrator: Orchestrator, execution: View, query: Query, now: Any) -> dict[str, Any]:
    number = query.integer("runs", 1, high=limits.TASK_RUNS_MAX) or 1
    tree = timeline(execution, now, skip=(number - 1) * _RUNS_SHOWN, limit=_RUNS_SHOWN)
    level, task_run_id, wanted = query.level(), query.text("taskRunId"), query.text("q") or ""
    entries, total, last_seq = await _last_lines(orchestrator, execution["id"], wanted.lower(), level=level, task_run_id=task_run_id)
    return {
        "tree": tree, "runs_page": number, "runs_size": _RUNS_SHOWN, "entries": entries, "log_total": total, "level": level,
        "task_run_id": task_run_id or "", "wanted": wanted, "last_seq": last_seq,
    }


async def _last_lines(
    orchestrator: Orchestrator, execution: str, wanted: str, *, level: str, task_run_id: str | None
) -> tuple[list[dict[str, Any]], int, int]:
    """The last lines that match, how many match, and the seq of the last line looked at."""
    kept: deque[dict[str, Any]] = deque(maxlen=LOGS_SHOWN)
    total = seen = 0
    for _ in range(_LOG_BATCHES):
        entries = await orchestrator.logs(execution, after_seq=seen, min_level=level, task_run_id=task_run_id, limit=_LOG_BATCH)
        found = [each for each in entries if wanted in str(each.get("message", "")).lower()] if wanted else entries
        kept.extend(found)
        total += len(found)
        seen = max((int(each.get("seq", 0)) for each in entries), default=seen)
        if len(entries) < _LOG_BATCH:
            break
    return list(kept), total, seen


async def _data(_orchestrator: Orchestrator, execution: View, _query: Query, _now: Any) -> dict[str, Any]:
    runs = [run for run in execution.get("taskRunList") or [] if run.get("outputs")]
    return {"with_outputs": runs[:_RUNS_SHOWN], "more_outputs": max(0, len(runs) - _RUNS_SHOWN)}


async def _metrics(orchestrator: Orchestrator, execution: View, _query: Query, _now: Any) -> dict[str, Any]:
    return {"metrics": await orchestrator.metrics(execution["id"])}


async def _record(orchestrator: Orchestrator, execution: View, _query: Query, _now: Any) -> dict[str, Any]:
    record = await orchestrator.record(execution["id"])
    body = record.get("body") if record else None
    return {"record": record, "body": body if isinstance(body, str) else pretty(body) if body is not None else ""}


_TAB_VALUES: Mapping[str, Callable[[Orchestrator, View, Query, Any], Awaitable[dict[str, Any]]]] = {
    "overview": _overview, "data": _data, "metrics": _metrics, "record": _record,
}


async def act(request: web.Request) -> web.StreamResponse:
    """Do what a button says, then show the execution (a new one after a replay). What is refused is said on the page."""
    here, identifier, verb = context(request), execution_id(request), request.match_info["verb"]
    action = _ACTIONS.get(verb)
    if action is None:
        raise NotFound(f"there is no action '{verb[:40]}'", hint=f"there are {', '.join(_ACTIONS)}")
    async with read_form(request, text_limit=here.body_limit, file_limit=here.upload_limit) as raw:
        form, filled = sent(raw)
        try:
            after = await action(here.orchestrator, identifier, form, filled)
        except PodiumError as error:
            await here.orchestrator.execution(identifier)
            for each in details_of(error):
                filled.errors.setdefault(each["path"], []).append(each["message"])
            return await _execution_page(request, filled=filled if verb in ("resume", "review") else None, problem=error)
    raise web.HTTPSeeOther(execution_url((after or {}).get("id") or identifier))


Action = Callable[[Orchestrator, str, Form, Filled], Awaitable[View]]


async def _kill(orchestrator: Orchestrator, identifier: str, _form: Form, _filled: Filled) -> View:
    return await orchestrator.kill(identifier)


async def _restart(orchestrator: Orchestrator, identifier: str, _form: Form, _filled: Filled) -> View:
    return await orchestrator.restart(identifier)


async def _replay(orchestrator: Orchestrator, identifier: str, _form: Form, filled: Filled) -> View:
    return await orchestrator.replay(identifier, task_run_id=filled.first("_taskRunId") or None)


async def _pause(orchestrator: Orchestrator, identifier: str, _form: Form, _filled: Filled) -> View:
    return await orchestrator.pause(identifier)


async def _resume(orchestrator: Orchestrator, identifier: str, form: Form, _filled: Filled) -> View:
    execution = await orchestrator.execution(identifier)
    declared = asked_for((await waiting_task(orchestrator, execution))[0])
    inputs = await inputs_of(form, declared, orchestrator=orchestrator, namespace=execution["namespace"], flow_id=execution["flowId"])
    return await orchestrator.resume(identifier, inputs=inputs)


async def _review(orchestrator: Orchestrator, identifier: str, form: Form, filled: Filled) -> View:
    execution = await orchestrator.execution(identifier)
    run_id = filled.first("_run") or None
    declared = asked_for((await waiting_task(orchestrator, execution, run_id))[0])
    approved = filled.first("_decision") == "APPROVED"
    inputs = await inputs_of(form, declared, orchestrator=orchestrator, namespace=execution["namespace"], flow_id=execution["flowId"])
    return await orchestrator.review(
        identifier, "APPROVED" if approved else "DENIED", comment=filled.first("_comment") or None, inputs=inputs if approved else None,
        task_run_id=run_id,
    )


async def _force_run(orchestrator: Orchestrator, identifier: str, _form: Form, _filled: Filled) -> View:
    return await orchestrator.force_run(identifier)


async def _change_status(orchestrator: Orchestrator, identifier: str, _form: Form, filled: Filled) -> View:
    state = filled.first("_state")
    if state not in STATES:
        raise BadRequest("no state was chosen", hint="choose one")
    return await orchestrator.change_status(identifier, known_state(state, path="_state"))


async def _labels(orchestrator: Orchestrator, identifier: str, _form: Form, filled: Filled) -> View:
    labels = parse_labels([line for line in filled.first("_labels").splitlines() if line.strip()], path="_labels")
    return await orchestrator.set_labels(identifier, labels)


_ACTIONS: Mapping[str, Action] = {
    "kill": _kill, "restart": _restart, "replay": _replay, "pause": _pause, "resume": _resume, "review": _review, "force-run": _force_run,
    "change-status": _change_status,
    "labels": _labels,
}


ROUTES = (
    page("GET", "/executions/{execution}", execution_page),
    page("POST", "/executions/{execution}/{verb}", act),
    page("GET", "/executions/{execution}/{verb}", form_page),
)
