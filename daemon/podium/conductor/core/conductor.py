"""The middle of the house: commands in, decisions, one transaction, then effects. One loop owns every decision.

`submit` returns when its command is on disk. Commands that wait together are decided together and share a transaction (group commit).
Effects are performed after the transaction; what a crash cuts off is derived again from the state by `recover`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from podium.base.errors import NotFound, PodiumError, StoreError
from podium.base.system.clock import Clock
from podium.base.system.faults import point
from podium.base.system.log import get_logger
from podium.conductor.closing import Closer
from podium.conductor.core.deciding import ROUND_S, ROUND_S_MAX, Decider, Heed
from podium.conductor.core.dispatch import Background, Timers, Waiters
from podium.conductor.core.performing import Performer
from podium.conductor.core.round import Round
from podium.conductor.core.stream import Loader, Stream
from podium.conductor.library import Library
from podium.conductor.limits.bounds import Bounds
from podium.conductor.limits.intake import PAUSE, Intake, Item
from podium.conductor.limits.lanes import MANY
from podium.conductor.live import Broadcast
from podium.conductor.reads import StoreReads
from podium.engine import commands as cmd
from podium.engine import effects as fx
from podium.engine.decide.decision import attempt_id
from podium.engine.decide.entry import pending
from podium.engine.shape.view import execution_view
from podium.engine.state import Execution
from podium.storage.crypto import Cipher
from podium.store.journal import Journal

log = get_logger(__name__)
COMMANDS_A_ROUND = 5 * MANY
"""Commands that share a transaction, at most."""
_DONE_BY: Mapping[type, str] = {
    cmd.Create: "Started", cmd.Kill: "Killed", cmd.Restart: "Restarted", cmd.Pause: "Paused", cmd.Resume: "Resumed", cmd.Review: "Reviewed",
    cmd.ChangeStatus: "Status changed", cmd.SetRunState: "State of a task run changed", cmd.SetLabels: "Labels set", cmd.Begin: "Begun",
}
"""What the log of an execution says of commands that somebody with an account gave."""


class Conductor(Intake):
    """See the module's docstring. Opened by `start`, closed by `close`."""

    def __init__(
        self, *, journal: Journal, library: Library, reads: StoreReads, closer: Closer, cipher: Cipher, clock: Clock,
        performer: Callable[[Conductor], Performer], bounds: Bounds | None = None,
    ) -> None:
        super().__init__(bounds or Bounds(), library, lambda: len(self._streams))
        self.library = library
        self.live = Broadcast()
        self._journal = journal
        self._reads = reads
        self._closer = closer
        self._cipher = cipher
        self._loader = Loader(journal, library, cipher, closer.restored)
        self._clock = clock
        self._streams: dict[str, Stream] = {}
        self._waiters = Waiters()
        self._background = Background()
        self.spawn = self._background.spawn
        self.timers = Timers(clock, self._timer_fired)
        self.performer = performer(self)
        self._decider = Decider(in_flight=self._streams, performer=self.performer, limits=self.limits, closer=closer, clock=clock)

    # ---- life
    async def start(self) -> None:
        """Take up what was in flight, then take commands."""
        self.spawn(self._loop(), "conductor")
        self.spawn(self.timers.run(), "timers")
        await self.recover()

    async def recover(self) -> None:
        """Read every open execution from the journal and do again what may not have been done."""
        live: set[str] = set()
        self.limits.paused = self._reads.document(*PAUSE)
        for execution_id in await self._journal.open_streams():
            try:
                stream = await self._loader.load(execution_id)
            except Exception as error:  # one that cannot be read must not keep the others from going on
                log.error("execution_not_recovered", execution_id=execution_id, error=str(error), exc_info=error)
                continue
            self.limits.follow(stream.state, stream.tree.flow.concurrency)
            live |= _live(stream.state)
            if self.rest.lay(stream.tree, stream.state, self._clock.now()):
                self._take_up(stream)
            else:
                self._streams[execution_id] = stream
        for stream in list(self._streams.values()):
            await self._inherit(stream)
        self.spawn(self.performer.reap(live), "reap")
        for stream in list(self._streams.values()):
            if stream.state.state in ("CREATED",) and not stream.state.closed:
                self.post(stream.state.id, cmd.Begin())
            self._take_up(stream)
        self.limits_changed()

    def _take_up(self, stream: Stream) -> None:
        """Do again what may not have been done."""
        try:
            self._perform(stream, pending(stream.tree, stream.state, self._clock.now()))
        except Exception as error:  # as above
            log.error("execution_not_taken_up", execution_id=stream.state.id, exc_info=error)

    def _perform(self, stream: Stream, effects: Sequence[fx.AnyEffect]) -> None:
        """Start doing these, each by itself: one that cannot be started keeps no other back."""
        for effect in effects:
            try:
                self.performer.perform(stream, effect)
            except Exception as error:
                log.error("effect_failed", execution_id=stream.state.id, effect=type(effect).__name__, exc_info=error)

    def limits_changed(self) -> None:
        """Concurrency limits may be others now (a start, a deployment): let begin what may."""
        self.limits.admit_all()

    async def close(self, *, drain_s: float) -> None:
        """Take no more attempts, give running ones `drain_s` seconds, then let go: they are taken up again at the next start."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(drain_s, 1.0)):
                await self.slots.close(cancel=drain_s <= 0)
        await self.performer.close()
        await self.slots.close(cancel=True)
        await self._background.cancel()

    # ---- what becomes of them
    async def closed(self, execution_id: str, timeout_s: float | None) -> dict[str, Any]:
        """Wait until an execution is closed, or the time is up; its view. Raises NotFound."""
        stream = self._streams.get(execution_id)
        if execution_id in self.rest or (stream is not None and not stream.state.closed):
            await self._waiters.wait(execution_id, timeout_s)
        return await self.view(execution_id)

    async def view(self, execution_id: str) -> dict[str, Any]:
        """An execution, in flight or ended. Raises NotFound."""
        stream = self._streams.get(execution_id)
        if stream is None and execution_id in self.rest:
            stream = await self._loader.load(execution_id)
        if stream is not None and stream.state.id:
            return self._view(stream)
        return await self._closer.view_of(execution_id)

    def hear(self, heed: Heed) -> None:
        """Have `heed` told, within the round, which states executions reach."""
        self._decider.heed = heed

    # ---- reading
    def stream(self, execution_id: str) -> Stream | None:
        """The execution if it is in flight."""
        return self._streams.get(execution_id)

    async def read_back(self, execution_id: str) -> Stream:
        """An execution, in flight or ended, to look at: of its events, or of its record when those were dropped. Raises NotFound."""
        return self._streams.get(execution_id) or await self._loader.reopened(execution_id)

    def summary(self, execution_id: str) -> Mapping[str, Any] | None:
        """{id, namespace, flowId, state: {current}} of an execution in flight."""
        stream = self._streams.get(execution_id)
        return execution_view(stream.state, runs=False) if stream is not None and stream.state.id else None

    @property
    def in_flight(self) -> Mapping[str, Stream]:
        return self._streams

    @property
    def ended_runs(self) -> Mapping[str, int]:
        """How many task runs ended in which state since the start."""
        return self._decider.ended_runs

    @property
    def queue_depth(self) -> int:
        return len(self.lanes)

    def commits_in_use(self) -> dict[str, set[str]]:
        """Source → commits of executions that have not ended."""
        found: dict[str, set[str]] = {}
        for source, commit in (*self.rest.commits(), *((each.state.source, each.state.commit) for each in self._streams.values())):
            found.setdefault(source, set()).add(commit)
        return found

    # ---- the loop
    async def _loop(self) -> None:
        while True:
            if not self._decider.carried:
                await self.lanes.wait()
            items: list[Item] = []
            try:
                await self._round(items)
            except Exception as error:  # the loop must go on, whatever one round met
                log.error("round_failed", exc_info=error)
                for item in items:
                    item.fail(PodiumError(f"internal error: {error}", hint="report it with the daemon's log"))

    async def _round(self, items: list[Item]) -> None:
        """items: filled with the commands that are taken."""
        began = asyncio.get_running_loop().time()
        turn = Round(self._clock.now(), began, min(max(self.lanes.oldest_s / 4, ROUND_S), ROUND_S_MAX))
        self._reads.turn = turn
        while len(items) < COMMANDS_A_ROUND and (item := self.lanes.take()) is not None:
            items.append(item)
            await self._take(turn, item)
            if self._decider.late(turn):
                break
        await self._decider.carry_on(turn)
        try:
            if turn.batch:
                await self._journal.commit(turn.batch, turn.now)
        except StoreError as error:
            log.error("journal_not_written", error=error.what, hint=error.hint)
            await self._take_back(turn.touched)
            for item in items:
                item.fail(error)
            return
        finally:
            self._reads.turn = None
        if turn.closed:
            point("execution-closed")
        for stream, effects in turn.effects:
            self._perform(stream, effects)
        for step in turn.afterwards:
            step()
        if turn.broken:
            await self._take_back(turn.broken)
        for execution_id in turn.closed:
            self._forget(execution_id)
        self._lay_to_rest(turn)
        self.live.publish([*turn.changed.values(), *turn.changes])
        for item in items:
            item.succeed()
        if turn.batch.outgoing:
            self._closer.wake()
        if turn.kv_namespaces or turn.triggers:
            self._closer.state_changed(turn.kv_namespaces, triggers=bool(turn.triggers))

    async def _take(self, turn: Round, item: Item) -> None:
        try:
            if item.execution_id is not None and item.command is not None:
                await self._take_command(turn, item, item.execution_id, item.command)
            item.enter(turn)
        except PodiumError as error:
            if item.execution_id is not None:
                self._let_go(turn, item.execution_id)
            item.fail(error)
        except Exception as error:
            log.error("decision_failed", execution_id=item.execution_id, command=type(item.command).__name__, exc_info=error)
            if item.execution_id is not None:
                turn.broken[item.execution_id] = None
            item.fail(PodiumError(f"internal error: {error}", hint="report it with the daemon's log"))

    async def _take_command(self, turn: Round, item: Item, execution_id: str, command: cmd.Command) -> None:
        if item.asked and isinstance(command, cmd.Create):
            self.limits.refuse_when_full((command.namespace, command.flow_id))
        stream = await self._stream_for(execution_id, command)
        if isinstance(command, cmd.Create) and not stream.state.id:
            stream.born = turn.number
        turn.touched[execution_id] = stream
        if isinstance(command, cmd.Create) and stream.state.id:
            item.view = self._view(stream)
            return
        own = stream.tree.flow.concurrency
        if isinstance(command, cmd.Create):
            stream.redactor.add(command.masks)
        if isinstance(command, cmd.Begin) and command.instead is None:
            command = self.limits.admission(stream.state, own, force=command.force)
        await self._decider.decide(turn, stream, command)
        if item.by and (done := _DONE_BY.get(type(command))):
            turn.log(stream, "INFO", f"{done} by {item.by}")
        if isinstance(command, cmd.Create) and command.failed_because is None:
            await self._decider.decide(turn, stream, self.limits.admission(stream.state, own))
        elif isinstance(command, (cmd.Restart, cmd.SetRunState)):
            await self._decider.decide(turn, stream, cmd.Begin(force=True))
        if item.wants_view:
            item.view = self._view(stream)
        self._let_go(turn, execution_id)

    def _let_go(self, turn: Round, execution_id: str) -> None:
        """Keep no execution in memory for a command that changed nothing of it: it ended before, or was never made."""
        stream = self._streams.get(execution_id)
        if stream is not None and (not stream.state.id or (stream.state.closed and execution_id not in turn.closed)):
            del self._streams[execution_id]

    async def also(self, turn: Round, execution_id: str, command: cmd.Command) -> None:
        """Take a further command into the round in the making: durable together with what caused it. Raises PodiumError."""
        await self._take_command(turn, Item(execution_id, command, None, asyncio.Future(), wants_view=False), execution_id, command)

    async def _stream_for(self, execution_id: str, command: cmd.Command) -> Stream:
        stream = self._streams.get(execution_id)
        if stream is not None:
            return stream
        if execution_id in self.rest:
            stream = await self._loader.load(execution_id)
            await self._inherit(stream)
            self.rest.wake(execution_id)
        elif isinstance(command, cmd.Create):
            tree = self.library.tree(command.namespace, command.flow_id, command.revision, loop=command.loop)
            stream = Stream(state=Execution(), tree=tree, cipher=self._cipher)
            await self._inherit(stream, command.loop)
        elif isinstance(command, (cmd.Restart, cmd.ChangeStatus, cmd.SetRunState, cmd.SetLabels)):
            stream = await self._loader.reopened(execution_id)
            await self._inherit(stream)
        else:
            raise NotFound(f"execution '{execution_id}' is not in flight", hint="it ended already, or never was", execution_id=execution_id)
        self._streams[execution_id] = stream
        return stream

    async def _inherit(self, stream: Stream, loop: Mapping[str, Any] | None = None) -> None:
        """Let an iteration see the outputs of the execution that holds its Loop. loop: where the state does not say it yet."""
        loop = stream.state.loop if loop is None else loop
        if loop is None:
            return
        try:
            above = self._streams.get(loop["executionId"]) or await self._loader.reopened(loop["executionId"])
        except PodiumError as error:
            log.warning("outer_execution_gone", execution_id=stream.state.id, error=error.what)
            return
        if above.state.loop is not None and not above.inherited:
            await self._inherit(above)
        stream.inherit(above)

    async def _take_back(self, execution_ids: Iterable[str]) -> None:
        """A transaction or a decision failed: forget what memory says of these executions, go on from what is on disk."""
        gone = set(execution_ids)
        self._decider.drop(gone)
        for execution_id in gone:
            old = self._streams.pop(execution_id, None)
            if old is not None:
                self.limits.forget(old.state)
            try:
                stream = await self._loader.load(execution_id)
            except Exception as error:
                if not isinstance(error, NotFound):
                    log.error("execution_not_taken_back", execution_id=execution_id, exc_info=error)
                continue
            if not stream.state.closed:
                await self._inherit(stream)
                if old is not None:  # attempts that run on tell its redactor what they use
                    old.redactor.add(stream.redactor.given)
                    stream.redactor = old.redactor
                self._streams[execution_id] = stream
                self.limits.follow(stream.state, stream.tree.flow.concurrency)
                self._take_up(stream)
        self.limits.admit_all()  # what was taken back held places

    def _forget(self, execution_id: str) -> None:
        stream = self._streams.get(execution_id)
        if stream is None or not stream.state.closed:
            return
        del self._streams[execution_id]
        self.timers.forget(execution_id)
        self._waiters.wake(execution_id)
        self.performer.closed(stream)

    def _lay_to_rest(self, turn: Round) -> None:
        """Keep out of memory what only waits to begin, beyond some."""
        for execution_id, stream in turn.touched.items():
            if self._streams.get(execution_id) is stream and self.rest.lay(stream.tree, stream.state, turn.now):
                del self._streams[execution_id]

    def _view(self, stream: Stream) -> dict[str, Any]:
        view = execution_view(stream.state, tree=stream.tree, now=self._clock.now())
        shown: dict[str, Any] = stream.redactor.value(view)
        state = stream.state
        return {**shown, "git": {"source": state.source, "commit": state.commit, "path": state.path, "blob": state.blob}}

    def _timer_fired(self, execution_id: str, key: str) -> None:
        if execution_id not in self._streams and execution_id not in self.rest:
            return
        if key == ":schedule":
            self.post(execution_id, cmd.Begin())
        else:
            self.post(execution_id, cmd.TimerFired(key=key))


def _live(state: Execution) -> set[str]:
    """Ids of the attempts of an execution that are not over, and of its task runs, which may have a directory: what reaping must spare."""
    open_runs = [run for run in state.runs.values() if not run.ended]
    attempts = {attempt_id(run.id, len(run.attempts)) for run in open_runs if run.attempts and run.attempts[-1].state in ("CREATED", "RUNNING")}
    return attempts | {run.id for run in open_runs}
