"""How much there may be of everything: what the settings say, as the conductor takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from podium.base import limits
from podium.conductor.limits.resting import WAITING_IN_MEMORY_MAX
from podium.conductor.limits.shares import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Names as in the settings, where each is explained."""

    attempts_max: int = limits.CONCURRENT_ATTEMPTS_MAX
    """Task attempts that run at one time: runner.concurrency."""
    queued_commands_max: int = limits.QUEUED_COMMANDS_MAX
    command_wait_s_max: float = limits.COMMAND_WAIT_S_MAX
    running_executions_max: int = limits.RUNNING_EXECUTIONS_MAX
    queued_per_flow_max: int = limits.QUEUED_PER_FLOW_MAX
    open_executions_max: int = limits.OPEN_EXECUTIONS_MAX
    task_runs_per_flow_max: int | None = None
    pools: Mapping[str, Pool] = field(default_factory=dict)
    waiting_in_memory_max: int = WAITING_IN_MEMORY_MAX
    """Waiting executions that are kept in memory."""
