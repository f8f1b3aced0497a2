"""Tasks about executions: Fail, Labels, Count, Resume, Exit, Assert, SetVariables, UnsetVariables, Kill, PurgeExecutions.

All are inline: they read by query and act by requests, which enter the journal with the task's end. Source: flow-language 6.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from podium.base.errors import PodiumError
from podium.base.moments import to_text
from podium.expressions.text import java_text
from podium.flows.model import State, labels_map
from podium.plugin import Dyn, Metric, Model, Request, Result, RunContext, Task, TaskFailed
from podium.plugins.core.fields import Text, chosen_execution, json_value, moment

_EXECUTION = "io.kestra.plugin.core.execution."
_OLD = "io.kestra.core.tasks.executions."


class Fail(Task):
    """Fails, always or if a condition holds. No outputs."""

    TYPE = _EXECUTION + "Fail"
    ALIASES = (_OLD + "Fail",)
    KIND = "inline"
    IDEMPOTENT = True
    condition: Dyn[Text] | None = None
    error_message: Dyn[Text] = "Task failure"

    def run(self, ctx: RunContext) -> Result:
        """Fail or not."""
        from podium.expressions.compile import truthy

        if self.condition is not None and not truthy(self.condition):
            return Result()
        ctx.log.log("ERROR", self.error_message)
        raise TaskFailed("Fail always" if self.condition is None else "Fail on a condition")


class Labels(Task):
    """Adds labels to the execution; equal keys are replaced. No outputs."""

    TYPE = _EXECUTION + "Labels"
    ALIASES = (_OLD + "Labels",)
    KIND = "inline"
    IDEMPOTENT = True
    labels: Dyn[dict[str, Any] | list[dict[str, Any]] | str]

    def run(self, ctx: RunContext) -> Result:
        """Ask for them."""
        given = json_value(self.labels, "labels")
        try:
            given = labels_map(given)
        except ValueError as error:
            raise TaskFailed(f"labels: {error}") from error
        if not isinstance(given, Mapping):
            raise TaskFailed("labels: a map, a list of {key, value} or a JSON text of one of them is expected")
        labels = {str(key): _label(str(key), value) for key, value in given.items()}
        return Result(requests=[Request(kind="set_labels", body={"labels": labels})])


class FlowToCount(Model):
    """A flow whose executions are counted."""

    namespace: Dyn[str]
    flow_id: Dyn[str]


class Count(Task):
    """Counts executions per flow or namespace. Outputs: results (those for which `expression` gives `true`), total (their sum)."""

    TYPE = _EXECUTION + "Count"
    ALIASES = (_OLD + "Counts",)
    KIND = "inline"
    IDEMPOTENT = True
    flows: Dyn[list[FlowToCount]] = []
    namespaces: Dyn[list[str]] = []
    states: Dyn[list[Dyn[State]]] = []
    start_date: Dyn[str]
    end_date: Dyn[str] | None = None
    expression: str

    def run(self, ctx: RunContext) -> Result:
        """Count."""
        if not self.flows and not self.namespaces:
            raise TaskFailed("Either `flows` or `namespaces` must be set")
        wanted: list[tuple[str, str | None]] = [(each.namespace, each.flow_id) for each in self.flows]
        wanted += [(namespace, None) for namespace in self.namespaces]
        start, end = moment(self.start_date, "startDate"), moment(self.end_date, "endDate") if self.end_date else None
        results = []
        for namespace, flow_id in wanted:
            count = ctx.query("executions", namespace=namespace, flow_id=flow_id, states=tuple(self.states), start=start, end=end)
            if ctx.render(self.expression, {"count": count}) == "true":
                results.append({"namespace": namespace, **({"flowId": flow_id} if flow_id else {}), "count": count})
        return Result(outputs={"results": results, "total": sum(each["count"] for each in results)})


class Resume(Task):
    """Resumes a paused execution, its own (from a parallel branch) or another. No outputs."""

    TYPE = _EXECUTION + "Resume"
    KIND = "inline"
    execution_id: Dyn[str] | None = None
    namespace: Dyn[str] | None = None
    flow_id: Dyn[str] | None = None
    inputs: Dyn[dict[str, Any]] = {}

    def run(self, ctx: RunContext) -> Result:
        """Ask for it."""
        execution = chosen_execution(ctx, self.execution_id, self.namespace, self.flow_id)
        current = execution.get("state", {}).get("current", "PAUSED")
        if current != "PAUSED":
            raise TaskFailed(f"Cannot resume the execution '{execution['id']}': it is not paused (it is {current})")
        return Result(requests=[Request(kind="resume", body={"executionId": execution["id"], "inputs": self.inputs})])


class Exit(Task):
    """Ends the execution in a state. Running branches finish first, but for KILLED. No outputs."""

    TYPE = _EXECUTION + "Exit"
    KIND = "inline"
    IDEMPOTENT = True
    state: Dyn[Literal["SUCCESS", "WARNING", "KILLED", "FAILED", "CANCELED", "CANCELLED"]] = "SUCCESS"

    def run(self, ctx: RunContext) -> Result:
        """Ask for it."""
        return Result(requests=[Request(kind="exit", body={"state": self.state.replace("CANCELED", "CANCELLED")})])


class Assert(Task):
    """Fails unless all conditions hold; one that cannot be rendered does not hold. Metrics: success, failed."""

    TYPE = _EXECUTION + "Assert"
    KIND = "inline"
    IDEMPOTENT = True
    conditions: list[Text]
    error_message: Dyn[Text] | None = None

    def run(self, ctx: RunContext) -> Result:
        """Check them all."""
        failed = sum(not self._holds(ctx, condition) for condition in self.conditions)
        metrics = [
            Metric(name="success", type="counter", value=len(self.conditions) - failed),
            Metric(name="failed", type="counter", value=failed),
        ]
        if failed:
            message = f"{failed} assertion(s) failed!"
            raise TaskFailed(f"{message}\n{self.error_message}" if self.error_message else message, metrics=metrics)
        return Result(metrics=metrics)

    @staticmethod
    def _holds(ctx: RunContext, condition: str) -> bool:
        from podium.expressions.compile import truthy

        try:
            holds = truthy(ctx.render(condition))
        except PodiumError as error:
            ctx.log.log("ERROR", f"Assertion `{condition}` failed: {error.what}")
            return False
        if not holds:
            ctx.log.log("ERROR", f"Assertion `{condition}` failed")
        return holds


class SetVariables(Task):
    """Adds to the execution's variables (`vars`), map by map. Without `overwrite` a key that is there fails the task. No outputs."""

    TYPE = _EXECUTION + "SetVariables"
    KIND = "inline"
    IDEMPOTENT = True
    variables: Dyn[dict[str, Any]]
    overwrite: Dyn[bool] = True

    def run(self, ctx: RunContext) -> Result:
        """Ask for it."""
        present = ctx.variables.get("vars") or {}
        if not self.overwrite:
            clash = next((key for key in self.variables if key in present), None)
            if clash is not None:
                raise TaskFailed(f"The variable '{clash}' exists already and `overwrite` is false")
        return Result(requests=[Request(kind="set_variables", body={"variables": self.variables, "overwrite": self.overwrite})])


class UnsetVariables(Task):
    """Removes variables of the execution; a dotted name reaches into maps. No outputs."""

    TYPE = _EXECUTION + "UnsetVariables"
    KIND = "inline"
    IDEMPOTENT = True
    variables: Dyn[list[str]]
    ignore_missing: Dyn[bool] = False

    def run(self, ctx: RunContext) -> Result:
        """Ask for it."""
        present = ctx.variables.get("vars") or {}
        missing = [name for name in self.variables if not _has(present, name)]
        if missing and not self.ignore_missing:
            raise TaskFailed(f"There is no variable '{missing[0]}' to remove; set `ignoreMissing` if that is all right")
        body = {"names": self.variables, "ignoreMissing": self.ignore_missing}
        return Result(requests=[Request(kind="unset_variables", body=body)])


class Kill(Task):
    """Kills the execution, with `propagateKill` also those that it started. No outputs."""

    TYPE = _EXECUTION + "Kill"
    KIND = "inline"
    IDEMPOTENT = True
    propagate_kill: Dyn[bool] = False

    def run(self, ctx: RunContext) -> Result:
        """Ask for it."""
        return Result(requests=[Request(kind="kill", body={"executionId": ctx.execution_id, "propagateKill": self.propagate_kill})])


class PurgeExecutions(Task):
    """Removes what is kept of executions that ended before `endDate`. Outputs: executionsCount, logsCount, storagesCount, metricsCount."""

    TYPE = _EXECUTION + "PurgeExecutions"
    ALIASES = ("io.kestra.core.tasks.storages.Purge", "io.kestra.plugin.core.storage.Purge")
    KIND = "inline"
    BLOCKING: ClassVar[bool] = True
    namespace: Dyn[str] | None = None
    flow_id: Dyn[str] | None = None
    start_date: Dyn[str] | None = None
    end_date: Dyn[str]
    states: Dyn[list[Dyn[State]]] = []
    purge_execution: Dyn[bool] = True
    purge_log: Dyn[bool] = True
    purge_metric: Dyn[bool] = True
    purge_storage: Dyn[bool] = True

    def run(self, ctx: RunContext) -> Result:
        """Count them and ask for their removal."""
        if self.flow_id is not None and self.namespace is None:
            raise TaskFailed("`namespace` must be set when `flowId` is")
        start = moment(self.start_date, "startDate") if self.start_date else None
        end = moment(self.end_date, "endDate")
        found = ctx.query(
            "purgeable", namespace=self.namespace, flow_id=self.flow_id, states=tuple(self.states), levels=(), start=start, end=end
        )
        chosen = {"executions": self.purge_execution, "logs": self.purge_log, "metrics": self.purge_metric, "files": self.purge_storage}
        counts = {what: found[what] if wanted else 0 for what, wanted in chosen.items()}
        body = {
            "namespace": self.namespace, "flowId": self.flow_id, "states": list(self.states), **chosen,
            "startDate": to_text(start) if start else None, "endDate": to_text(end),
        }
        outputs = {
            "executionsCount": counts["executions"], "logsCount": counts["logs"], "storagesCount": counts["files"],
            "metricsCount": counts["metrics"],
        }
        return Result(outputs=outputs, requests=[Request(kind="purge_executions", body=body)])


def _label(key: str, value: Any) -> str:
    if key.startswith("system."):
        raise TaskFailed(f"System labels can only be set by Kestra itself, offending label: {key}={java_text(value)}")
    if not key or value is None or isinstance(value, (Mapping, list)):
        raise TaskFailed(f"labels: the value of label '{key}' must be text, a number or a boolean")
    return java_text(value)


def _has(variables: Any, name: str) -> bool:
    holder = variables
    for part in name.split("."):
        if not isinstance(holder, Mapping) or part not in holder:
            return False
        holder = holder[part]
    return True
