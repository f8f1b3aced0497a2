"""storage.DeduplicateItems and storage.FilterItems: what to keep of a file of records. Source: flow-language 6.7."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import Field

from podium.base.errors import PodiumError
from podium.plugin import Dyn, Result, RunContext, Task, TaskFailed
from podium.plugins.core.files.records import read_records
from podium.plugins.core.files.workfiles import fetched, stored_from

_STORAGE = "io.kestra.plugin.core.storage."
_OLD = "io.kestra.core.tasks.storages."
_SHOWN_CHARS = 300


class DeduplicateItems(Task):
    """Keeps the last of the items with one key; `expr` gives the key, its variables are the item's fields.

    Outputs: uri, numKeys, processedItemsTotal, droppedItemsTotal.
    """

    TYPE = _STORAGE + "DeduplicateItems"
    ALIASES = (_OLD + "DeduplicateItems",)
    KIND = "process"
    IDEMPOTENT = True
    from_: Dyn[str] = Field(alias="from")
    expr: str

    def run(self, ctx: RunContext) -> Result:
        """Read twice: for the keys, then for the items to keep."""
        last: dict[str, int] = {}
        total = 0
        with fetched(ctx, self.from_) as source, stored_from(ctx) as draft:
            for item, _ in read_records(source):
                last[str(ctx.render(self.expr, _fields(item)))] = total
                total += 1
            kept = set(last.values())
            with draft.open("wb") as out:
                out.writelines(line for number, (_, line) in enumerate(read_records(source)) if number in kept)
            uri = ctx.files.put(draft, "items.ion")
        return Result(
            outputs={"uri": uri, "numKeys": len(last), "processedItemsTotal": total, "droppedItemsTotal": total - len(last)}
        )


class FilterItems(Task):
    """Keeps (or drops) the items for which a condition holds; its variables are the item's fields.

    Outputs: uri, processedItemsTotal, droppedItemsTotal.
    """

    TYPE = _STORAGE + "FilterItems"
    ALIASES = (_OLD + "FilterItems",)
    KIND = "process"
    IDEMPOTENT = True
    from_: Dyn[str] = Field(alias="from")
    filter_condition: str
    filter_type: Dyn[Literal["INCLUDE", "EXCLUDE"]] = "INCLUDE"
    error_or_null_behavior: Dyn[Literal["FAIL", "INCLUDE", "EXCLUDE"]] = "FAIL"

    def run(self, ctx: RunContext) -> Result:
        """Read, judge, keep."""
        keep = self._judge(ctx)
        total = kept = 0
        with fetched(ctx, self.from_) as source, stored_from(ctx) as draft:
            with draft.open("wb") as out:
                for item, line in read_records(source):
                    total += 1
                    if keep(item):
                        kept += 1
                        out.write(line)
            uri = ctx.files.put(draft, "items.ion")
        return Result(outputs={"uri": uri, "processedItemsTotal": total, "droppedItemsTotal": total - kept})

    def _judge(self, ctx: RunContext) -> Callable[[Any], bool]:
        from podium.expressions.compile import truthy

        wanted = self.filter_type == "INCLUDE"

        def keep(item: Any) -> bool:
            try:
                text = str(ctx.render(self.filter_condition, _fields(item))).strip()
            except PodiumError as error:
                return self._without_answer(item, error.what)
            return truthy(text) is wanted if text else self._without_answer(item, "it gives null")

        return keep

    def _without_answer(self, item: Any, why: str) -> bool:
        if self.error_or_null_behavior == "FAIL":
            shown = json.dumps(item, default=str, ensure_ascii=False)[:_SHOWN_CHARS]
            raise TaskFailed(f"Failed to evaluate `filterCondition` on the item {shown}: {why}")
        return self.error_or_null_behavior == "INCLUDE"


def _fields(item: Any) -> Mapping[str, Any]:
    if isinstance(item, Mapping):
        return item
    return {"value": item}
