"""What a flow trigger asks for, in one form for both dialects: gates, each with named entries that executions meet within a window.

MultipleCondition, `preconditions` (1.x) and `dependsOn` (2.0) are gates. Made when flows are deployed; nothing here evaluates.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo

from podium.base.ports import FlowRevision
from podium.engine.chain.windows import Stretch, stretch_1, stretch_2
from podium.flows.dynamic import has_expression
from podium.flows.model import TERMINAL, Condition
from podium.flows.models.conditions import ExecutionFlow, ExecutionNamespace, ExecutionStatus, MultipleCondition
from podium.flows.triggers import Dependency, FlowTrigger, UpstreamFlow, Where

Place = tuple[str, str, str]
"""Namespace, flow id and trigger id."""
Entry = Condition | UpstreamFlow | Where | Dependency
DEFAULT_STATES = TERMINAL | {"PAUSED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Opens once `needed` of its entries were met within one window. reset: and then begins anew.

    key: under which its window is stored. definition: fingerprint; a window of another definition counts for nothing.
    """

    key: str
    entries: Mapping[str, Entry]
    stretch: Stretch
    needed: int
    reset: bool
    definition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A flow trigger of a deployed flow. error: why it can never fire."""

    place: Place
    revision: FlowRevision
    trigger: FlowTrigger
    conditions: tuple[Condition, ...]
    gates: tuple[Gate, ...]
    states: frozenset[str]
    error: str | None = None

    @property
    def name(self) -> str:
        return "/".join(self.place)

    @property
    def has_pattern(self) -> bool:
        """Whether it compares with a regular expression, which may take as long as one may."""
        entries = (each for gate in self.gates for each in gate.entries.values() if isinstance(each, Where))
        return any(each.type == "REGEX" for entry in entries for each in entry.filters)

    @property
    def remembers(self) -> bool:
        """Whether what came before counts. If not, one entry of its only gate is enough, and nothing has to be stored."""
        return len(self.gates) > 1 or any(gate.needed > 1 or not gate.reset for gate in self.gates)

    @property
    def new(self) -> bool:
        """Whether it is of dialect 2.0."""
        return bool(self.revision.model.dialect == "2.0")

    def may(self, namespace: str, flow_id: str, state: str) -> bool:
        """False when an execution of that flow in that state is nothing to it, whatever else it is like. Quick: asked for every transition."""
        if state not in self.states or (namespace, flow_id) == self.place[:2]:
            return False
        if not all(_may(each, namespace, flow_id, state) for each in self.conditions):
            return False
        return not self.gates or any(_may(each, namespace, flow_id, state) for gate in self.gates for each in gate.entries.values())

    def upstreams(self) -> set[tuple[str, str | None]] | None:
        """(namespace, flow id or None for any) of all executions that may be something to it; None: they cannot be told."""
        for each in self.conditions:
            if (target := _target(each)) is not None:
                return {target}
        found = {_target(each) for gate in self.gates for each in gate.entries.values()}
        return {each for each in found if each is not None} if found and None not in found else None


def listener_of(revision: FlowRevision, trigger: FlowTrigger, zone: tzinfo) -> Listener:
    """zone: of triggers that name none."""
    place = (revision.namespace, revision.flow_id, trigger.id)
    plain = tuple(each for each in trigger.conditions if not isinstance(each, MultipleCondition))
    states = frozenset(trigger.states) if trigger.states is not None else DEFAULT_STATES
    for each in plain:
        if isinstance(each, ExecutionStatus):
            states = frozenset(state for state in states if _may(each, "", "", state))
    try:
        gates = tuple(_gates(trigger, zone))
    except (ValueError, OverflowError) as error:
        return Listener(place=place, revision=revision, trigger=trigger, conditions=plain, gates=(), states=states, error=f"its window: {error}")
    return Listener(place=place, revision=revision, trigger=trigger, conditions=plain, gates=gates, states=states)


def _gates(trigger: FlowTrigger, zone: tzinfo) -> Iterable[Gate]:
    for index, each in enumerate(trigger.conditions):
        if isinstance(each, MultipleCondition):
            stretch = stretch_1(each.time_window, zone, length=each.window, advance=each.window_advance)
            yield _gate(f"conditions[{index}].{each.id}", each.conditions, stretch, None, reset=each.reset_on_success)
    if trigger.preconditions is not None:
        written = trigger.preconditions
        entries = _named((*written.flows, *written.where))
        if entries:
            yield _gate(f"preconditions.{written.id}", entries, stretch_1(written.time_window, zone), None, reset=written.reset_on_success)
    if trigger.depends_on:
        entries = _named(sorted(trigger.depends_on, key=Dependency.model_dump_json))  # their order means nothing
        needed = {"ANY": 1, "AT_LEAST": trigger.min_satisfied or 1}.get(trigger.mode)
        yield _gate("dependsOn", entries, stretch_2(trigger.window, zone), needed, reset=True)


def _gate(key: str, entries: Mapping[str, Entry], stretch: Stretch, needed: int | None, *, reset: bool) -> Gate:
    written = {name: each.model_dump(mode="json") for name, each in entries.items()}
    text = json.dumps([key, written, repr(stretch), needed, reset], sort_keys=True, default=str)
    definition = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Gate(key=key, entries=entries, stretch=stretch, needed=len(entries) if needed is None else needed, reset=reset, definition=definition)


def _named(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Entries under names for people: their id, or the flow that they are about; equal ones once."""
    found: dict[str, Entry] = {}
    for each in entries:
        if each in found.values():
            continue
        name = each.id if isinstance(each, Where) else f"{getattr(each, 'namespace', None) or '*'}.{getattr(each, 'flow_id', None) or '*'}"
        unique, number = name, 1
        while unique in found:
            number += 1
            unique = f"{name}#{number}"
        found[unique] = each
    return found


# ---- what can be told without evaluating


def _static(text: str | None) -> str | None:
    return text if text is not None and not has_expression(text) else None


def _target(entry: Entry) -> tuple[str, str | None] | None:
    """The one flow, or namespace, that an entry is about; None when that cannot be told."""
    match entry:
        case UpstreamFlow():
            return entry.namespace, entry.flow_id
        case Dependency():
            return (entry.namespace, entry.flow_id) if entry.namespace is not None else None
        case ExecutionFlow():
            namespace, flow_id = _static(entry.namespace), _static(entry.flow_id)
            return (namespace, flow_id) if namespace is not None and flow_id is not None else None
        case ExecutionNamespace() if entry.comparison in (None, "EQUALS") and not (entry.prefix and entry.comparison is None):
            namespace = _static(entry.namespace)
            return (namespace, None) if namespace is not None else None
        case Where() if entry.operand == "AND":
            equal = {each.field: each.value for each in entry.filters if each.type == "EQUAL_TO" and each.field != "EXPRESSION"}
            named = equal.get("NAMESPACE")
            return (named, equal.get("FLOW_ID")) if named is not None else None
        case _:
            return None


def _may(entry: Entry, namespace: str, flow_id: str, state: str) -> bool:
    """False when an entry cannot be met by an execution of that flow in that state."""
    match entry:
        case UpstreamFlow() | Dependency():
            return (
                entry.namespace in (None, namespace) and entry.flow_id in (None, flow_id) and (entry.states is None or state in entry.states)
            )
        case ExecutionStatus():
            return (entry.in_ is None or state in entry.in_) and (entry.not_in is None or state not in entry.not_in)
        case ExecutionNamespace():
            wanted = _static(entry.namespace)
            if wanted is None:
                return True
            comparison = entry.comparison or ("PREFIX" if entry.prefix else "EQUALS")
            return {"PREFIX": namespace.startswith(wanted), "SUFFIX": namespace.endswith(wanted)}.get(comparison, namespace == wanted)
        case ExecutionFlow():
            return _static(entry.namespace) in (None, namespace) and _static(entry.flow_id) in (None, flow_id)
        case _:
            return True
