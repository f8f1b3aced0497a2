"""Removes containers and networks that no attempt of this instance has any more. Called by the Docker runner.

What always holds: a container under supervision is an attempt's only by its claim; what an earlier life had asked of the engine just before it
was killed may come to be after the first look, so it is looked for again a few times. Later looks never touch what this life made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from podium.base.errors import PodiumError
from podium.base.system.log import get_logger
from podium.runners.docker.config import LABEL_ATTEMPT, LABEL_INSTANCE, LABEL_KEEP, LABEL_LIFE
from podium.runners.docker.engine import EngineAway
from podium.runners.docker.site import Site
from podium.runners.docker.supervised import slots
from podium.runners.docker.supervised.launch import Supervision
from podium.runners.docker.supervised.slots import LABEL_SUPERVISED

log = get_logger(__name__)
AGAIN_AFTER_S = (3.0, 30.0, 120.0)


class Reaper:
    """life: of this process. sites: those that it knows."""

    def __init__(self, *, instance: str, life: str, supervision: Supervision | None, sites: Callable[[], Iterable[Site]]) -> None:
        self._instance = instance
        self._life = life
        self._supervision = supervision
        self._sites = sites
        self._later: asyncio.Task[None] | None = None

    async def reap(self, live_attempts: set[str]) -> int:
        """Remove what is not of these attempts; how many containers and networks. An engine that is away is asked again later."""
        await self.close()
        removed = await self._look(live_attempts, also_ours=True)
        self._later = asyncio.create_task(self._look_again(live_attempts))
        return removed

    async def close(self) -> None:
        """Look no more."""
        if self._later is not None:
            self._later.cancel()
            with suppress(asyncio.CancelledError):
                await self._later
            self._later = None

    async def _look_again(self, live_attempts: set[str]) -> None:
        for pause_s in AGAIN_AFTER_S:
            await asyncio.sleep(pause_s)
            try:
                removed = await self._look(live_attempts, also_ours=False)
            except PodiumError as error:
                log.warning("docker_reap_failed", error=error.what)
            else:
                if removed:
                    log.info("docker_reaped_late", removed=removed)

    async def _look(self, live_attempts: set[str], *, also_ours: bool) -> int:
        removed = 0
        wanted = {"label": [f"{LABEL_INSTANCE}={self._instance}"]}
        for site in self._sites():
            try:
                for each in await site.engine.call(lambda api: list(api.containers(all=True, filters=wanted))):
                    labels = each["Labels"]
                    if LABEL_KEEP in labels or self._owned(labels, each["Id"], live_attempts):
                        continue
                    if also_ours or labels.get(LABEL_LIFE) != self._life:
                        await slots.remove(site.engine, each["Id"])
                        removed += 1
                if also_ours:
                    removed += await site.networks.reap(live_attempts)
                    if self._supervision is not None:
                        await asyncio.to_thread(self._supervision.tidy, live_attempts)
            except EngineAway as away:
                log.debug("docker_reap_postponed", reason=away.what)
        return removed

    def _owned(self, labels: Mapping[str, str], container: str, live_attempts: set[str]) -> bool:
        if LABEL_SUPERVISED in labels:
            return self._supervision is not None and self._supervision.owns(labels, container, live_attempts)
        return labels.get(LABEL_ATTEMPT) in live_attempts
