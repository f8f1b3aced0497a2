"""What forges and other programs call: webhooks that start executions, push hooks that cause a fetch. Both carry their own proof.

What always holds (ruling 18): the body is handed on as the raw bytes, read up to the limit only; nothing of it is looked at here.
"""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from podium.base import limits
from podium.base.errors import PodiumError
from podium.base.inbound.deliveries import Delivered, Judged
from podium.base.ports import Answer, Delivery
from podium.base.system.clock import monotonic_s
from podium.base.system.ids import new_id
from podium.web.context import TRUST, Context, context
from podium.web.errors import BodyTooLarge, error_body, status_of
from podium.web.params import read_bytes
from podium.web.routes import OBJECT, Body, Route
from podium.web.wire import encode, header_text

_HIDDEN_FROM_FLOWS = frozenset({"authorization", "cookie"})
"""Our own token and cookie must not become trigger variables; a webhook's proof is its key or signature header."""
_TELLING = frozenset({"content-type", "user-agent", "content-length"})


async def _webhook(request: web.Request) -> web.Response:
    here, names, began_s = context(request), request.match_info, monotonic_s()
    delivery = Delivery(
        namespace=names["namespace"], flow_id=names["flow"], key=names["key"], path=names.get("path", ""), method=request.method,
        headers=_headers(request), query=list(request.query.items()), remote=request.remote,
    )
    try:
        if (refusal := here.orchestrator.behind()) is not None:
            raise refusal
        delivery = replace(delivery, body=await read_bytes(request, limit=here.body_limit))
        answer = await here.accept_webhook(delivery)
    except PodiumError as error:
        note(here, delivery, Answer(status=status_of(error), judged=_why(error)), began_s=began_s)
        raise
    note(here, delivery, answer, began_s=began_s)
    return _reply(answer, request.path)


def note(here: Context, delivery: Delivery, answer: Answer, *, began_s: float, resent_of: str = "", by: str = "") -> str:
    """Enter a delivery into the log, if there is one; the name it has there. Costs the caller next to nothing."""
    if here.deliveries is None:
        return ""
    judged = answer.judged if answer.judged is not None else Judged(verdict="FAILED" if answer.status >= 400 else "ACCEPTED")
    known = judged.trigger_id != ""
    delivered = Delivered(
        id=new_id(), at=here.clock.now(), namespace=delivery.namespace, flow_id=delivery.flow_id, judged=judged, status=answer.status,
        execution_id=answer.headers.get("Podium-Execution", ""), method=delivery.method, path=delivery.path,
        # Of who does not know a key nothing is kept that could fill the log.
        query=delivery.query if known else (),
        headers=delivery.headers if known else [each for each in delivery.headers if each[0].lower() in _TELLING],
        body=delivery.body[: limits.DELIVERY_BODY_BYTES_MAX] if known else b"", body_bytes=len(delivery.body), remote=delivery.remote or "",
        took_ms=round((monotonic_s() - began_s) * 1000, 2), resent_of=resent_of, by=by,
    )
    here.deliveries.note(delivered)
    return delivered.id


def _why(error: PodiumError) -> Judged:
    verdict = "TOO_LARGE" if isinstance(error, BodyTooLarge) else "BUSY" if status_of(error) in {429, 503} else "FAILED"
    return Judged(verdict=verdict, reason=error.what)


async def _hook(request: web.Request) -> web.Response:
    here = context(request)
    body = await read_bytes(request, limit=here.body_limit)
    trusted = request[TRUST] is not None
    return _reply(await here.sources.notify(request.match_info["source"], list(request.headers.items()), body, trusted=trusted), request.path)


def _headers(request: web.Request) -> list[tuple[str, str]]:
    ours = request[TRUST] in {"token", "api_token", "password", "session"}
    return [(name, header_text(value)) for name, value in request.headers.items() if not (ours and name.lower() in _HIDDEN_FROM_FLOWS)]


def _reply(reply: Answer, path: str) -> web.Response:
    """The answer as it goes out. A refusal gets the body that every error has; an execution that failed stays what it is."""
    body = reply.body
    if reply.status >= 400 and isinstance(body, dict) and "message" in body and "state" not in body:
        body = error_body(reply.status, body, path=path)
    if body is None:
        return web.Response(status=reply.status, headers=reply.headers)
    if isinstance(body, bytes):
        raw = body
    elif isinstance(body, str) and "json" not in reply.content_type:
        raw = body.encode("utf-8", "replace")
    else:
        raw = encode(body)
    kind, _, charset = reply.content_type.partition(";")
    return web.Response(
        status=reply.status, body=raw, content_type=kind.strip(), headers=reply.headers, charset=charset.partition("=")[2].strip() or "utf-8"
    )


_PATH = "/executions/webhook/{namespace}/{flow}/{key}"
_BODY = Body(content={"application/json": {}, "text/plain": {"type": "string"}}, about="anything; it becomes trigger.body")
ROUTES = [
    *(
        Route(
            method=method, path=_PATH, also=(_PATH + "/{path:.*}",), handler=_webhook, about="Start an execution by a webhook trigger", tag="inbound",
            body=None if method == "GET" else _BODY, answers={200: OBJECT, 204: None}, errors=(401, 404, 409, 413, 422, 429), open=True,
        )
        for method in ("GET", "POST", "PUT")
    ),
    Route(
        method="POST", path="/hooks/{source}", handler=_hook, about="Say that a source was pushed to: it is fetched soon", tag="inbound", body=_BODY,
        answers={200: OBJECT, 202: OBJECT, 204: None}, errors=(401, 404, 413, 429), open=True,
    ),
]
