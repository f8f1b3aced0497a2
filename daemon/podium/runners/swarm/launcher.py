"""Has a Docker Swarm place containers: one service for each attempt, by the API of a manager's engine.

Called by runners/remote. What always holds: a service and its secret are known by the attempt's name, which the swarm gives once, and carry the
instance's label, so that a later life finds them; the secret holds nothing but the attempt's token.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from podium.base.errors import RunnerError, RunnerRefused
from podium.base.system.clock import monotonic_s
from podium.base.system.log import get_logger
from podium.runners.docker.config import LABEL_ATTEMPT, LABEL_INSTANCE, Policy, container_name
from podium.runners.docker.engine import Engine, EngineAnswer, EngineAway
from podium.runners.docker.images import POLICIES, registry_login
from podium.runners.port import Job
from podium.runners.remote.program import Program
from podium.runners.remote.runner import Phase, Seen
from podium.runners.swarm import spec

log = get_logger(__name__)
TYPE = "podium.swarm.Swarm"
_LOOK_S = 0.8
"""How long an answer about all attempts serves for each of them."""
_WAITING_LOOK_S = 0.1
_NAME_TRIES, _NAME_PAUSE_S = 50, 0.2
_WAITING = frozenset({"new", "allocated", "pending", "assigned", "accepted", "preparing", "ready", "starting"})
_ORDER: Sequence[Phase] = ("running", "waiting", "away", "ended")
_ANSWER_BYTES_MAX = 4096


class SwarmLauncher:
    """See the module's docstring.

    host: of a manager, None for DOCKER_HOST, else the local socket. url: where nodes reach this daemon. program: where podium-transfer was built.
    secrets: names of the swarm's secrets that tasks may have. constraints: for every task.
    """

    def __init__(
        self, *, instance: str, url: str, program: Path | None, host: str | None = None, policy: Policy | None = None,
        constraints: Sequence[str] = (), secrets: Sequence[str] = (),
    ) -> None:
        self._instance, self._url, self._program_at = instance, url, program
        self._engine = Engine(host)
        self._policy = policy or Policy()
        self._constraints, self._secrets = tuple(constraints), frozenset(secrets)
        self._program: Program | None = None
        self._config: tuple[str, str] | None = None
        self._making = asyncio.Lock()
        self._seen: tuple[float, dict[str, Seen]] = (0.0, {})
        self._looking = asyncio.Lock()
        self._images: dict[str, Mapping[str, Any]] = {}

    # ---- launching

    async def launch(self, job: Job, token: str) -> None:
        """See Launcher."""
        if not self._url:
            raise RunnerRefused(
                "the setting runner.remote_url is empty: containers on other machines could not reach this daemon",
                hint='set it to an address of this daemon that every node reaches, such as "http://10.0.0.1:8080"',
            )
        assert job.image is not None
        await self._engine.reach()
        image = await self._image(job)
        program = await self._read_program()
        name = container_name(job.attempt_id)
        argv = program.argv(self._url, job.attempt_id, spec.TOKEN_FILE, spec.command_user(image, job.options))
        secrets = await self._named_secrets(job.options.get("secrets") or ())
        await self.remove(job.attempt_id)
        labels = {LABEL_INSTANCE: self._instance, LABEL_ATTEMPT: job.attempt_id}
        secret = await self._make("/secrets/create", {"Name": name, "Labels": labels, "Data": base64.b64encode(token.encode()).decode()})
        body = spec.service(
            job, instance=self._instance, image=image, argv=argv, config=await self._program_config(program), secret=(secret, name),
            secrets=secrets, policy=self._policy, constraints=self._constraints,
        )
        login = await asyncio.to_thread(registry_login, job.image, job.options)
        headers = {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(login).encode()).decode()} if login else {}
        self._images[job.attempt_id] = image.facts
        self._seen = (0.0, {})
        await self._make("/services/create", body, headers=headers)

    async def _image(self, job: Job) -> spec.Image:
        policy = job.options.get("pullPolicy") or "IF_NOT_PRESENT"
        if policy not in POLICIES:
            raise RunnerRefused(f"'{policy}' is not a pull policy", hint=f"use one of {', '.join(POLICIES)}", image=job.image)
        name = str(job.image)
        try:
            found = await self._engine.call(lambda api: dict(api.inspect_image(name)))
        except EngineAnswer as answer:
            if answer.status not in (400, 404):
                raise
            found = None
        return spec.choose_image(name, policy, found)

    async def _read_program(self) -> Program:
        if self._program is None:
            self._program = await asyncio.to_thread(Program.read, self._program_at)
        return self._program

    async def _program_config(self, program: Program) -> tuple[str, str]:
        """The swarm's config that holds podium-transfer: one for an instance and version."""
        async with self._making:
            name = f"podium-transfer-{program.version}-{self._instance}"[:63].rstrip("-._")
            if self._config is None or self._config[1] != name or not await self._get("/configs", {"id": [self._config[0]]}):
                found = [each for each in await self._get("/configs", {"name": [name]}) if each["Spec"]["Name"] == name]
                data = base64.b64encode(program.content).decode()
                body = {"Name": name, "Labels": {LABEL_INSTANCE: self._instance}, "Data": data}
                self._config = (found[0]["ID"] if found else await self._make("/configs/create", body), name)
                await self._drop_configs(but=self._config[0])
            return self._config

    async def _drop_configs(self, *, but: str | None = None) -> None:
        """Remove the configs of this instance that no service needs: of versions before this one, or all."""
        for each in await self._ours("/configs"):
            if each["ID"] != but:
                with suppress(EngineAnswer, _Gone):  # a container of an earlier life runs with it
                    await self._delete(f"/configs/{each['ID']}")

    async def _named_secrets(self, names: Sequence[Any]) -> dict[str, str]:
        wanted = [str(each) for each in names]
        refused = sorted(set(wanted) - self._secrets)
        if refused:
            raise RunnerRefused(
                f"the task asks for secrets of the swarm that this instance does not hand out: {', '.join(refused)}",
                hint="use secret() of Podium, or have the operator name them in runner.swarm_secrets",
            )
        found = {each["Spec"]["Name"]: each["ID"] for each in await self._get("/secrets", {"name": wanted})} if wanted else {}
        missing = sorted(set(wanted) - set(found))
        if missing:
            raise RunnerRefused(f"the swarm has no secret named {', '.join(missing)}", hint="make it with: docker secret create")
        return {name: found[name] for name in wanted}

    async def _make(self, path: str, body: Mapping[str, Any], *, headers: Mapping[str, str] | None = None) -> str:
        """Create something; its id. What has the name already is of an earlier life: it is on its way out, or this very call made it."""
        for tries_left in range(_NAME_TRIES, -1, -1):
            try:
                made = await self._ask("POST", path, body=body, headers=headers)
                return str(made.get("ID") or made.get("Id"))
            except EngineAnswer as answer:
                if answer.status != 409 or tries_left == 0:
                    raise _refused(answer) from answer
                found = await self._get(path.removesuffix("/create"), {"name": [body["Name"]]})
                if path.startswith("/configs") and found:
                    return str(found[0]["ID"])
            except EngineAway:
                if not tries_left:
                    raise
            await asyncio.sleep(_NAME_PAUSE_S)
            if path.startswith("/services") and await self._is_of(body):
                return ""
        raise AssertionError

    async def _is_of(self, body: Mapping[str, Any]) -> bool:
        """Whether the service of that name is the one of `body`: it refers to the same secret."""
        found = [each for each in await self._get("/services", {"name": [body["Name"]]}) if each["Spec"]["Name"] == body["Name"]]
        wanted = body["TaskTemplate"]["ContainerSpec"]["Secrets"][0]["SecretID"]
        return any(each["Spec"]["TaskTemplate"]["ContainerSpec"].get("Secrets", [{}])[0].get("SecretID") == wanted for each in found)

    # ---- looking

    async def look(self, attempt_id: str) -> Seen:
        """See Launcher."""
        async with self._looking:
            at, found = self._seen
            known = found.get(attempt_id)
            serves_s = 0.0 if known is None else _WAITING_LOOK_S if known.phase == "waiting" else _LOOK_S
            # That there is nothing is decided by a look of its own: an earlier one may have begun before the service was there.
            if (began := monotonic_s()) - at >= serves_s:
                found = await self._look_at_all()
                self._seen = (began, found)
        seen = found.get(attempt_id, Seen(phase="absent", reason="its service was removed"))
        return Seen(
            phase=seen.phase, reason=seen.reason, refused=seen.refused, exit_code=seen.exit_code,
            facts={**self._images.get(attempt_id, {}), **seen.facts},
        )

    async def _look_at_all(self) -> dict[str, Seen]:
        services = {each["ID"]: each["Spec"]["Labels"].get(LABEL_ATTEMPT, "") for each in await self._ours("/services")}
        nodes = {each["ID"]: each for each in await self._get("/nodes", {})}
        tasks = await self._get("/tasks", {"service": list(services)}) if services else []
        found = {attempt_id: Seen(phase="waiting") for attempt_id in services.values()}
        by_attempt: dict[str, list[Seen]] = {}
        for task in sorted(tasks, key=lambda each: str(each["CreatedAt"]), reverse=True):
            by_attempt.setdefault(services[task["ServiceID"]], []).append(_seen(task, nodes))
        for attempt_id, all_of_it in by_attempt.items():
            found[attempt_id] = min(all_of_it, key=lambda each: _ORDER.index(each.phase))
        return found

    async def present(self) -> set[str]:
        """See Launcher. Nobody is asked where no swarm was set up."""
        if not self._url:
            return set()
        found = [*await self._ours("/services"), *await self._ours("/secrets")]
        return {each["Spec"]["Labels"][LABEL_ATTEMPT] for each in found if LABEL_ATTEMPT in each["Spec"]["Labels"]}

    async def _ours(self, path: str) -> list[dict[str, Any]]:
        return await self._get(path, {"label": [f"{LABEL_INSTANCE}={self._instance}"]})

    # ---- ending

    async def remove(self, attempt_id: str) -> None:
        """See Launcher."""
        self._images.pop(attempt_id, None)
        for path in ("services", "secrets"):
            with suppress(_Gone):
                await self._delete(f"/{path}/{container_name(attempt_id)}")

    async def close(self) -> None:
        """Let go of the engine; the program's config goes when nothing runs that needs it."""
        if self._config is not None:
            with suppress(RunnerError, TimeoutError):
                async with asyncio.timeout(2):
                    await self._drop_configs()
        await self._engine.close()

    # ---- the API

    async def _get(self, path: str, filters: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._ask("GET", path, query={"filters": json.dumps(filters)} if filters else None)
        return found

    async def _delete(self, path: str) -> None:
        try:
            await self._ask("DELETE", path)
        except EngineAnswer as answer:
            if answer.status == 404:
                raise _Gone from answer
            raise

    async def _ask(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Raises EngineAway, EngineAnswer, RunnerError when the engine is no manager of a swarm."""

        def ask(api: Any) -> Any:
            url = f"{api.base_url}/v{api.api_version}{path}"
            answer = api.request(method, url, json=body, params=query, headers=headers, timeout=60)
            if answer.status_code >= 400:
                try:
                    text = str(answer.json()["message"])
                except (ValueError, KeyError, TypeError):
                    text = answer.text[:_ANSWER_BYTES_MAX]
                raise EngineAnswer(answer.status_code, text)
            return answer.json() if answer.content else {}

        try:
            return await self._engine.call(ask)
        except EngineAnswer as answer:
            if answer.status == 503:
                raise RunnerError(
                    f"the Docker Engine is no manager of a swarm: {answer.text}", hint="docker swarm init, or set runner.swarm_host to a manager"
                ) from answer
            raise


class _Gone(Exception):
    """There is nothing of that name."""


def _refused(answer: EngineAnswer) -> RunnerRefused:
    return RunnerRefused(f"the swarm does not take the task's service: {answer.text}", hint="check the task's taskRunner properties")


def _seen(task: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> Seen:
    """One task of the swarm, as the runner understands it."""
    status = task["Status"]
    node = nodes.get(task.get("NodeID", ""))
    container = status.get("ContainerStatus") or {}
    facts = {"node": node["Description"].get("Hostname"), "nodeId": node["ID"]} if node else {}
    facts |= {"containerId": container["ContainerID"]} if container.get("ContainerID") else {}
    state, reason = status["State"], status.get("Err") or status.get("Message") or status["State"]
    phase: Phase = "waiting" if state in _WAITING else "running" if state == "running" else "ended"
    if phase != "ended" and task.get("NodeID") and (node is None or node["Status"]["State"] == "down"):
        phase, reason = "away", "its node is down"
    return Seen(
        phase=phase, reason=status.get("Err") or "" if phase == "waiting" else reason, refused=state == "rejected",
        exit_code=container.get("ExitCode") if phase == "ended" else None, facts=facts,
    )
