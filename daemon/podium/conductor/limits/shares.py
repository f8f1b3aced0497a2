"""What the settings give to which flows: priorities, and pools of slots. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

Key = tuple[str, str]
"""Namespace and id of a flow."""
_KNOWN_MAX = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Flows that share slots. flows: `namespace.flow` with `*`. slots: of their task runs that run at one time; None: no limit of its own."""

    flows: Sequence[str]
    slots: int | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Gate:
    """A limit that several task runs share. name: as the settings call it."""

    name: str
    limit: int


@dataclass(frozen=True, slots=True)
class Share:
    """What a flow gets: its priority and the gates that its task runs pass, beside the slots of the machine."""

    priority: int
    gates: tuple[Gate, ...]


class Shares:
    """Looked up for every flow once. pools: by name, in the order of the settings: the first that names a flow has it."""

    def __init__(self, pools: Mapping[str, Pool] | None = None, *, task_runs_per_flow_max: int | None = None) -> None:
        self._pools = dict(pools or {})
        self._per_flow = task_runs_per_flow_max
        self._known: dict[Key, Share] = {}

    def of(self, key: Key) -> Share:
        """The share of a flow."""
        share = self._known.get(key)
        if share is None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            share = self._known[key] = self._find(".".join(key))
        return share

    def _find(self, flow: str) -> Share:
        gates: list[Gate] = []
        if self._per_flow is not None:
            gates.append(Gate(f"limits.task_runs_per_flow_max of {flow}", self._per_flow))
        for name, pool in self._pools.items():
            if any(fnmatchcase(flow, pattern) for pattern in pool.flows):
                if pool.slots is not None:
                    gates.append(Gate(f"pools.{name}.slots", pool.slots))
                return Share(pool.priority, tuple(gates))
        return Share(0, tuple(gates))
