"""From a Job and the task runner's properties to the service that a swarm is asked for. Pure.

What always holds: one replica that is never started again; no capability but those asked for and allowed (and, until the command runs as its user,
those that changing the user takes); a limit on processes; no secret of the swarm unless the operator allows it by name.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podium.base.errors import RunnerRefused
from podium.runners.docker.config import LABEL_ATTEMPT, LABEL_INSTANCE, USUAL_CAPABILITIES, Policy, container_name, size
from podium.runners.port import Job
from podium.runners.remote.program import TARGET

TOKEN_FILE = "/run/secrets/podium-transfer"  # noqa: S105 -- its place
_STOP_S = 10
_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What the nodes are to run. name: as they look for it. user: whom it runs as unless told otherwise; None when that is not known here."""

    name: str
    user: str | None
    facts: Mapping[str, Any]


def choose_image(asked: str, policy: str, found: Mapping[str, Any] | None) -> Image:
    """found: what the manager's engine knows of the image `asked`, or None. Raises RunnerRefused.

    A digest or id pins what runs, and no node asks a registry for an image that it has.
    """
    if found is None:
        if policy == "NEVER":
            raise RunnerRefused(
                f"image '{asked}' is not on the swarm's manager, and pullPolicy NEVER forbids to fetch it",
                hint="load it on the manager and on every node (docker load), or leave pullPolicy out", image=asked,
            )
        return Image(name=asked, user=None, facts={"image": asked})
    digests = found.get("RepoDigests") or []
    facts = {"image": asked, "imageId": found["Id"]} | ({"imageDigest": digests[0]} if digests else {})
    name = asked if policy == "ALWAYS" else found["Id"] if policy == "NEVER" or not digests else digests[0]
    return Image(name=name, user=str((found.get("Config") or {}).get("User") or ""), facts=facts)


def command_user(image: Image, options: Mapping[str, Any]) -> str | None:
    """Whom the command runs as, if podium-transfer must become that; None when it stays who it is."""
    user = str(options.get("user") or image.user or "")
    return None if user.partition(":")[0] in ("", "0", "root") else user


def service(
    job: Job, *, instance: str, image: Image, argv: Sequence[str], config: tuple[str, str], secret: tuple[str, str],
    secrets: Mapping[str, str], policy: Policy, constraints: Sequence[str],
) -> dict[str, Any]:
    """The body of POST /services/create. argv: of podium-transfer. config, secret, secrets: (id, name) resp. name → id. Raises RunnerRefused."""
    options = job.options
    becomes = command_user(image, options)
    known = bool(options.get("user")) or image.user is not None
    labels = {**job.labels, LABEL_INSTANCE: instance, LABEL_ATTEMPT: job.attempt_id}
    container: dict[str, Any] = {
        "Image": image.name,
        "Labels": labels,
        "Command": list(argv),
        "User": "0:0" if known else None,
        "Init": False,
        "StopGracePeriod": _STOP_S * _NANO,
        "CapabilityDrop": ["ALL"],
        "CapabilityAdd": _capabilities(options, policy, becomes=becomes) or None,
        "Hosts": [f"{address} {name}" for name, _, address in (str(each).partition(":") for each in options.get("extraHosts") or ())] or None,
        "Mounts": None if known else [_in_memory(options)],
        "Configs": [_file(*config, kind="Config", target=TARGET, mode=0o555)],
        "Secrets": [
            _file(*secret, kind="Secret", target=TOKEN_FILE, mode=0o400 if known else 0o444),
            *(_file(id_, name, kind="Secret", target=name, mode=0o444) for name, id_ in secrets.items()),
        ],
    }
    network = str(options.get("networkMode") or "")
    if network == "none":
        raise RunnerRefused("networkMode 'none' cuts the task's container off from this daemon", hint="leave it out, or name an overlay network")
    return {
        "Name": container_name(job.attempt_id),
        "Labels": labels,
        "TaskTemplate": {
            "ContainerSpec": {key: value for key, value in container.items() if value is not None},
            "Resources": resources(options, policy),
            "RestartPolicy": {"Condition": "none"},
            "Placement": {"Constraints": [*constraints, *map(str, options.get("constraints") or ()), *_of_our_kind()]},
            "Networks": [{"Target": network}] if network else [],
        },
        "Mode": {"Replicated": {"Replicas": 1}},
    }


def _file(id_: str, name: str, *, kind: str, target: str, mode: int) -> dict[str, Any]:
    return {f"{kind}ID": id_, f"{kind}Name": name, "File": {"Name": target, "UID": "0", "GID": "0", "Mode": mode}}


def _in_memory(options: Mapping[str, Any]) -> dict[str, Any]:
    """Where the task's files are while nobody knows whom the image runs as: a place that everybody may write to."""
    return {"Type": "tmpfs", "Target": "/podium", "TmpfsOptions": {"Mode": 0o1777}}


def _of_our_kind() -> list[str]:
    """Nodes on which podium-transfer runs."""
    return ["node.platform.os==linux", f"node.platform.arch=={platform.machine()}"]


def _capabilities(options: Mapping[str, Any], policy: Policy, *, becomes: str | None) -> list[str]:
    asked = {str(name).upper().removeprefix("CAP_") for name in options.get("capAdd") or ()}
    beyond = asked - USUAL_CAPABILITIES
    if beyond and not policy.allow_privileged:
        raise RunnerRefused(
            f"the task asks for the capabilities {', '.join(sorted(beyond))}, which this instance does not allow",
            hint=f"taskRunner.capAdd may hold {', '.join(sorted(USUAL_CAPABILITIES))}",
        )
    needed = {"SETUID", "SETGID"} if becomes is not None else set()
    return sorted(f"CAP_{name}" for name in asked | needed | {each.upper().removeprefix("CAP_") for each in policy.capabilities})


def resources(options: Mapping[str, Any], policy: Policy) -> dict[str, Any]:
    """Limits and what a node must have free. Raises RunnerRefused."""
    memory: Mapping[str, Any] = options.get("memory") or {}
    asked = (options.get("cpu") or {}).get("cpus")
    reserved: Mapping[str, Any] = options.get("reservations") or {}
    cpus = float(asked) if asked is not None else policy.cpus
    limit = size(memory["memory"], where="memory.memory") if memory.get("memory") else policy.memory
    kept = memory.get("memoryReservation") or reserved.get("memory")
    limits = {"NanoCPUs": int(cpus * _NANO) if cpus else None, "MemoryBytes": limit, "Pids": policy.pids_max}
    least = {
        "NanoCPUs": int(float(reserved["cpus"]) * _NANO) if reserved.get("cpus") else None,
        "MemoryBytes": size(kept, where="memory.memoryReservation") if kept else None,
    }
    return {
        "Limits": {key: value for key, value in limits.items() if value is not None},
        "Reservations": {key: value for key, value in least.items() if value is not None},
    }
