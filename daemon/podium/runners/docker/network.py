"""The network of containers: one bridge for an instance with traffic between containers off, or one for each task (ruling 8).

What always holds: a network of ours carries the instance's label and goes when it is no longer needed. An engine that cannot make
bridges gets the engine's own default, and the log says so.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from podium.base.errors import RunnerRefused
from podium.base.system.log import get_logger
from podium.runners.docker.config import LABEL_ATTEMPT, LABEL_INSTANCE
from podium.runners.docker.engine import Engine, EngineAnswer, EngineAway

log = get_logger(__name__)
_NO_ICC = {"com.docker.network.bridge.enable_icc": "false"}


class Networks:
    """The networks of one instance on one engine. default: podium (the instance's bridge), none, or a name of Docker's."""

    def __init__(self, engine: Engine, *, instance: str, default: str, strict: bool, allow_privileged: bool) -> None:
        self._engine = engine
        self._instance = instance
        self._default = default
        self._strict = strict
        self._allow_privileged = allow_privileged
        self._name = "podium-" + re.sub(r"[^a-zA-Z0-9_.-]", "-", instance)
        self._lock = asyncio.Lock()

    async def choose(self, attempt_id: str, options: Mapping[str, Any]) -> str:
        """The network mode for an attempt: a name, or the id of a network of ours (names are not unique). Raises RunnerRefused."""
        asked = str(options.get("networkMode") or "")
        if asked.startswith("container:") and not self._allow_privileged:
            raise RunnerRefused(
                f"networkMode '{asked}' enters another container's network, which this instance does not allow",
                hint="use none, bridge, host or the name of a network",
            )
        if asked:
            return asked
        if self._default != "podium":
            return self._default
        if self._strict:
            return await self._make(f"podium-{attempt_id}", {LABEL_INSTANCE: self._instance, LABEL_ATTEMPT: attempt_id})
        async with self._lock:
            return await self._make(self._name, {LABEL_INSTANCE: self._instance})

    async def forget(self, attempt_id: str) -> None:
        """Remove the network that was made for one attempt."""
        if self._strict:
            await self._remove(f"podium-{attempt_id}")

    async def reap(self, live_attempts: set[str]) -> int:
        """Remove networks of attempts that live no more; how many."""
        wanted = {"label": [f"{LABEL_INSTANCE}={self._instance}", LABEL_ATTEMPT]}
        found = await self._engine.call(lambda api: list(api.networks(filters=wanted)))
        dead = [each["Name"] for each in found if each["Labels"][LABEL_ATTEMPT] not in live_attempts]
        for name in dead:
            await self._remove(name)
        return len(dead)

    async def close(self) -> None:
        """Remove the instance's bridge, unless a container still uses it."""
        if self._default == "podium" and self._engine.reached:
            with suppress(EngineAway):
                await self._remove(self._name)

    async def _ids(self, name: str) -> list[str]:
        found = await self._engine.patiently(lambda api: list(api.networks(names=[name])))
        return sorted(each["Id"] for each in found if each["Name"] == name)

    async def _make(self, name: str, labels: Mapping[str, str]) -> str:
        """The network of that name, made if it is not there; the engine's own default if it cannot be made."""
        found = await self._ids(name)
        if found:
            return found[0]
        try:
            made = await self._engine.patiently(
                lambda api: dict(api.create_network(name, driver="bridge", options=_NO_ICC, labels=dict(labels), check_duplicate=True))
            )
        except EngineAnswer as answer:
            found = await self._ids(name) if answer.status == 409 else []
            if not found:
                log.warning("docker_network_fallback", network=name, used="bridge", reason=answer.text)
            return found[0] if found else "bridge"
        return str(made["Id"])

    async def _remove(self, name: str) -> None:
        for network in await self._ids(name):
            await self._remove_one(network)

    async def _remove_one(self, network: str) -> None:
        try:
            await self._engine.call(lambda api: api.remove_network(network))
        except EngineAnswer as answer:
            log.debug("docker_network_kept", network=network, reason=answer.text)
