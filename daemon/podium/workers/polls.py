"""Polls of triggers that must not happen inside the daemon (`IN_CHILD`): each in a child process, which ends with the poll.

Called by triggers/kinds/poll. What always holds: a poll that is cancelled is gone with all that it started.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from podium.base.ports import LogLine
from podium.base.redact import Redactor
from podium.base.system.clock import Clock
from podium.plugin import Logger, Polling, Result, TaskFailed, Trigger
from podium.workers.children.parent import Forkery
from podium.workers.children.serving import Served, served
from podium.workers.logs import AttemptLog


class Asked(Served, Protocol):
    """What a poll may use: plugin.PollContext, and the variables that its expressions see."""

    @property
    def namespace(self) -> str: ...
    @property
    def flow_id(self) -> str: ...
    @property
    def log(self) -> Logger: ...
    @property
    def working_dir(self) -> Path: ...


class Polls:
    """The polls of one daemon. environ: what they see of its environment. The processes begin with the first poll."""

    def __init__(self, environ: Mapping[str, str], clock: Clock) -> None:
        self._forkery = Forkery(environ)
        self._clock = clock

    async def poll(self, trigger: Trigger, context: Asked, remembered: dict[str, Any]) -> Mapping[str, Any] | None:
        """What `trigger.poll` gives; `remembered` is then what the trigger remembers. Raises TaskFailed, RunnerError."""
        child = await self._forkery.child([type(trigger).__module__, *getattr(trigger, "PRELOAD", ())])
        facts = {"namespace": context.namespace, "flow_id": context.flow_id, "working_dir": str(context.working_dir)}
        log = AttemptLog(_Passing(context.log), Redactor(), self._clock)
        try:
            end = await child.run(PollOrder(trigger, remembered), facts, lambda method, given: served(context, method, given), log)
        except BaseException:
            child.kill()
            raise
        if end["state"] == "FAILED":
            raise TaskFailed(end["error"])
        outputs = end["outputs"]
        remembered.clear()
        remembered.update(outputs["state"])
        variables: Mapping[str, Any] | None = outputs["variables"]
        return variables

    async def close(self) -> None:
        """End the processes."""
        await self._forkery.close()


@dataclass(frozen=True, slots=True)
class PollOrder:
    """What the child is to do."""

    trigger: Trigger
    state: dict[str, Any]

    def run(self, context: Any) -> Result:
        """Called in the child."""
        asked: Any = self.trigger
        polling: Polling = asked
        context.state = self.state
        return Result(outputs={"variables": polling.poll(context), "state": self.state})


class _Passing:
    """A LogSink that passes on what a poll says."""

    def __init__(self, log: Logger) -> None:
        self._log = log

    async def append(self, lines: Sequence[LogLine], *, cursor: str | None = None) -> None:
        """See LogSink."""
        for line in lines:
            self._log.log(line.level, line.message)

    async def cursor(self) -> str | None:
        """See LogSink."""
        return None
