"""state.Get, Set, Delete: JSON documents kept for a flow or a namespace, older than kv. Source: flow-language 6.6."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from podium.plugin import Dyn, Request, Result, RunContext, Task, TaskFailed
from podium.plugins.core.fields import Text
from podium.storage.uris import slug

_STATE = "io.kestra.plugin.core.state."
_OLD = "io.kestra.core.tasks.states."
_OUTDATED = "use the tasks of io.kestra.plugin.core.kv"


class _State(Task):
    name: Dyn[Text] = "default"
    namespace: Dyn[bool] = False
    taskrun_value: Dyn[bool] = True

    def key(self, ctx: RunContext) -> str:
        """Under which the document is kept: shared by the namespace or not, by the iterations of a loop or not."""
        owner = "" if self.namespace else f"{slug(ctx.flow_id)}_"
        value = (ctx.variables.get("taskrun") or {}).get("value") if self.taskrun_value else None
        return f"{owner}states_tasks-states_{self.name}" + (f"_{_short(str(value))}" if value else "")

    def document(self, ctx: RunContext) -> dict[str, Any] | None:
        """What is stored, or None."""
        found = ctx.query("state", namespace=ctx.namespace, key=self.key(ctx))
        return dict(found) if found is not None else None


class Get(_State):
    """Reads a document. Outputs: count (its entries), data."""

    TYPE = _STATE + "Get"
    ALIASES = (_OLD + "Get",)
    DEPRECATED = _OUTDATED
    KIND = "inline"
    IDEMPOTENT = True
    error_on_missing: Dyn[bool] = False

    def run(self, ctx: RunContext) -> Result:
        """Read."""
        data = self.document(ctx)
        if data is None and self.error_on_missing:
            raise TaskFailed(f"There is no state '{self.name}' and `errorOnMissing` is set to true")
        return Result(outputs={"count": len(data or {}), "data": data or {}})


class Set(_State):
    """Merges a map into a document: maps deeply, lists one after the other. Outputs: count (its entries then), key."""

    TYPE = _STATE + "Set"
    ALIASES = (_OLD + "Set",)
    DEPRECATED = _OUTDATED
    KIND = "inline"
    data: Dyn[dict[str, Any]] = {}

    def run(self, ctx: RunContext) -> Result:
        """Ask for it."""
        merged = _merged(self.document(ctx) or {}, self.data)
        key = self.key(ctx)
        return Result(outputs={"count": len(merged), "key": key}, requests=[Request(kind="state_put", body={"key": key, "value": merged})])


class Delete(_State):
    """Removes a document. Output: deleted, whether it was there."""

    TYPE = _STATE + "Delete"
    ALIASES = (_OLD + "Delete",)
    DEPRECATED = _OUTDATED
    KIND = "inline"
    IDEMPOTENT = True
    error_on_missing: Dyn[bool] = False

    def run(self, ctx: RunContext) -> Result:
        """Ask for it."""
        there = self.document(ctx) is not None
        if not there and self.error_on_missing:
            raise TaskFailed(f"There is no state '{self.name}' and `errorOnMissing` is set to true")
        requests = [Request(kind="state_delete", body={"key": self.key(ctx)})] if there else []
        return Result(outputs={"deleted": there}, requests=requests)


def _short(value: str) -> str:
    """`value` if it is short and plain, else a hash of it: two values never share a document."""
    return value if re.fullmatch(r"[A-Za-z0-9-]{1,32}", value) else hashlib.sha256(value.encode()).hexdigest()[:40]


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        present = result.get(key)
        if isinstance(present, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(present, value)
        elif isinstance(present, list) and isinstance(value, list):
            result[key] = [*present, *value]
        elif value is not None or key not in result:
            result[key] = value
    return result
