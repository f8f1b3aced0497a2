"""A home made again from Git: what the results branch holds goes back into the index, the catalog, the keys and the triggers (invariant I5).

Done once, when a daemon starts on an empty home and its results branch is not empty; the index alone by `podium results rebuild`.
What was in flight when the old home was lost is gone; flow texts are read from their repository by blob when they are needed. What
always holds: until a home knows what the branch has, nothing is committed to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podium.base.errors import GitError, GitRefused, PodiumError, StorageError
from podium.base.system.clock import monotonic_s
from podium.base.system.ids import id_created_at
from podium.base.system.log import get_logger
from podium.engine.shape.view import started_by
from podium.git import process
from podium.storage.crypto import SEALED_TYPE, reveal
from podium.store.catalog import StoredRevision
from podium.store.documents import Documents
from podium.store.journal import Batch, Document, ExecutionRow
from podium.store.views import Views

if TYPE_CHECKING:
    from podium.app.wiring.core import Core
    from podium.app.wiring.results import ResultsBranch
    from podium.records.read import Found

log = get_logger(__name__)
ROWS_AT_ONCE = 2_000
LOOK_AGAIN_S = 15.0
MARK = ("daemon", "", "results")
"""The document that says how far a new home is, until it knows what the results branch has."""
RESTORING, UNSEEN = "restoring", "unseen"
SYNCS_MAX = 1_000_000
_NOT_IN_LISTS = frozenset({"taskRunList", "inputs", "engine"})


def index_row(found: Found) -> ExecutionRow:
    """The row for lists that a record gives."""
    (facts, summary), place = found.listed(without=_NOT_IN_LISTS), found.place
    histories, trigger = facts.state.histories, facts.trigger or {}
    return ExecutionRow(
        id=place.execution_id, namespace=place.namespace, flow_id=place.flow_id, revision=facts.flow_revision or 0, state=facts.state.current,
        created_at=id_created_at(place.execution_id),
        ended_at=histories[-1].date if histories else None, trigger_id=trigger.get("id"),
        trigger_execution_id=started_by({"trigger": trigger, "loopRun": facts.loop_run}), loop=facts.kind == "LOOP",
        parent_id=facts.parent_id, open=False, summary=summary,
        labels={each.key: each.value for each in facts.labels or ()}, record_path=place.asked_path,
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


async def restore_home(core: Core, branch: ResultsBranch, *, wait_s: float | None) -> bool:
    """Fill an empty home from the results branch; whether this home knows what the branch has, so that its writer may go on with it.

    A remote that does not answer is asked again, for wait_s seconds (None: as long as it takes), and what is wrong is `branch.trouble`
    meanwhile. False: it never answered, and the home begins anew (see `until_free`). One that a crash cut off begins again.
    """
    mark = Documents(core.database, core.clock).get(*MARK)
    fresh = not core.catalog.newest() and await core.views.empty()
    if not fresh and mark != RESTORING:
        return bool(mark != UNSEEN)
    await _note(core, RESTORING)
    if not await _adopted(core, branch, wait_s):
        log.warning("results_not_read", error=branch.trouble.what if branch.trouble else "", hint="beginning anew, as results.first_wait_s says")
        await _note(core, UNSEEN)
        return False
    reader = branch.reader
    if await asyncio.to_thread(reader.tips):
        sealed = _Sealed(core, branch.home / "instance.key")
        records = await enter_records(core.views, sealed.looked_at(reader.every()))
        syncs = await asyncio.to_thread(lambda: reader.syncs(limit=SYNCS_MAX))
        revisions = list(revisions_of(reversed(syncs)))
        await core.catalog.enter(revisions)
        documents = [*_keys(await asyncio.to_thread(reader.kv)), *_triggers(await asyncio.to_thread(reader.triggers))]
        known = Documents(core.database, core.clock)
        documents = [each for each in documents if known.get(each.kind, each.namespace, each.key) is None]  # a key set meanwhile is newer
        await core.journal.commit(Batch(documents=documents), core.clock.now())
        core.conductor.library.load({})
        log.info("home_restored", records=records, revisions=len(revisions), documents=len(documents))
        sealed.tell(documents)
    await _note(core, None)
    return True


async def until_free(core: Core, branch: ResultsBranch) -> None:
    """Wait until it is certain that the remote has no results branch, for a home that began without having seen it.

    One that is there has a history, keys and revisions of which this home knows nothing: nothing is put on top of it.
    """
    while True:
        try:
            names = await asyncio.to_thread(branch.remote_names)
        except PodiumError as error:
            branch.trouble = error
        else:
            if not names:
                break
            branch.trouble = GitRefused(
                f"the results branch {names[0]!r} has a history, and this home began without it", reason="history-unseen",
                hint="stop, keep instance.key, delete the rest of the home and start, to have it again; or give results.branch another name",
            )
        await asyncio.sleep(LOOK_AGAIN_S)
    await _note(core, None)
    branch.trouble = None


async def _adopted(core: Core, branch: ResultsBranch, wait_s: float | None) -> bool:
    """Bring the remote's branch here; False when it did not answer in time."""
    give_up_at = monotonic_s() + wait_s if wait_s is not None else None
    pause_s, told = 1.0, ""
    branch.trouble = GitError("an empty home waits for the results repository to answer", hint="results.first_wait_s says how long")
    while True:
        looking = asyncio.create_task(branch.writer.adopt())
        await asyncio.wait({looking}, timeout=max(give_up_at - monotonic_s(), 0.1) if give_up_at is not None else None)
        if not looking.done():
            process.interrupt(branch.home)
        try:
            await looking
        except PodiumError as error:
            branch.trouble = error
            if error.what != told:
                told = error.what
                log.warning("results_not_read_yet", error=error.what, hint="an empty home waits: only the remote knows what it had (first_wait_s)")
        else:
            branch.trouble = None
            return True
        if give_up_at is not None and monotonic_s() >= give_up_at:
            return False
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LOOK_AGAIN_S)


async def _note(core: Core, mark: str | None) -> None:
    await core.journal.commit(Batch(documents=[Document(kind=MARK[0], namespace=MARK[1], key=MARK[2], value=mark)]), core.clock.now())


class _Sealed:
    """Finds out whether the instance key is the one that secret values were encrypted with."""

    def __init__(self, core: Core, key: Path) -> None:
        self._cipher = core.cipher
        self._key = key
        self._unreadable = 0

    def looked_at(self, every: Iterator[Found]) -> Iterator[Found]:
        """The records as they are."""
        for found in every:
            if SEALED_TYPE.encode() in found.body:
                self._unreadable += not self._readable(found.data())
            yield found

    def _readable(self, value: Any) -> bool:
        try:
            reveal(value, self._cipher, lambda _secret: None)
        except StorageError:
            return False
        return True

    def tell(self, documents: Iterable[Document]) -> None:
        """Say it when not: all is there but what only the old key opens."""
        triggers = sum(not self._readable(each.value) for each in documents if each.kind == "trigger")
        if self._unreadable or triggers:
            log.error(
                "instance_key_is_another", executions=self._unreadable, triggers=triggers, key=str(self._key),
                hint="stop and put the old one there; without it these cannot be restarted with their secret inputs, all else works",
            )


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
