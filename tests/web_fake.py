"""An orchestrator in memory for tests of web/ and of the commands that talk to it: the whole port, real flows, made-up executions.

`demo(clock)` fills it with one of everything that pages show.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from podium.base.errors import ConflictError, FlowDisabled, FlowNotFound, InputError, LimitError, NotFound
from podium.base.lists.conditions import Condition, all_hold
from podium.base.moments import from_text, to_text
from podium.base.patterns import RegexBudget
from podium.base.ports import Answer, CommitFacts, Delivery, Deployment, FlowRevision, KnownFlow
from podium.base.system.clock import SystemClock
from podium.base.system.ids import new_id
from podium.conductor.port import Listed, StartRequest
from podium.flows.dynamic import Dyn
from podium.flows.inputs import examine_inputs, resolve_inputs
from podium.flows.load import parse_flows
from podium.flows.model import TERMINAL, Task
from podium.flows.types import Types

LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")


class Log(Task):
    """Writes a message."""

    TYPE = "io.kestra.plugin.core.log.Log"
    KIND = "inline"
    message: Dyn[str]
    level: str = "INFO"


class Shell(Task):
    """Runs commands."""

    TYPE = "io.kestra.plugin.scripts.shell.Commands"
    commands: list[str]


TYPES = Types.build(tasks=[Log, Shell])


def check_flow(text: str, file: str) -> Sequence[Any]:
    return parse_flows(text, file=file, types=TYPES)


def _render(value: Any, _variables: Mapping[str, Any]) -> Any:
    return "rendered" if isinstance(value, str) and "{{" in value else value


def _row(view: Mapping[str, Any]) -> dict[str, str | None]:
    trigger = view.get("trigger") or {}
    return {
        "namespace": view["namespace"], "flowId": view["flowId"], "triggerId": trigger.get("id"), "endDate": view["state"].get("endDate"),
        "startDate": view["state"]["startDate"], "triggerExecutionId": (trigger.get("variables") or {}).get("executionId"),
    }


def _within(namespace: str, namespaces: Any) -> bool:
    return namespaces is None or any(namespace == each or namespace.startswith(f"{each}.") for each in namespaces)


class FakeOrchestrator:
    """See conductor/port.Orchestrator."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.current: dict[tuple[str, str], FlowRevision] = {}
        self.history: dict[tuple[str, str], list[FlowRevision]] = {}
        self.views: dict[str, dict[str, Any]] = {}
        self.entries: dict[str, list[dict[str, Any]]] = {}
        self.numbers: dict[str, list[dict[str, Any]]] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.values: dict[tuple[str, str], dict[str, Any]] = {}
        self.states: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.expired: set[tuple[str, str]] = set()
        self.sync_records: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.requests: list[StartRequest] = []
        self.collected: list[bool] = []
        self.paused: dict[str, Any] | None = None
        self.too_much: LimitError | None = None
        self.dedupe: dict[str, str] = {}
        self.status: dict[str, Any] = {
            "status": "UP", "unpushed": {"count": 0, "oldestSeconds": 0}, "runner": "docker", "executions": {"running": 1, "queued": 0},
            "taskRuns": {"SUCCESS": 7, "FAILED": 1}, "queueDepth": 3, "sources": [], "version": "0.0",
        }
        self.fail: Exception | None = None
        self._seq = 0
        self._readers: list[asyncio.Queue[dict[str, Any]]] = []

    # ---- what tests do

    def install(self, text: str, *, commit: str | None = None, path: str | None = None) -> FlowRevision:
        """Deploy a flow."""
        (parsed,) = parse_flows(text, file="flow.yaml", types=TYPES)
        assert parsed.flow is not None, [str(each) for each in parsed.problems]
        key = (parsed.flow.namespace, parsed.flow.id)
        known = self.history.setdefault(key, [])
        made = FlowRevision(
            namespace=key[0], flow_id=key[1], revision=len(known) + 1, source="main", commit=commit or f"{len(known) + 1:02d}c0ffee" * 4,
            path=path or f"{key[1]}.yaml", blob=f"{len(known) + 1:02d}b10b00" * 5, text=text, parse=lambda: parsed.flow, deployed_at=self.clock.now(),
        )
        known.append(made)
        self.current[key] = made
        self.tell(kind="flows")
        return made

    def tell(self, **change: Any) -> None:
        self._seq += 1
        for reader in self._readers:
            reader.put_nowait({"seq": self._seq, **change})

    def move(self, execution_id: str, state: str, *, at: datetime | None = None) -> dict[str, Any]:
        """Give an execution its next state."""
        view = self.views[execution_id]
        _push(view["state"], state, at or self.clock.now())
        self.tell(kind="execution", executionId=execution_id, namespace=view["namespace"], flowId=view["flowId"], state=state)
        return dict(view)

    def log(self, execution_id: str, message: str, *, level: str = "INFO", task: str | None = "say", at: datetime | None = None) -> None:
        """Add a line."""
        view = self.views[execution_id]
        lines = self.entries.setdefault(execution_id, [])
        run = next((each["id"] for each in view["taskRunList"] if each["taskId"] == task), None)
        lines.append({
            "seq": len(lines) + 1, "timestamp": to_text(at or self.clock.now()), "level": level, "message": message, "taskId": task, "taskRunId": run,
            "attemptNumber": 0, "executionId": execution_id, "namespace": view["namespace"], "flowId": view["flowId"],
        })

    def task_run(self, execution_id: str, task_id: str, *states: tuple[str, float], parent: str | None = None, **more: Any) -> dict[str, Any]:
        """Add a task run. states: (state, seconds after the execution's start)."""
        view = self.views[execution_id]
        start = from_text(view["state"]["startDate"])
        state: dict[str, Any] = {}
        for name, seconds in states:
            _push(state, name, start + timedelta(seconds=seconds))
        run = {
            "id": new_id(), "executionId": execution_id, "namespace": view["namespace"], "flowId": view["flowId"], "taskId": task_id, "outputs": {},
            "attempts": [{"state": state}], "state": state, **({"parentTaskRunId": parent} if parent else {}), **more,
        }
        view["taskRunList"].append(run)
        return run

    # ---- commands

    async def start(self, request: StartRequest) -> dict[str, Any]:
        if self.fail is not None:
            raise self.fail
        revision = await self.flow(request.namespace, request.flow_id, revision=request.revision)
        if revision.model.disabled:
            raise FlowDisabled("the flow is disabled")
        if request.dedupe_key in self.dedupe:
            return {**self.views[self.dedupe[str(request.dedupe_key)]], "duplicate": True}
        values, problems = resolve_inputs(revision.model.inputs, request.inputs, _render, encrypt=lambda text: {"type": "io.kestra.datatype:aes_encrypted", "value": "c2VhbGVk"})
        if problems:
            first = problems[0]
            raise InputError(f"{first.id}: {first.message}", hint="see docs", errors=[{"message": first.message, "path": first.id}])
        identifier = new_id()
        self.requests.append(request)
        labels = {**revision.model.labels, **request.labels, "system.correlationId": identifier}
        self.views[identifier] = {
            "id": identifier, "namespace": request.namespace, "flowId": request.flow_id, "flowRevision": revision.revision, "originalId": identifier,
            "labels": [{"key": key, "value": str(value)} for key, value in labels.items()], "inputs": values, "taskRunList": [], "state": {},
            **({"trigger": dict(request.trigger)} if request.trigger else {}),
            **({"scheduleDate": to_text(request.schedule_date)} if request.schedule_date else {}),
        }
        if request.dedupe_key:
            self.dedupe[request.dedupe_key] = identifier
        return self.move(identifier, "CREATED")

    async def wait(self, execution_id: str, *, timeout_s: float | None = None) -> dict[str, Any]:
        if self.views[execution_id]["state"]["current"] not in TERMINAL:
            self.move(execution_id, "RUNNING")
            self.move(execution_id, "SUCCESS")
        return await self.execution(execution_id)

    async def kill(self, execution_id: str, *, cascade: bool = True) -> dict[str, Any]:
        view = await self.execution(execution_id)
        if view["state"]["current"] in TERMINAL:
            if cascade:
                return view
            raise ConflictError("Execution is already finished, can't kill it")
        self.move(execution_id, "KILLING")
        return self.move(execution_id, "KILLED")

    async def restart(self, execution_id: str, *, revision: int | None = None) -> dict[str, Any]:
        view = await self.execution(execution_id)
        if view["state"]["current"] not in TERMINAL | {"PAUSED"}:
            raise ConflictError(f"Execution must be terminated to be restarted, current state is '{view['state']['current']}' !")
        return self.move(execution_id, "RESTARTED")

    async def replay(
        self, execution_id: str, *, task_run_id: str | None = None, revision: int | None = None, inputs: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        view = await self.execution(execution_id)
        values = {**(view.get("inputs") or {}), **(inputs or {})}
        made = await self.start(StartRequest(namespace=view["namespace"], flow_id=view["flowId"], inputs=values, revision=revision))
        self.views[made["id"]]["parentId"] = execution_id
        return dict(self.views[made["id"]])

    async def pause(self, execution_id: str) -> dict[str, Any]:
        return await self._only(execution_id, {"RUNNING"}, "PAUSED")

    async def resume(self, execution_id: str, *, inputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
        view = await self._only(execution_id, {"PAUSED"}, "RUNNING")
        self.views[execution_id]["resumed"] = dict(inputs or {})
        return view

    async def review(self, execution_id: str, decision: str, **more: Any) -> dict[str, Any]:
        view = await self._only(execution_id, {"PAUSED"}, "RUNNING")
        self.views[execution_id]["reviewed"] = {"decision": decision, **more}
        return view

    async def change_status(self, execution_id: str, state: str) -> dict[str, Any]:
        return await self._only(execution_id, set(TERMINAL), state)

    async def change_task_run_state(self, execution_id: str, task_run_id: str, state: str) -> dict[str, Any]:
        view = await self.execution(execution_id)
        if all(run["id"] != task_run_id for run in view["taskRunList"]):
            raise NotFound("no such task run")
        return self.move(execution_id, "RESTARTED")

    async def set_labels(self, execution_id: str, labels: Mapping[str, str]) -> dict[str, Any]:
        await self._only(execution_id, set(TERMINAL), None)
        if any(key.startswith("system.") for key in labels):
            raise ConflictError("system labels cannot be changed")
        self.views[execution_id]["labels"] += [{"key": key, "value": value} for key, value in labels.items()]
        return await self.execution(execution_id)

    async def force_run(self, execution_id: str) -> dict[str, Any]:
        return await self._only(execution_id, {"QUEUED", "CREATED", "PAUSED", "RESTARTED"}, "RUNNING")

    async def unqueue(self, execution_id: str, *, state: str = "RUNNING") -> dict[str, Any]:
        return await self._only(execution_id, {"QUEUED"}, state)

    async def _only(self, execution_id: str, states: set[str], then: str | None) -> dict[str, Any]:
        view = await self.execution(execution_id)
        if view["state"]["current"] not in states:
            raise ConflictError(f"not possible while the execution is {view['state']['current']}")
        return self.move(execution_id, then) if then else view

    async def validate_inputs(self, request: StartRequest) -> list[dict[str, Any]]:
        revision = await self.flow(request.namespace, request.flow_id)
        found = examine_inputs(revision.model.inputs, request.inputs, _render, encrypt=lambda text: "sealed")
        return [
            {"input": each.id, "value": each.value, "enabled": each.enabled, "errors": [{"message": problem.message} for problem in each.problems]}
            for each in found
        ]

    async def validate_checks(self, request: StartRequest) -> list[dict[str, Any]]:
        return []

    async def validate_answers(self, execution_id: str, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
        await self._only(execution_id, {"PAUSED"}, None)
        return [{"input": name, "value": value, "enabled": True, "errors": []} for name, value in inputs.items()]

    async def deploy(self, deployment: Deployment) -> None:
        for revision in deployment.accepted:
            self.install(revision.text, commit=revision.commit, path=revision.path)

    async def remember_trigger(self, namespace: str, flow_id: str, trigger_id: str, state: Mapping[str, Any]) -> None:
        self.states.setdefault((namespace, flow_id, trigger_id), {}).update(state)

    # ---- reading

    async def execution(self, execution_id: str) -> dict[str, Any]:
        if execution_id not in self.views:
            raise NotFound(f"no execution {execution_id[:40]}", hint="list them with GET /api/v1/executions/search")
        view = self.views[execution_id]
        return {**view, "state": {**view["state"], "histories": list(view["state"]["histories"])}}

    async def namespace_of(self, execution_id: str) -> str | None:
        return self.views[execution_id]["namespace"] if execution_id in self.views else None

    async def executions(
        self, *, namespace: str | None = None, flow_id: str | None = None, states: Sequence[str] = (), labels: Mapping[str, str] | None = None,
        query: str | None = None, started_after: datetime | None = None, started_before: datetime | None = None,
        trigger_execution_id: str | None = None, page: int = 1, size: int = 25, sort: str = "startDate:desc",
        namespaces: Any = None, trigger_id: str | None = None, child: bool | None = None, where: Sequence[Condition] = (),
    ) -> tuple[list[dict[str, Any]], int]:
        found = [
            {key: value for key, value in view.items() if key != "taskRunList"} for view in self.views.values()
            if (not namespace or view["namespace"] == namespace or view["namespace"].startswith(f"{namespace}.")) and (not flow_id or view["flowId"] == flow_id)
            and (not states or view["state"]["current"] in states)
            and (not query or query.lower() in f"{view['id']} {view['namespace']} {view['flowId']}".lower())
            and (not labels or labels.items() <= {each["key"]: each["value"] for each in view["labels"]}.items())
            and (started_after is None or from_text(view["state"]["startDate"]) >= started_after)
            and (started_before is None or from_text(view["state"]["startDate"]) <= started_before)
            and (not trigger_id or (view.get("trigger") or {}).get("id") == trigger_id)
            and all_hold(where, _row(view), RegexBudget())
            and (child is None or child == bool(((view.get("trigger") or {}).get("variables") or {}).get("executionId")))
            and (namespaces is None or any(view["namespace"] == each or view["namespace"].startswith(f"{each}.") for each in namespaces))
            and (not trigger_execution_id or ((view.get("trigger") or {}).get("variables") or {}).get("executionId") == trigger_execution_id)
        ]
        name, _, order = sort.partition(":")
        found.sort(key=lambda view: str(view["state"].get(name) or view.get(name) or view["state"]["current"]), reverse=order == "desc")
        return found[(page - 1) * size : page * size], len(found)

    async def list_executions(self, *, after: str | None = None, page: int = 1, size: int = 25, **wanted: Any) -> Listed:
        found, _ = await self.executions(**wanted, page=1, size=1_000_000)
        begin = next((number + 1 for number, each in enumerate(found) if each["id"] == after), 0)
        rest = found[begin:]
        shown = rest[(page - 1) * size : page * size]
        return Listed(found=shown, total=len(rest), next=shown[-1]["id"] if len(rest) > page * size else None)

    def behind(self) -> LimitError | None:
        return self.too_much

    def queue(self) -> dict[str, Any]:
        return {
            "paused": self.paused,
            "executions": {"running": 1, "queued": 2, "oldestSeconds": 7.5, "flows": [
                {"namespace": "company.team", "flowId": "hello", "count": 2, "oldest": "x" * 22, "oldestSeconds": 7.5, "why": "everything is paused"},
            ]},
            "taskRuns": {"running": 3, "slots": 64, "waiting": 0, "oldestSeconds": 0.0, "flows": []},
            "commands": {"waiting": 0, "oldestSeconds": 0.0},
        }

    async def pause_all(self, *, by: str = "", reason: str = "") -> dict[str, Any]:
        self.paused = {"at": "2026-01-05T12:00:00.000Z", "by": by, "reason": reason}
        return self.queue()

    async def resume_all(self) -> dict[str, Any]:
        self.paused = None
        return self.queue()

    async def collect_garbage(self, *, dry: bool = False) -> dict[str, int]:
        self.collected.append(dry)
        return {"executions": 3, "logs": 0, "metrics": 0, "keys": 0, "documents": 0, "caches": 0, "folders": 1, "files": 2, "bytes": 2_500_000}

    async def recent_executions(self, flows: Sequence[tuple[str, str]], *, most: int) -> dict[tuple[str, str], list[dict[str, Any]]]:
        found = {pair: (await self.executions(namespace=pair[0], flow_id=pair[1], size=most))[0] for pair in flows}
        return {pair: views for pair, views in found.items() if views}

    async def tally(self, *, start: datetime, end: datetime, steps: int, **wanted: Any) -> list[dict[str, int]]:
        made: list[dict[str, int]] = [{} for _ in range(steps)]
        found, _ = await self.executions(started_after=start, started_before=end, size=1_000_000, **wanted)
        for each in found:
            at = from_text(each["state"]["startDate"])
            part = made[min(int((at - start) / (end - start) * steps), steps - 1)]
            part[each["state"]["current"]] = part.get(each["state"]["current"], 0) + 1
        return made

    async def reasons(self, executions: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        grave = {each["id"]: [line for line in self.entries.get(each["id"], []) if line["level"] == "ERROR"] for each in executions}
        return {identifier: lines[-1]["message"] for identifier, lines in grave.items() if lines}

    def upcoming(self, *, limit: int) -> list[dict[str, Any]]:
        found = [
            {"namespace": name[0], "flowId": name[1], "triggerId": name[2], "nextExecutionDate": state["nextExecutionDate"]}
            for name, state in self.states.items() if state.get("nextExecutionDate") and not state.get("disabled")
        ]
        return sorted(found, key=lambda each: str(each["nextExecutionDate"]))[:limit]

    async def last_executions(self, flows: Sequence[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
        last = {pair: (await self.executions(namespace=pair[0], flow_id=pair[1], size=1))[0] for pair in flows}
        return {pair: found[0] for pair, found in last.items() if found}

    async def logs(
        self, execution_id: str, *, after_seq: int = 0, min_level: str = "TRACE", task_id: str | None = None, task_run_id: str | None = None,
        attempt: int | None = None, limit: int = 10_000,
    ) -> list[dict[str, Any]]:
        return [
            each for each in self.entries.get(execution_id, [])
            if each["seq"] > after_seq and LEVELS.index(each["level"]) >= LEVELS.index(min_level) and (not task_id or each["taskId"] == task_id)
            and (not task_run_id or each["taskRunId"] == task_run_id) and (attempt is None or each["attemptNumber"] == attempt)
        ][:limit]

    async def log_index(self, execution_id: str, *, every: int, **only: Any) -> tuple[int, list[int]]:
        entries = await self.logs(execution_id, limit=1_000_000, **only)
        return len(entries), [0, *(each["seq"] for each in entries[every - 1 : -1 : every])]

    async def log_find(self, execution_id: str, text: str, *, limit: int, **only: Any) -> list[tuple[int, int]]:
        entries = enumerate(await self.logs(execution_id, limit=1_000_000, **only))
        return [(number, each["seq"]) for number, each in entries if text.lower() in each["message"].lower()][:limit]

    async def evaluate(self, execution_id: str, expression: str, *, task_run_id: str | None = None) -> dict[str, Any]:
        view = await self.execution(execution_id)
        if task_run_id is not None and all(run["id"] != task_run_id for run in view["taskRunList"]):
            raise NotFound("no such task run")
        if "broken" in expression:
            return {"error": f"no such thing: {expression}", "stackTrace": "line 1, column 4"}
        return {"result": expression.replace("{{ execution.id }}", execution_id)}

    async def search_logs(
        self, *, namespace: str | None = None, flow_id: str | None = None, query: str | None = None, min_level: str = "TRACE",
        started_after: datetime | None = None, started_before: datetime | None = None, page: int = 1, size: int = 25, namespaces: Any = None,
    ) -> tuple[list[dict[str, Any]], int]:
        found = [
            each for lines in self.entries.values() for each in lines
            if _within(each["namespace"], namespaces) and (not namespace or each["namespace"] == namespace) and (not query or query in each["message"])
            and LEVELS.index(each["level"]) >= LEVELS.index(min_level)
        ][::-1]
        return found[(page - 1) * size : page * size], len(found)

    async def metrics(self, execution_id: str) -> list[dict[str, Any]]:
        return self.numbers.get(execution_id, [])

    async def record(self, execution_id: str) -> dict[str, Any] | None:
        return self.records.get(execution_id)

    def flows(self, *, namespace: str | None = None, query: str | None = None) -> list[FlowRevision]:
        wanted = (query or "").lower()
        return [
            each for _, each in sorted(self.current.items())
            if (not namespace or each.namespace == namespace or each.namespace.startswith(f"{namespace}."))
            and wanted in f"{each.namespace}.{each.flow_id} {each.model.description or ''}".lower()
        ]

    async def flow(self, namespace: str, flow_id: str, *, revision: int | None = None) -> FlowRevision:
        known = self.history.get((namespace, flow_id), [])
        found = known[-1:] if revision is None else [each for each in known if each.revision == revision]
        if not found:
            raise FlowNotFound(f"no flow '{namespace}.{flow_id}'" + (f" revision {revision}" if revision else ""), hint="list them with: podium flows list")
        return found[0]

    async def revisions(self, namespace: str, flow_id: str) -> list[KnownFlow]:
        return [
            KnownFlow(namespace=each.namespace, flow_id=each.flow_id, revision=each.revision, source=each.source, commit=each.commit, path=each.path, blob=each.blob)
            for each in self.history.get((namespace, flow_id), [])
        ]

    def known_flows(self) -> Mapping[tuple[str, str], KnownFlow]:
        return {}

    async def syncs(self, *, limit: int = 20) -> list[dict[str, Any]]:
        return self.sync_records[:limit]

    def rejected(self) -> list[dict[str, Any]]:
        return self.refused

    async def trigger_state(self, namespace: str, flow_id: str, trigger_id: str) -> dict[str, Any] | None:
        return self.states.get((namespace, flow_id, trigger_id))

    async def kv(self, namespace: str, key: str) -> dict[str, Any] | None:
        return self.values.get((namespace, key))

    async def kv_list(self, namespace: str) -> list[dict[str, Any]]:
        return [entry for (where, _), entry in sorted(self.values.items()) if where == namespace]

    async def kv_put(self, namespace: str, key: str, value: Any, *, kind: str | None = None, ttl_s: float | None = None) -> None:
        now = self.clock.now()
        self.values[namespace, key] = {
            "key": key, "value": value, "type": kind, "updateDate": to_text(now), "creationDate": to_text(now),
            **({"expirationDate": to_text(now + timedelta(seconds=ttl_s))} if ttl_s else {}),
        }

    async def kv_delete(self, namespace: str, key: str) -> bool:
        return self.values.pop((namespace, key), None) is not None

    async def store_upload(self, namespace: str, flow_id: str, input_id: str, filename: str, data: bytes | Path) -> str:
        uri = f"kestra:///{namespace.replace('.', '/')}/{flow_id}/executions/upload/inputs/{input_id}/{filename}"
        self.files[uri] = data.read_bytes() if isinstance(data, Path) else data
        return uri

    async def read_file(self, uri: str, *, offset: int = 0, length: int | None = None) -> bytes:
        if uri not in self.files:
            raise NotFound(f"no file {uri}")
        return self.files[uri][offset : None if length is None else offset + length]

    async def file_size(self, uri: str) -> int:
        return len(await self.read_file(uri))

    async def delete_execution(self, execution_id: str, *, logs: bool = True, metrics: bool = True, files: bool = True) -> None:
        await self._only(execution_id, set(TERMINAL), None)
        del self.views[execution_id]
        for kept, wanted in ((self.entries, logs), (self.numbers, metrics)):
            if wanted:
                kept.pop(execution_id, None)

    async def delete_logs(self, execution_id: str) -> None:
        await self.execution(execution_id)
        self.entries.pop(execution_id, None)

    async def delete_flow_logs(self, namespace: str, flow_id: str, *, trigger_id: str | None = None) -> int:
        found = 0
        for identifier, view in self.views.items():
            if (view["namespace"], view["flowId"]) == (namespace, flow_id) and trigger_id is None:
                found += len(self.entries.pop(identifier, []))
        return found

    async def executions_over_time(
        self, *, start: datetime, end: datetime, bucket: str, by: Sequence[str] = (), namespace: str | None = None, flow_id: str | None = None,
        namespaces: Any = None,
    ) -> list[dict[str, Any]]:
        found: dict[tuple[str, ...], dict[str, Any]] = {}
        views, _ = await self.executions(namespace=namespace, flow_id=flow_id, started_after=start, started_before=end, namespaces=namespaces, size=100_000)
        for view in views:
            at, state = view["state"]["startDate"], view["state"]["current"]
            begin = {"minute": at[:16] + ":00.000Z", "hour": at[:13] + ":00:00.000Z"}.get(bucket, at[:10] + "T00:00:00.000Z")
            names = {"namespace": view["namespace"], "flow_id": view["flowId"]}
            key = (begin, *(names[name] for name in by), state)
            row = found.setdefault(key, {"at": begin, **{name: names[name] for name in by}, "state": state, "count": 0, "min": 1.0, "max": 1.0, "sum": 0.0})
            row["count"] += 1
            row["sum"] += 1.0
        return list(found.values())

    async def logs_over_time(self, *, start: datetime, end: datetime, bucket: str, **more: Any) -> list[dict[str, Any]]:
        lines, _ = await self.search_logs(namespace=more.get("namespace"), size=100_000)
        found: dict[tuple[str, str], int] = {}
        for line in lines:
            key = (line["timestamp"][:10] + "T00:00:00.000Z", line["level"])
            found[key] = found.get(key, 0) + 1
        return [{"at": at, "level": level, "count": count} for (at, level), count in found.items()]

    def _of_flow(self, namespace: str, flow_id: str) -> list[dict[str, Any]]:
        return [
            each for identifier, view in self.views.items() if (view["namespace"], view["flowId"]) == (namespace, flow_id)
            for each in self.numbers.get(identifier, [])
        ]

    async def metric_names(self, namespace: str, flow_id: str, *, task_id: str | None = None) -> list[str]:
        return sorted({each["name"] for each in self._of_flow(namespace, flow_id) if task_id in (None, each["taskId"])})

    async def metric_tasks(self, namespace: str, flow_id: str) -> list[str]:
        return sorted({each["taskId"] for each in self._of_flow(namespace, flow_id)})

    async def metric_values(self, namespace: str, flow_id: str, name: str, *, task_id: str | None = None, **more: Any) -> dict[str, float]:
        found: dict[str, float] = {}
        for each in self._of_flow(namespace, flow_id):
            if each["name"] == name and task_id in (None, each["taskId"]):
                at = each["timestamp"][:10] + "T00:00:00.000Z"
                found[at] = found.get(at, 0) + each["value"]
        return found

    async def kv_search(
        self, *, namespace: str | None = None, namespaces: Any = None, text: str = "", page: int = 1, size: int = 25
    ) -> tuple[list[dict[str, Any]], int]:
        found = [
            {"namespace": where, **{name: value for name, value in entry.items() if name != "value"}} for (where, key), entry in sorted(self.values.items())
            if (namespace is None or _within(where, [namespace])) and _within(where, namespaces) and text.lower() in key.lower()
        ]
        return found[(page - 1) * size : page * size], len(found)

    async def kv_expired(self, namespace: str, key: str) -> bool:
        return (namespace, key) in self.expired

    async def health(self) -> dict[str, Any]:
        if self.fail is not None:
            raise self.fail
        return {**self.status, "flows": len(self.current), "waiting": self.queue()}

    async def subscribe(self, *, after_seq: int | None = None) -> AsyncIterator[dict[str, Any]]:
        reader: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._readers.append(reader)
        try:
            while True:
                yield await reader.get()
        finally:
            self._readers.remove(reader)


def _push(state: dict[str, Any], name: str, at: datetime) -> None:
    state.setdefault("histories", []).append({"state": name, "date": to_text(at)})
    state.setdefault("startDate", to_text(at))
    state["current"] = name
    took = at - from_text(state["startDate"])
    state["duration"] = f"PT{took.total_seconds():.3f}S"
    state.pop("endDate", None)
    if name in TERMINAL or name == "PAUSED":
        state["endDate"] = to_text(at)


class FakeTriggers:
    """See base/ports.TriggerControls."""

    def __init__(self, orchestrator: FakeOrchestrator) -> None:
        self._states = orchestrator.states

    def _merge(self, name: tuple[str, str, str], **changes: Any) -> dict[str, Any]:
        state = self._states.setdefault(name, {})
        state.update(changes)
        return {key: value for key, value in state.items() if value is not None}

    async def set_disabled(self, namespace: str, flow_id: str, trigger_id: str, *, disabled: bool) -> dict[str, Any]:
        return self._merge((namespace, flow_id, trigger_id), disabled=disabled)

    async def backfill(
        self, namespace: str, flow_id: str, trigger_id: str, *, start: datetime, end: datetime | None = None, inputs: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        made = {
            "id": new_id(), "start": to_text(start), "end": to_text(end or SystemClock().now()), "currentDate": to_text(start), "paused": False, "inputs": dict(inputs or {}),
            "labels": dict(labels or {}),
        }
        return self._merge((namespace, flow_id, trigger_id), backfill=made)

    async def pause_backfill(self, namespace: str, flow_id: str, trigger_id: str, *, paused: bool) -> dict[str, Any]:
        backfill = self._states.get((namespace, flow_id, trigger_id), {}).get("backfill")
        if not backfill:
            raise ConflictError("there is no backfill", hint="create one first")
        backfill["paused"] = paused
        return self._merge((namespace, flow_id, trigger_id))

    async def delete_backfill(self, namespace: str, flow_id: str, trigger_id: str) -> dict[str, Any]:
        return self._merge((namespace, flow_id, trigger_id), backfill=None)

    async def unlock(self, namespace: str, flow_id: str, trigger_id: str) -> dict[str, Any]:
        return self._merge((namespace, flow_id, trigger_id), executionId=None)


class FakeSources:
    """See base/ports.SourceControls."""

    def __init__(self) -> None:
        self.sources: list[dict[str, Any]] = []
        self.notified: list[tuple[str, bytes, bool]] = []
        self.facts: dict[str, CommitFacts] = {}
        self.confirmed: list[tuple[str, str | None]] = []

    async def notify(self, name: str, headers: Sequence[tuple[str, str]], body: bytes, *, trusted: bool = False) -> Answer:
        if all(each["name"] != name for each in self.sources):
            raise NotFound(f"there is no source '{name}'", hint="see the settings")
        self.notified.append((name, body, trusted))
        return Answer(status=202, body={"source": name})

    async def commits(self, name: str, commits: Sequence[str]) -> dict[str, CommitFacts]:
        return {each: self.facts[each] for each in commits if each in self.facts}

    async def confirm(self, name: str, *, commit: str | None = None) -> dict[str, Any]:
        source = next((each for each in self.sources if each["name"] == name), None)
        if source is None:
            raise NotFound(f"there is no source '{name}'", hint="see the settings")
        if not source.get("held"):
            raise ConflictError(f"source '{name}' holds nothing back", hint="nothing to do")
        self.confirmed.append((name, commit))
        source.pop("held")
        return source

    def status(self) -> list[dict[str, Any]]:
        return [dict(each) for each in self.sources]


class FakeWebhooks:
    """Accepts deliveries with the key `s3cret`."""

    def __init__(self, orchestrator: FakeOrchestrator) -> None:
        self.orchestrator = orchestrator
        self.deliveries: list[Delivery] = []

    async def accept(self, delivery: Delivery) -> Answer:
        self.deliveries.append(delivery)
        if delivery.key == "worded":
            return Answer(status=401, body={"message": "the signature is wrong"})
        if delivery.key != "s3cret":
            raise NotFound("no such webhook", hint="check the address")
        view = await self.orchestrator.start(StartRequest(namespace=delivery.namespace, flow_id=delivery.flow_id, trigger={"id": "hook", "type": "Webhook", "variables": {}}))
        return Answer(status=200, body=view, headers={"Podium-Execution": view["id"]})
