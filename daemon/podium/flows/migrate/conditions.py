"""Conditions of triggers as expressions, and as dependencies of a Flow trigger. Source: flow-language 7.7, flow-language-2 5.1, 5.2 and 7.

`Not` means that none of its conditions holds, as it does in 1.x, so it becomes `not (a or b)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from podium.expressions.tokens import Token, code_tokens
from podium.flows.migrate.text.source import Part
from podium.flows.models.base import STATES, TERMINAL
from podium.flows.reading.yaml import scalar_value

_TIME = re.compile(r"(\d\d:\d\d)(:\d\d)?(?:\.0+)?(Z|[+-]\d\d:?\d\d)?")
_JOINING = frozenset({"and", "or", "?"})
_DECIDING = frozenset({"==", "!=", "<", ">", "<=", ">=", "equals", "is", "contains", "isIn", "not", *_JOINING})
_YES_NO = frozenset({"isWeekend", "isPublicHoliday", "isDayWeekInMonth", "isLastWorkingDay", "isDateBetween", "isDateAfter", "isDateBefore"})
_YES_NO_FILTERS = frozenset({"startsWith", "endsWith", "regexMatch"})
DEPENDENCIES_MAX = 20
"""The longest dependsOn that is written for conditions with choices."""


class Impossible(Exception):
    """A condition that cannot be written in 2.0: which, why, and what to do."""

    def __init__(self, part: Part, what: str, todo: str) -> None:
        super().__init__(what)
        self.part, self.what, self.todo = part, what, todo


@dataclass(frozen=True, slots=True)
class Owner:
    """The flow that has the trigger, and whether the trigger looks at executions of other flows."""

    flow_id: str
    namespace: str
    upstream: bool


def plain(part: Part) -> Any:
    """A part as data."""
    if part.kind == "map":
        return {pair.key.text: plain(pair.value) for pair in part.pairs}
    if part.kind == "list":
        return [plain(each) for each in part.items]
    return part.text if part.style else scalar_value(part.text)


def quoted(text: str) -> str:
    """A text as an expression."""
    return "'" + text.replace("'", "\\'") + "'"


def single(text: str) -> str | None:
    """The expression of a text that is nothing but `{{ expression }}`."""
    stripped = text.strip()
    tokens = code_tokens(stripped)
    if len(tokens) < 3 or tokens[0].value != "{{" or tokens[0].at or tokens[-1].end != len(stripped):
        return None
    return None if any(each.kind in ("open", "close") for each in tokens[1:-1]) else stripped[2:-2].strip(" -\n\t")


def top(expression: str) -> Iterator[Token]:
    """The tokens of an expression that are in no bracket."""
    depth = 0
    for token in code_tokens(f"{{{{ {expression} }}}}")[1:-1]:
        depth -= token.kind == "sign" and token.value in (")", "]", "}")
        if depth == 0:
            yield token
        depth += token.kind == "sign" and token.value in ("(", "[", "{")


def decides(expression: str) -> bool:
    """Whether the value is certainly true or false, so that it may stand beside `and`."""
    tokens = list(top(expression))
    if any(each.kind == "sign" and each.value in _DECIDING for each in tokens):
        return True
    if expression in ("true", "false") or (tokens and tokens[0].value in _YES_NO):
        return True
    return any(each.kind == "name" and each.value in _YES_NO_FILTERS for each in tokens)


def joined(expressions: Sequence[str], word: str) -> str:
    """`a and b`, with parentheses where they are needed."""
    if len(expressions) == 1:
        return expressions[0]
    loose = [any(each.kind == "sign" and each.value in _JOINING for each in top(expression)) for expression in expressions]
    return f" {word} ".join(f"({each})" if wrap else each for each, wrap in zip(expressions, loose, strict=True))


def kind_of(condition: Part) -> str:
    """The last name of its type, like `DayWeek`, whatever name it is known by."""
    last = (condition.string("type") or "").rpartition(".")[2]
    if last == "VariableCondition":
        return "Expression"
    return last if last in ("FlowCondition", "FlowNamespaceCondition", "MultipleCondition") else last.removesuffix("Condition")


def expression_of(condition: Part, owner: Owner) -> str:
    """A condition as an expression. Raises Impossible."""
    if condition.kind != "map":
        raise Impossible(condition, "this is no condition", "write a condition with a type")
    kind = kind_of(condition)
    inner = condition.get("conditions")
    match kind:
        case "Not" | "Or" if inner is not None:
            found = [expression_of(each, owner) for each in inner.items]
            _all_decide(inner, found)
            either = joined(found, "or") or "false"
            return f"not ({either})" if kind == "Not" else either
        case "Weekend":
            return f"isWeekend({_date(condition)})"
        case "DayWeek":
            return f"dayOfWeek({_date(condition)}) == {_argument(condition, 'dayOfWeek')}"
        case "DayWeekInMonth":
            return f"isDayWeekInMonth({_date(condition)}, {_argument(condition, 'dayOfWeek')}, {_argument(condition, 'dayInMonth')})"
        case "PublicHoliday":
            division = f", {_argument(condition, 'subDivision')}" if condition.string("subDivision") else ""
            return f"isPublicHoliday({_date(condition)}, {_argument(condition, 'country')}{division})"
        case "DateTimeBetween":
            return _between(condition, lambda _name: f"{_date(condition)} | timestamp", lambda part, name: f"{_argument(part, name)} | timestamp")
        case "TimeBetween":
            return _time_between(condition)
        case "Expression" | "ExecutionOutputs":
            return _own_expression(condition, owner)
        case "FlowCondition":
            same = condition.string("flowId") == owner.flow_id and condition.string("namespace") == owner.namespace
            return str(same).lower()
        case "FlowNamespaceCondition":
            namespace = condition.string("namespace") or ""
            prefix = (condition.string("prefix") or "").lower() == "true"
            return str(owner.namespace.startswith(namespace) if prefix else owner.namespace == namespace).lower()
        case _ if owner.upstream:
            return _of_execution(condition, kind)
        case _:
            todo = "leave it out, or use a Flow trigger"
            raise Impossible(condition, f"the condition {kind} looks at an execution, and this trigger has none", todo)


def _all_decide(part: Part, expressions: Sequence[str]) -> None:
    for each in expressions:
        if not decides(each):
            raise Impossible(part, f"`{each}` is text, and what it counts as beside others cannot be known", "compare it: … == 'true'")


def all_of(conditions: Sequence[Part], owner: Owner) -> str:
    """All conditions as the text of `when`. Raises Impossible."""
    if len(conditions) == 1 and kind_of(conditions[0]) in ("Expression", "ExecutionOutputs"):
        text = conditions[0].string("expression") or ""
        return text if not owner.upstream else _upstream_words(text)
    found = [expression_of(each, owner) for each in conditions]
    if len(found) > 1:
        for condition, each in zip(conditions, found, strict=True):
            _all_decide(condition, [each])
    return f"{{{{ {joined(found, 'and')} }}}}"


def _date(condition: Part) -> str:
    return _argument(condition, "date") if condition.string("date") is not None else "trigger.date"


def _argument(condition: Part, name: str) -> str:
    """A property as an argument: a text, or what its expression says."""
    text = condition.string(name)
    if text is None:
        raise Impossible(condition, f"the condition has no '{name}'", f"add {name}")
    if "{{" not in text and "{%" not in text:
        return quoted(text)
    inner = single(text)
    if inner is None:
        raise Impossible(condition, f"'{name}' is more than one expression", "write `when` by hand")
    return inner


def _between(condition: Part, left: Any, right: Any) -> str:
    found = [
        f"{left(name)} {sign} {right(condition, name)}" for name, sign in (("after", ">"), ("before", "<")) if condition.string(name) is not None
    ]
    if not found:
        raise Impossible(condition, "the condition has neither 'after' nor 'before'", "add one of them")
    return " and ".join(found)


def _time_between(condition: Part) -> str:
    """Times of day as text, in the offset of the limit: 2.0 compares texts by their letters."""

    def of_day(name: str) -> str:
        return f"{_date(condition)} | date('HH:mm:ss', timeZone={quoted(_clock(condition, name)[1])})"

    return _between(condition, of_day, lambda part, name: quoted(_clock(part, name)[0]))


def _clock(condition: Part, name: str) -> tuple[str, str]:
    time, zone = clock(condition.get(name) or condition)
    if not zone:
        raise Impossible(condition, f"'{name}' has no offset, so its zone cannot be known", "add it, like 08:00:00Z")
    return time, zone


def clock(part: Part) -> tuple[str, str]:
    """A time of day as HH:mm:ss and its zone, empty when it has none. Raises Impossible."""
    match = _TIME.fullmatch(part.text)
    if match is None:
        raise Impossible(part, f"'{part.text}' is no time of whole seconds", "write `when` by hand")
    zone = match[3] or ""
    return match[1] + (match[2] or ":00"), "UTC" if zone in ("Z", "+00:00") else zone


def _own_expression(condition: Part, owner: Owner) -> str:
    text = condition.string("expression") or ""
    inner = single(text)
    if inner is None:
        if "{{" not in text and "{%" not in text:
            return "false" if text.strip() in ("", "false") else "true"
        raise Impossible(condition, "this is more than one expression, and cannot be joined with others", "write `when` by hand")
    return _upstream_words(f"{{{{ {inner} }}}}")[3:-3] if owner.upstream else inner


def _upstream_words(text: str) -> str:
    """`trigger.outputs` is `execution.outputs` in the `when` of a Flow trigger."""
    tokens = code_tokens(text)
    for index in range(len(tokens) - 3, -1, -1):
        if [each.value for each in tokens[index : index + 3]] == ["trigger", ".", "outputs"] and (not index or tokens[index - 1].value != "."):
            text = text[: tokens[index].at] + "execution" + text[tokens[index].end :]
    return text


def _of_execution(condition: Part, kind: str) -> str:
    match kind:
        case "ExecutionFlow":
            return f"flow.id == {_argument(condition, 'flowId')} and flow.namespace == {_argument(condition, 'namespace')}"
        case "ExecutionNamespace":
            namespace, how = _argument(condition, "namespace"), comparison(condition)
            if how == "EQUALS":
                return f"flow.namespace == {namespace}"
            return f"flow.namespace | {'startsWith' if how == 'PREFIX' else 'endsWith'}({namespace})"
        case "ExecutionLabels":
            found = [f"(labels[{quoted(key)}] ?? '') == {quoted(str(value))}" for key, value in labels_of(condition).items()]
            return joined(found, "and")
        case "ExecutionStatus":
            raise Impossible(condition, "the state of an execution is not known in `when`", "use `states` of an entry of dependsOn")
        case _:
            raise Impossible(condition, f"the condition {kind} has no equivalent in 2.0", "decide in the flow's first task with runIf")


def comparison(condition: Part) -> str:
    """EQUALS, PREFIX or SUFFIX of an ExecutionNamespace."""
    return condition.string("comparison") or ("PREFIX" if (condition.string("prefix") or "").lower() == "true" else "EQUALS")


def labels_of(part: Part) -> dict[str, Any]:
    """The labels of a condition or a precondition, as a map."""
    labels = part.get("labels")
    if labels is None:
        return {}
    if labels.kind == "map":
        return {pair.key.text: plain(pair.value) for pair in labels.pairs}
    return {each.string("key") or "": plain(value) for each in labels.maps() if (value := each.get("value")) is not None}


# ---- dependencies


@dataclass(frozen=True, slots=True)
class Dependency:
    """An entry of dependsOn."""

    namespace: str | None = None
    flow_id: str | None = None
    states: tuple[str, ...] | None = None
    labels: dict[str, Any] = field(default_factory=dict)
    when: tuple[str, ...] = ()

    def data(self) -> dict[str, Any]:
        """As it is written."""
        when = self.when[0] if len(self.when) == 1 and "{{" in self.when[0] else f"{{{{ {joined(self.when, 'and')} }}}}" if self.when else None
        pairs = {"namespace": self.namespace, "flowId": self.flow_id, "states": list(self.states) if self.states is not None else None}
        return {name: value for name, value in {**pairs, "labels": self.labels or None, "when": when}.items() if value is not None}


def narrowed(entries: Sequence[Dependency], condition: Part, owner: Owner) -> list[Dependency]:
    """The entries, each with one more condition; an Or makes one of each choice. Raises Impossible."""
    kind = kind_of(condition)
    inner = condition.get("conditions")
    if kind == "Or" and inner is not None:
        choices = [narrowed(entries, each, owner) for each in inner.maps()]
        return [each for choice in choices for each in choice]
    return [_with(each, condition, kind, owner) for each in entries]


def _with(entry: Dependency, condition: Part, kind: str, owner: Owner) -> Dependency:
    match kind:
        case "ExecutionFlow" if entry.namespace is None and entry.flow_id is None and _static(condition, "namespace", "flowId"):
            return replace(entry, namespace=condition.string("namespace"), flow_id=condition.string("flowId"))
        case "ExecutionNamespace" if entry.namespace is None and comparison(condition) == "EQUALS" and _static(condition, "namespace"):
            return replace(entry, namespace=condition.string("namespace"))
        case "ExecutionStatus":
            return replace(entry, states=states_of(condition, entry.states))
        case "ExecutionLabels" if not set(entry.labels) & set(labels_of(condition)):
            return replace(entry, labels={**entry.labels, **labels_of(condition)})
        case _:
            expression = expression_of(condition, owner)
            if expression == "true":
                return entry
            _all_decide(condition, [expression])
            return replace(entry, when=(*entry.when, expression))


def _static(condition: Part, *names: str) -> bool:
    return all("{{" not in (condition.string(name) or "") for name in names)


def states_of(condition: Part, already: tuple[str, ...] | None) -> tuple[str, ...]:
    """The states that an ExecutionStatus allows, of those that are allowed `already`."""
    wanted, unwanted = condition.get("in"), condition.get("notIn")
    usual = [each for each in STATES if each in TERMINAL or each == "PAUSED"]
    found = [each.text.replace("CANCELED", "CANCELLED") for each in wanted.items] if wanted is not None else list(already or usual)
    without = {each.text.replace("CANCELED", "CANCELLED") for each in unwanted.items} if unwanted is not None else set()
    return tuple(each for each in found if each not in without and (already is None or each in already))
