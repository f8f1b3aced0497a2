"""Deliveries to webhooks over the API (ours): list, one, send again. The pages of webhooks use the same reads and the same way to send.

What always holds: who has no role in the namespace of a delivery does not learn of it; what is sent again goes through the same acceptance as what
came from outside, but for the key and signature, which held when it came.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from podium.base.errors import ConflictError, NotFound
from podium.base.inbound.deliveries import VERDICTS, Delivered, DeliveryLog
from podium.base.inbound.masking import shown_body
from podium.base.moments import to_text
from podium.base.ports import Delivery
from podium.base.redact import MASK
from podium.base.system.clock import monotonic_s
from podium.web.api.inbound import note
from podium.web.context import context, everything
from podium.web.errors import Refused
from podium.web.params import Query
from podium.web.people.roles import Role, caller, require, sees, visible
from podium.web.routes import INTEGER, MOMENT, TEXT, Param, Route, paged
from podium.web.wire import answer

_WHY_NOT = {
    "not_again_unproved": "its key or signature did not hold, so nobody knows who sent it",
    "not_again_cut": "its body is longer than what is kept of it",
    "not_again_masked": "its body held a secret, which is not kept",
}


def log_of(request: web.Request) -> DeliveryLog:
    """The log of deliveries. Raises NotFound where none is kept."""
    found = context(request).deliveries
    if found is None:
        raise NotFound("no log of deliveries is kept here", hint="podium serve keeps one")
    return found


def filters_of(query: Query) -> dict[str, Any]:
    """What `DeliveryLog.find` is asked for."""
    verdicts = [each.upper() for each in query.many("verdict")]
    for each in verdicts:
        if each not in VERDICTS:
            raise Refused(f"'{each[:40]}' is no verdict", hint=f"use {', '.join(VERDICTS)}", path="verdict")
    return {
        "namespace": query.text("namespace"), "flow_id": query.text("flowId"), "trigger_id": query.text("triggerId"), "verdicts": verdicts,
        "execution_id": query.text("executionId"), "after": query.moment("startDate"), "before": query.moment("endDate"),
    }


async def delivery_of(request: web.Request) -> Delivered:
    """The delivery of the path. Raises NotFound."""
    identifier = request.match_info["id"]
    found = await log_of(request).one(identifier)
    if found is None or not sees(request, found.namespace):
        raise NotFound(f"no delivery '{identifier[:40]}'", hint="list those that are kept: GET /api/v1/deliveries")
    return found


async def send(request: web.Request, delivery: Delivery, *, resent_of: str = "") -> str:
    """Send a delivery from here, as the caller; the name it has in the log. Raises RoleNeeded, and what accepting raises."""
    require(request, Role.OPERATOR, delivery.namespace)
    here, began_s, who = everything(request), monotonic_s(), caller(request)
    if (refusal := here.orchestrator.behind()) is not None:
        raise refusal
    return note(here, delivery, await here.accept_webhook(delivery), began_s=began_s, resent_of=resent_of, by=who.name)


async def send_again(request: web.Request, found: Delivered) -> Delivered:
    """Send what came once more. Raises ConflictError when it is not there as it came."""
    if found.cannot_resend:
        raise ConflictError(_WHY_NOT[found.cannot_resend], hint="let its sender send it again")
    made = await send(request, again(found, by=caller(request).name), resent_of=found.id)
    sent = await log_of(request).one(made)
    if sent is None:
        raise NotFound("it was sent; the log could not keep it", hint="look at the executions of the flow")
    return sent


def again(found: Delivered, *, by: str) -> Delivery:
    """The delivery as it came, but for headers whose values are not kept."""
    return Delivery(
        namespace=found.namespace, flow_id=found.flow_id, key="", method=found.method, headers=found.headers, query=found.query, body=found.body,
        path=found.path, remote=by, trigger_id=found.judged.trigger_id,
    )


def view(found: Delivered, *, whole: bool = False) -> dict[str, Any]:
    """A delivery as the API shows it; with headers and body when `whole`."""
    shown: dict[str, Any] = {
        "id": found.id, "date": to_text(found.at), "namespace": found.namespace, "flowId": found.flow_id,
        "triggerId": found.judged.trigger_id or None,
        "verdict": found.judged.verdict, "reason": found.judged.reason or None, "status": found.status, "executionId": found.execution_id or None,
        "method": found.method, "path": found.path, "bodyBytes": found.body_bytes, "remote": found.remote, "tookMs": found.took_ms,
        "resentOf": found.resent_of or None, "by": found.by or None,
    }
    if not whole:
        return shown
    return {
        **shown, "headers": _lists(found.headers), "parameters": _lists(found.query), "body": shown_body(found.body, content_type(found)),
        "bodyKeptBytes": len(found.body), "resendable": not found.cannot_resend,
    }


def content_type(found: Delivered) -> str:
    """The Content-Type header."""
    return next((value for name, value in found.headers if name.lower() == "content-type" and value != MASK), "")


def _lists(pairs: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


async def _list(request: web.Request) -> web.Response:
    query = Query(request)
    page = query.page(size=25)
    found, total = await log_of(request).find(namespaces=visible(request), page=page.number, size=page.size, **filters_of(query))
    return answer({"results": [view(each) for each in found], "total": total})


async def _one(request: web.Request) -> web.Response:
    return answer(view(await delivery_of(request), whole=True))


async def _resend(request: web.Request) -> web.Response:
    return answer(view(await send_again(request, await delivery_of(request)), whole=True))


_DELIVERY = {
    "type": "object", "required": ["id", "date", "namespace", "flowId", "verdict", "status"],
    "properties": {
        "id": TEXT, "date": MOMENT, "namespace": TEXT, "flowId": TEXT, "triggerId": {"type": ["string", "null"]},
        "verdict": {"type": "string", "enum": list(VERDICTS)}, "reason": {"type": ["string", "null"]}, "status": INTEGER,
        "executionId": {"type": ["string", "null"]}, "method": TEXT, "path": TEXT, "bodyBytes": INTEGER, "remote": TEXT, "tookMs": {"type": "number"},
        "resentOf": {"type": ["string", "null"]}, "by": {"type": ["string", "null"]}, "headers": {"type": "object"}, "parameters": {"type": "object"},
        "body": TEXT, "bodyKeptBytes": INTEGER, "resendable": {"type": "boolean"},
    },
}
ROUTES = [
    Route(
        method="GET", path="/deliveries", handler=_list, about="What came to webhooks, newest first", tag="deliveries",
        answers={200: paged(_DELIVERY)}, errors=(404, 422),
        query=(
            Param(name="namespace", about="a namespace and those below it"), Param(name="flowId"), Param(name="triggerId"), Param(name="executionId"),
            Param(name="verdict", about="what became of it, may repeat", schema={"type": "string", "enum": list(VERDICTS)}),
            Param(name="startDate", schema=MOMENT), Param(name="endDate", schema=MOMENT), Param(name="page", schema=INTEGER),
            Param(name="size", schema=INTEGER),
        ),
    ),
    Route(
        method="GET", path="/deliveries/{id}", handler=_one, about="One delivery with what is kept of its body", tag="deliveries",
        answers={200: _DELIVERY}, errors=(404,),
    ),
    Route(
        method="POST", path="/deliveries/{id}/resend", handler=_resend, about="Send a delivery again; it counts anew", tag="deliveries",
        answers={200: _DELIVERY}, errors=(403, 404, 409, 429),
    ),
]
