"""Triggers: conditions → when, preconditions → dependsOn, window and mode. Source: flow-language 7, flow-language-2 5 and 7."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from podium.flows.migrate.conditions import (
    DEPENDENCIES_MAX,
    Dependency,
    Impossible,
    Owner,
    all_of,
    clock,
    joined,
    kind_of,
    labels_of,
    narrowed,
    quoted,
    single,
    states_of,
)
from podium.flows.migrate.text.editing import Draft
from podium.flows.migrate.text.source import Pair, Part
from podium.flows.migrate.walking import core

_SIMPLE = {"FLOW_ID": "flow_id", "NAMESPACE": "namespace"}
_LEFT = {"FLOW_ID": "flow.id", "NAMESPACE": "flow.namespace"}
_DATES = ("trigger.date", "trigger.next", "trigger.previous")


def rewrite_triggers(draft: Draft, root: Part) -> None:
    """Every trigger of the flow."""
    triggers = root.get("triggers")
    for trigger in triggers.maps() if triggers is not None else ():
        _common(draft, trigger)
        kind = core(trigger.string("type"))
        owner = Owner(root.string("id") or "", root.string("namespace") or "", kind == "trigger.Flow")
        try:
            if owner.upstream:
                _flow(draft, root, trigger, owner)
            else:
                _conditions(draft, trigger, owner)
        except Impossible as error:
            draft.cannot(error.part, error.what, error.todo)


def _common(draft: Draft, trigger: Part) -> None:
    level = trigger.pair("minLogLevel")
    if level is not None:
        edit = draft.rename(level, "logLevel") if trigger.pair("logLevel") is None else draft.remove(trigger, level)
        draft.change(level.key, "trigger: minLogLevel → logLevel", edit)
    for name in ("backfill", "backfills"):
        pair = trigger.pair(name)
        if pair is not None and core(trigger.string("type")) == "trigger.Schedule":
            draft.change(pair.key, f"Schedule: {name} removed, which had no effect", draft.remove(trigger, pair))
    for name in ("states", "stopAfter"):
        states = trigger.get(name)
        for state in states.items if states is not None else ():
            if state.text == "CANCELED":
                draft.change(state, "state CANCELED → CANCELLED", draft.write(state, "CANCELLED"))


def _conditions(draft: Draft, trigger: Part, owner: Owner) -> None:
    """conditions and scheduleConditions of a trigger that looks at no other flow."""
    pairs = [pair for name in ("conditions", "scheduleConditions") if (pair := trigger.pair(name)) is not None]
    if not pairs:
        return
    conditions = [each for pair in pairs for each in pair.value.items]
    new: list[tuple[str, Any]] = [("when", all_of(conditions, owner))] if conditions else []
    _replace(draft, trigger, pairs, new, what="conditions → when", but=_cautions(conditions))


def _cautions(conditions: Sequence[Part]) -> list[tuple[str, str]]:
    """What `when` may understand otherwise."""
    found: list[tuple[str, str]] = []
    for condition in conditions:
        text = condition.string("expression") or ""
        if any(f"{name} {sign}" in text or f"{sign} {name}" in text for name in _DATES for sign in ("<", ">", "<=", ">=")):
            what = "in `when` the dates of a trigger are date-times, and are not compared with text"
            found.append((what, "write | timestamp on both sides"))
    return found


def _replace(
    draft: Draft, trigger: Part, pairs: Sequence[Pair], new: list[tuple[str, Any]], *, what: str, but: Sequence[tuple[str, str]] = ()
) -> None:
    """Put the new pairs where the first of the old ones stands."""
    when = trigger.pair("when")
    if when is not None and any(name == "when" for name, _ in new):
        draft.cannot(when.key, "this trigger has conditions and `when`", "join them by hand")
        return
    first, *rest = pairs
    edits = [draft.put(trigger, first, new) if new else draft.remove(trigger, first)]
    edits += [draft.remove(trigger, pair) for pair in rest]
    draft.change(first.key, what, *edits, but=but)


# ---- Flow triggers


def _flow(draft: Draft, root: Part, trigger: Part, owner: Owner) -> None:
    conditions, preconditions = trigger.pair("conditions"), trigger.pair("preconditions")
    if conditions is None and preconditions is None:
        return
    if trigger.pair("dependsOn") is not None:
        draft.cannot(trigger.get("dependsOn") or trigger, "this trigger has dependsOn and conditions", "join them by hand")
        return
    found = list(conditions.value.maps()) if conditions is not None else []
    several = [each for each in found if kind_of(each) == "MultipleCondition"]
    simple = [each for each in found if each not in several]
    groups = len(several) + (preconditions is not None)
    if groups > 1:
        raise Impossible(several[0], "a Flow trigger has one window", "make a trigger of each")
    new: list[tuple[str, Any]] = []
    but: list[tuple[str, str]] = []
    if groups:
        entries, window, but = _multiple(several[0], owner) if several else _preconditions(preconditions)
        new += _beside(trigger, simple, owner)
        mode = "ALL"
    else:
        entries = [Dependency()]
        for condition in simple:
            entries = narrowed(entries, condition, owner)
            if len(entries) > DEPENDENCIES_MAX:
                raise Impossible(condition, "these conditions allow too many combinations", "write dependsOn by hand")
        window, mode = None, "ALL" if len(entries) < 2 else "ANY"
    if not entries:
        new.append(("when", "{{ false }}"))
    elif entries != [Dependency()]:
        new.append(("dependsOn", [each.data() for each in entries]))
    if window:
        new.append(("window", window))
    if mode != "ALL":
        new.append(("mode", mode))
    if len(entries) > 1 and "trigger.outputs." in draft.source.text[root.start : root.end]:
        what = "with several upstream flows their outputs are trigger.outputs.<flowId>.<key> in 2.0"
        but.append((what, "add the id of the flow where trigger.outputs is read"))
    pairs = sorted((pair for pair in (conditions, preconditions) if pair is not None), key=lambda each: each.start)
    old = " and ".join(pair.key.text for pair in pairs)
    what = f"{old} → {', '.join(name for name, _ in new) or 'nothing, as they allowed everything'}"
    _replace(draft, trigger, pairs, new, what=what, but=but)


def _beside(trigger: Part, conditions: Sequence[Part], owner: Owner) -> list[tuple[str, Any]]:
    """Conditions that the execution has to meet before it counts for the window."""
    found: list[tuple[str, Any]] = []
    of_states = [each for each in conditions if kind_of(each) == "ExecutionStatus"] if trigger.pair("states") is None else []
    states: tuple[str, ...] | None = None
    for condition in of_states:
        states = states_of(condition, states)
    if states is not None:
        found.append(("states", list(states)))
    others = [each for each in conditions if each not in of_states]
    return [*found, ("when", all_of(others, owner))] if others else found


def _preconditions(pair: Pair | None) -> tuple[list[Dependency], dict[str, Any] | None, list[tuple[str, str]]]:
    assert pair is not None
    part = pair.value
    entries: list[Dependency] = []
    flows, where = part.get("flows"), part.get("where")
    for each in flows.maps() if flows is not None else ():
        states = each.get("states")
        listed = tuple(state.text for state in states.items) if states is not None else None
        entries.append(Dependency(each.string("namespace"), each.string("flowId"), listed, labels_of(each)))
    entries += [_where(each) for each in (where.maps() if where is not None else ())]
    window, but = _window(part.get("timeWindow"))
    return entries, window, but + _reset(part)


def _reset(part: Part) -> list[tuple[str, str]]:
    if (part.string("resetOnSuccess") or "").lower() == "false":
        return [("resetOnSuccess: false has no equivalent: what was seen is forgotten once it fired", "use mode: ANY to fire on each execution")]
    return []


def _multiple(condition: Part, owner: Owner) -> tuple[list[Dependency], dict[str, Any] | None, list[tuple[str, str]]]:
    """The older form of preconditions: a map of named conditions."""
    inner = condition.get("conditions")
    entries: list[Dependency] = []
    for pair in inner.pairs if inner is not None else ():
        found = narrowed([Dependency()], pair.value, owner)
        if len(found) != 1:
            raise Impossible(pair.value, "a choice among several that must all happen has no equivalent in 2.0", "write dependsOn by hand")
        entries += found
    window, but = _window(condition.get("timeWindow") or (condition if condition.pair("window") else None))
    return entries, window, but + _reset(condition)


def _where(part: Part) -> Dependency:
    """One entry of `where`: filters joined by AND or OR."""
    filters = part.get("filters")
    either = part.string("operand") == "OR"
    entry, terms = Dependency(), []
    for each in filters.maps() if filters is not None else ():
        name, kind, value = each.string("field") or "", each.string("type") or "", each.string("value")
        if not either and kind == "EQUAL_TO" and name in _SIMPLE and value is not None and getattr(entry, _SIMPLE[name]) is None:
            entry = replace(entry, flow_id=value) if name == "FLOW_ID" else replace(entry, namespace=value)
        elif not either and name == "STATE" and entry.states is None and kind in ("EQUAL_TO", "IN"):
            values = each.get("values")
            entry = replace(entry, states=tuple(state.text for state in values.items) if values is not None else (value or "",))
        else:
            terms.append(_filter(each, name, kind, value))
    return replace(entry, when=(joined(terms, "or"),) if either and terms else tuple(terms))


def _filter(part: Part, name: str, kind: str, value: str | None) -> str:
    left = _LEFT.get(name)
    if name == "EXPRESSION":
        left, value = single(value or ""), None if kind.startswith("IS_") else value
        if left is not None and any(word in left for word in ("flow.", "execution.state")):
            left = None
        if left is None or value is not None:  # what it is compared with is the same text
            raise Impossible(part, "what this EXPRESSION says cannot be taken over", "write `when` by hand")
    if left is None:
        raise Impossible(part, "the state of an execution is not known in `when`", "use `states` of an entry of dependsOn")
    values = part.get("values")
    text = quoted(value or "")
    written = {
        "EQUAL_TO": f"{left} == {text}", "NOT_EQUAL_TO": f"{left} != {text}", "STARTS_WITH": f"{left} | startsWith({text})",
        "ENDS_WITH": f"{left} | endsWith({text})", "CONTAINS": f"{left} contains {text}", "IS_NULL": f"{left} is null",
        "REGEX": f"{left} | regexMatch({text})", "IS_NOT_NULL": f"{left} is not null", "IS_TRUE": f"{left} == true", "IS_FALSE": f"{left} == false",
    }
    if kind in ("IN", "NOT_IN"):
        listed = "[" + ", ".join(quoted(each.text) for each in (values.items if values is not None else [])) + "]"
        return f"{'not ' if kind == 'NOT_IN' else ''}({left} isIn {listed})"
    if kind not in written:
        raise Impossible(part, f"the filter type {kind} is not known", "write `when` by hand")
    return written[kind]


def _window(part: Part | None) -> tuple[dict[str, Any] | None, list[tuple[str, str]]]:
    """timeWindow → window."""
    if part is None:
        return None, []
    kind = part.string("type") if part.string("type") in ("SLIDING_WINDOW", "DAILY_TIME_DEADLINE", "DAILY_TIME_WINDOW") else "DURATION_WINDOW"
    size, advance = part.string("window"), part.string("windowAdvance")
    if kind == "SLIDING_WINDOW":
        return {"lookback": size or "P1D"}, []
    if kind == "DURATION_WINDOW":
        window = {"every": size or "P1D"} if size or advance else None
        if not advance:
            return window, []
        todo = "check when the window begins: offset counts from midnight"
        if window is None or advance.startswith("-") or "-" in advance:
            return window, [("a negative windowAdvance has no equivalent", todo)]
        return {**window, "offset": advance}, [("windowAdvance has no exact equivalent; it became offset", todo)]
    names = {"deadline": "deadline"} if kind == "DAILY_TIME_DEADLINE" else {"startTime": "from", "endTime": "to"}
    found: dict[str, Any] = {}
    zones: set[str] = set()
    for old, new in names.items():
        value = part.get(old)
        if value is None:
            raise Impossible(part, f"the time window has no {old}", f"add {old}")
        found[new], zone = clock(value)
        zones.add(zone)
    if len(zones) > 1:
        raise Impossible(part, "the times of this window have different offsets", "write both in one zone")
    zone = zones.pop()
    return {**found, "timezone": zone} if zone else found, []
