"""A Launcher: one task run that starts an execution for each of many items (ForEachItem's batches, the iterations of a Loop).

Kept in its notes: `values` (and `keys`) of the items, `next` to launch, `open` ones; for each item that is launched or ended badly
`child:<index>` = [execution id, state], with a third entry while a child that failed is to be restarted: the id in case it cannot be;
`paused:<index>` while an iteration waits for somebody; `out:<index>` = what an iteration gave back, `bytes` in all, `full` once that was too
much. Source: flow-language 5.8, flow-language-2 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from podium.base.limits import LAUNCHED_BYTES_MAX
from podium.engine import commands as cmd
from podium.engine import effects as fx
from podium.engine import events as ev
from podium.engine.decide.decision import Decision
from podium.engine.decide.tasks import conclude, derived_child_id
from podium.engine.state import Execution, TaskRun
from podium.expressions.text import to_json
from podium.flows.model import Loop

_BAD = ("FAILED", "KILLED", "CANCELLED")
_OPEN = ("CREATED", "RUNNING")


def start(d: Decision, run: TaskRun, value: Mapping[str, Any]) -> None:
    """The items are known (or still known, after a restart or for a retry): launch as many as may run at once."""
    number = len(run.attempts) + 1
    d.emit(ev.AttemptOpened(at=d.now, run_id=run.id, number=number))
    d.emit(ev.AttemptStarted(at=d.now, run_id=run.id, number=number))
    facts = {"wait": value["wait"], "transmit": value["transmit"], "halted": None, "judging": None, "full": None}
    if "values" in run.notes:
        d.note(run, **facts)
        _revive(d, run)
    else:
        d.note(run, values=value["values"], keys=value.get("keys"), store=value.get("store"), base=value.get("base"), next=0, open=0, **facts)
        total = len(value["values"])
        if isinstance(d.tree.task(run.task_id), Loop):
            d.outputs(run, {"iterationCount": total, "runningIterations": 0, "terminatedIterations": {}})
        else:
            states = {"CREATED": 0, "RUNNING": 0} if value["wait"] else {}
            d.outputs(run, {"iterations": states, "numberOfBatches": total})
    go_on(d, run)


def children(run: TaskRun) -> Iterator[tuple[int, list[Any]]]:
    """(index, entry) of every item whose child is known; the entry is [execution id, state] or [execution id, state, fresh id]."""
    for name, entry in run.notes.items():
        if name.startswith("child:"):
            yield int(name.removeprefix("child:")), entry


def open_children(run: TaskRun) -> Iterator[tuple[int, list[Any]]]:
    """Those that have not ended."""
    return ((index, entry) for index, entry in children(run) if entry[1] in _OPEN)


def again(run: TaskRun) -> dict[str, Any]:
    """The notes that outlive a restart of the run: what went well stays, what ended badly is restarted."""
    kept = ("values", "keys", "next", "out", "bytes", "child", "base", "store")
    return {**{name: value for name, value in run.notes.items() if name.partition(":")[0] in kept}, "former": "all"}


def start_effect(run: TaskRun, index: int, entry: list[Any]) -> fx.StartSubflow:
    """Have the child of an item made, or taken up."""
    return fx.StartSubflow(run_id=run.id, execution_id=entry[0], index=index, fresh=entry[2] if len(entry) > 2 else None)


def _revive(d: Decision, run: TaskRun) -> None:
    """Launch again what ended badly: the same executions after a restart, new ones for a retry; follow what still runs."""
    restarted = run.notes.get("former") is not None
    number = len(run.attempts)
    changed: dict[str, Any] = {"former": None}
    entries = dict(children(run))
    if isinstance(d.tree.task(run.task_id), Loop):
        changed.update(_outputs_taken_up(d, run, [state for _, state, *_ in entries.values()]))
    for index, entry in entries.items():
        if entry[1] in _BAD:
            _count(d, run, entry[1], None)
            fresh = derived_child_id(d, run, number, index)
            entries[index] = [entry[0], "CREATED", fresh] if restarted else [fresh, "CREATED"]
            changed[f"child:{index}"] = entries[index]
            _count(d, run, None, "CREATED")
    revived = {index: entry for index, entry in entries.items() if entry[1] in _OPEN}
    d.note(run, open=len(revived), **changed)
    for index, entry in revived.items():
        d.effect(start_effect(run, index, entry))


def _outputs_taken_up(d: Decision, run: TaskRun, states: Sequence[str]) -> dict[str, Any]:
    """Leave only the figures in the outputs of a Loop that goes on; the notes for what iterations gave back, where nothing else has it.

    states: of those that did not go well. A record has no outputs that were too large for it.
    """
    given, ended = run.outputs.get("outputs"), run.outputs.get("terminatedIterations")
    if ended is None:
        ended = {"SUCCESS": run.notes["next"] - len(states), **{state: states.count(state) for state in _BAD}}
    d.outputs(run, {
        "iterationCount": len(run.notes["values"]), "runningIterations": run.outputs.get("runningIterations", 0),
        "terminatedIterations": {state: count for state, count in ended.items() if count},
    })
    if not isinstance(given, list) or any(name.startswith("out:") for name in run.notes):
        return {}
    return {f"out:{each['item']['iteration']}": each["outputs"] for each in given}


def go_on(d: Decision, run: TaskRun) -> None:
    """Launch what may be launched now (nothing while the execution is held by a pause); end the run when nothing is left."""
    notes = run.notes
    task = d.tree.task(run.task_id)
    total, after, running = len(notes["values"]), notes["next"], notes["open"]
    limit = task.concurrency_limit if isinstance(task, Loop) else 0
    halted = bool(notes.get("halted") or d.state.notes.get("stopping"))
    launched: dict[int, list[Any]] = {}
    may = not halted and not d.state.notes.get("held")
    while may and not notes.get("judging") and after < total and (limit == 0 or running < limit):
        launched[after] = [derived_child_id(d, run, len(run.attempts), after), "CREATED"]
        after, running = after + 1, running + 1
    if launched:
        d.note(run, next=after, open=running, **{f"child:{index}": entry for index, entry in launched.items()})
        _count(d, run, None, "CREATED", by=len(launched))
        for index, entry in launched.items():
            d.effect(start_effect(run, index, entry))
    if not running and not notes.get("judging") and (halted or after >= total):
        _finish(d, run)


def _count(d: Decision, run: TaskRun, before: str | None, after: str | None, by: int = 1) -> None:
    """Keep the figures in the outputs: how many children are in which state."""
    outputs = dict(run.outputs)
    if isinstance(d.tree.task(run.task_id), Loop):
        ended = dict(outputs.get("terminatedIterations") or {})
        running = outputs.get("runningIterations", 0)
        for state, change in ((before, -by), (after, by)):
            if state in _OPEN:
                running += change
            elif state is not None:
                ended[state] = ended.get(state, 0) + change
        outputs |= {"runningIterations": running, "terminatedIterations": {state: count for state, count in ended.items() if count}}
    else:
        states = dict(outputs.get("iterations") or {})
        for state, change in ((before, -by), (after, by)):
            if state is not None and (run.notes.get("wait", True) or state not in _OPEN):
                states[state] = states.get(state, 0) + change
        outputs["iterations"] = states
    d.outputs(run, outputs)


def iteration_paused(d: Decision, command: cmd.IterationPaused) -> None:
    """An iteration waits for somebody, or goes on: so does the Loop, and what holds it. Source: flow-language-2 3."""
    run = d.state.runs.get(command.run_id)
    if run is not None and not run.ended:
        _note_pause(d, run, command.index, command.execution_id, paused=command.paused)


def _note_pause(d: Decision, run: TaskRun, index: int, execution_id: str, *, paused: bool) -> None:
    entry = run.notes.get(f"child:{index}")
    if entry is None or entry[1] not in _OPEN or execution_id not in (entry[0], *entry[2:]) or paused == bool(run.notes.get(f"paused:{index}")):
        return
    d.note(run, **{f"paused:{index}": paused or None})
    if paused and run.state == "RUNNING":
        d.move_run(run, "PAUSED")
    elif not paused and run.state == "PAUSED" and not any(name.startswith("paused:") for name in run.notes):
        d.move_run(run, "RUNNING")


def item_started(d: Decision, run: TaskRun, index: int, command: cmd.SubflowStarted) -> None:
    """The child of an item exists, or never will. Said twice, it counts once."""
    if command.execution_id is not None and isinstance(d.tree.task(run.task_id), Loop):
        _note_pause(d, run, index, command.execution_id, paused=command.paused)
    entry = run.notes.get(f"child:{index}")
    if entry is None or entry[1] != "CREATED":
        return
    if command.error is not None:
        d.log("ERROR", f"Item {index}: {command.error}", run.id)
        _over(d, run, index, (entry[0], "CREATED", "FAILED"))
        return
    if command.execution_id not in (entry[0], *entry[2:]):
        return
    child: list[Any] = [command.execution_id, "RUNNING"]
    if run.state != "KILLING" and not run.notes.get("wait", True):
        d.note(run, open=run.notes["open"] - 1, **{f"child:{index}": [child[0], "STARTED"]})
        _count(d, run, "CREATED", "SUCCESS")
        go_on(d, run)
        return
    d.note(run, **{f"child:{index}": child})
    _count(d, run, "CREATED", "RUNNING")
    if run.state == "KILLING":
        d.effect(fx.KillSubflow(execution_id=child[0]))


def item_ended(d: Decision, run: TaskRun, index: int, command: cmd.SubflowEnded) -> None:
    """The child of an item is closed. Said twice, it counts once."""
    entry = run.notes.get(f"child:{index}")
    if entry is None or entry[1] not in _OPEN or command.execution_id not in (entry[0], *entry[2:]):
        return
    _note_pause(d, run, index, command.execution_id, paused=False)
    if command.successor is None:
        _over(d, run, index, (command.execution_id, entry[1], command.state), command.outputs)
        return
    follower = [command.successor, entry[1]]
    d.note(run, **{f"child:{index}": follower})
    d.effect(fx.KillSubflow(execution_id=command.successor) if run.state == "KILLING" else start_effect(run, index, follower))


def _over(d: Decision, run: TaskRun, index: int, ended: tuple[str, str, str], outputs: Mapping[str, Any] | None = None) -> None:
    """One item is done. ended: its execution, the state it was counted in, the state it ended in."""
    task = d.tree.task(run.task_id)
    child, before, state = ended
    bad = state in _BAD
    notes: dict[str, Any] = {f"child:{index}": [child, state] if bad else None, "open": run.notes["open"] - 1}
    if outputs:
        notes.update(_kept(d, run, index, outputs))
    if isinstance(task, Loop):
        if bad and run.notes.get("transmit", True):
            d.log("ERROR", f"Loop iteration {index} ended in {state} in sub-execution {child}", run.id)
            notes["halted"] = True
        elif task.break_when is not None and not (run.notes.get("halted") or notes.get("halted")) and not d.state.notes.get("stopping"):
            notes[f"ended:{index}"] = [child, state]
            notes["judging"] = run.notes.get("judging", 0) + 1
    d.note(run, **notes)
    _count(d, run, before, state)
    if f"ended:{index}" in notes:
        d.ask(run.id, f"break:{index}")
        return
    go_on(d, run)


def _kept(d: Decision, run: TaskRun, index: int, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The notes that keep what an iteration gave back, unless all of it together becomes too large: then no further one starts."""
    size = run.notes.get("bytes", 0) + len(to_json(outputs))
    if size <= LAUNCHED_BYTES_MAX:
        return {f"out:{index}": dict(outputs), "bytes": size}
    if not run.notes.get("full"):
        what = f"the outputs of the iterations are over the limit of {LAUNCHED_BYTES_MAX} bytes together (LAUNCHED_BYTES_MAX)"
        d.log("ERROR", f"{what}: set `fetchType: STORE`", run.id)
    return {"halted": True, "full": True}


def judged(d: Decision, run: TaskRun, index: int, value: Any, error: str | None) -> None:
    """Whether breakWhen holds after an iteration, or cannot be told: then no further one starts."""
    if error is not None:
        d.log("ERROR", f"breakWhen cannot be evaluated: {error}", run.id)
    halted = True if value or error is not None else run.notes.get("halted")
    d.note(run, judging=run.notes.get("judging", 1) - 1 or None, halted=halted, **{f"ended:{index}": None})
    go_on(d, run)


def _finish(d: Decision, run: TaskRun) -> None:
    task = d.tree.task(run.task_id)
    if isinstance(task, Loop):
        states, key = run.outputs.get("terminatedIterations") or {}, "outputs"
        counting: tuple[str, ...] = _BAD
        given: Any = _given_back(run)
    else:
        states, key, counting = run.outputs.get("iterations") or {}, "subflowOutputsBaseUri", (*_BAD, "WARNING")
        given = run.notes.get("base")
    d.outputs(run, {**run.outputs, **({key: given} if given is not None else {})})
    state = "SUCCESS"
    if run.notes.get("full"):
        state = "FAILED"
    elif run.notes.get("transmit", True):
        state = next((each for each in counting if states.get(each)), "SUCCESS")
    if d.state.notes.get("stopping"):
        state = "KILLED"
    d.emit(ev.AttemptClosed(at=d.now, run_id=run.id, number=len(run.attempts), state=state))
    conclude(d, run, state)


def _given_back(run: TaskRun) -> list[dict[str, Any]]:
    """The outputs of a Loop's iterations, in the order of their ends."""
    values, keys = run.notes["values"], run.notes.get("keys")
    found = []
    for name, outputs in run.notes.items():
        if name.startswith("out:"):
            index = int(name.removeprefix("out:"))
            item: dict[str, Any] = {"value": values[index], "iteration": index}
            if keys:
                item["key"] = keys[index]
            found.append({"item": item, "outputs": outputs})
    return found


def loop_of(state: Execution, run: TaskRun, index: int) -> dict[str, Any]:
    """What an iteration's execution knows of its Loop (`ExecutionCreated.loop`). state: the execution that holds the run."""
    above = state.loop
    parents = [_place(above), *above.get("parents", ())] if above else []
    return {"executionId": state.id, "taskId": run.task_id, "taskRunId": run.id, "parents": parents, **item(run, index)}


def item(run: TaskRun, index: int) -> dict[str, Any]:
    """{value, index, key?} of one item."""
    keys = run.notes.get("keys")
    return {"value": run.notes["values"][index], "index": index, **({"key": keys[index]} if keys else {})}


def _place(loop: Mapping[str, Any]) -> dict[str, Any]:
    return {name: loop[name] for name in ("value", "index", "key") if name in loop}
