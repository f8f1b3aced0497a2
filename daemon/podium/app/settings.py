"""Every setting of Podium: one frozen model, each field with its meaning, unit and a default that is safe on a laptop.

Order: default < podium.toml < environment (`PODIUM_SECTION__KEY`) < flags. Called by `app` and `cli` only; rooms get plain
arguments. What always holds: a Settings object is valid as a whole, and docs/settings.md lists exactly these fields, with the text below each.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from podium.app import layers
from podium.app.layers import Bytes, Layer, Zone
from podium.app.sections import Ai, Directory, Names, Seconds, Section, Security, Server, Table
from podium.base import limits

_LOOPBACK = ("127.", "localhost", "::1", "[::1]")


def _tolerations(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        effect = text.rpartition(":")[2] if ":" in text else ""
        if effect not in ("", "NoSchedule", "PreferNoSchedule", "NoExecute"):
            raise ValueError("should be key, key=value, key:Effect or key=value:Effect, with NoSchedule, PreferNoSchedule or NoExecute")
    return texts


class Source(Section):
    """A repository with flows: `[sources.<name>]`."""

    url: str
    """Where it is: a path, an ssh or an https address."""
    branch: str = "main"
    """Branch whose flows are deployed."""
    path: str = "."
    """Folder of the flow files inside the repository."""
    poll_interval_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60
    """Seconds between looks at the remote; 0 looks only when a hook calls."""
    ssh_key: Directory | None = None
    """Private key for ssh addresses."""
    token_file: Directory | None = None
    """File whose first line is the password or token for https addresses."""
    username: str | None = None
    """User name that goes with the token; most forges accept any."""
    webhook_secret: SecretStr | None = None
    """Secret of the forge's push webhook `/api/v1/hooks/<name>`; without one the call must carry the API token."""
    forge: Literal["github", "gitlab", "gitea", "forgejo", "bitbucket"] | None = None
    """Which forge the repository is at, for links to commits and merge requests, where the host's name does not tell."""

    @field_validator("url", "branch")
    @classmethod
    def _not_an_option(cls, value: str) -> str:
        if not value.strip() or value.startswith("-") or "\x00" in value:
            raise ValueError("is empty or begins with '-'")
        return value

    @field_validator("path")
    @classmethod
    def _inside(cls, value: str) -> str:
        if value.startswith("/") or ".." in value.split("/"):
            raise ValueError("must be a folder inside the repository, without '..'")
        return value.strip("/") or "."


class Results(Section):
    """The branch that executions are recorded on."""

    url: str = ""
    """Repository of the results branch; empty means that of the first source."""
    branch: str = "results"
    """Name of the branch. It is made when it is not there and never force-pushed."""
    rotate: Literal["never", "monthly", "weekly"] = "never"
    """Begin a new branch `<branch>/<period>` every month or week, so that an old one can be dropped."""
    keep_periods: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """How many closed periods `podium results forget` leaves; empty is all. Nothing is ever deleted without that command."""
    first_wait_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Seconds that a new, empty home waits for a repository that does not answer, before it begins anew; empty is as long as it takes."""
    sign_key: Directory | None = None
    """SSH private key that signs the commits."""
    log_cap_bytes: Bytes = limits.LOG_CAP_BYTES
    """Bytes of task log kept beside a record: the head and the tail. The whole log is in storage."""
    ssh_key: Directory | None = None
    """Private key for an ssh address in `url`; default: the first source's."""
    token_file: Directory | None = None
    """File with the password or token for an https address in `url`; default: the first source's."""
    username: str | None = None
    """User name that goes with the token."""


class Kubernetes(Section):
    """The cluster of the runner `kubernetes`."""

    kubeconfig: Directory | None = None
    """File that says where the cluster is and who we are; empty means the service account of a daemon in the cluster, else the usual file."""
    context: str = ""
    """Context of the kubeconfig; empty means its current one."""
    namespace: str = ""
    """Namespace of tasks that name none; empty means that of the kubeconfig or service account."""
    service_account: str = ""
    """Service account of Pods whose task names none; without any a Pod has no token of the cluster."""
    image_pull_secrets: Names = ()
    """Names of Secrets with logins of image registries."""
    node_selector: Table = {}  # noqa: RUF012 - pydantic copies it
    """Labels that nodes must have: `"disk" = "ssd"`; those of a task come on top."""
    tolerations: Annotated[Names, AfterValidator(_tolerations)] = ()
    """Taints of nodes that do not keep Pods away, as kubectl writes them: `dedicated=batch:NoSchedule`."""
    allow_node_access: bool = False
    """Whether a task may have the network, disks, ports or privileges of its node. Who may do that controls the cluster."""


class Runner(Section):
    """Where the commands of tasks run."""

    type: Literal["docker", "process", "swarm", "kubernetes"] = "docker"
    """Runner of tasks that name none: `process` without isolation on this machine, `swarm` and `kubernetes` on the nodes of theirs."""
    images: Table = {}  # noqa: RUF012 - pydantic copies it
    """Replaces image names, `*` matches any text: `"python:*" = "podium.local/python:bookworm"`."""
    pass_env: Names = ()
    """Environment variables of the daemon that tasks get too, such as `HTTPS_PROXY` and `PIP_INDEX_URL`; values are masked in logs."""
    cpus: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """CPUs a container may use; empty is no limit. A task's own `cpu` wins."""
    memory: Bytes | None = None
    """Memory a container may use, bytes or `512m`, `2g`; empty is no limit. A task's own `memory` wins."""
    network: str = "podium"
    """Network of containers: `podium` (one bridge, containers do not see each other), `none`, or a name of Docker's."""
    isolation: Literal["shared", "strict"] = "shared"
    """`strict` makes a network for each task, which costs a quarter of a second."""
    allow_volumes: bool = False
    """Whether a task may mount host directories. Who may do that controls this machine."""
    supervise: bool = True
    """Run containers under Podium's own supervisor where the engine is on this machine: output and exit code go straight into files of the home."""
    pool: Annotated[int, Field(ge=0, le=1_000)] = 8
    """Containers that may wait started ahead, about 4 MiB each, for tasks like those seen before; nothing without `supervise`. 0 is none."""
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = limits.CONCURRENT_ATTEMPTS_MAX
    """Task attempts that run at one time."""
    remote_url: str = ""
    """Where containers on other machines reach this daemon, such as `http://10.0.0.1:8080`; needed by `swarm` and `kubernetes`. No TLS."""
    swarm_host: str = ""
    """Docker Engine that is a manager of the swarm, such as `tcp://10.0.0.1:2376`; empty means `DOCKER_HOST`, else the local one."""
    swarm_constraints: Names = ()
    """Where the swarm may place tasks, for example `node.role==worker`; those of a task come on top."""
    swarm_secrets: Names = ()
    """Secrets of the swarm that tasks may mount by `secrets`; none by default."""
    kubernetes: Kubernetes = Kubernetes()


    @field_validator("remote_url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme != "http" or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("must be http://host:port, an address of this daemon that every node reaches (https is not possible)")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _reachable(self) -> Runner:
        if self.type in ("swarm", "kubernetes") and not self.remote_url:
            raise ValueError(f"runner.type {self.type} needs runner.remote_url, the address at which nodes reach this daemon")
        return self


class Limits(Section):
    """Bounds an operator may want to move. The fixed ones are in base/limits.py."""

    body_bytes_max: Bytes = limits.BODY_BYTES_MAX
    """Bytes of a request's body, webhooks included."""
    upload_bytes_max: Bytes = limits.UPLOAD_BYTES_MAX
    """Bytes of an uploaded input file."""
    disk_free_min: Bytes = 256 * 1024 * 1024
    """Free space of the home's disk, bytes or `512m`, below which new executions are refused (503); at most a twentieth of the disk."""
    queued_commands_max: Annotated[int, Field(ge=1)] = limits.QUEUED_COMMANDS_MAX
    """Commands that wait to be decided; beyond it the API answers 429."""
    command_wait_s_max: Seconds = limits.COMMAND_WAIT_S_MAX
    """Seconds that a command may wait to be decided; while one has waited longer, the API and webhooks answer 429."""
    running_executions_max: Annotated[int, Field(ge=1)] = limits.RUNNING_EXECUTIONS_MAX
    """Executions that run at one time; further ones are QUEUED and begin flow by flow in turn. Subflows and iterations do not count."""
    queued_per_flow_max: Annotated[int, Field(ge=1)] = limits.QUEUED_PER_FLOW_MAX
    """Executions of one flow that may be QUEUED; beyond it a start is refused (429)."""
    open_executions_max: Annotated[int, Field(ge=1)] = limits.OPEN_EXECUTIONS_MAX
    """Executions that have not ended, whatever they wait for; beyond it a start is refused (429)."""
    task_runs_per_flow_max: Annotated[int, Field(ge=1)] | None = None
    """Task runs of one flow that run at one time, of the `runner.concurrency` there are; empty is no limit of its own."""


class Pool(Section):
    """Flows that share slots, and how soon it is their turn: `[pools.<name>]`. The first pool that names a flow has it."""

    flows: Names
    """Flows as `namespace.flow`; `*` stands for any text: `"company.etl.*"`."""
    slots: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Task runs of these flows that run at one time; empty is no limit of its own."""
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    """Who waits for a slot, or to begin, goes before those of a lower priority; every eighth turn is the longest waiting one's."""


class Secrets(Section):
    """Where `secret('NAME')` looks: `SECRET_NAME` (base64), systemd credentials, then this file."""

    file: Directory | None = None
    """A file of `NAME=value` lines, readable by the daemon only."""


class Storage(Section):
    """Files that tasks pass to each other, and whole logs."""

    url: str = ""
    """Root as fsspec writes it (`/srv/podium`, `s3://bucket/podium`); empty means `<home>/storage`."""


class Telemetry(Section):
    """The daemon's own log and metrics."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least level that is written to standard error."""
    log_json: bool = False
    """One JSON object a line instead of text."""


class Retention(Section):
    """How long things that are not in Git stay."""

    executions_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 90
    """Days an execution stays in the index that lists and pages read; its record stays in Git."""
    storage_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 90
    """Days the files of an ended execution stay in storage, and an upload that no execution took."""
    logs_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 90
    """Days a log line of an ended execution stays in the index; its record in Git keeps the head and the tail."""
    metrics_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 90
    """Days a metric of an ended execution stays."""
    dedupe_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30
    """Days a webhook delivery, schedule date, file version or idempotency key is known, so that it starts nothing twice."""
    caches_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30
    """Days a task cache or the cache of a WorkingDirectory stays that was not made anew."""
    deliveries_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30
    """Days a delivery to a webhook stays in the log of deliveries; there is room for 100,000 and 256 MiB."""


_current: ContextVar[tuple[Layer, ...]] = ContextVar("settings_layers", default=())


class Settings(BaseSettings):
    """All settings. Use load_settings: it names the file and line of a mistake."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    home: Directory = Field(default_factory=lambda: layers.default_home(os.environ))
    """Where the journal, mirrors and sockets are. Default: `$STATE_DIRECTORY`, `$XDG_STATE_HOME/podium` or `~/.local/state/podium`."""
    instance: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,63}$")] = ""
    """Name of this daemon in records and on containers; empty means a name made once and kept in `home`."""
    timezone: Zone = ""
    """Time zone of schedules and dates that name none, such as `Europe/Paris`; empty means the machine's."""
    env_prefixes: Names = ("ENV_", "KESTRA_")
    """Environment variables with these prefixes are `{{ envs.name }}` in flows (prefix removed, lower case)."""
    globals: Annotated[dict[str, Any], BeforeValidator(layers.any_table)] = {}
    """Values that every flow sees as `{{ globals.name }}`."""
    server: Server = Server()
    sources: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")], Source] = {}
    results: Results = Results()
    runner: Runner = Runner()
    limits: Limits = Limits()
    pools: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")], Pool] = {}
    security: Security = Security()
    secrets: Secrets = Secrets()
    storage: Storage = Storage()
    telemetry: Telemetry = Telemetry()
    retention: Retention = Retention()
    ai: Ai = Ai()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource, file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what load_settings has read, strongest first."""
        return (init_settings, *(_LayerSource(settings_cls, layer) for layer in _current.get()))

    @model_validator(mode="after")
    def _nobody_unknown_from_afar(self) -> Settings:
        local = self.server.host.startswith(_LOOPBACK)
        token = self.server.token is not None or self.server.token_file is not None
        if not local and not token and not self.security.accounts:
            raise ValueError("server.host is beyond loopback, which needs server.token_file (or server.token), or security.access_source")
        if self.security.local_login and not token and not self.security.accounts:
            raise ValueError("security.local_login needs something to log in with: server.token_file, or security.access_source")
        if self.security.access_source and self.security.access_source not in self.sources:
            known = ", ".join(sorted(self.sources)) or "none"
            raise ValueError(f"security.access_source '{self.security.access_source}' is no source (sources: {known})")
        return self

    def token(self) -> str | None:
        """The API token, from `server.token` or the first line of `server.token_file`. Raises SettingsError for a file that gives none."""
        if self.server.token is not None:
            return self.server.token.get_secret_value()
        return layers.first_line(self.server.token_file, key="server.token_file") if self.server.token_file else None


_TOP_LEVEL = ("home", "instance", "timezone", "env_prefixes", "globals")


class _LayerSource(PydanticBaseSettingsSource):
    """Hands one layer to pydantic-settings, which merges them."""

    def __init__(self, settings_cls: type[BaseSettings], layer: Layer) -> None:
        super().__init__(settings_cls)
        self._layer = layer

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Not used: the layer is given as a whole."""
        return self._layer.values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return layers.copy_of(self._layer.values)


def load_settings(
    config: Path | None = None, environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """The settings in force. config: a file that must exist, else the first of layers.config_places that does.

    overrides: from flags, nested or by dotted key (`{"server.port": 9090}`); None values are left out. Raises SettingsError
    that names every wrong key with its file and line, variable or flag.
    """
    return load_with_origins(config, environ, overrides)[0]


def load_with_origins(
    config: Path | None = None, environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
) -> tuple[Settings, tuple[Layer, ...]]:
    """As load_settings, and the layers it was made of, strongest first, the last being the defaults that depend on the machine."""
    env = os.environ if environ is None else environ
    stack = (
        layers.from_overrides(overrides or {}),
        layers.from_environment(env, top_level=_TOP_LEVEL),
        layers.from_file(config or layers.find_config(env)),
        layers.from_machine(env),
    )
    stale = _current.set(stack)
    try:
        return Settings(), stack
    except ValidationError as exc:
        raise layers.explain(exc, stack, Settings) from exc
    finally:
        _current.reset(stale)
