"""Removes what is past its time, or what a purge task names: index rows, logs, metrics, keys, stored files. Records stay in Git.

Once an hour, by `podium gc`, and for the purge tasks; all of them go the same way: in small steps, each a transaction of its own that may be cut off
anywhere, with a rest after each as long as it took. What was looked at and stays is not looked at again: a pass costs what is new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from podium.base.errors import PodiumError
from podium.base.system.clock import Clock
from podium.base.system.ids import id_created_at
from podium.base.system.log import get_logger
from podium.engine.shape.view import iso
from podium.storage.files import FileStorage
from podium.storage.uris import execution_prefix, uri_of
from podium.store.journal import LEVELS
from podium.store.retention import ROWS, STEP, Closed, Retention

log = get_logger(__name__)
EVERY_S = 3_600.0
FIRST_S = 60.0
CACHES_EVERY = 24
"""Passes between two looks at the caches of working directories, for which the storage is listed."""
REST_S_MAX = 1.0
FILES = "files"
"""The mark up to which files of executions that are still in the index were removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How many days things stay ([retention])."""

    executions: float = 90
    files: float = 90
    logs: float = 90
    metrics: float = 90
    keys: float = 30
    caches: float = 30


@dataclass(slots=True, kw_only=True)
class Freed:
    """What went, or would go. executions, logs, metrics, keys, documents: rows. caches, folders: in the storage, with so many files and bytes."""

    executions: int = 0
    logs: int = 0
    metrics: int = 0
    keys: int = 0
    documents: int = 0
    caches: int = 0
    folders: int = 0
    files: int = 0
    bytes: int = 0


class Upkeep:
    """See the module's docstring. One pass or purge at a time."""

    def __init__(self, *, retention: Retention, files: FileStorage, clock: Clock, terms: Terms) -> None:
        self._retention = retention
        self._files = files
        self._clock = clock
        self._terms = terms
        self._busy = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.sleep(FIRST_S)
        passes = 0
        while True:
            try:
                freed = await self.once(caches=passes % CACHES_EVERY == 0)
                if any(asdict(freed).values()):
                    log.info("upkeep", **{name: count for name, count in asdict(freed).items() if count})
            except PodiumError as error:
                log.warning("upkeep_failed", error=error.what)
            passes += 1
            await asyncio.sleep(EVERY_S)

    async def once(self, *, dry: bool = False, caches: bool = True, sweep: bool = False) -> Freed:
        """Remove what is older than the terms. dry: only say what that is. sweep: look for files whose execution nobody knows, too."""
        async with self._busy:
            now, terms, freed = self._clock.now(), self._terms, Freed()
            before = {name: now - timedelta(days=days) for name, days in asdict(terms).items()}
            await self._executions({"before": before["executions"]}, freed, dry=dry, files_before=before["files"])
            await self._files_of(before["files"], before["executions"], freed, dry=dry, now=now)
            for table in ("logs", "metrics"):
                await self._old(table, before[table], freed, dry=dry)
            await self._expired("dedupe", "keys", before["keys"], freed, dry=dry)
            await self._expired("expired", "documents", now, freed, dry=dry)
            await self._documents(before["caches"], freed, dry=dry)
            if caches:
                await self._caches(before["caches"], freed, dry=dry)
            if sweep:
                await self._sweep(before["files"], freed, dry=dry)
            while not dry and await self._rested(self._retention.shrink()):
                pass
            return freed

    async def purge_executions(self, body: Mapping[str, Any]) -> None:
        """See plugin.Request: purge_executions."""
        wanted = {name: bool(body.get(name, True)) for name in ("executions", "logs", "metrics", "files")}
        async with self._busy:
            await self._executions(_filters(body), Freed(), dry=False, files_before=None, **wanted)

    async def purge_logs(self, body: Mapping[str, Any]) -> None:
        """See plugin.Request: purge_logs."""
        levels = [LEVELS[level] for level in body.get("levels") or ()]
        groups = self._retention.lines(_filters(body), levels)
        async with self._busy:
            while (group := await asyncio.to_thread(next, groups, None)) is not None:
                if group:
                    await self._rested(self._retention.remove_old("logs", group))

    async def remove(self, one: Closed, *, logs: bool, metrics: bool, files: bool) -> None:
        """Remove one execution that is closed, with what of it is named. In steps of its own: a pass that is under way is not waited for."""
        for table, wanted in (("logs", logs), ("metrics", metrics)):
            if wanted:
                await self._of(table, [one], dry=False)
        if files:
            await self._remove_files([one], Freed(), dry=False)
        await self._retention.remove([one], apart=[] if files else [one])

    async def remove_logs(self, one: Closed) -> None:
        """Remove the log of one execution."""
        await self._of("logs", [one], dry=False)

    async def remove_lines(self, numbers: Sequence[int]) -> None:
        """Remove log lines by their numbers."""
        await self._rested(self._retention.remove_old("logs", numbers))

    async def uploaded(self, namespace: str, flow_id: str, upload_id: str) -> None:
        """An upload was stored under an id of its own: its time runs from now on."""
        await self._retention.set_apart(Closed(id=upload_id, namespace=namespace, flow_id=flow_id, created_at=iso(self._clock.now())))

    # ---- executions and their files
    async def _executions(
        self, filters: Mapping[str, Any], freed: Freed, *, dry: bool, files_before: datetime | None, executions: bool = True, logs: bool = True,
        metrics: bool = True, files: bool = True,
    ) -> None:
        """files_before: files of younger executions stay, until it is their time too."""
        async for group in self._retention.closed(filters):
            for table, wanted in (("logs", logs), ("metrics", metrics)):
                if wanted:
                    setattr(freed, table, getattr(freed, table) + await self._of(table, group, dry=dry))
            over = [each for each in group if files and (files_before is None or each.created_at < iso(files_before))]
            await self._remove_files(over, freed, dry=dry)
            if executions and dry:
                freed.executions += len(group)
            elif executions:
                gone = {each.id for each in over}
                freed.executions += await self._rested(self._retention.remove(group, apart=[each for each in group if each.id not in gone]))

    async def _of(self, table: str, group: Sequence[Closed], *, dry: bool) -> int:
        if dry:
            return await asyncio.to_thread(self._retention.count_of, table, group)
        removed = 0
        while step := await self._rested(self._retention.remove_of(table, group)):
            removed += step
            if step < ROWS:
                break
        return removed

    async def _files_of(self, before: datetime, kept_since: datetime, freed: Freed, *, dry: bool, now: datetime) -> None:
        """Files of executions that stay in the index for longer, and of those that it has no more."""
        mark = await self._retention.mark(FILES)
        if before > kept_since:
            async for group in self._retention.closed({"after": kept_since, "before": before}, begin=mark):
                await self._remove_files(group, freed, dry=dry)
                if not dry:
                    await self._rested(self._retention.set_mark(FILES, group[-1].key, now))
        async for group in self._retention.apart(before):
            await self._remove_files(group, freed, dry=dry)
            if not dry:
                await self._rested(self._retention.forget_apart(group))

    async def _remove_files(self, group: Sequence[Closed], freed: Freed, *, dry: bool) -> None:
        await asyncio.to_thread(self._remove_folders, [uri_of(execution_prefix(each.namespace, each.flow_id, each.id)) for each in group], freed, dry)

    def _remove_folders(self, folders: Sequence[str], freed: Freed, dry: bool) -> None:
        for folder in folders:
            files, size = self._files.usage(folder)
            if files and not dry:
                self._files.delete_prefix(folder)
            freed.folders += bool(files)
            freed.files += files
            freed.bytes += size

    # ---- what stands by itself
    async def _old(self, table: str, before: datetime, freed: Freed, *, dry: bool) -> None:
        removed = 0
        async for group in self._retention.old(table, before):
            removed += len(group)
            if not dry:
                await self._rested(self._retention.remove_old(table, group))
        counted = getattr(freed, table)  # when nothing was removed, those of old executions are among them still
        setattr(freed, table, max(counted, removed) if dry else counted + removed)

    async def _expired(self, what: str, name: str, before: datetime, freed: Freed, *, dry: bool) -> None:
        removed = await self._retention.count(what, before) if dry else 0
        while not dry and (step := await self._rested(self._retention.expire(what, before))):
            removed += step
            if step < ROWS:
                break
        setattr(freed, name, getattr(freed, name) + removed)

    async def _documents(self, caches_before: datetime, freed: Freed, *, dry: bool) -> None:
        caches, syncs = await self._retention.old_documents("taskCache", caches_before), await self._retention.old_syncs()
        for kind, found in (("taskCache", caches), ("sync", syncs)):
            freed.documents += len(found)
            for begin in range(0, 0 if dry else len(found), ROWS):
                await self._rested(self._retention.drop_documents(kind, found[begin : begin + ROWS]))

    async def _caches(self, before: datetime, freed: Freed, *, dry: bool) -> None:
        for uri in await asyncio.to_thread(lambda: list(self._files.old_caches(before))):
            freed.bytes += await asyncio.to_thread(self._files.size, uri)
            if not dry:
                await asyncio.to_thread(self._files.delete, uri)
            freed.caches += 1
            freed.files += 1

    async def _sweep(self, before: datetime, freed: Freed, *, dry: bool) -> None:
        """Folders of executions in the storage that are old and that nobody knows of."""
        busy = {uri_of(execution_prefix(*flow, "x")).rpartition("/")[0] for flow in await self._retention.busy(before)}
        folders = (each for each in self._files.execution_folders() if each.rpartition("/")[0] not in busy)
        while group := await asyncio.to_thread(lambda: list(islice(folders, STEP))):
            ids = {folder.rpartition("/")[2]: folder for folder in group}
            old = [each for each in ids if id_created_at(each) < before]
            unknown = await self._retention.unknown(old)
            await asyncio.to_thread(self._remove_folders, [ids[each] for each in sorted(unknown)], freed, dry)

    async def _rested(self, step: Any) -> Any:
        """Do a step, then let others have as long."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        done = await step
        await asyncio.sleep(min(loop.time() - began, REST_S_MAX))
        return done


def _filters(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "namespace": body.get("namespace"), "flow_id": body.get("flowId"), "states": list(body.get("states") or ()),
        "after": _moment(body.get("startDate")), "before": _moment(body.get("endDate")),
    }


def _moment(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) or value is None else datetime.fromisoformat(str(value))


