"""`/copilot`: whether there is one, and a flow from a description, as a stream of events.

What always holds: what the model is told of a namespace (names of flows and secrets) is what the caller may see there; what it answers is
sent on as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from aiohttp import web

from podium.base.errors import NotFound, PodiumError
from podium.web.context import context
from podium.web.errors import BadRequest, Refused, body_of, status_of
from podium.web.live import Stream, serve_stream
from podium.web.params import read_object
from podium.web.people.roles import Role, require
from podium.web.routes import FLAG, TEXT, Body, Route
from podium.web.wire import answer

_BODY_MAX = 2 * 1024 * 1024
_TURNS_MAX = 8
_NAMES_MAX = 200


async def _about(request: web.Request) -> web.Response:
    found = context(request).copilot
    return answer({"enabled": found is not None, "model": found.model if found is not None else None})


async def _flow(request: web.Request) -> web.StreamResponse:
    here = context(request)
    if here.copilot is None:
        raise NotFound("there is no copilot here", hint="set ai.url and ai.model in podium.toml (docs/copilot.md)")
    body = await read_object(request, limit=_BODY_MAX)
    prompt, flow, namespace = (_text(body, name) for name in ("prompt", "flow", "namespace"))
    if not prompt.strip():
        raise BadRequest("the body needs 'prompt': what the flow shall do", hint='send {"prompt": "every day at 8, …"}', path="prompt")
    mask = body.get("mask", False)
    if not isinstance(mask, bool):
        raise Refused("'mask' is neither true nor false", hint="leave it out", path="mask")
    if namespace:
        require(request, Role.EDITOR, namespace)
    flows = [each.flow_id for each in here.orchestrator.flows(namespace=namespace) if each.namespace == namespace] if namespace else []
    ask = {
        "prompt": prompt, "flow": flow, "namespace": namespace, "turns": _turns(body), "flows": flows[:_NAMES_MAX],
        "secrets": here.secrets.names(namespace)[:_NAMES_MAX] if here.secrets is not None and namespace else [],
    }
    events = await here.copilot.prepare(ask, mask=mask)

    async def produce(stream: Stream) -> None:
        try:
            async for each in events:
                await stream.send(each, event="end" if each["kind"] == "end" else "progress")
        except PodiumError as error:
            await stream.send(body_of(error, path=request.path, status=status_of(error)) | dict(_facts(error)), event="error")
        finally:
            close = getattr(events, "aclose", None)
            if close is not None:
                with suppress(RuntimeError):
                    await close()

    return await serve_stream(request, produce)


def _facts(error: PodiumError) -> Mapping[str, Any]:
    return {name: error.facts[name] for name in ("status", "retryAfterS") if error.facts.get(name) is not None}


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str | None):
        raise Refused(f"'{name}' is no text", hint="send a text", path=name)
    return value or ""


def _turns(body: Mapping[str, Any]) -> list[list[str]]:
    listed = body.get("history") or []
    if not isinstance(listed, list):
        raise Refused("'history' is no list", hint='send [{"prompt": "…", "source": "…"}]', path="history")
    found = []
    for index, each in enumerate(listed[-_TURNS_MAX:]):
        if not isinstance(each, dict) or not isinstance(each.get("prompt"), str) or not isinstance(each.get("source"), str):
            raise Refused(f"'history[{index}]' is no turn", hint='send {"prompt": "…", "source": "…"}', path=f"history[{index}]")
        found.append([each["prompt"], each["source"]])
    return found


_TURN = {"type": "object", "required": ["prompt", "source"], "properties": {"prompt": TEXT, "source": TEXT}}
_ASK = {
    "type": "object", "required": ["prompt"],
    "properties": {
        "prompt": {"type": "string", "description": "what the flow shall do, or the change"},
        "flow": {"type": "string", "description": "its present text"}, "namespace": TEXT,
        "mask": {"type": "boolean", "description": "send placeholders in the place of what looks like a secret, instead of refusing"},
        "history": {"type": "array", "items": _TURN},
    },
}
ROUTES = [
    Route(
        method="GET", path="/copilot", handler=_about, about="Whether there is a copilot, and which model", tag="copilot", errors=(),
        answers={200: {"type": "object", "required": ["enabled"], "properties": {"enabled": FLAG, "model": {"type": ["string", "null"]}}}},
    ),
    Route(
        method="POST", path="/copilot/flow", handler=_flow, about="A flow from a description: events progress, then end or error", tag="copilot",
        body=Body(content={"application/json": _ASK}, required=True), content="text/event-stream", answers={200: TEXT},
        errors=(400, 404, 422, 429), stream=True, needs=Role.EDITOR,
    ),
]
