"""An execution that reached a state, as the expressions and conditions of a flow trigger see it. Source: flow-language 7.3, flow-language-2 5."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from podium.conductor.chains.gates import Listener
from podium.conductor.core.stream import Stream
from podium.engine.shape.view import iso
from podium.flows.model import TERMINAL
from podium.rendering.scope import Scope
from podium.storage.crypto import reveal


class Upstream:
    """Made for one transition and one listener. The execution may have gone on since; its state is the one that was reached."""

    def __init__(self, stream: Stream, listener: Listener, state: str, at: datetime) -> None:
        self._stream = stream
        self._listener = listener
        self.state = state
        self.at = at
        self.outputs: Mapping[str, Any] = stream.state.outputs
        """Flow outputs as they are stored: secret ones encrypted."""
        self.brisk = False
        """The daemon's loop waits: expressions raise TakesLong instead of taking more than a moment."""

    @property
    def execution_id(self) -> str:
        return self._stream.state.id

    @property
    def namespace(self) -> str:
        return self._stream.state.namespace

    @property
    def flow_id(self) -> str:
        return self._stream.state.flow_id

    @property
    def labels(self) -> Mapping[str, str]:
        return self._stream.state.labels

    @property
    def trigger(self) -> Mapping[str, Any] | None:
        return self._stream.state.trigger

    def plain(self, outputs: Any) -> Any:
        """Outputs with secrets in plain text, for rendering only; they are masked from then on."""
        return reveal(outputs, self._stream.cipher, lambda secret: self._stream.redactor.add([secret]))

    def text(self, message: str) -> str:
        """The message without secrets."""
        return self._stream.redactor.text(message)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What may stand in the values that it hands on, in plain text."""
        return self._stream.redactor.given

    def scope(self) -> Scope:
        """Where the expressions of the trigger stand: in the flow that listens."""
        revision = self._listener.revision
        return Scope(
            namespace=revision.namespace, flow_id=revision.flow_id, execution_id=self.execution_id, source=revision.source,
            commit=revision.commit, dialect=revision.model.dialect, redactor=self._stream.redactor, brisk=self.brisk,
        )

    def view(self) -> dict[str, Any]:
        """What conditions look at: see rendering/conditions."""
        runs = [run for run in self._stream.state.runs.values() if len(run.attempts) > 1]
        return {
            "id": self.execution_id, "namespace": self.namespace, "flowId": self.flow_id, "state": {"current": self.state},
            "labels": dict(self.labels), "outputs": self.plain(self.outputs),
            "taskRunList": [{"attempts": [{"state": {"current": attempt.state}} for attempt in run.attempts]} for run in runs],
        }

    def facts(self, outputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The variables `trigger.*` of the execution that is started, as they are recorded. outputs: what `trigger.outputs` is."""
        state = self._stream.state
        facts: dict[str, Any] = {
            "executionId": state.id, "executionLabels": dict(state.labels), "state": self.state, "namespace": state.namespace,
            "flowId": state.flow_id, "flowRevision": state.revision,
        }
        if outputs:
            facts["outputs"] = dict(outputs)
        if not self._listener.new:
            return facts
        runs = list(state.runs.values())
        failed = next((run.task_id for run in runs if run.state == "FAILED"), None)
        more = {
            "startDate": iso(state.created_at), "endDate": iso(self.at) if self.state in TERMINAL else None, "firstFailedTaskId": failed,
            "lastTaskId": runs[-1].task_id if runs else None,
        }
        return {**facts, **{name: value for name, value in more.items() if value is not None}}

    def variables(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """What conditions, `when` and inputs see. outputs: `trigger.outputs`, in plain text.

        1.x: `flow` and `vars` are those of the flow that listens. 2.0: `flow` is the upstream one; `outputs` has task and flow outputs.
        """
        stream, listener = self._stream, self._listener
        seen = stream.variables(None)
        flow = listener.revision.model
        own = self.plain(self.outputs)
        execution = {
            **seen["execution"], "state": self.state, "namespace": self.namespace, "flowId": self.flow_id, "outputs": own,
            "labels": seen["labels"],
        }
        trigger = {"id": listener.trigger.id, "type": listener.trigger.type, **self.facts(), "outputs": outputs}
        seen.update(execution=execution, trigger=trigger, vars=flow.variables)
        if listener.new:
            retried = any(len(run.attempts) > 1 for run in stream.state.runs.values())
            more = {"namespace": self.namespace, "flowId": self.flow_id, "state": self.state, "hasRetryAttempt": retried}
            return {**seen, **more, "outputs": {**own, **seen["outputs"]}}
        return {**seen, "flow": {"id": flow.id, "namespace": flow.namespace, "revision": listener.revision.revision}}
