"""The executions that belong together, as they change: those with the correlation id of one of them (flow-language 10.2, follow-dependencies)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web

from podium.base import limits
from podium.base.errors import NotFound
from podium.conductor.port import View
from podium.flows.model import TERMINAL
from podium.web.api.executions import execution_id
from podium.web.context import Context, context
from podium.web.live import HEARTBEAT_S, Stream, serve_stream
from podium.web.routes import FLAG, TEXT, Param, Route

_CORRELATION = "system.correlationId"
_LOOKED_AT_MAX = 10_000
"""Executions of others that a stream remembers as not of its own."""


def _correlation(view: Mapping[str, Any]) -> str:
    labels = {each["key"]: each["value"] for each in view.get("labels") or ()}
    return str(labels.get(_CORRELATION) or view["id"])


def _event(view: Mapping[str, Any]) -> dict[str, Any]:
    names = {"executionId": "id", "namespace": "namespace", "flowId": "flowId", "revision": "flowRevision", "state": "state"}
    return {name: view.get(key) for name, key in names.items()}


class _Family:
    """The executions of one correlation id, and which of them have ended."""

    def __init__(self, here: Context, correlation: str) -> None:
        self._here = here
        self._correlation = correlation
        self._strangers: set[str] = set()
        self.open: dict[str, bool] = {}

    async def all(self) -> list[View]:
        """Those that there are, at most limits.PAGE_SIZE_MAX, the first first."""
        listed = await self._here.orchestrator.list_executions(
            labels={_CORRELATION: self._correlation}, sort="startDate:asc", size=limits.PAGE_SIZE_MAX
        )
        return listed.found

    async def of(self, identifier: str) -> View | None:
        """The execution if it is one of these."""
        if identifier in self._strangers:
            return None
        try:
            view = await self._here.orchestrator.execution(identifier)
        except NotFound:
            return None
        if _correlation(view) == self._correlation:
            return view
        if len(self._strangers) < _LOOKED_AT_MAX:
            self._strangers.add(identifier)
        return None


async def _follow(request: web.Request) -> web.StreamResponse:
    here = context(request)
    first = await here.orchestrator.execution(execution_id(request))
    family = _Family(here, _correlation(first))
    async with here.hub.subscription() as changes:

        async def tell(stream: Stream, views: Iterable[View]) -> None:
            for view in views:
                await stream.send(_event(view), identifier="progress")
                family.open[view["id"]] = view["state"]["current"] not in TERMINAL

        async def produce(stream: Stream) -> None:
            await tell(stream, {each["id"]: each for each in [*await family.all(), first]}.values())
            while any(family.open.values()) and not changes.closed:
                change = await changes.next(HEARTBEAT_S)
                if changes.lagged:
                    changes.lagged = False
                    await tell(stream, await family.all())
                elif change is None:
                    await stream.heartbeat()
                elif change.get("kind") == "execution" and (view := await family.of(str(change.get("executionId")))) is not None:
                    await tell(stream, [view])
            if not changes.closed:
                await stream.send({}, identifier="end-all")

        return await serve_stream(request, produce)


ROUTES = [
    Route(
        method="GET", path="/executions/{execution}/follow-dependencies", handler=_follow, tag="executions", content="text/event-stream",
        about="The states of the executions that belong together with this one, as they change; ends when all have ended",
        query=(Param(name="destinationOnly", schema=FLAG), Param(name="expandAll", schema=FLAG)), answers={200: TEXT}, errors=(404, 429), stream=True,
    ),
]
