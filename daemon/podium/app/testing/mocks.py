"""Tasks that a test mocks: the engine makes one attempt of each, and this worker answers it without the task's plug-in.

Called by wiring, which takes `tree` and `worker` in place of the real ones. What always holds: `run` of a mocked task is never called,
whatever kind of task it is; `runIf` is evaluated all the same, as it is the flow's logic and not the task's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from pydantic import PrivateAttr

from podium.base.errors import PodiumError
from podium.base.ports import LogSink
from podium.base.redact import Redactor
from podium.engine.tree import FlowTree, item_values
from podium.flows.model import Flow, Task
from podium.flows.suites.model import TaskFixture
from podium.plugin import Result, RunContext, TaskFailed
from podium.rendering.renderer import Scope
from podium.workers.work import Ended, Work
from podium.workers.worker import Worker


class StandIn(Task):
    """What a worker carries out in the place of a mocked task: nothing. What it gives is no property of it, as it may look like a template."""

    KIND: ClassVar[str] = "inline"
    _gives: Callable[[], Result] = PrivateAttr(default=Result)

    def run(self, _ctx: RunContext) -> Result:
        """End as it was told."""
        return self._gives()

    def giving(self, gives: Callable[[], Result]) -> StandIn:
        """Itself, told what to give."""
        self._gives = gives
        return self


@dataclass(frozen=True, kw_only=True)
class Mocks:
    """The mocked tasks of one flow in one case. files: name → URI, what the fixtures see as `files`."""

    namespace: str
    flow_id: str
    fixtures: Sequence[TaskFixture] = ()
    files: dict[str, str] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)
    """Tasks that were run, or answered for."""

    def tree(self, flow: Flow) -> FlowTree:
        """The engine's view of a flow."""
        mine = (flow.namespace, flow.id) == (self.namespace, self.flow_id)
        return FlowTree(flow, self.covers if mine and self.fixtures else None)

    def worker(self, **parts: Any) -> Worker:
        """A worker that answers for the mocked tasks. parts: see Worker."""
        return _MockingWorker(self, **parts)

    def covers(self, task_id: str, values: Sequence[str]) -> bool:
        """Whether this run of a task is mocked."""
        return self.number_of(task_id, values) is not None

    def number_of(self, task_id: str, values: Sequence[str]) -> int | None:
        """Which fixture holds for a run: one for a value of its loops (the innermost first), else one for all values."""
        mine = [(number, each) for number, each in enumerate(self.fixtures) if each.id == task_id]
        for value in reversed(values):
            for number, each in mine:
                if each.value is not None and _same_value(each.value, value):
                    return number
        return next((number for number, each in mine if each.value is None), None)


class _MockingWorker(Worker):
    def __init__(self, mocks: Mocks, **parts: Any) -> None:
        super().__init__(**parts)
        self._mocks = mocks

    async def run(self, work: Work, sink: LogSink) -> Ended:
        """See Worker.run."""
        mocks = self._mocks
        if (work.namespace, work.flow_id) != (mocks.namespace, mocks.flow_id):
            return await super().run(work, sink)
        number = mocks.number_of(work.task.id, list(_values(work.variables)))
        if number is not None:
            work = replace(work, task=await self._stand_in(work, mocks.fixtures[number]))
        ended = await super().run(work, sink)
        if ended.state != "SKIPPED":
            mocks.reached.add(work.task.id)
        return ended

    async def _stand_in(self, work: Work, fixture: TaskFixture) -> StandIn:
        task = work.task
        scope = Scope(
            namespace=work.namespace, flow_id=work.flow_id, execution_id=work.execution_id, task_run_id=work.task_run_id, source=work.source,
            commit=work.commit, dialect=work.dialect, redactor=work.redactor or Redactor(),
        )
        variables = {**work.variables, "files": self._mocks.files}
        made = StandIn(id=task.id, type=task.type, run_if=task.run_if, log_level=task.log_level)
        try:
            outputs, error = await asyncio.to_thread(self._tools.renderer.value, [fixture.outputs, fixture.error], variables, scope)
        except PodiumError as broken:
            return made.giving(_failing(f"the fixture of task '{task.id}' cannot be rendered: {broken.what}", {}))
        if fixture.state == "FAILED":
            return made.giving(_failing(error or f"task '{task.id}' is mocked as FAILED", outputs))
        return made.giving(lambda: Result(state=fixture.state, outputs=outputs))


def _failing(message: str, outputs: Mapping[str, Any]) -> Callable[[], Result]:
    def fail() -> Result:
        raise TaskFailed(message, outputs=outputs)

    return fail


def _values(variables: Mapping[str, Any]) -> Iterator[str]:
    """The values of the loops around a run, outermost first."""
    item = variables.get("item")
    if isinstance(item, Mapping):
        yield from item_values(item)
    for holder in (*reversed(variables.get("parents") or ()), variables):
        run = holder.get("taskrun") if isinstance(holder, Mapping) else None
        value = run.get("value") if isinstance(run, Mapping) else None
        if value is not None:
            yield str(value)


def _same_value(written: str, value: str) -> bool:
    """Whether a fixture's value is that of an iteration; JSON may be written in other ways."""
    if written == value:
        return True
    if not (written[:1] in "[{" and value[:1] in "[{"):
        return False
    try:
        return bool(json.loads(written) == json.loads(value))
    except (ValueError, RecursionError):
        return False
