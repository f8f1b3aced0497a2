"""A runner that runs nothing: it plays what it is told. For tests and demonstrations, and as the simplest example of the port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from podium.base.system.clock import Clock, SystemClock
from podium.runners.collect import wanted
from podium.runners.port import Finished, Job, Line, OutputSink, Places


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a command does: lines it prints, then files it leaves, then its exit code after `takes_s` seconds (for ever: None)."""

    lines: Sequence[tuple[str, str]] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    exit_code: int = 0
    takes_s: float | None = 0.0


class ScriptedRunner:
    """See the module's docstring. answer: what the command of a job does. started: the attempts that began, in order."""

    TYPE = "podium.runner.Scripted"

    def __init__(self, answer: Callable[[Job], Script] = lambda _: Script(), clock: Clock | None = None) -> None:
        self._answer = answer
        self._clock = clock or SystemClock()
        self._kills: dict[str, asyncio.Event] = {}
        self.started: list[str] = []

    def places(self, directory: Path, private: Path) -> Places:
        """The host's own."""
        return Places(working=str(directory), outputs=str(private / "outputs"), private=str(private))

    async def run(self, job: Job, sink: OutputSink) -> Finished:
        """See Runner."""
        killed = self._kills.setdefault(job.attempt_id, asyncio.Event())
        if killed.is_set():
            return Finished(exit_code=137, killed=True, facts={"runner": self.TYPE})
        self.started.append(job.attempt_id)
        script = self._answer(job)
        lines = [Line(stream, self._clock.now(), text) for stream, text in script.lines]
        await sink.lines(lines, cursor=str(len(lines)))
        try:
            async with asyncio.timeout(script.takes_s):
                await killed.wait()
        except TimeoutError:
            is_wanted = wanted(job.output_patterns, job.unwanted)
            for name, content in script.files.items():
                for place in [job.results / name] if is_wanted(name) else []:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(content)
            return Finished(exit_code=script.exit_code, facts={"runner": self.TYPE, "image": job.image})
        return Finished(exit_code=137, killed=True, facts={"runner": self.TYPE, "image": job.image})

    async def attach(self, job: Job, sink: OutputSink) -> Finished | None:
        """Nothing outlives this runner."""
        return None

    async def kill(self, attempt_id: str, *, grace_s: float = 0.0) -> None:
        """See Runner."""
        self._kills.setdefault(attempt_id, asyncio.Event()).set()

    async def release(self, attempt_id: str) -> None:
        """See Runner."""
        self._kills.pop(attempt_id, None)

    async def reap(self, live_attempts: set[str]) -> int:
        """See Runner."""
        return 0

    async def close(self) -> None:
        """See Runner."""
