"""The sync record: what a deployed commit changed; the ledger of revisions that a rebuild reads. Called by loader. Source: ruling 13."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from podium.base.moments import to_text
from podium.base.ports import FlowRevision, KnownFlow

SCHEMA = 1


def sync_path(commit: str, at: datetime, *, again: bool = False) -> str:
    """Where the record is on the results branch. again: a record of this commit may be there already, so the time is part of the name."""
    name = f"{commit}.{at:%H%M%S%f}" if again else commit
    return f"syncs/{at:%Y/%m/%d}/{name}.json"


def sync_body(
    *, source: str, url: str, branch: str, path: str, commit: str, previous_commit: str | None, at: datetime, dirty: bool, held: str | None,
    accepted: Sequence[FlowRevision] = (), moved: Sequence[FlowRevision] = (), removed: Sequence[KnownFlow] = (),
    rejected: Sequence[Mapping[str, Any]] = (), held_flows: Sequence[KnownFlow] = (), warnings: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    """The record as JSON, sorted and indented so that two of them can be compared by eye.

    `flows` lists only what changed: verdict accepted (a new revision), moved (same revision, new place or defaults), deleted
    (a tombstone, itself the next revision), held (would be deleted, waits to be confirmed; nothing changed). defaults, templates: what
    holds for a flow beside its text, where there is any; the text of a template is that of its blob.
    """
    flows = [
        *(_entry(each, "accepted") for each in accepted),
        *(_entry(each, "moved") for each in moved),
        *(_entry(each, "deleted") | {"revision": each.revision + 1, "commit": commit} for each in removed),
        *(_entry(each, "held") for each in held_flows),
    ]
    record: dict[str, Any] = {
        "schema": SCHEMA, "kind": "sync", "source": source, "url": url, "branch": branch, "path": path, "commit": commit,
        "previousCommit": previous_commit, "at": to_text(at), "dirty": dirty,
        "held": held, "flows": sorted(flows, key=lambda each: (each["namespace"], each["id"])), "rejected": list(rejected),
        "warnings": list(warnings),
    }
    return json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def _entry(flow: FlowRevision | KnownFlow, verdict: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "namespace": flow.namespace, "id": flow.flow_id, "revision": flow.revision, "path": flow.path, "blob": flow.blob,
        "commit": flow.commit, "verdict": verdict,
    }
    if isinstance(flow, FlowRevision):
        templates = [{key: each[key] for key in ("namespace", "id", "path", "blob")} for each in flow.templates]
        entry |= ({"defaults": list(flow.defaults)} if flow.defaults else {}) | ({"templates": templates} if templates else {})
    return entry
