"""Runs commands in containers that somebody else places: a scheduler starts them, the desk talks to them.

Called by `workers`; `swarm` and `kubernetes` bring a Launcher. What always holds: an attempt runs at most once, because the desk gives its files
to one container only, whatever a scheduler starts; the end of a command is what its container brought to the desk, and the scheduler is asked only
about containers that will bring nothing any more; what was launched is removed at its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from podium.base.errors import AttemptLost, RunnerError, RunnerRefused
from podium.base.system.clock import Clock, monotonic_s
from podium.base.system.faults import point
from podium.base.system.log import get_logger
from podium.runners.port import Finished, Job, Line, OutputSink, Places
from podium.runners.process.tail import Tail
from podium.runners.remote import parcel
from podium.runners.remote.desk import Desk

log = get_logger(__name__)
KILLED = 137
LOOK_S = 1.0
"""Seconds between two questions to the scheduler while a command runs."""
LAST_WORDS_S = 3.0
"""How long a container that ended may still be heard: its result was sent, and the desk may be writing it."""
SILENT_S = 30.0
"""A container on a node that is away is lost once it was silent for so long: it speaks every ten seconds."""
KILL_S = 15.0
"""After the grace: how long the container may take to obey before the scheduler is told to end it."""
TOLD_AFTER_S = 5.0
"""When a task says in its log why it waits."""
NOT_REACHED, STARTED_BEFORE, REFUSED = 74, 75, 76
"""Exit statuses of podium-transfer (runners/native/transfer/transfer.h)."""

Phase = Literal["absent", "waiting", "running", "away", "ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a scheduler says of an attempt's container.

    phase: absent there is none and none will be · waiting not started yet · running · away its node does not answer · ended.
    reason: the scheduler's own words, for people. refused: it never will be started, as asked for (no such image …).
    exit_code: of the container, once it ended. facts: node, containerId, imageId … for the record.
    """

    phase: Phase
    reason: str = ""
    refused: bool = False
    exit_code: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class Launcher(Protocol):
    """A scheduler. All calls may be repeated. Raise RunnerError (it does not answer) or RunnerRefused (it says no)."""

    async def launch(self, job: Job, token: str) -> None:
        """Have one container of the attempt started, whose entry point is podium-transfer. Replaces what an earlier life left of it."""
        ...

    async def look(self, attempt_id: str) -> Seen: ...

    async def remove(self, attempt_id: str) -> None:
        """End and remove all that was launched for an attempt; returns when the scheduler has taken the order."""
        ...

    async def present(self) -> set[str]:
        """The attempts of this instance of which something is there."""
        ...

    async def close(self) -> None: ...


class RemoteRunner:
    """See the module's docstring. type_name: the runner's name in the language."""

    def __init__(self, launcher: Launcher, desk: Desk, *, type_name: str, clock: Clock) -> None:
        self.TYPE = type_name
        self._launcher = launcher
        self._desk = desk
        self._clock = clock
        self._never: set[str] = set()

    def places(self, directory: Path, private: Path) -> Places:
        """Always the same, so that absolute paths hold from task to task and from node to node."""
        return parcel.PLACES

    async def run(self, job: Job, sink: OutputSink) -> Finished:
        """See Runner."""
        if not job.image:
            raise RunnerRefused("the task names no image to run in", hint="set containerImage")
        if self._is_killed(job.attempt_id) and not self._desk.began(job.attempt_id):
            return self._not_begun(job)
        if not self._desk.began(job.attempt_id):
            token = await asyncio.to_thread(self._desk.open, job)
            await self._launcher.launch(job, token)
            point("container-started")
        self._desk.register(job)
        return await self._follow(job, sink)

    async def attach(self, job: Job, sink: OutputSink) -> Finished | None:
        """See Runner. A container that was launched and has not asked for its files is none that started."""
        if not self._desk.began(job.attempt_id):
            return None
        self._desk.register(job)
        return await self._follow(job, sink)

    async def kill(self, attempt_id: str, *, grace_s: float = 0.0) -> None:
        """See Runner."""
        self._never.add(attempt_id)
        await self._desk.kill(attempt_id, grace_s=grace_s)

    async def release(self, attempt_id: str) -> None:
        """See Runner."""
        self._never.discard(attempt_id)
        await self._launcher.remove(attempt_id)
        await asyncio.to_thread(self._desk.forget, attempt_id)

    async def reap(self, live_attempts: set[str]) -> int:
        """See Runner. A scheduler that does not answer has nothing to reap now; it is asked again next time."""
        dead = await asyncio.to_thread(self._desk.present) - live_attempts
        try:
            launched = await self._launcher.present() - live_attempts
            for attempt_id in launched:
                await self._launcher.remove(attempt_id)
        except RunnerError as error:
            log.debug("remote_reap_postponed", runner=self.TYPE, reason=error.what)
            return 0
        for attempt_id in dead:
            await asyncio.to_thread(self._desk.forget, attempt_id)
        return len(dead | launched)

    async def close(self) -> None:
        """Let go of the scheduler. Containers run on and are found again."""
        self._desk.close()
        await self._launcher.close()

    # ---- following

    async def _follow(self, job: Job, sink: OutputSink) -> Finished:
        attempt_id = job.attempt_id
        tail = Tail(self._desk.folder(attempt_id), await sink.cursor(), self._clock)
        watch = _Watch(self, job, sink)
        seen = None
        while (arrived := self._desk.ended(attempt_id)) is None:
            while await self._hand_on(tail, sink, final=False):
                continue
            seen = await watch.look()
            if seen is not None:
                return await self._without_result(job, sink, tail, seen)
            await self._desk.wait(attempt_id, LOOK_S)
        while await self._hand_on(tail, sink, final=True):
            continue
        point("container-exited")
        result = await asyncio.to_thread(parcel.result_of, arrived)
        await self._collect(job, sink, arrived, int(result["code"]))
        facts = await self._facts(job)
        await self._remove(attempt_id)
        if result.get("oom"):
            facts["oomKilled"] = True
        killed = self._is_killed(attempt_id) or bool(result.get("killed"))
        return Finished(exit_code=int(result["code"]), killed=killed, oom_killed=bool(result.get("oom")), facts=facts)

    async def _hand_on(self, tail: Tail, sink: OutputSink, *, final: bool) -> bool:
        lines, cursor = await asyncio.to_thread(tail.read, final=final)
        if lines:
            await sink.lines(lines, cursor=cursor)
        return bool(lines)

    async def _collect(self, job: Job, sink: OutputSink, arrived: Path, code: int) -> None:
        folder = self._desk.folder(job.attempt_id)
        made = await asyncio.to_thread(
            lambda: parcel.plan(job, parcel.read_listing(self._desk.listing(job.attempt_id)), code=code)
        )
        if made.left_out:
            text = f"not kept, because they are links that lead out of the working directory: {', '.join(sorted(made.left_out)[:20])}"
            await sink.lines([Line("runner", self._clock.now(), text)], cursor=None)
        await asyncio.to_thread(parcel.place, job, made, arrived, folder / "unpacked")

    async def _without_result(self, job: Job, sink: OutputSink, tail: Tail, seen: Seen) -> Finished:
        """The container will not bring a result any more: say what is known."""
        attempt_id = job.attempt_id
        began, failed, there = self._desk.began(attempt_id), self._desk.failed(attempt_id), self._desk.folder(attempt_id).is_dir()
        await self._remove(attempt_id)
        if not there:
            raise _lost(job, "everything of this attempt was removed", seen)
        while await self._hand_on(tail, sink, final=True):
            continue
        if self._is_killed(attempt_id):
            return Finished(exit_code=KILLED, killed=True, facts=self._with(job, seen)) if began else self._not_begun(job)
        if began and seen.facts.get("oomKilled"):  # with cgroup v2 all processes of the container end, podium-transfer too
            return Finished(exit_code=KILLED, oom_killed=True, facts=self._with(job, seen))
        where = f" on node {seen.facts['node']}" if seen.facts.get("node") else ""
        if failed is not None:
            hint = "check the image, the user and the disk of the node"
            raise RunnerRefused(f"the command cannot be run{where}: {failed}", hint=hint, **seen.facts)
        if began:
            raise _lost(job, f"the task's container{where} ended without saying how ({seen.reason or seen.phase})", seen)
        if seen.exit_code == NOT_REACHED:
            raise RunnerError(
                f"the task's container{where} could not reach this daemon", **seen.facts,
                hint="runner.remote_url must be an address of this daemon that containers on every node reach; look for firewalls and proxies",
            )
        raise RunnerRefused(
            f"the task's container was not started{where}: {seen.reason or seen.phase}", **seen.facts,
            hint="check containerImage (every node must have it, or be able to pull it) and the task's taskRunner properties",
        )

    # ---- helpers

    def _is_killed(self, attempt_id: str) -> bool:
        return attempt_id in self._never or self._desk.killed(attempt_id)

    def _not_begun(self, job: Job) -> Finished:
        return Finished(exit_code=KILLED, killed=True, facts={"runner": self.TYPE, "image": job.image})

    def _with(self, job: Job, seen: Seen) -> dict[str, Any]:
        return {"runner": self.TYPE, "image": job.image} | dict(seen.facts)

    async def _facts(self, job: Job) -> dict[str, Any]:
        """For the record; a scheduler that is away is not waited for."""
        with suppress(RunnerError):
            return self._with(job, await self._launcher.look(job.attempt_id))
        return self._with(job, Seen(phase="absent"))

    async def _remove(self, attempt_id: str) -> None:
        """At the end. What cannot be removed now is removed by `release`, which is insisted on, or by the reaper."""
        with suppress(RunnerError):
            await self._launcher.remove(attempt_id)


class _Watch:
    """Asks the scheduler from time to time, and decides whether there is still something to wait for."""

    def __init__(self, runner: RemoteRunner, job: Job, sink: OutputSink) -> None:
        self._runner, self._job, self._sink = runner, job, sink
        self._desk, self._launcher = runner._desk, runner._launcher  # noqa: SLF001 -- two halves of one thing
        self._next_s = monotonic_s()
        self._gone_s: float | None = None
        self._killed_s: float | None = None
        self._waits_s = monotonic_s()
        self._told = ""

    async def look(self) -> Seen | None:
        """None while a result may still come, else what was seen last."""
        now = monotonic_s()
        attempt_id = self._job.attempt_id
        if not self._desk.folder(attempt_id).is_dir():
            return Seen(phase="absent")
        if self._overdue(now):
            return Seen(phase="ended", reason="it did not obey when it was to end")
        if now < self._next_s:
            return None
        self._next_s = now + LOOK_S
        try:
            seen = await self._launcher.look(attempt_id)
        except RunnerError as error:
            log.warning("scheduler_away", runner=self._runner.TYPE, attempt=attempt_id, reason=error.what)
            return None
        await self._say_why(seen, now)
        if seen.phase in ("waiting", "running") or (seen.phase == "away" and self._desk.silent_s(attempt_id) < SILENT_S):
            self._gone_s = None
            return None
        if self._gone_s is None:
            self._gone_s = now
        if seen.phase != "away" and not seen.refused and now - self._gone_s < LAST_WORDS_S and self._desk.began(attempt_id):
            return None
        return seen if self._desk.ended(attempt_id) is None else None

    def _overdue(self, now: float) -> bool:
        if not self._runner._is_killed(self._job.attempt_id):  # noqa: SLF001
            return False
        if not self._desk.began(self._job.attempt_id):
            return True
        if self._killed_s is None:
            self._killed_s = now
        return now - self._killed_s > self._desk.grace_s(self._job.attempt_id) + KILL_S

    async def _say_why(self, seen: Seen, now: float) -> None:
        if seen.phase != "waiting":
            self._waits_s = now
        elif seen.reason and seen.reason != self._told and now - self._waits_s > TOLD_AFTER_S:
            self._told = seen.reason
            await self._sink.lines([Line("runner", self._runner._clock.now(), f"waits to be started: {seen.reason}")], cursor=None)  # noqa: SLF001


def _lost(job: Job, what: str, seen: Seen) -> AttemptLost:
    return AttemptLost(
        what, attempt=job.attempt_id, hint="look at what the task did and at the node, then restart the execution", **seen.facts
    )
