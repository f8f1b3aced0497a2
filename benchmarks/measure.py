"""What a measurement is, and the repository and daemon that benchmarks run on."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.harness import ROOT, Daemon, free_port, run, running

NAMESPACE = "bench"
IDENTITY = {
    "GIT_AUTHOR_NAME": "Bench", "GIT_AUTHOR_EMAIL": "bench@localhost", "GIT_COMMITTER_NAME": "Bench", "GIT_COMMITTER_EMAIL": "bench@localhost",
}
FLOW = """id: {id}
namespace: bench
description: revision {revision}
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: hello from {id}
"""
DOCKER_FLOW = """id: in-docker
namespace: bench
tasks:
  - id: say
    type: io.kestra.plugin.scripts.shell.Commands
    containerImage: {image}
    commands: [echo hi]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One line of the table. good: whether the budget is kept. detail: what the figure was made of."""

    name: str
    figure: str
    budget: str
    good: bool
    detail: str = ""

    def of_budget(self) -> float | None:
        """How much of its budget the figure takes, 1 being all of it: measured/allowed, or wanted/measured. None where there is no number."""
        found, wanted = _NUMBER.match(self.figure), _NUMBER.match(self.budget.lstrip("≤≥ "))
        if found is None or wanted is None or self.budget[:1] not in "≤≥":
            return None
        measured, limit = (float(each[0].replace(",", "")) for each in (found, wanted))
        over, under = (measured, limit) if self.budget.startswith("≤") else (limit, measured)
        return over / under if under else None


_NUMBER = re.compile(r"[0-9][0-9,]*(?:\.[0-9]+)?")


def median_ms(seconds: Sequence[float]) -> float:
    """The median, in milliseconds."""
    return statistics.median(seconds) * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A repository of flows, its clone, and the settings of a daemon that follows it."""

    folder: Path

    @property
    def bare(self) -> Path:
        return self.folder / "flows.git"

    @property
    def clone(self) -> Path:
        return self.folder / "flows"

    @property
    def config(self) -> Path:
        return self.folder / "podium.toml"

    def write(self, name: str, text: str) -> None:
        """Put a flow into the clone."""
        (self.clone / f"{name}.yaml").write_text(text, "utf-8")

    def push(self, message: str) -> str:
        """Commit and push everything; the commit."""
        run("git", "add", "--all", cwd=self.clone)
        run("git", "commit", "--quiet", "--message", message, cwd=self.clone, env=IDENTITY)
        run("git", "push", "--quiet", "origin", "HEAD:main", cwd=self.clone)
        return run("git", "rev-parse", "HEAD", cwd=self.clone)

    @contextlib.contextmanager
    def daemon(self) -> Iterator[Daemon]:
        """A daemon that follows the repository and knows its flows."""
        port = free_port()
        text = f"home = {json.dumps(str(self.folder / 'home'))}\n[server]\nport = {port}\n"
        text += f"[sources.main]\nurl = {json.dumps(str(self.bare))}\npoll_interval_s = 0\n"
        self.config.write_text(text, "utf-8")
        with running(self.config, port=port, log=self.folder / "daemon.log") as daemon:
            daemon.wait(lambda: count_flows(daemon) == len(list(self.clone.glob("*.yaml"))), what="all flows", timeout_s=60, every_s=0.02)
            yield daemon


def count_flows(daemon: Daemon) -> int:
    """How many flows are deployed."""
    return int(daemon.get(f"/api/v1/flows/search?size=1&namespace={NAMESPACE}")["total"])


@contextlib.contextmanager
def place(flows: int) -> Iterator[Place]:
    """A repository with that many one-task flows, removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="podium-bench-"))
    try:
        made = Place(folder=folder)
        run("git", "init", "--quiet", "--bare", "--initial-branch=main", made.bare, cwd=folder)
        run("git", "clone", "--quiet", made.bare, made.clone, cwd=folder)
        for number in range(flows):
            made.write(f"flow-{number:04}", FLOW.format(id=f"flow-{number:04}", revision=1))
        made.push("flows")
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def image() -> str | None:
    """An image for container measurements that is on this machine, or None."""
    for name in ("podium.local/busybox:latest", "busybox:latest", "podium.local/debian:bookworm"):
        if run("docker", "image", "inspect", "--format", "{{.Id}}", name, cwd=ROOT, check=False).startswith("sha256:"):
            return name
    return None
