"""The run form of a flow: its fields, the lines that do the same from a shell, the inputs of an earlier execution, and starting.

Called by the page of a flow. What always holds: what was typed and what was wrong with it are shown again; no secret is written into a line.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from aiohttp import web

from podium.base.errors import InputError, NotFound, PodiumError
from podium.base.ports import FlowRevision
from podium.conductor.port import StartRequest, View
from podium.flows.inputs import flatten
from podium.storage.crypto import is_sealed
from podium.web.api.inputs import inputs_of
from podium.web.context import Context, base_url, context
from podium.web.errors import details_of
from podium.web.pages.flows.fields import Field, Filled, fields_of, sent, wrong_inputs
from podium.web.pages.text import markdown
from podium.web.params import Query, moment, parse_labels, read_form
from podium.web.wire import encode

_COPIED_MAX = 200


async def run_values(request: web.Request, flow: FlowRevision, filled: Filled | None) -> dict[str, Any]:
    """What the form shows. ?from= an execution whose inputs it begins with."""
    here = context(request)
    last, _ = await here.orchestrator.executions(namespace=flow.namespace, flow_id=flow.flow_id, size=1)
    source = Query(request).text("from")
    if filled is None and source:
        filled = await _as_before(here, flow, source)
    fields = fields_of(flow.model.inputs, filled)
    return {
        "fields": fields, "filled": filled or Filled(), "description": markdown(flow.model.description), "last": last[0] if last else None,
        "taken_from": source, "curl": curl_line(request, flow, fields), "cli": cli_line(flow, fields), "checks": flow.model.checks,
    }


async def _as_before(here: Context, flow: FlowRevision, execution_id: str) -> Filled:
    """The inputs and labels of an execution of the flow as texts; files and secrets are not taken over. Raises NotFound."""
    execution = await here.orchestrator.execution(execution_id)
    if (execution["namespace"], execution["flowId"]) != (flow.namespace, flow.flow_id):
        raise NotFound(f"execution '{execution_id[:40]}' is of another flow", hint="open the form of its own flow")
    given = execution.get("inputs") or {}
    texts: dict[str, list[str]] = {}
    for name, _ in flatten(flow.model.inputs):
        value: Any = given
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None and not is_sealed(value):
            texts[name] = _texts(value)
    labels = [f"{each['key']}:{each['value']}" for each in execution.get("labels") or () if not str(each["key"]).startswith("system.")]
    return Filled(texts={**texts, **({"_labels": ["\n".join(labels)]} if labels else {})})


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value or [""]
    return [encode(value).decode()]


def curl_line(request: web.Request, flow: FlowRevision, fields: Sequence[Field]) -> str:
    """The line for curl that starts what the form shows."""
    address = f"{base_url(request)}/api/v1/executions/{quote(flow.namespace, safe='')}/{quote(flow.flow_id, safe='')}"
    parts = ["curl -X POST " + shlex.quote(address), '-H "Authorization: Bearer $PODIUM_TOKEN"']
    for name, value, field in _given(fields):
        if field.control == "file":
            parts.append(f"-F {shlex.quote(f'{name}=@{value}')}")
        else:
            parts.append(f'-F "{name}=${_variable(name)}"' if field.control == "password" else f"--form-string {shlex.quote(f'{name}={value}')}")
    return " \\\n  ".join(parts)


def cli_line(flow: FlowRevision, fields: Sequence[Field]) -> str:
    """The line for Podium's own command."""
    parts = [f"podium executions start {shlex.quote(f'{flow.namespace}.{flow.flow_id}')}"]
    for name, value, field in _given(fields):
        if field.control == "password":
            parts.append(f'--input "{name}=${_variable(name)}"')
        else:
            parts.append(f"--input {shlex.quote(f'{name}=@{value}' if field.control == 'file' else f'{name}={value}')}")
    return " \\\n  ".join(parts)


def _given(fields: Sequence[Field]) -> list[tuple[str, str, Field]]:
    """Input, value and field of what would be sent. A date-time is meant in UTC."""
    found = []
    for each in fields[:_COPIED_MAX]:
        if each.control == "file":
            found.append((each.id, "path/to/file", each))
        elif each.control == "password":
            found.append((each.id, "", each))
        elif each.control == "checks":
            if each.values:
                found.append((each.id, encode(list(each.values)).decode(), each))
        elif each.value:
            found.append((each.id, each.value + ("Z" if each.control == "datetime-local" else ""), each))
    return [item for item in found if item[2].enabled]


def _variable(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name).upper()


async def started(request: web.Request, flow: FlowRevision) -> tuple[View | None, Filled]:
    """The execution that the form asked for, or None; and what was typed with what was wrong with it."""
    here = context(request)
    async with read_form(request, text_limit=here.body_limit, file_limit=here.upload_limit) as raw:
        form, filled = sent(raw)
        return await _start(here, flow, form, filled), filled


async def _start(here: Context, flow: FlowRevision, form: Any, filled: Filled) -> View | None:
    """The execution, or None with the mistakes noted in `filled`."""
    try:
        inputs = await inputs_of(form, flow.model.inputs, orchestrator=here.orchestrator, namespace=flow.namespace, flow_id=flow.flow_id)
        when = filled.first("_scheduleDate")
        wanted = StartRequest(
            namespace=flow.namespace, flow_id=flow.flow_id, inputs=inputs,
            labels=parse_labels([line for line in filled.first("_labels").splitlines() if line.strip()], path="_labels"),
            schedule_date=moment(when, path="_scheduleDate") if when else None,
        )
        if wrong_inputs(await here.orchestrator.validate_inputs(wanted), filled):
            return None
        return await here.orchestrator.start(wanted)
    except InputError as error:
        for each in details_of(error):
            filled.errors.setdefault(each["path"] if each["path"] in _ids(flow) else "", []).append(each["message"])
    except PodiumError as error:
        path = str(error.facts.get("path", ""))
        filled.errors.setdefault(path if path.startswith("_") else "", []).append(f"{error.what} {error.hint}".strip())
    return None


def _ids(flow: FlowRevision) -> set[str]:
    return {identifier for identifier, _ in flatten(flow.model.inputs)}
