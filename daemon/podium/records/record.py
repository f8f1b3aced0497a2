"""The shape of a record, version 1: what `verify` demands of one and what `record.schema.json` publishes. Pure.

The execution inside has the names of flow-language 9.2 (`ExecutionView`), so that API, command line and record agree. Fields that
are not named here are allowed: a reader must ignore what it does not know. A changed meaning gets a new version.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SCHEMA_VERSION = 1


class Moment(msgspec.Struct, kw_only=True):
    """A state and since when (ISO 8601, UTC, milliseconds)."""

    state: str
    date: str


class State(msgspec.Struct, kw_only=True):
    """Where it ended, and every state on the way, in order."""

    current: str
    histories: list[Moment]
    startDate: str | None = None  # noqa: N815 - names of the language
    endDate: str | None = None  # noqa: N815


class Attempt(msgspec.Struct, kw_only=True):
    """One try of a task."""

    state: State


class TaskRun(msgspec.Struct, kw_only=True):
    """One run of a task. outputs: as the task gave them, or {"podium:omitted": {bytes, sha256}} over the limit."""

    id: str
    taskId: str  # noqa: N815
    state: State
    parentTaskRunId: str | None = None  # noqa: N815
    value: str | None = None
    iteration: int | None = None
    attempts: list[Attempt] | None = None
    outputs: dict[str, Any] | None = None


class Label(msgspec.Struct, kw_only=True):
    """A label."""

    key: str
    value: str


class Execution(msgspec.Struct, kw_only=True):
    """The execution at its end."""

    id: str
    namespace: str
    flowId: str  # noqa: N815
    state: State
    flowRevision: int | None = None  # noqa: N815
    taskRunList: list[TaskRun] | None = None  # noqa: N815
    inputs: dict[str, Any] | None = None
    outputs: dict[str, Any] | None = None
    variables: dict[str, Any] | None = None
    labels: list[Label] | None = None
    trigger: dict[str, Any] | None = None
    parentId: str | None = None  # noqa: N815
    originalId: str | None = None  # noqa: N815
    metadata: dict[str, Any] | None = None


class FlowVersion(msgspec.Struct, kw_only=True):
    """The flow that ran: commit and blob are full object ids, or empty for a flow that was not in a repository."""

    commit: str
    path: str
    blob: str
    revision: int


class Record(msgspec.Struct, kw_only=True):
    """One finished run of an execution. images: name as written → image id. runner: the type that ran its commands."""

    schema: Literal[1]
    execution: Execution
    flow: FlowVersion
    images: dict[str, str]
    runner: str | None
    instance: str
    podium: str


_decoder = msgspec.json.Decoder(Record)


def check(body: bytes) -> Record:
    """The record in `body`. Raises ValueError with the field that is wrong."""
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError as exc:
        raise ValueError(str(exc)) from exc


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a record; `record.schema.json` beside this module is its published text."""
    made = msgspec.json.schema(Record)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:podium:record:{SCHEMA_VERSION}",
        "title": "Podium record",
        **made,
    }
