"""The options of the built-in task runners, as people write them. Source: flow-language 8.4 and 8.5."""

from __future__ import annotations

from typing import Any, Literal

from podium.flows.model import TaskRunner
from podium.plugin import Duration, Dyn, Model

DOCKER = "io.kestra.plugin.scripts.runner.docker.Docker"
PROCESS = "io.kestra.plugin.core.runner.Process"
SWARM = "podium.swarm.Swarm"
KUBERNETES = "io.kestra.plugin.ee.kubernetes.runner.Kubernetes"


class Cpu(Model):
    """CPU of a container. cpus: how many, fractions allowed."""

    cpus: Dyn[float] | None = None


class Memory(Model):
    """Memory of a container. Sizes like `512MB`, `2GB`."""

    memory: Dyn[str] | None = None
    memory_swap: Dyn[str] | None = None
    memory_swappiness: Dyn[str] | None = None
    memory_reservation: Dyn[str] | None = None
    kernel_memory: Dyn[str] | None = None
    oom_kill_disable: Dyn[bool] | None = None


class Credentials(Model):
    """How to log in to a registry. auth: base64 of `user:password`."""

    registry: Dyn[str] | None = None
    username: Dyn[str] | None = None
    password: Dyn[str] | None = None
    registry_token: Dyn[str] | None = None
    identity_token: Dyn[str] | None = None
    auth: Dyn[str] | None = None


class DeviceRequest(Model):
    """A device such as a GPU: `{count: -1, capabilities: [[gpu]]}`."""

    driver: Dyn[str] | None = None
    count: Dyn[int] | None = None
    device_ids: Dyn[list[str]] | None = None
    capabilities: list[list[str]] | None = None
    options: dict[str, str] | None = None


class ContainerOptions(Model):
    """What may be said about a container."""

    host: Dyn[str] | None = None
    config: Dyn[str] | dict[str, Any] | None = None
    credentials: Credentials | None = None
    user: Dyn[str] | None = None
    entry_point: Dyn[list[str]] | None = None
    extra_hosts: Dyn[list[str]] | None = None
    network_mode: Dyn[str] | None = None
    volumes: Dyn[list[str]] | None = None
    port_bindings: Dyn[list[str]] | None = None
    pull_policy: Dyn[Literal["IF_NOT_PRESENT", "ALWAYS", "NEVER"]] | None = None
    device_requests: list[DeviceRequest] | None = None
    cpu: Cpu | None = None
    memory: Memory | None = None
    shm_size: Dyn[str] | None = None
    privileged: Dyn[bool] | None = None

    def as_options(self) -> dict[str, Any]:
        """What was said, by the language's own names."""
        return self.model_dump(by_alias=True, exclude_none=True, exclude={"type", "image"})


class DockerOptions(ContainerOptions):
    """The `docker` property of script tasks (deprecated): options of the container, and its image."""

    image: Dyn[str] | None = None


class Docker(ContainerOptions, TaskRunner):
    """Runs the command in a container of its own. `capAdd` is Podium's own: capabilities beyond none, of Docker's usual set."""

    TYPE = DOCKER
    ALIASES = ("io.kestra.plugin.scripts.runner.docker.DockerTaskRunner",)
    file_handling_strategy: Dyn[Literal["VOLUME", "MOUNT"]] | None = None
    delete: Dyn[bool] = True
    wait: Dyn[bool] = True
    kill_grace_period: Dyn[Duration] | None = None
    resume: Dyn[bool] = True
    cap_add: Dyn[list[str]] | None = None


class Reservations(Model):
    """What a node must have free for a task to be placed there."""

    cpus: Dyn[float] | None = None
    memory: Dyn[str] | None = None


class NodeMemory(Model):
    """Memory of a container on a node. Sizes like `512MB`, `2GB`."""

    memory: Dyn[str] | None = None
    memory_reservation: Dyn[str] | None = None


class Swarm(TaskRunner):
    """Runs the command in a container on a node of a Docker Swarm, wherever the swarm places it."""

    TYPE = SWARM
    constraints: Dyn[list[str]] | None = None
    cpu: Cpu | None = None
    memory: NodeMemory | None = None
    reservations: Reservations | None = None
    user: Dyn[str] | None = None
    cap_add: Dyn[list[str]] | None = None
    network_mode: Dyn[str] | None = None
    extra_hosts: Dyn[list[str]] | None = None
    secrets: Dyn[list[str]] | None = None
    pull_policy: Dyn[Literal["IF_NOT_PRESENT", "ALWAYS", "NEVER"]] | None = None
    credentials: Credentials | None = None
    config: Dyn[str] | dict[str, Any] | None = None
    kill_grace_period: Dyn[Duration] | None = None

    def as_options(self) -> dict[str, Any]:
        """What was said, by the language's own names."""
        return self.model_dump(by_alias=True, exclude_none=True, exclude={"type"})


class KubernetesConnection(Model):
    """A cluster of the task's own. Certificates and key: PEM text or its base64, better by `secret()`."""

    master_url: Dyn[str]
    namespace: Dyn[str] | None = None
    ca_cert_data: Dyn[str] | None = None
    client_cert_data: Dyn[str] | None = None
    client_key_data: Dyn[str] | None = None
    client_key_algo: Dyn[str] | None = None
    oauth_token: Dyn[str] | None = None
    username: Dyn[str] | None = None
    password: Dyn[str] | None = None
    trust_certs: Dyn[bool] | None = None
    disable_hostname_verification: Dyn[bool] | None = None
    api_version: Dyn[str] | None = None


class KubernetesAmounts(Model):
    """CPU and memory, as Kubernetes writes them: `500m`, `512Mi`."""

    cpu: Dyn[str] | None = None
    memory: Dyn[str] | None = None


class KubernetesResources(Model):
    """request: what a node must have free. limit: what the command gets at most."""

    request: KubernetesAmounts | None = None
    limit: KubernetesAmounts | None = None


class Kubernetes(TaskRunner):
    """Runs the command in a Job of a Kubernetes cluster, on the node that the cluster chooses."""

    TYPE = KUBERNETES
    ALIASES = ("io.kestra.plugin.ee.kubernetes.runner.KubernetesTaskRunner", "io.kestra.plugin.kubernetes.runner.Kubernetes")
    config: KubernetesConnection | None = None
    namespace: Dyn[str] | None = None
    labels: Dyn[dict[str, Any]] | None = None
    pod_spec: Dyn[dict[str, Any]] | None = None
    container_spec: Dyn[dict[str, Any]] | None = None
    container_default_spec: Dyn[dict[str, Any]] | None = None
    node_selector: Dyn[dict[str, Any]] | None = None
    resources: KubernetesResources | None = None
    service_account_name: Dyn[str] | None = None
    pull_policy: Dyn[Literal["IF_NOT_PRESENT", "ALWAYS", "NEVER"]] | None = None
    wait_until_running: Dyn[Duration] | None = None
    wait_until_completion: Dyn[Duration] | None = None
    kill_grace_period: Dyn[Duration] | None = None
    delete: Dyn[bool] = True
    resume: Dyn[bool] = True
    file_sidecar: dict[str, Any] | None = None
    sync_working_directory: Dyn[bool] | None = None

    def as_options(self) -> dict[str, Any]:
        """What was said, by the language's own names."""
        return self.model_dump(by_alias=True, exclude_none=True, exclude={"type"})


class Process(TaskRunner):
    """Runs the command as a process of the daemon's machine, without isolation."""

    TYPE = PROCESS
    ALIASES = ("io.kestra.core.models.tasks.runners.types.ProcessTaskRunner", "io.kestra.plugin.core.runner.ProcessTaskRunner")

    def as_options(self) -> dict[str, Any]:
        """None."""
        return {}
