"""Removes executions and logs that a person names: a part of the Orchestrator (see port.Removing).

What always holds: only what has ended is removed, and only from the index, the logs, the metrics and the storage. The record stays in Git: a
rebuild of the index brings the execution back.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from podium.base.errors import ConflictError, NotFound
from podium.base.system.clock import Clock
from podium.conductor.core.conductor import Conductor
from podium.conductor.core.round import Round
from podium.conductor.upkeep import Upkeep
from podium.store.documents import CLEARED
from podium.store.journal import Document
from podium.store.retention import ROWS, Closed
from podium.store.views import Views

CLEARED_FOR = timedelta(days=400)


class Remover:
    """See port.Removing."""

    _views: Views
    _clock: Clock
    _conductor: Conductor
    upkeep: Upkeep | None

    async def delete_execution(self, execution_id: str, *, logs: bool = True, metrics: bool = True, files: bool = True) -> None:
        found = await self._closed(execution_id)
        assert self.upkeep is not None
        await self.upkeep.remove(found, logs=logs, metrics=metrics, files=files)

    async def delete_logs(self, execution_id: str) -> None:
        row = await self._views.row(execution_id)
        if row is None:
            raise _unknown(execution_id)
        assert self.upkeep is not None
        await self.upkeep.remove_logs(_place(row[0]))
        await self._mark(execution_id)

    async def delete_flow_logs(self, namespace: str, flow_id: str, *, trigger_id: str | None = None) -> int:
        assert self.upkeep is not None
        removed = 0
        while numbers := await self._views.counts.flow_lines(namespace, flow_id, trigger_id, ROWS):
            await self.upkeep.remove_lines(numbers)
            removed += len(numbers)
        return removed

    async def _closed(self, execution_id: str) -> Closed:
        row = await self._views.row(execution_id)
        if row is None:
            raise _unknown(execution_id)
        if self._conductor.stream(execution_id) is not None or not await self._views.is_closed(execution_id):
            raise ConflictError("only an execution that has ended can be deleted", hint="kill it first", state=row[0]["state"]["current"])
        return _place(row[0])

    async def _mark(self, execution_id: str) -> None:
        expires_at = self._clock.now() + CLEARED_FOR

        def enter(turn: Round) -> None:
            turn.batch.documents.append(Document(kind=CLEARED, namespace="", key=execution_id, value=True, expires_at=expires_at))

        await self._conductor.write(enter)


def _place(view: dict[str, Any]) -> Closed:
    return Closed(id=view["id"], namespace=view["namespace"], flow_id=view["flowId"], created_at=view["state"]["startDate"])


def _unknown(execution_id: str) -> NotFound:
    return NotFound(f"there is no execution '{execution_id[:40]}'", hint="list them: podium executions list", execution_id=execution_id[:40])
