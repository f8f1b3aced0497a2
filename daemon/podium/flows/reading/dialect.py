"""Which dialect a flow is written in, 1.x or 2.0, from its text alone. Most flows mean the same in both; those are taken as 1.x.

Properties and types that only one dialect has decide; only where there are none do expressions decide. A flow with marks of both is
taken as 1.x, and a warning names them. Source: flow-language-2 10.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from podium.flows.reading.problems import Placed, Report, join
from podium.flows.reading.yaml import Fields, Items, Node, Scalar

_TYPES_1X = tuple(
    f"core.{name}"
    for name in (
        "flow.ForEach", "flow.ForEachItem", "flow.EachSequential", "flow.EachParallel", "flow.Template", "flow.WaitFor", "state.Get",
        "state.Set", "state.Delete", "execution.Count", "execution.Resume", "trigger.Toggle", "debug.Echo",
    )
)
_TYPES_2 = ("core.flow.Loop", "core.flow.Approval")
_ROOT_1X = ("pluginDefaults", "taskDefaults", "listeners", "workerGroup")
_ROOT_2 = ("draft", "quotas", "policyRefs", "workerSelector")
_TRIGGER_1X = ("conditions", "preconditions", "scheduleConditions", "multipleConditions", "minLogLevel", "backfill", "workerGroup")
_TRIGGER_2 = ("when", "policyRefs", "workerSelector", "dependsOn", "window", "mode", "minSatisfied", "onMiss")
_TASK_1X = ("workerGroup",)
_TASK_2 = ("policyRefs", "workerSelector")
_INPUTS_1X = ("BOOLEAN", "ENUM")
_INPUTS_2 = ("FORM", "REUSABLE_INPUTS", "ION", "OBJECT", "TABLE")
_TASK_LISTS = ("tasks", "errors", "finally", "afterExecution", "listeners")

INSIDE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_WORDS_1X = re.compile(
    r"(?<!\w)json\s*\(|\|\s*json\b|(?<![\w.])schedule\.\w|\b(?:currentEachOutput|parentOutput)\s*\(|\bread\s*\([^)]{0,300}\bversion\s*="
)
_OWN_ITEM = re.compile(r"\{%-?\s*(?:for\s+item\s+in|set\s+item\s*=)")
"""A template that calls something of its own `item`."""
_WORDS_2 = re.compile(
    r"(?<![\w.])item\.(?:value|index|key|parents?)\b|\bread\s*\([^)]{0,300}\brevision\s*=|"
    r"\b(?:loopOutputs|isWeekend|isPublicHoliday|isDayWeekInMonth|isLastWorkingDay|isDateBetween|dayOfWeek|dayOfMonth|monthOfYear|hourOfDay)\s*\("
)


@dataclass(slots=True)
class _Marks:
    """What was found: for each dialect, the words for it and where it stands."""

    old: list[tuple[str, Placed, str]] = field(default_factory=list)
    new: list[tuple[str, Placed, str]] = field(default_factory=list)

    def keys(self, node: Fields, path: str, old: tuple[str, ...], new: tuple[str, ...]) -> None:
        for key, entry in node.entries.items():
            if not entry.node.given:
                if key in old:
                    self.old.append((f"'{key}'", entry, join(path, key)))
                elif key in new:
                    self.new.append((f"'{key}'", entry, join(path, key)))

    def type(self, node: Fields, path: str) -> None:
        kind = node.get("type")
        name = node.text("type") or ""
        if kind is None or "." not in name:
            return
        short = name.removeprefix("io.kestra.plugin.")
        if name.startswith("io.kestra.core.") or short in _TYPES_1X or ".condition." in f".{short}":
            self.old.append((name, kind, path))
        elif short in _TYPES_2:
            self.new.append((name, kind, path))


def detect(root: Fields, texts: list[tuple[Scalar, str]], report: Report) -> str:
    """`1.x` or `2.0`. texts: the texts of the flow that hold expressions."""
    marks = _Marks()
    marks.keys(root, "", _ROOT_1X, _ROOT_2)
    for section in _TASK_LISTS:
        _tasks(root.get(section), section, marks)
    for node, path in _maps(root.get("triggers"), "triggers"):
        marks.keys(node, path, _TRIGGER_1X, _TRIGGER_2)
        marks.type(node, path)
    _inputs(root.get("inputs"), "inputs", marks)
    for node, path in _maps(root.get("checks"), "checks"):
        marks.keys(node, path, (), ("when",))
    if marks.old and marks.new:
        what = f"this flow mixes the language of 1.x ({_listed(marks.old)}) and of 2.0 ({_listed(marks.new)})"
        _, at, path = marks.new[0]
        report.warning(at, path, "mixed-dialect", what, "it is read as 1.x; Kestra accepts such a flow in neither version")
    if marks.old or marks.new:
        return "1.x" if marks.old else "2.0"
    found_old = found_new = False
    for scalar, _ in texts:
        own_item = _OWN_ITEM.search(scalar.text) is not None
        for inside in INSIDE.findall(scalar.text):
            found_old = found_old or _WORDS_1X.search(inside) is not None
            found = _WORDS_2.search(inside)
            found_new = found_new or (found is not None and not (own_item and found[0].startswith("item")))
    return "2.0" if found_new and not found_old else "1.x"


def _listed(marks: list[tuple[str, Placed, str]]) -> str:
    return ", ".join(list(dict.fromkeys(words for words, _, _ in marks))[:5])


def _maps(node: Node | None, path: str) -> Iterator[tuple[Fields, str]]:
    for index, each in enumerate(node.items if isinstance(node, Items) else []):
        if isinstance(each, Fields):
            yield each, f"{path}[{index}]"


def _tasks(node: Node | None, path: str, marks: _Marks) -> None:
    """Marks in a list of tasks, and in whatever lists and maps of tasks they hold."""
    if isinstance(node, Items):
        for index, each in enumerate(node.items):
            _tasks(each, f"{path}[{index}]", marks)
        return
    if not isinstance(node, Fields):
        return
    name = (node.text("type") or "").removeprefix("io.kestra.plugin.")
    if "." in name:
        marks.keys(node, path, _TASK_1X, _TASK_2)
        marks.type(node, path)
        old = {"core.flow.Pause": ("delay", "tasks"), "core.flow.Subflow": ("outputs",)}.get(name, ())
        if "scripts." in name:
            old = ("runner", "docker")
        marks.keys(node, path, old, ())
    for key, entry in node.entries.items():
        if key in ("onResume", "inputs") and isinstance(entry.node, Items):
            _inputs(entry.node, join(path, key), marks)
        elif key not in ("inputs", "values", "variables", "labels"):
            _tasks(entry.node, join(path, key), marks)


def _inputs(node: Node | None, path: str, marks: _Marks) -> None:
    for each, place in _maps(node, path):
        kind = each.text("type")
        if "name" in each.entries and "id" not in each.entries:
            marks.old.append(("an input's 'name'", each.entries["name"], place))
        if kind in _INPUTS_1X:
            marks.old.append((f"input type {kind}", each.entries["type"], place))
        elif kind in _INPUTS_2:
            marks.new.append((f"input type {kind}", each.entries["type"], place))
        if kind == "MULTISELECT":
            marks.keys(each, place, ("options",), ())
        _inputs(each.get("inputs"), join(place, "inputs"), marks)
