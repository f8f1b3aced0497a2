"""Whether a flow trigger fires for an execution, and what it gives to the one that it starts. Called by chains, may block (then on a thread).

Nothing is written here: the windows that changed are handed back. Source: flow-language 7.3, flow-language-2 5.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from podium.base.errors import PodiumError, TakesLong
from podium.base.system.log import get_logger
from podium.conductor.chains.gates import Entry, Gate, Listener
from podium.conductor.chains.upstream import Upstream
from podium.engine.chain.filters import passes
from podium.engine.chain.windows import Met, Window, as_dict, of_dict, window_at, with_met
from podium.expressions.text import java_text
from podium.flows.model import Condition
from podium.flows.triggers import Dependency, Filter, UpstreamFlow, Where
from podium.rendering.conditions import conditions_hold
from podium.rendering.renderer import Renderer, has_template

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """fires: whether an execution is to be started. windows: as they are to be stored, or None when they stay as they are.

    met: the executions that the trigger fires for, oldest first, the one at hand last. error: a condition that could not be evaluated.
    """

    fires: bool
    windows: Mapping[str, Any] | None = None
    met: tuple[Met, ...] = ()
    error: str | None = None


@dataclass(slots=True)
class Judge:
    """Evaluates the conditions of one listener for one transition. One that cannot be evaluated does not hold."""

    renderer: Renderer
    listener: Listener
    upstream: Upstream
    error: str | None = None
    _seen: dict[str, Any] = field(default_factory=dict)
    _view: dict[str, Any] = field(default_factory=dict)

    def verdict(self, stored: Mapping[str, Any]) -> Verdict:
        """stored: the windows of the trigger as they are stored. Source of the order: flow-language 7.3."""
        if not self._stands_alone():
            return Verdict(fires=False, error=self.error)
        if not self.listener.gates:
            return Verdict(fires=True, met=(self._met(),), error=self.error)
        windows: dict[str, Window | None] = {}
        fulfilled: list[tuple[Gate, Window]] = []
        touched = False
        for gate in self.listener.gates:
            window = self._window(gate, stored.get(gate.key))
            if window is not None and (names := [name for name, entry in gate.entries.items() if self._is_met(entry)]):
                touched = True
                window = with_met(window, dict.fromkeys(names, self._met()))
            if window is not None and len(window.results) >= gate.needed:
                fulfilled.append((gate, window))
            nothing = window is None or not window.results or not self.listener.remembers
            windows[gate.key] = None if nothing else window
        fires = touched and len(fulfilled) == len(self.listener.gates)
        met: dict[str, Met] = {}
        if fires:
            for gate, window in fulfilled:
                met.update({each.execution_id: each for each in window.results.values()})
                if gate.reset:
                    windows[gate.key] = None
        met.pop(self.upstream.execution_id, None)
        ordered = (*sorted(met.values(), key=lambda each: each.at), self._met()) if fires else ()
        return Verdict(fires=fires, windows=self._changed(stored, windows), met=ordered, error=self.error)

    def _stands_alone(self) -> bool:
        """Whether the conditions that are about this execution alone hold."""
        trigger = self.listener.trigger
        return all(self._is_met(each) for each in self.listener.conditions) and (
            trigger.when is None or self._guarded(lambda: self._truthy(trigger.when))
        )

    def _window(self, gate: Gate, stored: Any) -> Window | None:
        known = of_dict(stored) if isinstance(stored, Mapping) and stored.get("definition") == gate.definition else None
        try:
            window = window_at(gate.stretch, self.upstream.at, known)
        except (OverflowError, ValueError) as error:
            self._trouble(f"its window cannot be found: {error}")
            return None
        return known if window is not None and known is not None and window.results == known.results else window

    def _changed(self, stored: Mapping[str, Any], windows: Mapping[str, Window | None]) -> dict[str, Any] | None:
        """What to store. Windows that are over, and those of gates that are no more, are left out. None: nothing differs."""
        gates = {gate.key: gate for gate in self.listener.gates}
        kept = {key: {**as_dict(window), "definition": gates[key].definition} for key, window in windows.items() if window is not None}
        return kept if kept != dict(stored) else None

    def _met(self) -> Met:
        upstream = self.upstream
        return Met(execution_id=upstream.execution_id, namespace=upstream.namespace, flow_id=upstream.flow_id, at=upstream.at)

    # ---- entries

    def _is_met(self, entry: Entry) -> bool:
        return self._guarded(lambda: self._holds(entry))

    def _guarded(self, ask: Any) -> bool:
        try:
            return bool(ask())
        except TakesLong:
            raise
        except PodiumError as error:
            self._trouble(error.what)
        except (ValueError, TypeError, ArithmeticError) as error:
            self._trouble(str(error))
        return False

    def _trouble(self, what: str) -> None:
        self.error = self.upstream.text(f"a condition cannot be evaluated for execution {self.upstream.execution_id}: {what}")

    def _holds(self, entry: Entry) -> bool:
        match entry:
            case UpstreamFlow() | Dependency():
                return self._is_of(entry) and (not isinstance(entry, Dependency) or self._truthy(entry.when))
            case Where():
                tests = (self._passes(each) for each in entry.filters)
                return all(tests) if entry.operand == "AND" else any(tests)
            case Condition():
                return conditions_hold(
                    [entry], self._variables(), self.upstream.scope(), self.renderer, execution=self._execution(),
                )

    def _is_of(self, entry: UpstreamFlow | Dependency) -> bool:
        upstream = self.upstream
        if entry.namespace not in (None, upstream.namespace) or entry.flow_id not in (None, upstream.flow_id):
            return False
        if entry.states is not None and upstream.state not in entry.states:
            return False
        return all(key in upstream.labels and upstream.labels[key] == self._text(value) for key, value in (entry.labels or {}).items())

    def _passes(self, each: Filter) -> bool:
        match each.field:
            case "FLOW_ID":
                return passes(each, self.upstream.flow_id)
            case "NAMESPACE":
                return passes(each, self.upstream.namespace)
            case "STATE":
                return passes(each, self.upstream.state)
            case "EXPRESSION":
                return passes(each, self.renderer.value(each.value, self._variables(), self.upstream.scope(), typed=True))

    def _truthy(self, template: str | None) -> bool:
        return self.renderer.truthy(template, self._variables() if has_template(template) else {}, self.upstream.scope())

    def _text(self, value: Any) -> str:
        return java_text(self.renderer.value(value, self._variables(), self.upstream.scope()) if has_template(value) else value)

    def _variables(self) -> dict[str, Any]:
        if not self._seen:
            self._seen = self.upstream.variables(self.upstream.plain(self.upstream.outputs))
        return self._seen

    def _execution(self) -> dict[str, Any]:
        if not self._view:
            self._view = self.upstream.view()
        return self._view


@dataclass(frozen=True, slots=True, kw_only=True)
class Gift:
    """What the started execution gets. failed_because: the inputs could not be rendered."""

    inputs: Mapping[str, Any]
    labels: Mapping[str, str]
    variables: Mapping[str, Any]
    failed_because: str | None = None


def gift(renderer: Renderer, listener: Listener, upstream: Upstream, outputs: Mapping[str, Any]) -> Gift:
    """Inputs, labels and variables. outputs: what `trigger.outputs` is, secrets encrypted. A label that cannot be rendered is left out."""
    seen = upstream.variables(upstream.plain(outputs))
    scope = upstream.scope()
    labels: dict[str, str] = {}
    for key, template in listener.trigger.labels.items():
        try:
            labels[str(key)] = java_text(renderer.value(template, seen, scope))
        except TakesLong:
            raise
        except PodiumError as error:
            log.warning("trigger_label_left_out", trigger=listener.name, label=key, reason=error.what)
    inputs: Mapping[str, Any] = {}
    failed: str | None = None
    try:
        inputs = renderer.value(listener.trigger.inputs, seen, scope)
    except TakesLong:
        raise
    except PodiumError as error:
        failed = error.what
    return Gift(inputs=inputs, labels=labels, variables=upstream.facts(outputs), failed_because=failed)


def outputs_of(listener: Listener, found: Mapping[str, list[Mapping[str, Any]]]) -> dict[str, Any]:
    """`trigger.outputs` from flow id → its outputs, oldest first.

    By flow id, and with a single upstream (2.0) or in 1.x also flat: what came last wins, and wins over a flow's id.
    """
    nested: dict[str, Any] = {}
    flat: dict[str, Any] = {}
    for flow_id, several in found.items():
        nested[flow_id] = {key: value for each in several for key, value in each.items()}
        flat.update(nested[flow_id])
    alone = sum(len(gate.entries) for gate in listener.gates) <= 1
    return {**nested, **flat} if alone or not listener.new else nested
