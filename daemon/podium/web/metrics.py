"""What Prometheus reads at /metrics: counts kept while the daemon runs, and gauges read from the orchestrator when asked.

Called by the server (durations), the hub (changes) and the /metrics route. What always holds: labels come from bounded sets
(states, routes of the table, methods), never from what a caller sent.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from podium.conductor.port import Orchestrator
from podium.flows.model import STATES, TERMINAL

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_REMEMBERED_MAX = 10_000
_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """All metrics of one server, in a registry of their own."""

    def __init__(self, *, instance: str, version: str) -> None:
        self.registry = CollectorRegistry()
        make: dict[str, Any] = {"registry": self.registry}
        Gauge("podium_build", "Always 1; what runs here.", ["version", "instance"], **make).labels(version, instance).set(1)
        self._ended = Counter("podium_executions", "Executions that ended, by state.", ["state"], **make)
        self._deploys = Counter("podium_deploys", "Deployments of a commit.", **make)
        self._requests = Histogram(
            "podium_http_request_duration_seconds", "Time to answer a request, streams excepted.", ["method", "route", "status"],
            buckets=_BUCKETS, **make
        )
        self._now = Gauge("podium_executions_current", "Executions that have not ended, by state.", ["state"], **make)
        self._task_runs = Gauge("podium_task_runs", "Task runs that ended since the daemon started, by state.", ["state"], **make)
        self._unpushed = Gauge("podium_unpushed_records", "Records that are not on the remote yet.", **make)
        self._oldest = Gauge("podium_unpushed_records_oldest_seconds", "Age of the oldest record that is not on the remote yet.", **make)
        self._queue = Gauge("podium_queue_depth", "Commands waiting to be decided.", **make)
        self._queue_oldest = Gauge("podium_queue_oldest_seconds", "Age of the command that has waited longest to be decided.", **make)
        self._waiting = Gauge("podium_executions_waiting", "Executions that wait to begin.", **make)
        self._waiting_oldest = Gauge("podium_executions_waiting_oldest_seconds", "Age of the oldest execution that waits to begin.", **make)
        self._slots = Gauge("podium_slots", "Slots for task runs.", ["state"], **make)
        self._runs_waiting = Gauge("podium_task_runs_waiting", "Task runs that wait for a slot.", **make)
        self._runs_oldest = Gauge("podium_task_runs_waiting_oldest_seconds", "Time that the task run waits which has waited longest.", **make)
        self._paused = Gauge("podium_paused", "1 while nothing new begins.", **make)
        self._flows = Gauge("podium_flows", "Flows deployed.", **make)
        self._rejected = Gauge("podium_rejected_files", "Files refused by the newest deployment of each source.", **make)
        self._streams = Gauge("podium_streams", "Event streams open.", **make)
        self._up = Gauge("podium_up", "1 while the orchestrator says UP.", **make)
        self._counted: OrderedDict[str, None] = OrderedDict()

    def changed(self, change: dict[str, Any]) -> None:
        """Count a change of the orchestrator: an end of an execution once per run of it, a deployment."""
        if change.get("kind") == "flows":
            self._deploys.inc()
        state, execution_id = change.get("state"), change.get("executionId")
        if change.get("kind") != "execution" or not isinstance(execution_id, str) or state not in STATES:
            return
        if state not in TERMINAL:
            self._counted.pop(execution_id, None)
        elif execution_id not in self._counted:
            self._counted[execution_id] = None
            if len(self._counted) > _REMEMBERED_MAX:
                self._counted.popitem(last=False)
            self._ended.labels(state).inc()

    def answered(self, *, method: str, route: str, status: int, took_s: float) -> None:
        """Count an answered request. route: the pattern of the route, never the path."""
        self._requests.labels(method if method in {"GET", "HEAD", "POST", "PUT", "DELETE"} else "other", route, str(status)).observe(took_s)

    async def text(self, orchestrator: Orchestrator, *, streams: int) -> bytes:
        """Everything, as Prometheus reads it."""
        health = await orchestrator.health()
        unpushed, executions = health.get("unpushed") or {}, health.get("executions") or {}
        self._up.set(health.get("status") == "UP")
        self._unpushed.set(unpushed.get("count") or 0)
        self._oldest.set(unpushed.get("oldestSeconds") or 0)
        self._queue.set(health.get("queueDepth") or 0)
        self._rejected.set(len(orchestrator.rejected()))
        self._flows.set(len(orchestrator.flows()))
        self._streams.set(streams)
        self._show_waiting(health.get("waiting") or {})
        for state, count in executions.items():
            if state.upper() in STATES:
                self._now.labels(state.upper()).set(count or 0)
        for state, count in (health.get("taskRuns") or {}).items():
            self._task_runs.labels(state).set(count)
        return generate_latest(self.registry)

    def _show_waiting(self, waiting: Mapping[str, Any]) -> None:
        executions, runs, commands = (waiting.get(name) or {} for name in ("executions", "taskRuns", "commands"))
        self._queue_oldest.set(commands.get("oldestSeconds") or 0)
        self._waiting.set(executions.get("queued") or 0)
        self._waiting_oldest.set(executions.get("oldestSeconds") or 0)
        self._slots.labels("taken").set(runs.get("running") or 0)
        self._slots.labels("all").set(runs.get("slots") or 0)
        self._runs_waiting.set(runs.get("waiting") or 0)
        self._runs_oldest.set(runs.get("oldestSeconds") or 0)
        self._paused.set(waiting.get("paused") is not None)
