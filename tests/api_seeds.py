"""One good call of every operation of the API over the demo world: what a client would send. Used by the tests of the OpenAPI document."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from podium.web.server import serve
from web_demo import HELLO, World

FLOW_YAML = HELLO.replace("id: hello", "id: added")
TRIGGER = {"namespace": "company.analytics", "flowId": "daily-sales", "triggerId": "every_morning"}
ETL_NAME = {"namespace": "company.analytics", "id": "daily-sales"}
FORM = "multipart/form-data"


@dataclass(frozen=True, kw_only=True)
class Seed:
    """path: in the place of what names mean otherwise. body: JSON, or with kind: text. Names of executions stand for their ids."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def _on(name: str, **more: Any) -> Seed:
    return Seed(path={"execution": name}, **more)


PATHS = {
    "execution": "success", "namespace": "company.analytics", "flow": "daily-sales", "id": "daily-sales", "task": "report", "trigger": "every_morning",
    "key": "s3cret", "source": "main", "metric": "rows", "type": "io.kestra.plugin.core.log.Log", "kind": "task", "ns": "company.analytics",
}
"""What the variables of paths are, unless an operation says otherwise."""
YAML = "application/x-yaml"
FILE = {"path": "kestra:///company/analytics/daily-sales/executions/<success>/tasks/extract/orders.csv"}
SEEDS: dict[str, Seed] = {
    "GET /executions": Seed(query={"namespace": "company.team", "flowId": "hello"}),
    "POST /executions/latest": Seed(body=[ETL_NAME]),
    "POST /namespaces/autocomplete": Seed(body={"q": "team"}),
    "POST /stats/executions/latest/group-by-flow": Seed(body={"flows": [ETL_NAME]}),
    "GET /outputs/{execution}/{taskRun}": Seed(path={"taskRun": "<run:extract>"}),
    "GET /metrics/names/{namespace}/{flow}/{task}": Seed(path={"task": "extract"}),
    "DELETE /executions/by-ids": Seed(body=["failed"]), "DELETE /executions/by-query": Seed(query={"flowId": "hello", "state": "SUCCESS"}),
    "GET /executions/{execution}/file": Seed(query=FILE), "GET /executions/{execution}/file/metas": Seed(query=FILE),
    "GET /executions/{execution}/file/preview": Seed(query=FILE), "GET /executions/{execution}/file/rows": Seed(query=FILE),
    "POST /executions/{execution}/eval": Seed(body="{{ execution.id }}", kind="text/plain"),
    "POST /executions/{execution}/eval/{taskRun}": Seed(path={"taskRun": "<run:extract>"}, body="{{ execution.id }}", kind="text/plain"),
    "DELETE /executions/{execution}/kill": _on("running"), "POST /executions/{execution}/pause": _on("running"),
    "POST /executions/{execution}/restart": _on("failed"), "POST /executions/{execution}/replay-with-inputs": _on("failed", body={"day": "2026-01-03"}),
    "POST /executions/{execution}/resume": _on("paused", body={"approved": True}), "POST /executions/{execution}/resume/validate": _on("paused", body={"approved": True}),
    "POST /executions/{execution}/review": _on("paused", body={"decision": "APPROVED"}),
    "POST /executions/{execution}/state": Seed(body={"taskRunId": "<run:extract>", "state": "SUCCESS"}),
    "POST /executions/{execution}/change-status": _on("failed", query={"status": "SUCCESS"}),
    "POST /executions/{execution}/labels": Seed(body=[{"key": "a", "value": "b"}]), "POST /executions/{execution}/force-run": _on("paused"),
    "POST /executions/{execution}/unqueue": _on("queued"),
    "POST /executions/restart/by-ids": Seed(body=["failed"]), "POST /executions/restart/by-query": Seed(query={"state": "FAILED"}),
    "POST /executions/replay/by-ids": Seed(body=["success"]), "POST /executions/replay/by-query": Seed(query={"labels": "run:manual"}),
    "POST /executions/pause/by-ids": Seed(body=["running"]), "POST /executions/pause/by-query": Seed(query={"state": "RUNNING"}),
    "POST /executions/resume/by-ids": Seed(body=["paused"]), "POST /executions/resume/by-query": Seed(query={"flowId": "release"}),
    "POST /executions/force-run/by-ids": Seed(body=["paused"]), "POST /executions/force-run/by-query": Seed(query={"state": "PAUSED"}),
    "POST /executions/unqueue/by-ids": Seed(body=["queued"]), "POST /executions/unqueue/by-query": Seed(),
    "DELETE /executions/kill/by-ids": Seed(body=["running"]), "DELETE /executions/kill/by-query": Seed(query={"state": "RUNNING"}),
    "POST /executions/change-status/by-ids": Seed(body=["failed"], query={"newStatus": "SUCCESS"}),
    "POST /executions/change-status/by-query": Seed(query={"state": "FAILED", "newStatus": "WARNING"}),
    "POST /executions/labels/by-ids": Seed(body={"executionsId": ["failed"], "executionLabels": [{"key": "a", "value": "b"}]}),
    "POST /executions/labels/by-query": Seed(body=[{"key": "a", "value": "b"}], query={"state": "SUCCESS"}),
    "POST /executions/{namespace}/{flow}": Seed(body={"day": "2026-01-03"}), "POST /executions/{namespace}/{flow}/validate": Seed(body={}),
    "POST /flows/validate": Seed(body=HELLO, kind=YAML), "POST /flows/graph": Seed(body=HELLO, kind=YAML),
    "POST /flows/validate/task": Seed(body={"id": "a", "type": "io.kestra.plugin.core.log.Log", "message": "x"}),
    "POST /flows/validate/trigger": Seed(body={"id": "a", "type": "io.kestra.plugin.core.trigger.Schedule", "cron": "@daily"}),
    "POST /flows/export/by-ids": Seed(body=[ETL_NAME]),
    "PUT /triggers": Seed(body={**TRIGGER, "disabled": True}), "PUT /triggers/set-disabled": Seed(body={**TRIGGER, "disabled": True}),
    "PUT /triggers/backfill/create": Seed(body={**TRIGGER, "backfill": {"start": "2026-01-01T00:00:00Z"}}),
    "PUT /triggers/backfill/pause": Seed(body=TRIGGER), "PUT /triggers/backfill/unpause": Seed(body=TRIGGER), "POST /triggers/backfill/delete": Seed(body=TRIGGER),
    "POST /triggers/set-disabled/by-triggers": Seed(body={"triggers": [TRIGGER], "disabled": True}),
    "POST /triggers/set-disabled/by-query": Seed(query={"disabled": "true"}),
    **{f"POST /triggers/{verb}/by-triggers": Seed(body=[TRIGGER]) for verb in ("unlock", "backfill/pause", "backfill/unpause", "backfill/delete")},
    "GET /namespaces/{namespace}/kv/{key}": Seed(path={"namespace": "company.team", "key": "cursor"}),
    "PUT /namespaces/{namespace}/kv/{key}": Seed(path={"namespace": "company.team", "key": "new"}, body="12", kind="text/plain"),
    "DELETE /namespaces/{namespace}/kv/{key}": Seed(path={"namespace": "company.team", "key": "cursor"}),
    "DELETE /namespaces/{namespace}/kv": Seed(path={"namespace": "company.team"}, body={"keys": ["cursor"]}),
    "POST /sources/{source}/confirm": Seed(path={"source": "team"}), "POST /hooks/{source}": Seed(body={}),
    "GET /plugins/inputs/{type}": Seed(path={"type": "STRING"}),
    "GET /executions/{execution}/graph": Seed(path={"execution": "success"}),
}


def streams(route: Any) -> bool:
    """Whether the answer is an event stream, which does not end by itself."""
    return route.content == "text/event-stream"


class Clock:
    """The time of the day that the world is made in, moved on by hand."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 5, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


async def make_world() -> World:
    """The demo world, with an execution that is QUEUED and a backfill."""
    world = await World(Clock()).fill()
    view = await world.orchestrator.start(_start())
    world.ids["queued"] = view["id"]
    world.orchestrator.move(view["id"], "QUEUED")
    await world.triggers.backfill(*TRIGGER.values(), start=world.clock.now() - timedelta(days=2))
    return world


def _start() -> Any:
    from podium.conductor.port import StartRequest

    return StartRequest(namespace="company.team", flow_id="hello")


@dataclass
class Served:
    """A world that is served by a thread of its own."""

    url: str
    world: World
    runs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.runs = {run["taskId"]: run["id"] for run in self.world.orchestrator.views[self.world.ids["success"]]["taskRunList"]}

    def fill(self, value: Any) -> Any:
        """`value` with the names of executions as their ids, `<success>` inside of texts, and `<run:task>` as the id of a run of `success`."""
        if isinstance(value, dict):
            return {key: self.fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if not isinstance(value, str):
            return value
        if value in self.world.ids:
            return self.world.ids[value]
        value = re.sub(r"<run:(\w+)>", lambda match: self.runs[match[1]], value)
        return re.sub(r"<(\w+)>", lambda match: self.world.ids.get(match[1], match[0]), value)


@contextmanager
def served(**settings: Any) -> Iterator[Served]:
    """The world's application on a free port, in a thread."""
    ready, made = threading.Event(), list[Any]()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        try:
            world = await make_world()
            async with serve(world.app(**settings), port=0) as listening:
                made.append(Served(str(listening.url), world))
                ready.set()
                await stop.wait()
        finally:
            ready.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    ready.wait(60)
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
