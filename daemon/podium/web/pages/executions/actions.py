"""The buttons of an execution: which are possible now and for whom, and what each does. They are plain forms.

What always holds: what is refused is said on the page, with what was typed; a button does the same as its call of the API.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from aiohttp import web

from podium.conductor.port import Orchestrator, View
from podium.flows.model import STATES, TERMINAL
from podium.web.api.actions import asked_for, waiting_task
from podium.web.api.executions import execution_id
from podium.web.api.inputs import inputs_of
from podium.web.errors import BadRequest
from podium.web.pages.flows.fields import Filled
from podium.web.params import Form, known_state, parse_labels
from podium.web.people.roles import Role, caller

RESTARTABLE = frozenset({"FAILED", "KILLED", "CANCELLED", "WARNING"})
HELD = frozenset({"QUEUED", "CREATED", "RESTARTED"})
ENDS = ("SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED")
RUN_STATES = ("SUCCESS", "WARNING", "FAILED", "SKIPPED")
"""What a task run of an ended execution can be set to."""


def possible(execution: Mapping[str, Any]) -> frozenset[str]:
    """The verbs that make sense in the state it is in."""
    state = execution["state"]["current"]
    if state in TERMINAL:
        found = {"replay", "change-status", "labels", "state", "delete"}
        if execution.get("loopRun"):
            found -= {"replay", "change-status", "state"}
        elif state in RESTARTABLE:
            found.add("restart")
        return frozenset(found)
    found = {"kill"} if state != "KILLING" else set[str]()
    if state == "RUNNING":
        found.add("pause")
    if state in HELD:
        found.add("force-run")
    if state == "QUEUED":
        found.add("unqueue")
    if state == "PAUSED":
        found.add("resume")
    return frozenset(found)


def allowed(request: web.Request, execution: Mapping[str, Any]) -> frozenset[str]:
    """Those of the possible verbs that the caller may use."""
    who, namespace = caller(request), execution["namespace"]
    if not who.may(Role.OPERATOR, namespace):
        return frozenset()
    return possible(execution) if who.may(Role.EDITOR, namespace) else possible(execution) - {"delete"}


async def _kill(orchestrator: Orchestrator, identifier: str, _form: Form, filled: Filled) -> View:
    return await orchestrator.kill(identifier, cascade="_cascade" in filled.texts or "_asked" not in filled.texts)


async def _restart(orchestrator: Orchestrator, identifier: str, _form: Form, filled: Filled) -> View:
    return await orchestrator.restart(identifier, revision=_revision(filled))


def _revision(filled: Filled) -> int | None:
    text = filled.first("_revision").strip()
    if not text:
        return None
    if not text.isdigit() or len(text) > 9:
        raise BadRequest(f"'{text[:20]}' is no revision", hint="choose one of the list")
    return int(text)


async def _replay(orchestrator: Orchestrator, identifier: str, form: Form, filled: Filled) -> View:
    revision, task_run_id = _revision(filled), filled.first("_taskRunId") or None
    if not filled.first("_inputs"):
        return await orchestrator.replay(identifier, task_run_id=task_run_id, revision=revision)
    execution = await orchestrator.execution(identifier)
    namespace, flow_id = execution["namespace"], execution["flowId"]
    flow = await orchestrator.flow(namespace, flow_id, revision=revision or execution.get("flowRevision"))
    inputs = await inputs_of(form, flow.model.inputs, orchestrator=orchestrator, namespace=namespace, flow_id=flow_id)
    return await orchestrator.replay(identifier, task_run_id=task_run_id, revision=revision, inputs=inputs)


async def _pause(orchestrator: Orchestrator, identifier: str, _form: Form, _filled: Filled) -> View:
    return await orchestrator.pause(identifier)


async def _resume(orchestrator: Orchestrator, identifier: str, form: Form, _filled: Filled) -> View:
    execution = await orchestrator.execution(identifier)
    declared = asked_for((await waiting_task(orchestrator, execution))[0])
    inputs = await inputs_of(form, declared, orchestrator=orchestrator, namespace=execution["namespace"], flow_id=execution["flowId"])
    return await orchestrator.resume(identifier, inputs=inputs)


def _review(by: str) -> Callable[[Orchestrator, str, Form, Filled], Awaitable[View]]:
    async def review(orchestrator: Orchestrator, identifier: str, form: Form, filled: Filled) -> View:
        execution = await orchestrator.execution(identifier)
        run_id = filled.first("_run") or None
        declared = asked_for((await waiting_task(orchestrator, execution, run_id))[0])
        approved = filled.first("_decision") == "APPROVED"
        inputs = await inputs_of(form, declared, orchestrator=orchestrator, namespace=execution["namespace"], flow_id=execution["flowId"])
        return await orchestrator.review(
            identifier, "APPROVED" if approved else "DENIED", by=by, comment=filled.first("_comment") or None, inputs=inputs if approved else None,
            task_run_id=run_id,
        )

    return review


async def _force_run(orchestrator: Orchestrator, identifier: str, _form: Form, _filled: Filled) -> View:
    return await orchestrator.force_run(identifier)


async def _unqueue(orchestrator: Orchestrator, identifier: str, _form: Form, filled: Filled) -> View:
    state = filled.first("_state") or "RUNNING"
    if state not in ("RUNNING", "CANCELLED", "FAILED"):
        raise BadRequest(f"'{state[:20]}' is no state of an unqueued execution", hint="choose one of the list")
    return await orchestrator.unqueue(identifier, state=cast(Any, state))


def _chosen(filled: Filled) -> str:
    state = filled.first("_state")
    if state not in STATES:
        raise BadRequest("no state was chosen", hint="choose one")
    return known_state(state, path="_state")


async def _change_status(orchestrator: Orchestrator, identifier: str, _form: Form, filled: Filled) -> View:
    return await orchestrator.change_status(identifier, _chosen(filled))


async def _set_run_state(orchestrator: Orchestrator, identifier: str, _form: Form, filled: Filled) -> View:
    return await orchestrator.change_task_run_state(identifier, filled.first("_taskRunId"), _chosen(filled))


async def _labels(orchestrator: Orchestrator, identifier: str, _form: Form, filled: Filled) -> View:
    labels = parse_labels([line for line in filled.first("_labels").splitlines() if line.strip()], path="_labels")
    return await orchestrator.set_labels(identifier, labels)


Action = Callable[[Orchestrator, str, Form, Filled], Awaitable[View]]
_ACTIONS: Mapping[str, Action] = {
    "kill": _kill, "restart": _restart, "replay": _replay, "pause": _pause, "resume": _resume, "force-run": _force_run, "unqueue": _unqueue,
    "change-status": _change_status, "state": _set_run_state, "labels": _labels,
}
VERBS = frozenset({*_ACTIONS, "review"})
FORMS = frozenset({"resume", "review", "replay"})
"""Their fields are shown again, with what is wrong with them."""


async def do(request: web.Request, orchestrator: Orchestrator, verb: str, *, form: Form, filled: Filled) -> View:
    """Do what a button says; the execution to go on with (a new one after a replay). Raises PodiumError."""
    action = _review(caller(request).name) if verb == "review" else _ACTIONS[verb]
    return await action(orchestrator, execution_id(request), form, filled) or {}

