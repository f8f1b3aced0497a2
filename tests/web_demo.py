"""One of everything that pages show, in a FakeOrchestrator. Also what the pages look like in a browser: python tests/web_demo.py [port]."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from podium.base.moments import to_text
from podium.conductor.port import StartRequest
from podium.flows.schema import json_schema
from podium.web.server import make_app
from web_fake import TYPES, FakeOrchestrator, FakeSources, FakeTriggers, FakeWebhooks, check_flow

ETL = """id: daily-sales
namespace: company.analytics
description: |
  Loads **yesterday's sales** into the warehouse. Runs every morning; see [the handbook](https://example.org/handbook).

  - reads from `orders`
  - writes one table per region
labels:
  team: data
  tier: gold
inputs:
  - id: day
    type: DATE
    defaults: 2026-01-04
    description: The day to load.
  - id: regions
    type: MULTISELECT
    values: [north, south, east, west]
    defaults: [north, south]
variables:
  table: sales
tasks:
  - id: extract
    type: io.kestra.plugin.scripts.shell.Commands
    description: Fetches the orders of the day.
    commands: ["./extract.sh {{ inputs.day }}"]
  - id: per_region
    type: io.kestra.plugin.core.flow.ForEach
    values: "{{ inputs.regions }}"
    concurrencyLimit: 0
    tasks:
      - id: transform
        type: io.kestra.plugin.scripts.shell.Commands
        commands: ["./transform.sh {{ taskrun.value }}"]
      - id: load
        type: io.kestra.plugin.scripts.shell.Commands
        commands: ["./load.sh {{ taskrun.value }}"]
  - id: decide
    type: io.kestra.plugin.core.flow.If
    condition: "{{ outputs.extract.rows > 0 }}"
    then:
      - id: report
        type: io.kestra.plugin.core.log.Log
        message: "{{ outputs.extract.rows }} rows"
    else:
      - id: nothing
        type: io.kestra.plugin.core.log.Log
        message: No orders
errors:
  - id: alert
    type: io.kestra.plugin.core.log.Log
    message: Failed
triggers:
  - id: every_morning
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "0 6 * * *"
    timezone: Europe/Paris
  - id: on_order
    type: io.kestra.plugin.core.trigger.Webhook
    key: s3cret
outputs:
  - id: rows
    type: INT
    value: "{{ outputs.extract.rows }}"
"""

FORM = """id: everything
namespace: company.team
description: One input of every type.
inputs:
  - {id: name, type: STRING, displayName: Your name, description: "Shown in the **greeting**."}
  - {id: code, type: STRING, validator: "[A-Z]{3}", required: false}
  - {id: count, type: INT, min: 1, max: 10, defaults: 3}
  - {id: rate, type: FLOAT, required: false}
  - {id: loud, type: BOOL, defaults: false}
  - {id: mood, type: SELECT, values: [calm, merry, grim], defaults: merry}
  - {id: size, type: SELECT, values: [S, M, L], isRadio: true, required: false}
  - {id: other, type: SELECT, values: [a, b], allowCustomValue: true, required: false}
  - {id: tags, type: MULTISELECT, values: [red, green, blue], defaults: [green]}
  - {id: numbers, type: ARRAY, itemType: INT, defaults: [1, 2]}
  - {id: at, type: DATETIME, required: false}
  - {id: day, type: DATE, required: false}
  - {id: hour, type: TIME, required: false}
  - {id: span, type: DURATION, defaults: PT10M}
  - {id: file, type: FILE, required: false}
  - {id: json, type: JSON, required: false}
  - {id: yaml, type: YAML, required: false}
  - {id: link, type: URI, required: false}
  - {id: password, type: SECRET, required: false}
  - {id: mail, type: EMAIL, required: false}
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: "Hello {{ inputs.name }}"
"""

APPROVAL = """id: release
namespace: company.team
tasks:
  - id: build
    type: io.kestra.plugin.scripts.shell.Commands
    commands: [make]
  - id: approve
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: approved, type: BOOLEAN, description: Ship it?}
      - {id: reason, type: STRING, required: false}
"""

HELLO = """id: hello
namespace: company.team
description: Says hello.
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: Hello
"""

OFF = HELLO.replace("id: hello", "id: retired").replace("tasks:", "disabled: true\ntasks:")
EVIL = "<script>alert('x')</script>"


class World:
    """The parts behind one application."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.orchestrator = FakeOrchestrator(clock)
        self.triggers = FakeTriggers(self.orchestrator)
        self.sources = FakeSources()
        self.webhooks = FakeWebhooks(self.orchestrator)
        self.ids: dict[str, str] = {}

    def app(self, **settings: Any) -> Any:
        return make_app(
            self.orchestrator, accept_webhook=self.webhooks.accept, sources=self.sources, triggers=self.triggers, check_flow=check_flow,
            flow_schema=lambda: json_schema(TYPES), types=TYPES, clock=self.clock, instance="test-1", version="0.1.0", **settings,
        )

    async def fill(self) -> World:
        """Everything. Executions by name in `ids`."""
        orchestrator = self.orchestrator
        self.clock.advance(-7_200)
        orchestrator.install(ETL.replace("tier: gold", "tier: silver"), path="analytics/daily-sales.yaml")
        for text in (ETL, FORM, APPROVAL, HELLO, OFF):
            orchestrator.install(text, path="analytics/daily-sales.yaml" if text is ETL else None)
        self.clock.advance(7_200 - 86_400)
        for number in range(30):
            state = "FAILED" if number % 9 == 4 else "WARNING" if number % 13 == 5 else "KILLED" if number == 20 else "SUCCESS"
            await self._done(f"old{number}", "hello" if number % 3 else "daily-sales", state, seconds=0.4 + (number * 7) % 40)
            self.clock.advance(2_500)
        self.clock.advance(86_400 - 30 * 2_500 - 400)
        await self._failed()
        self.clock.advance(200)
        await self._success()
        await self._paused()
        await self._running()
        self._surroundings()
        return self

    async def _start(self, name: str, flow_id: str, **more: Any) -> str:
        namespace = "company.analytics" if flow_id == "daily-sales" else "company.team"
        view = await self.orchestrator.start(StartRequest(namespace=namespace, flow_id=flow_id, **more))
        self.ids[name] = view["id"]
        return str(view["id"])

    async def _done(self, name: str, flow_id: str, state: str, *, seconds: float) -> None:
        identifier = await self._start(name, flow_id, trigger={"id": "every_morning", "type": "io.kestra.plugin.core.trigger.Schedule", "variables": {}} if flow_id != "hello" else None)
        self.orchestrator.move(identifier, "RUNNING")
        self.orchestrator.task_run(identifier, "say", ("CREATED", 0), ("RUNNING", 0.1), (state, seconds))
        self.orchestrator.log(identifier, "Hello")
        self.orchestrator.move(identifier, state, at=self.clock.now() + timedelta(seconds=seconds))

    async def _tree(self, identifier: str, last: str) -> None:
        orchestrator = self.orchestrator
        orchestrator.move(identifier, "RUNNING")
        orchestrator.task_run(
            identifier, "extract", ("CREATED", 0), ("RUNNING", 1), ("SUCCESS", 14),
            outputs={"rows": 1240, "exitCode": 0, "file": f"kestra:///company/analytics/daily-sales/executions/{identifier}/tasks/extract/orders.csv", "head": {"columns": ["day", "region", "total"], "sample": [1, 2, 3]}},
        )
        each = orchestrator.task_run(identifier, "per_region", ("CREATED", 14), ("RUNNING", 14), (last, 55))
        for index, (region, state) in enumerate((("north", "SUCCESS"), ("south", last))):
            orchestrator.task_run(identifier, "transform", ("CREATED", 14), ("RUNNING", 15 + index * 3), ("SUCCESS", 30 + index * 4), parent=each["id"], value=region)
            if state == "FAILED":
                run = orchestrator.task_run(identifier, "load", ("CREATED", 34), ("RUNNING", 34), (state, 55), parent=each["id"], value=region)
                start = orchestrator.views[identifier]["state"]["startDate"]
                run["attempts"] = [_attempt(start, 34, 41, "FAILED", error="exit code 1"), _attempt(start, 46, 55, "FAILED", error="exit code 1: duplicate key value violates unique constraint", exitCode=1, image="alpine:3")]
            else:
                orchestrator.task_run(identifier, "load", ("CREATED", 30), ("RUNNING", 30), (state, 44 + index * 5), parent=each["id"], value=region)
        log = orchestrator.log
        log(identifier, "connecting to orders database", level="DEBUG", task="extract")
        log(identifier, "1240 rows fetched in 12.9 s", task="extract")
        log(identifier, "\x1b[33mcolumn 'total' has 3 empty values\x1b[0m, they are taken as 0", level="WARN", task="transform")
        log(identifier, f"row 17: {EVIL}", task="transform")

    async def _failed(self) -> None:
        identifier = await self._start("failed", "daily-sales", labels={"run": "manual"}, inputs={"day": "2026-01-04", "regions": ["north", "south"]})
        await self._tree(identifier, "FAILED")
        self.orchestrator.log(identifier, "duplicate key value violates unique constraint \"sales_pkey\"\n  detail: Key (day, region)=(2026-01-04, south) already exists.", level="ERROR", task="load")
        self.orchestrator.move(identifier, "FAILED", at=self.clock.now() + timedelta(seconds=56))

    async def _success(self) -> None:
        identifier = await self._start("success", "daily-sales", trigger={"id": "every_morning", "type": "io.kestra.plugin.core.trigger.Schedule", "variables": {"date": "2026-01-05T06:00:00+01:00"}})
        await self._tree(identifier, "SUCCESS")
        orchestrator = self.orchestrator
        orchestrator.move(identifier, "SUCCESS", at=self.clock.now() + timedelta(seconds=58))
        orchestrator.views[identifier]["outputs"] = {"rows": 1240}
        orchestrator.views[identifier]["variables"] = {"table": "sales"}
        orchestrator.files[f"kestra:///company/analytics/daily-sales/executions/{identifier}/tasks/extract/orders.csv"] = b"day,region,total\n2026-01-04,north,10\n2026-01-04,south,12\n"
        orchestrator.numbers[identifier] = [
            {"taskId": "extract", "name": "rows", "type": "counter", "value": 1240, "tags": {"table": "orders"}, "timestamp": to_text(self.clock.now())},
            {"taskId": "load", "name": "write", "type": "timer", "value": 3.21, "tags": {}, "timestamp": to_text(self.clock.now())},
        ]
        orchestrator.records[identifier] = {
            "path": f"executions/2026/01/05/07/company.analytics/daily-sales/{identifier}.json", "commit": "ab54a98ceb1f0ad2ab54a98ceb1f0ad2ab54a98c",
            "body": {"schema": 1, "execution": {"id": identifier, "state": {"current": "SUCCESS"}}, "flow": {"commit": "02c0ffee", "revision": 2}, "podium": "0.1.0"},
        }

    async def _paused(self) -> None:
        identifier = await self._start("paused", "release")
        self.orchestrator.move(identifier, "RUNNING")
        self.orchestrator.task_run(identifier, "build", ("CREATED", 0), ("RUNNING", 0.2), ("SUCCESS", 9))
        self.orchestrator.task_run(identifier, "approve", ("CREATED", 9), ("RUNNING", 9), ("PAUSED", 9))
        self.orchestrator.move(identifier, "PAUSED")

    async def _running(self) -> None:
        identifier = await self._start("running", "hello", trigger={"id": "hook", "type": "io.kestra.plugin.core.trigger.Webhook", "variables": {"executionId": self.ids["success"]}})
        self.orchestrator.move(identifier, "RUNNING")
        self.clock.advance(40)
        self.orchestrator.task_run(identifier, "say", ("CREATED", 0), ("RUNNING", 2))
        self.orchestrator.log(identifier, "Hello")

    def _surroundings(self) -> None:
        now = self.clock.now()
        self.orchestrator.states["company.analytics", "daily-sales", "every_morning"] = {
            "nextExecutionDate": to_text(now + timedelta(hours=21)), "date": to_text(now - timedelta(hours=3)),
        }
        self.orchestrator.refused = [
            {
                "source": "main", "commit": "02c0ffee" * 5, "path": "team/broken.yaml",
                "problems": [
                    {"file": "team/broken.yaml", "line": 6, "column": 11, "path": "tasks[0].type", "code": "unknown-type", "message": "Invalid type: io.kestra.plugin.core.log.Lgo", "hint": "did you mean io.kestra.plugin.core.log.Log?"},
                    {"file": "team/broken.yaml", "line": 9, "column": 5, "path": "tasks[1]", "code": "duplicate", "message": f"Duplicate task id: {EVIL}", "hint": ""},
                ],
            }
        ]
        self.orchestrator.status["unpushed"] = {"count": 3, "oldestSeconds": 260}
        self.sources.sources = [
            {"name": "main", "url": "https://git.example.org/company/flows.git", "branch": "main", "path": ".", "pollIntervalS": 60, "flows": 5, "rejected": 1, "commit": "02c0ffee" * 5, "fetchedAt": to_text(now - timedelta(seconds=33))},
            {"name": "team", "url": "/srv/git/team.git", "branch": "main", "path": "flows", "pollIntervalS": 60, "flows": 9, "commit": "0b501e7e" * 5, "fetchedAt": to_text(now - timedelta(seconds=20)), "held": "7 of 9 flows vanished; nothing was removed"},
        ]
        self.orchestrator.sync_records = [
            {"source": "main", "url": "https://git.example.org/company/flows.git", "commit": "02c0ffee" * 5, "at": to_text(now - timedelta(hours=2)), "held": None, "rejected": self.orchestrator.refused, "flows": [{"namespace": "company.analytics", "id": "daily-sales", "revision": 2, "verdict": "accepted"}]},
            {"source": "main", "url": "https://git.example.org/company/flows.git", "commit": "01c0ffee" * 5, "at": to_text(now - timedelta(days=2)), "held": None, "rejected": [], "flows": [{"namespace": "company.team", "id": name, "revision": 1, "verdict": "accepted"} for name in ("everything", "hello", "release")]},
        ]
        self.orchestrator.values["company.team", "cursor"] = {"key": "cursor", "value": 12, "type": "NUMBER", "updateDate": to_text(now)}


def _attempt(start: str, begin: float, end: float, state: str, **more: Any) -> dict[str, Any]:
    from podium.base.moments import from_text
    from web_fake import _push

    made: dict[str, Any] = {}
    for name, seconds in (("CREATED", begin), ("RUNNING", begin), (state, end)):
        _push(made, name, from_text(start) + timedelta(seconds=seconds))
    return {"state": made, **more}


async def _main(port: int) -> None:
    import asyncio
    from datetime import datetime

    from podium.base.system.clock import SystemClock
    from podium.base.system.log import configure_logging
    from podium.web.server import serve

    class Clock:
        shift = timedelta(0)

        def now(self) -> datetime:
            return SystemClock().now() + self.shift

        def advance(self, seconds: float) -> None:
            self.shift += timedelta(seconds=seconds)

    configure_logging(level="WARNING")
    world = World(Clock())
    await world.fill()
    async with serve(world.app(), host="127.0.0.1", port=port) as listening:
        print(listening.url, world.ids, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    import asyncio
    import sys

    asyncio.run(_main(int(sys.argv[1]) if len(sys.argv) > 1 else 8099))
