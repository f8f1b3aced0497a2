"""Many browsers that follow one execution, in a process of their own: `python -m benchmarks.web_followers URL ID COUNT`.

Each opens the two streams of the API, state and log; with `page` as fourth argument those that a browser opens for the tabs Gantt and log. Says
`open` once all are, and at the end a JSON object: how many got the end of both, how many lines each got, and the times between what a line says it
was printed at and its coming.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import aiohttp

from podium.base.system.clock import SystemClock


async def _stream(session: aiohttp.ClientSession, url: str, opened: asyncio.Event, late: list[float]) -> tuple[int, bool]:
    """Read a stream to its end: how many events, and whether the end came."""
    count, over = 0, False
    async with session.get(url) as answer:
        answer.raise_for_status()
        opened.set()
        async for line in answer.content:
            if line.startswith(b"data: "):
                count += 1
                now = SystemClock().now().timestamp()
                if b'"message":"at ' in line:
                    late.append(now - float(line.split(b'"message":"at ', 1)[1].split(b'"', 1)[0]))
            if b'"at ' in line and b'"message"' not in line:
                late.append(SystemClock().now().timestamp() - float(line.split(b'"at ', 1)[1].split(b'"', 1)[0]))
            over = over or line in (b"id: end\n", b"event: end\n")
    return count, over


async def _run(url: str, execution: str, count: int, *, page: bool) -> dict[str, Any]:
    late: list[float] = []
    api = [f"{url}/api/v1/executions/{execution}/follow", f"{url}/api/v1/logs/{execution}/follow"]
    paths = [f"{url}/executions/{execution}/live?tab=gantt", f"{url}/executions/{execution}/live?tab=logs"] if page else api
    timeout = aiohttp.ClientTimeout(total=120)
    # The lines of one log stream are enough to say how late they are.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout, read_bufsize=2**22) as session:
        opened = [asyncio.Event() for _ in range(2 * count)]
        tasks = [
            asyncio.create_task(_stream(session, path, opened[2 * number + which], late if which and not number else []))
            for number in range(count) for which, path in enumerate(paths)
        ]
        await asyncio.wait({asyncio.create_task(_all(opened)), *tasks}, return_when=asyncio.FIRST_COMPLETED)
        sys.stdout.write("open\n")
        sys.stdout.flush()
        found = await asyncio.gather(*tasks)
    lines = sorted({events for events, _ in found[1::2]})
    return {"ended": sum(over for _, over in found), "lines": lines, "states": sum(events for events, _ in found[::2]), "late": late}


async def _all(events: list[asyncio.Event]) -> None:
    for each in events:
        await each.wait()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_run(sys.argv[1], sys.argv[2], int(sys.argv[3]), page="page" in sys.argv[4:]))) + "\n")
