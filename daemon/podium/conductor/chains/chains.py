"""Flow triggers at work: executions that reach a state start executions of the flows that listen. Made by app/wiring. Source: ruling 4.

What always holds: that a listener has to look at a transition is noted in the transaction of the transition (document kind `chain`);
the note goes in the transaction in which the trigger's windows change and the execution that it starts is created. So a crash
neither loses nor doubles one. A trigger with windows looks at transitions one after the other; a slow one keeps no other back.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from podium.base.errors import FlowDisabled, FlowNotFound, InputError, LimitError, NotFound, PodiumError, StoreError, TakesLong
from podium.base.limits import CHAIN_DEPTH_MAX, CHAIN_STARTS_MAX
from podium.base.moments import to_text
from podium.base.system.clock import Clock
from podium.base.system.faults import point
from podium.base.system.log import get_logger
from podium.conductor.chains.gates import Listener, Place
from podium.conductor.chains.index import Index
from podium.conductor.chains.judging import Judge, Verdict, gift, outputs_of
from podium.conductor.chains.upstream import Upstream
from podium.conductor.core.conductor import Conductor
from podium.conductor.core.evaluate import is_slow
from podium.conductor.core.requests import merge_trigger
from podium.conductor.core.round import Round
from podium.conductor.core.stream import Stream
from podium.conductor.library import Library
from podium.conductor.port import StartRequest
from podium.conductor.starting import CORRELATION, Starter, chain_depth
from podium.engine import commands as cmd
from podium.engine import events as ev
from podium.engine.decide.decision import derived_id
from podium.engine.decide.tasks import encode_time
from podium.rendering.renderer import Renderer
from podium.store.documents import Documents

log = get_logger(__name__)
T = TypeVar("T")
KIND = "chain"
_STREAMS_KEPT = 256
"""Transitions that wait for one trigger keep their execution in memory up to this many; what is behind is read back."""
_AGAIN_S = 1.0
_TEXTS_S = 600.0
_TEXTS_EVERY_S = 0.25
_NOWHERE = ("", "", "")
"""The place in notes of transitions that happen while it is not known who listens."""
_CORRELATIONS_MAX = 10_000
_AT_ONCE = 64
"""Transitions that a trigger without windows looks at together: they share a transaction."""
_GONE: Mapping[str, Any] = dict.fromkeys(("windows", "date", "error", "disabled", "enabledDate"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """That a listener has to look at a transition. number: of the transition in the execution's history."""

    place: Place
    execution_id: str
    number: int
    state: str
    at: datetime

    @property
    def key(self) -> str:
        return f"{self.place[1]}/{self.place[2]}/{self.execution_id}/{self.number}"

    @property
    def starts(self) -> str:
        """The id of the execution that is started for it: the same whenever it is looked at again."""
        return encode_time(int(self.at.timestamp() * 1000), derived_id("chain", *self.place, self.execution_id, self.number))

    def as_dict(self) -> dict[str, Any]:
        return {
            "flowId": self.place[1], "triggerId": self.place[2], "executionId": self.execution_id, "number": self.number, "state": self.state,
            "at": self.at.isoformat(),
        }


class Chains:
    """See the module's docstring. Everything but the evaluation of slow expressions happens on the conductor's loop."""

    def __init__(
        self, *, conductor: Conductor, library: Library, starter: Starter, documents: Documents, renderer: Renderer, clock: Clock, zone: tzinfo
    ) -> None:
        """zone: of windows that name none."""
        self._conductor = conductor
        self._starter = starter
        self._documents = documents
        self._renderer = renderer
        self._clock = clock
        self._index = Index(library, zone, self._vanished)
        self._slow: dict[Place, tuple[Listener, bool]] = {}
        self._queues: dict[Place, deque[tuple[Note, Stream | None]]] = {}
        self._deep: OrderedDict[str, int] = OrderedDict()
        """Correlation id → executions that flow triggers started further down its chains."""
        self._recovered = asyncio.Event()
        self._waiting = False
        library.changed = self._flows_changed
        conductor.hear(self.heed)

    def recover(self) -> None:
        """Look at what was noted and not looked at before the last end of the daemon. Called once, when the conductor has started."""
        self._recovered.set()
        if self._index.complete:
            self._take_up()

    def _flows_changed(self) -> None:
        self._index.rebuild()
        if not self._index.complete and not self._waiting:
            self._waiting = True
            self._conductor.spawn(self._until_complete(), "flow triggers wait for texts")

    async def _until_complete(self) -> None:
        """Once who listens is known, look at what happened meanwhile. A text that stays away is given up after a while."""
        await self._recovered.wait()
        for _ in range(int(_TEXTS_S / _TEXTS_EVERY_S)):
            if self._index.complete:
                break
            await asyncio.sleep(_TEXTS_EVERY_S)
            self._index.rebuild()
        else:
            log.error("flow_triggers_incomplete", hint="some flows cannot be read: podium doctor")
            self._index.complete = True
        self._waiting = False
        self._take_up()

    def _take_up(self) -> None:
        known = {note.key for queue in self._queues.values() for note, _ in queue}
        notes = [(_note(each["namespace"], each["value"]), each["value"].get("upstream")) for each in self._documents.entries(KIND)]
        for note, upstream in sorted(notes, key=lambda each: (each[0].at, each[0].key)):
            if upstream is not None:
                self._conductor.spawn(self._written(partial(self._place, note, upstream)), "flow triggers")
            elif note.key not in known:
                self._take_in(note, None)

    def _place(self, note: Note, upstream: Sequence[str], turn: Round) -> None:
        """Who has to look at a transition that was noted when that was not known."""
        turn.document(KIND, note.place[0], note.key, None)
        for listener in self._index.find(upstream[0], upstream[1], note.state):
            mine = replace(note, place=listener.place)
            turn.document(KIND, mine.place[0], mine.key, mine.as_dict())
            turn.afterwards.append(partial(self._take_in, mine, None))

    # ---- transitions

    def heed(self, turn: Round, stream: Stream, moved: Sequence[ev.ExecutionMoved]) -> None:
        """Note in this round who has to look at these transitions. Executions of loops are no news: their execution is."""
        state = stream.state
        if state.loop is not None or not (self._index or not self._index.complete):
            return
        first = len(state.history) - len(moved)
        for offset, event in enumerate(moved):
            if not self._index.complete:
                note = Note(place=_NOWHERE, execution_id=state.id, number=first + offset, state=event.state, at=event.at)
                turn.document(KIND, _NOWHERE[0], note.key, {**note.as_dict(), "upstream": [state.namespace, state.flow_id]})
                continue
            for listener in self._index.find(state.namespace, state.flow_id, event.state):
                note = Note(place=listener.place, execution_id=state.id, number=first + offset, state=event.state, at=event.at)
                turn.document(KIND, note.place[0], note.key, note.as_dict())
                turn.afterwards.append(partial(self._take_in, note, stream))

    def _take_in(self, note: Note, stream: Stream | None) -> None:
        """The note is on disk: look at it when its turn has come."""
        point("flow-trigger-noted")
        queue = self._queues.get(note.place)
        if queue is None:
            self._queues[note.place] = deque([(note, stream)])
            self._conductor.spawn(self._work(note.place), "flow trigger")
        else:
            queue.append((note, stream if len(queue) < _STREAMS_KEPT else None))

    async def _work(self, place: Place) -> None:
        queue = self._queues[place]
        try:
            while queue:
                listener = self._index.at(place)
                batch = [queue[0]] if listener is not None and listener.remembers else list(islice(queue, _AT_ONCE))
                outcomes = await asyncio.gather(*(self._look(note, stream) for note, stream in batch), return_exceptions=True)
                queue.extend(again := [each for each, outcome in zip(batch, outcomes, strict=True) if isinstance(outcome, Exception)])
                for _ in batch:
                    queue.popleft()
                if again:
                    log.error("flow_trigger_looks_again", trigger="/".join(place), exc_info=next(filter(None, outcomes)))
                    await asyncio.sleep(_AGAIN_S)
        finally:
            del self._queues[place]

    async def _look(self, note: Note, stream: Stream | None) -> None:
        """Decide about one note; when this is done, it is no more."""
        listener = self._index.at(note.place)
        stored = self._documents.get("trigger", note.place[0], f"{note.place[1]}/{note.place[2]}") or {}
        if listener is None or stored.get("disabled"):
            await self._enter(note, None, {})
            return
        command: cmd.Create | None = None
        change: dict[str, Any] = {}
        error: str | None = listener.error
        try:
            if error is None:
                stream = stream or await self._conductor.read_back(note.execution_id)
                upstream = Upstream(stream, listener, note.state, note.at)
                judge = Judge(self._renderer, listener, upstream)
                verdict = await self._evaluated(listener, upstream, lambda: judge.verdict(stored.get("windows") or {}))
                error = verdict.error
                if verdict.windows is not None:
                    change["windows"] = verdict.windows or None
                if verdict.fires:
                    command, refused = await self._start(note, listener, upstream, verdict)
                    error = refused or error
        except NotFound:
            log.warning("flow_trigger_upstream_gone", trigger=listener.name, execution_id=note.execution_id)
        except Exception as trouble:  # a mistake of ours with one transition must not end the trigger
            log.error("flow_trigger_crashed", trigger=listener.name, execution_id=note.execution_id, exc_info=trouble)
            error = f"internal error: {type(trouble).__name__}"
        if error is not None and error != stored.get("error"):
            log.warning("flow_trigger_trouble", trigger=listener.name, execution_id=note.execution_id, error=error)
        if error != stored.get("error") and (error is not None or command is not None):
            change["error"] = error
        if command is not None:
            change["date"] = to_text(note.at)
        await self._enter(note, command, change)

    async def _evaluated(self, listener: Listener, upstream: Upstream, evaluate: Callable[[], T]) -> T:
        """On a thread when an expression of the trigger may have to wait for the outside, or takes more than a moment; else at once."""
        known = self._slow.get(listener.place)
        if known is None or known[0] is not listener:
            written = listener.trigger.model_dump(mode="json", by_alias=True)
            known = self._slow[listener.place] = (listener, listener.has_pattern or is_slow(written, listener.revision.model.dialect))
        if not known[1]:
            upstream.brisk = True
            with suppress(TakesLong):
                return evaluate()
            upstream.brisk = False
        return await asyncio.to_thread(evaluate)

    # ---- starting

    async def _start(self, note: Note, listener: Listener, upstream: Upstream, verdict: Verdict) -> tuple[cmd.Create | None, str | None]:
        """The command that makes the execution, or why there is none."""
        namespace, flow_id, _ = note.place
        correlation = upstream.labels.get(CORRELATION, upstream.execution_id)
        depth = chain_depth(upstream.trigger) + 1
        refused = self._runs_away(correlation, depth)
        if refused is not None:
            log.error("flow_chain_refused", trigger=listener.name, execution_id=upstream.execution_id, correlation=correlation, reason=refused)
            return None, refused
        outputs = outputs_of(listener, await self._outputs(upstream, verdict))
        given = await self._evaluated(listener, upstream, lambda: gift(self._renderer, listener, upstream, outputs))
        failed = given.failed_because and f"the inputs of trigger '{listener.trigger.id}' cannot be rendered: {given.failed_because}"
        try:
            if failed and not listener.new:
                raise InputError(failed, hint="fix the inputs of the trigger", input="")
            return await self._starter.prepare(StartRequest(
                namespace=namespace, flow_id=flow_id, inputs=given.inputs, labels={**given.labels, CORRELATION: correlation},
                trigger={"id": listener.trigger.id, "type": listener.trigger.type, "variables": dict(given.variables), "depth": depth},
                fail_on_bad_inputs=listener.new, failed_because=upstream.text(failed) if failed else None, masks=upstream.secrets,
            ), note.starts), None
        except (FlowNotFound, FlowDisabled):
            return None, None
        except InputError as error:
            return None, upstream.text(f"Failed to trigger flow {namespace}.{flow_id}, invalid inputs: {error.what}")

    async def _outputs(self, upstream: Upstream, verdict: Verdict) -> dict[str, list[Mapping[str, Any]]]:
        """Flow id → outputs of the executions that the trigger fires for, oldest first."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        for met in verdict.met:
            outputs = upstream.outputs
            if met.execution_id != upstream.execution_id:
                try:
                    outputs = (await self._conductor.read_back(met.execution_id)).state.outputs
                except NotFound:
                    log.warning("flow_trigger_outputs_gone", execution_id=met.execution_id)
                    outputs = {}
            several = found.pop(met.flow_id, [])
            found[met.flow_id] = [*several, outputs]
        return found

    def _runs_away(self, correlation: str, depth: int) -> str | None:
        """Why a chain must not go on, or None. Counts of this life of the daemon only: they are there to stop what grows."""
        if depth > CHAIN_DEPTH_MAX:
            return f"flow triggers started each other {CHAIN_DEPTH_MAX} times in a row (CHAIN_DEPTH_MAX): do they run in a circle?"
        if depth == 1:
            return None
        count = self._deep.pop(correlation, 0)
        self._deep[correlation] = min(count + 1, CHAIN_STARTS_MAX)
        if len(self._deep) > _CORRELATIONS_MAX:
            self._deep.popitem(last=False)
        if count >= CHAIN_STARTS_MAX:
            return f"flow triggers started {CHAIN_STARTS_MAX} executions out of one (CHAIN_STARTS_MAX): do they run in a circle?"
        return None

    async def _enter(self, note: Note, command: cmd.Create | None, change: Mapping[str, Any]) -> None:
        """Have it on disk, all of it at once: the note is gone, the trigger's state is the new one, the execution exists."""
        def enter(turn: Round) -> None:
            turn.document(KIND, note.place[0], note.key, None)
            if change:
                self._merge(turn, note.place, change)

        if command is not None:
            try:
                await self._conductor.insist(command.id, command, enter)
                point("flow-trigger-started")
                return
            except PodiumError as error:
                log.error("flow_trigger_not_started", trigger="/".join(note.place), execution_id=note.execution_id, error=error.what)
        await self._written(enter)

    def _merge(self, turn: Round, place: Place, change: Mapping[str, Any]) -> None:
        state = {**change, "updatedDate": to_text(self._clock.now())}
        merge_trigger(turn, self._documents, namespace=place[0], flow_id=place[1], trigger_id=place[2], state=state)

    async def _written(self, enter: Callable[[Round], None]) -> None:
        delay = 0.05
        while True:
            try:
                await self._conductor.write(enter)
            except (StoreError, LimitError) as error:
                log.warning("flow_trigger_waits", error=error.what)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)
            else:
                return

    # ---- state

    def _vanished(self, place: Place) -> None:
        """A trigger was taken out of its flow: should it come back, it begins anew."""
        self._slow.pop(place, None)
        if self._documents.get("trigger", place[0], f"{place[1]}/{place[2]}") is not None:
            self._conductor.spawn(self._written(lambda turn: self._merge(turn, place, _GONE)), "flow trigger removed")

    def shown(self, place: Place, stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """The state of a trigger as people see it: a flow trigger's windows with what is met and what is missing."""
        listener = self._index.at(place)
        state = None if stored is None else {name: value for name, value in stored.items() if name != "windows"}
        if listener is None:
            return state
        known, now, windows = (stored or {}).get("windows") or {}, self._clock.now(), []
        for gate in listener.gates if listener.remembers else ():
            kept = known.get(gate.key) or {}
            open_now = kept.get("definition") == gate.definition and now < datetime.fromisoformat(kept["end"])
            results = kept["results"] if open_now else {}
            windows.append({
                "id": gate.key, **({"start": kept["start"], "end": kept["end"]} if open_now else {}), "needed": gate.needed,
                "met": [{"condition": name, **met} for name, met in results.items()],
                "missing": [name for name in gate.entries if name not in results],
            })
        if listener.error is not None:
            state = {**(state or {}), "error": listener.error}
        return {**(state or {}), "windows": windows} if windows else state


def _note(namespace: str, stored: Mapping[str, Any]) -> Note:
    return Note(
        place=(namespace, stored["flowId"], stored["triggerId"]), execution_id=stored["executionId"], number=stored["number"],
        state=stored["state"], at=datetime.fromisoformat(stored["at"]),
    )
