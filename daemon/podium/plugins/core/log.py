"""log.Log, log.Fetch and log.PurgeLogs. Source: flow-language 6.1."""

from __future__ import annotations

from typing import ClassVar

from podium.base.limits import FETCHED_LOGS_MAX
from podium.base.moments import to_text
from podium.plugin import Dyn, Request, Result, RunContext, Task
from podium.plugins.core.fields import Level, Text, chosen_execution, moment
from podium.plugins.core.files.records import write_records

_LOG = "io.kestra.plugin.core.log."
_OLD = "io.kestra.core.tasks.log."


class Log(Task):
    """Writes to the log: one entry for each text. No outputs."""

    TYPE = _LOG + "Log"
    ALIASES = (_OLD + "Log",)
    KIND = "inline"
    IDEMPOTENT = True
    message: Dyn[Text | list[Text]]
    level: Dyn[Level] = "INFO"

    def run(self, ctx: RunContext) -> Result:
        """Write."""
        for message in [self.message] if isinstance(self.message, str) else self.message:
            ctx.log.log(self.level, message)
        return Result()


class Fetch(Task):
    """Writes the log entries of an execution to a file, one a line. Outputs: uri, size (how many)."""

    TYPE = _LOG + "Fetch"
    ALIASES = (_OLD + "Fetch",)
    KIND = "inline"
    BLOCKING: ClassVar[bool] = True
    IDEMPOTENT = True
    execution_id: Dyn[str] | None = None
    namespace: Dyn[str] | None = None
    flow_id: Dyn[str] | None = None
    tasks_id: Dyn[list[str]] = []
    level: Dyn[Level] = "INFO"

    def run(self, ctx: RunContext) -> Result:
        """Read and store."""
        execution = chosen_execution(ctx, self.execution_id, self.namespace, self.flow_id)
        entries = ctx.query(
            "logs", execution_id=execution["id"], min_level=self.level, task_ids=tuple(self.tasks_id), limit=FETCHED_LOGS_MAX
        )
        target = ctx.working_dir / ".fetched-logs.ion"
        size = write_records(target, entries)
        uri = ctx.files.put(target, "logs.ion")
        target.unlink()
        return Result(outputs={"uri": uri, "size": size})


class PurgeLogs(Task):
    """Removes log entries that are older than `endDate`. Output: count."""

    TYPE = _LOG + "PurgeLogs"
    KIND = "inline"
    BLOCKING: ClassVar[bool] = True
    namespace: Dyn[str] | None = None
    flow_id: Dyn[str] | None = None
    log_levels: Dyn[list[Dyn[Level]]] = []
    start_date: Dyn[str] | None = None
    end_date: Dyn[str]

    def run(self, ctx: RunContext) -> Result:
        """Count them and ask for their removal."""
        start = moment(self.start_date, "startDate") if self.start_date else None
        end = moment(self.end_date, "endDate")
        found = ctx.query(
            "purgeable", namespace=self.namespace, flow_id=self.flow_id, states=(), levels=tuple(self.log_levels), start=start, end=end,
            lines=True,
        )
        body = {
            "namespace": self.namespace, "flowId": self.flow_id, "levels": list(self.log_levels),
            "startDate": to_text(start) if start else None, "endDate": to_text(end),
        }
        return Result(outputs={"count": found["logs"]}, requests=[Request(kind="purge_logs", body=body)])
