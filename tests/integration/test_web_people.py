"""Who may do what over HTTP: each route of the table for each role, and that nothing of another namespace is in any answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from people_house import FAR, SECRET, bearer, door, world
from podium.base.access.people import Role
from podium.conductor.port import Orchestrator
from podium.web.pages import routes as site
from podium.web.people.scope import WRAPPED, Scoped
from podium.web.routes import Route
from podium.web.server import API_ROUTES
from web_client import Client, serving

VIEWER, OPERATOR, EDITOR, ADMIN = Role.VIEWER, Role.OPERATOR, Role.EDITOR, Role.ADMIN
ANYBODY = """
GET /health
GET /ping
GET|POST|PUT /executions/webhook/*
POST /hooks/*
* /transfers/*
GET|POST /login
POST /logout
GET /assets/*
"""
NEEDS: dict[str, Role] = {
    # Pattern → role; the first that matches counts. What reads and is not here needs VIEWER. A route that writes and has no line here fails.
    r"POST /system/.*|POST /gc|POST /instance/.*": ADMIN,
    r"POST /(sources|syncs)/\{source\}/confirm": EDITOR,
    r"POST /syncs/\{source\}/look|POST /results/.*": OPERATOR,
    r"POST /copilot/.*|POST /executions/\{execution\}/delete": EDITOR,
    r"POST /executions/latest|POST /executions/\{namespace\}/\{flow\}/validate|POST /flows/validate.*|POST .*/resume/validate|POST /flows/graph|POST /flows/export/.*": VIEWER,
    r"DELETE /executions/\{execution\}|DELETE /executions/by-.*|DELETE /logs/.*": EDITOR,
    r"(POST|DELETE) /executions/.*": OPERATOR,
    r"POST /flows/\{namespace\}/\{flow\}/run": OPERATOR,
    r"(PUT|POST) /triggers.*|POST /webhooks.*": OPERATOR,
    r"(PUT|DELETE|POST) /namespaces/\{namespace\}/(kv|files).*": EDITOR,
    r"POST /namespaces/autocomplete|POST /stats/.*|POST /dashboards/validate.*|POST /dashboards/.*charts/.*": VIEWER,
    r"(POST|PUT|DELETE) /dashboards.*": EDITOR,
    r"POST /deliveries/\{id\}/resend": OPERATOR,
    r"GET /executions/\{execution\}/replay": OPERATOR,
    r"POST /edits/\{source\}.*|POST /editor/\{source\}": EDITOR,
    r"(POST|PUT|DELETE|PATCH) /flows.*": EDITOR,
    r"(GET|POST) /account.*|GET /basicAuthValidationErrors": Role.NONE,
    r"POST /basicAuth": VIEWER,
    r"GET /(settings|people|system|instance)\b.*": ADMIN,
}


def name_of(route: Route) -> str:
    return f"{route.method} {re.sub(r':[^}]*}', '}', route.path)}"


def expected(route: Route) -> Role:
    name = name_of(route)
    found = next((role for pattern, role in NEEDS.items() if re.fullmatch(pattern, name)), None)
    if found is None and route.method != "GET":
        raise AssertionError(f"who may call {name}? say it in NEEDS of this test")
    return found if found is not None else VIEWER


def is_open(route: Route) -> bool:
    for line in ANYBODY.split("\n"):
        methods, _, path = line.partition(" ")
        same = route.path == path or (path.endswith("*") and route.path.startswith(path[:-1]))
        if path and same and (methods == "*" or route.method in methods.split("|")):
            return True
    return False


ALL = [*API_ROUTES, *site.ROUTES]


@pytest.mark.parametrize("route", ALL, ids=name_of)
def test_each_route_needs_what_was_thought_of(route: Route) -> None:
    assert route.open == is_open(route), "a route that answers strangers must be named in ANYBODY"
    if not route.open:
        assert route.role == expected(route)


def test_routes_that_share_a_handler_need_the_same() -> None:
    """The guard finds a route by its handler."""
    needs: dict[Any, tuple[Any, ...]] = {}
    for route in ALL:
        mine = (route.open, None if route.open else route.role, route.everywhere)
        assert needs.setdefault(route.handler, mine) == mine, name_of(route)


def test_every_method_of_the_port_is_scoped() -> None:
    """One that is forgotten is refused, but then a page does not work for people."""
    port = {name for name, member in vars(Orchestrator).items() if callable(member) and not name.startswith("_")}
    assert port - {name for name in vars(Scoped) if not name.startswith("_")} - WRAPPED == set()


def paths(route: Route, ids: dict[str, str], *, secret: bool = False) -> Iterator[str]:
    """Under each prefix, with names of what is there."""
    names = {
        "namespace": SECRET if secret else "company.team", "flow": "hushhush" if secret else "hello", "id": "hushhush" if secret else "hello",
        "execution": ids["secret" if secret else "running"], "source": "main", "key": "cursor", "trigger": "none", "task": "say",
        "commit": "0" * 40, "type": "io.kestra.plugin.core.log.Log", "kind": "flow", "rest": "",
    }
    path = re.sub(r"\{(\w+)(:[^}]*)?\}", lambda found: names.get(found[1], "x"), re.sub(r"(\[0-9A-Za-z\])+", "", route.path))
    for prefix in [""] if route.root else ["/api/v1", "/api/v1/main"]:
        yield prefix + path


async def call(client: Client, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """Status and text; of a stream only the status."""
    json = {} if method not in {"GET", "HEAD"} else None
    async with client.session.request(
        method, client.url + path, headers={"Accept": "text/html", **headers}, json=json, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=60)
    ) as answered:
        if answered.headers.get("Content-Type", "").startswith("text/event-stream"):
            return answered.status, ""
        return answered.status, await answered.text("utf-8", "replace")


async def test_every_route_for_every_role(clock: Any) -> None:
    made = await world(clock)
    wrong = []
    async with serving(made, door=door()) as client:
        for route in ALL:
            if route.open:
                continue
            for path in paths(route, made.ids):
                status, _ = await call(client, route.method, path, FAR)
                if status not in ({401, 303} if route.method == "GET" else {401}):
                    wrong.append((route.method, path, "nobody", status))
                for name, role in (("viewer", VIEWER), ("operator", OPERATOR), ("editor", EDITOR), ("admin", ADMIN), ("all-viewer", VIEWER)):
                    status, _ = await call(client, route.method, path, bearer(name))
                    may = role >= expected(route) and (name.startswith("a") or not route.instance)
                    if (status in {401, 403}) == may or status >= 500:
                        wrong.append((route.method, path, name, status))
    assert wrong == []


@pytest.mark.parametrize("name", ["other", "near", "deep", "case"])
async def test_a_role_elsewhere_opens_nothing_here(clock: Any, name: str) -> None:
    made = await world(clock)
    wrong = []
    async with serving(made, door=door()) as client:
        for route in ALL:
            if route.open or not re.search(r"\{(namespace|execution)", route.path):
                continue
            for path in paths(route, made.ids):
                status, text = await call(client, route.method, path, bearer(name))
                if status not in {403, 404} or "Says hello" in text:
                    wrong.append((route.method, path, status))
    assert wrong == []


@pytest.mark.parametrize("name", ["viewer", "editor"])
async def test_nothing_of_a_namespace_that_is_not_theirs_is_in_any_answer(clock: Any, name: str) -> None:
    made = await world(clock)
    marks = ("hushhush", SECRET, made.ids["secret"])
    leaks = []
    async with serving(made, door=door()) as client:
        assert "hushhush" in (await call(client, "GET", "/api/v1/flows/search?size=100", bearer("admin")))[1]
        for route in ALL:
            if route.open:
                continue
            for hidden in (False, True):
                for path in paths(route, made.ids, secret=hidden):
                    for more in ("", "?size=100", f"?namespace={SECRET}", "?q=hush", "?namespace=hidden&flowId=hushhush"):
                        if more and (route.method != "GET" or hidden or route.stream):
                            continue
                        status, text = await call(client, route.method, path + more, bearer(name))
                        # What the caller wrote may come back.
                        if any(each in text and each not in path + more for each in marks) or status >= 500:
                            leaks.append((route.method, path + more, status))
    assert leaks == []


async def test_many_at_once_only_touch_what_one_may(clock: Any) -> None:
    made = await world(clock)
    states = made.orchestrator.views
    async with serving(made, door=door()) as client:
        done = await client("DELETE", "/api/v1/executions/kill/by-ids", json=[made.ids["secret"]], headers=bearer("operator"))
        assert (done.status, states[made.ids["secret"]]["state"]["current"]) == (400, "RUNNING")
        await client("DELETE", "/api/v1/executions/kill/by-query?state=RUNNING", headers=bearer("operator"))
        assert states[made.ids["secret"]]["state"]["current"] == "RUNNING"
        assert states[made.ids["running"]]["state"]["current"] == "KILLED"


async def test_a_body_cannot_name_what_the_path_may_not(clock: Any) -> None:
    made = await world(clock)
    async with serving(made, door=door()) as client:
        body = {"namespace": "company.analytics", "flowId": "daily-sales", "triggerId": "every_morning", "disabled": True}
        assert (await client("PUT", "/api/v1/triggers", json=body, headers=bearer("other"))).status in {403, 404}
        assert (await client("PUT", "/api/v1/triggers", json=body, headers=bearer("viewer"))).status == 403
        assert (await client("PUT", "/api/v1/triggers", json=body, headers=bearer("operator"))).status == 200


async def test_a_stream_ends_when_access_changes(clock: Any) -> None:
    from dataclasses import replace

    from web_client import streaming

    opened = door()
    made = await world(clock)
    async with serving(made, door=opened) as client, client.session.get(client.url + "/api/v1/events", headers=bearer("viewer")) as answered:
        assert answered.status == 200
        await streaming(client.app)
        made.orchestrator.move(made.ids["secret"], "KILLING")
        made.orchestrator.move(made.ids["running"], "KILLING")
        async with asyncio.timeout(60):
            line = b""
            while b"data:" not in line:
                line = await answered.content.readline()
            assert made.ids["running"].encode() in line, "what is in another namespace is not told"
            opened.roster.change(replace(opened.roster.people, tokens=()))
            made.orchestrator.move(made.ids["running"], "KILLED")
            while line:
                line = await answered.content.readline()
                assert b"KILLED" not in line


@pytest.mark.parametrize("method", ["HEAD", "GET", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize(
    "path",
    [
        "/flows/hidden.place/hushhush", "/flows/%68idden.place/hushhush", "/flows/hidden.place./hushhush", "/flows/HIDDEN.place/hushhush",
        "/flows/company.team.%2e%2e.hidden.place/hushhush", "/flows/company.team%2f..%2fhidden.place/hushhush", "/flows/company/../hidden.place/hushhush",
        "/flows//hidden.place/hushhush", "/namespaces/hidden.place/kv/cursor", "/kv?namespace=hidden.place", "/kv?namespace=hidden.place&namespace=company.none",
        "/executions/search?namespace=hidden.place", "/executions/search?namespace=company.team,hidden.place", "/executions/{id}", "/logs/{id}",
        "/executions/{id}/file?path=kestra:///hidden/place/hushhush/executions/{id}/x", "/executions/search?q={id}", "/logs/search?q=hushhush",
        "/executions/search?triggerExecutionId={id}", "/executions/search?labels=system.correlationId:{id}", "/edits/place?namespace=hidden.place&id=hushhush",
    ],
)
async def test_no_way_of_writing_an_address_leads_to_what_is_hidden(clock: Any, method: str, path: str) -> None:
    from yarl import URL

    made = await world(clock)
    async with serving(made, door=door()) as client:
        for prefix in ("/api/v1", "/api/v1/main"):
            address = URL(client.url + prefix + path.replace("{id}", made.ids["secret"]), encoded=True)
            async with client.session.request(method, address, headers=bearer("editor"), allow_redirects=False) as answered:
                text = await answered.text("utf-8", "replace")
                assert answered.status < 500
                assert "Says hello" not in text
                assert '"total":1' not in text
                assert not (answered.status == 200 and ("hushhush" in text or made.ids["secret"] in text)), text[:300]


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer podium_viewer, Bearer podium_admin"}, {"Authorization": "Bearer  podium_admin x"}, {"Authorization": "bearer\tpodium_admin"},
        {"Authorization": "Basic //79/Q=="}, {"Authorization": "Basic " + "QQ==" * 1_000}, {"Authorization": "Bearer " + "x" * 7_000},
        {"X-Podium-User": "ann", "X-Forwarded-User": "ann", "Remote-User": "ann"}, {"X-Podium-Client": "cli", "X-Forwarded-For": "127.0.0.1"},
        {"X-Original-URL": "/ping", "X-Rewrite-URL": "/ping"}, {"Forwarded": "for=127.0.0.1"}, {"Host": "localhost", "X-Real-IP": "127.0.0.1"},
        {"X-HTTP-Method-Override": "GET", "X-Forwarded-Host": "localhost"},
    ],
)
async def test_no_header_makes_a_stranger_somebody(clock: Any, headers: dict[str, str]) -> None:
    async with serving(await world(clock), door=door()) as client:
        for path in ("/api/v1/flows/search", "/api/v1/main/people", "/metrics"):
            assert (await client.get(path, headers={**FAR, **headers})).status == 401, path
        assert (await client.post("/api/v1/executions/company.team/hello", headers={**FAR, **headers})).status == 401


async def test_the_file_with_the_hashes_is_shown_to_admins_only(clock: Any) -> None:
    from aiohttp.test_utils import make_mocked_request

    from podium.web.api.editing.rights import Rights
    from podium.web.people.roles import CALLER, Caller

    async with serving(await world(clock), door=door()) as client:
        for role, source, seen in ((ADMIN, "main", True), (EDITOR, "main", False), (VIEWER, "main", False), (VIEWER, "team", True)):
            request = make_mocked_request("GET", "/", app=client.app)
            request[CALLER] = Caller(name="x", email="x@y", via="password", roles={"": role}, account="x", kind="user")
            allowed = Rights(request, source, ".")
            for path in ("podium.yaml", "Podium.YAML", "flows/podium.yaml", ".podium/secrets.age"):
                assert allowed.may_read(path) is seen, (role, source, path)
            assert allowed.may_read("readme.md")
