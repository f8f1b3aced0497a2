"""Expressions that a person tries on an execution: what they give, with masks for secrets. Nothing is called, started or written.

Called by the orchestrator for `/executions/{id}/eval` and the page's expression box. What always holds: no secret is decrypted; the daemon's
loop does not wait; how long one may take, how many are tried at once and how much one may give are bounded.
"""

from __future__ import annotations

import asyncio
from typing import Any

from podium.base.errors import ExpressionError, InputError, NotFound
from podium.base.redact import Redactor
from podium.base.system.threads import in_own_thread
from podium.conductor.closing import Closer
from podium.conductor.core.conductor import Conductor
from podium.engine.context import variables
from podium.engine.state import Execution, TaskRun
from podium.engine.tree import FlowTree
from podium.rendering.renderer import Renderer
from podium.rendering.scope import Scope
from podium.storage.crypto import masked

EXPRESSION_CHARS_MAX = 64 * 1024
RESULT_CHARS_MAX = 1024 * 1024
_TAKES_S_MAX = 5.0
_AT_ONCE = 4


class Evaluating:
    """See the module's docstring."""

    def __init__(self, conductor: Conductor, closer: Closer, renderer: Renderer) -> None:
        self._conductor = conductor
        self._closer = closer
        self._renderer = renderer
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def evaluate(self, execution_id: str, expression: str, task_run_id: str | None = None) -> dict[str, Any]:
        """{result} or {error, stackTrace}. task_run_id: see it as this task run does. Raises NotFound, FlowNotFound, InputError."""
        if len(expression) > EXPRESSION_CHARS_MAX:
            raise InputError(f"an expression has at most {EXPRESSION_CHARS_MAX:,} characters", hint="try a part of it", input="expression")
        stream = self._conductor.stream(execution_id)
        state = stream.state if stream is not None and stream.state.id else await self._closer.state_to_look_at(execution_id)
        tree = stream.tree if stream is not None else self._conductor.library.tree(state.namespace, state.flow_id, state.revision, loop=state.loop)
        run = state.runs.get(task_run_id) if task_run_id is not None else None
        if task_run_id is not None and run is None:
            raise NotFound(f"execution {execution_id} has no task run '{task_run_id[:40]}'", hint="its taskRunList has their ids")
        known = Redactor(stream.redactor.given if stream is not None else ())
        async with self._turns:
            try:
                # What the loop may change meanwhile is copied before a thread reads it.
                seen = masked(variables(tree, state, run, inputs=state.inputs))
                async with asyncio.timeout(_TAKES_S_MAX):
                    result = await in_own_thread(self._look, expression, seen, _scope(state, tree, run, known))
            except ExpressionError as error:
                return {"error": error.what, "stackTrace": "\n".join(part for part in (error.what, error.hint, _place(error)) if part)}
            except TimeoutError:
                return {"error": f"the expression takes longer than {_TAKES_S_MAX:g} s", "stackTrace": ""}
        if len(result) > RESULT_CHARS_MAX:
            return {"error": f"the result has {len(result):,} characters, at most {RESULT_CHARS_MAX:,} are shown", "stackTrace": ""}
        return {"result": result}

    def _look(self, expression: str, seen: dict[str, Any], scope: Scope) -> str:
        return self._renderer.look(expression, seen, scope)


def _scope(state: Execution, tree: FlowTree, run: TaskRun | None, redactor: Redactor) -> Scope:
    return Scope(
        namespace=state.namespace, flow_id=state.flow_id, execution_id=state.id, task_run_id=run.id if run else None, source=state.source,
        commit=state.commit, dialect=tree.flow.dialect, redactor=redactor,
    )


def _place(error: ExpressionError) -> str:
    line, column = error.facts.get("line"), error.facts.get("column")
    return f"line {line}, column {column}" if line is not None else ""
