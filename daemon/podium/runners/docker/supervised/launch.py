"""Decides whether a task's container is supervised, and gets it one: from the pool, else made for it.

Called by the Docker runner. What always holds: where supervision cannot be, nothing of the task was started, and the runner goes on without;
the kind of a slot is everything that its container is made of, so a task gets the limits, user and network that a fresh one would have.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from podium.base.system.clock import Clock, monotonic_s
from podium.base.system.faults import point
from podium.base.system.ids import new_id
from podium.base.system.log import get_logger
from podium.runners.docker.config import LABEL_INSTANCE, LABEL_LIFE, Policy, container_request
from podium.runners.docker.engine import EngineAnswer, EngineAway
from podium.runners.docker.images import Image
from podium.runners.docker.site import Site
from podium.runners.docker.supervised import slots
from podium.runners.docker.supervised.attempts import Attempts, Claim
from podium.runners.docker.supervised.pool import Pool
from podium.runners.docker.supervised.slots import LABEL_SUPERVISED, CannotSupervise, Slot
from podium.runners.native import programs
from podium.runners.port import Job

log = get_logger(__name__)
_OF_ONE_TASK = ("portBindings", "volumes", "deviceRequests", "privileged")
"""Properties of containers that are made for one task only."""
_PLAIN_FOR_S = 600.0
"""How long an image whose supervisor did not reach us is run without, before that is tried again: perhaps the machine was busy."""


class Supervision:
    """home: the daemon's. enabled: else only what an earlier life began is ended. most: slots that may wait in the pool.

    starts: how many containers start at one time. strict: a network for each task.
    """

    def __init__(
        self, *, home: Path, enabled: bool, instance: str, life: str, clock: Clock, policy: Policy, starts: asyncio.Semaphore, most: int,
        strict: bool, host: str | None,
    ) -> None:
        self.attempts = Attempts(home, clock)
        self._instance = instance
        self._life = life
        self._policy = policy
        self._starts = starts
        self._strict = strict
        self._possible = enabled and (host or "unix://").startswith("unix://")
        self._pool = Pool(most, calm=lambda: not starts.locked())
        self._plain_until: dict[str, float] = {}
        """Image → when supervision is tried again."""
        self._waiting: set[str] = set()

    @property
    def warm(self) -> int:
        """How many containers wait for their task."""
        return self._pool.ready

    async def begin(self, site: Site, job: Job, image: Image, killing: asyncio.Event) -> Claim | None:
        """Start the command under supervision; None where that cannot be, or when it was killed: nothing was started then."""
        program = programs.supervise(image.arch)
        stays = job.options.get("wait") is False or job.options.get("delete") is False
        if program is None or not self._possible or stays or monotonic_s() < self._plain_until.get(image.id, 0.0):
            return None
        slot = self._pooled(site, job, image, program, await site.cpus())
        try:
            slot = slot or await self._make(site, job, image, program, pooled=False)
        except (CannotSupervise, EngineAnswer, EngineAway) as error:
            if isinstance(error, CannotSupervise):
                self._plain_until[image.id] = monotonic_s() + _PLAIN_FOR_S
            log.warning("docker_unsupervised", image=image.name, reason=error.what)
            return None
        if killing.is_set():
            await slot.remove()
            return None
        point("container-created")
        entry = [str(each) for each in job.options.get("entryPoint") or () if each]
        try:
            claim = await self.attempts.begin(slot, replace(job, argv=[*entry, *job.argv]), image.id)
        finally:
            self._waiting.discard(slot.name)
        point("container-started")
        return claim

    def owns(self, labels: Mapping[str, str], container: str, live_attempts: set[str]) -> bool:
        """Whether a container waits for a task, or runs one of these attempts."""
        if labels.get(LABEL_SUPERVISED) in self._waiting:
            return True
        return any(claim is not None and claim.container == container for claim in map(self.attempts.claim, live_attempts))

    def tidy(self, live_attempts: set[str]) -> None:
        """Remove what is left of others. Blocks."""
        self.attempts.tidy(live_attempts, self._waiting)

    def _forget(self, name: str) -> None:
        shutil.rmtree(self.attempts.slots / name, ignore_errors=True)
        self._waiting.discard(name)

    async def close(self) -> None:
        """Remove what waits; what runs goes on."""
        await self._pool.close()
        self.attempts.close()

    def _pooled(self, site: Site, job: Job, image: Image, program: Path, cpus: int) -> Slot | None:
        if self._strict or any(job.options.get(name) for name in _OF_ONE_TASK):
            return None
        container, host = self._request(job, image, network=str(job.options.get("networkMode") or ""), cpus=cpus)
        for name in ("name", "labels", "command", "environment", "entrypoint"):
            container.pop(name)
        like = replace(job, attempt_id="", argv=(), env={}, labels={}, private=None, caches={})
        key = json.dumps([container, host], sort_keys=True, default=str)
        return self._pool.take(key, lambda: self._make(site, like, image, program, pooled=True))

    def _request(self, job: Job, image: Image, *, network: str, cpus: int) -> tuple[dict[str, Any], dict[str, Any]]:
        return container_request(job, instance=self._instance, life=self._life, image=image.id, policy=self._policy, network=network, cpus_max=cpus)

    async def _make(self, site: Site, job: Job, image: Image, program: Path, *, pooled: bool) -> Slot:
        name = new_id()
        network = await site.networks.choose(job.attempt_id, job.options)
        container, host = self._request(job, image, network=network, cpus=await site.cpus())
        # Not named after its attempt: one that never got its task is none, and another life may make one anew.
        container["name"] = f"podium-{'waiting' if pooled else 'task'}-{name}"
        if pooled:
            container["labels"] = {LABEL_INSTANCE: self._instance, LABEL_LIFE: self._life}
        container["labels"] = {**container["labels"], LABEL_SUPERVISED: name}
        self._waiting.add(name)
        try:
            async with self._starts:
                user = str(job.options.get("user") or image.user)
                return await slots.make(
                    site.engine, root=self.attempts.slots, name=name, program=program, container=container, host=host, user=user, forget=self._forget
                )
        except BaseException:
            self._waiting.discard(name)
            raise

