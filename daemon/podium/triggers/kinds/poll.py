"""Polling triggers of plug-ins (http.Trigger and its like): asks every `interval`, and starts an execution when there is something.

Made by board for a trigger class that offers `plugin.Polling.poll`. The poll runs in a thread, or in a child process where its class says
IN_CHILD, a bounded number of them at a time and never two of one trigger; what it remembers is stored in the transaction of the start.
A poll that hangs delays only its own trigger; one in a child ends when its trigger changes, goes or the daemon ends.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from podium.base.errors import PodiumError
from podium.base.moments import to_text
from podium.base.redact import Redactor
from podium.base.system.ids import new_id
from podium.base.system.log import get_logger
from podium.base.system.threads import in_own_thread
from podium.flows.model import Trigger
from podium.plugin import FileStore, Polling, TaskFailed
from podium.triggers.firing import Armed, Event, Firing
from podium.triggers.runner import Runner, Tools

log = get_logger(__name__)
_INTERVAL_MIN = timedelta(seconds=1)
_FOLDER = "podium-poll-"
_LEVELS = {"ERROR": "error", "WARN": "warning", "INFO": "info", "DEBUG": "debug", "TRACE": "debug"}


def is_polling(trigger: Trigger) -> bool:
    """Whether the trigger's class is one that is asked."""
    return callable(getattr(trigger, "poll", None)) and isinstance(getattr(trigger, "interval", None), timedelta)


class PollRunner(Runner):
    """One polling trigger."""

    def __init__(self, armed: Armed, tools: Tools) -> None:
        super().__init__(armed, tools)
        self._asking = False
        self._child: asyncio.Future[Mapping[str, Any] | None] | None = None
        self._asked: Trigger | None = None

    async def begin(self, *, changed: bool) -> None:
        """See Runner."""
        if self._asked is not None and self._asked != self.armed.trigger:
            self.end()
        if self.state.next is None or changed or self.state.removed:
            self.state.next, self.state.removed = self.tools.clock.now(), False
            await self.remember()

    async def work(self) -> None:
        """See Runner: begins to ask; the answer is dealt with when it is there."""
        now, due = self.tools.clock.now(), self.state.next
        if self._asking or due is None or (self.state.execution_id is not None and not self.armed.trigger.allow_concurrent):
            return
        if due > now:
            self.tools.bell.ring_at(self.armed.name, due, self.ring)
            return
        self._asking = True
        self.tools.spawn(self._ask(due))

    def end(self) -> None:
        """See Runner: a poll in a child is no longer waited for."""
        if self._child is not None:
            self._child.cancel()

    async def _ask(self, due: datetime) -> None:
        """One poll, and what follows from it."""
        armed, remembered = self.armed, dict(self.state.poll)
        variables: Mapping[str, Any] | None = None
        trouble: str | None = None
        redactor = Redactor()
        try:
            async with self.tools.polls:
                variables = await self._poll(armed, remembered, redactor)
        except (PodiumError, TaskFailed) as error:
            trouble = redactor.text(str(error))
        except Exception as error:  # noqa: BLE001 - a plug-in may fail in any way
            trouble = redactor.text(f"{type(error).__name__}: {error}")
            log.error("poll_crashed", trigger=armed.name, trace=redactor.text("".join(traceback.format_exception(error))))
        finally:
            self._asking = False
        async with self.busy:
            if self.stopped or armed.trigger != self.armed.trigger:
                return
            await self._guarded(lambda: self._answered(due, remembered, variables, trouble, redactor.given))
        if self.retry_at is None:
            await self.ring()

    async def _poll(self, armed: Armed, remembered: dict[str, Any], redactor: Redactor) -> Mapping[str, Any] | None:
        rendered = await self.tools.firing.rendered(armed, {}, redactor)
        assert is_polling(rendered)
        asked: Any = rendered
        if self.tools.children is None or not getattr(asked, "IN_CHILD", False):
            return await in_own_thread(_called, asked, armed, self.tools.firing, remembered, redactor)
        folder = await asyncio.to_thread(tempfile.mkdtemp, prefix=_FOLDER)
        try:
            context = _Context(armed, self.tools.firing, remembered, Path(folder), redactor)
            self._asked = armed.trigger
            self._child = asyncio.ensure_future(self.tools.children.poll(asked, context, remembered))
            return await self._child
        finally:
            self._child = self._asked = None
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))

    async def _answered(
        self, due: datetime, remembered: dict[str, Any], variables: Mapping[str, Any] | None, trouble: str | None, masks: Sequence[str]
    ) -> None:
        now = self.tools.clock.now()
        interval: timedelta = getattr(self.armed.trigger, "interval", timedelta(seconds=60))
        before = replace(self.state)
        if trouble is not None and trouble != before.error:
            log.warning("poll_failed", trigger=self.armed.name, reason=trouble)
        self.state.next, self.state.error = now + max(interval, _INTERVAL_MIN), trouble
        key = f"poll:{self.armed.name}:{to_text(due)}"
        try:
            if trouble is not None:
                await self._troubled(trouble, key, due)
            elif variables is None:
                self.state.poll = remembered
                await self.remember()
            else:
                self.state.poll, self.state.date = remembered, due
                cursor = self.state.as_cursor(now)
                event = Event(variables=self._recorded(variables), seen=dict(variables), key=key, cursor=cursor, masks=masks)
                view = await self.tools.firing.start_if(self.armed, event)
                if view is None:
                    await self.remember()
                elif not self.armed.trigger.allow_concurrent:
                    await self.lock(view)
        except PodiumError:
            self.state = before
            raise

    def _recorded(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """As they are recorded: what the trigger calls secret is encrypted."""
        secret, seal = getattr(self.armed.trigger, "SECRET_VARIABLES", ()), self.tools.seal
        recorded = {name: value for name, value in variables.items() if name not in secret}
        return recorded if seal is None else {**recorded, **{name: seal(variables[name]) for name in secret if name in variables}}

    async def _troubled(self, trouble: str, key: str, due: datetime) -> None:
        if self.armed.trigger.fail_on_trigger_error:
            self.state.date = due
            event = Event(variables={}, key=key, cursor=self.state.as_cursor(self.tools.clock.now()))
            view = await self.tools.firing.fail(self.armed, event, f"trigger '{self.armed.trigger.id}' failed: {trouble}")
            await self.lock(view)
        else:
            await self.remember()


def _called(
    trigger: Polling, armed: Armed, firing: Firing, remembered: dict[str, Any], redactor: Redactor
) -> Mapping[str, Any] | None:
    with tempfile.TemporaryDirectory(prefix=_FOLDER) as folder:
        return trigger.poll(_Context(armed, firing, remembered, Path(folder), redactor))


class _Log:
    """The log of a poll goes to the daemon's own."""

    def __init__(self, name: str, redactor: Redactor) -> None:
        self._log = log.bind(trigger=name)
        self._redactor = redactor

    def log(self, level: str, message: str) -> None:
        """See plugin.Logger."""
        getattr(self._log, _LEVELS.get(level, "info"))("poll_says", message=self._redactor.text(message))


@dataclass
class _Context:
    """What a poll may use: see plugin.PollContext."""

    armed: Armed
    firing: Firing
    state: dict[str, Any]
    working_dir: Path
    redactor: Redactor
    _id: str = field(default_factory=new_id)

    @property
    def variables(self) -> Mapping[str, Any]:
        """What expressions of the trigger see."""
        return self.firing.variables(self.armed, {})

    @property
    def namespace(self) -> str:
        """See PollContext."""
        return self.armed.revision.namespace

    @property
    def flow_id(self) -> str:
        """See PollContext."""
        return self.armed.revision.flow_id

    @property
    def log(self) -> _Log:
        """See PollContext."""
        return _Log(self.armed.name, self.redactor)

    @property
    def files(self) -> FileStore:
        """Files that a poll stores; the execution it starts may read them, as their URIs are in its trigger's variables."""
        return self.firing.files(self.armed, self._id)

    @property
    def zone(self) -> tzinfo:
        """See PollContext."""
        return self.firing.zone

    def render(self, template: Any, extra: Mapping[str, Any] | None = None) -> Any:
        """See PollContext."""
        return self.firing.value_now(self.armed, template, {}, extra=extra, redactor=self.redactor)
