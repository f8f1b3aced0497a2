"""One world from one seed: flows, people, trouble, and the real conductor over a real journal, in virtual time. The auditor looks on.

`World(Setup(seed=7)).run()` raises what is wrong, or returns the world to be looked at. A daemon's life ends by a crash at a transaction or
in between; the next one finds the journal, the containers and the results branch as they were left.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

import structlog

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "engine"))
from conductor_house import House
from flow_writer import Writer
from sim_ledger import HOLDING, TERMINAL, Book, Ledger, Violation
from sim_loop import VirtualLoop
from sim_outside import Disk, Outside, OutsideWorker, Remote, SimClock, full_disk
from sim_people import Person
from sim_rules import Facts, Rules, kind

from podium.base.errors import InputError, PodiumError
from podium.base.system import ids
from podium.conductor.limits.bounds import Bounds
from podium.conductor.limits.shares import Pool
from podium.conductor.port import StartRequest
from podium.engine import codec
from podium.engine import commands as cmd
from podium.engine import events as ev
from podium.engine.shape.view import execution_view
from podium.engine.state import fold
from podium.store.db import Database
from podium.store.journal import Batch

FAULTS = ("crash", "disk", "clock", "lost", "spoilt", "again", "push", "people")
"""crash: the daemon dies; disk: it is full at times; clock: it is set; lost: containers vanish with the daemon; spoilt: directories cannot be
made or kept; again: outcomes are told twice; push: records reach the remote, events are dropped; people: commands at any moment."""
BUSY_S = 25.0
"""How long people and trouble are about."""
STUCK_S = 120.0
"""When nothing was heard of any execution for this long, what is open will never end."""
SETTLE_S = 6_000.0
"""A long queue takes its time; longer than this none does."""
IDLE_S = 6.5
"""A paused execution of which nothing was heard for this long waits for somebody: no duration in a flow is longer."""
TIGHT = Bounds(
    attempts_max=2, waiting_in_memory_max=0, running_executions_max=2, task_runs_per_flow_max=1,
    pools={"one": Pool(flows=["*f1"], slots=1, priority=1)},
)
"""What half of the worlds have: everything waits, for every reason, and out of memory."""
EXPECTED_LOGS = frozenset({"journal_not_written"})
_AUDIT = """CREATE TABLE IF NOT EXISTS audit (seq INTEGER PRIMARY KEY, stream TEXT, version INTEGER, body BLOB);
CREATE TRIGGER IF NOT EXISTS audited AFTER INSERT ON events BEGIN
INSERT INTO audit (stream, version, body) VALUES (new.stream, new.version, new.body); END;"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """order: of things that do not depend on one another; the story is the seed's. orderly: see Writer. flows: instead of those of the seed."""

    seed: int
    order: int = 0
    faults: frozenset[str] = frozenset(FAULTS)
    orderly: bool = False
    flows: tuple[str, ...] = ()


class World:
    """See the module's docstring."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.rng = random.Random(f"{setup.seed}/{setup.order}")
        self.flows = [json.loads(each) for each in setup.flows] or self._write()
        self.facts = {each["id"]: Facts.of(each) for each in self.flows}
        story = random.Random(f"{setup.seed}/starts")
        self.starts = {str(number): (story.choice(self.flows)["id"], story.uniform(0, 8)) for number in range(story.randint(1, 6))}
        self.bounds = Bounds(attempts_max=8) if random.Random(f"{setup.seed}/bounds").random() < 0.5 else TIGHT
        self.outside = Outside(str(setup.seed), self.rng, setup.faults)
        self.ledger = Ledger()
        self.clock = SimClock()
        self.remote = Remote()
        self.acknowledged: dict[str, str] = {}
        """start → execution."""
        self.refused: set[str] = set()
        self.forced: set[str] = set()
        self.heard: dict[str, float] = {}
        """execution → when something of it last reached the disk, by the loop's time."""
        self.told: list[tuple[str, cmd.Command]] = []
        self.lives = 0
        self.writes = 0
        self.seen = 0
        self.broken: BaseException | None = None
        self.crashes = sorted(self.rng.randint(3, 250) for _ in range(self.rng.randint(1, 5))) if "crash" in setup.faults else []
        """After, or before, which transactions the daemon dies."""
        self.house: House
        self.loop: VirtualLoop

    def _write(self) -> list[dict[str, Any]]:
        rng = random.Random(f"{self.setup.seed}/flows")
        flows: list[dict[str, Any]] = []
        for number in range(rng.randint(1, 3)):
            targets = [each["id"] for each in flows]
            flows.append(Writer(rng, outside=True, orderly=self.setup.orderly, targets=targets).flow(f"f{number}"))
        return flows

    # ---- its whole course
    def run(self) -> World:
        """From the first start to the end of the last execution. Raises Violation, or whatever else went wrong."""
        shm = Path("/dev/shm")
        home = Path(tempfile.mkdtemp(prefix="podium-sim-", dir=shm if shm.is_dir() else None))
        try:
            with self._chance(), structlog.testing.capture_logs() as logged:
                Database.open(home / "journal.db").close()
                while not self._life(home):
                    self._look_at(logged)
                self._look_at(logged)
            self._at_the_end()
        finally:
            shutil.rmtree(home, ignore_errors=True)
        return self

    @contextlib.contextmanager
    def _chance(self) -> Iterator[None]:
        drawn = random.Random(f"{self.setup.seed}/{self.setup.order}/ids")
        with mock.patch.object(ids, "time", self.clock), mock.patch.object(ids, "secrets", mock.Mock(randbits=drawn.getrandbits)):
            yield

    def _look_at(self, logged: list[Any]) -> None:
        """What the daemon logged as an error is one."""
        for entry in logged:
            if entry["log_level"] in ("error", "critical") and entry["event"] not in EXPECTED_LOGS:
                cause = entry.get("exc_info")
                raise Violation(f"the daemon logged {entry}") from (cause if isinstance(cause, BaseException) else None)
        logged.clear()

    def _life(self, home: Path) -> bool:
        """One life of the daemon; whether it was the last."""
        self.lives += 1
        loop = self.loop = self.clock.loop = VirtualLoop(self.clock.seconds)
        with mock.patch.object(ids, "_last", 0):
            try:
                worker = OutsideWorker(self.outside, self.clock)
                disk = Disk(home / "journal.db", self._before_write, self._after_write)
                disk._own.executescript(_AUDIT)
                main = loop.create_task(self._live(home, worker, disk))
                main.add_done_callback(lambda _: loop.stop())
                loop.run_forever()
            finally:
                worker.alive, disk.dead, self.clock.seconds, self.clock.loop = False, True, loop.seconds, None
                done = main.done()
                self.house.conductor.slots._closed = True
                loop.abandon()
                disk.close()
        if self.broken is not None:
            raise self.broken
        if done:
            main.result()
            return True
        self.outside.crash()
        return False

    async def _live(self, home: Path, worker: OutsideWorker, disk: Disk) -> None:
        self.house = house = House(home, self.clock, worker=worker, database=disk, branch=self.remote, bounds=self.bounds)
        commit, submit = house.journal.commit, house.conductor.submit

        async def committed(batch: Batch, now: datetime) -> int:
            if "disk" in self.setup.faults and self.loop.seconds < BUSY_S and self.rng.random() < 0.01:
                raise full_disk()
            number = await commit(batch, now)
            self._compare({stream for stream, _, _ in batch.events})
            return number

        async def submitted(execution_id: str, command: cmd.Command, *more: Any, **options: Any) -> dict[str, Any]:
            view = await submit(execution_id, command, *more, **options)
            if isinstance(command, (cmd.AttemptBegan, cmd.AttemptEnded, cmd.SubflowStarted, cmd.SubflowEnded, cmd.WorkspaceOpened)):
                self.told.append((execution_id, command))
            return view

        house.journal.commit, house.conductor.submit = committed, submitted  # type: ignore[method-assign]
        if self.lives == 1:
            await house.deploy(*(json.dumps(each) for each in self.flows))
        await house.conductor.start()
        for actor in self._actors():
            self.loop.create_task(self._guarded(actor))
        await self._settle()

    def _actors(self) -> list[Callable[[], Any]]:
        faults = self.setup.faults
        actors: list[Callable[[], Any]] = [self._starter]
        if "crash" in faults:
            actors.append(self._reaper)
        if "clock" in faults:
            actors.append(self._set_clock)
        if "again" in faults:
            actors.append(self._tell_again)
        if "push" in faults:
            actors.append(self._push)
        if "people" in faults:
            actors += [Person(self).live, self._pauser]
        return actors

    async def _guarded(self, actor: Callable[[], Any]) -> None:
        try:
            await actor()
        except Exception as error:  # noqa: BLE001 - whatever it is, the world is over
            self._over(error)

    def _over(self, error: BaseException) -> None:
        self.broken = self.broken or error
        self.loop.stop()

    # ---- those who act
    async def _starter(self) -> None:
        for start, (flow_id, at) in sorted(self.starts.items(), key=lambda each: each[1][1]):
            await asyncio.sleep(max(at - self.loop.seconds, 0))
            while start not in self.acknowledged and start not in self.refused:
                request = StartRequest(namespace="n", flow_id=flow_id, labels={"start": start}, dedupe_key=f"start-{start}")
                try:
                    view = await self.house.podium.start(request)
                except InputError:  # a check of the flow
                    self.refused.add(start)
                except PodiumError:
                    await asyncio.sleep(0.3)
                else:
                    self._must(view["id"] in self.ledger.books, f"start {start} was acknowledged and is not on the disk")
                    self.acknowledged[start] = view["id"]

    async def _pauser(self) -> None:
        """Somebody who pauses everything now and then, and ends that in the end, also after a crash."""
        while self.loop.seconds < BUSY_S:
            await asyncio.sleep(self.rng.uniform(1, 20))
            with contextlib.suppress(PodiumError):
                await (self.house.podium.pause_all(by="sim") if self.rng.random() < 0.5 else self.house.podium.resume_all())
        while self.house.podium.queue()["paused"] is not None:
            with contextlib.suppress(PodiumError):
                await self.house.podium.resume_all()

    async def _reaper(self) -> None:
        """Deaths between transactions."""
        await asyncio.sleep(self.rng.uniform(0.5, 40.0))
        if self.loop.seconds < BUSY_S:
            self.loop.stop()

    async def _set_clock(self) -> None:
        while self.loop.seconds < BUSY_S:
            await asyncio.sleep(self.rng.uniform(2, 20))
            self.clock.offset += self.rng.choice([-1, 1]) * self.rng.uniform(0.2, 12)

    async def _tell_again(self) -> None:
        while self.loop.seconds < BUSY_S:
            await asyncio.sleep(self.rng.uniform(0.1, 2))
            if self.told:
                execution_id, command = self.rng.choice(self.told)
                if isinstance(command, cmd.AttemptEnded) and self.rng.random() < 0.5:
                    state = self.rng.choice(["SUCCESS", "FAILED", "KILLED"])
                    command = cmd.AttemptEnded(run_id=command.run_id, number=command.number, state=state)
                self.house.conductor.post(execution_id, command)

    async def _push(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(self.rng.uniform(0.5, 6))
            number += 1
            files = await self.house.queue.pending(after_seq=0, limit=1_000)
            commit = f"{self.lives:03}{number:037}"
            self.remote.bodies.update({each.path: each.body for each in files})
            await self.house.queue.committed([each.seq for each in files], commit)
            await self.house.queue.pushed(commit)

    async def _settle(self) -> None:
        """Wait for the end of everything; resume what waits for somebody."""
        while True:
            open_ones = [stream for stream, book in self.ledger.books.items() if not book.closed]
            started = len(self.acknowledged) + len(self.refused) == len(self.starts)
            if not open_ones and started and self.loop.seconds > (BUSY_S if "people" in self.setup.faults else 0):
                await asyncio.sleep(2)
                quiet = self.loop.seconds - max(self.heard.values(), default=0.0) >= 1
                if quiet and all(book.closed for book in self.ledger.books.values()):
                    break
            for stream in open_ones:
                if self.loop.seconds - self.heard[stream] > IDLE_S:
                    with contextlib.suppress(PodiumError):
                        await self._go_on(stream)
            silence = self.loop.seconds - max((*self.heard.values(), BUSY_S))
            if silence > STUCK_S or self.loop.seconds > SETTLE_S:
                stuck = {stream: (book.made.flow_id, book.state, [f"{run.task_id} {run.state}" for run in book.runs.values()
                                                                  if run.state not in TERMINAL]) for stream, book in self.ledger.books.items()
                         if not book.closed}
                raise Violation(f"it does not come to an end: {stuck}")
            await asyncio.sleep(1)
        self._must(not self.house.conductor.in_flight, f"closed executions are still in memory: {list(self.house.conductor.in_flight)}")
        self._must(not self.house.conductor.slots.waiting and not self.house.conductor.slots.running, "attempts still wait or run")

    async def _go_on(self, stream: str) -> None:
        """Give a waiting execution what it waits for. What is decided hangs on the task alone."""
        waiting = [run for run in self.ledger.books[stream].runs.values()
                   if run.state == "PAUSED" and kind(self.facts[self.ledger.books[stream].made.flow_id].tasks[run.task_id]) == "Approval"]
        if not waiting:
            await self.house.podium.resume(stream)
            return
        fate = random.Random(f"{self.setup.seed}/{waiting[0].task_id}/decision")
        await self.house.podium.review(stream, fate.choice(["APPROVED", "DENIED"]), by="somebody", task_run_id=waiting[0].id)

    # ---- the auditor
    def _before_write(self) -> bool:
        self.writes += 1
        return self._dies("before")

    def _after_write(self) -> bool:
        try:
            for seq, stream, version, body in self.house.database._own.execute(  # type: ignore[attr-defined]
                "SELECT seq, stream, version, body FROM audit WHERE seq > ? ORDER BY seq", (self.seen,)
            ).fetchall():
                self.seen = seq
                self._durable(stream, version, codec.decode(body))
        except Exception as error:  # noqa: BLE001 - would be swallowed by the conductor's loop
            self._over(error)
            return True
        return self._dies("after")

    def _dies(self, when: str) -> bool:
        if self.crashes and self.writes >= self.crashes[0] and ("before", "after")[self.crashes[0] % 2] == when and self.loop.seconds < BUSY_S:
            del self.crashes[0]
            self.loop.stop()
            return True
        return False

    def _durable(self, stream: str, version: int, fact: ev.Event) -> None:
        before = self.ledger.books[stream].state if stream in self.ledger.books else ""
        book = self.ledger.enter(stream, version, fact)
        self.heard[stream] = self.loop.seconds
        if isinstance(fact, ev.ExecutionMoved) and fact.state == "RUNNING" and before in ("CREATED", "QUEUED"):
            self._admitted(stream, book, before)
        if isinstance(fact, ev.ExecutionClosed):
            facts = self.facts[book.made.flow_id]
            Rules(
                facts if book.made.loop is None else facts.iteration(book.made.loop["taskId"]), book, stream, calm=not self.setup.faults, spoilt=self.outside.spoilt,
                timely=not self.setup.faults & {"crash", "disk", "clock"}, iterations=self.ledger.iterations,
            ).check()
            running = [each.attempt_id for each in self.outside.containers.values()
                       if each.execution_id == stream and each.ends > self.loop.seconds and each.attempt_id not in self.ledger.dismissed]
            self._must(not running, f"execution {stream} is closed and its attempts run: {running}")

    def _admitted(self, stream: str, book: Book, before: str) -> None:
        """1.5: never more than the limit, and the oldest first."""
        limit = self.facts[book.made.flow_id].flow.get("concurrency")
        if limit is None or stream in self.forced or book.made.loop is not None:
            return
        others = self.ledger.holding(book.made.namespace, book.made.flow_id, stream)
        self._must(others < limit["limit"], f"execution {stream} began beside {others} others, the limit is {limit['limit']}")
        queued = [each for each, other in self.ledger.books.items() if other.state == "QUEUED" and other.made.loop is None and other.made.flow_id == book.made.flow_id]
        if before == "QUEUED":
            self._must(all(each > stream for each in queued), f"execution {stream} overtook {min(queued, default='')}")

    def _compare(self, streams: set[str]) -> None:
        """The state in memory is the fold of what is on the disk."""
        for stream in streams:
            live = self.house.conductor.stream(stream)
            if live is None or (not live.state.closed and self.rng.random() < 0.9):
                continue
            rows = self.house.database._own.execute(  # type: ignore[attr-defined]
                "SELECT body FROM events WHERE stream = ? ORDER BY version", (stream,)
            ).fetchall()
            again = fold(codec.decode(row[0]) for row in rows)
            if execution_view(again, tree=live.tree) != execution_view(live.state, tree=live.tree) or again.scope != live.state.scope:
                self._over(Violation(f"execution {stream}: memory is not the fold of its events"))

    def _at_the_end(self) -> None:
        left = {each.attempt_id for each in self.outside.containers.values()}
        self._must(not left, f"attempts left behind: {left}")
        self._must(not self.outside.directories, f"directories left behind: {self.outside.directories}")
        self._must(not self.outside.wrong, "; ".join(self.outside.wrong))
        self._must(not any(book.state in HOLDING | {"QUEUED", "CREATED"} for book in self.ledger.books.values()), "not all have ended")
        for start in self.starts:
            if start in self.acknowledged:
                made = [each for each, book in self.ledger.books.items() if book.made.labels.get("start") == start and book.made.parent_id is None
                        and book.made.trigger is None and book.made.loop is None]
                self._must(made == [self.acknowledged[start]], f"start {start} made {made}, acknowledged was {self.acknowledged[start]}")
        self._successors()

    def _successors(self) -> None:
        """1.6: one that ended RETRIED is followed by exactly one new execution, not before its time."""
        by_parent: dict[str, list[Book]] = {}
        for book in self.ledger.books.values():
            if book.made.parent_id is not None:
                by_parent.setdefault(book.made.parent_id, []).append(book)
        for stream, book in self.ledger.books.items():
            for _ in range(sum(1 for state, _ in book.history if state == "RETRIED")):
                found = [each for each in by_parent.get(stream, ()) if each.made.schedule_date is not None]
                self._must(bool(found), f"execution {stream} ended RETRIED and nothing took its place")
                for each in found:
                    began = next((at for state, at in each.history if state == "RUNNING"), None)
                    early = began is not None and each.made.schedule_date is not None and began < each.made.schedule_date
                    self._must(not early or each.made.id in self.forced or each.number > 1, f"execution {each.made.id} began before its time")

    def _must(self, holds: bool, what: str) -> None:
        if not holds:
            raise Violation(what)
