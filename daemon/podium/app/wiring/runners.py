"""The task runners of this daemon, by their names in the language."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from podium.app.settings import Settings
from podium.base.system.clock import Clock
from podium.runners.docker.config import Policy
from podium.runners.docker.runner import DockerRunner
from podium.runners.port import Runner
from podium.runners.process.runner import ProcessRunner


async def open_runners(settings: Settings, *, home: Path, instance: str, clock: Clock, environ: Mapping[str, str]) -> dict[str, Runner]:
    """Every runner, ready to use. One whose service is away says so when it is used."""
    runner = settings.runner
    docker = DockerRunner(
        instance=instance, clock=clock, network=runner.network, isolation=runner.isolation,
        policy=Policy(cpus=runner.cpus, memory=runner.memory, allow_volumes=runner.allow_volumes),
    )
    process = ProcessRunner(home=home, instance=instance, clock=clock, environ=environ)
    return {each.TYPE: each for each in (docker, process)}
