"""Decisions of one round: commands become events, and what can be answered at once goes on at once.

One execution never holds up the others: a round that took long leaves further inline tasks and questions to the next.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from podium.base.system.clock import Clock
from podium.base.system.log import get_logger
from podium.conductor.closing import Closer
from podium.conductor.core.performing import Performer
from podium.conductor.core.round import Round
from podium.conductor.core.stream import Stream
from podium.conductor.limits.admission import Admission
from podium.engine import commands as cmd
from podium.engine import effects as fx
from podium.engine import events as ev
from podium.engine.decide.entry import decide
from podium.engine.state import apply

Heed = Callable[[Round, Stream, Sequence[ev.ExecutionMoved]], None]
log = get_logger(__name__)
ROUND_S = 0.025
"""After this long a round leaves what it can to the next. What else happens on the loop (HTTP, timers) waits at most about twice as long."""
ROUND_S_MAX = 0.25
"""When commands wait long, a round may take a quarter of the time that the first one has waited, up to this: a crowd at the door must not
keep what was let in from going on."""


class Decider:
    """Used by the conductor's loop alone. in_flight: its executions."""

    def __init__(self, *, in_flight: Mapping[str, Stream], performer: Performer, limits: Admission, closer: Closer, clock: Clock) -> None:
        self._in_flight = in_flight
        self._performer = performer
        self._limits = limits
        self._closer = closer
        self._clock = clock
        self.carried: OrderedDict[str, deque[fx.AnyEffect]] = OrderedDict()
        """Inline tasks and questions left over by a long round, by execution; these take turns. The state tells them again after a crash."""
        self.heed: Heed | None = None
        """Told, within the round, which states an execution reached."""
        self.ended_runs: dict[str, int] = {}
        """How many task runs ended in which state since the start."""

    def drop(self, execution_ids: Iterable[str]) -> None:
        """Forget what is left over of these executions."""
        for execution_id in execution_ids:
            self.carried.pop(execution_id, None)

    async def decide(self, turn: Round, stream: Stream, command: cmd.Command) -> None:
        """Decide a command and all that follows from it at once."""
        await self._follow(turn, stream, deque([command]))

    async def carry_on(self, turn: Round) -> None:
        """Do what earlier rounds left over, for as long again as a round may take. At least one thing, so that it comes to an end."""
        turn.began = asyncio.get_running_loop().time()
        turn.budget = ROUND_S
        while self.carried:
            execution_id, effects = self.carried.popitem(last=False)
            effect = effects.popleft()
            if effects:
                self.carried[execution_id] = effects
            stream = self._in_flight.get(execution_id)
            if stream is None or stream.state.closed:
                continue
            turn.touched[execution_id] = stream
            try:
                answers = await self._performer.at_once(turn, stream, effect)
                if answers is None:
                    turn.effects.append((stream, [effect]))
                else:
                    await self._follow(turn, stream, deque(answers))
            except Exception as error:
                log.error("decision_failed", execution_id=execution_id, effect=type(effect).__name__, exc_info=error)
                turn.broken[execution_id] = None
            if self.late(turn):
                return

    def late(self, turn: Round) -> bool:
        """Whether a round has taken so long that others should have their turn."""
        return asyncio.get_running_loop().time() - turn.began > turn.budget

    async def _follow(self, turn: Round, stream: Stream, commands: deque[cmd.Command]) -> None:
        """Decide, enter the events, and go on with whatever can be answered at once, or in the next round when this one was long."""
        state = stream.state
        before = state.version
        changed = False
        while commands:
            turn.now = self._clock.now()
            events, effects = decide(stream.tree, state, commands.popleft(), turn.now)
            if events:
                changed = True
                if (used := stream.secrets_used(events[-1].at)) is not None:
                    apply(state, used)
                    events = [*events, used]
                turn.enter(stream, [*stream.unwritten, *events], before - len(stream.unwritten))
                stream.unwritten = []
            before = state.version
            for event in events:
                turn.count(event, self.ended_runs)
            if self.heed is not None and (moved := [event for event in events if isinstance(event, ev.ExecutionMoved)]):
                self.heed(turn, stream, moved)
            later = []
            for effect in effects:
                if isinstance(effect, (fx.RunAttempt, fx.Evaluate)) and self.late(turn):
                    self.carried.setdefault(state.id, deque()).append(effect)
                    continue
                answers = await self._performer.at_once(turn, stream, effect)
                if answers is None:
                    later.append(effect)
                else:
                    commands.extend(answers)
            if later:
                turn.effects.append((stream, later))
        if changed:
            self._after(turn, stream)

    def _after(self, turn: Round, stream: Stream) -> None:
        """What a changed execution means for the index, the concurrency limit, and its record."""
        state = stream.state
        self._limits.follow(state, stream.tree.flow.concurrency)
        if not state.closed:
            turn.closed.pop(state.id, None)
        elif state.id not in turn.closed:
            self._closer.close(turn, stream)
            turn.closed[state.id] = None
        turn.index(stream, self._closer.record_path(stream) if state.closed else None)
