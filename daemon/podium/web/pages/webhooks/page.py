"""The pages of webhooks: what came and what became of it, one delivery, one webhook with its address, how to sign, and a form to try it.

What always holds: a key that is a secret is never shown; bodies are shown without what their fields' names call secret.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from aiohttp import web

from podium.base.errors import FlowNotFound
from podium.base.inbound.deliveries import REFUSED, VERDICTS, DeliveryLog
from podium.base.inbound.masking import shown_body
from podium.base.ports import Delivery, FlowRevision
from podium.flows.dynamic import has_expression
from podium.flows.triggers import Webhook
from podium.web.api.deliveries.routes import content_type, delivery_of, filters_of, log_of, send, send_again
from podium.web.api.triggers import state_view
from podium.web.context import base_url, context
from podium.web.pages.navigation import flash
from podium.web.pages.render import link, page, render, text_for
from podium.web.pages.webhooks.signing import signed_curl
from podium.web.params import Query, read_form
from podium.web.people.roles import Role, caller, visible

_SIZE = 50
_LAST = 10
_BADGES = {"ACCEPTED": "SUCCESS", "FILTERED": "SKIPPED", "DUPLICATE": "SKIPPED", "TEST_CALL": "SUCCESS", "BUSY": "QUEUED", "DISABLED": "CANCELLED"}
_FILTERS = ("namespace", "flowId", "triggerId", "verdict", "startDate", "endDate")


def badge_of(verdict: str) -> str:
    """The state whose colour and icon a verdict has."""
    return _BADGES.get(verdict, "FAILED")


async def deliveries_page(request: web.Request) -> web.Response:
    """What came to webhooks, newest first; with ?tab=addresses, every webhook with its address."""
    query = Query(request)
    tab = "addresses" if query.text("tab") == "addresses" else "deliveries"
    number = query.integer("page", 1, high=100_000) or 1
    webhooks = _webhooks(request, query.text("namespace"))
    values: dict[str, Any] = {"tab": tab, "page": number, "size": _SIZE, "webhooks": len(webhooks), "verdicts": VERDICTS, "refused": REFUSED}
    filters = {name: ",".join(query.many(name)) if name == "verdict" else query.text(name) or "" for name in _FILTERS}
    if tab == "addresses":
        found: Any = webhooks[(number - 1) * _SIZE : number * _SIZE]
        rows = [await _webhook(request, flow, trigger) for flow, trigger in found]
        return await render(request, "webhooks/addresses.html", rows=rows, total=len(webhooks), filters=filters, **values)
    kept = context(request).deliveries
    shown, total = await kept.find(namespaces=visible(request), page=number, size=_SIZE, **filters_of(query)) if kept is not None else ([], 0)
    return await render(
        request, "webhooks/deliveries.html", rows=shown, total=total, filters=filters, filtered=any(filters.values()), badge_of=badge_of,
        facts=kept.facts() if kept is not None else None, flows=sorted({(flow.namespace, flow.flow_id) for flow, _ in webhooks}), **values,
    )


def _webhooks(request: web.Request, namespace: str | None = None) -> list[tuple[FlowRevision, Webhook]]:
    found = []
    for flow in context(request).orchestrator.flows(namespace=namespace):
        if "Webhook" not in flow.text and "webhook" not in flow.text:
            continue  # its model need not be made
        try:
            found += [(flow, trigger) for trigger in flow.model.triggers if isinstance(trigger, Webhook)]
        except FlowNotFound:  # an old text that can no longer be read
            continue
    return found


async def _webhook(request: web.Request, flow: FlowRevision, trigger: Webhook) -> dict[str, Any]:
    state = await context(request).orchestrator.trigger_state(flow.namespace, flow.flow_id, trigger.id)
    hidden = has_expression(trigger.key) or not caller(request).may(Role.OPERATOR, flow.namespace)
    address = f"{base_url(request)}/api/v1/executions/webhook/{quote(flow.namespace, safe='')}/{quote(flow.flow_id, safe='')}/"
    address += "$KEY" if hidden else quote(trigger.key, safe="")
    return {
        "flow": flow, "trigger": trigger, "state": state_view(flow.namespace, flow.flow_id, trigger, state), "address": address, "hidden": hidden,
        "preset": trigger.verify.preset if trigger.verify else "none", "curl": signed_curl(address, trigger.verify), "in_file": trigger.disabled,
    }


async def _of_path(request: web.Request) -> tuple[FlowRevision, Webhook]:
    names = request.match_info
    flow = await context(request).orchestrator.flow(names["namespace"], names["flow"])
    for trigger in flow.model.triggers:
        if isinstance(trigger, Webhook) and trigger.id == names["trigger"]:
            return flow, trigger
    raise FlowNotFound(f"flow '{flow.namespace}.{flow.flow_id}' has no webhook '{names['trigger'][:80]}'", hint="see its triggers")


async def webhook_page(request: web.Request) -> web.Response:
    """One webhook: its address, how to call it, a form to try it, and what came last."""
    flow, trigger = await _of_path(request)
    kept = context(request).deliveries
    last, total = (
        await kept.find(namespace=flow.namespace, flow_id=flow.flow_id, trigger_id=trigger.id, size=_LAST) if kept is not None else ([], 0)
    )
    return await render(
        request, "webhooks/webhook.html", row=await _webhook(request, flow, trigger), total=total, badge_of=badge_of,
        last=[each for each in last if each.namespace == flow.namespace],  # and not of a flow of that name below it
        kept=kept is not None, operates=caller(request).may(Role.OPERATOR, flow.namespace),
    )


async def try_webhook(request: web.Request) -> web.StreamResponse:
    """Send what was typed through the acceptance of a webhook; then the page of that delivery."""
    flow, trigger = await _of_path(request)
    here = context(request)
    async with read_form(request, text_limit=here.body_limit, file_limit=0) as form:
        body, kind = form.first("_body") or "", (form.first("_type") or "application/json")[:200]
        headers = [("Content-Type", kind), *_typed_headers(form.first("_headers") or "")]
    delivery = Delivery(
        namespace=flow.namespace, flow_id=flow.flow_id, key="", headers=headers, body=body.replace("\r\n", "\n").encode("utf-8", "replace"),
        remote=caller(request).name, trigger_id=trigger.id,
    )
    made = await send(request, delivery)
    raise web.HTTPSeeOther(f"/webhooks/deliveries/{made}" if made else _address(flow, trigger))


def _typed_headers(text: str) -> list[tuple[str, str]]:
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return [(name.strip()[:200], value.strip()[:4_000]) for name, _, value in pairs if name.strip()][:50]


def _address(flow: FlowRevision, trigger: Webhook) -> str:
    return "/webhooks/" + "/".join(quote(each, safe="") for each in (flow.namespace, flow.flow_id, trigger.id))


async def delivery_page(request: web.Request) -> web.Response:
    """One delivery: what came, what became of it, and what it was sent again as."""
    found = await delivery_of(request)
    return await render(
        request, "webhooks/delivery.html", each=found, body=shown_body(found.body, content_type(found)), badge_of=badge_of,
        operates=caller(request).may(Role.OPERATOR, found.namespace), days=_days(log_of(request)),
        known=(found.namespace, found.flow_id) in context(request).orchestrator.known_flows(),
    )


def _days(kept: DeliveryLog) -> str:
    return f"{kept.facts()['days']:g}"


async def resend(request: web.Request) -> web.StreamResponse:
    """Send a delivery again; then the page of the new one."""
    made = await send_again(request, await delivery_of(request))
    response = web.HTTPSeeOther(link(f"/webhooks/deliveries/{made.id}"))
    flash(response, text_for("webhooks.sent_again"), "ok" if made.judged.verdict not in REFUSED else "warn")
    raise response


ROUTES = (
    page("GET", "/webhooks", deliveries_page),
    page("GET", "/webhooks/deliveries/{id}", delivery_page),
    page("POST", "/webhooks/deliveries/{id}/resend", resend),
    page("GET", "/webhooks/{namespace}/{flow}/{trigger}", webhook_page),
    page("POST", "/webhooks/{namespace}/{flow}/{trigger}/test", try_webhook),
)
