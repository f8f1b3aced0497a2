"""What ended tasks ask of the orchestrator beyond their own execution (plugin.Request). Source: ruling 4."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from podium.base.errors import PodiumError
from podium.base.moments import to_text
from podium.base.system.log import get_logger
from podium.conductor.core.round import Round
from podium.conductor.core.stream import Stream
from podium.engine import effects as fx
from podium.store.documents import Documents

if TYPE_CHECKING:
    from podium.conductor.port import Orchestrator

log = get_logger(__name__)


class Purger(Protocol):
    """Removes executions and logs; implemented by conductor/upkeep."""

    async def purge_executions(self, body: Mapping[str, Any]) -> None: ...
    async def purge_logs(self, body: Mapping[str, Any]) -> None: ...


class Requests:
    """Documents change in the round itself; what concerns other executions is done once the round is on disk."""

    def __init__(self, documents: Documents, purger: Purger) -> None:
        self._documents = documents
        self._purger = purger
        self.orchestrator: Orchestrator | None = None

    def enter(self, turn: Round, stream: Stream, request: fx.Request) -> bool:
        """Do it in this round; False when it has to wait."""
        body, namespace = request.body, stream.state.namespace
        match request.kind:
            case "kv_put":
                put_kv(turn, body.get("namespace") or namespace, body["key"], body["value"], kind=body.get("type"), ttl_s=body.get("ttl_s"))
            case "kv_delete":
                turn.drop_kv(body.get("namespace") or namespace, body["key"])
            case "state_put":
                turn.document("state", body.get("namespace") or namespace, body["key"], body["value"])
            case "state_delete":
                turn.document("state", body.get("namespace") or namespace, body["key"], None)
            case "task_cache_put":
                expires = turn.now + timedelta(seconds=body["ttl_s"]) if body.get("ttl_s") is not None else None
                turn.document("taskCache", namespace, body["key"], body["value"], expires)
            case "toggle_trigger":
                self._toggle(turn, stream, body)
            case _:
                return False
        return True

    def _toggle(self, turn: Round, stream: Stream, body: Mapping[str, Any]) -> None:
        namespace = body.get("namespace") or stream.state.namespace
        flow_id = body.get("flowId") or stream.state.flow_id
        now = to_text(turn.now)
        state = {"disabled": None, "enabledDate": now} if body["enabled"] else {"disabled": True}
        merge_trigger(
            turn, self._documents, namespace=namespace, flow_id=flow_id, trigger_id=body["triggerId"], state={**state, "updatedDate": now},
        )

    async def carry_out(self, stream: Stream, request: fx.Request) -> None:
        """Do what concerns other executions. An error goes to the daemon's log: the task has ended."""
        assert self.orchestrator is not None
        body = request.body
        try:
            match request.kind:
                case "kill":
                    await self.orchestrator.kill(body["executionId"], cascade=bool(body.get("propagateKill", body.get("propagate", True))))
                case "resume":
                    await self.orchestrator.resume(body.get("executionId") or stream.state.id, inputs=body.get("inputs"))
                case "purge_executions":
                    await self._purger.purge_executions(body)
                case "purge_logs":
                    await self._purger.purge_logs(body)
                case _:
                    log.error("unknown_request", kind=request.kind, execution_id=stream.state.id)
        except PodiumError as error:
            log.warning("request_failed", kind=request.kind, execution_id=stream.state.id, error=error.what)


def put_kv(turn: Round, namespace: str, key: str, value: Any, *, kind: str | None, ttl_s: float | None) -> None:
    """Enter a key-value pair. kind: STRING, NUMBER, BOOLEAN, DATETIME, DATE, DURATION or JSON; by default what the value is."""
    expires: datetime | None = turn.now + timedelta(seconds=ttl_s) if ttl_s is not None else None
    turn.document("kv", namespace, key, {"value": value, "type": kind or kv_type(value)}, expires)
    turn.kv_namespaces.add(namespace)


def kv_type(value: Any) -> str:
    """The type of a value that came without one."""
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, (int, float)):
        return "NUMBER"
    return "STRING" if isinstance(value, str) else "JSON"


def merge_trigger(
    turn: Round, documents: Documents, *, namespace: str, flow_id: str, trigger_id: str, state: Mapping[str, Any]
) -> dict[str, Any]:
    """Enter changes of a trigger's state: keys given replace the stored ones, None removes, others stay. The state after that."""
    key = f"{flow_id}/{trigger_id}"
    stored: dict[str, Any] = turn.triggers.get((namespace, key)) or documents.get("trigger", namespace, key) or {}
    merged = {name: value for name, value in {**stored, **state}.items() if value is not None}
    turn.triggers[namespace, key] = merged
    turn.document("trigger", namespace, key, merged)
    turn.changes.append({"kind": "trigger", "namespace": namespace, "flowId": flow_id, "triggerId": trigger_id})
    return merged
