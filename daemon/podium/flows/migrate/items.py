"""ForEachItem → Split, Loop and Subflow in a Sequential of the same id. Source: flow-language 5.8, flow-language-2 3.

What the synthetic children gave out has another shape, so what reads it is only reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from podium.expressions.tokens import Token
from podium.flows.migrate.loops import of_task
from podium.flows.migrate.text.editing import Draft, Entries, Verbatim, block_lines
from podium.flows.migrate.text.source import Pair, Part
from podium.flows.migrate.text.templates import Found, Rewriter, Trouble
from podium.flows.migrate.walking import Here, tasks_of

_CORE = "io.kestra.plugin.core."
_CALL = ("namespace", "flowId", "revision", "inputs", "labels", "inheritLabels", "wait", "transmitFailed", "scheduleDate", "restartBehavior")
_BATCH = ("bytes", "partitions", "rows", "separator")
_ITEM = re.compile(r"(?<![\w.])item\.(?=value\b|index\b|key\b)")
_OUTER = re.compile(r"(?<![\w.])item\.parents?\b")
_BATCH_WORDS = re.compile(r"(?<![\w.])taskrun\.(items|iteration)\b")


def rewrite_items(draft: Draft, root: Part) -> None:
    """Each ForEachItem that is written as a block."""
    for here in tasks_of(root):
        if here.kind == "flow.ForEachItem":
            _rewrite(draft, here)


def _rewrite(draft: Draft, here: Here) -> None:
    task, kind = here.task, here.task.get("type")
    assert kind is not None
    by_hand = "use storage.Split, a Loop over outputs.<split>.uris, and a Subflow with item.value"
    items, batch, batch_pair = task.pair("items"), task.get("batch"), task.pair("batch")
    if task.flow or task.merged or items is None or not here.id or (batch is not None and (batch.kind != "map" or batch.alias)):
        draft.cannot(kind, "this ForEachItem is written in a way that cannot be taken apart", by_hand)
        return
    calls = [pair for pair in task.pairs if pair.key.text in _CALL]
    if here.loops and any(_OUTER.search(draft.source.text[pair.start : pair.end]) for pair in calls):
        draft.cannot(kind, "this ForEachItem looks at loops around its own loop", by_hand)
        return
    split: list[tuple[str, Any] | Verbatim] = [("id", f"{here.id}_split"), ("type", f"{_CORE}storage.Split")]
    split.append(draft.verbatim(items, key="from", above=_above(draft, task, items)))
    if batch is not None and batch_pair is not None:
        wanted = [pair for pair in batch.pairs if pair.key.text in _BATCH]
        split += [draft.verbatim(pair, above=None if batch.flow else _above(draft, batch, pair, batch_pair.key), flow=batch.flow) for pair in wanted]
    if batch is None or not any(batch.pair(name) for name in ("bytes", "partitions", "rows")):
        split.append(("rows", 1))
    call: list[tuple[str, Any] | Verbatim] = [("id", f"{here.id}_item"), ("type", f"{_CORE}flow.Subflow")]
    call += [_in_item(draft.verbatim(pair, above=_above(draft, task, pair)), in_loop=bool(here.loops)) for pair in calls]
    expression = f"{of_task(f'{here.id}_split')}.uris"
    loop = (
        ("id", f"{here.id}_items"), ("type", f"{_CORE}flow.Loop"), ("values", f"{{{{ {expression} }}}}"), ("concurrencyLimit", 0),
        ("tasks", [Entries(call)]),
    )
    entries: list[tuple[str, Any] | Verbatim] = []
    placed = False
    for pair in task.pairs:
        name = pair.key.text
        if name == "type":
            entries.append(("type", f"{_CORE}flow.Sequential"))
        elif name not in (*_CALL, "items", "batch"):
            entries.append(draft.verbatim(pair, above=_above(draft, task, pair)))
        elif not placed:
            placed = True
            entries.append(("tasks", [Entries(split), Entries(loop)]))
    indent = draft.source.newline + " " * draft.source.column(task.start)
    end = draft.source.line_end(task.end)
    lines = block_lines(entries)
    lines[1:1] = [each for each in draft.source.comments(task.start, end, task) if not any(each in line for line in lines)]
    text = "".join(indent + line if line else draft.source.newline for line in lines).removeprefix(indent)
    but = [("outputs of the batches are not merged into one file", f"give the Loop '{here.id}_items' outputs, and read them with loopOutputs()")]
    draft.change(kind, "ForEachItem → Split, Loop and Subflow", draft.cut(task.start, end, text), but=but)


def _above(draft: Draft, owner: Part, pair: Pair, key: Part | None = None) -> int | None:
    """From where comments belong to a pair: behind the line of the pair before it, or of the `key` of the map. None: nowhere."""
    index = owner.pairs.index(pair)
    if index:
        return draft.source.line_end(owner.pairs[index - 1].end)
    return draft.source.line_end(key.end) if key is not None and draft.source.leads(pair.start) else None


def _in_item(lines: Verbatim, *, in_loop: bool) -> Verbatim:
    """What was rendered for a batch is rendered in the iteration of the new loop."""
    words = {"items": "item.value", "iteration": "item.index"}
    found = [_ITEM.sub("item.parent.", line) for line in lines.lines] if in_loop else list(lines.lines)
    return Verbatim(tuple(_BATCH_WORDS.sub(lambda each: words[each[1]], line) for line in found))


def merged_outputs(root: Part) -> Rewriter:
    """The rewriter that tells of what reads the outputs of a ForEachItem's children."""
    ids = {f"{here.id}_{part}": here.id for here in tasks_of(root) if here.kind == "flow.ForEachItem" for part in ("split", "items", "merge")}

    def rewriter(template: str, tokens: Sequence[Token]) -> Iterator[Found]:
        for index in range(len(tokens) - 2):
            if tokens[index].value == "outputs" and tokens[index + 1].value in (".", "[") and tokens[index + 2].value in ids:
                name = ids[tokens[index + 2].value]
                what = f"outputs.{tokens[index + 2].value} has another shape once the ForEachItem is a Loop"
                split, items = of_task(f"{name}_split"), of_task(f"{name}_items")
                todo = f"read {split}.uris, or loopOutputs({items}.outputs, '<id of an output of the Loop>')"
                yield Trouble(tokens[index].at, what, todo)

    return rewriter
