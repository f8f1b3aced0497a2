"""What an ended task asked for. Requests about its own execution become events here; the rest are effects for the conductor.

Source: ruling 4; flow-language 6.3.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from podium.engine import effects as fx
from podium.engine import events as ev
from podium.engine.decide.decision import Decision
from podium.engine.state import TaskRun


def obey(d: Decision, run: TaskRun, request_id: str, kind: str, body: Mapping[str, Any]) -> None:
    """Carry out one request of `run`."""
    if kind == "set_labels":
        d.emit(ev.LabelsSet(at=d.now, labels={key: str(value) for key, value in body["labels"].items()}))
    elif kind == "set_variables":
        d.emit(ev.VariablesSet(at=d.now, variables=merged(d.state.variables, body["variables"])))
    elif kind == "unset_variables":
        d.emit(ev.VariablesSet(at=d.now, variables=without(d.state.variables, body["names"])))
    elif kind in ("exit", "kill") and d.state.ended and body.get("executionId", d.state.id) == d.state.id:
        d.log("WARN", f"Task '{run.task_id}' cannot change the state of an execution that ended", run.id)
    elif kind == "exit":
        state = {"CANCELED": "CANCELLED"}.get(body["state"], body["state"])
        d.note_execution(stopping=state)
    elif kind == "kill" and body.get("executionId", d.state.id) == d.state.id:
        d.note_execution(stopping="KILLED", cascade=bool(body.get("propagateKill", body.get("propagate", False))))
    else:
        d.effect(fx.Request(id=request_id, kind=kind, body=dict(body), run_id=run.id))


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Maps merged deeply; what is above wins."""
    result = dict(below)
    for key, value in above.items():
        present = result.get(key)
        result[key] = merged(present, value) if isinstance(present, Mapping) and isinstance(value, Mapping) else value
    return result


def without(variables: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """The variables less those named; a dotted name reaches into maps."""
    result = copy.deepcopy(dict(variables))
    for name in names:
        holder: Any = result
        *path, last = name.split(".")
        for part in path:
            holder = holder.get(part) if isinstance(holder, dict) else None
        if isinstance(holder, dict):
            holder.pop(last, None)
    return result
