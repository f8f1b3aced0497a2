"""Asking the machine: runs a program of the system and gives back what it said. For doctor and images only; tasks run in runners/."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a program ended. exit_code: None when it is not installed or did not end in time."""

    exit_code: int | None
    output: str

    @property
    def ok(self) -> bool:
        """Whether it ended with 0."""
        return self.exit_code == 0


def has(program: str) -> bool:
    """Whether `program` is on the PATH."""
    return shutil.which(program) is not None


def ask(argv: Sequence[str], *, timeout_s: float) -> Answer:
    """Run `argv` without input; its standard output and error together. Never raises."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_s, check=False,
            text=True, errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return Answer(exit_code=None, output=str(exc))
    return Answer(exit_code=done.returncode, output=done.stdout.strip())
