"""People, tokens and a door for tests of web/, and a world with a namespace that only admins see."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Any

from podium.base.access.people import ApiToken, Grant, People, Person, Role, Roster, digest_of
from podium.conductor.port import StartRequest
from podium.web.people.access import Access
from podium.web.people.identify import Door
from podium.web.people.passwords import hash_password
from web_demo import HELLO, World

FAR = {"X-Forwarded-For": "203.0.113.9"}
"""The caller comes through a proxy, so is no program of this machine."""
SECRET = "hidden.place"
"""A namespace that only admins see."""
PASSWORDS = {"ann": "ann has a long password", "bob": "bob has another one"}


@lru_cache
def hash_of(name: str) -> str:
    """The hash of somebody's password."""
    return hash_password(PASSWORDS[name])


def people() -> People:
    """ann is an admin, bob sees one namespace; tokens `podium_<name>`."""

    def token(name: str, role: Role, *namespaces: str) -> ApiToken:
        return ApiToken(name=name, digest=digest_of(f"podium_{name}"), role=role, namespaces=namespaces)

    return People(
        persons={
            "ann": Person(name="ann", title="Ann Example", email="ann@example.org", password=hash_of("ann"), line=2),
            "bob": Person(name="bob", password=hash_of("bob"), line=3),
        },
        groups={"data": ("bob",)},
        grants=(
            Grant(role=Role.ADMIN, namespace="", who="ann", line=7), Grant(role=Role.VIEWER, namespace="company.team", who="data", line=8),
        ),
        tokens=(
            token("viewer", Role.VIEWER, "company"), token("operator", Role.OPERATOR, "company"), token("editor", Role.EDITOR, "company"),
            token("admin", Role.ADMIN), token("all-viewer", Role.VIEWER), token("other", Role.EDITOR, "elsewhere"),
            token("near", Role.EDITOR, "company.tea"), token("deep", Role.EDITOR, "company.team.x"), token("case", Role.EDITOR, "Company.Team"),
        ),
        source="main", path="podium.yaml", commit="02c0ffee" * 5,
    )


def door(*, cors: Any = (), **more: Any) -> Door:
    """A door with these people."""
    return Door(
        access=Access.of(["podium.example.org"], cors_origins=cors), instance="test", **more,
        roster=Roster(people=people(), origin="podium.yaml of source 'main'"),
    )


def bearer(name: str) -> dict[str, str]:
    """Headers of a caller from afar with the token of that name."""
    return {**FAR, "Authorization": f"Bearer podium_{name}"}


def basic(user: str, password: str) -> dict[str, str]:
    """Headers of a caller from afar with a name and a password."""
    return {**FAR, "Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class FakeAbout:
    """See web/api/instance/port.InstanceReads."""

    async def settings(self) -> Any:
        return [
            {"key": "server.port", "section": "server", "value": 9090, "origin": "podium.toml:3", "changed": True, "about": "TCP port; 0 takes a free one."},
            {"key": "server.token", "section": "server", "value": "********", "origin": "PODIUM_SERVER__TOKEN", "changed": True, "about": "Token <b>."},
            {"key": "instance", "section": "", "value": "", "origin": "default", "changed": False, "about": "Name of this daemon."},
        ]

    def places(self) -> Any:
        return {"file": "/etc/podium/podium.toml", "looked": ["podium.toml"], "variable": "PODIUM_"}

    async def facts(self) -> Any:
        return {
            "process": {"pid": 4711, "startedAt": "2026-01-05T07:00:00.000Z", "uptimeSeconds": 3600.0, "residentBytes": 80_000_000, "threads": 9,
                        "openFiles": 42, "openFilesMax": 65_536},
            "home": {"path": "/var/lib/podium", "journalBytes": 12_000_000, "walBytes": 0, "freeBytes": 10**11, "totalBytes": 10**12},
            "lock": {"owner": 4711, "standby": False}, "runner": {"type": "docker", "warm": 2, "pool": 8, "supervised": True},
            "versions": {"podium": "0.1.0", "python": "3.11.7"},
            "machine": {"system": "Linux", "host": "host", "cpus": 2, "load": [0.5, 0.4, 0.3], "zone": "UTC"},
        }

    async def checks(self) -> Any:
        return [{"check": "git", "status": "ok", "found": "2.47", "todo": ""}, {"check": "docker", "status": "error", "found": "away", "todo": "start it"}]


async def world(clock: Any) -> World:
    """The demo, and something in the hidden namespace: flow `hushhush`, a running execution, a key."""
    made = await World(clock).fill()
    made.orchestrator.install(HELLO.replace("company.team", SECRET).replace("id: hello", "id: hushhush"), path="hushed.yaml")
    view = await made.orchestrator.start(StartRequest(namespace=SECRET, flow_id="hushhush"))
    made.ids["secret"] = view["id"]
    made.orchestrator.move(view["id"], "RUNNING")
    made.orchestrator.task_run(view["id"], "say", ("CREATED", 0), ("RUNNING", 1))
    made.orchestrator.log(view["id"], "hushhush", level="ERROR")
    made.orchestrator.values[SECRET, "cursor"] = {"key": "cursor", "value": "hushhush", "type": "STRING"}
    return made
