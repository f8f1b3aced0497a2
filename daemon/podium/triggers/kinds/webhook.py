"""Webhook triggers: a delivery over HTTP starts an execution. `accept` is handed to web by app/wiring. Source: flow-language 7.4, ruling 18.

What always holds: unknown flows and wrong keys are answered alike and compared in constant time; nothing of a body is read before
its signature holds; a 2xx is given only for what is durable or was rightly left out; a delivery sent again starts nothing; secrets
that came in headers are not recorded.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from podium.base.errors import AuthError, FlowDisabled, FlowNotFound, LimitError, PodiumError, SettingsError
from podium.base.inbound.deliveries import Judged
from podium.base.limits import BODY_BYTES_MAX, WEBHOOK_WAIT_S_MAX
from podium.base.ports import Answer, Delivery, FlowRevision
from podium.base.redact import MASK
from podium.base.signatures import TOLERANCE_S, HmacOptions, delivery_id, verify
from podium.base.system.clock import Clock
from podium.base.system.log import get_logger
from podium.conductor.port import Orchestrator, View
from podium.expressions.text import java_text
from podium.flows.model import TERMINAL
from podium.flows.triggers import Verify, Webhook
from podium.triggers.firing import Armed, Event, Firing
from podium.triggers.kinds.payload import Payload, read_payload
from podium.triggers.state import TriggerState

log = get_logger(__name__)
_MASKED_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-gitlab-token", "x-api-key"})
_NOT_FOUND = Answer(status=404, body={"message": "there is no such webhook"})


class WebhookDoor:
    """Judges deliveries. body_bytes_max: larger bodies are refused."""

    def __init__(self, orchestrator: Orchestrator, firing: Firing, clock: Clock, *, body_bytes_max: int = BODY_BYTES_MAX) -> None:
        self._orchestrator = orchestrator
        self._firing = firing
        self._clock = clock
        self._body_bytes_max = body_bytes_max

    async def accept(self, delivery: Delivery) -> Answer:
        """What to answer; the execution is durable when it says so. Raises StoreError and its like when nothing could be stored."""
        if len(delivery.body) > self._body_bytes_max:
            return _judged(_message(413, f"the body has more than {self._body_bytes_max} bytes"), Judged(verdict="TOO_LARGE"))
        masks: list[str] = []
        armed = await self._find(delivery, masks)
        if armed is None:
            return _judged(_NOT_FOUND, Judged(verdict="WRONG_KEY"))
        headers = {name.lower(): value for name, value in delivery.headers}
        written = _webhook(armed).verify
        checked = Verify() if written is None else written
        known = Judged(verdict="ACCEPTED", trigger_id=armed.trigger.id, masks=masks, hidden=_proofs(checked))
        refusal = await self._refusal(armed)
        try:
            if not delivery.trigger_id:
                checked = await self._verified(armed, checked, headers, delivery.body, masks)
        except (AuthError, SettingsError) as error:
            if refusal is not None:
                return _judged(refusal, replace(known, verdict="DISABLED"))
            log.warning("webhook_refused", trigger=armed.name, remote=delivery.remote, reason=error.what, hint=error.hint)
            answer = _message(401, error.what if isinstance(error, AuthError) else "the signature cannot be checked")
            return _judged(answer, replace(known, verdict="BAD_SIGNATURE", reason=f"{error.what}; {error.hint}" if error.hint else error.what))
        known = replace(known, verified=True)
        if refusal is not None:
            return _judged(refusal, replace(known, verdict="DISABLED"))
        greeting = _greeting(checked, headers, delivery.body)
        if greeting is not None:
            return _judged(greeting, replace(known, verdict="TEST_CALL"))
        key = None if delivery.trigger_id else _key(armed, checked, headers, delivery.body)
        return _judged(await self._start(armed, delivery, key), known)

    # ---- who is it for, and may they

    async def _find(self, delivery: Delivery, masks: list[str]) -> Armed | None:
        """The webhook with this key, which is noted among the masks. Takes the same path for a flow that is not there."""
        revision: FlowRevision | None = None
        try:
            revision = await self._orchestrator.flow(delivery.namespace, delivery.flow_id)
        except FlowNotFound:
            hmac.compare_digest(delivery.key.encode(), b"no such flow")
        found: Armed | None = None
        for trigger in revision.model.triggers if revision is not None else ():
            if not isinstance(trigger, Webhook):
                continue
            assert revision is not None
            armed = Armed(revision, trigger)
            try:
                key = java_text(await self._firing.value(armed, trigger.key, {})).strip()
            except PodiumError as error:
                log.warning("webhook_key_unknown", trigger=armed.name, reason=error.what)
                if delivery.trigger_id != trigger.id:
                    continue
                key = ""
            if delivery.trigger_id:
                found = armed if trigger.id == delivery.trigger_id else found
            elif key and hmac.compare_digest(key.encode("utf-8", "surrogatepass"), delivery.key.encode("utf-8", "surrogatepass")):
                found = armed
            if found is armed and key:
                masks.append(key)
        return found

    async def _refusal(self, armed: Armed) -> Answer | None:
        if armed.flow.disabled or armed.flow.draft:
            return _message(409, "the flow is disabled")
        state = TriggerState.of(await self._orchestrator.trigger_state(*armed.place))
        if armed.trigger.disabled or state.disabled:
            return _message(409, "the trigger is disabled")
        return None

    async def _verified(self, armed: Armed, written: Verify, headers: Mapping[str, str], body: bytes, masks: list[str]) -> Verify:
        """`verify` once the signature holds; its secrets are noted among the masks. Raises AuthError, SettingsError."""
        if written.preset == "none":
            return written
        try:
            secret = await self._firing.value(armed, written.secret or "", {})
        except PodiumError as error:
            raise SettingsError(f"verify.secret cannot be rendered: {error.what}", hint=error.hint) from error
        previous: Any = ""
        if written.previous_secret:
            try:
                previous = await self._firing.value(armed, written.previous_secret, {})
            except PodiumError as error:
                # The old secret may be gone already; the current one decides.
                log.info("webhook_previous_secret_unknown", trigger=armed.name, reason=error.what)
        masks += [text for text in (java_text(secret), java_text(previous)) if text]
        tolerance_s = written.tolerance.total_seconds() if written.tolerance is not None else TOLERANCE_S
        verify(
            written.preset, headers, body, [java_text(secret), java_text(previous)], now=self._clock.now(), tolerance_s=tolerance_s,
            options=_options(written),
        )
        return written

    # ---- starting

    async def _start(self, armed: Armed, delivery: Delivery, key: str | None) -> Answer:
        try:
            payload = await read_payload(delivery, _webhook(armed).fetch_type, lambda name, data: self._stored(armed, name, data))
        except LimitError as error:
            return _message(413, error.what)
        seen = _variables(delivery, payload, masked=False)
        try:
            event = Event(variables=_variables(delivery, payload, masked=True), seen=seen, key=key)
            view = await self._firing.start_if(armed, event)
        except LimitError as error:
            return Answer(status=429, body=error.as_dict(), headers={"Retry-After": str(error.facts.get("retry_after_s", 1))})
        except FlowNotFound:
            return _NOT_FOUND
        except FlowDisabled:
            return _message(409, "the flow is disabled")
        if view is None:
            return Answer(status=204)
        if view.get("duplicate"):
            return Answer(status=204, headers={"Podium-Execution": view["id"]})
        if not _webhook(armed).wait or delivery.trigger_id:
            return Answer(status=200, body=_without_mark(view), headers={"Podium-Execution": view["id"]})
        return await self._waited(armed, view, seen)

    async def _stored(self, armed: Armed, name: str, data: bytes) -> str:
        namespace, flow_id, trigger_id = armed.place
        return await self._orchestrator.store_upload(namespace, flow_id, trigger_id, name, data)

    async def _waited(self, armed: Armed, view: View, seen: Mapping[str, Any]) -> Answer:
        """The answer once the execution is over; 202 and the execution as it is when that takes too long."""
        try:
            view = await self._orchestrator.wait(view["id"], timeout_s=WEBHOOK_WAIT_S_MAX)
        except TimeoutError:
            view = await self._orchestrator.execution(view["id"])
        headers = {"Podium-Execution": view["id"]}
        state = view["state"]["current"]
        if state not in TERMINAL:
            return Answer(status=202, body=view, headers=headers)
        trigger = _webhook(armed)
        status = 500 if state == "FAILED" else 200
        if trigger.response_code is not None:
            try:
                status = await self._status(armed, trigger.response_code, view, seen)
            except (PodiumError, ValueError) as error:
                log.warning("webhook_response_code", trigger=armed.name, reason=str(error))
                return Answer(status=500, body={"message": f"responseCode cannot be rendered: {error}"}, headers=headers)
        body: Any = (view.get("outputs") or {}) if trigger.return_outputs else _without_mark(view)
        kind = trigger.response_content_type or "application/json"
        return Answer(status=status, body=_as_text(body) if kind == "text/plain" else body, content_type=kind, headers=headers)

    async def _status(self, armed: Armed, written: Any, view: View, seen: Mapping[str, Any]) -> int:
        extra = {"outputs": view.get("outputs") or {}, "execution": {"id": view["id"], "state": view["state"]["current"]}}
        rendered = await asyncio.to_thread(self._firing.value_now, armed, written, seen, extra=extra)
        status = int(java_text(rendered).strip())
        if not 200 <= status <= 599:
            raise ValueError(f"{status} is no status to answer with")
        return status


def _webhook(armed: Armed) -> Webhook:
    trigger = armed.trigger
    assert isinstance(trigger, Webhook)
    return trigger


def _message(status: int, text: str) -> Answer:
    return Answer(status=status, body={"message": text})


def _judged(answer: Answer, known: Judged) -> Answer:
    """The answer with what was found out. known: ACCEPTED stands for whatever came of starting."""
    if known.verdict == "ACCEPTED":
        duplicate = "Podium-Execution" in answer.headers
        verdict = {204: "DUPLICATE" if duplicate else "FILTERED", 413: "TOO_LARGE", 429: "BUSY", 404: "WRONG_KEY", 409: "DISABLED"}.get(answer.status)
        started = answer.headers.get("Podium-Execution") and answer.status != 204
        known = replace(known, verdict="ACCEPTED" if started or verdict is None else verdict)
    if not known.reason and answer.status >= 400 and isinstance(answer.body, dict) and "state" not in answer.body:
        known = replace(known, reason=str(answer.body.get("message", "")))
    return replace(answer, judged=known)


def _proofs(checked: Verify) -> tuple[str, ...]:
    """Headers of this webhook that prove who sent it, beside those that are known for it."""
    return (checked.header.lower(),) if checked.header else ()


def _options(written: Verify) -> HmacOptions:
    given = {"header": written.header, "algorithm": written.algorithm, "encoding": written.encoding, "prefix": written.prefix}
    dedupe = written.dedupe if isinstance(written.dedupe, str) else None
    return HmacOptions(**{name: value for name, value in given.items() if value is not None}, delivery_header=dedupe)


def _greeting(checked: Verify, headers: Mapping[str, str], body: bytes) -> Answer | None:
    """The answer to a sender's test call, which is no event: a forge's ping, Slack's challenge."""
    if checked.preset in {"github", "gitea", "forgejo"}:
        names = ("x-github-event", "x-gitea-event", "x-forgejo-event")
        if any(headers.get(name) == "ping" for name in names):
            return Answer(status=200, body={"message": "pong"})
    if checked.preset == "slack" and b"url_verification" in body:
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            return None
        if isinstance(data, dict) and data.get("type") == "url_verification" and isinstance(data.get("challenge"), str):
            return Answer(status=200, body=data["challenge"], content_type="text/plain")
    return None


def _key(armed: Armed, checked: Verify, headers: Mapping[str, str], body: bytes) -> str | None:
    """What names this delivery, or None when each one counts."""
    if checked.dedupe is False:
        return None
    named: str | None
    if isinstance(checked.dedupe, str):
        named = headers.get(checked.dedupe.strip().lower(), "").strip()[:256] or None
    else:
        named = delivery_id(checked.preset, headers, body, _options(checked))
    return f"webhook:{armed.name}:{named}" if named else None


def _variables(delivery: Delivery, payload: Payload, *, masked: bool) -> dict[str, Any]:
    """`trigger.*`. masked: without the secrets among the headers, as it is recorded."""
    headers: dict[str, list[str]] = {}
    for name, value in delivery.headers:
        headers.setdefault(name, []).append(MASK if masked and name.lower() in _MASKED_HEADERS else value)
    parameters: dict[str, list[str]] = {}
    for name, value in delivery.query:
        parameters.setdefault(name, []).append(value)
    variables: dict[str, Any] = {"headers": headers, "parameters": parameters, **payload.variables}
    if delivery.path:
        variables["path"] = delivery.path
    return variables


def _without_mark(view: View) -> View:
    return {name: value for name, value in view.items() if name != "duplicate"}


def _as_text(body: Any) -> str:
    """Outputs as text: a single one by itself, several as JSON."""
    if isinstance(body, Mapping) and len(body) == 1:
        body = next(iter(body.values()))
    return body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, default=str)
