"""A home made again from Git: what the results branch holds goes back into the index, the catalog, the keys and the triggers (invariant I5).

Done once, when a daemon starts on an empty home and its results branch is not empty; the index alone by `podium results rebuild`.
What was in flight when the old home was lost is gone; flow texts are read from their repository by blob when they are needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from podium.base.errors import PodiumError
from podium.base.system.ids import id_created_at
from podium.base.system.log import get_logger
from podium.engine.shape.view import started_by
from podium.records.layout import record_path
from podium.store.catalog import StoredRevision
from podium.store.journal import Batch, Document, ExecutionRow
from podium.store.views import Views

if TYPE_CHECKING:
    from podium.app.wiring.core import Core
    from podium.app.wiring.results import ResultsBranch
    from podium.records.read import Found

log = get_logger(__name__)
ROWS_AT_ONCE = 500
SYNCS_MAX = 1_000_000


def index_row(found: Found) -> ExecutionRow:
    """The row for lists that a record gives."""
    execution = found.data()["execution"]
    place = found.place
    histories = execution["state"]["histories"]
    trigger = execution.get("trigger") or {}
    return ExecutionRow(
        id=place.execution_id, namespace=place.namespace, flow_id=place.flow_id, revision=execution.get("flowRevision") or 0,
        state=execution["state"]["current"], created_at=id_created_at(place.execution_id),
        ended_at=datetime.fromisoformat(histories[-1]["date"]) if histories else None, trigger_id=trigger.get("id"),
        trigger_execution_id=started_by(execution), loop=execution.get("kind") == "LOOP", parent_id=execution.get("parentId"), open=False,
        summary={key: value for key, value in execution.items() if key not in ("taskRunList", "inputs", "engine")},
        labels={each["key"]: each["value"] for each in execution.get("labels") or ()},
        record_path=record_path(place.execution_id, place.namespace, place.flow_id, amend=place.amend),
    )


async def enter_records(views: Views, every: Iterator[Found]) -> int:
    """Write the index rows of records; how many. What is read next is read while the rows before it are written."""
    count = 0
    async with views.bulk():
        writing: asyncio.Future[None] = asyncio.ensure_future(asyncio.sleep(0))
        try:
            while rows := await asyncio.to_thread(lambda: [index_row(found) for found in islice(every, ROWS_AT_ONCE)]):
                await writing
                writing = asyncio.ensure_future(views.enter(rows))
                count += len(rows)
        finally:
            await writing
    return count


async def restore_home(core: Core, branch: ResultsBranch) -> None:
    """Fill an empty home from the results branch. A remote that is away is logged: the daemon then begins anew, and nothing is overwritten."""
    if core.catalog.newest() or not await core.views.empty():
        return
    try:
        await branch.writer.adopt()
    except PodiumError as error:
        log.warning("results_not_read", error=error.what, hint="start again once the results repository can be reached, to have its history in lists")
        return
    reader = branch.reader
    if not await asyncio.to_thread(reader.tips):
        return
    records = await enter_records(core.views, reader.every())
    syncs = await asyncio.to_thread(lambda: reader.syncs(limit=SYNCS_MAX))
    revisions = list(revisions_of(reversed(syncs)))
    await core.catalog.enter(revisions)
    batch = Batch(documents=[*_keys(await asyncio.to_thread(reader.kv)), *_triggers(await asyncio.to_thread(reader.triggers))])
    if batch:
        await core.journal.commit(batch, core.clock.now())
    core.conductor.library.load({})
    log.info("home_restored", records=records, revisions=len(revisions), documents=len(batch.documents))


def revisions_of(syncs: Iterable[Mapping[str, Any]]) -> Iterator[StoredRevision]:
    """The ledger of revisions that syncs (oldest first) make, without texts. A moved flow keeps its revision and has its new place."""
    found: dict[tuple[str, str, int], StoredRevision] = {}
    for sync in syncs:
        for flow in sync.get("flows") or ():
            if flow["verdict"] not in ("accepted", "moved", "deleted"):
                continue
            key = (flow["namespace"], flow["id"], flow["revision"])
            found[key] = StoredRevision(
                namespace=key[0], flow_id=key[1], revision=key[2], source=sync["source"], commit=flow["commit"], path=flow["path"], blob=flow["blob"],
                text="", defaults=flow.get("defaults") or (), deployed_at=datetime.fromisoformat(sync["at"]), deleted=flow["verdict"] == "deleted",
                templates=flow.get("templates") or (),
            )
    yield from found.values()


def _keys(stores: Mapping[str, Any]) -> Iterator[Document]:
    for namespace, entries in stores.items():
        for key, entry in (entries or {}).items():
            expires = entry.get("expirationDate")
            yield Document(
                kind="kv", namespace=namespace, key=key, value={name: entry[name] for name in ("value", "type") if name in entry},
                expires_at=datetime.fromisoformat(expires) if expires else None,
            )


def _triggers(states: Any) -> Iterator[Document]:
    for place, state in (states or {}).items():
        namespace, _, key = place.partition("/")
        yield Document(kind="trigger", namespace=namespace, key=key, value=state)
