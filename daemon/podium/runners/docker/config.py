"""From a Job and the task runner's properties (flow-language 8.5) to what the engine is asked to create. Pure.

What always holds: no new privileges; no capability but those asked for and allowed; a limit on processes; no host directory and no
privileged container unless the operator allows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podium.base.errors import RunnerRefused
from podium.runners.port import Job

WORKING, OUTPUTS, PRIVATE = "/podium/work", "/podium/out", "/podium/private"
LABEL_INSTANCE, LABEL_ATTEMPT, LABEL_KEEP, LABEL_LIFE = "podium.instance", "podium.attempt", "podium.keep", "podium.life"
USUAL_CAPABILITIES = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID",
    "SETPCAP", "SETUID", "SYS_CHROOT",
})
"""What Docker itself gives a container when nobody says otherwise; a task may ask for these."""
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the operator has set. memory: bytes. cpus: as many as that. None is no limit."""

    cpus: float | None = None
    memory: int | None = None
    pids_max: int = 2048
    capabilities: Sequence[str] = ()
    allow_volumes: bool = False
    allow_privileged: bool = False
    init: bool = True


def container_name(attempt_id: str) -> str:
    """The one name that an attempt's container can have: the engine refuses a second."""
    return f"podium-{attempt_id}"


def size(value: Any, *, where: str) -> int:
    """Bytes meant by `512MB`, `2g`, `1GiB` (all powers of 1024) or a number. Raises RunnerRefused."""
    match = _SIZE.fullmatch(str(value).strip())
    if match is None:
        raise RunnerRefused(f"'{value}' of {where} is not a size", hint="write 512MB, 2GB or a number of bytes")
    return int(float(match[1]) * _FACTORS[match[2].lower()])


def container_request(
    job: Job, *, instance: str, life: str, image: str, policy: Policy, network: str, cpus_max: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments of docker-py's create_container and create_host_config. Raises RunnerRefused for what is not allowed."""
    options = job.options
    keep = options.get("delete") is False or options.get("wait") is False
    labels = {**job.labels, LABEL_INSTANCE: instance, LABEL_LIFE: life, LABEL_ATTEMPT: job.attempt_id} | ({LABEL_KEEP: "true"} if keep else {})
    published = port_bindings(options.get("portBindings") or ())
    container = {
        "image": image,
        "command": list(job.argv),
        "entrypoint": list(options.get("entryPoint") or [""]),
        "environment": dict(job.env),
        "working_dir": WORKING,
        "labels": labels,
        "name": container_name(job.attempt_id),
        "user": options.get("user") or None,
        "ports": [tuple(inside.split("/")) for inside in published] or None,
        "use_config_proxy": False,
    }
    host: dict[str, Any] = {
        "network_mode": network,
        "init": policy.init,
        "log_config": {"type": "json-file", "config": {"max-size": "2g", "max-file": "1", "compress": "false", "mode": "blocking"}},
        "auto_remove": options.get("wait") is False and options.get("delete") is not False,
        "extra_hosts": list(options.get("extraHosts") or ()) or None,
        "port_bindings": published or None,
        "device_requests": device_requests(options.get("deviceRequests") or ()),
        "pids_limit": policy.pids_max,
        **_privileges(options, policy),
        **_resources(options, policy, cpus_max),
        **_volumes(options, policy),
    }
    return container, {key: value for key, value in host.items() if value is not None}


def _privileges(options: Mapping[str, Any], policy: Policy) -> dict[str, Any]:
    if options.get("privileged"):
        if not policy.allow_privileged:
            raise RunnerRefused(
                "the task asks for a privileged container, which this instance does not allow",
                hint="drop taskRunner.privileged, or have the operator allow it: who may do that controls the machine",
            )
        return {"privileged": True}
    asked = {str(name).upper().removeprefix("CAP_") for name in options.get("capAdd") or ()}
    beyond = asked - USUAL_CAPABILITIES
    if beyond and not policy.allow_privileged:
        raise RunnerRefused(
            f"the task asks for the capabilities {', '.join(sorted(beyond))}, which this instance does not allow",
            hint=f"taskRunner.capAdd may hold {', '.join(sorted(USUAL_CAPABILITIES))}",
        )
    granted = asked | {name.upper().removeprefix("CAP_") for name in policy.capabilities}
    return {"cap_drop": ["ALL"], "cap_add": sorted(granted) or None, "security_opt": ["no-new-privileges"]}


def _resources(options: Mapping[str, Any], policy: Policy, cpus_max: int) -> dict[str, Any]:
    memory: Mapping[str, Any] = options.get("memory") or {}
    asked = (options.get("cpu") or {}).get("cpus")
    cpus = float(asked) if asked is not None else policy.cpus
    limit = size(memory["memory"], where="memory.memory") if memory.get("memory") else policy.memory
    swap = size(memory["memorySwap"], where="memory.memorySwap") if memory.get("memorySwap") else limit
    swappiness = memory.get("memorySwappiness")
    return {
        "nano_cpus": int(min(cpus, cpus_max) * 1_000_000_000) if cpus else None,
        "mem_limit": limit,
        "memswap_limit": swap,
        "mem_reservation": size(memory["memoryReservation"], where="memory.memoryReservation") if memory.get("memoryReservation") else None,
        "kernel_memory": size(memory["kernelMemory"], where="memory.kernelMemory") if memory.get("kernelMemory") else None,
        "mem_swappiness": int(swappiness) if swappiness not in (None, "") else None,
        "oom_kill_disable": True if memory.get("oomKillDisable") else None,
        "shm_size": size(options["shmSize"], where="shmSize") if options.get("shmSize") else None,
    }


def _volumes(options: Mapping[str, Any], policy: Policy) -> dict[str, Any]:
    volumes = list(options.get("volumes") or ())
    if volumes and not policy.allow_volumes:
        raise RunnerRefused(
            f"the task mounts {', '.join(map(str, volumes))}, and this instance allows no volumes",
            hint="pass files by inputFiles and outputFiles, or have the operator set runner.allow_volumes",
        )
    for volume in volumes:
        if ":" not in str(volume):
            raise RunnerRefused(f"'{volume}' of taskRunner.volumes is not 'source:target[:mode]'", hint="write /host/path:/inside:ro")
    return {"binds": volumes or None}


def port_bindings(given: Sequence[str]) -> dict[str, Any]:
    """`["8080:80", "127.0.0.1:53:53/udp"]` as docker-py wants it: by the container's port. Raises RunnerRefused."""
    bindings: dict[str, Any] = {}
    for text in given:
        outside, _, inside = str(text).rpartition(":")
        address, _, port = outside.rpartition(":")
        number, _, protocol = inside.partition("/")
        if not number.isdigit() or (port and not port.isdigit()):
            raise RunnerRefused(f"'{text}' of taskRunner.portBindings is not '[address:]host-port:container-port'", hint="write 8080:80")
        key = f"{number}/{protocol or 'tcp'}"
        bindings[key] = (address, int(port)) if address and port else int(port) if port else None
    return bindings


def device_requests(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]] | None:
    """`deviceRequests` as the engine's API has them."""
    names = {"driver": "Driver", "count": "Count", "deviceIds": "DeviceIDs", "capabilities": "Capabilities", "options": "Options"}
    return [{names[key]: value for key, value in each.items() if key in names} for each in given] or None
