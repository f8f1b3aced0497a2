"""A board of triggers with a real renderer, a fake orchestrator and bells that tests ring by moving the clock."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

from fake_orchestrator import FakeOrchestrator, Log, parse
from podium.conductor.port import StartRequest
from podium.flows.model import Flow, Trigger
from podium.flows.types import Types
from podium.rendering.renderer import Renderer
from podium.storage.files import FileStorage
from podium.storage.namespace import WorkTreeFiles
from podium.storage.secrets import Secrets
from podium.triggers.bell import Ring
from podium.triggers.board import TriggerBoard


class NoReads:
    """Reads of an orchestrator that knows a few values."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def kv(self, namespace: str, key: str) -> Mapping[str, Any] | None:
        return {"key": key, "value": self.values[key], "type": "STRING"} if key in self.values else None

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class ManualBells:
    """Bells that ring when `due` is asked for."""

    def __init__(self) -> None:
        self.rings: dict[str, tuple[datetime, Ring]] = {}
        self.repeated: dict[str, Ring] = {}

    def ring_at(self, name: str, when: datetime, ring: Ring) -> None:
        self.rings[name] = (when, ring)

    def ring_every(self, name: str, seconds: float, ring: Ring) -> None:
        self.repeated[name] = ring

    def silence(self, name: str) -> None:
        self.rings.pop(name, None)

    def due(self, now: datetime) -> list[Ring]:
        names = [name for name, (when, _) in self.rings.items() if when <= now]
        return [self.rings.pop(name)[1] for name in names]


class House:
    """Everything around a board; `restart` makes a new board around the same orchestrator, as after a crash."""

    def __init__(self, home: Path, clock: Any, *, zone: tzinfo = UTC, secrets: Mapping[str, str] | None = None, types: Types | None = None) -> None:
        self.home, self.clock, self.zone = home, clock, zone
        self.types = types or Types.build(tasks=[Log])
        self.orchestrator = FakeOrchestrator(clock)
        self.reads = NoReads()
        environ = {f"SECRET_{name}": base64.b64encode(value.encode()).decode() for name, value in (secrets or {}).items()}
        self.renderer = Renderer(
            files=FileStorage(home / "storage"), namespace_files=WorkTreeFiles(home), secrets=Secrets(environ), reads=self.reads, clock=clock,
            zone=zone, envs={"stage": "test"},
        )
        self.bells = ManualBells()
        self.board: TriggerBoard = self._board()
        self._run: asyncio.Task[None] | None = None
        self.options: dict[str, Any] = {}

    def _board(self, **options: Any) -> TriggerBoard:
        self.bells = ManualBells()
        return TriggerBoard(
            orchestrator=self.orchestrator, renderer=self.renderer, types=self.types, clock=self.clock, zone=self.zone, home=self.home,
            bell=self.bells, **options,
        )

    def flow(self, text: str) -> Flow:
        return parse(text, self.types)

    async def open(self, **options: Any) -> None:
        self.options = options or self.options
        self.board = self._board(**self.options)
        self._run = asyncio.create_task(self.board.run())
        await self.settle()

    async def close(self) -> None:
        if self._run is not None:
            self._run.cancel()
            await asyncio.gather(self._run, return_exceptions=True)
            self._run = None

    async def restart(self, **options: Any) -> None:
        await self.close()
        await self.open(**options)

    async def settle(self) -> None:
        """Until nothing is under way any more."""
        for _ in range(500):
            await asyncio.sleep(0)
            pending = [task for task in self.board._tasks if not task.done()]
            if pending:
                await asyncio.wait(pending, timeout=5)
            elif _ > 5:
                return

    async def install(self, *texts: str, at: datetime | None = None) -> None:
        self.orchestrator.install(*(self.flow(text) for text in texts), at=at)
        await self.settle()

    async def advance(self, seconds: float, *, sweep: bool = False) -> None:
        """Move the clock, then ring what is due (sweep: only look for it, as if the bells were lost)."""
        self.clock.advance(seconds)
        await self.ring(sweep=sweep)

    async def ring(self, *, sweep: bool = False) -> None:
        if sweep:
            await self.board.sweep()
        for ring in [] if sweep else self.bells.due(self.clock.now()):
            self.board._spawn(ring())
        await self.settle()

    async def finish(self, state: str = "SUCCESS") -> None:
        """End the execution started last."""
        newest = list(self.orchestrator.views)[-1]
        self.orchestrator.finish(newest, state)
        await self.settle()

    @property
    def started(self) -> list[StartRequest]:
        return self.orchestrator.requests

    def dates(self) -> list[str]:
        """The dates of the schedules that were started."""
        return [str((request.trigger or {})["variables"].get("date")) for request in self.started]

    def state(self, trigger: str = "t", flow: str = "f", namespace: str = "team") -> dict[str, Any]:
        return self.orchestrator.states.get((namespace, flow, trigger), {})


def flow_with(trigger: str, *, flow_id: str = "f", extra: str = "") -> str:
    """A flow with one trigger `t`. trigger: lines of YAML below its id."""
    lines = "\n".join(f"    {line}" for line in trigger.strip("\n").splitlines())
    return (
        f"id: {flow_id}\nnamespace: team\n{extra}tasks:\n  - id: say\n    type: io.kestra.plugin.core.log.Log\n    message: hi\n"
        f"triggers:\n  - id: t\n{lines}\n"
    )


async def until(check: Callable[[], Any], what: str, *, timeout_s: float = 60) -> None:
    """Wait for a condition."""
    try:
        async with asyncio.timeout(timeout_s):
            while not check():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"never happened: {what}") from None


def trigger_of(flow: Flow) -> Trigger:
    return flow.triggers[0]
