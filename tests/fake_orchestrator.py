"""A small in-memory Orchestrator for tests of the rooms above it: durable for as long as the object lives, so that a test can
"restart" a room by making it anew around the same orchestrator."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from podium.base.errors import FlowDisabled, FlowNotFound, NotFound, PodiumError, StorageError
from podium.base.moments import to_text
from podium.base.ports import Deployment, FlowRevision, KnownFlow
from podium.base.system.ids import new_id
from podium.conductor.port import Listed, StartRequest
from podium.flows.load import parse_flows
from podium.flows.model import TERMINAL, Flow, Task
from podium.flows.types import Types


class Log(Task):
    """A task type for tests that run nothing."""

    TYPE = "io.kestra.plugin.core.log.Log"
    message: str


def flow_text(flow_id: str, *, namespace: str = "team", message: str = "hi", extra: str = "") -> str:
    """A good flow. extra: whole lines of YAML at its top."""
    task = f"  - id: say\n    type: io.kestra.plugin.core.log.Log\n    message: {message}\n"
    return f"id: {flow_id}\nnamespace: {namespace}\n{extra}tasks:\n{task}"


def parse(text: str, types: Types | None = None) -> Flow:
    """The flow in `text`, which must be good."""
    (parsed,) = parse_flows(text, file="flow.yaml", types=types or Types.build(tasks=[Log]))
    assert parsed.flow is not None, [str(problem) for problem in parsed.problems]
    return parsed.flow


class FakeOrchestrator:
    """Implements what sources and triggers use of conductor.port.Orchestrator. `refuse`: raised by the next starts while it is set."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.known: dict[tuple[str, str], KnownFlow] = {}
        self.current: dict[tuple[str, str], FlowRevision] = {}
        self.deployments: list[Deployment] = []
        self.rejections: dict[str, list[dict[str, Any]]] = {}
        self.requests: list[StartRequest] = []
        self.views: dict[str, dict[str, Any]] = {}
        self.dedupe: dict[str, str] = {}
        self.states: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.uploads: dict[str, bytes] = {}
        self.refuse: PodiumError | None = None
        self.end_at_once: str | None = None
        self._seq = 0
        self._subscribers: list[asyncio.Queue[dict[str, Any]]] = []

    # ---- what tests do

    def install(self, *flows: Any, at: datetime | None = None, source: str = "main") -> None:
        """Deploy parsed flows without a source."""
        for flow in flows:
            key = (flow.namespace, flow.id)
            revision = self.known[key].revision + 1 if key in self.known else 1
            self._put(FlowRevision(
                namespace=flow.namespace, flow_id=flow.id, revision=revision, source=source, commit="c" * 40, path=f"{flow.id}.yaml",
                blob=f"{revision:040d}", text="", parse=lambda flow=flow: flow, deployed_at=at or self.clock.now(),
            ))
        self._tell(kind="flows")

    def remove(self, namespace: str, flow_id: str) -> None:
        """Delete a flow."""
        key = (namespace, flow_id)
        del self.current[key]
        self.known[key] = replace(self.known[key], revision=self.known[key].revision + 1, deleted=True)
        self._tell(kind="flows")

    def finish(self, execution_id: str, state: str = "SUCCESS", outputs: Mapping[str, Any] | None = None) -> None:
        """End an execution."""
        view = self.views[execution_id]
        view["state"] = {"current": state, "startDate": view["state"]["startDate"], "endDate": to_text(self.clock.now())}
        view["outputs"] = dict(outputs or {})
        self._tell(kind="execution", executionId=execution_id, namespace=view["namespace"], flowId=view["flowId"], state=state)

    @property
    def started(self) -> list[StartRequest]:
        """The requests that made an execution."""
        return self.requests

    # ---- the port

    async def start(self, request: StartRequest) -> dict[str, Any]:
        await asyncio.sleep(0)
        if self.refuse is not None:
            raise self.refuse
        revision = await self.flow(request.namespace, request.flow_id)
        if revision.model is not None and revision.model.disabled:
            raise FlowDisabled("disabled")
        place = (request.namespace, request.flow_id, (request.trigger or {}).get("id", ""))
        known = self.dedupe.get(request.dedupe_key or "")
        identifier = known or new_id()
        if request.cursor is not None:
            self._merge(place, request.cursor if known is not None else {**request.cursor, "executionId": identifier})
            self._tell(kind="trigger", namespace=place[0], flowId=place[1], triggerId=place[2])
        if known is not None:
            return {**self.views[known], "duplicate": True}
        json.dumps([request.trigger, request.cursor, dict(request.labels)])
        self.requests.append(request)
        state = "FAILED" if request.failed_because else self.end_at_once or "CREATED"
        now = to_text(self.clock.now())
        self.views[identifier] = {
            "id": identifier, "namespace": request.namespace, "flowId": request.flow_id, "flowRevision": revision.revision,
            "state": {"current": state, "startDate": now, **({"endDate": now} if state in TERMINAL else {})},
            "trigger": request.trigger, "outputs": {}, "inputs": dict(request.inputs),
        }
        if request.dedupe_key is not None:
            self.dedupe[request.dedupe_key] = identifier
        self._tell(kind="execution", executionId=identifier, namespace=request.namespace, flowId=request.flow_id, state=state)
        return dict(self.views[identifier])

    async def wait(self, execution_id: str, *, timeout_s: float | None = None) -> dict[str, Any]:
        queue = self._queue()
        async with asyncio.timeout(timeout_s):
            while self.views[execution_id]["state"]["current"] not in TERMINAL:
                await queue.get()
        return dict(self.views[execution_id])

    async def deploy(self, deployment: Deployment) -> None:
        self.deployments.append(deployment)
        for each in (*deployment.accepted, *deployment.moved):
            self._put(each)
        for gone in deployment.removed:
            key = (gone.namespace, gone.flow_id)
            self.known[key] = replace(gone, revision=gone.revision + 1, deleted=True)
            self.current.pop(key, None)
        self.rejections[deployment.source] = [
            {"source": deployment.source, "commit": deployment.commit, **each} for each in deployment.rejected
        ]
        self._tell(kind="flows")

    async def remember_trigger(self, namespace: str, flow_id: str, trigger_id: str, state: Mapping[str, Any]) -> None:
        json.dumps(dict(state))
        self._merge((namespace, flow_id, trigger_id), state)
        self._tell(kind="trigger", namespace=namespace, flowId=flow_id, triggerId=trigger_id)

    async def trigger_state(self, namespace: str, flow_id: str, trigger_id: str) -> dict[str, Any] | None:
        found = self.states.get((namespace, flow_id, trigger_id))
        return dict(found) if found is not None else None

    async def execution(self, execution_id: str) -> dict[str, Any]:
        if execution_id not in self.views:
            raise NotFound(f"no execution {execution_id}")
        return dict(self.views[execution_id])

    async def executions(
        self, *, namespace: str | None = None, flow_id: str | None = None, states: Sequence[str] = (), page: int = 1, size: int = 25, **_: Any
    ) -> tuple[list[dict[str, Any]], int]:
        found = [
            view for view in reversed(list(self.views.values()))
            if namespace in (None, view["namespace"]) and flow_id in (None, view["flowId"]) and (not states or view["state"]["current"] in states)
        ]
        return found[(page - 1) * size : page * size], len(found)

    async def list_executions(self, *, after: str | None = None, **wanted: Any) -> Listed:
        found, total = await self.executions(**wanted)
        return Listed(found=found, total=total)

    async def last_executions(self, flows: Sequence[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
        last = {pair: (await self.executions(namespace=pair[0], flow_id=pair[1], size=1))[0] for pair in flows}
        return {pair: found[0] for pair, found in last.items() if found}

    def flows(self, *, namespace: str | None = None, query: str | None = None) -> list[FlowRevision]:
        return [each for _, each in sorted(self.current.items()) if namespace in (None, each.namespace)]

    async def flow(self, namespace: str, flow_id: str, *, revision: int | None = None) -> FlowRevision:
        found = self.current.get((namespace, flow_id))
        if found is None:
            raise FlowNotFound(f"no flow {namespace}.{flow_id}")
        return found

    def known_flows(self) -> Mapping[tuple[str, str], KnownFlow]:
        return self.known

    async def syncs(self, *, limit: int = 20) -> list[dict[str, Any]]:
        return [json.loads(each.sync_body) for each in reversed(self.deployments)][:limit]

    def rejected(self) -> list[dict[str, Any]]:
        return [each for rejected in self.rejections.values() for each in rejected]

    async def store_upload(self, namespace: str, flow_id: str, input_id: str, filename: str, data: bytes | Path) -> str:
        uri = f"kestra:///{namespace}/{flow_id}/{input_id}/{new_id()}/{filename}"
        if isinstance(data, Path) and data.is_symlink():
            raise StorageError("a link")
        self.uploads[uri] = data if isinstance(data, bytes) else data.read_bytes()
        return uri

    async def subscribe(self, *, after_seq: int | None = None) -> AsyncIterator[dict[str, Any]]:
        queue = self._queue()
        while True:
            yield await queue.get()

    # ---- inside

    def _put(self, revision: FlowRevision) -> None:
        key = (revision.namespace, revision.flow_id)
        self.current[key] = revision
        self.known[key] = KnownFlow(
            namespace=revision.namespace, flow_id=revision.flow_id, revision=revision.revision, source=revision.source,
            commit=revision.commit, path=revision.path, blob=revision.blob,
        )

    def _merge(self, place: tuple[str, str, str], state: Mapping[str, Any]) -> None:
        merged = {**self.states.get(place, {}), **state}
        self.states[place] = {key: value for key, value in merged.items() if value is not None}

    def _queue(self) -> asyncio.Queue[dict[str, Any]]:
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._subscribers.append(queue)
        return queue

    def _tell(self, **event: Any) -> None:
        self._seq += 1
        for queue in self._subscribers:
            queue.put_nowait({"seq": self._seq, **event})
