"""ForEach, EachSequential and EachParallel → Loop, and what expressions in and behind loops say. Source: flow-language 5.0–5.7, flow-language-2 3.

The value of an iteration was in the task run of each direct child, and is in `item` at any depth; outputs were keyed by value, and are
those of the iteration's own execution.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from podium.expressions.tokens import Token
from podium.flows.migrate.text.editing import Draft
from podium.flows.migrate.text.source import Edit, Part
from podium.flows.migrate.text.templates import Found, Rewriter, Swap, Trouble, matching
from podium.flows.migrate.walking import EACH, Here, tasks_of

_LOOP = "io.kestra.plugin.core.flow.Loop"
_VALUE = re.compile(r"taskrun\.value|parent\.taskrun\.value|parents\[\d+\]\.taskrun\.value|item(?:\.parent|\.parents\[\d+\])?\.value")
_OWN = {
    "execution.SetVariables": "variables", "execution.UnsetVariables": "variables", "execution.Labels": "labels", "execution.Exit": "the end",
    "execution.Kill": "the end",
}
"""Tasks that act on the execution they run in."""


def rewrite_loops(draft: Draft, root: Part) -> None:
    """Each older loop becomes a Loop."""
    for here in tasks_of(root):
        if here.kind.removeprefix("flow.") in EACH and here.kind.startswith("flow."):
            _loop(draft, here)


def _loop(draft: Draft, here: Here) -> None:
    task, kind = here.task, here.task.get("type")
    assert kind is not None
    edits = [draft.write(kind, _LOOP)]
    values = task.pair("value") if here.kind != "flow.ForEach" else task.pair("values")
    if here.kind != "flow.ForEach" and values is not None:
        edits.append(draft.rename(values, "values"))
    limit = task.pair("concurrent") if here.kind == "flow.EachParallel" else task.pair("concurrencyLimit")
    if limit is not None and here.kind == "flow.EachParallel":
        edits.append(draft.rename(limit, "concurrencyLimit"))
    elif limit is None and here.kind != "flow.EachParallel":
        after = values if values is not None and values in task.pairs else task.pair("type")
        if after is not None and after in task.pairs:
            edits.append(draft.add(task, after, [("concurrencyLimit", 1)]))
    if here.kind == "flow.EachParallel":
        edits += _at_once(draft, here)
    draft.change(kind, f"{here.kind.removeprefix('flow.')} → Loop", *edits, but=_lost(here))


def _at_once(draft: Draft, here: Here) -> list[Edit]:
    """All tasks of an EachParallel start together; those of an iteration of a Loop run one after the other."""
    tasks = here.task.pair("tasks")
    if tasks is None or tasks.value.kind != "list" or len(tasks.value.items) < 2:
        return []
    kind = "io.kestra.plugin.core.flow.Parallel"
    if tasks.value.flow or here.task.flow:
        written = draft.source.text[tasks.value.start : tasks.value.end]
        return [draft.cut(tasks.value.start, tasks.value.end, f"[{{id: {here.id}_parallel, type: {kind}, tasks: {written}}}]")]
    source = draft.source
    start = source.text.rfind("-", tasks.key.end, tasks.value.items[0].start)
    column = source.column(start)
    shift = " " * (column + 4)
    moved = draft.verbatim(Part("list", start, tasks.value.end)).lines
    head = [f"- id: {here.id}_parallel", f"  type: {kind}", "  tasks:"]
    first = source.newline.join([head[0], *(" " * column + line for line in head[1:])])
    rest = "".join(source.newline + shift + line if line else source.newline for line in moved)
    return [draft.cut(start, source.line_end(tasks.value.end), first + rest)]


def _lost(here: Here) -> list[tuple[str, str]]:
    """What differs although the loop is rewritten."""
    found: list[tuple[str, str]] = []
    for name in ("errors", "finally"):
        if here.task.pair(name) is not None:
            what = f"'{name}' of a Loop runs in each iteration, of a {here.kind.removeprefix('flow.')} once for all"
            found.append((what, f"to have it once, put the Loop into a Sequential that has '{name}'"))
    inside = [each for each in _below(here.task) if each is not here.task]
    if any(_is_true(each.get("allowFailure")) or (each.string("type") or "").endswith("flow.AllowFailure") for each in inside):
        what = "a WARNING in an iteration does not make a Loop end WARNING"
        found.append((what, "to see it, give the Loop outputs and check them behind it"))
    for each in inside:
        part = next((words for name, words in _OWN.items() if (each.string("type") or "").endswith(f"core.{name}")), None)
        if part is not None:
            what = f"the task '{each.string('id')}' decides on {part} of the iteration, which is an execution of its own"
            found.append((what, "declare outputs on the Loop, and do it behind the Loop with what they say"))
    return found


def _below(part: Part) -> Iterator[Part]:
    if part.kind == "map" and part.string("type") is not None:
        yield part
    for each in (*part.items, *(pair.value for pair in part.pairs)):
        yield from _below(each)


def _is_true(part: Part | None) -> bool:
    return part is not None and part.text.lower() == "true"


# ---- expressions


@dataclass(frozen=True, slots=True)
class Loops:
    """owners: id of each task in a loop → ids of the loops around it, nearest first. old: ids of the loops that are no Loop yet."""

    owners: Mapping[str, tuple[str, ...]]
    old: frozenset[str]


def loops_of(root: Part) -> Loops:
    """The loops of a flow."""
    found: dict[str, tuple[str, ...]] = {}
    old: set[str] = set()
    for here in tasks_of(root):
        if here.loops and here.id:
            found[here.id] = tuple(each.id for each in here.loops)
        if here.kind.removeprefix("flow.") in EACH:
            old.add(here.id)
    return Loops(found, frozenset(old))


def item(depth: int, name: str) -> str:
    """The expression for an iteration of a loop around the nearest one. depth: 0 for the nearest itself."""
    outer = "" if depth == 0 else ".parent" if depth == 1 else f".parents[{depth - 1}]"
    return f"item{outer}.{name}"


def of_task(name: str) -> str:
    """The expression for the outputs of a task."""
    return f"outputs.{name}" if re.fullmatch(r"[^\W\d]\w*", name) else f"outputs['{name}']"


def in_loops(here: Here | None, loops: Loops) -> Rewriter:
    """The rewriter for expressions of a task, or of what is no task. loops: see loops_of()."""
    seen = _Seen(here, tuple(each.id for each in here.loops) if here is not None else (), loops)

    def rewriter(template: str, tokens: Sequence[Token]) -> Iterator[Found]:
        index = 0
        while index < len(tokens):
            found, index = seen.at(template, tokens, index)
            yield from found

    return rewriter


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the expressions of a task (or of none) see. around: ids of the loops around it, nearest first."""

    here: Here | None
    around: tuple[str, ...]
    loops: Loops

    def at(self, template: str, tokens: Sequence[Token], index: int) -> tuple[list[Found], int]:
        """What is to say of the token at `index`, and where to go on."""
        token = tokens[index]
        if token.kind != "name" or (index and tokens[index - 1].kind == "sign" and tokens[index - 1].value == "."):
            return [], index + 1
        if token.value in ("outputs", "tasks"):
            return self._outputs(template, tokens, index)
        if token.value == "currentEachOutput" and index + 1 < len(tokens) and tokens[index + 1].value == "(":
            end = matching(tokens, index + 1)
            if end is None:
                return [], index + 1
            what = "currentEachOutput(outputs.x) → outputs.x"
            inside, _ = self._outputs(template, tokens, index + 2)
            return [Swap(token.at, tokens[index + 1].end, "", what), *inside, Swap(tokens[end].at, tokens[end].end, "", what)], end + 1
        if self.here is None or not self.around:
            return [], index + 1
        if token.value in ("parent", "parents"):
            return _parents(tokens, index, self.here)
        if token.value == "taskrun" and index + 2 < len(tokens) and tokens[index + 1].value == ".":
            name = {"value": "value", "iteration": "index"}.get(tokens[index + 2].value)
            if name == "value" or (name == "index" and self.here.direct and self.here.kind != "flow.ForEachItem"):
                what = f"taskrun.{tokens[index + 2].value} → item.{name}"
                return [Swap(token.at, tokens[index + 2].end, f"item.{name}", what)], index + 3
        return [], index + 1

    def _outputs(self, template: str, tokens: Sequence[Token], index: int) -> tuple[list[Found], int]:
        """`outputs.t[taskrun.value]` in the loop of t → `outputs.t`; behind it nothing can be known."""
        values = [each.value for each in tokens[index + 1 : index + 4]]
        if values[:1] == ["."] and len(values) > 1:
            name, position = values[1], index + 3
        elif values[:1] == ["["] and values[2:3] == ["]"] and tokens[index + 2].kind == "text":
            name, position = values[1], index + 4
        else:
            return [], index + 1
        owners = self.loops.owners.get(name)
        if owners is None:
            return [], position
        root = tokens[index].value
        if owners[0] not in self.around:
            what = f"{root}.{name} is of the loop '{owners[0]}', and is not seen outside of it in 2.0"
            todo = f"give the Loop `outputs` and read loopOutputs({of_task(owners[0])}.outputs, '<id of the output>')"
            return [Trouble(tokens[index].at, what, todo)], position
        found: list[Found] = []
        for _ in owners:
            end = matching(tokens, position) if position < len(tokens) and tokens[position].value == "[" else None
            if end is None:
                break
            inner = tokens[position + 1 : end]
            text = "".join(template[each.at : each.end] for each in inner)
            if _VALUE.fullmatch(text):
                found.append(Swap(tokens[position].at, tokens[end].end, "", f"{root}.{name}[{text}] → {root}.{name}"))
            elif owners[0] in self.loops.old and not found:
                what = f"{root}.{name}[…] looks at an iteration that may be another one, which is not seen in 2.0"
                found.append(Trouble(tokens[index].at, what, f"write {root}.{name} for this iteration"))
                break
            position = end + 1
        return found, position


def _parents(tokens: Sequence[Token], index: int, here: Here) -> tuple[list[Found], int]:
    """`parent.taskrun.value`, `parents[1].taskrun.value`, `parent.outputs`."""
    start, number = index, 0
    if tokens[index].value == "parents":
        words = tokens[index + 1 : index + 4]
        if [each.value for each in words[::2]] != ["[", "]"] or words[1].kind != "number":
            return [], index + 1
        number, index = int(words[1].value.rstrip("L")), index + 3
    words = tokens[index + 1 : index + 5]
    values = [each.value for each in words]
    above = [each for each in here.above if each.loop is not None or each.has_outputs]
    entry = above[number] if number < len(above) else None
    if values[:2] == [".", "outputs"]:
        if entry is None:
            return [Trouble(tokens[start].at, "parents outside of a Loop are not seen in it", "read outputs.<task>")], index + 3
        name = of_task(entry.id)
        return [Swap(tokens[start].at, words[1].end, name, f"parent.outputs → {name}")], index + 3
    if values[:4] != [".", "taskrun", ".", "value"]:
        return [], index + 1
    if entry is None or entry.loop is None:
        what = "there is no value in this parent, so what it meant cannot be known"
        return [Trouble(tokens[start].at, what, "write item.value, item.parent.value or item.parents[n].value")], index + 5
    new = item(len(here.loops) - 1 - entry.loop, "value")
    return [Swap(tokens[start].at, words[3].end, new, f"parent.taskrun.value → {new}")], index + 5
