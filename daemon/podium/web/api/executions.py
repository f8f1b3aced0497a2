"""Executions over the API: start, look, follow (flow-language 10.2). What is done to a running one is in actions."""

from __future__ import annotations

from aiohttp import web

from podium.base import limits
from podium.base.errors import FlowDisabled
from podium.conductor.port import StartRequest, View
from podium.web.api.flows import flow_view
from podium.web.api.inputs import inputs_of
from podium.web.context import Context, base_url, context
from podium.web.errors import Refused
from podium.web.live import follow_changes, follow_execution
from podium.web.params import Form, Query, read_form
from podium.web.people.roles import Role
from podium.web.routes import FLAG, INTEGER, MOMENT, OBJECT, TEXT, Body, Param, Route, ref
from podium.web.wire import answer, header_text

WAIT_S_DEFAULT = 600
_KEY_CHARS_MAX = 256
_PACE_MS_MAX = 10_000


def execution_id(request: web.Request) -> str:
    """The execution of the path."""
    return request.match_info["execution"]


def with_url(request: web.Request, execution: View) -> View:
    """The execution with the address of its page."""
    return {**execution, "url": f"{base_url(request)}/executions/{execution['id']}"}


async def start_request(context: Context, form: Form, query: Query, namespace: str, flow_id: str, *, dedupe_key: str | None = None) -> StartRequest:
    """What a form and a query ask for. Raises FlowNotFound, FlowDisabled, InputError."""
    revision = query.integer("revision")
    flow = await context.orchestrator.flow(namespace, flow_id, revision=revision)
    if flow.model.disabled:
        raise FlowDisabled(f"flow '{namespace}.{flow_id}' is disabled", hint="remove `disabled: true` from its file and push")
    inputs = await inputs_of(form, flow.model.inputs, orchestrator=context.orchestrator, namespace=namespace, flow_id=flow_id)
    return StartRequest(
        namespace=namespace, flow_id=flow_id, revision=revision, inputs=inputs, labels=query.labels(), schedule_date=query.moment("scheduleDate"),
        dedupe_key=dedupe_key,
    )


async def _start(request: web.Request) -> web.Response:
    here, query = context(request), Query(request)
    wait, wait_s = query.flag("wait"), query.integer("waitSeconds", WAIT_S_DEFAULT, high=limits.WAIT_S_MAX)
    key = request.headers.get("Idempotency-Key")
    key = header_text(key) if key is not None else None
    if key is not None and not 0 < len(key) <= _KEY_CHARS_MAX:
        raise Refused(f"an Idempotency-Key has 1 to {_KEY_CHARS_MAX} characters", hint="send a UUID, for example", path="Idempotency-Key")
    namespace, flow_id = request.match_info["namespace"], request.match_info["flow"]
    if (refusal := here.orchestrator.behind()) is not None:
        raise refusal
    async with read_form(request, text_limit=here.body_limit, file_limit=here.upload_limit) as form:
        wanted = await start_request(here, form, query, namespace, flow_id, dedupe_key=f"api/{namespace}/{flow_id}/{key}" if key else None)
        execution = await here.orchestrator.start(wanted)
    if wait:
        execution = await here.orchestrator.wait(execution["id"], timeout_s=wait_s)
    return answer(with_url(request, execution))


async def _validate(request: web.Request) -> web.Response:
    here = context(request)
    namespace, flow_id = request.match_info["namespace"], request.match_info["flow"]
    async with read_form(request, text_limit=here.body_limit, file_limit=here.upload_limit) as form:
        wanted = await start_request(here, form, Query(request), namespace, flow_id)
        found = await here.orchestrator.validate_inputs(wanted)
        failing = await here.orchestrator.validate_checks(wanted)
    return answer({"id": flow_id, "namespace": namespace, "inputs": found, "checks": failing})


async def _get(request: web.Request) -> web.Response:
    return answer(await context(request).orchestrator.execution(execution_id(request)))


async def _flow(request: web.Request) -> web.Response:
    orchestrator = context(request).orchestrator
    execution = await orchestrator.execution(execution_id(request))
    flow = await orchestrator.flow(execution["namespace"], execution["flowId"], revision=execution.get("flowRevision"))
    return answer(flow_view(flow, source=False))


async def _record(request: web.Request) -> web.Response:
    orchestrator = context(request).orchestrator
    await orchestrator.execution(execution_id(request))
    return answer({"record": await orchestrator.record(execution_id(request))})


async def _outputs(request: web.Request) -> web.Response:
    execution = await context(request).orchestrator.execution(execution_id(request))
    runs = execution.get("taskRunList") or []
    return answer({run["id"]: run.get("outputs") or {} for run in runs})


async def _follow(request: web.Request) -> web.StreamResponse:
    here = context(request)
    return await follow_execution(request, here.hub, execution_id(request))


async def _changes(request: web.Request) -> web.StreamResponse:
    query = Query(request)
    pace_ms = query.integer("paceMs", 0, low=0, high=_PACE_MS_MAX) or 0
    return await follow_changes(request, context(request).hub, query.text("executionId"), pace_s=pace_ms / 1000)


_START = (
    Param(name="labels", about="key:value, may repeat"), Param(name="revision", schema=INTEGER),
    Param(name="scheduleDate", schema=MOMENT, about="start later"),
)
_INPUTS = Body(
    content={"multipart/form-data": OBJECT, "application/json": OBJECT, "application/x-www-form-urlencoded": OBJECT},
    about="one part per input, files as file parts; or a JSON object of inputs",
)
_FLOW = "/executions/{namespace}/{flow}"
_ONE = "/executions/{execution}"
_EXECUTION = ref("Execution")

LOOKS = [
    Route(
        method="GET", path="/events", handler=_changes, about="Changes of executions, flows and triggers as they happen", tag="executions",
        query=(Param(name="executionId"), Param(name="paceMs", schema=INTEGER, about="one event, a list, at most once in so many milliseconds")),
        content="text/event-stream", answers={200: TEXT}, errors=(422, 429), stream=True,
    ),
    Route(
        method="GET", path=_ONE, handler=_get, about="One execution", tag="executions", answers={200: _EXECUTION}, errors=(404,),
    ),
    Route(
        method="GET", path=_ONE + "/follow", handler=_follow, about="One execution as it changes: ids start, progress, end", tag="executions",
        content="text/event-stream", answers={200: TEXT}, errors=(404, 429), stream=True,
    ),
    Route(
        method="GET", path=_ONE + "/flow", handler=_flow, about="The flow an execution runs", tag="executions",
        answers={200: ref("Flow")}, errors=(404,),
    ),
    Route(
        method="GET", path=_ONE + "/record", handler=_record, about="The record as committed, null before that", tag="executions",
        answers={200: ref("Record")}, errors=(404,),
    ),
    Route(method="GET", path="/outputs/{execution}", handler=_outputs, about="Outputs by task run id", tag="executions",
        answers={200: ref("Outputs")}, errors=(404,),
    ),
]
STARTS = [
    Route(
        needs=Role.VIEWER,
        method="POST", path=_FLOW + "/validate", handler=_validate, about="Check inputs; starts nothing", tag="executions", query=_START[:2],
        body=_INPUTS, answers={200: ref("CheckedInputs")}, errors=(404, 409, 422),
    ),
    Route(
        method="POST", path=_FLOW, handler=_start, about="Start an execution", tag="executions", body=_INPUTS, answers={200: _EXECUTION},
        errors=(400, 404, 409, 422, 429), also=("/executions/trigger/{namespace}/{flow}",),
        query=(
            *_START, Param(name="wait", schema=FLAG, about="answer when it has ended"),
            Param(name="waitSeconds", schema=INTEGER, about=f"wait at most this long, default {WAIT_S_DEFAULT}"),
            Param(name="Idempotency-Key", place="header", about="a second call with this key starts nothing"),
        ),
    ),
]
