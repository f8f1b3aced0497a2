"""What pages and streams show of task runs and log lines in few bytes, why an execution failed, and what its values are called. Pure.

Called by the page, its stream and its tabs. What always holds: texts that tasks wrote are cut to a bound and have no control characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from podium.flows.model import TERMINAL
from podium.storage.crypto import is_sealed
from podium.web.pages.text import plain
from podium.web.pages.timeline import moment_of
from podium.web.wire import encode

ERROR_CHARS, VALUE_CHARS = 300, 120
LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")
NAMES_MAX, DEPTH_MAX = 2_000, 6
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def ms_of(text: Any) -> int | None:
    """A date of a view as milliseconds since 1970."""
    moment = moment_of(text)
    return None if moment is None else round(moment.timestamp() * 1000)


def compact(run: Mapping[str, Any]) -> list[Any]:
    """A task run: [id, task, parent, value, iteration, state, created, began, ended, attempts: [[state, began, ended, error, facts]]]."""
    state, value = run["state"], run.get("value")
    began = next((each["date"] for each in state.get("histories") or () if each["state"] == "RUNNING"), None)
    text = None if value is None else (value if isinstance(value, str) else encode(value).decode("utf-8", "replace"))
    return [
        run["id"], run["taskId"], run.get("parentTaskRunId"), text[:VALUE_CHARS] if text is not None else None, run.get("iteration"),
        state["current"], ms_of(state.get("startDate")), ms_of(began), ms_of(state.get("endDate")) if state["current"] in TERMINAL else None,
        [_attempt(each) for each in run.get("attempts") or ()],
    ]


def _attempt(attempt: Mapping[str, Any]) -> list[Any]:
    state = attempt["state"]
    began = next((each["date"] for each in state.get("histories") or () if each["state"] == "RUNNING"), state.get("startDate"))
    ended = state.get("endDate") if state.get("current") in TERMINAL else None
    return [state.get("current"), ms_of(began), ms_of(ended), plain(str(attempt.get("error") or ""))[:ERROR_CHARS], facts_of(attempt)]


def facts_of(attempt: Mapping[str, Any]) -> dict[str, str]:
    """What the runner told of an attempt: image, exit code and the like, as short texts."""
    told = {key: value for key, value in attempt.items() if key not in {"state", "error", "logFile"} and value not in (None, "", [], {})}
    return {key: (value if isinstance(value, str) else encode(value).decode("utf-8", "replace"))[:VALUE_CHARS] for key, value in told.items()}


def line_of(entry: Mapping[str, Any]) -> list[Any]:
    """A log entry: [seq, moment, level 0-4, task, task run, attempt, message]."""
    level = str(entry.get("level"))
    return [
        int(entry.get("seq", 0)), ms_of(entry.get("timestamp")), LEVELS.index(level) if level in LEVELS else 2, entry.get("taskId") or "",
        entry.get("taskRunId") or "", entry.get("attemptNumber") or 0, str(entry.get("message") or ""),
    ]


def as_lines(entries: list[dict[str, Any]]) -> list[tuple[int, bytes]]:
    """Log entries as events `line` of a stream."""
    return [((line := line_of(each))[0], b"id: %d\nevent: line\ndata: %b\n\n" % (line[0], encode(line))) for each in entries]


def cause_of(execution: Mapping[str, Any]) -> tuple[Mapping[str, Any], str] | None:
    """The task run that failed first without a part of it having failed, and what it said in one line; None when none did."""
    runs = [run for run in execution.get("taskRunList") or () if run["state"]["current"] in {"FAILED", "KILLED"}]
    parents = {run.get("parentTaskRunId") for run in runs}
    failed = [run for run in runs if run["id"] not in parents and run["state"]["current"] == "FAILED"]
    if not failed:
        return None
    first = min(failed, key=lambda run: str(run["state"].get("endDate") or "9"))
    errors = [str(each.get("error") or "") for each in first.get("attempts") or ()]
    said = next((plain(each).strip() for each in reversed(errors) if each.strip()), "")
    return first, said.splitlines()[0][:ERROR_CHARS] if said else ""


def step(name: Any) -> str:
    """How an expression goes one name further."""
    text = str(name)
    if isinstance(name, int):
        return f"[{name}]"
    return f".{text}" if _PLAIN_NAME.fullmatch(text) else "['" + text.replace("\\", "\\\\").replace("'", "\\'") + "']"


def names_of(execution: Mapping[str, Any]) -> list[str]:
    """What expressions on this execution can name, for completion: at most NAMES_MAX paths, the shallow ones first."""
    roots: dict[str, Any] = {
        "inputs": execution.get("inputs") or {}, "outputs": outputs_of(execution),
        "labels": {each["key"]: "" for each in execution.get("labels") or ()},
        "vars": execution.get("variables") or {}, "trigger": (execution.get("trigger") or {}).get("variables") or {},
        "flow": {"id": "", "namespace": "", "revision": 0}, "execution": {"id": "", "startDate": "", "state": "", "originalId": ""},
        "tasks": {run["taskId"]: {"state": ""} for run in execution.get("taskRunList") or ()},
        "taskrun": {"id": "", "value": "", "startDate": "", "attemptsCount": 0, "iteration": 0}, "task": {"id": "", "type": ""},
    }
    found: list[str] = []
    level: list[tuple[str, Any]] = list(roots.items())
    for _ in range(DEPTH_MAX):
        deeper: list[tuple[str, Any]] = []
        for path, value in level:
            found.append(path)
            if len(found) >= NAMES_MAX:
                return found
            deeper += [(path + step(key), item) for key, item in _inside(value)]
        level = deeper
    return found


def _inside(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping) and not is_sealed(value):
        yield from value.items()
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        yield from list(enumerate(value))[:20]


def outputs_of(execution: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs as expressions see them: by task, and of a loop's tasks by value."""
    found: dict[str, Any] = {}
    for run in execution.get("taskRunList") or ():
        if not run.get("outputs"):
            continue
        value = run.get("value")
        if value is None:
            found[run["taskId"]] = run["outputs"]
        else:
            known = found.setdefault(run["taskId"], {})
            known[value if isinstance(value, str) else encode(value).decode()] = run["outputs"]
    return found


def files_of(execution: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every file the execution names: {uri, name, path: how an expression names it, task?}; each once, inputs first."""
    found: dict[str, dict[str, Any]] = {}
    brought = (execution.get("trigger") or {}).get("variables")
    roots: list[tuple[str, Any, str]] = [("inputs", execution.get("inputs"), ""), ("trigger", brought, "")]
    for run in execution.get("taskRunList") or ():
        value = run.get("value")
        path = "outputs" + step(run["taskId"]) + (step(str(value)) if value is not None else "")
        roots.append((path, run.get("outputs"), run["taskId"]))
    roots.append(("execution.outputs", execution.get("outputs"), ""))
    for path, value, task in roots:
        for where, text in _texts(path, value, 0):
            if text.startswith("kestra:///") and len(text) < 2_000:
                found.setdefault(text, {"uri": text, "name": text.rsplit("/", 1)[-1], "path": where, "task": task})
    return list(found.values())


def _texts(path: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif depth < DEPTH_MAX * 2 and not is_sealed(value):
        items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            yield from _texts(path + step(key), item, depth + 1)
