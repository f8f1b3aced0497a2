"""What handlers need, built once by the server and found on the application. No handler reaches for anything else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from aiohttp import web

from podium.base.inbound.deliveries import DeliveryLog
from podium.base.ports import Answer, CopilotControls, Delivery, EditControls, SourceControls, TriggerControls
from podium.base.system.clock import Clock
from podium.conductor.port import Orchestrator
from podium.flows.dashboards.scope import ChartReads
from podium.flows.types import Types
from podium.records.browsing.port import ResultsControls
from podium.runners.remote.desk import Desk
from podium.storage.reader import FileReader
from podium.storage.secrets import Secrets
from podium.web.api.instance.port import InstanceReads
from podium.web.api.looks.port import TableReads
from podium.web.live import Hub
from podium.web.metrics import Metrics
from podium.web.people.access import Access
from podium.web.people.identify import Door
from podium.web.people.roles import CALLER, Role
from podium.web.people.scope import Scoped, ScopedSources, ScopedTriggers
from podium.web.people.throttle import Buckets

CheckFlow = Callable[[str, str], Sequence[Any]]
"""(text, file name) → a flows.load.Parsed for each document of it."""
AcceptWebhook = Callable[[Delivery], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Context:
    """The parts of one server. public_url: without final slash, or "" to use the name the caller used."""

    orchestrator: Orchestrator
    accept_webhook: AcceptWebhook
    sources: SourceControls
    triggers: TriggerControls
    check_flow: CheckFlow
    flow_schema: Callable[[], Mapping[str, Any]]
    clock: Clock
    door: Door
    hub: Hub
    metrics: Metrics
    instance: str
    version: str
    public_url: str
    body_limit: int
    upload_limit: int
    openapi: Mapping[str, Any]
    edits: EditControls | None = None
    """Writing to the repositories of the sources; None where there are none."""
    files: FileReader | None = None
    """The files of namespaces as deployed, with what tasks uploaded over them."""
    secrets: Secrets | None = None
    """Where `secret()` looks: for the names, never a value."""
    types: Types = field(default_factory=Types.build)
    """The installed plug-ins."""
    results: ResultsControls | None = None
    """The results branch; None where records stay in the journal."""
    tables: TableReads | None = None
    """Reads Parquet files for who looks at them."""
    charts: ChartReads | None = None
    """Dashboards as deployed, and what their charts are made of."""
    copilot: CopilotControls | None = None
    """Writes flows; None where no model is set."""
    transfers: Desk | None = None
    """Where containers on other machines fetch and bring files; None where there are none."""
    deliveries: DeliveryLog | None = None
    """What came to webhooks; None where no log is kept."""
    about: InstanceReads | None = None
    """The daemon itself: its settings, process and machine; None where there is only a server."""
    calls: Buckets | None = None
    """How often one caller may change something; None is no limit."""

    @property
    def access(self) -> Access:
        """The rules about host names and pages of origin."""
        return self.door.access


CONTEXT: web.AppKey[Context] = web.AppKey("context", Context)
TRUST: web.RequestKey[str | None] = web.RequestKey("trust", object)  # type: ignore[arg-type]  # a union is no class
"""How the caller is trusted (people.roles.Caller.via), None for a stranger at an open route."""


SCOPED: web.RequestKey[Context] = web.RequestKey("scoped context", Context)


def context(request: web.Request) -> Context:
    """The parts of the server that answers `request`, as its caller may use them: who has no role for the whole instance gets their namespaces."""
    here, who = request.app[CONTEXT], request.get(CALLER)
    if who is None or who.may(Role.ADMIN, ""):
        return here
    if SCOPED not in request:
        request[SCOPED] = replace(
            here, orchestrator=Scoped(here.orchestrator, who), triggers=cast(Any, ScopedTriggers(here.triggers, who)),
            sources=cast(Any, ScopedSources(here.sources, who)),
        )
    return request[SCOPED]


def everything(request: web.Request) -> Context:
    """The parts of the server, whoever asks: for who decides what the caller may see, and for routes that bring their own proof."""
    return request.app[CONTEXT]


def base_url(request: web.Request) -> str:
    """Where callers reach this server, without a final slash."""
    return context(request).public_url or f"{request.scheme}://{request.host}"
