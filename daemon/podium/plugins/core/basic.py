"""Small tasks: debug.Return, debug.Echo, output.OutputValues, metric.Publish, flow.Sleep, trigger.Toggle.

Source: flow-language 5.14, 6.2 and 6.8.
"""

from __future__ import annotations

from typing import Any, Literal

from podium.base.durations import parse_duration
from podium.base.system.clock import monotonic_s
from podium.plugin import Duration, Dyn, Metric, Model, Request, Result, RunContext, Task, TaskFailed
from podium.plugins.core.fields import Level, Text

_CORE = "io.kestra.plugin.core."
_OLD = "io.kestra.core.tasks."


class Return(Task):
    """Gives a rendered text. Output: value. Metrics: length, duration."""

    TYPE = _CORE + "debug.Return"
    ALIASES = (_OLD + "debugs.Return",)
    KIND = "inline"
    IDEMPOTENT = True
    format: Dyn[Text] | None = None

    def run(self, ctx: RunContext) -> Result:
        """Give it."""
        began = monotonic_s()
        metrics = [
            Metric(name="length", type="counter", value=len(self.format or ""), tags={"format": self.format or ""}),
            Metric(name="duration", type="timer", value=monotonic_s() - began, tags={"format": self.format or ""}),
        ]
        return Result(outputs={"value": self.format}, metrics=[] if self.format is None else metrics)


class Echo(Task):
    """Writes a text to the log. No outputs."""

    TYPE = _CORE + "debug.Echo"
    ALIASES = (_OLD + "debugs.Echo",)
    DEPRECATED = "use io.kestra.plugin.core.log.Log"
    KIND = "inline"
    IDEMPOTENT = True
    format: Dyn[Text]
    level: Dyn[Level] = "INFO"

    def run(self, ctx: RunContext) -> Result:
        """Write."""
        ctx.log.log(self.level, self.format)
        return Result()


class OutputValues(Task):
    """Gives values for later tasks. Output: values, rendered, in the structure they are written in."""

    TYPE = _CORE + "output.OutputValues"
    KIND = "inline"
    IDEMPOTENT = True
    values: Dyn[dict[str, Any]]

    def run(self, ctx: RunContext) -> Result:
        """Give them."""
        return Result(outputs={"values": self.values})


class MetricToPublish(Model):
    """A number to publish. value: a timer's is a duration (PT5S) or seconds."""

    type: Literal["counter", "timer", "gauge"]
    name: Dyn[str]
    value: Dyn[float | str]
    description: Dyn[str] | None = None
    tags: Dyn[dict[str, Text]] = {}

    def metric(self) -> Metric:
        """As the worker takes it. Raises TaskFailed for a value that is none."""
        try:
            value = parse_duration(self.value).total_seconds() if self.type == "timer" else float(self.value)
        except ValueError as error:
            wanted = "duration" if self.type == "timer" else "number"
            raise TaskFailed(f"the value of metric '{self.name}' is not a {wanted}: {error}") from error
        return Metric(name=self.name, type=self.type, value=value, tags=dict(self.tags))


class Publish(Task):
    """Publishes metrics. Output: metrics, how many."""

    TYPE = _CORE + "metric.Publish"
    KIND = "inline"
    IDEMPOTENT = True
    metrics: Dyn[list[MetricToPublish]]

    def run(self, ctx: RunContext) -> Result:
        """Publish."""
        return Result(outputs={"metrics": len(self.metrics)}, metrics=[each.metric() for each in self.metrics])


class Sleep(Task):
    """Waits. The engine itself does, with a timer: nothing runs meanwhile."""

    TYPE = _CORE + "flow.Sleep"
    KIND = "timer"
    IDEMPOTENT = True
    duration: Dyn[Duration]


class Toggle(Task):
    """Enables or disables a trigger. No outputs."""

    TYPE = _CORE + "trigger.Toggle"
    ALIASES = (_OLD + "trigger.Toggle",)
    KIND = "inline"
    IDEMPOTENT = True
    trigger: Dyn[str]
    flow_id: Dyn[str] | None = None
    namespace: Dyn[str] | None = None
    enabled: Dyn[bool] = False

    def run(self, ctx: RunContext) -> Result:
        """Ask for it."""
        body = {
            "namespace": self.namespace or ctx.namespace, "flowId": self.flow_id or ctx.flow_id, "triggerId": self.trigger,
            "enabled": self.enabled,
        }
        return Result(requests=[Request(kind="toggle_trigger", body=body)])
