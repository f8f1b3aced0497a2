"""What every runner of a trigger has: its stored state, its bell, one thing at a time, and another try after trouble. See board."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from podium.base.errors import FlowDisabled, FlowNotFound, LimitError, NotFound, PodiumError, StorageError
from podium.base.limits import CATCH_UP_DATES_MAX, POLLS_AT_ONCE_MAX
from podium.base.moments import to_text
from podium.base.system.clock import Clock
from podium.base.system.log import get_logger
from podium.conductor.port import Orchestrator, View
from podium.flows.model import TERMINAL
from podium.triggers.bell import Bells
from podium.triggers.firing import Armed, Firing
from podium.triggers.state import TriggerState, definition_of, removal
from podium.workers.polls import Polls

log = get_logger(__name__)
RETRY_S = 5.0
"""Pause after a start that was refused for a reason that may pass (a full queue, a full disk)."""
RETRY_LATER_S = 60.0
"""Pause after trouble that a person must mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What runners share.

    spawn: run something in the background, errors logged. recover_missed: the rule for schedules that name none. catch_up_max: how
    many missed dates of a schedule are made up for. scan_s: seconds between scans of a watched directory. polls: bounds polls at a time.
    children: carries out the polls that must not happen in the daemon; without it they happen in threads, as the others.
    seal: encrypts a value that is recorded; without it such variables of a poll are left out.
    """

    orchestrator: Orchestrator
    firing: Firing
    bell: Bells
    clock: Clock
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    recover_missed: str = "ALL"
    catch_up_max: int = CATCH_UP_DATES_MAX
    allowed_paths: tuple[Path, ...] = ()
    scan_s: float = 10.0
    children: Polls | None = None
    seal: Callable[[Any], Any] | None = None
    polls: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(POLLS_AT_ONCE_MAX))


class Runner:
    """A trigger at work. Every public method may be called at any time; they wait for each other."""

    WAITS: ClassVar[bool] = True
    """Whether an execution must be over before the next may start (unless the trigger says `allowConcurrent`)."""

    def __init__(self, armed: Armed, tools: Tools) -> None:
        self.armed = armed
        self.tools = tools
        self.state = TriggerState()
        self.busy = asyncio.Lock()
        self.retry_at: datetime | None = None
        self.stopped = False
        self.armed_once = asyncio.Event()
        """Set once it has begun: before that its state is not known."""
        self._begun = False
        self._in_trouble = False

    # ---- what a kind of trigger does

    async def begin(self, *, changed: bool) -> None:
        """Find out what comes next. changed: the trigger's definition is another than the one in the state. Called while busy."""
        raise NotImplementedError

    async def work(self) -> None:
        """Do what is due now, and set the bell for what comes. Called while busy."""
        raise NotImplementedError

    def is_due(self, now: datetime) -> bool:
        """Whether a ring now would do something."""
        return self.state.next is not None and self.state.next <= now

    def end(self) -> None:
        """Let go of what is held beside the bell."""

    # ---- called by the board

    async def arm(self, running: str | None) -> None:
        """Begin. running: an execution of this trigger that is not over, found at the daemon's start."""
        try:
            async with self.busy:
                await self._load()
                if running is not None and self.state.execution_id is None and self.WAITS:
                    self.state.execution_id = running
                await self._guarded(self._begin)
                await self._settle_execution()
        finally:
            self.armed_once.set()
        self.ring_soon()

    async def update(self, armed: Armed) -> None:
        """The flow has a new revision. Begins anew when the trigger itself differs."""
        async with self.busy:
            same = armed.trigger == self.armed.trigger and armed.flow.variables == self.armed.flow.variables
            self.armed = armed
            if not same:
                await self._load()
                await self._guarded(self._begin)
        if not same:
            self.ring_soon()

    async def stop(self, *, removed: bool) -> None:
        """Ring no more. removed: the trigger is gone from its flow, so that its state ends too."""
        self.stopped = True
        async with self.busy:
            self.tools.bell.silence(self.armed.name)
            self.end()
            if removed:
                await self.tools.orchestrator.remember_trigger(*self.armed.place, removal(self.tools.clock.now()))

    async def ring(self) -> None:
        """Do what is due."""
        async with self.busy:
            if self.stopped or self.state.disabled:
                return
            if not self._begun:
                await self._guarded(self._begin)
            if self._begun:
                await self._guarded(self.work)

    def ring_soon(self) -> None:
        """Ring without waiting for what comes of it."""
        self.tools.spawn(self.ring())

    def wants_ring(self, now: datetime) -> bool:
        """Asked every few seconds: whether something is due that no bell has rung."""
        if self.busy.locked() or self.stopped or self.state.disabled or (self.retry_at is not None and now < self.retry_at):
            return False
        return self.retry_at is not None or self.is_due(now)

    async def check(self) -> None:
        """Called now and then: whether the execution that is waited for has ended unnoticed."""
        if self.state.execution_id is not None and not self.busy.locked():
            async with self.busy:
                await self._settle_execution()
            self.ring_soon()

    def waits_for(self, execution_id: str) -> bool:
        """Whether the next date waits for this execution."""
        return self.state.execution_id == execution_id

    async def ended(self, execution_id: str) -> None:
        """An execution is over."""
        if not self.waits_for(execution_id):
            return
        async with self.busy:
            if self.waits_for(execution_id):
                await self.unlocked()
        self.ring_soon()

    async def refresh(self) -> None:
        """The stored state was changed by somebody else: what a person or task may switch counts."""
        async with self.busy:
            stored = TriggerState.of(await self._stored())
            if stored.disabled == self.state.disabled and stored.execution_id == self.state.execution_id:
                return
            switched_on = self.state.disabled and not stored.disabled
            self.state = stored
            await self._settle_execution()
            if switched_on:
                await self._guarded(self._begin)
        self.ring_soon()

    # ---- what a person may do: base/ports.TriggerControls

    async def set_disabled(self, disabled: bool) -> None:
        """Switch the trigger. Switched on again, it begins as after a restart."""
        now = self.tools.clock.now()
        async with self.busy:
            await self.tools.orchestrator.remember_trigger(*self.armed.place, switch(disabled, now))
            self.state.disabled, self.state.enabled_at = disabled, (self.state.enabled_at if disabled else now)
            if disabled:
                self.tools.bell.silence(self.armed.name)
            else:
                await self._guarded(self._begin)
        self.ring_soon()

    async def unlock(self) -> None:
        """Forget the execution that is waited for."""
        async with self.busy:
            await self.unlocked()
        self.ring_soon()

    # ---- for kinds of triggers

    async def remember(self) -> None:
        """Store the state."""
        await self.tools.orchestrator.remember_trigger(*self.armed.place, self.state.as_cursor(self.tools.clock.now()))

    async def unlocked(self) -> None:
        """The execution that was waited for is over. Called while busy."""
        if self.state.execution_id is not None:
            self.state.execution_id = None
            await self.tools.orchestrator.remember_trigger(*self.armed.place, {"executionId": None})

    async def lock(self, view: View) -> None:
        """Wait for this execution before the next date, unless it is over already.

        The start has stored its id with the cursor; only that of a duplicate has not.
        """
        self.state.execution_id = view["id"]
        if view.get("duplicate"):
            await self.tools.orchestrator.remember_trigger(*self.armed.place, {"executionId": view["id"]})
        await self._settle_execution()

    # ---- inside

    async def _begin(self) -> None:
        definition = definition_of(self.armed.trigger)
        changed = self.state.definition is not None and self.state.definition != definition
        self.state.definition = definition
        self._in_trouble = self._in_trouble or self.state.error is not None
        self._begun = False
        await self.begin(changed=changed)
        self._begun = True

    async def _load(self) -> None:
        self.state = TriggerState.of(await self._stored())

    async def _stored(self) -> dict[str, Any] | None:
        return await self.tools.orchestrator.trigger_state(*self.armed.place)

    async def _settle_execution(self) -> None:
        """Stop waiting for an execution that is over or gone."""
        if self.state.execution_id is None:
            return
        try:
            view = await self.tools.orchestrator.execution(self.state.execution_id)
        except NotFound:
            await self.unlocked()
            return
        if view["state"]["current"] in TERMINAL:
            await self.unlocked()

    async def _guarded(self, step: Callable[..., Coroutine[Any, Any, None]]) -> None:
        """Run a step; what goes wrong is logged, shown in the state, and tried again by the sweep."""
        try:
            await step()
        except (FlowNotFound, FlowDisabled) as error:
            # The flow is going away; the board will say so.
            log.info("trigger_without_flow", trigger=self.armed.name, reason=error.what)
            self._retry(RETRY_S)
        except PodiumError as error:
            if self.state.error != error.what:
                log.warning("trigger_trouble", trigger=self.armed.name, error=error.what, hint=error.hint)
            passing = error.retryable or isinstance(error, (LimitError, StorageError))
            self._retry(RETRY_S if passing else RETRY_LATER_S)
            self._in_trouble = True
            await self._show(error.what)
        else:
            self.retry_at = None
            if self._in_trouble:
                self._in_trouble = False
                await self._show(None)

    def _retry(self, pause_s: float) -> None:
        self.retry_at = self.tools.clock.now() + timedelta(seconds=pause_s)
        self.tools.bell.ring_at(self.armed.name, self.retry_at, self.ring)

    async def _show(self, error: str | None) -> None:
        """Put an error into the state, where lists and pages find it. That it cannot be stored changes nothing else."""
        if self.state.error == error:
            return
        self.state.error = error
        try:
            await self.tools.orchestrator.remember_trigger(*self.armed.place, {"error": error})
        except PodiumError as trouble:
            log.warning("trigger_state_not_stored", trigger=self.armed.name, error=trouble.what)


def switch(disabled: bool, now: datetime) -> dict[str, Any]:
    """What is stored when a trigger is switched off or on."""
    moment = to_text(now)
    return {"disabled": disabled or None, "updatedDate": moment} | ({} if disabled else {"enabledDate": moment})
