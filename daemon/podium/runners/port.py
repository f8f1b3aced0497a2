"""What a task runner is: it carries one command of one task attempt from start to end (rulings 5 and 9).

Who calls: `workers`. What always holds: an attempt's command starts at most once, whatever crashes; `run` and `attach` differ only
in that `attach` never starts anything. No host path crosses this port but the directories of the Job.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from podium.base.errors import LimitError


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One command to run.

    directory: host directory whose files are the task's working directory before it starts (copied or mounted by the runner).
    private: host directory of files that the command reads and that are not its own (scripts, copies of inputs), see Places.private.
    results: host directory into which the runner brings back the files matching `output_patterns` (relative paths kept).
    labels: instance, execution, task run, attempt … put on whatever the runner creates.
    """

    attempt_id: str
    argv: Sequence[str]
    directory: Path
    results: Path
    private: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None
    output_patterns: Sequence[str] = ()
    output_directory: bool = False
    """Also bring back everything below the directory that `{{ outputDir }}` names."""
    unwanted: Sequence[str] = ()
    """Relative paths in the working directory that are never results (the script itself)."""
    caches: Mapping[str, Path] = field(default_factory=dict)
    """Name below Places.private → host directory with what an earlier run left there. One that is missing is made after exit 0."""
    write_back: bool = False
    """Afterwards `directory` itself must hold what the command left: files added, changed and removed (shared workspaces)."""
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """The task runner's own properties, rendered, by their names in the language (user, cpu, memory, networkMode, pullPolicy, …)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a command sees its directories: absolute paths, valid inside its container if it has one."""

    working: str
    outputs: str
    private: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a command ended. exit_code: 0–255, or 128 + signal. facts: image, imageId, containerId, runner, oomKilled …"""

    exit_code: int
    killed: bool = False
    oom_killed: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


class Line(NamedTuple):
    """A line that a command printed, without its newline. stream: stdout, stderr, or runner for what the runner itself says (a warning)."""

    stream: str
    at: datetime
    text: str


def too_much(limit: int) -> LimitError:
    """What to raise when a command prints without end. limit: bytes, each line counted with what keeping it costs."""
    return LimitError(
        f"The command printed more than {limit} bytes and was ended (COMMAND_OUTPUT_BYTES_MAX)",
        hint="print less, or write to a file and keep it with outputFiles", limit="COMMAND_OUTPUT_BYTES_MAX",
    )


class OutputSink(Protocol):
    """Takes the lines a command prints, in order within each stream. Durable when it returns, with the cursor."""

    async def lines(self, lines: Sequence[Line], *, cursor: str | None) -> None:
        """cursor: where to go on reading after a crash (opaque to the caller); None leaves it as it is.

        Raises LimitError when there have been too many: the runner lets it through, and whoever called it kills the command.
        """
        ...

    async def cursor(self) -> str | None:
        """The cursor stored last."""
        ...


class Runner(Protocol):
    """Where a command runs. Raises RunnerError (retryable or not) when it cannot be started at all."""

    TYPE: str
    """The language's name of it: io.kestra.plugin.scripts.runner.docker.Docker, io.kestra.plugin.core.runner.Process …"""

    def places(self, directory: Path, private: Path) -> Places:
        """The paths by which a command sees a Job with these directories."""
        ...

    async def run(self, job: Job, sink: OutputSink) -> Finished:
        """Start the command (or find it, when this attempt was started before a crash), stream its output, wait, bring back its files.

        Raises RunnerError when it cannot be started, AttemptLost when it was and its end cannot be learnt.
        """
        ...

    async def attach(self, job: Job, sink: OutputSink) -> Finished | None:
        """After a crash: the rest of an attempt that may have started. None when it never started (then `run` is safe)."""
        ...

    async def kill(self, attempt_id: str, *, grace_s: float = 0.0) -> None:
        """End the command: TERM, `grace_s` seconds, KILL. One that is not started yet never will be. Nothing happens when it is gone."""
        ...

    async def release(self, attempt_id: str) -> None:
        """The end of this attempt is in the journal: remove everything it left (container, volume, directory)."""
        ...

    async def reap(self, live_attempts: set[str]) -> int:
        """Remove whatever of this instance belongs to none of these attempts; how many things were removed."""
        ...

    async def close(self) -> None: ...


Opener = Callable[[], Awaitable[Runner]]
