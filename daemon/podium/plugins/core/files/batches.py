"""flow.ForEachItem: the tasks inside it that cut a file into batches and put together what the batches gave. Source: flow-language 5.8."""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

from podium.flows import model
from podium.flows.model import Batch, BatchSubflows
from podium.plugin import Dyn, Result, RunContext, Task, TaskFailed
from podium.plugins.core.files.workfiles import byte_count, fetched, is_stored, split_file, stored_from


class SplitItems(Task):
    """The task `<id>_split`: cuts the file. Output: splits, the URI of a file with the URI of one batch a line."""

    TYPE = model.ForEachItem.TYPE + "$ForEachItemSplit"
    KIND = "process"
    IDEMPOTENT = True
    items: Dyn[str]
    batch: Batch = Batch()

    def run(self, ctx: RunContext) -> Result:
        """Cut and store."""
        uri = self.items.strip()
        if not is_stored(uri):
            raise TaskFailed(f"Unable to split the items from {self.items}, this is not an internal storage URI!")
        size = ctx.render(self.batch.bytes) if self.batch.bytes is not None else None
        partitions, rows = _number(ctx, "partitions", self.batch.partitions), _number(ctx, "rows", self.batch.rows)
        with fetched(ctx, uri) as source, tempfile.TemporaryDirectory(dir=ctx.working_dir, prefix=".batches-") as folder:
            named = source.rename(source.with_name(source.name + Path(uri.rpartition("/")[2]).suffix))
            try:
                parts = split_file(
                    named, Path(folder), bytes_max=byte_count(size, "batch.bytes") if size is not None else None, partitions=partitions,
                    rows=1 if rows is None else rows, separator=ctx.render(self.batch.separator),
                )
                uris = [ctx.files.put(part, part.name) for part in parts]
            finally:
                named.unlink()
        with stored_from(ctx) as draft:
            draft.write_text("".join(f"{each}\n" for each in uris), encoding="utf-8")
            return Result(outputs={"splits": ctx.files.put(draft, "splits.txt")})


class MergeOutputs(Task):
    """The task `<id>_merge`: one file out of the outputs of all batches. Output: subflowOutputs, absent when there were none."""

    TYPE = model.ForEachItem.TYPE + "$ForEachItemMergeOutputs"
    KIND = "process"
    IDEMPOTENT = True

    def run(self, ctx: RunContext) -> Result:
        """Put them one after the other, in the order of the batches."""
        made: Any = ctx.variables.get("outputs", {}).get(f"{self.id.removesuffix('_merge')}_items", {})
        for above in reversed(ctx.variables.get("parents", [])):
            if "taskrun" in above:
                made = made.get(above["taskrun"]["value"], {})
        found = False
        with stored_from(ctx) as draft:
            with draft.open("wb") as out:
                for number in range(made.get("numberOfBatches", 0)):
                    uri = f"{made['subflowOutputsBaseUri']}/{number}/outputs.ion"
                    if ctx.files.exists(uri):
                        with fetched(ctx, uri) as part:
                            out.write(part.read_bytes())
                        found = True
            return Result(outputs={"subflowOutputs": ctx.files.put(draft, "outputs.ion")} if found else {})


class ForEachItem(model.ForEachItem):
    """Starts another flow for every batch of lines of a stored file. Its children are `<id>_split`, `<id>_items`, `<id>_merge`."""

    @cached_property
    def _parts(self) -> list[Task]:
        launched = {name: getattr(self, name) for name in model.BatchSubflows.model_fields if name in model.ForEachItem.model_fields}
        for own in ("id", "type", "description", "errors", "finally_", "run_if", "retry", "timeout", "disabled"):
            launched.pop(own, None)
        return [
            SplitItems(id=f"{self.id}_split", type=SplitItems.TYPE, items=self.items, batch=self.batch),
            BatchSubflows(id=f"{self.id}_items", type=BatchSubflows.TYPE, **launched),
            MergeOutputs(id=f"{self.id}_merge", type=MergeOutputs.TYPE),
        ]

    def main_lists(self) -> dict[str, list[Task]]:
        return {"tasks": self._parts}


def _number(ctx: RunContext, name: str, written: object) -> int | None:
    if written is None:
        return None
    text = str(ctx.render(written)).strip()
    if not text.isdigit():
        raise TaskFailed(f"batch.{name}: {text!r} is not a whole number")
    return int(text)
