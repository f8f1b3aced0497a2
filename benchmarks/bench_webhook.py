"""Webhooks under load: how soon an accepted delivery is answered, and what becomes of ten times more. `python -m benchmarks --only webhook`.

Deliveries are sent at fixed moments, whatever the answers do (open loop): a delivery that finds no free connection waits, and its time counts
from the moment at which it was due. The same sender measures a bare handler that enters one row into SQLite and syncs it, in the same run.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import urllib.error
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.measure import NAMESPACE, Measured, place
from tools.harness import Daemon, free_port

RATE = 200
MANY = 10 * RATE
SECONDS = 10.0
CONNECTIONS = 100
CONNECTIONS_MANY = 2_000
"""Of many senders that do not know of each other: with fewer, the senders themselves would hold back."""
FLOW = """id: hook
namespace: bench
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: "{{ trigger.body.number }}"
triggers:
  - {id: web, type: io.kestra.plugin.core.trigger.Webhook, key: bench-key}
"""
BARE = """
import asyncio, sqlite3, sys
from aiohttp import web
db = sqlite3.connect(sys.argv[2], isolation_level=None)
db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB);")
async def hook(request):
    body = await request.read()
    db.execute("INSERT INTO t (body) VALUES (?)", (body,))
    return web.json_response({"ok": True})
app = web.Application()
app.router.add_post("/hook", hook)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


@dataclass(slots=True)
class Load:
    """What became of the deliveries of one run. took: seconds from due to answered, of those with status 200. behind: how late the last was sent."""

    statuses: Counter[int] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    without_retry_after: int = 0
    behind: float = 0.0

    def p99_ms(self) -> float:
        """Of the accepted ones."""
        return sorted(self.took)[int(len(self.took) * 0.99)] * 1000 if self.took else float("nan")


async def _deliver(load: Load, port: int, path: str, due: asyncio.Queue[tuple[int, float] | None]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (item := await due.get()) is not None:
        number, moment = item
        body = b'{"number": %d}' % number
        load.behind = max(load.behind, time.perf_counter() - moment)
        writer.write(
            b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Podium-Client: bench\r\nContent-Length: %d\r\n\r\n%s"
            % (path.encode(), len(body), body)
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        headers = dict(line.partition(": ")[::2] for line in head.split("\r\n")[1:] if line)
        await reader.readexactly(int(headers.get("content-length", 0)))
        took = time.perf_counter() - moment
        status = int(head.split(" ", 2)[1])
        load.statuses[status] += 1
        if status == 200:
            load.took.append(took)
            load.accepted.append(_id_of(head))
        else:
            load.refused.append(took)
            load.without_retry_after += status in (429, 503) and "retry-after" not in headers
    writer.close()


def _id_of(head: str) -> str:
    """Lower case, as the head is: enough to tell executions apart here."""
    return next((line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("podium-execution:")), "")


async def _send(port: int, path: str, *, rate: int, seconds: float, connections: int = CONNECTIONS) -> Load:
    load, due = Load(), asyncio.Queue[tuple[int, float] | None]()
    senders = [asyncio.create_task(_deliver(load, port, path, due)) for _ in range(connections)]
    await asyncio.sleep(0.2)
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        moment = began + number / rate
        if (wait := moment - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        due.put_nowait((number, moment))
    for _ in senders:
        due.put_nowait(None)
    await asyncio.gather(*senders)
    return load


def _bare(folder: str, rate: int, seconds: float) -> Load:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", BARE, str(port), f"{folder}/bare.db"])
    try:
        for _ in range(200):
            try:
                return asyncio.run(_send(port, "/hook", rate=rate, seconds=seconds))
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the bare handler does not listen")
    finally:
        process.terminate()
        process.wait()


def _lost(daemon: Daemon, accepted: list[str]) -> int:
    """Deliveries that were acknowledged and are no execution that ended well."""
    path = f"/api/v1/executions/search?namespace={NAMESPACE}&flowId=hook&state=SUCCESS&size=1000"
    daemon.wait(lambda: not daemon.get("/health")["executions"]["running"], what="all executions to end", timeout_s=300, every_s=0.2)
    found: set[str] = set()
    after = ""
    while True:
        page = daemon.get(path + (f"&after={after}" if after else ""))
        found |= {each["id"].lower() for each in page["results"]}
        after = page.get("next") or ""
        if not after:
            break
    return len([each for each in accepted if each not in found])


def _ready(daemon: Daemon) -> bool:
    try:
        return bool(daemon.call("POST", f"/api/v1/executions/webhook/{NAMESPACE}/hook/bench-key", {"number": -1}))
    except urllib.error.HTTPError:
        return False


def webhook(seconds: float = SECONDS) -> Iterator[Measured]:
    """200 deliveries a second, durable, against a bare handler; then ten times as many."""
    with place(1) as where:
        where.write("hook", FLOW)
        where.push("a webhook")
        with where.daemon() as daemon:
            daemon.wait(lambda: _ready(daemon), what="the webhook", timeout_s=30, every_s=0.1)
            path = f"/api/v1/executions/webhook/{NAMESPACE}/hook/bench-key"
            bare = _bare(str(where.folder), RATE, seconds)
            ours = asyncio.run(_send(daemon.port, path, rate=RATE, seconds=seconds))
            many = asyncio.run(_send(daemon.port, path, rate=MANY, seconds=seconds, connections=CONNECTIONS_MANY))
            lost = _lost(daemon, ours.accepted + many.accepted)
    p99, ratio = ours.p99_ms(), ours.p99_ms() / bare.p99_ms()
    detail = f"{len(ours.took)} accepted at {RATE}/s, others {_others(ours)}; median {_median(ours):.1f} ms"
    yield Measured(name="webhook, p99", figure=f"{p99:.1f} ms", budget="≤ 20 ms", good=p99 <= 20, detail=detail)
    detail = f"p99 of a bare aiohttp handler that syncs a row: {bare.p99_ms():.1f} ms; medians {_median(ours):.1f} and {_median(bare):.1f} ms"
    yield Measured(name="webhook, against bare", figure=f"{ratio:.1f} ×", budget="", good=True, detail=detail)
    asked = sum(many.statuses.values())
    errors = sum(count for status, count in many.statuses.items() if status not in (200, 429))
    good = not lost and not errors and not many.without_retry_after
    detail = (
        f"of {asked} at {MANY}/s {len(many.took)} accepted ({len(many.took) / (seconds + many.behind):.0f}/s, p99 {many.p99_ms():.0f} ms), "
        f"{many.statuses[429]} answered 429, {errors} otherwise; acknowledged and lost: {lost}"
    )
    yield Measured(name="webhook, ten times more", figure=f"{lost} lost", budget="0 lost, 429", good=good, detail=detail)


def _median(load: Load) -> float:
    return sorted(load.took)[len(load.took) // 2] * 1000 if load.took else float("nan")


def _others(load: Load) -> int:
    return sum(count for status, count in load.statuses.items() if status != 200)
