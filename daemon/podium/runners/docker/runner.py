"""Runs a command in a fresh container for each attempt, on a Docker Engine that may come and go (design 7, rulings 5, 8, 9).

Who calls: `workers`. What always holds: an attempt's container is known by its name, which the engine gives once, so it starts at
most once; its log, exit code and files stay in the engine until `release`, so nothing is lost while no daemon runs; nothing of the
host but files handed over by archive gets in.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from podium.base.errors import AttemptLost, RunnerError, RunnerRefused
from podium.base.system.clock import Clock
from podium.base.system.faults import point
from podium.base.system.ids import new_id
from podium.base.system.log import get_logger
from podium.runners.docker import archive
from podium.runners.docker.config import LABEL_KEEP, OUTPUTS, PRIVATE, WORKING, Policy, container_name, container_request
from podium.runners.docker.engine import Engine, EngineAnswer, EngineAway
from podium.runners.docker.images import Image
from podium.runners.docker.logs import LogReader, Pump
from podium.runners.docker.reaper import Reaper
from podium.runners.docker.site import Site
from podium.runners.docker.supervised import slots
from podium.runners.docker.supervised.attempts import Claim
from podium.runners.docker.supervised.launch import Supervision
from podium.runners.docker.supervised.slots import LABEL_SUPERVISED
from podium.runners.port import Finished, Job, Line, OutputSink, Places

log = get_logger(__name__)
KILLED = 137
_NEVER = "0001-01-01T00:00:00Z"
_AGAIN_S = 0.1
_JUST_STARTED: Mapping[str, Any] = {"State": {"Running": True}}
_READ_TRIES_MAX = 20


class DockerRunner:
    """See the module's docstring.

    host: None for DOCKER_HOST, else the local socket. network: podium, none or a name of Docker's. isolation: shared or strict.
    starts_max: containers that start at one time, default 2 × cores (more only makes each slower). home: the daemon's. supervise: whether
    tasks run under podium-supervise where that can be; needs a home. pool: containers that may wait started ahead.
    """

    TYPE = "io.kestra.plugin.scripts.runner.docker.Docker"

    def __init__(
        self, *, instance: str, clock: Clock, host: str | None = None, network: str = "podium", isolation: str = "shared",
        policy: Policy | None = None, starts_max: int | None = None, home: Path | None = None,
        supervise: bool = False, pool: int = 0,
    ) -> None:
        self._instance = instance
        self._life = new_id()
        self._clock = clock
        self._default_host = host
        self._network = (network, isolation == "strict")
        self._policy = policy or Policy()
        self._starts = asyncio.Semaphore(starts_max or 2 * (os.cpu_count() or 1))
        self._sites: dict[str | None, Site] = {}
        self._site_of: dict[str, Site] = {}
        self._kills: dict[str, asyncio.Event] = {}
        self._supervision = None if home is None else Supervision(
            home=home, enabled=supervise, instance=instance, life=self._life, clock=clock, policy=self._policy, starts=self._starts, most=pool,
            strict=isolation == "strict", host=host,
        )
        self._reaper = Reaper(
            instance=instance, life=self._life, supervision=self._supervision, sites=lambda: {self._default_site(), *self._sites.values()},
        )

    @property
    def warm(self) -> int:
        """How many containers wait for their task."""
        return self._supervision.warm if self._supervision is not None else 0

    def places(self, directory: Path, private: Path) -> Places:
        """Always the same, so that absolute paths (of a venv, say) hold from task to task."""
        return Places(working=WORKING, outputs=OUTPUTS, private=PRIVATE)

    async def run(self, job: Job, sink: OutputSink) -> Finished:
        """See Runner."""
        site = self._site(job)
        found = await self._supervised_end(site, job, sink)
        if found is not None:
            return found
        began = await self._begin(site, job)
        if isinstance(began, Finished):
            return began
        if isinstance(began, Claim):
            found = await self._supervised_end(site, job, sink)
            if found is None:
                raise RunnerError("the task's container ended before the command began", hint="look at the engine's log, or try again")
            return found
        return await self._finish(site, job, sink, fresh=True)

    async def attach(self, job: Job, sink: OutputSink) -> Finished | None:
        """See Runner. Waits for an engine that is away."""
        site = self._site(job)
        found = await self._supervised_end(site, job, sink)
        if found is not None:
            return found
        seen = await site.engine.inspect(container_name(job.attempt_id))
        if seen is None or not _was_started(seen) or _is_supervised(seen):
            return None
        return await self._finish(site, job, sink, fresh=False)

    async def kill(self, attempt_id: str, *, grace_s: float = 0.0) -> None:
        """See Runner."""
        self._killing(attempt_id).set()
        engine = (self._site_of.get(attempt_id) or self._default_site()).engine
        name = self._container(attempt_id)
        seen = await engine.inspect(name)
        if seen is None or not seen["State"].get("Running"):
            return
        with suppress(EngineAnswer):  # it has just ended, or was removed
            if grace_s > 0:
                await engine.patiently(lambda api: api.stop(name, timeout=math.ceil(grace_s)))
            else:
                await engine.patiently(lambda api: api.kill(name))

    async def release(self, attempt_id: str) -> None:
        """See Runner."""
        site = self._site_of.pop(attempt_id, None) or self._default_site()
        self._kills.pop(attempt_id, None)
        name = self._container(attempt_id)
        seen = await site.engine.inspect(name)
        if seen is not None and LABEL_KEEP not in (seen["Config"].get("Labels") or {}):
            await slots.remove(site.engine, name)
        await site.networks.forget(attempt_id)
        if self._supervision is not None:
            await asyncio.to_thread(self._supervision.attempts.forget, attempt_id)

    async def reap(self, live_attempts: set[str]) -> int:
        """See Runner."""
        return await self._reaper.reap(live_attempts)

    async def close(self) -> None:
        """Let go of the engine. Containers run on and are found again; those that wait for a task are removed."""
        await self._reaper.close()
        if self._supervision is not None:
            await self._supervision.close()
        for site in self._sites.values():
            with suppress(EngineAway, EngineAnswer):
                await site.networks.close()
            await site.engine.close()
        self._sites.clear()

    # ---- beginning

    async def _begin(self, site: Site, job: Job) -> Finished | Claim | None:
        """Make sure the container was started, once. Finished when it never will be, Claim when it is supervised."""
        engine, name = site.engine, container_name(job.attempt_id)
        if not job.image:
            raise RunnerRefused("the task names no image to run in", hint="set containerImage")
        await engine.reach()
        ensuring = asyncio.ensure_future(self._unless_killed(job, site.images.ensure(job.image, job.options)))
        try:
            seen = await engine.inspect(name)
            if seen is not None and _was_started(seen) and not _is_supervised(seen):
                return None
            image = await ensuring
        finally:
            ensuring.cancel()
        if image is None:
            return self._never(job)
        if seen is not None and _is_supervised(seen):
            await slots.remove(engine, name)  # it waited for the command when we crashed
            seen = None
        if self._supervision is not None and site is self._default_site():
            claim = await self._supervision.begin(site, job, image, self._killing(job.attempt_id))
            if claim is not None:
                return claim
        network = await site.networks.choose(job.attempt_id, job.options)
        async with self._starts:
            if self._killing(job.attempt_id).is_set():
                return self._never(job)
            if seen is not None:
                await slots.remove(engine, name)
            await self._create(site, job, image, network)
            point("container-created")
            user = str(job.options.get("user") or image.user)
            with await asyncio.to_thread(archive.pack, job, user=user) as files:
                await engine.patiently(lambda api: (files.seek(0), api.put_archive(name, "/", files)))
            await self._start(engine, job)
            point("container-started")
        if self._killing(job.attempt_id).is_set():
            await self.kill(job.attempt_id)
        return None

    async def _unless_killed(self, job: Job, work: Any) -> Image | None:
        doing = asyncio.ensure_future(work)
        killed = asyncio.ensure_future(self._killing(job.attempt_id).wait())
        try:
            await asyncio.wait({doing, killed}, return_when=asyncio.FIRST_COMPLETED)
            return await doing if doing.done() else None
        finally:
            doing.cancel()
            killed.cancel()

    # ---- under supervision

    async def _supervised_end(self, site: Site, job: Job, sink: OutputSink) -> Finished | None:
        """The end of an attempt that has a claim; None when it has none, or never began and never will."""
        attempts = self._supervision.attempts if self._supervision is not None else None
        claim = attempts.claim(job.attempt_id) if attempts is not None else None
        if attempts is None or claim is None:
            return None
        end = await attempts.follow(site.engine, claim, job, sink)
        if end is None:
            await slots.remove(site.engine, claim.container)
            await asyncio.to_thread(attempts.forget, job.attempt_id)
            return self._never(job) if self._killing(job.attempt_id).is_set() else None
        point("container-exited")
        if job.output_patterns or job.output_directory or job.write_back or job.caches:
            await site.engine.patiently(lambda api: api.wait(claim.container, timeout=60))
        await self._collect(site.engine, claim.container, job, sink)
        if job.caches and end.exit_code == 0:
            await site.engine.patiently(lambda api: archive.keep_caches(api, claim.container, job))
        seen = {"Id": claim.container, "Image": claim.image, "State": {"ExitCode": end.exit_code, "OOMKilled": end.oom_killed}}
        return self._ended(job, seen)

    def _container(self, attempt_id: str) -> str:
        """The name or id of an attempt's container."""
        claim = self._supervision.attempts.claim(attempt_id) if self._supervision is not None else None
        return claim.container if claim is not None else container_name(attempt_id)

    async def _create(self, site: Site, job: Job, image: Image, network: str) -> None:
        name = container_name(job.attempt_id)
        container, host = container_request(
            job, instance=self._instance, life=self._life, image=image.id, policy=self._policy, network=network, cpus_max=await site.cpus()
        )
        while True:
            try:
                await site.engine.call(lambda api: api.create_container(host_config=api.create_host_config(**host), **container))
                return
            except EngineAnswer as answer:
                if answer.status == 409 and "already in use" in answer.text:
                    return
                raise RunnerRefused(
                    f"the container cannot be created: {answer.text}", hint="check the task's taskRunner properties"
                ) from answer
            except EngineAway:
                if await site.engine.inspect(name) is not None:
                    return

    async def _start(self, engine: Engine, job: Job) -> None:
        name = container_name(job.attempt_id)
        while True:
            try:
                await engine.call(lambda api: api.start(name))
                return
            except EngineAnswer as answer:
                raise RunnerError(f"the container cannot be started: {answer.text}", hint=_start_hint(answer.text)) from answer
            except EngineAway:
                seen = await engine.inspect(name)
                if seen is None:
                    raise _lost(job) from None
                if _was_started(seen):
                    return

    def _never(self, job: Job) -> Finished:
        return Finished(exit_code=KILLED, killed=True, facts={"runner": self.TYPE, "image": job.image})

    # ---- following and ending

    async def _finish(self, site: Site, job: Job, sink: OutputSink, *, fresh: bool) -> Finished:
        engine, name = site.engine, container_name(job.attempt_id)
        reader = LogReader(await sink.cursor())
        # A container that was just started is read at once: to ask what it does would wait until the engine has settled, 80 ms on.
        seen = _JUST_STARTED if fresh and job.options.get("wait") is not False else await engine.inspect(name)
        if job.options.get("wait") is False:
            return Finished(exit_code=0, facts=self._facts(job, seen))
        while seen is not None and seen["State"].get("Running"):
            try:
                await self._read(engine, name, reader, sink, follow=True)
                await engine.call(lambda api: api.wait(name, timeout=10))
            except (EngineAway, EngineAnswer):
                await asyncio.sleep(_AGAIN_S)  # what became of the container is asked below
            seen = await engine.inspect(name)
        for tries_left in count(_READ_TRIES_MAX, -1):
            if seen is None:
                break
            try:
                await self._read(engine, name, reader, sink, follow=False)
                break
            except (EngineAway, EngineAnswer) as error:
                if isinstance(error, EngineAnswer) and tries_left <= 0:
                    raise
                await asyncio.sleep(_AGAIN_S)  # perhaps it is being removed: that is asked now
                seen = await engine.inspect(name)
        if seen is None:
            raise _lost(job)
        point("container-exited")
        if rest := reader.rest():
            await sink.lines(rest, cursor=reader.cursor())
        await self._collect(engine, name, job, sink)
        if job.caches and seen["State"].get("ExitCode") == 0:
            await engine.patiently(lambda api: archive.keep_caches(api, name, job))
        return self._ended(job, seen)

    async def _read(self, engine: Engine, name: str, reader: LogReader, sink: OutputSink, *, follow: bool) -> None:
        """One log request, to its end. Raises EngineAway when it breaks off."""
        try:
            stream = await engine.logs(name, since=reader.begin(), follow=follow)
        except EngineAnswer as answer:
            if answer.status == 404:
                return
            raise
        async with Pump(stream, reader) as pump:
            while (batch := await pump.batch()) is not None:
                lines, cursor = batch
                if lines:
                    await sink.lines(lines, cursor=cursor)

    async def _collect(self, engine: Engine, name: str, job: Job, sink: OutputSink) -> None:
        if job.output_patterns or job.output_directory:
            left_out = await engine.patiently(lambda api: archive.bring_back(api, name, job))
            if left_out:
                text = f"not kept, because they are links that lead out of the working directory: {', '.join(left_out[:20])}"
                await sink.lines([Line("runner", self._clock.now(), text)], cursor=None)
        if job.write_back:
            await engine.patiently(lambda api: archive.write_back(api, name, job))

    def _ended(self, job: Job, seen: Mapping[str, Any]) -> Finished:
        state = seen["State"]
        killed = job.attempt_id in self._kills and self._kills[job.attempt_id].is_set()
        return Finished(
            exit_code=int(state.get("ExitCode") or 0), killed=killed, oom_killed=bool(state.get("OOMKilled")), facts=self._facts(job, seen)
        )

    def _facts(self, job: Job, seen: Mapping[str, Any] | None) -> dict[str, Any]:
        facts: dict[str, Any] = {"runner": self.TYPE, "image": job.image}
        if seen is not None:
            site = self._site_of.get(job.attempt_id)
            known = site.images.known(seen["Image"]) if site else None
            facts |= {"containerId": seen["Id"], "imageId": seen["Image"]} | (known.facts() if known else {})
            if seen["State"].get("OOMKilled"):
                facts["oomKilled"] = True
        return facts

    # ---- helpers

    def _killing(self, attempt_id: str) -> asyncio.Event:
        return self._kills.setdefault(attempt_id, asyncio.Event())

    def _site(self, job: Job) -> Site:
        host = job.options.get("host") or self._default_host
        site = self._sites.get(host) or self._sites.setdefault(host, self._open(host))
        self._site_of[job.attempt_id] = site
        return site

    def _default_site(self) -> Site:
        return self._sites.get(self._default_host) or self._sites.setdefault(self._default_host, self._open(self._default_host))

    def _open(self, host: str | None) -> Site:
        return Site(Engine(host), self._instance, self._network, self._policy)


def _was_started(seen: Mapping[str, Any]) -> bool:
    return bool(seen["State"].get("Running")) or seen["State"].get("StartedAt", _NEVER) != _NEVER


def _is_supervised(seen: Mapping[str, Any]) -> bool:
    return LABEL_SUPERVISED in (seen["Config"].get("Labels") or {})


def _lost(job: Job) -> AttemptLost:
    return AttemptLost(
        "the task's container is gone and with it its output and exit code", attempt=job.attempt_id,
        hint="somebody removed it (docker rm, system prune): look at what the task did, then restart the execution",
    )


def _start_hint(text: str) -> str:
    if "docker-init" in text:
        return "the engine has no docker-init: install the package that brings it (tini)"
    if "device driver" in text:
        return "the engine has no such device: check taskRunner.deviceRequests"
    if "network" in text or "endpoint" in text:
        return "check networkMode, or try again"
    return "check the task's taskRunner properties and the engine's log"
