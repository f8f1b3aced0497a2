"""The task runners of this daemon, by their names in the language."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from podium.app.settings import Settings
from podium.base.system.clock import Clock
from podium.runners.docker.config import Policy
from podium.runners.docker.runner import DockerRunner
from podium.runners.native import programs
from podium.runners.port import Runner
from podium.runners.process.runner import ProcessRunner
from podium.runners.remote.desk import Desk
from podium.runners.remote.runner import RemoteRunner
from podium.runners.swarm import launcher as swarm
from podium.runners.swarm.launcher import SwarmLauncher


async def open_runners(
    settings: Settings, *, home: Path, instance: str, clock: Clock, environ: Mapping[str, str], desk: Desk | None
) -> dict[str, Runner]:
    """Every runner, ready to use. One whose service is away says so when it is used. desk: None where no container could reach it."""
    runner = settings.runner
    docker = DockerRunner(
        instance=instance, clock=clock, network=runner.network, isolation=runner.isolation,
        policy=Policy(cpus=runner.cpus, memory=runner.memory, allow_volumes=runner.allow_volumes),
    )
    process = ProcessRunner(home=home, instance=instance, clock=clock, environ=environ)
    found: list[Runner] = [docker, process]
    if desk is not None:
        launcher = SwarmLauncher(
            instance=instance, url=runner.remote_url, program=programs.transfer(), host=runner.swarm_host or None,
            policy=Policy(cpus=runner.cpus, memory=runner.memory), constraints=runner.swarm_constraints, secrets=runner.swarm_secrets,
        )
        found.append(RemoteRunner(launcher, desk, type_name=swarm.TYPE, clock=clock))
    return {each.TYPE: each for each in found}
