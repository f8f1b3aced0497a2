"""The triggers that are wanted, and those that run: keeps the second like the first. Made by app/wiring; web calls it through
base/ports.TriggerControls, and hands webhook deliveries to `accept`.

Wanted is what the deployed flows say (schedules, files, polls; webhooks need nobody to run; Flow triggers live in the engine). The
conductor's changes are followed; as a slow listener may miss some, everything is looked over again now and then. What always
holds: one trigger's trouble stays its own; stopping lets a start that is under way finish, so that nothing is half done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from podium.base.errors import ConflictError, FlowNotFound, NotFound, PodiumError
from podium.base.limits import BODY_BYTES_MAX, CATCH_UP_DATES_MAX
from podium.base.moments import from_text
from podium.base.ports import Answer, Delivery, FlowRevision
from podium.base.system.clock import Clock
from podium.base.system.log import get_logger
from podium.conductor.port import Orchestrator
from podium.flows.model import STATES, TERMINAL, Flow, Trigger
from podium.flows.triggers import FileTrigger, Schedule, ScheduleOnDates
from podium.flows.types import Types
from podium.rendering.renderer import Renderer
from podium.triggers.bell import Bell, Bells
from podium.triggers.firing import Armed, Firing, find_trigger
from podium.triggers.kinds.files import FileRunner
from podium.triggers.kinds.poll import PollRunner, is_polling
from podium.triggers.kinds.schedule import BackfillRequest, ScheduleRunner
from podium.triggers.kinds.webhook import WebhookDoor
from podium.triggers.runner import Runner, Tools, switch
from podium.triggers.state import TriggerState
from podium.workers.polls import Polls

log = get_logger(__name__)
Place = tuple[str, str, str]
SWEEP_S = 2.0
"""How often due triggers are looked for that no bell has rung."""
CHECK_S = 30.0
"""How often everything is looked over: flows, and executions that are waited for."""
CLOSE_S = 5.0
_BEGIN_S_MAX = 10.0
"""How long a person's command waits for a trigger that is about to begin."""
_LISTEN_AGAIN_S = 1.0
_OPEN = tuple(state for state in STATES if state not in TERMINAL)
_EXECUTIONS_READ = 1_000


class TriggerBoard:
    """See the module's docstring."""

    def __init__(
        self, *, orchestrator: Orchestrator, renderer: Renderer, types: Types, clock: Clock, zone: tzinfo, home: Path,
        allowed_paths: Sequence[Path] = (), recover_missed: str = "ALL", catch_up_max: int = CATCH_UP_DATES_MAX, scan_s: float = 10.0,
        body_bytes_max: int = BODY_BYTES_MAX, bell: Bells | None = None, polls: Polls | None = None, seal: Callable[[Any], Any] | None = None,
    ) -> None:
        """recover_missed: for schedules that name no rule. scan_s: seconds between scans of watched directories. bell: for tests.

        polls: carries out, and is closed with the board, polls that must not happen in this process. seal: encrypts values that are recorded.

        home, types: not needed so far; all state is in the journal, and what a trigger is its class says.
        """
        self._orchestrator = orchestrator
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._bell = bell or Bell(self._spawn)
        firing = Firing(orchestrator, renderer, clock, zone)
        self._tools = Tools(
            orchestrator=orchestrator, firing=firing, bell=self._bell, clock=clock, spawn=self._spawn, recover_missed=recover_missed,
            catch_up_max=catch_up_max, allowed_paths=tuple(allowed_paths), scan_s=scan_s, children=polls, seal=seal,
        )
        self._door = WebhookDoor(orchestrator, firing, clock, body_bytes_max=body_bytes_max)
        self._runners: dict[Place, Runner] = {}
        self._of_flow: dict[tuple[str, str], list[Runner]] = {}
        self._stopping: set[tuple[str, str]] = set()
        """Flows with a trigger that stops after some state."""
        self._begun = asyncio.Event()
        self._running: dict[Place, str] = {}
        """Executions that were not over when the board began, by the trigger that started them."""

    # ---- running

    async def run(self) -> None:
        """Work until cancelled."""
        if isinstance(self._bell, Bell):
            self._bell.start()
        listener = asyncio.create_task(self._listen(), name="triggers listen")
        try:
            await asyncio.sleep(0)  # so that the listener is there before the flows are read
            await self._begin()
            self._bell.ring_every("sweep", SWEEP_S, self.sweep)
            self._bell.ring_every("check", CHECK_S, self.check)
            await listener
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
            await self.close()

    async def _begin(self) -> None:
        """Bring everything up, again until the journal answers."""
        while True:
            try:
                await self._remember_running()
                await self._stop_unnoticed()
                await self.reconcile()
            except PodiumError as error:
                log.warning("triggers_wait", error=error.what, hint=error.hint)
                await asyncio.sleep(_LISTEN_AGAIN_S)
            else:
                self._begun.set()
                return

    async def close(self) -> None:
        """Stop every trigger. Starts under way are finished first; what hangs is left behind after CLOSE_S."""
        if isinstance(self._bell, Bell):
            self._bell.stop()
        runners, self._runners = list(self._runners.values()), {}
        stopping = [asyncio.create_task(runner.stop(removed=False)) for runner in runners]
        if stopping:
            await asyncio.wait(stopping, timeout=CLOSE_S)
        for task in [*stopping, *self._tasks]:
            task.cancel()
        await asyncio.gather(*stopping, *self._tasks, return_exceptions=True)
        if self._tools.children is not None:
            await self._tools.children.close()

    async def accept(self, delivery: Delivery) -> Answer:
        """What to answer to a webhook's delivery: see WebhookDoor."""
        return await self._door.accept(delivery)

    async def reconcile(self) -> None:
        """Begin, change and end runners so that they are what the deployed flows want. Waits for none of them: one may hang."""
        flows = self._flows()
        wanted = {armed.place: armed for flow in flows for armed in _wanted(flow)}
        self._stopping = {(flow.namespace, flow.flow_id) for flow in flows if any(each.stop_after for each in flow.model.triggers)}
        gone = self._runners.keys() - wanted.keys()
        everything = self._orchestrator.flows() if gone else ()
        for place in gone:
            self._spawn(self._runners.pop(place).stop(removed=self._is_gone(place, everything)))
        for place, armed in wanted.items():
            runner, kind = self._runners.get(place), _kind(armed.trigger)
            assert kind is not None
            if runner is not None and type(runner) is kind:
                if runner.armed.revision is not armed.revision:
                    self._spawn(runner.update(armed))
                continue
            fresh = self._runners[place] = kind(armed, self._tools)
            self._spawn(self._replace(runner, fresh, self._running.pop(place, None)))
        self._of_flow = {}
        for place, each in self._runners.items():
            self._of_flow.setdefault(place[:2], []).append(each)

    def _flows(self) -> list[FlowRevision]:
        """Those in whose text triggers may stand; the others need not even be read."""
        return [each for each in self._orchestrator.flows() if not each.text or "triggers" in each.text or "\\" in each.text]

    async def _replace(self, old: Runner | None, new: Runner, running: str | None) -> None:
        """Begin a runner, after one of another kind that had its place."""
        if old is not None:
            await old.stop(removed=True)
        await new.arm(running)

    def _is_gone(self, place: Place, flows: Sequence[FlowRevision]) -> bool:
        """Whether a trigger is no longer written anywhere, so that its state ends. A flow that cannot be read just now is not gone."""
        flow = next((each for each in flows if (each.namespace, each.flow_id) == place[:2]), None)
        if flow is not None:
            return all(trigger.id != place[2] for trigger in flow.model.triggers)
        known = self._orchestrator.known_flows().get(place[:2])
        return known is None or known.deleted

    async def sweep(self) -> None:
        """Look for what is due, now."""
        now = self._clock.now()
        for runner in list(self._runners.values()):
            if runner.wants_ring(now):
                self._spawn(runner.ring())

    async def check(self) -> None:
        """Look everything over."""
        await self.reconcile()
        if self._stopping:
            self._spawn(self._stop_unnoticed())
        for runner in list(self._runners.values()):
            self._spawn(runner.check())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _logged(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except PodiumError as error:
            log.warning("trigger_trouble", error=error.what, hint=error.hint)
        except Exception:  # a mistake of ours with one trigger must not end the others
            log.exception("trigger_crashed")

    async def _remember_running(self) -> None:
        """Executions that a trigger started and that are not over: its next date waits for them, also if a crash kept that from the state."""
        views, _ = await self._orchestrator.executions(states=_OPEN, size=_EXECUTIONS_READ)
        for view in views:
            trigger = view.get("trigger") or {}
            if isinstance(trigger.get("id"), str):
                self._running.setdefault((view["namespace"], view["flowId"], trigger["id"]), view["id"])

    # ---- following the conductor

    async def _listen(self) -> None:
        while True:
            try:
                async for change in self._orchestrator.subscribe():
                    self._heed(change)
            except Exception:  # whatever ends the stream, it is taken up again
                log.exception("triggers_deaf")
            # The stream broke off: what was missed is found by looking everything over.
            await asyncio.sleep(_LISTEN_AGAIN_S)
            self._spawn(self._stop_unnoticed())
            self._spawn(self.check())

    def _heed(self, change: Mapping[str, Any]) -> None:
        """React to a change, without waiting: the listener must keep up."""
        kind = change.get("kind")
        if kind == "flows":
            self._spawn(self.reconcile())
        elif kind == "trigger":
            runner = self._runners.get((change.get("namespace", ""), change.get("flowId", ""), change.get("triggerId", "")))
            if runner is not None:
                self._spawn(runner.refresh())
        elif kind == "execution" and change.get("state") in TERMINAL:
            execution_id, flow = str(change.get("executionId")), (change.get("namespace", ""), change.get("flowId", ""))
            waiting = [runner for runner in self._of_flow.get(flow, ()) if runner.waits_for(execution_id)]
            if waiting or flow in self._stopping:
                self._spawn(self._ended(execution_id, flow, str(change["state"]), waiting))

    async def _ended(self, execution_id: str, flow: tuple[str, str], state: str, waiting: Sequence[Runner]) -> None:
        await self._stop_after(execution_id, *flow, state)
        for runner in waiting:
            self._spawn(runner.ended(execution_id))

    async def _stop_after(self, execution_id: str, namespace: str, flow_id: str, state: str) -> None:
        """Disable the trigger that started this execution, if it is to stop after this state."""
        with suppress(NotFound, FlowNotFound):
            revision = await self._orchestrator.flow(namespace, flow_id)
            if any(state in trigger.stop_after for trigger in revision.model.triggers):
                await self._stop_if(revision, await self._orchestrator.execution(execution_id))

    async def _stop_if(self, revision: FlowRevision, view: Mapping[str, Any]) -> None:
        started_by, state = (view.get("trigger") or {}).get("id"), view["state"]["current"]
        trigger = next((each for each in revision.model.triggers if each.id == started_by), None)
        if trigger is not None and state in trigger.stop_after:
            log.info("trigger_stops", flow=revision.flow_id, trigger=trigger.id, after=state, execution=view.get("id"))
            await self.set_disabled(revision.namespace, revision.flow_id, trigger.id, disabled=True)

    async def _stop_unnoticed(self) -> None:
        """Triggers that had to stop while nobody listened: their newest execution ended after they were deployed and switched on."""
        for revision in self._flows():
            stopping = {trigger.id for trigger in revision.model.triggers if trigger.stop_after}
            if not stopping:
                continue
            views, _ = await self._orchestrator.executions(namespace=revision.namespace, flow_id=revision.flow_id, size=100)
            for trigger_id in stopping:
                newest = next((view for view in views if (view.get("trigger") or {}).get("id") == trigger_id), None)
                state = TriggerState.of(await self._orchestrator.trigger_state(revision.namespace, revision.flow_id, trigger_id))
                ended = (newest or {}).get("state", {}).get("endDate")
                since = max(revision.deployed_at, state.enabled_at or revision.deployed_at)
                if newest is not None and isinstance(ended, str) and from_text(ended) > since and not state.disabled:
                    await self._stop_if(revision, newest)

    # ---- what a person may do: base/ports.TriggerControls

    async def set_disabled(self, namespace: str, flow_id: str, trigger_id: str, *, disabled: bool) -> dict[str, Any]:
        """See TriggerControls. Raises ConflictError when the flow's text disables it."""
        trigger = await self._trigger(namespace, flow_id, trigger_id)
        if trigger.disabled and not disabled:
            raise ConflictError(f"trigger '{trigger_id}' is disabled in the flow itself", hint="remove `disabled` there")
        runner = self._runners.get((namespace, flow_id, trigger_id))
        if runner is not None:
            await runner.set_disabled(disabled)
        else:
            await self._orchestrator.remember_trigger(namespace, flow_id, trigger_id, switch(disabled, self._clock.now()))
        return await self._state(namespace, flow_id, trigger_id)

    async def backfill(
        self, namespace: str, flow_id: str, trigger_id: str, *, start: datetime, end: datetime | None = None,
        inputs: Mapping[str, Any] | None = None, labels: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """See TriggerControls."""
        runner = await self._schedule(namespace, flow_id, trigger_id)
        request = BackfillRequest(start=start, end=end or self._clock.now(), inputs=dict(inputs or {}), labels=dict(labels or {}))
        await runner.backfill(request)
        return await self._state(namespace, flow_id, trigger_id)

    async def pause_backfill(self, namespace: str, flow_id: str, trigger_id: str, *, paused: bool) -> dict[str, Any]:
        """See TriggerControls."""
        await (await self._schedule(namespace, flow_id, trigger_id)).pause_backfill(paused=paused)
        return await self._state(namespace, flow_id, trigger_id)

    async def delete_backfill(self, namespace: str, flow_id: str, trigger_id: str) -> dict[str, Any]:
        """See TriggerControls."""
        await (await self._schedule(namespace, flow_id, trigger_id)).delete_backfill()
        return await self._state(namespace, flow_id, trigger_id)

    async def unlock(self, namespace: str, flow_id: str, trigger_id: str) -> dict[str, Any]:
        """See TriggerControls."""
        await self._trigger(namespace, flow_id, trigger_id)
        runner = self._runners.get((namespace, flow_id, trigger_id))
        if runner is not None:
            await runner.unlock()
        return await self._state(namespace, flow_id, trigger_id)

    async def states(self, *, namespace: str | None = None, flow_id: str | None = None) -> list[dict[str, Any]]:
        """Every trigger of the deployed flows with its state: {namespace, flowId, triggerId, type, disabled, …the stored document}."""
        found = []
        for revision in self._orchestrator.flows(namespace=namespace):
            if flow_id not in (None, revision.flow_id):
                continue
            for trigger in revision.model.triggers:
                state = await self._state(revision.namespace, revision.flow_id, trigger.id)
                off = trigger.disabled or revision.model.disabled or bool(state.get("disabled"))
                place = {"namespace": revision.namespace, "flowId": revision.flow_id, "triggerId": trigger.id, "type": trigger.type}
                found.append({**state, **place, "disabled": off})
        return found

    async def _state(self, namespace: str, flow_id: str, trigger_id: str) -> dict[str, Any]:
        stored = await self._orchestrator.trigger_state(namespace, flow_id, trigger_id) or {}
        return {name: value for name, value in stored.items() if name != "files"}

    async def _trigger(self, namespace: str, flow_id: str, trigger_id: str) -> Trigger:
        return find_trigger(await self._orchestrator.flow(namespace, flow_id), trigger_id)

    async def _schedule(self, namespace: str, flow_id: str, trigger_id: str) -> ScheduleRunner:
        """The schedule at work. Just after a start it may take a moment. Raises ConflictError when there is none."""
        trigger = await self._trigger(namespace, flow_id, trigger_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(_BEGIN_S_MAX):
                await self._begun.wait()
                if (fresh := self._runners.get((namespace, flow_id, trigger_id))) is not None:
                    await fresh.armed_once.wait()
        runner = self._runners.get((namespace, flow_id, trigger_id))
        if isinstance(runner, ScheduleRunner):
            return runner
        if isinstance(trigger, (Schedule, ScheduleOnDates)):
            raise ConflictError(f"trigger '{trigger_id}' is disabled in the flow itself", hint="remove `disabled` of the trigger or the flow")
        raise ConflictError(f"trigger '{trigger_id}' has no dates to run again", hint="only Schedule triggers can be backfilled")


def _kind(trigger: Trigger) -> type[Runner] | None:
    """Who runs a trigger of this type; None for those that nobody runs."""
    if isinstance(trigger, (Schedule, ScheduleOnDates)):
        return ScheduleRunner
    if isinstance(trigger, FileTrigger):
        return FileRunner
    return PollRunner if is_polling(trigger) else None


def _wanted(revision: FlowRevision) -> list[Armed]:
    flow: Flow = revision.model
    if flow.disabled or flow.draft or flow.deleted:
        return []
    return [Armed(revision, trigger) for trigger in flow.triggers if not trigger.disabled and _kind(trigger) is not None]
