"""How much the instance is used: flows by their types of tasks and triggers, executions of the last days (flow-language 10.3)."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from aiohttp import web

from podium.flows.model import all_tasks
from podium.web.context import Context, context
from podium.web.routes import OBJECT, Route
from podium.web.wire import answer

_DAYS = 2


async def _usages(request: web.Request) -> web.Response:
    here = context(request)
    flows = here.orchestrator.flows()
    tasks, triggers = Counter[str](), Counter[str]()
    for each in flows:
        tasks.update(task.type for task in all_tasks(each.model, listeners=False))
        triggers.update(trigger.type for trigger in each.model.triggers)
    return answer({
        "flows": {
            "count": len(flows), "namespacesCount": len({each.namespace for each in flows}), "taskTypeCount": dict(sorted(tasks.items())),
            "triggerTypeCount": dict(sorted(triggers.items())),
        },
        "executions": {"dailyExecutionsCount": await _daily(here)},
        "version": here.version, "instance": here.instance,
    })


async def _daily(here: Context) -> list[dict[str, Any]]:
    now = here.clock.now()
    rows = await here.orchestrator.executions_over_time(start=now - timedelta(days=_DAYS), end=now + timedelta(milliseconds=1), bucket="day")
    days: dict[str, dict[str, int]] = {}
    for row in rows:
        days.setdefault(row["at"], {})[row["state"]] = row["count"]
    return [{"startDate": at, "executionCounts": counts} for at, counts in days.items()]


ROUTES = [
    Route(
        method="GET", path="/usages/all", handler=_usages, about="How much the instance is used", tag="statistics", answers={200: OBJECT}, errors=(),
    ),
]
