"""One round of decisions in the making: the batch for the journal, and what is to happen once that is on disk."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime
from typing import Any

from podium.conductor.core.stream import Stream
from podium.engine import codec
from podium.engine import effects as fx
from podium.engine import events as ev
from podium.engine.shape.view import execution_view, started_by
from podium.flows.model import TERMINAL
from podium.store.journal import Batch, Document, ExecutionRow, LogRow

_numbers = itertools.count(1)


class Round:
    """Collects; nothing here does I/O."""

    def __init__(self, now: datetime, began: float = 0.0, budget: float = 0.0) -> None:
        """began: by the clock of the event loop, seconds. budget: how long it may take, seconds."""
        self.number = next(_numbers)
        self.now = now
        self.began, self.budget = began, budget
        self.batch = Batch()
        self.effects: list[tuple[Stream, list[fx.AnyEffect]]] = []
        self.touched: dict[str, Stream] = {}
        self.closed: dict[str, None] = {}
        self.broken: dict[str, None] = {}
        """Executions whose decision raised: memory is not to be trusted for them."""
        self.changed: dict[str, dict[str, Any]] = {}
        self.changes: list[dict[str, Any]] = []
        """Told to listeners beside the executions that changed: triggers."""
        self.triggers: dict[tuple[str, str], dict[str, Any]] = {}
        """Trigger states entered in this round, by namespace and key."""
        self.pending: dict[tuple[str, str, str], Document] = {}
        """Documents entered in this round."""
        self.kv_namespaces: set[str] = set()
        self.afterwards: list[Callable[[], None]] = []
        """Called once the round is on disk. What it leads to must be found again after a crash."""

    def enter(self, stream: Stream, events: list[ev.Event], version: int) -> None:
        """Take over the events of a decision. version: of the stream before them."""
        execution_id = stream.state.id
        if stream.reopened_at:
            self.batch.continues.append((execution_id, stream.reopened_at))
            stream.reopened_at = 0
        self.batch.events.extend([(execution_id, version + offset, codec.encode(event)) for offset, event in enumerate(events, start=1)])
        for event in events:
            if isinstance(event, ev.RunOutputs):
                stream.saw_outputs(event.outputs)

    def count(self, event: ev.Event, ended_runs: dict[str, int]) -> None:
        """Keep the figures of /metrics, and tell listeners what changed."""
        if isinstance(event, ev.RunMoved) and event.state in TERMINAL:
            ended_runs[event.state] = ended_runs.get(event.state, 0) + 1

    def log(self, stream: Stream, level: str, message: str, run_id: str | None = None) -> None:
        """A line of our own in the execution's log."""
        state = stream.state
        run = state.runs.get(run_id) if run_id else None
        self.batch.logs.append(LogRow(
            execution_id=state.id, namespace=state.namespace, flow_id=state.flow_id, at=self.now, level=level,
            message=stream.redactor.text(message), task_id=run.task_id if run else None, task_run_id=run_id,
            attempt=max(len(run.attempts) - 1, 0) if run else 0,
        ))

    def document(self, kind: str, namespace: str, key: str, value: Any, expires_at: datetime | None = None) -> None:
        """Store, replace or (None) remove a document; tasks of this round see it at once."""
        document = Document(kind=kind, namespace=namespace, key=key, value=value, expires_at=expires_at)
        self.batch.documents.append(document)
        self.pending[kind, namespace, key] = document

    def drop_kv(self, namespace: str, key: str) -> None:
        """Remove a key-value pair."""
        self.document("kv", namespace, key, None)
        self.kv_namespaces.add(namespace)

    def index(self, stream: Stream, record_path: str | None) -> None:
        """Tell listeners that the execution changed, and enter its row for lists when that row did."""
        state = stream.state
        self.changed[state.id] = {
            "kind": "execution", "executionId": state.id, "namespace": state.namespace, "flowId": state.flow_id, "state": state.state,
        }
        now = (state.state, not state.closed, state.labels)
        if stream.indexed == now:
            return
        stream.indexed = (state.state, not state.closed, state.labels)
        summary = stream.redactor.value(execution_view(state, runs=False))
        summary.pop("inputs", None)
        self.batch.executions[state.id] = ExecutionRow(
            id=state.id, namespace=state.namespace, flow_id=state.flow_id, revision=state.revision, state=state.state,
            created_at=state.created_at, ended_at=state.history[-1][1] if state.ended else None, trigger_id=(state.trigger or {}).get("id"),
            trigger_execution_id=started_by(summary), loop=state.loop is not None, parent_id=state.parent_id, open=not state.closed,
            summary=summary, labels=stream.redactor.value(dict(state.labels)), record_path=record_path,
        )
