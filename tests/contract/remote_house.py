"""What a runner for other machines needs of the daemon, without the rest of the daemon: the desk and its routes on a port that nodes reach."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from aiohttp import web

from podium.base.system.clock import SystemClock
from podium.runners.docker.runner import DockerRunner
from podium.runners.kubernetes import launcher as kubernetes
from podium.runners.kubernetes.cluster import Access
from podium.runners.kubernetes.launcher import KubernetesLauncher
from podium.runners.native import programs
from podium.runners.port import Finished, Job, OutputSink
from podium.runners.remote.desk import Desk
from podium.runners.remote.runner import RemoteRunner
from podium.runners.swarm.launcher import TYPE, SwarmLauncher
from podium.web.context import CONTEXT, Context
from podium.web.routes import register
from podium.web.transfers import handlers


def docker_runner(kind: str, instance: str, home: Path) -> DockerRunner:
    """kind: docker (plain containers), supervised, or pooled (containers started ahead)."""
    return DockerRunner(instance=instance, clock=SystemClock(), home=home, supervise=kind != "docker", pool=4 if kind == "pooled" else 0)


def port_of(address: str) -> int:
    """A free one."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


class Serving:
    """A remote runner with its desk, serving while the context is open.

    host: the swarm's manager, or a kubeconfig. address: of this machine, for nodes. port: 0 is any.
    """

    def __init__(self, home: Path, *, instance: str, host: str, address: str, port: int = 0, kind: str = "swarm", **options: Any) -> None:
        self.address, self.port = address, port or port_of(address)
        self.desk = Desk(home)
        self.host = host
        self._later: int | None = None
        options = {"program": programs.transfer(), **options}
        url = f"http://{address}:{self.port}"
        self.launcher: Any
        if kind == "kubernetes":
            self.launcher = KubernetesLauncher(instance=instance, url=url, desk=self.desk, access=Access(kubeconfig=Path(host)), **options)
        else:
            self.launcher = SwarmLauncher(instance=instance, url=url, host=host, **options)
        type_name = kubernetes.TYPE if kind == "kubernetes" else TYPE
        self.runner = _Taking(self, self.launcher, self.desk, type_name=type_name, clock=SystemClock())
        app = web.Application(client_max_size=0)
        app[CONTEXT] = cast("Context", SimpleNamespace(transfers=self.desk))
        register(app, handlers.ROUTES)
        self._server = web.AppRunner(app, shutdown_timeout=1)

    async def __aenter__(self) -> Serving:
        await self._server.setup()
        await web.TCPSite(self._server, self.address, self.port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.desk.close()
        await self._server.cleanup()

    def handed_over(self) -> dict[str, Any]:
        """What a process needs to be an earlier life of this one; its containers come here once it is dead and `attach` was called."""
        self._later = port_of(self.address)
        return {"host": self.host, "address": self.address, "port": self._later}

    async def take_over(self) -> None:
        """Listen where the earlier life did."""
        port, self._later = self._later, None
        if port is not None:
            await web.TCPSite(self._server, self.address, port).start()


class _Taking(RemoteRunner):
    def __init__(self, serving: Serving, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._serving = serving

    async def attach(self, job: Job, sink: OutputSink) -> Finished | None:
        await self._serving.take_over()
        return await super().attach(job, sink)


def traces_in(swarm: Any, attempt_id: str) -> list[str]:
    """Services, secrets and containers of an attempt."""
    api = swarm.manager.client.api
    wanted = {"label": [f"podium.attempt={attempt_id}"]}
    found = [f"service {each['ID']}" for each in api.services(filters=wanted)] + [f"secret {each['ID']}" for each in api.secrets(filters=wanted)]
    return found + [f"container {each.name} on {node.name}" for node in swarm.nodes for each in node.containers(attempt_id)]
