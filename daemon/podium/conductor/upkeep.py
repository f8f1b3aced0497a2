"""Removes what is past its time, or what a purge task names: index rows, logs, metrics, stored files. Records stay in Git."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from podium.base.errors import PodiumError
from podium.base.system.clock import Clock
from podium.base.system.log import get_logger
from podium.storage.files import FileStorage
from podium.storage.uris import execution_prefix
from podium.store.documents import Documents
from podium.store.journal import Journal
from podium.store.logs import Logs
from podium.store.views import Views

log = get_logger(__name__)
EVERY_S = 3_600.0
DEDUPE_DAYS = 30


class Upkeep:
    """One pass an hour; each step is a transaction and may be cut off anywhere."""

    def __init__(self, *, views: Views, logs: Logs, files: FileStorage, journal: Journal, documents: Documents, clock: Clock) -> None:
        self._views = views
        self._logs = logs
        self._files = files
        self._journal = journal
        self._documents = documents
        self._clock = clock

    async def run(self, executions_days: float, storage_days: float) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.once(executions_days, storage_days)
            except PodiumError as error:
                log.warning("upkeep_failed", error=error.what)

    async def once(self, executions_days: float, storage_days: float) -> None:
        """Drop what is older than these numbers of days."""
        now = self._clock.now()
        await self._purge({"before": now - timedelta(days=storage_days)}, executions=False, logs=False, metrics=False, files=True)
        await self._purge({"before": now - timedelta(days=executions_days)}, executions=True, logs=True, metrics=True, files=False)
        await self._journal.forget(now - timedelta(days=DEDUPE_DAYS))
        await self._documents.drop_expired(now)

    async def purge_executions(self, body: Mapping[str, Any]) -> None:
        """See plugin.Request: purge_executions."""
        await self._purge(
            _filters(body), executions=bool(body.get("executions", True)), logs=bool(body.get("logs", True)), metrics=bool(body.get("metrics", True)),
            files=bool(body.get("files", True)),
        )

    async def purge_logs(self, body: Mapping[str, Any]) -> None:
        """See plugin.Request: purge_logs."""
        await self._logs.purge(_filters(body), list(body.get("levels") or ()))

    async def _purge(self, filters: Mapping[str, Any], *, executions: bool, logs: bool, metrics: bool, files: bool) -> None:
        gone = await self._views.purge(filters, executions=executions, logs=logs, metrics=metrics)
        if files:
            for execution_id, namespace, flow_id in gone:
                await asyncio.to_thread(self._files.delete_prefix, execution_prefix(namespace, flow_id, execution_id))


def _filters(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "namespace": body.get("namespace"), "flow_id": body.get("flowId"), "states": list(body.get("states") or ()),
        "after": _moment(body.get("startDate")), "before": _moment(body.get("endDate")),
    }


def _moment(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) or value is None else datetime.fromisoformat(str(value))
