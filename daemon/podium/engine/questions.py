"""The expressions that the engine needs evaluated, and how their results become values. Pure: rendering itself is done by the caller.

A key is `<run id>:<purpose>`, or `:<purpose>` for the execution. Purposes: runIf, if, switch, values, pause, subflow, timer, loop,
template, approval, items, item:<index>, break:<index>, outputs,
sla:<place in the flow>, listener:<place in the flow> (its conditions are not text: rendering/conditions knows them).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from podium.base.durations import parse_duration
from podium.base.limits import LAUNCHED_BYTES_MAX, LAUNCHED_ITEMS_MAX, TASK_RUNS_MAX
from podium.engine.decide.kinds.many import loop_of
from podium.engine.state import Execution, TaskRun
from podium.engine.tree import FlowTree
from podium.expressions.compile import truthy
from podium.expressions.text import java_text, to_json
from podium.flows.inputs import resolve_inputs
from podium.flows.model import (
    Approval,
    BatchSubflows,
    EachParallel,
    EachSequential,
    ForEach,
    If,
    Launcher,
    Loop,
    LoopUntil,
    Pause,
    Subflow,
    Switch,
    Task,
    Template,
)

Finish = Callable[[Any], Any]
LOOP_INTERVAL_S = 1.0
"""LoopUntil without an interval: the documented second of 1.x (newer versions say a minute; docs/compatibility.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to render, over the variables of `run` (None: of the execution). typed: keep the type of a lone expression.

    finish: rendered → the answer; raises ValueError with a message for the log. optional: keys of a map whose failure drops only them.
    extra: maps laid over the variables of the same names. lines: what to do with the `values` of the rendered map when they are the URI
    of a stored file: read its lines as they are, or as Ion values.
    """

    run: TaskRun | None
    template: Any
    finish: Finish
    typed: bool = False
    optional: frozenset[str] = field(default_factory=frozenset)
    extra: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lines: Literal["", "text", "ion"] = ""


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
    if isinstance(task, Launcher):
        return _of_launcher(state, run, task, purpose)
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
        case Template():
            return Question(run=run, template=task.args, finish=_arguments)
        case Subflow():
            return Question(run=run, finish=_subflow, template=_request_of(task))
        case Approval():
            defaults = {each.id: each.defaults for each in task.inputs if getattr(each, "defaults", None) is not None}
            return Question(run=run, finish=_approval, template={
                "auto": _plain(task.auto_approve), "comment": _plain(task.comment_required), "approve": _plain(task.approve_behavior),
                "deny": _plain(task.deny_behavior), "expire": _plain(task.expire_behavior), "timeout": _plain(task.timeout),
                "buttons": {"approve": task.decisions.approve, "deny": task.decisions.deny}, "defaults": defaults,
            })
        case _ if task.KIND == "timer":
            return Question(run=run, finish=_timer, template={
                "duration": _plain(getattr(task, "duration", None)), "timeout": _plain(task.timeout),
            })
        case _:
            return None


def _arguments(rendered: Any) -> dict[str, Any]:
    """The args of a template: text, but for lists and maps."""
    return {name: java_text(value) if isinstance(value, (bool, int, float)) else value for name, value in rendered.items()}


def _request_of(task: Subflow | BatchSubflows) -> dict[str, Any]:
    return {
        "namespace": task.namespace, "flowId": task.flow_id, "revision": task.revision, "inputs": task.inputs,
        "labels": task.labels, "inheritLabels": _plain(task.inherit_labels), "wait": _plain(task.wait),
        "transmitFailed": _plain(task.transmit_failed), "scheduleDate": task.schedule_date,
    }


def _of_launcher(state: Execution, run: TaskRun, task: Launcher, purpose: str) -> Question | None:
    kind, _, number = purpose.partition(":")
    if kind == "item" and isinstance(task, BatchSubflows):
        index = int(number)
        return Question(
            run=run, template=_request_of(task), finish=_subflow,
            extra={"taskrun": {"items": run.notes["values"][index], "iteration": index}},
        )
    if kind == "break" and isinstance(task, Loop):
        index = int(number)
        loop = loop_of(state, run, index)
        execution_id, ended = run.notes.get(f"ended:{index}") or ("", "")
        iteration = {"executionId": execution_id, "state": ended, "outputs": run.notes.get(f"out:{index}", {})}
        return Question(run=run, template=task.break_when, finish=truthy, extra={"item": loop_item(loop), "iteration": iteration})
    known = "values" in run.notes
    if isinstance(task, BatchSubflows):
        split = f"{run.task_id.removesuffix('_items')}_split"
        made = [each for each in state.children(run.parent_id) if each.task_id == split]
        written: Any = None if known else made[-1].outputs.get("splits") if made else ""
        template = {"wait": _plain(task.wait), "transmit": _plain(task.transmit_failed), "values": written}
        return Question(run=run, template=template, finish=lambda rendered: _items(rendered, []), lines="" if known else "text")
    assert isinstance(task, Loop)
    written = None if known else task.values
    template = {"wait": True, "transmit": task.transmit_failed, "store": task.fetch_type, "values": written}
    return Question(
        run=run, template=template, finish=lambda rendered: _items(rendered, written), typed=not isinstance(written, str),
        lines="" if known else "ion",
    )


class StoredLines(list[str]):
    """The values that were read from a stored file."""


def _items(rendered: Any, written: Any) -> dict[str, Any]:
    """Values (and keys) of a Launcher's items. Source: flow-language-2 3."""
    values, keys = rendered["values"], None
    answer = {name: value for name, value in rendered.items() if name != "values"}
    answer.update(wait=_flag(rendered["wait"]), transmit=_flag(rendered["transmit"]))
    if "store" in rendered:
        answer["store"] = rendered["store"] == "STORE" or (rendered["store"] == "AUTO" and isinstance(values, StoredLines))
    if values is None:
        return answer
    if isinstance(values, StoredLines):
        texts: list[str] = list(values)
    else:
        texts, keys = _loop_values(values, written)
    if len(texts) > LAUNCHED_ITEMS_MAX:
        raise ValueError(f"{len(texts)} items are over the limit of {LAUNCHED_ITEMS_MAX} (LAUNCHED_ITEMS_MAX): make larger batches")
    if sum(map(len, texts)) > LAUNCHED_BYTES_MAX:
        raise ValueError(too_large())
    return {**answer, "values": texts, "keys": keys}


def too_large() -> str:
    """The message for items that are too much together."""
    return f"the items are over the limit of {LAUNCHED_BYTES_MAX} bytes together (LAUNCHED_BYTES_MAX): give URIs of files, or ids, as items"


def _loop_values(rendered: Any, written: Any) -> tuple[list[str], list[str] | None]:
    if isinstance(written, str):
        given, rendered = rendered, _json_of(rendered)
        if isinstance(rendered, (str, bytes)) or not isinstance(rendered, (Mapping, Sequence)):
            raise ValueError(f"The values must be a list, a map, or an expression that renders to one, but got: '{java_text(given)[:200]}'")
    if isinstance(rendered, Mapping):
        missing = next((key for key, value in rendered.items() if value is None), None)
        if missing is not None:
            raise ValueError(f"Found a null value inside the iteration values={java_text(rendered)[:200]}")
        return [each if isinstance(each, str) else to_json(each) for each in rendered.values()], [str(key) for key in rendered]
    if any(each is None for each in rendered):
        raise ValueError(f"Found a null value inside the iteration values={java_text(rendered)[:200]}")
    if not isinstance(written, str):
        for each in rendered:
            if isinstance(each, bool) or not isinstance(each, (str, int, float, Mapping)):
                raise ValueError(f"Unknown value element type: {type(each).__name__}")
    texts = [each if isinstance(each, str) else to_json(each) for each in rendered]
    return list(dict.fromkeys(texts)), None


def _json_of(rendered: Any) -> Any:
    if not isinstance(rendered, str):
        return rendered
    try:
        return json.loads(rendered)
    except ValueError:
        return rendered


def loop_item(loop: Mapping[str, Any]) -> dict[str, Any]:
    """The variable `item` of an iteration. loop: as `ExecutionCreated.loop`."""
    seen = {name: loop[name] for name in ("value", "index", "key") if name in loop}
    parents = loop.get("parents") or []
    return {**seen, **({"parent": parents[0], "parents": parents} if parents else {})}


def _approval(rendered: Any) -> dict[str, Any]:
    if rendered["comment"] not in ("NEVER", "ALWAYS", "ON_DENY", "ON_APPROVE"):
        raise ValueError(f"commentRequired is '{rendered['comment']}', not one of NEVER, ALWAYS, ON_DENY, ON_APPROVE")
    for name in ("approve", "deny", "expire"):
        if rendered[name] not in ("CONTINUE", "WARN", "FAIL", "SUCCEED", "CANCEL", "KILL"):
            raise ValueError(f"{name}Behavior is '{rendered[name]}', not one of CONTINUE, WARN, FAIL, SUCCEED, CANCEL, KILL")
    return {**rendered, "auto": _flag(rendered["auto"]), "timeout": _seconds(rendered["timeout"])}


def _plain(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


def _seconds(value: Any) -> float | None:
    """Seconds of a rendered duration; None when there is none."""
    if value is None or value == "":
        return None
    return parse_duration(value).total_seconds()


def _flag(value: Any) -> bool:
    return value if isinstance(value, bool) else truthy(str(value))


def _timer(rendered: Any) -> dict[str, float | None]:
    seconds = _seconds(rendered["duration"])
    if seconds is None:
        raise ValueError("the duration is empty: write one like PT10S")
    return {"duration": max(seconds, 0.0), "timeout": _seconds(rendered["timeout"])}


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
        if len(items) > TASK_RUNS_MAX:
            raise ValueError(f"{len(items)} values are over the limit of {TASK_RUNS_MAX} task runs of an execution (TASK_RUNS_MAX): split the work")
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
