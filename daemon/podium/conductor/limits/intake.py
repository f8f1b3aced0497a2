"""How commands come to the conductor: asked for, told as outcomes, or written beside any decision. See lanes.

`submit` returns when its command is on disk. What is asked for may be refused when there is too much; an outcome never is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from podium.base.access.actor import who_acts
from podium.base.errors import PodiumError, StoreError
from podium.base.system.log import get_logger
from podium.conductor.library import Library
from podium.conductor.limits.admission import Admission
from podium.conductor.limits.bounds import Bounds
from podium.conductor.limits.lanes import Lanes
from podium.conductor.limits.resting import Rest
from podium.conductor.limits.shares import Key, Shares
from podium.conductor.limits.slots import Slots
from podium.engine import commands as cmd

log = get_logger(__name__)
RETRY_S_MIN, RETRY_S_MAX = 0.05, 5.0
"""Seconds between tries of an outcome that a full disk keeps out."""
PAUSE = ("daemon", "", "pause")
"""The document {at, by, reason} that is there while everything is paused."""

Extra = Callable[[Any], None]
"""Adds to the transaction of a command (conductor/core/round.Round): documents, a key against repetition."""


def _nothing(_turn: Any) -> None:
    """What a command adds to the transaction by default."""


class Item:
    """A command on its way, and who waits for it."""

    __slots__ = ("asked", "by", "command", "done", "enter", "execution_id", "view", "wants_view")

    def __init__(
        self, execution_id: str | None, command: cmd.Command | None, extra: Extra | None, done: asyncio.Future[dict[str, Any]], *,
        wants_view: bool, asked: bool = False,
    ) -> None:
        """asked: it comes from outside and may be refused when there is too much."""
        self.execution_id = execution_id
        self.command = command
        self.enter = extra or _nothing
        self.done = done
        self.wants_view = wants_view
        self.asked = asked
        self.by = who_acts() if asked else ""
        """In whose name."""
        self.view: dict[str, Any] = {}

    def fail(self, error: PodiumError) -> None:
        if not self.done.done():
            self.done.set_exception(error)

    def succeed(self) -> None:
        if not self.done.done():
            self.done.set_result(self.view)


class Intake:
    """The half of the conductor that takes commands in."""

    def __init__(self, bounds: Bounds, library: Library, in_memory: Callable[[], int]) -> None:
        """in_memory: how many executions are."""
        self.lanes: Lanes[Item] = Lanes(
            lambda: asyncio.get_running_loop().time(), requests_max=bounds.queued_commands_max, wait_s_max=bounds.command_wait_s_max
        )
        self.rest = Rest(bounds.waiting_in_memory_max)
        self.shares = Shares(bounds.pools, task_runs_per_flow_max=bounds.task_runs_per_flow_max)
        self.slots = Slots(bounds.attempts_max, self.shares, what="runner.concurrency")
        self.limits = Admission(
            library, lambda execution_id: self.post(execution_id, cmd.Begin()), shares=self.shares, running_max=bounds.running_executions_max,
            queued_per_flow_max=bounds.queued_per_flow_max, open_max=bounds.open_executions_max, open_count=lambda: in_memory() + len(self.rest),
        )

    async def submit(
        self, execution_id: str, command: cmd.Command, extra: Extra | None = None, *, view: bool = True, asked: bool = True
    ) -> dict[str, Any]:
        """Decide a command; the execution's view (if asked for) once that is on disk. Raises ConflictError, NotFound, StoreError, LimitError.

        extra: adds to the same transaction (documents, a key against repetition). asked: by somebody who can be told to come back later;
        what is not asked (what became of open work) is never refused.
        """
        item = Item(execution_id, command, extra, asyncio.get_running_loop().create_future(), wants_view=view, asked=asked)
        (self.lanes.request if asked else self.lanes.outcome)(item)
        return await item.done

    def post(self, execution_id: str, command: cmd.Command) -> None:
        """Submit without waiting; outcomes of effects, which the state tells again after a crash. A full disk delays it."""
        self._post(Item(execution_id, command, None, asyncio.get_running_loop().create_future(), wants_view=False), RETRY_S_MIN)

    def _post(self, item: Item, delay_s: float) -> None:
        item.done.add_done_callback(partial(self._posted, item, delay_s))
        self.lanes.outcome(item)

    def _posted(self, item: Item, delay_s: float, done: asyncio.Future[dict[str, Any]]) -> None:
        error = None if done.cancelled() else done.exception()
        if isinstance(error, StoreError) and item.execution_id is not None:
            loop = asyncio.get_running_loop()
            again = Item(item.execution_id, item.command, None, loop.create_future(), wants_view=False)
            loop.call_later(delay_s, self._post, again, min(delay_s * 2, RETRY_S_MAX))
        elif isinstance(error, PodiumError):
            log.info("command_refused", execution_id=item.execution_id, command=type(item.command).__name__, error=error.what)

    async def insist(self, execution_id: str, command: cmd.Command, extra: Extra | None = None) -> None:
        """Submit until it is on disk: a full disk delays an outcome and never loses it. Raises what a retry cannot mend."""
        delay = RETRY_S_MIN
        while True:
            try:
                await self.submit(execution_id, command, extra, view=False, asked=False)
            except StoreError as error:
                log.warning("command_not_taken", execution_id=execution_id, command=type(command).__name__, error=error.what)
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_S_MAX)
            else:
                return

    async def write(self, extra: Extra) -> None:
        """Enter documents without deciding anything; on disk when it returns. Raises StoreError."""
        item = Item(None, None, extra, asyncio.get_running_loop().create_future(), wants_view=False)
        self.lanes.outcome(item)
        await item.done

    def refuse_when_behind(self, flow: Key) -> None:
        """Raises LimitError when no execution of a flow can be accepted just now: told before any work is done for it."""
        if (refusal := self.lanes.behind()) is not None:
            raise refusal
        self.limits.refuse_when_full(flow)

    async def pause_all(self, note: Mapping[str, Any] | None) -> None:
        """Let no execution begin from now on, what runs goes on; None: let begin what waits. On disk when it returns. Raises StoreError."""

        def enter(turn: Any) -> None:
            turn.document(*PAUSE, note)
            turn.afterwards.append(changed)

        def changed() -> None:
            self.limits.paused = note
            self.limits.admit_all()

        await self.write(enter)
