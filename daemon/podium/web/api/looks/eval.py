"""Expressions that a person tries on an execution (flow-language 10.2)."""

from __future__ import annotations

from aiohttp import web

from podium.web.api.executions import execution_id
from podium.web.context import context
from podium.web.errors import BadRequest
from podium.web.params import read_text
from podium.web.routes import TEXT, Body, Route
from podium.web.wire import answer

_BYTES_MAX = 256 * 1024


async def _evaluate(request: web.Request) -> web.Response:
    expression = await read_text(request, limit=_BYTES_MAX)
    if not expression.strip():
        raise BadRequest("the body is empty", hint="send the expression as text: {{ outputs.extract.rows }}")
    run = request.match_info.get("taskRun")
    return answer(await context(request).orchestrator.evaluate(execution_id(request), expression, task_run_id=run))


_EXPRESSION = Body(content={"text/plain": TEXT}, required=True, about="a template: {{ outputs.extract.rows }}")
_ANSWERS = {200: {"type": "object", "properties": {"result": TEXT, "error": TEXT, "stackTrace": TEXT}}}
_ABOUT = "What an expression gives on this execution; secrets are masks, nothing is called or started"
_ONE = "/executions/{execution}"

ROUTES = [
    Route(
        method="POST", path=_ONE + "/eval", handler=_evaluate, about=_ABOUT, tag="executions", body=_EXPRESSION, answers=_ANSWERS,
        also=("/executions/{execution}/actions/eval",),
        errors=(400, 404, 413, 422),
    ),
    Route(
        method="POST", path=_ONE + "/eval/{taskRun}", handler=_evaluate, about=_ABOUT + ", as a task run of it sees it", tag="executions",
        body=_EXPRESSION, answers=_ANSWERS, errors=(400, 404, 413, 422), also=("/executions/{execution}/actions/eval/{taskRun}",),
    ),
]
