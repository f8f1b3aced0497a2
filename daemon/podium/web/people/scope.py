"""The orchestrator, sources and triggers as one caller may use them: the second wall behind the guard.

Made by web/context for a caller who has no role for the whole instance, and handed to handlers in the place of the real ones. What always holds:
lists have the caller's namespaces only; what is elsewhere is not there; a command needs its role in the namespace it works on, whatever the handler
asked; what this module does not know is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from podium.base.access.people import Role
from podium.base.errors import FlowNotFound, NotFound
from podium.base.ports import Answer, FlowRevision, KnownFlow, SourceControls, TriggerControls
from podium.conductor.port import Listed, Orchestrator, StartRequest, View
from podium.web.people.roles import Caller, role_needed

UPCOMING_LOOKED_AT = 2_000
_ON_EXECUTIONS = {
    "wait": Role.VIEWER, "logs": Role.VIEWER, "log_index": Role.VIEWER, "log_find": Role.VIEWER, "metrics": Role.VIEWER, "record": Role.VIEWER,
    "validate_answers": Role.VIEWER, "evaluate": Role.OPERATOR, "kill": Role.OPERATOR, "restart": Role.OPERATOR, "replay": Role.OPERATOR,
    "pause": Role.OPERATOR, "resume": Role.OPERATOR, "review": Role.OPERATOR, "change_status": Role.OPERATOR, "change_task_run_state": Role.OPERATOR,
    "set_labels": Role.OPERATOR, "force_run": Role.OPERATOR, "unqueue": Role.OPERATOR, "delete_execution": Role.EDITOR, "delete_logs": Role.EDITOR,
}
"""Methods whose first argument is an execution → what they need in its namespace."""
_IN_NAMESPACES = {
    "kv": Role.VIEWER, "kv_list": Role.VIEWER, "kv_put": Role.EDITOR, "kv_delete": Role.EDITOR, "remember_trigger": Role.OPERATOR,
    "store_upload": Role.OPERATOR, "trigger_state": Role.VIEWER, "metric_names": Role.VIEWER, "metric_tasks": Role.VIEWER,
    "metric_values": Role.VIEWER, "kv_expired": Role.VIEWER, "delete_flow_logs": Role.EDITOR,
}
"""Methods whose first argument is a namespace → what they need there."""
_ON_SOURCES = {"commits": Role.NONE, "look": Role.OPERATOR, "confirm": Role.EDITOR}
"""Methods of SourceControls → what they need for the whole instance. `commits`: handlers ask for those of what the caller sees."""
_OF_INSTANCE = {"pause_all": Role.ADMIN, "resume_all": Role.ADMIN, "collect_garbage": Role.ADMIN, "deploy": Role.ADMIN}
_OF_FILES = ("read_file", "file_size")
_OPEN = ("behind",)
WRAPPED = frozenset({*_ON_EXECUTIONS, *_IN_NAMESPACES, *_OF_INSTANCE, *_OF_FILES, *_OPEN})
"""The methods of the port that have no method below."""


class Scoped:
    """See Orchestrator, as `caller` may use it."""

    def __init__(self, orchestrator: Orchestrator, caller: Caller) -> None:
        self._real = orchestrator
        self._caller = caller
        self._seen = caller.seen

    def __getattr__(self, name: str) -> Any:
        if name in _ON_EXECUTIONS:
            return self._on_execution(name, _ON_EXECUTIONS[name])
        if name in _IN_NAMESPACES:
            return self._in_namespace(name, _IN_NAMESPACES[name])
        if name in _OF_FILES:
            return self._of_file(name)
        if name in _OPEN:
            return getattr(self._real, name)
        raise role_needed(_OF_INSTANCE.get(name, Role.ADMIN), "")

    def _on_execution(self, name: str, role: Role) -> Any:
        async def call(execution_id: str, *given: Any, **more: Any) -> Any:
            await self._admit(execution_id, role)
            return await getattr(self._real, name)(execution_id, *given, **more)

        return call

    def _in_namespace(self, name: str, role: Role) -> Any:
        async def call(namespace: str, *given: Any, **more: Any) -> Any:
            self._require(role, namespace)
            return await getattr(self._real, name)(namespace, *given, **more)

        return call

    def _of_file(self, name: str) -> Any:
        async def call(uri: str, **more: Any) -> Any:
            parts = urlsplit(uri).path.split("/")[1:]
            owner = parts[: parts.index("executions")] if "executions" in parts else []
            if not self._may(Role.VIEWER, ".".join(owner[:-1])):
                raise NotFound(f"no file {uri[:200]}", hint="it is of a namespace that you have no role in", uri=uri[:200])
            return await getattr(self._real, name)(uri, **more)

        return call

    async def _admit(self, execution_id: str, role: Role) -> None:
        namespace = await self._real.namespace_of(execution_id)
        if namespace is None or not self._may(Role.VIEWER, namespace):
            raise NotFound(f"no execution '{execution_id[:40]}'", hint="list those you may see: GET /api/v1/executions/search")
        self._require(role, namespace)

    def _may(self, role: Role, namespace: str) -> bool:
        return self._caller.may(role, namespace)

    def _require(self, role: Role, namespace: str) -> None:
        if not self._may(role, namespace):
            raise role_needed(role, namespace)

    # ---- starting
    async def start(self, request: StartRequest) -> View:
        """See Orchestrator."""
        self._require(Role.OPERATOR, request.namespace)
        return await self._real.start(request)

    async def validate_inputs(self, request: StartRequest) -> list[dict[str, Any]]:
        """See Orchestrator."""
        self._require(Role.VIEWER, request.namespace)
        return await self._real.validate_inputs(request)

    async def validate_checks(self, request: StartRequest) -> list[dict[str, Any]]:
        """See Orchestrator."""
        self._require(Role.VIEWER, request.namespace)
        return await self._real.validate_checks(request)

    # ---- executions
    async def execution(self, execution_id: str) -> View:
        """See Orchestrator."""
        await self._admit(execution_id, Role.VIEWER)
        return await self._real.execution(execution_id)

    async def namespace_of(self, execution_id: str) -> str | None:
        """See Orchestrator."""
        found = await self._real.namespace_of(execution_id)
        return found if found is not None and self._may(Role.VIEWER, found) else None

    async def executions(self, **wanted: Any) -> tuple[list[View], int]:
        """See Orchestrator."""
        return await self._real.executions(**{**wanted, "namespaces": self._within(wanted)})

    async def list_executions(self, **wanted: Any) -> Listed:
        """See Orchestrator."""
        return await self._real.list_executions(**{**wanted, "namespaces": self._within(wanted)})

    async def search_logs(self, **wanted: Any) -> tuple[list[dict[str, Any]], int]:
        """See Orchestrator."""
        return await self._real.search_logs(**{**wanted, "namespaces": self._within(wanted)})

    async def executions_over_time(self, **wanted: Any) -> list[dict[str, Any]]:
        """See Orchestrator."""
        return await self._real.executions_over_time(**{**wanted, "namespaces": self._within(wanted)})

    async def logs_over_time(self, **wanted: Any) -> list[dict[str, Any]]:
        """See Orchestrator."""
        return await self._real.logs_over_time(**{**wanted, "namespaces": self._within(wanted)})

    async def kv_search(self, **wanted: Any) -> tuple[list[dict[str, Any]], int]:
        """See Orchestrator."""
        return await self._real.kv_search(**{**wanted, "namespaces": self._within(wanted)})

    def _within(self, wanted: Mapping[str, Any]) -> Collection[str] | None:
        asked: Collection[str] | None = wanted.get("namespaces")
        if asked is None or self._seen is None:
            return self._seen if asked is None else asked
        # Of what was asked for, the parts that are seen: a name is below one that is seen, or above it.
        below = {name for name in asked if self._may(Role.VIEWER, name)}
        return below | {name for name in self._seen for above in asked if name.startswith(f"{above}.")}

    async def last_executions(self, flows: Sequence[tuple[str, str]]) -> dict[tuple[str, str], View]:
        """See Orchestrator."""
        return await self._real.last_executions([pair for pair in flows if self._may(Role.VIEWER, pair[0])])

    async def recent_executions(self, flows: Sequence[tuple[str, str]], **wanted: Any) -> dict[tuple[str, str], list[View]]:
        """See Orchestrator."""
        return await self._real.recent_executions([pair for pair in flows if self._may(Role.VIEWER, pair[0])], **wanted)

    async def tally(self, **wanted: Any) -> list[dict[str, int]]:
        """See Orchestrator."""
        within = self._within(wanted)
        return await self._real.tally(**{**wanted, "namespaces": None if within is None else sorted(within)})

    async def reasons(self, executions: Sequence[View]) -> dict[str, str]:
        """See Orchestrator."""
        return await self._real.reasons([each for each in executions if self._may(Role.VIEWER, str(each.get("namespace")))])

    def upcoming(self, *, limit: int) -> list[dict[str, Any]]:
        """See Orchestrator. Of the soonest UPCOMING_LOOKED_AT of all."""
        found = self._real.upcoming(limit=limit if self._seen is None else UPCOMING_LOOKED_AT)
        return [each for each in found if self._may(Role.VIEWER, str(each["namespace"]))][:limit]

    # ---- flows
    def flows(self, *, namespace: str | None = None, query: str | None = None) -> list[FlowRevision]:
        """See Orchestrator."""
        return [each for each in self._real.flows(namespace=namespace, query=query) if self._may(Role.VIEWER, each.namespace)]

    async def flow(self, namespace: str, flow_id: str, *, revision: int | None = None) -> FlowRevision:
        """See Orchestrator."""
        self._find(namespace, flow_id)
        return await self._real.flow(namespace, flow_id, revision=revision)

    async def revisions(self, namespace: str, flow_id: str) -> list[KnownFlow]:
        """See Orchestrator."""
        self._find(namespace, flow_id)
        return await self._real.revisions(namespace, flow_id)

    def _find(self, namespace: str, flow_id: str) -> None:
        if not self._may(Role.VIEWER, namespace):
            raise FlowNotFound(f"no flow '{namespace}.{flow_id}'", hint="list those you may see: podium flows list")

    def known_flows(self) -> Mapping[tuple[str, str], KnownFlow]:
        """See Orchestrator."""
        return {key: each for key, each in self._real.known_flows().items() if self._may(Role.VIEWER, key[0])}

    async def syncs(self, **wanted: Any) -> list[dict[str, Any]]:
        """See Orchestrator. Without files that were refused: nobody knows whose they are."""
        found = await self._real.syncs(**wanted)
        return found if self._seen is None else [self._sync(each) for each in found]

    def _sync(self, sync: Mapping[str, Any]) -> dict[str, Any]:
        seen = [each for each in sync.get("flows") or () if self._may(Role.VIEWER, str(each.get("namespace")))]
        return {**sync, "flows": seen, "held": "flows would be removed" if sync.get("held") else None, "rejected": [], "warnings": []}

    def rejected(self) -> list[dict[str, Any]]:
        """Files in whose place a flow of the caller's namespaces runs."""
        if self._seen is None:
            return self._real.rejected()
        mine = {(each.source, each.path) for each in self.known_flows().values()} | {(each.source, each.path) for each in self.flows()}
        return [each for each in self._real.rejected() if (each.get("source"), each.get("path")) in mine]

    # ---- the instance
    def queue(self) -> dict[str, Any]:
        """See Orchestrator."""
        return self._waiting(self._real.queue())

    def _waiting(self, found: Mapping[str, Any]) -> dict[str, Any]:
        made = dict(found)
        for part in ("executions", "taskRuns"):
            if isinstance(inner := found.get(part), Mapping) and "flows" in inner:
                made[part] = {**inner, "flows": [each for each in inner["flows"] if self._may(Role.VIEWER, str(each.get("namespace")))]}
        return made

    async def health(self) -> dict[str, Any]:
        """See Orchestrator. Without the sources."""
        found = await self._real.health()
        return found if self._seen is None else {**found, "sources": [], "waiting": self._waiting(found.get("waiting") or {})}

    async def subscribe(self, *, after_seq: int | None = None) -> AsyncIterator[dict[str, Any]]:
        """See Orchestrator."""
        async for change in self._real.subscribe(after_seq=after_seq):
            if self.sees(change):
                yield change

    def sees(self, change: Mapping[str, Any]) -> bool:
        """Whether a change is of a namespace that the caller sees, or of none."""
        return "namespace" not in change or self._may(Role.VIEWER, str(change["namespace"]))


class ScopedTriggers:
    """See TriggerControls: each call begins with the namespace."""

    def __init__(self, triggers: TriggerControls, caller: Caller) -> None:
        self._real = triggers
        self._caller = caller

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)

        async def call(namespace: str, *given: Any, **more: Any) -> Any:
            if not self._caller.may(Role.OPERATOR, namespace):
                raise role_needed(Role.OPERATOR, namespace)
            return await real(namespace, *given, **more)

        return call


class ScopedSources:
    """See SourceControls: who has no role for the instance sees that there are sources, and how far they are."""

    def __init__(self, sources: SourceControls, caller: Caller) -> None:
        self._real = sources
        self._caller = caller

    def __getattr__(self, name: str) -> Any:
        role = _ON_SOURCES.get(name, Role.ADMIN)
        if role and not self._caller.may(role, ""):
            raise role_needed(role, "")
        return getattr(self._real, name)

    async def notify(self, name: str, headers: Sequence[tuple[str, str]], body: bytes, *, trusted: bool = False) -> Answer:
        """See SourceControls. To be trusted takes an operator of the instance; others bring a signature."""
        return await self._real.notify(name, headers, body, trusted=trusted and self._caller.may(Role.OPERATOR, ""))

    def status(self) -> list[dict[str, Any]]:
        """See SourceControls. Without what a refused or held deployment names."""
        if self._caller.may(Role.VIEWER, ""):
            return self._real.status()
        kept = ("name", "url", "branch", "path", "commit", "fetchedAt", "pollIntervalS", "page", "commitPage")
        return [{key: each[key] for key in kept if key in each} for each in self._real.status()]


