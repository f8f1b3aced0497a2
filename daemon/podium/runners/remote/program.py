"""The program `podium-transfer`, as it is delivered into containers. Called by the launchers.

It is built from our own source when Podium is installed (`runners/native`); where it is not there, tasks of swarm and kubernetes are refused.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from podium.base.errors import RunnerRefused

TARGET = "/podium-transfer"
"""Where it stands in a container; it must be executable there."""


@dataclass(frozen=True, slots=True)
class Program:
    """The program. version: changes with every byte of it."""

    content: bytes
    version: str

    @classmethod
    def read(cls, path: Path | None) -> Program:
        """path: where it was built, or None if it was not. Raises RunnerRefused. Blocks."""
        try:
            content = path.read_bytes() if path is not None else b""
        except OSError:
            content = b""
        if not content:
            raise RunnerRefused(
                "the program podium-transfer is not there, which containers on other machines need",
                hint="install Podium with its programs (see docs/runners.md), or use the runners docker or process",
            )
        return cls(content, hashlib.sha256(content).hexdigest()[:12])

    def argv(self, url: str, attempt_id: str, token_file: str, user: str | None) -> list[str]:
        """How it is called. url: runner.remote_url. user: whom the command runs as when the container begins as root, None for its own."""
        return [TARGET, f"{url.rstrip('/')}/api/v1/transfers/{attempt_id}", token_file, user or "-"]
