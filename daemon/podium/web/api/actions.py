"""What is done to one execution over the API: kill, restart, replay, pause, resume, states, labels. Many at once: commands/bulk.

Source: flow-language 9.4-9.7 and 10.2.
"""

from __future__ import annotations

from typing import Any, cast

from aiohttp import web

from podium.base import limits
from podium.base.system.base62 import LENGTH
from podium.conductor.port import Orchestrator, View
from podium.flows.model import Approval, Pause
from podium.web.api.executions import execution_id, with_url
from podium.web.api.flows import find_task
from podium.web.api.inputs import inputs_of
from podium.web.context import context
from podium.web.errors import BadRequest, Refused
from podium.web.params import Query, known_state, label_list, read_form, read_json, read_object
from podium.web.people.roles import Role, done_by
from podium.web.routes import FLAG, INTEGER, OBJECT, TEXT, Body, Param, Route, ref
from podium.web.wire import answer


async def _kill(request: web.Request) -> web.Response:
    cascade = Query(request).flag("isOnKillCascade", default=True)
    return answer(await context(request).orchestrator.kill(execution_id(request), cascade=cascade), status=202)


async def _restart(request: web.Request) -> web.Response:
    revision = Query(request).integer("revision")
    return answer(with_url(request, await context(request).orchestrator.restart(execution_id(request), revision=revision)))


async def _replay(request: web.Request) -> web.Response:
    query = Query(request)
    task_run_id, revision = query.text("taskRunId"), query.integer("revision")
    return answer(with_url(request, await context(request).orchestrator.replay(execution_id(request), task_run_id=task_run_id, revision=revision)))


async def _replay_with_inputs(request: web.Request) -> web.Response:
    here, query, identifier = context(request), Query(request), execution_id(request)
    task_run_id, revision = query.text("taskRunId"), query.integer("revision")
    execution = await here.orchestrator.execution(identifier)
    namespace, flow_id = execution["namespace"], execution["flowId"]
    flow = await here.orchestrator.flow(namespace, flow_id, revision=revision or execution.get("flowRevision"))
    async with read_form(request, text_limit=here.body_limit, file_limit=here.upload_limit) as form:
        inputs = await inputs_of(form, flow.model.inputs, orchestrator=here.orchestrator, namespace=namespace, flow_id=flow_id)
        view = await here.orchestrator.replay(identifier, task_run_id=task_run_id, revision=revision, inputs=inputs)
    return answer(with_url(request, view))


async def _pause(request: web.Request) -> web.Response:
    return answer(await context(request).orchestrator.pause(execution_id(request)))


async def resume(request: web.Request, identifier: str) -> View:
    """Resume with the inputs in the request's form; files are kept as for a start. Also for the pages."""
    here = context(request)
    execution = await here.orchestrator.execution(identifier)
    async with read_form(request, text_limit=here.body_limit, file_limit=here.upload_limit) as form:
        declared = asked_for((await waiting_task(here.orchestrator, execution))[0])
        inputs = await inputs_of(
            form, declared, orchestrator=here.orchestrator, namespace=execution["namespace"], flow_id=execution["flowId"]
        )
        return await here.orchestrator.resume(identifier, inputs=inputs)


async def waiting_task(orchestrator: Orchestrator, execution: View, run_id: str | None = None) -> tuple[Pause | Approval | None, str]:
    """The first task of `execution` that waits for somebody (or that of the run named), and the id of its run."""
    paused = [run for run in execution.get("taskRunList") or [] if run["state"]["current"] == "PAUSED" and run_id in (None, run["id"])]
    if not paused:
        return None, ""
    flow = await orchestrator.flow(execution["namespace"], execution["flowId"], revision=execution.get("flowRevision"))
    tasks = ((find_task(flow.model, run["taskId"]), str(run["id"])) for run in paused)
    return next(((task, found) for task, found in tasks if isinstance(task, (Pause, Approval))), (None, ""))


def asked_for(task: Pause | Approval | None) -> list[Any]:
    """The inputs that a waiting task asks for."""
    return list(task.inputs if isinstance(task, Approval) else task.on_resume if task is not None else ())


async def _resume(request: web.Request) -> web.Response:
    await resume(request, execution_id(request))
    return web.Response(status=204)


async def _validate_resume(request: web.Request) -> web.Response:
    here, identifier = context(request), execution_id(request)
    execution = await here.orchestrator.execution(identifier)
    namespace, flow_id = execution["namespace"], execution["flowId"]
    async with read_form(request, text_limit=here.body_limit, file_limit=here.upload_limit) as form:
        declared = asked_for((await waiting_task(here.orchestrator, execution))[0])
        inputs = await inputs_of(form, declared, orchestrator=here.orchestrator, namespace=namespace, flow_id=flow_id)
        found = await here.orchestrator.validate_answers(identifier, inputs)
    return answer({"id": flow_id, "namespace": namespace, "inputs": found})


async def _review(request: web.Request) -> web.Response:
    body = await read_object(request, limit=limits.BODY_BYTES_MAX)
    decision = str(body.get("decision") or "").upper()
    comment, inputs, reviewer, run_id = body.get("comment"), body.get("inputs"), body.get("by"), body.get("taskRunId")
    if decision not in ("APPROVED", "DENIED"):
        raise BadRequest("the body needs 'decision'", hint='send {"decision": "APPROVED"} or {"decision": "DENIED", "comment": "…"}')
    if not all(isinstance(each, str | None) for each in (comment, reviewer, run_id)) or not isinstance(inputs, dict | None):
        what = "'comment', 'by' and 'taskRunId' are text, 'inputs' is a map"
        raise BadRequest(what, hint='send {"decision": "APPROVED", "inputs": {"name": "value"}}')
    view = await context(request).orchestrator.review(
        execution_id(request), "APPROVED" if decision == "APPROVED" else "DENIED", by=done_by(request, reviewer or ""), comment=comment,
        inputs=inputs, task_run_id=run_id,
    )
    return answer(with_url(request, view))


async def _state(request: web.Request) -> web.Response:
    body = await read_object(request, limit=limits.BODY_BYTES_MAX)
    task_run_id, state = body.get("taskRunId"), body.get("state")
    if not isinstance(task_run_id, str) or not isinstance(state, str):
        raise BadRequest("the body needs 'taskRunId' and 'state'", hint='send {"taskRunId": "…", "state": "SUCCESS"}')
    orchestrator = context(request).orchestrator
    return answer(await orchestrator.change_task_run_state(execution_id(request), task_run_id, known_state(state, path="state")))


async def _change_status(request: web.Request) -> web.Response:
    status = known_state(Query(request).required("status").upper(), path="status")
    return answer(await context(request).orchestrator.change_status(execution_id(request), status))


async def _labels(request: web.Request) -> web.Response:
    labels = label_list(await read_json(request, limit=limits.BODY_BYTES_MAX))
    return answer(await context(request).orchestrator.set_labels(execution_id(request), labels))


async def _force_run(request: web.Request) -> web.Response:
    return answer(await context(request).orchestrator.force_run(execution_id(request)))


async def _unqueue(request: web.Request) -> web.Response:
    state = (Query(request).text("state") or "RUNNING").upper()
    if state not in ("RUNNING", "CANCELLED", "FAILED"):
        raise Refused(f"'{state}' is no state of an unqueued execution", hint="use RUNNING, CANCELLED or FAILED", path="state")
    return answer(await context(request).orchestrator.unqueue(execution_id(request), state=cast(Any, state)))


_ONE = f"/executions/{{execution:{'[0-9A-Za-z]' * LENGTH}}}"
"""Ids only, so that a flow may be called `pause` or `state`: its start has the same form, /executions/<namespace>/<flow>."""
_EXECUTION = ref("Execution")
_REVISION = Param(name="revision", schema=INTEGER)


def _verb(method: str, verb: str, handler: Any, about: str, **more: Any) -> Route:
    return Route(
        **{
            "method": method, "path": f"{_ONE}/{verb}", "also": (f"{_ONE}/actions/{verb}",), "handler": handler, "about": about, "tag": "executions",
            "answers": {200: _EXECUTION}, "errors": (404, 409, 422), **more,
        }
    )


ROUTES = [
    _verb(
        "DELETE", "kill", _kill, "Kill an execution, and those it started", answers={202: _EXECUTION},
        query=(Param(name="isOnKillCascade", schema=FLAG, about="default true"),),
    ),
    _verb("POST", "restart", _restart, "Run the failed tasks again; with a revision: a new execution", query=(_REVISION,)),
    _verb("POST", "replay", _replay, "A new execution like this one, from a task run on", query=(Param(name="taskRunId"), _REVISION)),
    _verb(
        "POST", "replay-with-inputs", _replay_with_inputs, "As replay, with other values for some inputs; the others stay as they were",
        query=(Param(name="taskRunId"), _REVISION), body=Body(content={"multipart/form-data": OBJECT, "application/json": OBJECT}),
        errors=(400, 404, 409, 413, 422),
    ),
    _verb("POST", "pause", _pause, "Start no further task until resumed"),
    _verb(
        "POST", "resume", _resume, "Go on after a pause; the form holds the inputs the pause asks for", answers={204: None},
        body=Body(content={"multipart/form-data": OBJECT, "application/json": OBJECT}),
    ),
    _verb(
        "POST", "resume/validate", _validate_resume, "Check what a resume would be given; resumes nothing", needs=Role.VIEWER,
        answers={200: ref("CheckedInputs")},
        body=Body(content={"multipart/form-data": OBJECT, "application/json": OBJECT}),
    ),
    _verb(
        "POST", "review", _review, "Decide about the approval that waits", errors=(400, 404, 409, 422),
        body=Body(
            required=True,
            content={"application/json": {
                "type": "object", "required": ["decision"],
                "properties": {"decision": {"enum": ["APPROVED", "DENIED"]}, "comment": TEXT, "inputs": OBJECT, "by": TEXT, "taskRunId": TEXT},
            }},
        ),
    ),
    _verb(
        "POST", "state", _state, "Set one task run's state and go on from there", errors=(400, 404, 409, 422),
        body=Body(
            required=True,
            content={
                "application/json": {"type": "object", "required": ["taskRunId", "state"], "properties": {"taskRunId": TEXT, "state": TEXT}}
            },
        ),
    ),
    _verb(
        "POST", "change-status", _change_status, "Give an ended execution another end", errors=(400, 404, 409, 422),
        query=(Param(name="status", required=True),),
    ),
    _verb(
        "POST", "labels", _labels, "Add labels to an ended execution", errors=(400, 404, 409, 422),
        body=Body(content={"application/json": {"type": "array", "items": ref("Label")}}, required=True),
    ),
    _verb("POST", "force-run", _force_run, "Run it now, whatever holds it back"),
    _verb(
        "POST", "unqueue", _unqueue, "Begin a QUEUED execution whatever the limit, or end it without having run", errors=(400, 404, 409, 422),
        query=(Param(name="state", about="RUNNING (default), CANCELLED or FAILED"),),
    ),
]
