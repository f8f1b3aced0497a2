"""Has a Kubernetes cluster place containers: one Job for each attempt.

Called by runners/remote. What always holds: a Job is known by the attempt's name, which the cluster gives once in a namespace; its Secret holds
nothing but the attempt's token and belongs to the Job, so it goes with it; where an attempt was launched is on disk before it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from podium.base.errors import RunnerError, RunnerRefused
from podium.base.system.clock import monotonic_s
from podium.base.system.log import get_logger
from podium.runners.docker.config import LABEL_ATTEMPT, LABEL_INSTANCE, LABEL_KEEP
from podium.runners.kubernetes import manifest
from podium.runners.kubernetes.board import DELETED, Board
from podium.runners.kubernetes.cluster import Access, Cluster, ClusterAnswer, ClusterAway, Thing
from podium.runners.kubernetes.pods import judge
from podium.runners.port import Job
from podium.runners.remote.desk import Desk
from podium.runners.remote.program import Program
from podium.runners.remote.runner import Seen

log = get_logger(__name__)
T = TypeVar("T")
TYPE = "io.kestra.plugin.ee.kubernetes.runner.Kubernetes"
_FIRST_LOOK_S = 10.0
_REACH_S, _AGAIN_S = 60.0, 1.0
_NAME_TRIES, _NAME_PAUSE_S = 100, 0.2
_EVENTS_AFTER_S, _EVENTS_AGAIN_S = 3.0, 5.0
_CLOSE_S = 2.0


@dataclass(slots=True)
class _Place:
    """Where an attempt was launched, and what is known of its waiting. site: None for a cluster that only the task's own words lead to."""

    namespace: str
    site: _Site | None
    since_s: float = field(default_factory=monotonic_s)
    late_s: float = 600.0
    keep: bool = False
    asked_s: float = 0.0
    told: str = ""


class _Site:
    """A cluster, with a board for each namespace used."""

    def __init__(self, access: Access, instance: str) -> None:
        self.cluster = Cluster(access)
        self.boards: dict[str, Board] = {}
        self.programs: set[tuple[str, str]] = set()
        self.making = asyncio.Lock()
        self._instance = instance

    def board(self, namespace: str) -> Board:
        """Of a namespace, begun with its first use."""
        if namespace not in self.boards:
            self.boards[namespace] = Board(self.cluster, namespace, self._instance)
            self.boards[namespace].start()
        return self.boards[namespace]

    def close(self) -> None:
        """End the boards and the connections."""
        for board in self.boards.values():
            board.close()
        self.cluster.close()


class KubernetesLauncher:
    """See the module's docstring.

    desk: where the attempts' files are. url: where Pods reach this daemon. program: where podium-transfer was built.
    namespace: for tasks that name none; None is that of the kubeconfig or service account. expected: whether there is a cluster at all: if not,
    none is looked for before a task asks for it.
    """

    def __init__(
        self, *, instance: str, url: str, program: Path | None, desk: Desk, access: Access | None = None, namespace: str | None = None,
        rules: manifest.Rules | None = None, expected: bool = True,
    ) -> None:
        self._instance, self._url, self._program_at, self._desk = instance, url, program, desk
        self._namespace, self._expected = namespace, expected
        self._rules = rules or manifest.Rules()
        self._program: Program | None = None
        self._own = _Site(access or Access(), instance)
        self._foreign: dict[str, _Site] = {}
        self._places: dict[str, _Place] = {}
        self._reached = False

    # ---- launching

    async def launch(self, job: Job, token: str) -> None:
        """See Launcher."""
        if not self._url:
            raise RunnerRefused(
                "the setting runner.remote_url is empty: Pods could not reach this daemon",
                hint='set it to an address of this daemon that every node reaches, such as "http://10.0.0.1:8080"',
            )
        program = await self._read_program()
        place = await self._choose(job)
        assert place.site is not None
        argv = program.argv(self._url, job.attempt_id, manifest.TOKEN_FILE, None)
        config = manifest.program_map(program, self._instance)
        body = manifest.kubernetes_job(
            job, instance=self._instance, argv=argv, launch=_nonce(token), program=config["metadata"]["name"], rules=self._rules
        )
        place.keep = LABEL_KEEP in body["metadata"]["labels"]
        place.late_s = float(body["metadata"]["annotations"][manifest.WAIT_UNTIL_RUNNING])
        await asyncio.to_thread(self._note, job.attempt_id, place)
        self._places[job.attempt_id] = place
        await self._deliver(place, config)
        made = await self._create(place, body)
        try:
            await self._ask(place, lambda cluster: _make(cluster, "secret", place.namespace, manifest.secret(made, token)))
        except ClusterAnswer as answer:
            raise _refused(answer, "Secret") from answer
        await asyncio.to_thread(place.site.board(place.namespace).wait, _FIRST_LOOK_S)

    async def _create(self, place: _Place, body: Mapping[str, Any]) -> Thing:
        """The Job. One of that name is of an earlier life and has not begun (else nobody would launch), or this very call made it."""
        name, launch = body["metadata"]["name"], body["metadata"]["annotations"][manifest.LAUNCH]
        for tries_left in range(_NAME_TRIES, -1, -1):
            try:
                return await self._ask(place, lambda cluster: cluster.create("job", place.namespace, body))
            except ClusterAnswer as answer:
                if answer.status != 409 or tries_left == 0:
                    raise _refused(answer, "Job") from answer
            found = await self._ask(place, lambda cluster: cluster.read("job", place.namespace, name))
            if found is not None and (found["metadata"].get("annotations") or {}).get(manifest.LAUNCH) == launch:
                return found
            await self._ask(place, lambda cluster: cluster.delete("job", place.namespace, name))
            await asyncio.sleep(_NAME_PAUSE_S)
        raise AssertionError

    async def _deliver(self, place: _Place, config: Mapping[str, Any]) -> None:
        """Make sure that podium-transfer is in the namespace."""
        assert place.site is not None
        key = (place.namespace, str(config["metadata"]["name"]))
        async with place.site.making:
            if key not in place.site.programs:
                try:
                    await self._ask(place, lambda cluster: _make(cluster, "config_map", place.namespace, config))
                except ClusterAnswer as answer:
                    raise _refused(answer, "ConfigMap") from answer
                place.site.programs.add(key)

    async def _choose(self, job: Job) -> _Place:
        """Which cluster and namespace the task means."""
        given = job.options.get("config")
        if given:
            if not isinstance(given, Mapping):
                raise RunnerRefused("taskRunner.config is not a map", hint="write {masterUrl, caCertData, oauthToken}")
            key = hashlib.sha256(json.dumps(dict(given), sort_keys=True, default=str).encode()).hexdigest()
            site = self._foreign.get(key) or self._foreign.setdefault(key, _Site(Access(connection=dict(given)), self._instance))
        else:
            site = self._own
        named = job.options.get("namespace") or (None if given else self._namespace)
        place = _Place("", site)
        place.namespace = str(named) if named else await self._ask(place, Cluster.namespace)
        return place

    async def _read_program(self) -> Program:
        if self._program is None:
            self._program = await asyncio.to_thread(Program.read, self._program_at)
        return self._program

    # ---- looking

    async def look(self, attempt_id: str) -> Seen:
        """See Launcher."""
        place = await asyncio.to_thread(self._find, attempt_id)
        if place is None:
            return Seen(phase="absent", reason="it was not launched")
        if place.site is None:
            raise ClusterAway("the cluster of the task's own `config` is not known after a restart of the daemon", hint="its result is waited for")
        board = place.site.board(place.namespace)
        jobs, pods = board.of(attempt_id)
        job = next((each for each in jobs if DELETED not in each), None)
        if not jobs and not pods:  # just made, and not on the board yet; or gone before this life began
            job = await place.site.cluster.call(lambda cluster: cluster.read("job", place.namespace, manifest.job_name(attempt_id)))
        seen = judge(job, pods, told=place.told, late=monotonic_s() - place.since_s > place.late_s)
        if seen.phase == "waiting":
            await self._ask_events(place, job, pods)
        else:
            place.since_s = monotonic_s()
        return seen

    async def _ask_events(self, place: _Place, job: Thing | None, pods: list[Thing]) -> None:
        """What the cluster says of a Job that does not start. It is asked seldom, and not at all where it is not allowed to."""
        now = monotonic_s()
        if now - place.since_s < _EVENTS_AFTER_S or now - place.asked_s < _EVENTS_AGAIN_S or place.site is None:
            return
        place.asked_s = now
        uids = [str(each["metadata"]["uid"]) for each in [*pods, *([job] if job else [])]]
        with suppress(RunnerError):
            for uid in uids:
                fields = f"involvedObject.uid={uid},type=Warning"
                found, _ = await place.site.cluster.call(partial(Cluster.list, kind="event", namespace=place.namespace, fields=fields))
                if found:
                    last = max(found, key=lambda each: str(each.get("lastTimestamp") or each.get("eventTime") or ""))
                    place.told = f"{last.get('reason')}: {last.get('message')}"[:1000]
                    return

    async def present(self) -> set[str]:
        """See Launcher. Without any task of this runner so far, and with no cluster set up, there is nothing."""
        noted = await asyncio.to_thread(self._noted)
        found: set[str] = set()
        for site in (self._own, *self._foreign.values()):
            namespaces = {place.namespace for place in (*self._places.values(), *noted) if place.site is site} | set(site.boards)
            if site is self._own and (self._expected or namespaces):
                namespaces.add(await self._default_namespace())
            for namespace in namespaces:
                for attempt_id in await site.cluster.call(partial(self._attempts_in, namespace=namespace)):
                    self._places.setdefault(attempt_id, _Place(namespace, site))
                    found.add(attempt_id)
        return found

    async def _default_namespace(self) -> str:
        if self._namespace:
            return self._namespace
        return await self._own.cluster.call(Cluster.namespace)

    def _attempts_in(self, cluster: Cluster, *, namespace: str) -> list[str]:
        jobs, _ = cluster.list("job", namespace, labels=f"{LABEL_INSTANCE}={self._instance},{LABEL_ATTEMPT},!{LABEL_KEEP}")
        return [str(job["metadata"]["labels"][LABEL_ATTEMPT]) for job in jobs]

    # ---- ending

    async def remove(self, attempt_id: str) -> None:
        """See Launcher."""
        place = await asyncio.to_thread(self._find, attempt_id)
        if place is None:
            return
        if place.site is None:
            log.warning("kubernetes_job_left", attempt=attempt_id, namespace=place.namespace, why="its cluster is not known after a restart")
            return
        if not (place.keep and await self._is_over(attempt_id)):
            await place.site.cluster.call(lambda cluster: cluster.delete("job", place.namespace, manifest.job_name(attempt_id)))
        if place.namespace in place.site.boards:
            place.site.boards[place.namespace].forget(attempt_id)
        self._places.pop(attempt_id, None)

    async def _is_over(self, attempt_id: str) -> bool:
        """Whether a Job that the task wants to keep has ended by itself."""
        if await asyncio.to_thread(self._desk.ended, attempt_id) is not None:
            return True
        with suppress(RunnerError):
            return (await self.look(attempt_id)).phase in ("ended", "absent")
        return False

    async def close(self) -> None:
        """Let go of the clusters; the ConfigMaps go when no Job of ours is left that may need them."""
        with suppress(RunnerError, TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                if not await self.present():
                    for site in (self._own, *self._foreign.values()):
                        for namespace, name in site.programs:
                            await site.cluster.call(partial(Cluster.delete, kind="config_map", namespace=namespace, name=name))
        for site in (self._own, *self._foreign.values()):
            await asyncio.to_thread(site.close)

    # ---- helpers

    async def _ask(self, place: _Place, what: Callable[[Cluster], T]) -> T:
        """For calls that may be repeated: waits for a cluster that answered before, for a minute. Raises ClusterAway, ClusterAnswer."""
        assert place.site is not None
        until = monotonic_s() + (_REACH_S if self._reached else 0.0)
        while True:
            try:
                found = await place.site.cluster.call(what)
            except ClusterAway:
                if monotonic_s() >= until:
                    raise
                await asyncio.sleep(_AGAIN_S)
            else:
                self._reached = True
                return found

    def _note_of(self, attempt_id: str) -> Path:
        return self._desk.folder(attempt_id) / "kubernetes.json"

    def _note(self, attempt_id: str, place: _Place) -> None:
        text = json.dumps({"namespace": place.namespace, "own": place.site is self._own, "late_s": place.late_s, "keep": place.keep})
        self._note_of(attempt_id).write_text(text)

    def _find(self, attempt_id: str) -> _Place | None:
        """Where an attempt was launched, in this life or an earlier one."""
        if attempt_id not in self._places:
            found = self._read_note(self._note_of(attempt_id))
            if found is None:
                return None
            self._places[attempt_id] = found
        return self._places[attempt_id]

    def _read_note(self, path: Path) -> _Place | None:
        try:
            note = json.loads(path.read_text())
        except (OSError, ValueError):
            return None
        return _Place(note["namespace"], self._own if note["own"] else None, late_s=note["late_s"], keep=note["keep"])

    def _noted(self) -> list[_Place]:
        found = (self._read_note(self._note_of(attempt_id)) for attempt_id in self._desk.present())
        return [each for each in found if each is not None]


def _nonce(token: str) -> str:
    """Names one launch; says nothing of the token."""
    return hashlib.sha256(f"launch {token}".encode()).hexdigest()[:10]


def _make(cluster: Cluster, kind: str, namespace: str, body: Thing) -> None:
    """Create something whose name says all of its content: one of that name is as good."""
    try:
        cluster.create(kind, namespace, body)
    except ClusterAnswer as answer:
        if answer.status != 409:
            raise


def _refused(answer: ClusterAnswer, what: str) -> RunnerError:
    if answer.status in (408, 429) or answer.status >= 500:
        return answer
    properties = "check the task's taskRunner properties: podSpec and containerSpec go to the cluster as they are"
    hint = answer.hint if answer.status in (401, 403) else properties
    return RunnerRefused(f"the cluster does not take the task's {what}: {answer.text}", hint=hint, status=answer.status)
