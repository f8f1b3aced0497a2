"""One engine with what the Docker runner knows of it. Called by the runner and by `supervised`."""

from __future__ import annotations

from podium.runners.docker.config import Policy
from podium.runners.docker.engine import Engine
from podium.runners.docker.images import Images
from podium.runners.docker.network import Networks


class Site:
    """network: the default one, and whether each task has its own."""

    def __init__(self, engine: Engine, instance: str, network: tuple[str, bool], policy: Policy) -> None:
        self.engine = engine
        self.images = Images(engine)
        self.networks = Networks(
            engine, instance=instance, default=network[0], strict=network[1], allow_privileged=policy.allow_privileged
        )
        self._cpus: int | None = None

    async def cpus(self) -> int:
        """How many CPUs the engine's machine has."""
        if self._cpus is None:
            self._cpus = int((await self.engine.patiently(lambda api: dict(api.info())))["NCPU"])
        return self._cpus
