"""Types and small helpers that several core tasks share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema

from podium.expressions.text import java_text
from podium.plugin import RunContext, TaskFailed

_SCALARS = {"type": ["string", "number", "boolean"]}


def _text(value: Any) -> Any:
    return java_text(value) if isinstance(value, (bool, int, float)) else value


Text = Annotated[str, BeforeValidator(_text), WithJsonSchema(_SCALARS)]
"""Text; a number or boolean written without quotes is taken as its text."""
Level = Literal["ERROR", "WARN", "INFO", "DEBUG", "TRACE"]


def moment(text: str, what: str) -> datetime:
    """The moment meant by ISO text, UTC where it names no offset. Raises TaskFailed naming the property `what`."""
    try:
        parsed = datetime.fromisoformat(text.strip().split("[")[0])
    except ValueError as error:
        raise TaskFailed(f"{what}: {text!r} is not a date; write it like 2026-01-05T08:00:00Z") from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def json_value(value: Any, what: str) -> Any:
    """`value`, or what the JSON in it says when it is text. Raises TaskFailed naming the property `what`."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise TaskFailed(f"{what}: {value[:200]!r} is not JSON") from error


def chosen_execution(ctx: RunContext, execution_id: str | None, namespace: str | None, flow_id: str | None) -> Mapping[str, Any]:
    """{id, namespace, flowId, state?} of the execution a task is about: the one named, else its own.

    An execution of another flow must be named with its namespace and flow. Raises TaskFailed.
    """
    if execution_id is None:
        if namespace is not None or flow_id is not None:
            raise TaskFailed("`executionId` must be set when `namespace` or `flowId` is")
        return {"id": ctx.execution_id, "namespace": ctx.namespace, "flowId": ctx.flow_id}
    if (namespace is None) != (flow_id is None):
        raise TaskFailed("Both `namespace` and `flowId` must be set when `executionId` is of another flow")
    if execution_id == ctx.execution_id:
        return {"id": execution_id, "namespace": ctx.namespace, "flowId": ctx.flow_id}
    found = ctx.query("execution", execution_id=execution_id)
    if found is None:
        raise TaskFailed(f"there is no execution '{execution_id}'")
    actual = (found["namespace"], found["flowId"])
    if actual != ((namespace, flow_id) if flow_id is not None else (ctx.namespace, ctx.flow_id)):
        raise TaskFailed(
            f"the execution '{execution_id}' is not of flow '{namespace or ctx.namespace}.{flow_id or ctx.flow_id}': "
            "set `namespace` and `flowId` to those of its flow"
        )
    return dict(found)
