"""jq functions that give several results, take expressions, or keep paths: natives of the machine."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from podium.expressions.jq import values
from podium.expressions.jq.bindings import Closure, Env
from podium.expressions.jq.evaluate import Break, Machine, Results, extended, no_path
from podium.expressions.jq.values import JqError, true
from podium.expressions.runtime import Fault

Native = Callable[[Machine, tuple[Closure, ...], Env | None, Any, Any], Results]


def _empty(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    yield from ()


def _error(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    for found in machine.results(args[0], value):
        raise JqError(found)
    yield from ()


def _recurse(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    """`..`: the value and everything in it."""
    yield value, path
    if isinstance(value, (list, dict)):
        for key, item in values.iterate(value):
            machine.meter.spend(1)
            yield from _recurse(machine, args, env, item, extended(path, key, value))


def _recurse_by(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    """`recurse(f)`, depth first, with a stack of its own."""
    step = args[0]
    stack: list[Iterator[tuple[Any, Any]]] = [iter([(value, path)])]
    while stack:
        following = next(stack[-1], None)
        if following is None:
            stack.pop()
            continue
        yield following
        machine.meter.spend(1)
        stack.append(machine.run(step.node, step.env, following[0], following[1]))


def _path(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    for found in machine.paths(args[0], value):
        yield list(found), no_path(path)


def _getpath(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    for keys in machine.results(args[0], value):
        if not isinstance(keys, list):
            raise JqError("Path must be specified as an array")
        at = path
        for key in keys:
            at = extended(at, key, value)
        try:
            found = values.get_path(value, keys, machine.meter)
        except JqError:
            if path is None:
                raise
            found = None
        yield found, at


def _range(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    starts = [0] if len(args) == 1 else machine.results(args[0], value)
    for start in starts:
        for end in machine.results(args[0 if len(args) == 1 else 1], value):
            for step in machine.results(args[2], value) if len(args) == 3 else [1]:
                for number in _numbers(machine, start, end, step):
                    yield number, no_path(path)


def _numbers(machine: Machine, start: Any, end: Any, step: Any) -> Iterator[Any]:
    if any(values.kind(each) != "number" for each in (start, end, step)):
        raise JqError("Range bounds must be numeric")
    current = start
    while (step > 0 and current < end) or (step < 0 and current > end) or (step == 0 and current < end):
        machine.meter.spend(1)
        yield values.number(current)
        current += step


def _first(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    for found in machine.run(args[0].node, args[0].env, value, path):
        yield found
        return


def _last(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    yield from deque(machine.run(args[0].node, args[0].env, value, path), maxlen=1)


def _limit(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    for count in machine.results(args[0], value):
        left = math.ceil(count) if values.kind(count) == "number" and math.isfinite(count) else 0
        if left <= 0:
            continue
        for found in machine.run(args[1].node, args[1].env, value, path):
            yield found
            left -= 1
            if not left:
                break


def _skip(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    for count in machine.results(args[0], value):
        for at, found in enumerate(machine.run(args[1].node, args[1].env, value, path)):
            if at >= count:
                yield found


def _holds(machine: Machine, condition: Closure, value: Any) -> bool:
    return any(true(found) for found in machine.results(condition, value))


def _until(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    condition, step = args
    stack: list[Iterator[tuple[Any, Any]]] = [iter([(value, path)])]
    while stack:
        following = next(stack[-1], None)
        if following is None:
            stack.pop()
            continue
        machine.meter.spend(1)
        if _holds(machine, condition, following[0]):
            yield following
            continue
        results = list(machine.run(step.node, step.env, following[0], following[1]))
        if len(results) == 1 and len(stack) > 1:
            stack[-1] = iter(results)
        else:
            stack.append(iter(results))


def _while(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    condition, step = args
    pending: list[tuple[Any, Any]] = [(value, path)]
    while pending:
        current = pending.pop()
        machine.meter.spend(1)
        if _holds(machine, condition, current[0]):
            yield current
            pending.extend(reversed(list(machine.run(step.node, step.env, current[0], current[1]))))


def _repeat(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    pending: list[tuple[Any, Any]] = [(value, path)]
    while pending:
        current = pending.pop()
        machine.meter.spend(1)
        yield current
        pending.extend(reversed(list(machine.run(args[0].node, args[0].env, current[0], current[1]))))


def _any_all(*, wanted: bool) -> Native:
    """`any` stops at a true result, `all` at a false one. With one argument it goes over the items."""

    def native(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
        if len(args) == 2:
            items: Iterator[Any] = machine.results(args[0], value)
        else:
            items = (item for _, item in values.iterate(value))
        found = not wanted
        for item in items:
            machine.meter.spend(1)
            results = machine.results(args[-1], item) if args else iter([item])
            if any(true(result) is wanted for result in results):
                found = wanted
                break
        yield found, no_path(path)

    return native


def _keyed(choose: Callable[[Machine, list[tuple[Any, Any]]], Any]) -> Native:
    """A function on the items of an array, each with the key that the argument gives for it."""

    def native(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
        if not isinstance(value, list):
            raise JqError(f"Cannot sort {values.shown(value)}, as it is not an array" if value is not None else "Cannot iterate over null")
        pairs = [(values.rank(list(machine.results(args[0], item)) if args else item, machine.meter), item) for item in value]
        yield choose(machine, pairs), no_path(path)

    return native


def _in_order(machine: Machine, pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    return sorted(pairs, key=lambda pair: pair[0])


def _sort(machine: Machine, pairs: list[tuple[Any, Any]]) -> Any:
    return [item for _, item in _in_order(machine, pairs)]


def _groups(machine: Machine, pairs: list[tuple[Any, Any]]) -> list[list[Any]]:
    groups: list[tuple[Any, list[Any]]] = []
    for key, item in _in_order(machine, pairs):
        if groups and groups[-1][0] == key:
            groups[-1][1].append(item)
        else:
            groups.append((key, [item]))
    return [items for _, items in groups]


def _unique(machine: Machine, pairs: list[tuple[Any, Any]]) -> Any:
    return [group[0] for group in _groups(machine, pairs)]


def _least(machine: Machine, pairs: list[tuple[Any, Any]]) -> Any:
    return min(pairs, key=lambda pair: pair[0])[1] if pairs else None


def _greatest(machine: Machine, pairs: list[tuple[Any, Any]]) -> Any:
    return max(reversed(pairs), key=lambda pair: pair[0])[1] if pairs else None


def _input(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    raise JqError("No more inputs")
    yield  # a generator like all others


def _now(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    raise Fault("jq: now is not available", hint="use the function now() of expressions")
    yield  # a generator like all others


def _halt(machine: Machine, args: tuple[Closure, ...], env: Env | None, value: Any, path: Any) -> Results:
    raise Break(None)
    yield  # a generator like all others


STREAMS: Mapping[tuple[str, int], Native] = {
    ("empty", 0): _empty,
    ("error", 1): _error,
    ("recurse", 0): _recurse,
    ("recurse", 1): _recurse_by,
    ("path", 1): _path,
    ("getpath", 1): _getpath,
    ("range", 1): _range,
    ("range", 2): _range,
    ("range", 3): _range,
    ("first", 1): _first,
    ("last", 1): _last,
    ("limit", 2): _limit,
    ("skip", 2): _skip,
    ("until", 2): _until,
    ("while", 2): _while,
    ("repeat", 1): _repeat,
    ("any", 0): _any_all(wanted=True),
    ("any", 1): _any_all(wanted=True),
    ("any", 2): _any_all(wanted=True),
    ("all", 0): _any_all(wanted=False),
    ("all", 1): _any_all(wanted=False),
    ("all", 2): _any_all(wanted=False),
    ("sort", 0): _keyed(_sort),
    ("sort_by", 1): _keyed(_sort),
    ("group_by", 1): _keyed(_groups),
    ("unique", 0): _keyed(_unique),
    ("unique_by", 1): _keyed(_unique),
    ("min", 0): _keyed(_least),
    ("min_by", 1): _keyed(_least),
    ("max", 0): _keyed(_greatest),
    ("max_by", 1): _keyed(_greatest),
    ("input", 0): _input,
    ("now", 0): _now,
    ("halt", 0): _halt,
}
"""By name and number of arguments."""
