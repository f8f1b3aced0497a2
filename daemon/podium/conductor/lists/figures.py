"""Figures over time, and keys by a text: a part of the Orchestrator (see port.Figures). All of it is read from the index."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from podium.base.system.clock import Clock
from podium.store.documents import Documents
from podium.store.views import Views


class IndexFigures:
    """See port.Figures."""

    _views: Views
    _clock: Clock
    _documents: Documents

    async def executions_over_time(
        self, *, start: datetime, end: datetime, bucket: str, by: Sequence[str] = (), namespace: str | None = None, flow_id: str | None = None,
        namespaces: Collection[str] | None = None,
    ) -> list[dict[str, Any]]:
        filters = {"namespace": namespace, "flow_id": flow_id, "namespaces": namespaces}
        return await self._views.counts.executions(filters, start=start, end=end, bucket=bucket, now=self._clock.now(), by=by)

    async def logs_over_time(
        self, *, start: datetime, end: datetime, bucket: str, namespace: str | None = None, flow_id: str | None = None,
        namespaces: Collection[str] | None = None,
    ) -> list[dict[str, Any]]:
        filters = {"namespace": namespace, "flow_id": flow_id, "namespaces": namespaces}
        return await self._views.counts.logs(filters, start=start, end=end, bucket=bucket)

    async def metric_names(self, namespace: str, flow_id: str, *, task_id: str | None = None) -> list[str]:
        return await self._views.counts.metric_names(namespace, flow_id, task_id=task_id)

    async def metric_tasks(self, namespace: str, flow_id: str) -> list[str]:
        return await self._views.counts.metric_tasks(namespace, flow_id)

    async def metric_values(
        self, namespace: str, flow_id: str, name: str, *, start: datetime, end: datetime, bucket: str, aggregate: str, task_id: str | None = None
    ) -> dict[str, float]:
        return await self._views.counts.metric_values(
            namespace, flow_id, name, task_id=task_id, start=start, end=end, bucket=bucket, aggregate=aggregate
        )

    async def kv_search(
        self, *, namespace: str | None = None, namespaces: Collection[str] | None = None, text: str = "", page: int = 1, size: int = 25
    ) -> tuple[list[dict[str, Any]], int]:
        return await self._views.counts.keys(
            namespace=namespace, namespaces=namespaces, text=text, now=self._clock.now(), page=page, size=size
        )

    async def kv_expired(self, namespace: str, key: str) -> bool:
        entry = self._documents.entry("kv", namespace, key, expired=True)
        return entry is not None and self._documents.get("kv", namespace, key) is None
