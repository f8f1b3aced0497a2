"""From "it happened" to an execution: conditions, inputs and labels of a trigger, then the start. Called by every runner and the webhook.

What always holds: whatever cannot be evaluated becomes an execution that FAILED with the reason, never silence; rendering that
may wait for the world (secrets, files, HTTP) happens in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Any, TypeVar

from podium.base.errors import FlowNotFound, PodiumError, TakesLong
from podium.base.ports import FlowRevision
from podium.base.redact import Redactor
from podium.base.system.clock import Clock
from podium.base.system.log import get_logger
from podium.conductor.port import Orchestrator, StartRequest, View
from podium.expressions.compile import is_pure
from podium.expressions.text import java_text
from podium.flows.model import Flow, Trigger
from podium.rendering.conditions import conditions_hold
from podium.rendering.renderer import Renderer, Scope
from podium.storage.task_files import TaskFiles

log = get_logger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Armed:
    """A trigger of a deployed flow."""

    revision: FlowRevision
    trigger: Trigger

    @property
    def flow(self) -> Flow:
        """The flow that is started."""
        flow: Flow = self.revision.model
        return flow

    @property
    def place(self) -> tuple[str, str, str]:
        """Namespace, flow id, trigger id."""
        return self.revision.namespace, self.revision.flow_id, self.trigger.id

    @property
    def name(self) -> str:
        """`namespace/flow/trigger`, for bells, keys and logs."""
        return "/".join(self.place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that may start an execution.

    variables: what `trigger.*` is, and what is recorded. seen: the same as conditions and inputs see it, when that is more.
    key: names the event; the second one with this key starts nothing. cursor: the trigger's state from then on.
    """

    variables: Mapping[str, Any]
    seen: Mapping[str, Any] | None = None
    key: str | None = None
    cursor: Mapping[str, Any] | None = None
    schedule_date: datetime | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    masks: Sequence[str] = field(default=(), repr=False)
    """Secrets that the variables may hold in plain text."""


class Firing:
    """Evaluates triggers and starts executions. zone: the server's time zone."""

    def __init__(self, orchestrator: Orchestrator, renderer: Renderer, clock: Clock, zone: tzinfo) -> None:
        self._orchestrator = orchestrator
        self._renderer = renderer
        self._clock = clock
        self.zone = zone

    # ---- evaluating

    def variables(self, armed: Armed, seen: Mapping[str, Any]) -> dict[str, Any]:
        """What expressions of a trigger see."""
        flow = armed.flow
        trigger = {"id": armed.trigger.id, "type": armed.trigger.type, **seen}
        return {
            "flow": {"id": flow.id, "namespace": flow.namespace, "revision": armed.revision.revision},
            "trigger": trigger, "schedule": trigger, "vars": flow.variables, "labels": dict(flow.labels), "namespace": flow.given_variables,
        }

    def scope(self, armed: Armed, redactor: Redactor | None = None) -> Scope:
        """Where the expressions of a trigger stand: in its flow, before there is an execution. redactor: learns the secrets they use."""
        learns = Redactor() if redactor is None else redactor
        return Scope(
            namespace=armed.revision.namespace, flow_id=armed.revision.flow_id, execution_id="", task_run_id=None,
            source=armed.revision.source, commit=armed.revision.commit, dialect=armed.flow.dialect, redactor=learns,
        )

    def is_pure(self, armed: Armed) -> bool:
        """Whether conditions and `when` of the trigger depend on nothing but the event itself."""
        written = [each.model_dump(mode="json") for each in _conditions(armed.trigger)]
        return is_pure([written, armed.trigger.when or ""], dialect=armed.flow.dialect)

    def holds_now(self, armed: Armed, seen: Mapping[str, Any]) -> bool:
        """Whether conditions and `when` hold. Blocking. Raises PodiumError when they cannot be evaluated."""
        return self._holds(armed, seen, self.scope(armed))

    def _holds(self, armed: Armed, seen: Mapping[str, Any], scope: Scope) -> bool:
        trigger, variables = armed.trigger, self.variables(armed, seen)
        conditions = _conditions(trigger)
        if conditions and not conditions_hold(conditions, variables, scope, self._renderer):
            return False
        return trigger.when is None or self._renderer.truthy(trigger.when, variables, scope)

    async def holds(self, armed: Armed, seen: Mapping[str, Any]) -> bool:
        """As holds_now, without blocking."""
        if not armed.trigger.conditions and armed.trigger.when is None and not _conditions(armed.trigger):
            return True
        return await self._evaluated(armed, self.is_pure(armed), lambda scope: self._holds(armed, seen, scope))

    async def value(
        self, armed: Armed, template: Any, seen: Mapping[str, Any], *, typed: bool = False, redactor: Redactor | None = None
    ) -> Any:
        """A property of the trigger, rendered. Raises PodiumError. redactor: as in `scope`."""
        pure = is_pure(template, dialect=armed.flow.dialect)
        variables = self.variables(armed, seen)
        return await self._evaluated(armed, pure, lambda scope: self._renderer.value(template, variables, scope, typed=typed), redactor)

    def value_now(
        self, armed: Armed, template: Any, seen: Mapping[str, Any], *, extra: Mapping[str, Any] | None = None, redactor: Redactor | None = None
    ) -> Any:
        """As value, blocking, with variables beside those of the trigger."""
        return self._renderer.value(template, self.variables(armed, seen), self.scope(armed, redactor), extra=extra)

    def files(self, armed: Armed, event_id: str) -> TaskFiles:
        """Where a trigger stores files before there is an execution: under an id of the event's own. Its calls block."""
        scope = replace(self.scope(armed), execution_id=event_id)
        return TaskFiles(
            self._renderer.file_reader, self._renderer.file_scope(scope), task_id="trigger", task_run_id=armed.trigger.id,
        )

    async def rendered(self, armed: Armed, seen: Mapping[str, Any], redactor: Redactor | None = None) -> Trigger:
        """A copy of the trigger in which every dynamic property is rendered. Raises PodiumError."""
        variables, scope = self.variables(armed, seen), self.scope(armed, redactor)
        return await asyncio.to_thread(lambda: self._renderer.model(armed.trigger, variables, scope))

    # ---- starting

    async def start_if(self, armed: Armed, event: Event) -> View | None:
        """Start an execution if the conditions hold; None when they do not. Raises what Orchestrator.start raises."""
        seen = event.seen if event.seen is not None else event.variables
        try:
            if not await self.holds(armed, seen):
                return None
        except PodiumError as error:
            return await self.fail(armed, event, f"the conditions of trigger '{armed.trigger.id}' cannot be evaluated: {error.what}")
        return await self.start(armed, event)

    async def start(self, armed: Armed, event: Event) -> View:
        """Start an execution for an event whose conditions hold. Raises what Orchestrator.start raises."""
        seen = event.seen if event.seen is not None else event.variables
        trigger, redactor = armed.trigger, Redactor(event.masks)
        try:
            inputs = await self.value(armed, trigger.inputs, seen, redactor=redactor) if trigger.inputs else {}
        except PodiumError as error:
            return await self.fail(armed, event, f"the inputs of trigger '{trigger.id}' cannot be rendered: {error.what}")
        labels = {**await self._labels(armed, seen, redactor), **event.labels}
        event = replace(event, masks=redactor.given)
        return await self._submit(armed, event, inputs={**inputs, **event.inputs}, labels=labels, failed_because=None)

    async def fail(self, armed: Armed, event: Event, reason: str) -> View:
        """Start an execution that is FAILED from the beginning, with the reason."""
        log.warning("trigger_failed", trigger=armed.name, reason=reason)
        return await self._submit(armed, event, inputs={}, labels=dict(event.labels), failed_because=reason)

    async def _submit(
        self, armed: Armed, event: Event, *, inputs: Mapping[str, Any], labels: Mapping[str, str], failed_because: str | None
    ) -> View:
        return await self._orchestrator.start(StartRequest(
            namespace=armed.revision.namespace, flow_id=armed.revision.flow_id, inputs=inputs, labels=labels,
            schedule_date=event.schedule_date,
            trigger={"id": armed.trigger.id, "type": armed.trigger.type, "variables": dict(event.variables)}, fail_on_bad_inputs=True,
            dedupe_key=event.key, cursor=event.cursor, failed_because=failed_because, masks=event.masks,
        ))

    async def _labels(self, armed: Armed, seen: Mapping[str, Any], redactor: Redactor) -> dict[str, str]:
        """The trigger's own labels; one that cannot be rendered is left out."""
        labels: dict[str, str] = {}
        for key, template in armed.trigger.labels.items():
            try:
                value = await self.value(armed, template, seen, redactor=redactor) if isinstance(template, str) else template
            except PodiumError as error:
                log.warning("trigger_label_left_out", trigger=armed.name, label=key, reason=error.what)
                continue
            labels[str(key)] = java_text(value)
        return labels

    async def _evaluated(self, armed: Armed, pure: bool, evaluate: Callable[[Scope], T], redactor: Redactor | None = None) -> T:
        """Evaluate on the loop what only takes a moment, else in a thread."""
        scope = self.scope(armed, redactor)
        if pure:
            with suppress(TakesLong):
                return evaluate(replace(scope, brisk=True))
        return await asyncio.to_thread(evaluate, scope)


def find_trigger(revision: FlowRevision, trigger_id: str) -> Trigger:
    """The trigger of that id. Raises FlowNotFound."""
    for trigger in revision.model.triggers:
        if trigger.id == trigger_id:
            found: Trigger = trigger
            return found
    raise FlowNotFound(
        f"flow '{revision.namespace}.{revision.flow_id}' has no trigger '{trigger_id}'",
        hint=f"its triggers: {', '.join(each.id for each in revision.model.triggers) or 'none'}",
    )


def _conditions(trigger: Trigger) -> list[Any]:
    return [*trigger.conditions, *getattr(trigger, "schedule_conditions", [])]
