"""Where each file of the results branch lies. Pure. Called by the other modules of this room, and by whoever queues a file.

    executions/<yyyy>/<mm>/<dd>/<HH>/<namespace>/<flow>/[<chunk>/]<id>.json             the record, never changed
                                                                  <id>.amend-<n>.json   the complete execution of a later run number
                                                                  <id>.log.jsonl        its task logs, capped (<id>.amend-<n>.log.jsonl)
    syncs/<yyyy>/<mm>/<dd>/<commit>.json     what a deployed commit changed, accepted and refused
    state/kv/<namespace>.json                the key-value store of a namespace
    state/triggers.json                      where each trigger stands

The time is that of creation, UTC, read from the id. The writer adds the chunk (four digits, none for chunk 0), so that no folder
grows: the cost of a commit is that of the folders it touches (docs/results-branch.md, "Flat cost"). Source: design 6, ruling 7.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, NamedTuple

from podium.base.system.ids import id_created_at

Rotation = Literal["never", "monthly", "weekly"]

EXECUTIONS, SYNCS, STATE, KV, TRIGGERS = "executions", "syncs", "state", "state/kv", "state/triggers.json"
_NAME = re.compile(r"(?P<id>[0-9A-Za-z]{22})(?:\.amend-(?P<amend>[1-9][0-9]*))?\.(?P<kind>json|log\.jsonl)")
_CHUNK = re.compile(r"[0-9]{4,}")


class Place(NamedTuple):
    """What the path of a record or log says. kind: json (a record) or log.jsonl. amend: 0 for the first run.

    A tuple is made in a tenth of the time: a rebuild makes one for each record.
    """

    folder: str
    chunk: int
    execution_id: str
    namespace: str
    flow_id: str
    amend: int
    kind: str

    @property
    def path(self) -> str:
        """The path in the branch."""
        return f"{self.folder}/{self.chunk:04d}/{self._name}" if self.chunk else self.asked_path

    @property
    def asked_path(self) -> str:
        """The path under which it was queued: without the chunk, which the writer added."""
        return f"{self.folder}/{self._name}"

    @property
    def _name(self) -> str:
        amend = f".amend-{self.amend}" if self.amend else ""
        return f"{self.execution_id}{amend}.{self.kind}"


def record_path(execution_id: str, namespace: str, flow_id: str, *, amend: int = 0) -> str:
    """Path of an execution's record before the writer adds its chunk. amend: n for run number n+1, 0 for the first."""
    return _place(execution_id, namespace, flow_id, amend, "json").path


def log_path(execution_id: str, namespace: str, flow_id: str, *, amend: int = 0) -> str:
    """Path of the task logs that belong to that record."""
    return _place(execution_id, namespace, flow_id, amend, "log.jsonl").path


def _place(execution_id: str, namespace: str, flow_id: str, amend: int, kind: str) -> Place:
    folder = f"{_hour_of(execution_id)}/{namespace}/{flow_id}"
    return Place(folder=folder, chunk=0, execution_id=execution_id, namespace=namespace, flow_id=flow_id, amend=amend, kind=kind)


@lru_cache(maxsize=4_096)
def _hour_of(execution_id: str) -> str:
    """Kept, as the paths of one execution are asked for several times when it ends."""
    return hour_folder(id_created_at(execution_id))


def hour_folder(at: datetime) -> str:
    """The folder of the executions created in that hour."""
    return f"{day_folder(EXECUTIONS, at)}/{at.astimezone(UTC):%H}"


def day_folder(root: str, at: datetime) -> str:
    """The folder of a day (UTC) below `executions` or `syncs`."""
    return f"{root}/{at.astimezone(UTC):%Y/%m/%d}"


def sync_path(commit: str, at: datetime) -> str:
    """Path of the record of a deployed commit. at: when it was deployed."""
    return f"{day_folder(SYNCS, at)}/{commit}.json"


def kv_path(namespace: str) -> str:
    """Path of a namespace's key-value store."""
    return f"{KV}/{namespace}.json"


def parse(path: str) -> Place | None:
    """What a path says, or None when it is not that of a record or log of an execution (with or without chunk)."""
    parts = path.split("/")
    if parts[0] != EXECUTIONS or len(parts) not in (8, 9):
        return None
    chunk = 0
    if len(parts) == 9:
        if not _CHUNK.fullmatch(parts[7]):
            return None
        chunk = int(parts[7])
    match = _NAME.fullmatch(parts[-1])
    if match is None:
        return None
    return Place(
        folder="/".join(parts[:7]),
        chunk=chunk,
        execution_id=match["id"],
        namespace=parts[5],
        flow_id=parts[6],
        amend=int(match["amend"] or 0),
        kind=match["kind"],
    )


def chunk_capacity(chunk: int) -> int:
    """How many records that chunk takes: few at first, so that a batch over many flows stays cheap; more for a flow that is hot.

    Each record of a batch that touches another flow's folder writes that whole folder again. 2 million records of one flow in one hour
    keep every folder under the 3,000 entries that forges advise.
    """
    return 8 if chunk == 0 else 16 if chunk < 64 else 64 if chunk < 256 else 250 if chunk < 768 else 1_000


def chunk_of(name: str) -> int | None:
    """The number of a chunk folder, None for another name."""
    return int(name) if _CHUNK.fullmatch(name) else None


def agrees(place: Place) -> bool:
    """Whether the hour in the path is that in the id."""
    try:
        return place.folder.startswith(hour_folder(id_created_at(place.execution_id)) + "/")
    except ValueError:
        return False


def branch_at(branch: str, rotate: Rotation, at: datetime) -> str:
    """Name of the branch that takes what is committed at that moment."""
    utc = at.astimezone(UTC)
    if rotate == "monthly":
        return f"{branch}/{utc:%Y-%m}"
    if rotate == "weekly":
        year, week, _ = utc.isocalendar()
        return f"{branch}/{year}-W{week:02d}"
    return branch
