"""A local server with OpenAI's chat API that answers from a script, for tests of the copilot."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

GOOD = """\
Says hello every morning.

```yaml
id: hello-daily
namespace: company.team
tasks:
  - id: hello
    type: io.kestra.plugin.core.log.Log
    message: Good morning
triggers:
  - id: morning
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "0 8 * * *"
```
"""
BROKEN = GOOD.replace("core.log.Log", "core.log.Logg")
BROKEN_AGAIN = GOOD.replace("message:", "mesage:")
NONSENSE = "I cannot do that. As a language model I prefer poems."


class Script:
    """What the server answers, one entry a call; the last one again and again. asked: the bodies of the calls, with headers.

    An entry is a text, an int (a status), or a word: slow (never ends), cut (ends in the middle), junk (no JSON), plain (no stream), error (in the stream).
    """

    def __init__(self, *entries: Any) -> None:
        self.entries: list[Any] = list(entries)
        self.asked: list[dict[str, Any]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append({**body, "authorization": request.headers.get("Authorization"), "headers": dict(request.headers)})
        entry = self.entries.pop(0) if len(self.entries) > 1 else self.entries[0]
        if isinstance(entry, int):
            headers = {"Retry-After": "7"} if entry == 429 else {"Location": "http://127.0.0.1:1/"} if entry == 307 else {}
            said = {"error": {"message": f"no: {request.headers.get('Authorization')}"}}
            return web.json_response(said, status=entry, headers=headers)
        if entry == "plain":
            return web.json_response({"choices": [{"message": {"role": "assistant", "content": GOOD}}]})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        text = GOOD if entry in ("slow", "cut") else str(entry)
        if entry == "junk":
            await response.write(b"data: <html>\n\n")
            return response
        if entry == "error":
            await response.write(b'data: {"error": {"message": "out of memory"}}\n\n')
            return response
        pieces: Sequence[str] = [text[at : at + 20] for at in range(0, len(text), 20)]
        for number, piece in enumerate(pieces):
            if entry == "slow" and number == 2:
                await asyncio.sleep(3_600)
            if entry == "cut" and number == 5:
                return response
            chunk = {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
        await response.write(b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n')
        return response


@asynccontextmanager
async def scripted(*entries: Any) -> AsyncIterator[Script]:
    """The server, listening on a free port."""
    script = Script(*entries)
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/v1/chat/completions", script.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    script.url = f"http://127.0.0.1:{port}/v1"
    try:
        yield script
    finally:
        await runner.cleanup()
