"""What the nodes of a graph are doing in an execution: states of each task's runs, counted. Pure; flows know nothing of executions but their JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

_LOUDEST = (
    "FAILED", "KILLED", "KILLING", "BREAKPOINT", "PAUSED", "RETRYING", "RUNNING", "RESTARTED", "QUEUED", "SUBMITTED", "CREATED", "CANCELLED",
    "WARNING", "RETRIED", "SUCCESS", "SKIPPED",
)
"""The state that a node with many runs shows: the first of these that any run has."""


def states_of(runs: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Task id → {state, counts: state → how many runs, taskRunId: of the run that shows it}, from `taskRunList`."""
    counts: dict[str, Counter[str]] = {}
    first: dict[tuple[str, str], str] = {}
    for run in runs:
        task, state = str(run["taskId"]), str(run["state"]["current"])
        counts.setdefault(task, Counter())[state] += 1
        first.setdefault((task, state), str(run["id"]))
    found = {}
    for task, counted in counts.items():
        state = next((each for each in _LOUDEST if each in counted), next(iter(counted)))
        found[task] = {"state": state, "counts": dict(counted), "taskRunId": first[task, state]}
    return found
