"""Shows an execution on a terminal as it runs: its log lines, then a table of its task runs. Plain text where there is no terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from podium.base.system.clock import SystemClock
from podium.cli.shown import on_one_line, printable_log

COLOURS = {
    "SUCCESS": "green", "WARNING": "yellow", "FAILED": "red", "KILLED": "red", "CANCELLED": "magenta", "RUNNING": "blue", "PAUSED": "cyan",
    "RETRYING": "yellow", "SKIPPED": "dim", "RETRIED": "yellow", "QUEUED": "cyan",
}
LEVELS = {"ERROR": "red", "WARN": "yellow", "INFO": "default", "DEBUG": "dim", "TRACE": "dim"}

ROWS_MAX, LINES_MAX, NAME_CHARS_MAX = 500, 5_000, 200
"""What is shown of an execution with many task runs: rows of the table, lines about their states, characters of a name."""


class Progress:
    """Prints each thing once."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._states: dict[str, str] = {}
        self._said = 0

    def log(self, entry: Mapping[str, Any], below: str = "") -> None:
        """A line of the execution's log. below: the name of the execution inside that it comes from."""
        level = entry["level"]
        task = "/".join(filter(None, (below, entry.get("taskId") or "execution")))
        head = f"[dim]{entry['timestamp'][11:23]}[/] [{LEVELS[level]}]{level:<5}[/] [bold]{escape(task)}[/]"
        self._console.print(f"{head} {escape(printable_log(entry['message']))}", soft_wrap=True)

    def update(self, view: Mapping[str, Any]) -> None:
        """Say which task runs entered a new state."""
        for run in view.get("taskRunList") or ():
            state = run["state"]["current"]
            if self._states.get(run["id"]) != state:
                self._states[run["id"]] = state
                self._said += 1
                if self._said > LINES_MAX:
                    continue
                if self._said == LINES_MAX:
                    self._console.print("[dim]further states of task runs are not shown here[/]")
                at = run["state"]["histories"][-1]["date"][11:23]
                self._console.print(f"[dim]{at}[/] {_coloured(state):<5} [bold]{_name_of(run)}[/]", soft_wrap=True)

    def summary(self, view: Mapping[str, Any]) -> None:
        """The table at the end."""
        from podium.web.pages.timeline import length_of_time, took

        now = SystemClock().now()
        table = Table(box=None, pad_edge=False)
        for column in ("task", "state", "attempts", "took"):
            table.add_column(column)
        runs = view.get("taskRunList") or ()
        for run in runs[:ROWS_MAX]:
            attempts = str(len(run.get("attempts") or ()))
            table.add_row(_name_of(run), _coloured(run["state"]["current"]), attempts, length_of_time(took(run["state"], now)))
        self._console.print(table)
        if len(runs) > ROWS_MAX:
            self._console.print(f"[dim]and {len(runs) - ROWS_MAX} more task runs: --output json tells of all[/]")
        state = view["state"]["current"]
        name = escape(f"{view['namespace']}.{view['flowId']}")
        self._console.print(f"{_coloured(state)} {name} {view['id']} after {length_of_time(took(view['state'], now))}", soft_wrap=True)
        if view.get("outputs"):
            self._console.print_json(data=view["outputs"], default=str)


def _name_of(run: Mapping[str, Any]) -> str:
    name = run["taskId"] + (f"[{run['value']}]" if run.get("value") is not None else "")
    return escape(on_one_line(name if len(name) <= NAME_CHARS_MAX else f"{name[:NAME_CHARS_MAX]}…"))


def _coloured(state: str) -> str:
    return f"[{COLOURS.get(state, 'default')}]{state}[/]"
