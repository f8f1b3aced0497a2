"""The Jobs and Pods of one instance in one namespace, kept up to date by watching: one connection for each kind, however many tasks run.

Called by the launcher. What always holds: what is read here was so at some moment after the last `list`; a watch that breaks off, or is told
that it is too old (410), is begun anew from a fresh list; what was removed is remembered as it was last while somebody asks for its attempt.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from podium.base.errors import RunnerError
from podium.base.system.clock import monotonic_s
from podium.base.system.log import get_logger
from podium.runners.docker.config import LABEL_ATTEMPT, LABEL_INSTANCE
from podium.runners.kubernetes.cluster import Cluster, ClusterAnswer, ClusterAway, Thing

log = get_logger(__name__)
KINDS = ("job", "pod")
DELETED = "podium/deleted"
_AGAIN_FIRST_S, _AGAIN_MAX_S = 0.2, 5.0
_GONE = 410


class Shelf:
    """The objects of one kind, as lists and changes say they are. Pure."""

    def __init__(self) -> None:
        self._things: dict[str, dict[str, Thing]] = {}
        self._wanted: set[str] = set()
        self.version = ""

    def fill(self, found: Iterable[Thing], version: str) -> None:
        """All there are. What was here and is not among them was removed meanwhile."""
        now: dict[str, dict[str, Thing]] = {}
        for thing in found:
            now.setdefault(_attempt(thing), {})[_uid(thing)] = thing
        for attempt_id in self._wanted & set(self._things):
            for uid, thing in self._things[attempt_id].items():
                now.setdefault(attempt_id, {}).setdefault(uid, {**thing, DELETED: True})
        self._things, self.version = now, version

    def change(self, line: bytes) -> bool:
        """One line of a watch; whether the watch may go on. Raises ClusterAnswer for an error that is no expiry."""
        event: Mapping[str, Any] = json.loads(line)
        thing = event.get("object") or {}
        if event.get("type") == "ERROR":
            code = int(thing.get("code") or 500)
            if code != _GONE:
                raise ClusterAnswer(code, str(thing.get("message") or thing.get("reason") or "the watch failed"))
            return False
        self.version = str(thing["metadata"].get("resourceVersion") or self.version)
        attempt_id = _attempt(thing)
        if event["type"] == "DELETED":
            thing = {**thing, DELETED: True}
            if attempt_id not in self._wanted:
                self._things.get(attempt_id, {}).pop(_uid(thing), None)
                if not self._things.get(attempt_id):
                    self._things.pop(attempt_id, None)
                return True
        if event["type"] != "BOOKMARK":
            self._things.setdefault(attempt_id, {})[_uid(thing)] = thing
        return True

    def of(self, attempt_id: str) -> list[Thing]:
        """What there is, or was, of an attempt. From now on until `forget` it is remembered."""
        self._wanted.add(attempt_id)
        return list(self._things.get(attempt_id, {}).values())

    def forget(self, attempt_id: str) -> None:
        """An attempt that nobody asks for any more: what is removed of it now goes."""
        self._wanted.discard(attempt_id)
        left = {uid: thing for uid, thing in self._things.pop(attempt_id, {}).items() if DELETED not in thing}
        if left:
            self._things[attempt_id] = left


class Board:
    """See the module's docstring. `start` once; threads end with `close`."""

    def __init__(self, cluster: Cluster, namespace: str, instance: str) -> None:
        self._cluster, self._namespace = cluster, namespace
        self._labels = f"{LABEL_INSTANCE}={instance},{LABEL_ATTEMPT}"
        self._shelves = {kind: Shelf() for kind in KINDS}
        self._away: dict[str, RunnerError | None] = {kind: ClusterAway("the Kubernetes cluster was not asked yet", hint="wait") for kind in KINDS}
        self._lock = threading.Condition()
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=self._keep, args=(kind,), name=f"kubernetes-{kind}s", daemon=True) for kind in KINDS]

    def start(self) -> None:
        """Begin to watch."""
        for thread in self._threads:
            thread.start()

    def of(self, attempt_id: str) -> tuple[list[Thing], list[Thing]]:
        """Jobs and Pods of an attempt. Raises ClusterAway, ClusterAnswer when they are not known now."""
        with self._lock:
            for trouble in self._away.values():
                if trouble is not None:
                    raise trouble
            return self._shelves["job"].of(attempt_id), self._shelves["pod"].of(attempt_id)

    def wait(self, seconds: float) -> None:
        """Until the first lists are there, at most so long. Blocks."""
        with self._lock:
            self._lock.wait_for(lambda: not any(self._away.values()), seconds)

    def forget(self, attempt_id: str) -> None:
        """An attempt that was removed."""
        with self._lock:
            for shelf in self._shelves.values():
                shelf.forget(attempt_id)

    def close(self) -> None:
        """End the threads; the cluster's `close` breaks off what they read."""
        self._closed.set()

    def _keep(self, kind: str) -> None:
        shelf, pause_s = self._shelves[kind], _AGAIN_FIRST_S
        while not self._closed.is_set():
            began_s = monotonic_s()
            try:
                found, version = self._cluster.list(kind, self._namespace, labels=self._labels)
                with self._lock:
                    shelf.fill(found, version)
                    self._away[kind] = None
                    self._lock.notify_all()
                while self._watch(kind, shelf):
                    pause_s = _AGAIN_FIRST_S
            except RunnerError as error:
                if self._closed.is_set():
                    return
                log.warning("kubernetes_watch_broken", kind=kind, namespace=self._namespace, reason=error.what, retry_in_s=pause_s)
                with self._lock:
                    self._away[kind] = error
            if self._closed.wait(0.0 if monotonic_s() - began_s > _AGAIN_MAX_S else pause_s):
                return
            pause_s = min(pause_s * 2, _AGAIN_MAX_S)

    def _watch(self, kind: str, shelf: Shelf) -> bool:
        """One watch to its end; whether another may go on where it ended."""
        watching = self._cluster.watch(kind, self._namespace, labels=self._labels, since=shelf.version)
        try:
            for line in watching.lines():
                with self._lock:
                    if not shelf.change(line):
                        return False
        finally:
            watching.close()
        return not self._closed.is_set()


def _attempt(thing: Thing) -> str:
    return str((thing["metadata"].get("labels") or {}).get(LABEL_ATTEMPT) or "")


def _uid(thing: Thing) -> str:
    return str(thing["metadata"].get("uid") or "")
