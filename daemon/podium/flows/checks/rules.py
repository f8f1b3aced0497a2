"""What all rules of a flow stand on: the tree, the objects seen in it, the report. And the rules of the flow itself.

Rules read the text's tree, not the models, so that one mistake never hides another. Each is a function that adds to the report; the
list RULES of each module is what load calls. Source: flow-language 1.2, flow-language-2 1 and 2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from podium.base.patterns import matches
from podium.flows.dynamic import has_expression
from podium.flows.models.base import read_duration
from podium.flows.models.tasks import ForEachItem, Subflow
from podium.flows.reading.problems import Placed, Report, join, key_of
from podium.flows.reading.shape import Seen, Shaping
from podium.flows.reading.yaml import Entry, Fields, Items, Node, Scalar
from podium.flows.types import Types

RESERVED_IDS = (
    "pause", "resume", "force-run", "change-status", "kill", "executions", "search", "source", "disable", "enable",
)
"""Ids that the paths of the API already use."""
_SYSTEM = "system."
_SYSTEM_ALLOWED = "system.readOnly"
LABEL_KEY_2 = r"[\p{Ll}][\p{L}0-9._-]*"
"""What the key of a label looks like in dialect 2.0."""
_TAG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_TAGS_MAX = 20


@dataclass(slots=True)
class Checked:
    """One flow under check. texts of ids are None when they are missing or no text."""

    root: Fields
    shaping: Shaping
    report: Report
    types: Types
    dialect: str

    @property
    def flow_id(self) -> str | None:
        return self.root.text("id")

    @property
    def namespace(self) -> str | None:
        return self.root.text("namespace")

    def problem(self, at: Placed, path: str, code: str, message: str, hint: str = "") -> None:
        self.report.problem(at, path, code, message, hint)

    def warning(self, at: Placed, path: str, code: str, message: str, hint: str = "") -> None:
        self.report.warning(at, path, code, message, hint)


Rule = Callable[[Checked], None]


def maps_in(node: Node | None, path: str) -> Iterator[tuple[Fields, str]]:
    """The maps of a list, and their paths."""
    for index, each in enumerate(node.items if isinstance(node, Items) else []):
        if isinstance(each, Fields):
            yield each, f"{path}[{index}]"


def is_empty(node: Node | None) -> bool:
    """Missing, null, or without any item."""
    if isinstance(node, Items):
        return not node.items
    if isinstance(node, Fields):
        return not node.entries
    return node is None or (isinstance(node, Scalar) and node.value is None)


def static_text(node: Node | None) -> str | None:
    """The text of a scalar that holds no expression."""
    if isinstance(node, Scalar) and node.value is not None and not has_expression(node.text):
        return node.text
    return None


def twice(found: Iterable[tuple[str | None, Placed]]) -> tuple[list[str], Placed | None]:
    """The ids that occur more than once, in the order of their first occurrence, and where the first second one stands."""
    seen: set[str] = set()
    again: set[str] = set()
    order: list[str] = []
    at: Placed | None = None
    for name, place in found:
        if name is None:
            continue
        order.append(name)
        if name in seen:
            again.add(name)
            at = at or place
        seen.add(name)
    return [each for each in dict.fromkeys(order) if each in again], at


# ---- the flow itself


def _unique_ids(flow: Checked) -> None:
    tasks = ((each.node.text("id"), key_of(each.node, "id")) for each in flow.shaping.of("task"))
    triggers = ((each.text("id"), key_of(each, "id")) for each, _ in maps_in(flow.root.get("triggers"), "triggers"))
    inputs = ((each.text("id") or each.text("name"), key_of(each, "id")) for each, _ in maps_in(flow.root.get("inputs"), "inputs"))
    outputs = ((each.text("id"), key_of(each, "id")) for each, _ in maps_in(flow.root.get("outputs"), "outputs"))
    kinds = (("tasks", "task id", tasks), ("triggers", "trigger id", triggers), ("inputs", "input", inputs), ("outputs", "output", outputs))
    for path, words, found in kinds:
        names, at = twice(found)
        if at is not None:
            what = f"Invalid Flow: Duplicate {words} with name [{', '.join(names)}]"
            hint = "give each its own id" + ("; also those inside other tasks and in errors" if path == "tasks" else "")
            flow.problem(at, path, "duplicate-id", what, hint)


def _no_recursion(flow: Checked) -> None:
    for each in flow.shaping.of("task"):
        if each.cls is None or not issubclass(each.cls, (Subflow, ForEachItem)):
            continue
        if flow.flow_id is not None and each.node.text("flowId") == flow.flow_id and each.node.text("namespace") == flow.namespace:
            what = f"Invalid Flow: Recursive call to flow [{flow.namespace}.{flow.flow_id}]"
            flow.problem(key_of(each.node, "flowId"), each.path, "recursion", what, "a flow cannot start itself")


def _reserved_id(flow: Checked) -> None:
    if flow.flow_id in RESERVED_IDS:
        what = f"the flow id '{flow.flow_id}' is reserved: paths of the API use it"
        tell = flow.problem if flow.dialect == "2.0" else flow.warning
        tell(key_of(flow.root, "id"), "id", "reserved-id", what, f"rename it, for example '{flow.flow_id}-flow'")


def _labels(flow: Checked) -> None:
    check_labels(flow, flow.root.get("labels"), "labels", static=True)
    for each in flow.shaping.of("task"):
        if each.cls is not None and issubclass(each.cls, (Subflow, ForEachItem)):
            check_labels(flow, each.node.get("labels"), join(each.path, "labels"))
    for each in flow.shaping.of("trigger"):
        check_labels(flow, each.node.get("labels"), join(each.path, "labels"))
    for node, path in maps_in(flow.root.get("sla"), "sla"):
        check_labels(flow, node.get("labels"), join(path, "labels"))


def label_entries(node: Node | None, path: str) -> Iterator[tuple[str, Node, Placed, str]]:
    """Key, value, place and path of each label, from a map or a list of {key, value}."""
    if isinstance(node, Fields):
        for key, entry in node.entries.items():
            yield key, entry.node, entry, join(path, key)
    for each, place in maps_in(node, path):
        name, value = each.text("key"), each.get("value")
        if name is not None and value is not None:
            yield name, value, key_of(each, "key"), place


def check_labels(flow: Checked, node: Node | None, path: str, *, static: bool = False) -> None:
    """No system labels; in 2.0 the form of keys too."""
    for key, value, at, place in label_entries(node, path):
        if key.startswith(_SYSTEM) and key != _SYSTEM_ALLOWED:
            shown = value.text if isinstance(value, Scalar) else "…"
            what = f"System labels can only be set by Kestra itself, offending label: {key}={shown}"
            flow.problem(at, place, "system-label", what, "choose a key that does not begin with 'system.'")
        elif flow.dialect == "2.0" and not has_expression(key) and not matches(LABEL_KEY_2, key):
            what = (
                "Invalid label key. A valid key contains only lowercase letters numbers hyphens (-) underscores (_) or periods (.) "
                "and must begin with a lowercase letter."
            )
            flow.problem(at, place, "label", what)
        if static and isinstance(value, Scalar) and (value.value is None or (flow.dialect == "2.0" and not value.text)):
            flow.problem(at, place, "label", f"the label '{key}' has no value", "write a value, or remove the label")


def _enterprise(flow: Checked) -> None:
    where: list[tuple[Fields, str]] = [(flow.root, "")]
    where += [(each.node, each.path) for each in flow.shaping.seen if each.what in ("task", "trigger")]
    for node, path in where:
        entry = node.entries.get("workerGroup")
        if entry is not None and not is_empty(entry.node) and flow.dialect != "2.0":
            what = "Worker Group is an Enterprise Edition functionality"
            flow.problem(entry, join(path, "workerGroup"), "enterprise", what, "remove it: one daemon runs every task")
        _worker_selector(flow, node.entries.get("workerSelector"), join(path, "workerSelector"))
    quotas = flow.root.entries.get("quotas")
    if quotas is not None and not is_empty(quotas.node):
        what = "quotas is an Enterprise Edition functionality"
        flow.problem(quotas, "quotas", "enterprise", what, "remove it; concurrency limits how many executions run at a time")


def is_worker_tag(text: str) -> bool:
    """Whether a worker may be known by it: an RFC 1123 label."""
    return _TAG.fullmatch(text) is not None


def _worker_selector(flow: Checked, entry: Entry | None, path: str) -> None:
    if entry is None or not isinstance(entry.node, Fields):
        return
    tags = entry.node.get("tags")
    if is_empty(tags):
        for key in ("match", "fallback"):
            if key in entry.node.entries:
                what = f"'{key}' is only allowed with 'tags'"
                flow.problem(entry.node.entries[key], join(path, key), "worker-selector", what, "add tags:")
    if isinstance(tags, Items):
        if len(tags.items) > _TAGS_MAX:
            flow.problem(tags, join(path, "tags"), "worker-selector", f"size must be between 0 and {_TAGS_MAX}", "use fewer tags")
        for index, each in enumerate(tags.items):
            text = static_text(each)
            if text is not None and not is_worker_tag(text):
                what = f"'{text}' is no worker tag"
                hint = "use up to 63 lower-case letters, digits and hyphens, beginning and ending with a letter or digit"
                flow.problem(each, f"{path}.tags[{index}]", "worker-selector", what, hint)


# ---- retry, sla


_RETRY_NEEDS = {"constant": ("interval",), "exponential": ("interval", "maxInterval"), "random": ("minInterval", "maxInterval")}
_RETRY_OWN = {**_RETRY_NEEDS, "exponential": ("interval", "maxInterval", "delayFactor")}
_RETRY_LESS = {
    "constant": (("interval", "maxDuration"),),
    "exponential": (("interval", "maxInterval"), ("interval", "maxDuration")),
    "random": (("minInterval", "maxInterval"), ("minInterval", "maxDuration"), ("maxInterval", "maxDuration")),
}


def _retries(flow: Checked) -> None:
    where: list[tuple[Fields, str]] = [(flow.root, "")]
    where += [(each.node, each.path) for each in flow.shaping.seen if each.what == "task"]
    for node, path in where:
        retry = node.get("retry")
        if isinstance(retry, Fields):
            _retry(flow, retry, join(path, "retry"))


def _retry(flow: Checked, retry: Fields, path: str) -> None:
    kind = retry.text("type") or ""
    if kind not in _RETRY_OWN:
        return
    own = _RETRY_OWN[kind]
    for name in ("interval", "minInterval", "maxInterval", "delayFactor"):
        entry = retry.entries.get(name)
        if entry is not None and name not in own and not entry.node.given:
            what = f'Unrecognized field "{name}" (class {kind} retry), not marked as ignorable'
            flow.problem(entry, join(path, name), "unknown-property", what, f"a retry of type {kind} has {', '.join(own)}")
        elif name in _RETRY_NEEDS[kind] and is_empty(retry.get(name)):
            flow.problem(retry, join(path, name), "missing", f"must not be null: a retry of type {kind} needs '{name}'", f"add {name}: PT10S")
    for less, more in _RETRY_LESS[kind]:
        low, high = read_static_duration(retry.get(less)), read_static_duration(retry.get(more))
        if low is not None and high is not None and low >= high:
            what = f"'{less}' must be less than '{more}' but is {retry.text(less)}"
            flow.problem(key_of(retry, less), path, "retry", what, f"'{more}' is {retry.text(more)}")


def read_static_duration(node: Node | None) -> float | None:
    """The seconds of a duration that is written out; None for anything else."""
    text = static_text(node)
    if text is None:
        return None
    try:
        return float(read_duration(text).total_seconds())
    except ValueError:
        return None


def _slas(flow: Checked) -> None:
    needs = {"MAX_DURATION": "duration", "EXECUTION_ASSERTION": "assert"}
    for node, path in maps_in(flow.root.get("sla"), "sla"):
        kind = node.text("type") or ""
        if kind not in needs:
            continue
        needed = needs[kind]
        if is_empty(node.get(needed)):
            flow.problem(node, join(path, needed), "missing", f"must not be null: an SLA of type {kind} needs '{needed}'", f"add {needed}:")
        for other in needs.values():
            if other != needed and other in node.entries and not node.entries[other].node.given:
                what = f'Unrecognized field "{other}" (class {kind}), not marked as ignorable'
                flow.problem(node.entries[other], join(path, other), "unknown-property", what, f"an SLA of type {kind} has '{needed}'")


def _deprecated(flow: Checked) -> None:
    for each in flow.shaping.seen:
        at = each.node.get("type") or each.node
        current = flow.types.canonical(each.name)
        old = getattr(each.cls, "DEPRECATED", "")
        if flow.dialect == "2.0":
            pass  # refused: see dialect_rules
        elif each.cls is not None and each.what != "input" and current not in (each.name, f"io.kestra.plugin.{each.name}"):
            flow.warning(at, each.path, "replaced-type", f"{each.name} is replaced by {current}", f"write type: {current}")
        elif old:
            flow.warning(at, each.path, "deprecated", f"{each.name} is deprecated", old)
        if pending := getattr(each.cls, "PENDING", ""):
            flow.warning(at, each.path, "not-carried-out", f"{each.name} is not carried out by this version of Podium", pending)
    for name, now in (("taskDefaults", "pluginDefaults"), ("listeners", "afterExecution, or a flow of its own with a Flow trigger")):
        if name in flow.root.entries and flow.dialect != "2.0":
            flow.warning(flow.root.entries[name], name, "deprecated", f"'{name}' is deprecated", f"use {now}")


def parents(seen: Seen) -> Iterator[Seen]:
    """The objects around one, nearest first."""
    outer = seen.parent
    while outer is not None:
        yield outer
        outer = outer.parent


RULES: tuple[Rule, ...] = (_unique_ids, _no_recursion, _reserved_id, _labels, _enterprise, _retries, _slas, _deprecated)
ABOUT_THE_FLOW: tuple[Rule, ...] = (_no_recursion, _reserved_id)
"""Those that ask for the flow's own id: they say nothing about a template."""
