"""The task runners of this daemon, by their names in the language."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from podium.app.settings import Settings
from podium.base.system.clock import Clock
from podium.runners.docker.config import Policy
from podium.runners.docker.runner import DockerRunner
from podium.runners.kubernetes import launcher as kubernetes
from podium.runners.kubernetes.cluster import Access
from podium.runners.kubernetes.launcher import KubernetesLauncher
from podium.runners.kubernetes.manifest import Rules, toleration
from podium.runners.native import programs
from podium.runners.port import Runner
from podium.runners.process.runner import ProcessRunner
from podium.runners.remote.desk import Desk
from podium.runners.remote.runner import RemoteRunner
from podium.runners.swarm import launcher as swarm
from podium.runners.swarm.launcher import SwarmLauncher

INSIDE = "KUBERNETES_SERVICE_HOST"
"""A variable that a daemon has which runs in a Pod."""


async def open_runners(
    settings: Settings, *, home: Path, instance: str, clock: Clock, environ: Mapping[str, str], desk: Desk | None
) -> dict[str, Runner]:
    """Every runner, ready to use. One whose service is away says so when it is used. desk: None where no container could reach it."""
    runner = settings.runner
    local = (environ.get("DOCKER_HOST") or "unix://").startswith("unix://")
    docker = DockerRunner(
        instance=instance, clock=clock, network=runner.network, isolation=runner.isolation,
        policy=Policy(cpus=runner.cpus, memory=runner.memory, allow_volumes=runner.allow_volumes),
        home=home, supervise=runner.supervise and local, pool=runner.pool,
    )
    process = ProcessRunner(home=home, instance=instance, clock=clock, environ=environ)
    found: list[Runner] = [docker, process]
    if desk is not None:
        found.append(RemoteRunner(_kubernetes(settings, instance, desk, inside=INSIDE in environ), desk, type_name=kubernetes.TYPE, clock=clock))
        launcher = SwarmLauncher(
            instance=instance, url=runner.remote_url, program=programs.transfer(), host=runner.swarm_host or None,
            policy=Policy(cpus=runner.cpus, memory=runner.memory), constraints=runner.swarm_constraints, secrets=runner.swarm_secrets,
        )
        found.append(RemoteRunner(launcher, desk, type_name=swarm.TYPE, clock=clock))
    return {each.TYPE: each for each in found}


def _kubernetes(settings: Settings, instance: str, desk: Desk, *, inside: bool) -> KubernetesLauncher:
    runner, cluster = settings.runner, settings.runner.kubernetes
    rules = Rules(
        cpus=runner.cpus, memory=runner.memory, service_account=cluster.service_account or None, image_pull_secrets=cluster.image_pull_secrets,
        node_selector=cluster.node_selector, tolerations=[toleration(each) for each in cluster.tolerations],
        allow_node_access=cluster.allow_node_access,
    )
    return KubernetesLauncher(
        instance=instance, url=runner.remote_url, program=programs.transfer(), desk=desk, namespace=cluster.namespace or None, rules=rules,
        access=Access(inside=inside, kubeconfig=cluster.kubeconfig, context=cluster.context or None),
        expected=runner.type == "kubernetes" or cluster.kubeconfig is not None,
    )
