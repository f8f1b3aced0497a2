"""Turns an execution and its log into the bytes of its record. Pure. Called by the conductor when an execution ends.

What always holds: known secret values are masked, nothing is longer than its limit (what is left out says so, with size and digest),
and the same execution gives the same bytes.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from podium.base.limits import LOG_CAP_BYTES, OUTPUT_BYTES_MAX, RECORD_BYTES_MAX
from podium.base.redact import Redactor
from podium.records.record import SCHEMA_VERSION

OMITTED = "podium:omitted"
_LOG_FIELDS = ("timestamp", "level", "taskId", "taskRunId", "attemptNumber", "triggerId", "message")
_encoder = msgspec.json.Encoder(enc_hook=str)


def render_record(
    view: Mapping[str, Any],
    *,
    flow: Mapping[str, Any],
    instance: str,
    version: str,
    images: Mapping[str, str] | None = None,
    runner: str | None = None,
    redactor: Redactor | None = None,
    output_bytes_max: int = OUTPUT_BYTES_MAX,
    record_bytes_max: int = RECORD_BYTES_MAX,
) -> bytes:
    """The JSON text of a record, indented, ending in a line feed.

    view: the execution (flow-language 9.2).  flow: {commit, path, blob, revision}.  version: of Podium.  Outputs of a task run over
    output_bytes_max are replaced by {"podium:omitted": {bytes, sha256}}, then the largest ones until the record fits.
    """
    execution = dict(redactor.value(dict(view)) if redactor else view)
    envelope = {
        "schema": SCHEMA_VERSION,
        "execution": execution,
        "flow": {key: flow.get(key) for key in ("commit", "path", "blob", "revision")},
        "images": dict(images or {}),
        "runner": runner,
        "instance": instance,
        "podium": version,
    }
    body = _encode(envelope)
    if len(body) > min(output_bytes_max, record_bytes_max):
        execution["taskRunList"] = _bounded(execution.get("taskRunList") or [], output_bytes_max, len(body) - record_bytes_max)
        body = _encode(envelope)
    return msgspec.json.format(body, indent=2) + b"\n"


def render_log(
    entries: Iterable[Mapping[str, Any]], *, cap_bytes: int = LOG_CAP_BYTES, redactor: Redactor | None = None, whole: str | None = None
) -> bytes:
    """Task log entries (flow-language 9.2) as one JSON object a line: the first `cap_bytes` and the last `cap_bytes`.

    Between them, if something is left out, a line {"omitted": {"lines", "bytes", "uri"}}; uri = `whole`, where the whole log is.
    """
    head: list[bytes] = []
    head_bytes = 0
    tail: deque[bytes] = deque()
    tail_bytes = lines_out = bytes_out = 0
    for entry in entries:
        kept = {key: entry[key] for key in _LOG_FIELDS if entry.get(key) is not None}
        line = _encode(redactor.value(kept) if redactor else kept) + b"\n"
        if not tail and not lines_out and head_bytes + len(line) <= cap_bytes:
            head.append(line)
            head_bytes += len(line)
            continue
        tail.append(line)
        tail_bytes += len(line)
        while tail_bytes > cap_bytes:
            dropped = tail.popleft()
            tail_bytes -= len(dropped)
            lines_out += 1
            bytes_out += len(dropped)
    if lines_out:
        head.append(_encode({"omitted": {"lines": lines_out, "bytes": bytes_out, "uri": whole}}) + b"\n")
    return b"".join([*head, *tail])


def _bounded(task_runs: list[Mapping[str, Any]], each_max: int, excess: int) -> list[Mapping[str, Any]]:
    sizes = {index: len(_encode(run["outputs"])) for index, run in enumerate(task_runs) if run.get("outputs")}
    out = {index for index, size in sizes.items() if size > each_max}
    excess -= sum(sizes[index] for index in out)
    for index in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if excess <= 0:
            break
        if index not in out:
            out.add(index)
            excess -= sizes[index]
    return [{**run, "outputs": _digest(run["outputs"])} if index in out else run for index, run in enumerate(task_runs)]


def _digest(outputs: Any) -> dict[str, Any]:
    body = _encode(outputs)
    return {OMITTED: {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}}


def _encode(value: Any) -> bytes:
    try:
        return _encoder.encode(value)
    except (UnicodeEncodeError, TypeError, OverflowError):
        return _encoder.encode(_plain(value))


def _plain(value: Any) -> Any:
    """The value with what JSON cannot hold (half surrogates, odd keys, huge numbers) as text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    return value
