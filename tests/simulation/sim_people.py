"""Somebody who presses every button at any moment. Being refused is fine; anything but a refusal is not."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from podium.base.errors import PodiumError
from podium.conductor.port import StartRequest

if TYPE_CHECKING:
    from sim_world import World

BUSY_S = 25.0


class Person:
    """Acts until the busy time is over."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = world.rng
        self.podium = world.house.podium

    async def live(self) -> None:
        while self.world.loop.seconds < BUSY_S:
            await asyncio.sleep(self.rng.uniform(0.05, 2.5))
            books = self.world.ledger.books
            if not books:
                continue
            stream = self.rng.choice(list(books))
            with contextlib.suppress(PodiumError):  # a decision that raises is in the daemon's log, which is looked at
                await self._act(stream)

    async def _act(self, stream: str) -> Any:
        rng, podium = self.rng, self.podium
        runs = list(self.world.ledger.books[stream].runs)
        match rng.choices(
            ["pause", "resume", "kill", "restart", "replay", "again", "status", "run", "labels", "force", "start", "review"],
            [4, 6, 2, 5, 1, 2, 1, 3, 2, 1, 1, 4],
        )[0]:
            case "pause":
                return await podium.pause(stream)
            case "resume":
                return await podium.resume(stream)
            case "kill":
                return await podium.kill(stream, cascade=rng.random() < 0.7)
            case "restart":
                return await podium.restart(stream)
            case "replay":
                return await podium.replay(stream)
            case "again":
                return await podium.replay(stream, task_run_id=rng.choice(runs)) if runs else None
            case "status":
                return await podium.change_status(stream, rng.choice(["SUCCESS", "FAILED", "WARNING", "KILLED"]))
            case "run":
                state = rng.choice(["SUCCESS", "FAILED", "RUNNING", "RESTARTED"])
                return await podium.change_task_run_state(stream, rng.choice(runs), state) if runs else None
            case "labels":
                return await podium.set_labels(stream, {"by": "hand"})
            case "review":
                return await podium.review(stream, rng.choice(["APPROVED", "DENIED"]), by="hand")
            case "force":
                self.world.forced.add(stream)
                return await podium.force_run(stream)
            case _:
                request = StartRequest(namespace="n", flow_id=rng.choice(self.world.flows)["id"], trigger={"id": "hand", "type": "hand"})
                return await podium.start(request)
