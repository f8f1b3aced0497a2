"""Shows an execution on a terminal as it runs: its log lines, then a table of its task runs. Plain text where there is no terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from podium.base.system.clock import SystemClock

COLOURS = {
    "SUCCESS": "green", "WARNING": "yellow", "FAILED": "red", "KILLED": "red", "CANCELLED": "magenta", "RUNNING": "blue", "PAUSED": "cyan",
    "RETRYING": "yellow", "SKIPPED": "dim", "RETRIED": "yellow", "QUEUED": "cyan",
}
LEVELS = {"ERROR": "red", "WARN": "yellow", "INFO": "default", "DEBUG": "dim", "TRACE": "dim"}


class Progress:
    """Prints each thing once."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._states: dict[str, str] = {}

    def log(self, entry: Mapping[str, Any], below: str = "") -> None:
        """A line of the execution's log. below: the name of the execution inside that it comes from."""
        level = entry["level"]
        task = "/".join(filter(None, (below, entry.get("taskId") or "execution")))
        head = f"[dim]{entry['timestamp'][11:23]}[/] [{LEVELS[level]}]{level:<5}[/] [bold]{escape(task)}[/]"
        self._console.print(f"{head} {escape(entry['message'])}", soft_wrap=True)

    def update(self, view: Mapping[str, Any]) -> None:
        """Say which task runs entered a new state."""
        for run in view.get("taskRunList") or ():
            state = run["state"]["current"]
            if self._states.get(run["id"]) != state:
                self._states[run["id"]] = state
                name = run["taskId"] + (f"[{run['value']}]" if run.get("value") is not None else "")
                self._console.print(f"[dim]{run['state']['histories'][-1]['date'][11:23]}[/] {_coloured(state):<5} [bold]{escape(name)}[/]")

    def summary(self, view: Mapping[str, Any]) -> None:
        """The table at the end."""
        from podium.web.pages.timeline import length_of_time, took

        now = SystemClock().now()
        table = Table(box=None, pad_edge=False)
        for column in ("task", "state", "attempts", "took"):
            table.add_column(column)
        for run in view.get("taskRunList") or ():
            name = run["taskId"] + (f"[{run['value']}]" if run.get("value") is not None else "")
            attempts = str(len(run.get("attempts") or ()))
            table.add_row(escape(name), _coloured(run["state"]["current"]), attempts, length_of_time(took(run["state"], now)))
        self._console.print(table)
        state = view["state"]["current"]
        name = escape(f"{view['namespace']}.{view['flowId']}")
        self._console.print(f"{_coloured(state)} {name} {view['id']} after {length_of_time(took(view['state'], now))}", soft_wrap=True)
        if view.get("outputs"):
            self._console.print_json(data=view["outputs"], default=str)


def _coloured(state: str) -> str:
    return f"[{COLOURS.get(state, 'default')}]{state}[/]"
