"""The expressions that the engine needs evaluated, and how their results become values. Pure: rendering itself is done by the caller.

A key is `<run id>:<purpose>`, or `:<purpose>` for the execution. Purposes: runIf, if, switch, values, pause, subflow, timer, loop,
outputs, sla:<place in the flow>, listener:<place in the flow> (its conditions are not text: rendering/conditions knows them).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from podium.base.durations import parse_duration
from podium.engine.state import Execution, TaskRun
from podium.engine.tree import FlowTree
from podium.expressions.compile import truthy
from podium.expressions.text import java_text, to_json
from podium.flows.inputs import resolve_inputs
from podium.flows.model import EachParallel, EachSequential, ForEach, If, LoopUntil, Pause, Subflow, Switch, Task

Finish = Callable[[Any], Any]
LOOP_INTERVAL_S = 1.0
"""LoopUntil without an interval: the documented second of 1.x (newer versions say a minute; docs/compatibility.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to render, over the variables of `run` (None: of the execution). typed: keep the type of a lone expression.

    finish: rendered → the answer; raises ValueError with a message for the log. optional: keys of a map whose failure drops only them.
    """

    run: TaskRun | None
    template: Any
    finish: Finish
    typed: bool = False
    optional: frozenset[str] = field(default_factory=frozenset)


def question(tree: FlowTree, state: Execution, key: str) -> Question | None:
    """The question behind `key`; None when its run or task is gone."""
    run_id, _, purpose = key.partition(":")
    if not run_id:
        return _of_execution(tree, purpose)
    run = state.runs.get(run_id)
    task = tree.task(run.task_id) if run else None
    if run is None or task is None:
        return None
    if purpose == "runIf":
        return Question(run=run, template=task.run_if, finish=truthy)
    return _of_task(run, task)


def _of_execution(tree: FlowTree, purpose: str) -> Question | None:
    if purpose == "outputs":
        return Question(
            run=None, template={each.id: each.value for each in tree.flow.outputs}, finish=dict, typed=True,
            optional=frozenset(each.id for each in tree.flow.outputs if not each.required),
        )
    if purpose.startswith("listener:"):
        index = int(purpose.removeprefix("listener:"))
        conditions = [each.model_dump(mode="json", by_alias=True) for each in tree.flow.listeners[index].conditions]
        return Question(run=None, template=conditions, finish=bool)
    sla = next((each for index, each in enumerate(tree.flow.sla) if purpose == f"sla:{index}"), None)
    return Question(run=None, template=sla.assert_ or "true", finish=truthy) if sla else None


def _of_task(run: TaskRun, task: Task) -> Question | None:
    match task:
        case If():
            return Question(run=run, template=task.condition, finish=truthy)
        case Switch():
            return Question(run=run, template=task.value, finish=lambda text: "" if text is None else str(text))
        case ForEach():
            return Question(run=run, template=task.values, finish=_values_of(task.values))
        case EachSequential() | EachParallel():
            return Question(run=run, template=task.value, finish=_values_of(task.value))
        case Pause():
            delay = task.pause_duration if task.pause_duration is not None else task.delay
            defaults = {each.id: each.defaults for each in task.on_resume if getattr(each, "defaults", None) is not None}
            return Question(run=run, finish=lambda rendered: _pause(task, rendered), template={
                "delay": _plain(delay), "timeout": _plain(task.timeout), "behavior": _plain(task.behavior), "defaults": defaults,
            })
        case LoopUntil():
            often = task.check_frequency
            return Question(run=run, finish=_loop, template={
                "condition": task.condition, "failOnMaxReached": _plain(task.fail_on_max_reached), "interval": _plain(often.interval),
                "maxIterations": _plain(often.max_iterations), "maxDuration": _plain(often.max_duration),
            })
        case Subflow():
            return Question(run=run, finish=_subflow, template={
                "namespace": task.namespace, "flowId": task.flow_id, "revision": task.revision, "inputs": task.inputs,
                "labels": task.labels, "inheritLabels": _plain(task.inherit_labels), "wait": _plain(task.wait),
                "transmitFailed": _plain(task.transmit_failed), "scheduleDate": task.schedule_date,
            })
        case _ if task.KIND == "timer":
            return Question(run=run, template={"duration": _plain(getattr(task, "duration", None))}, finish=_timer)
        case _:
            return None


def _plain(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


def _seconds(value: Any) -> float | None:
    """Seconds of a rendered duration; None when there is none."""
    if value is None or value == "":
        return None
    return parse_duration(value).total_seconds()


def _flag(value: Any) -> bool:
    return value if isinstance(value, bool) else truthy(str(value))


def _timer(rendered: Any) -> float:
    seconds = _seconds(rendered["duration"])
    if seconds is None:
        raise ValueError("the duration is empty: write one like PT10S")
    return max(seconds, 0.0)


def _pause(task: Pause, rendered: Any) -> dict[str, Any]:
    behavior = rendered["behavior"] or "RESUME"
    if behavior not in ("RESUME", "WARN", "FAIL", "CANCEL"):
        raise ValueError(f"behavior is '{behavior}', not one of RESUME, WARN, FAIL, CANCEL")
    values, _ = resolve_inputs(task.on_resume, rendered["defaults"], lambda value, _: value)
    return {"delay": _seconds(rendered["delay"]), "timeout": _seconds(rendered["timeout"]), "behavior": behavior, "defaults": values}


def _loop(rendered: Any) -> dict[str, Any]:
    iterations = rendered["maxIterations"]
    interval = _seconds(rendered["interval"])
    return {
        "condition": truthy(rendered["condition"]), "failOnMaxReached": _flag(rendered["failOnMaxReached"]),
        "interval": LOOP_INTERVAL_S if interval is None else max(interval, 0.0),
        "maxIterations": None if iterations in (None, "") else int(iterations), "maxDuration": _seconds(rendered["maxDuration"]),
    }


def parse_moment(value: Any) -> datetime:
    """An aware moment from ISO text with an offset. Raises ValueError."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        raise ValueError(f"the date '{value}' has no offset: write one like 2026-01-31T08:00:00Z")
    return moment


def _subflow(rendered: Any) -> dict[str, Any]:
    if rendered["scheduleDate"] in (None, ""):
        rendered = {**rendered, "scheduleDate": None}
    else:
        rendered = {**rendered, "scheduleDate": parse_moment(rendered["scheduleDate"]).isoformat()}
    return {**rendered, "inheritLabels": _flag(rendered["inheritLabels"]), "wait": _flag(rendered["wait"]),
            "transmitFailed": _flag(rendered["transmitFailed"])}


def _values_of(written: Any) -> Finish:
    """Values of a loop from what was rendered: text holds a JSON array. Source: flow-language 5.6."""

    def finish(rendered: Any) -> list[str]:
        items = _parsed(rendered) if isinstance(written, str) else list(rendered)
        missing = sum(1 for item in items if item is None)
        if missing:
            raise ValueError(f"Found '{missing}' null values on Each, with values={java_text(items)}")
        if not isinstance(written, str):
            for item in items:
                if isinstance(item, bool) or not isinstance(item, (str, int, float, Mapping)):
                    raise ValueError(f"Unknown value element type: {type(item).__name__}")
        texts = [item if isinstance(item, str) else to_json(item) for item in items]
        return list(dict.fromkeys(texts))

    return finish


def _parsed(rendered: Any) -> Sequence[Any]:
    if isinstance(rendered, str):
        try:
            rendered = json.loads(rendered)
        except ValueError as exc:
            raise ValueError(f"the values are not a JSON array: {rendered[:200]!r}") from exc
    if isinstance(rendered, Mapping) or not isinstance(rendered, Sequence):
        raise ValueError(f"the values are not an array: {java_text(rendered)[:200]}")
    return rendered
