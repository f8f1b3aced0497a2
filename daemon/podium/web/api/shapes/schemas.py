"""The schemas that the OpenAPI document names: what the API answers. Called by web/routes, which puts them into the document.

What always holds: a schema says what is always there (`required`); members beside those named may come. Tests hold answers against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podium.flows.model import STATES

Schema = Mapping[str, Any]
TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
OBJECT: Schema = {"type": "object"}
LIST: Schema = {"type": "array", "items": {}}
STATE_NAME: Schema = {"type": "string", "enum": list(STATES)}
KV_TYPE: Schema = {"type": ["string", "null"], "enum": ["STRING", "NUMBER", "BOOLEAN", "DATETIME", "DATE", "DURATION", "JSON", None]}
_MAYBE_MOMENT: Schema = {"type": ["string", "null"], "format": "date-time"}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


SCHEMAS: dict[str, Any] = {
    "Error": {
        "type": "object", "required": ["message", "code", "hint", "_links", "_embedded"],
        "properties": {
            "message": TEXT, "code": {"type": "string", "description": "stable; the only member to branch on"}, "hint": TEXT,
            "_links": {"type": "object", "properties": {"self": OBJECT}},
            "_embedded": {
                "type": "object",
                "properties": {"errors": {"type": "array", "items": {"type": "object", "properties": {"message": TEXT, "path": TEXT}}}},
            },
        },
    },
    "State": {
        "type": "object", "required": ["current"],
        "properties": {
            "current": STATE_NAME, "startDate": MOMENT, "endDate": MOMENT, "duration": TEXT,
            "histories": _list({"type": "object", "required": ["state", "date"], "properties": {"state": STATE_NAME, "date": MOMENT}}),
        },
    },
    "Label": {"type": "object", "required": ["key", "value"], "properties": {"key": TEXT, "value": TEXT}},
    "TaskRun": {
        "type": "object", "required": ["id", "taskId", "state"],
        "properties": {
            "id": TEXT, "executionId": TEXT, "namespace": TEXT, "flowId": TEXT, "taskId": TEXT, "value": {}, "parentTaskRunId": TEXT,
            "iteration": INTEGER,
            "attempts": _list({"type": "object", "properties": {"state": _ref("State")}}), "outputs": OBJECT,
            "state": _ref("State"),
        },
    },
    "Execution": {
        "type": "object", "required": ["id", "namespace", "flowId", "state"],
        "properties": {
            "id": TEXT, "namespace": TEXT, "flowId": TEXT, "flowRevision": INTEGER, "inputs": OBJECT, "outputs": OBJECT, "variables": OBJECT,
            "state": _ref("State"), "labels": _list(_ref("Label")),
            "taskRunList": _list(_ref("TaskRun")), "trigger": _ref("ExecutionTrigger"), "parentId": TEXT,
            "originalId": TEXT, "scheduleDate": MOMENT, "url": TEXT, "metadata": OBJECT, "git": OBJECT,
        },
    },
    "Flow": {
        "type": "object", "required": ["id", "namespace", "revision"],
        "properties": {
            "id": TEXT, "namespace": TEXT, "revision": INTEGER, "description": {"type": ["string", "null"]}, "disabled": FLAG, "source": TEXT,
            "labels": _list(_ref("Label")), "inputs": LIST, "tasks": LIST, "triggers": LIST,
        },
    },
    "LogEntry": {
        "type": "object", "required": ["timestamp", "level", "message"],
        "properties": {
            "seq": INTEGER, "timestamp": MOMENT, "level": TEXT, "message": TEXT, "taskId": TEXT, "taskRunId": TEXT, "attemptNumber": INTEGER,
            "executionId": TEXT, "namespace": TEXT, "flowId": TEXT,
        },
    },
    "KV": {
        "type": "object", "required": ["key"],
        "properties": {"namespace": TEXT, "key": TEXT, "type": KV_TYPE, "creationDate": MOMENT, "updateDate": MOMENT, "expirationDate": MOMENT},
    },
    "Count": {"type": "object", "required": ["count"], "properties": {"count": INTEGER}},
    "ExecutionTrigger": {"type": "object", "properties": {"id": TEXT, "type": TEXT, "variables": OBJECT}},
    "CheckedInput": {
        "type": "object", "required": ["input", "enabled", "errors"],
        "properties": {
            "input": TEXT, "value": {}, "enabled": FLAG, "errors": _list({"type": "object", "properties": {"message": TEXT}}), "choices": LIST,
        },
    },
    "CheckedInputs": {
        "type": "object", "required": ["id", "namespace", "inputs"],
        "properties": {
            "id": TEXT, "namespace": TEXT, "inputs": _list(_ref("CheckedInput")),
            "checks": _list({"type": "object", "properties": {"message": TEXT, "style": TEXT, "behavior": TEXT}}),
        },
    },
    "Outputs": {"type": "object", "additionalProperties": {"type": ["object", "null"]}, "description": "task run id → its outputs"},
    "Record": {
        "type": "object", "required": ["record"],
        "properties": {"record": {"type": ["object", "null"], "properties": {"path": TEXT, "commit": {"type": ["string", "null"]}, "body": OBJECT}}},
    },
    "FileMetas": {"type": "object", "required": ["size"], "properties": {"size": INTEGER}},
    "FilePreview": {
        "type": "object", "required": ["extension", "type", "content", "truncated"],
        "properties": {"extension": TEXT, "type": {"enum": ["LIST", "TEXT", "MARKDOWN", "IMAGE"]}, "content": {}, "truncated": FLAG},
    },
    "MetricEntry": {
        "type": "object", "required": ["name", "value"],
        "properties": {
            "executionId": TEXT, "namespace": TEXT, "flowId": TEXT, "taskId": TEXT, "taskRunId": TEXT,
            "type": {"enum": ["counter", "timer", "gauge"]}, "name": TEXT, "value": {"type": "number"}, "tags": OBJECT, "timestamp": MOMENT,
        },
    },
    "TriggerState": {
        "type": "object", "required": ["namespace", "flowId", "triggerId"],
        "properties": {
            "namespace": TEXT, "flowId": TEXT, "triggerId": TEXT, "disabled": {"type": ["boolean", "null"]}, "date": _MAYBE_MOMENT,
            "nextExecutionDate": _MAYBE_MOMENT, "executionId": {"type": ["string", "null"]},
            "backfill": {"type": ["object", "null"], "properties": {
                "start": MOMENT, "end": MOMENT, "currentDate": MOMENT, "paused": FLAG, "inputs": {"type": ["object", "null"]},
            }},
        },
    },
    "KVValue": {"type": "object", "required": ["type", "value"], "properties": {"type": KV_TYPE, "value": {}}},
    "Queue": {
        "type": "object", "required": ["paused", "executions", "taskRuns", "commands"],
        "properties": {
            "paused": {"type": ["object", "null"], "properties": {"at": MOMENT, "by": TEXT, "reason": TEXT}}, "executions": OBJECT,
            "taskRuns": OBJECT, "commands": OBJECT,
        },
    },
    "Health": {"type": "object", "required": ["status"], "properties": {"status": {"enum": ["UP", "DEGRADED", "STARTING", "DOWN"]}}},
    "Configs": {
        "type": "object", "required": ["version", "systemNamespace"],
        "properties": {
            "version": TEXT, "systemNamespace": TEXT, "isBasicAuthEnabled": FLAG, "hiddenLabelsPrefixes": _list(TEXT),
            "preview": {"type": "object", "properties": {"initial": INTEGER, "max": INTEGER}},
        },
    },
    "Collected": {"type": "object", "additionalProperties": INTEGER, "description": "how many of what was removed, or would be; and bytes"},
    "Source": {
        "type": "object", "required": ["name"],
        "properties": {"name": TEXT, "url": TEXT, "branch": TEXT, "path": TEXT, "commit": {"type": ["string", "null"]}, "fetchedAt": _MAYBE_MOMENT},
    },
    "Problem": {
        "type": "object", "required": ["message"],
        "properties": {"file": TEXT, "line": INTEGER, "column": INTEGER, "path": TEXT, "code": TEXT, "message": TEXT, "hint": TEXT},
    },
    "Rejected": {
        "type": "object",
        "properties": {"source": TEXT, "commit": TEXT, "path": TEXT, "problems": _list(_ref("Problem"))},
    },
    "Sync": {
        "type": "object",
        "properties": {
            "source": TEXT, "commit": TEXT, "at": MOMENT, "flows": LIST, "rejected": LIST, "held": {"type": ["string", "null"]},
        },
    },
}
