"""The API over real HTTP: shapes, statuses and bodies of flow-language 10."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from podium.base import limits
from podium.base.errors import LimitError, StoreError
from podium.web import server
from web_client import Client, serving
from web_demo import HELLO, World

FLOW = "/api/v1/executions/company.team/everything"


@pytest.fixture
async def client(clock: Any) -> AsyncIterator[Client]:
    async with serving(await World(clock).fill()) as made:
        yield made


def assert_error(answered: Any, status: int, code: str | None = None) -> dict[str, Any]:
    body: dict[str, Any] = answered.json
    assert answered.status == status, body
    assert answered.headers["Content-Type"] == "application/json; charset=utf-8"
    assert {"message", "code", "hint", "_links", "_embedded"} <= body.keys()
    assert body["_links"]["self"]["href"].startswith("/")
    assert all({"message", "path"} == each.keys() for each in body["_embedded"]["errors"])
    if code is not None:
        assert body["code"] == code
    return body


# ---- flows


@pytest.mark.parametrize("prefix", ["/api/v1", "/api/v1/main"])
async def test_flows_are_searched_and_read_under_both_prefixes(client: Client, prefix: str) -> None:
    found = (await client.get(f"{prefix}/flows/search?namespace=company&size=3")).json
    assert found["total"] == 5
    assert [each["id"] for each in found["results"]] == ["daily-sales", "everything", "hello"]
    flow = (await client.get(f"{prefix}/flows/company.analytics/daily-sales?source=true")).json
    assert flow["revision"] == 2
    assert flow["source"].startswith("id: daily-sales\n")
    assert flow["labels"] == [{"key": "team", "value": "data"}, {"key": "tier", "value": "gold"}]
    assert flow["tasks"][1]["tasks"][0] == {"id": "transform", "type": "io.kestra.plugin.scripts.shell.Commands", "commands": ["./transform.sh {{ taskrun.value }}"]}
    assert flow["git"]["path"] == "analytics/daily-sales.yaml"
    assert "source" not in (await client.get(f"{prefix}/flows/company.analytics/daily-sales?revision=1")).json


async def test_other_reads_of_flows(client: Client) -> None:
    revisions = (await client.get("/api/v1/flows/company.analytics/daily-sales/revisions")).json
    assert [(each["revision"], "silver" in each["source"]) for each in revisions] == [(1, True), (2, False)]
    assert (await client.get("/api/v1/flows/company.analytics/daily-sales/tasks/report")).json["message"] == "{{ outputs.extract.rows }} rows"
    assert (await client.get("/api/v1/flows/distinct-namespaces?q=team")).json == ["company.team"]
    assert len((await client.get("/api/v1/flows/company.team")).json) == 4
    found = (await client.get("/api/v1/flows/source?q=EXTRACT.SH")).json
    assert found["total"] == 1
    assert "[mark]extract.sh[/mark]" in found["results"][0]["fragments"][0]
    assert (await client.get("/api/v1/flows/search?labels=tier:gold")).json["total"] == 1
    assert (await client.get("/api/v1/plugins/schemas/flow")).json["type"] == "object"


async def test_what_is_not_there_is_a_404(client: Client) -> None:
    for path in (
        "/api/v1/flows/a/b", "/api/v1/flows/company.team/hello?revision=9", "/api/v1/flows/company.team/hello/tasks/nope", "/api/v1/flows/a/b/revisions",
        "/api/v1/executions/nope", "/api/v1/logs/nope", "/api/v1/logs/nope/follow", "/api/v1/executions/nope/follow", "/api/v1/metrics/nope",
        "/api/v1/triggers/a/b", "/api/v1/namespaces/a/kv/b", "/api/v1/nope", "/api/v1", "/api", "/api/v1/main/nope", "/api/v1/other/flows/search", "/api/v1/flows",
        "/api/v1/executions/%00", "/api/v1/executions/%ff%fe", "/api/v1/flows/%2e%2e/x",
    ):
        answered = await client.get(path)
        if path == "/api/v1/flows":
            assert_error(answered, 405)
            assert "POST" in answered.headers["Allow"]
        else:
            assert_error(answered, 404)


async def test_flows_are_checked(client: Client) -> None:
    body = HELLO + "---\n" + HELLO.replace("log.Log", "log.Lgo").replace("id: hello", "id: other")
    good, bad = (await client.post("/api/v1/flows/validate", data=body, headers={"Content-Type": "application/x-yaml"})).json
    assert (good["index"], good["flow"], "constraints" in good) == (0, "hello", False)
    assert "Invalid type: io.kestra.plugin.core.log.Lgo" in bad["constraints"]
    assert bad["problems"][0]["line"] > 0
    assert_error(await client.post("/api/v1/flows/validate", data=b"\xff\xfe"), 400)


# ---- starting


async def test_an_execution_is_started_by_a_form(client: Client) -> None:
    form = aiohttp.FormData()
    form.add_field("name", "Ada")
    form.add_field("numbers", "[4, 5]")
    form.add_field("file", b"a,b\n1,2\n", filename="data.csv", content_type="text/csv")
    answered = await client.post(f"{FLOW}?labels=team:x&labels=run:y:z&scheduleDate=2026-02-01T00:00:00Z", data=form)
    view = answered.json
    assert answered.status == 200, view
    assert view["inputs"]["numbers"] == [4, 5]
    assert view["inputs"]["file"].endswith("/inputs/file/data.csv")
    assert client.world.orchestrator.files[view["inputs"]["file"]] == b"a,b\n1,2\n"
    assert view["url"] == f"{client.url}/executions/{view['id']}"
    request = client.world.orchestrator.requests[-1]
    assert request.labels == {"team": "x", "run": "y:z"}
    assert str(request.schedule_date) == "2026-02-01 00:00:00+00:00"


async def test_an_execution_is_started_by_json_by_a_url_encoded_form_or_by_nothing(client: Client) -> None:
    assert (await client.post(FLOW, json={"name": "Ada", "count": 7})).json["inputs"]["count"] == 7
    assert (await client.post(FLOW, data={"name": "Ada"})).status == 200
    assert (await client.post("/api/v1/executions/company.team/hello")).json["state"]["current"] == "CREATED"
    assert (await client.post("/api/v1/main/executions/trigger/company.team/hello")).status == 200


async def test_an_uploaded_input_can_be_downloaded_from_the_execution_it_is_for(client: Client) -> None:
    form = aiohttp.FormData({"name": "Ada"}, default_to_multipart=True)
    form.add_field("file", b"a,b\n1,2\n", filename="data.csv")
    view = (await client.post(FLOW, data=form)).json
    answered = await client.get(f"/api/v1/executions/{view['id']}/file", params={"path": view["inputs"]["file"]})
    assert (answered.status, answered.body) == (200, b"a,b\n1,2\n")


async def test_waiting_gives_the_end(client: Client) -> None:
    assert (await client.post("/api/v1/executions/company.team/hello?wait=true")).json["state"]["current"] == "SUCCESS"
    assert_error(await client.post("/api/v1/executions/company.team/hello?wait=perhaps"), 422)
    assert_error(await client.post(f"/api/v1/executions/company.team/hello?waitSeconds={limits.WAIT_S_MAX + 1}"), 422)


async def test_a_wrong_input_is_a_422_and_starts_nothing(client: Client) -> None:
    before = len(client.world.orchestrator.requests)
    body = assert_error(await client.post(FLOW, json={"name": "Ada", "count": 99}), 422, "input-invalid")
    assert body["message"].startswith("Invalid entity: count: Invalid input for `count`")
    assert body["_embedded"]["errors"][0]["path"] == "count"
    assert_error(await client.post(FLOW, json={"name": "Ada", "file": "/etc/passwd"}), 422, "input-invalid")
    for path, status in (("/api/v1/executions/company.team/retired", 409), ("/api/v1/executions/a/b", 404), (f"{FLOW}?revision=9", 404), (f"{FLOW}?revision=x", 422)):
        assert_error(await client.post(path, json={"name": "Ada"}), status)
    assert len(client.world.orchestrator.requests) == before


async def test_inputs_are_checked_without_a_start(client: Client) -> None:
    found = (await client.post(f"{FLOW}/validate", json={"count": 99})).json
    assert (found["id"], found["namespace"]) == ("everything", "company.team")
    by_id = {each["input"]: each for each in found["inputs"]}
    assert "missing required input" in by_id["name"]["errors"][0]["message"]
    assert by_id["count"]["errors"]
    assert by_id["span"]["errors"] == []


async def test_the_same_key_starts_once(client: Client) -> None:
    headers = {"Idempotency-Key": "one"}
    first, second = [(await client.post("/api/v1/executions/company.team/hello", headers=headers)).json["id"] for _ in range(2)]
    assert first == second
    assert_error(await client.post("/api/v1/executions/company.team/hello", headers={"Idempotency-Key": "x" * 300}), 422)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400), (b"[1]", "application/json", 400), (b"\xff", "application/json", 400), (b"x", "multipart/form-data", 400),
        (b"--b\r\nbroken", "multipart/form-data; boundary=b", 400), (b'{"a": NaN}', "application/json", 400), (b"[" * 100_000, "application/json", 400),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b", 400),
        (b"&".join(b"a%d=1" % n for n in range(1_100)), "application/x-www-form-urlencoded", 422),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(client: Client, body: bytes, kind: str, status: int) -> None:
    assert_error(await client.post("/api/v1/executions/company.team/hello", data=body, headers={"Content-Type": kind}), status)


async def test_bodies_have_limits(clock: Any) -> None:
    async with serving(await World(clock).fill(), body_limit=1_000, upload_limit=10_000) as client:
        assert_error(await client.post(FLOW, json={"name": "x" * 2_000}), 413, "body-too-large")
        form = aiohttp.FormData()
        form.add_field("name", "x" * 2_000, content_type="text/plain")
        assert_error(await client.post(FLOW, data=form), 413)
        form = aiohttp.FormData()
        form.add_field("file", b"x" * 20_000, filename="f")
        assert_error(await client.post(FLOW, data=form), 413)
        form = aiohttp.FormData()
        form.add_field("name", "Ada")
        form.add_field("file", b"x" * 9_000, filename="f")
        assert (await client.post(FLOW, data=form)).status == 200, "files have a limit of their own"
        assert_error(await client.post("/api/v1/executions/webhook/company.team/hello/s3cret", data=b"x" * 2_000), 413)
        assert client.world.webhooks.deliveries == []


async def test_a_form_has_so_many_parts_and_no_more(client: Client) -> None:
    many = aiohttp.FormData(default_to_multipart=True)
    for number in range(limits.FORM_FIELDS_MAX + 1):
        many.add_field(f"f{number}", "")
    assert_error(await client.post("/api/v1/executions/company.team/hello", data=many), 422)


async def test_a_body_of_unknown_length_is_limited_too(clock: Any) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100

    async with serving(await World(clock).fill(), body_limit=1_000) as client:
        assert_error(await client.post("/api/v1/executions/webhook/company.team/hello/s3cret", data=chunks()), 413)


# ---- reading executions


async def test_executions_are_searched(client: Client) -> None:
    async def total(query: str) -> int:
        answered = await client.get(f"/api/v1/executions/search?{query}")
        assert answered.status == 200, answered.text
        return int(answered.json["total"])

    assert await total("") == 34
    assert await total("state=FAILED") == 4
    assert await total("state=FAILED,KILLED") == 5
    assert await total("namespace=company.analytics&flowId=daily-sales") == 12
    assert await total("labels=run:manual") == 1
    assert await total("timeRange=PT10M") == 4
    assert await total("q=hello") == 21
    assert await total(f"triggerExecutionId={client.world.ids['success']}") == 1
    assert await total("filters[flowId][EQUALS]=release") == 1
    page = (await client.get("/api/v1/executions/search?page=2&size=20&sort=state.startDate:asc")).json
    assert len(page["results"]) == 14
    assert "taskRunList" not in page["results"][0]
    assert_error(await client.get("/api/v1/executions"), 400)
    assert (await client.get("/api/v1/executions?namespace=company.team&flowId=release")).json["total"] == 1
    assert await total("childFilter=CHILD") == 1
    assert await total("filters[childFilter][NOT_EQUALS]=CHILD") == 33
    assert await total("filters[namespace][EQUALS]=company") == 0, "exactly that one"
    assert await total("filters[namespace][IN]=company.team,company.analytics&filters[state][NOT_IN]=SUCCESS,FAILED,WARNING") == 3
    assert await total("filters[flowId][REGEX]=^dai.*s$") == 12
    assert await total("filters[flowId][CONTAINS]=ell") == 21
    assert await total("filters[flowId][NOT_EQUALS]=hello") == 13
    assert await total("scope=USER") == 34
    assert await total("scope=SYSTEM") == 0
    assert await total("someone=else") == 34, "what is unknown is ignored"
    for wrong in ("filters[flowId][REGEX]=(", "filters[flowId][LIKE]=x", "filters[password][EQUALS]=x", "filters[labels][EQUALS]=x", "childFilter=NONE", "scope=ALL"):
        assert (await client.get(f"/api/v1/executions/search?{wrong}")).status in {400, 422}, wrong


async def test_one_execution_and_what_belongs_to_it(client: Client) -> None:
    identifier = client.world.ids["success"]
    execution = (await client.get(f"/api/v1/executions/{identifier}")).json
    assert execution["state"]["current"] == "SUCCESS"
    assert len(execution["taskRunList"]) == 6
    assert (await client.get(f"/api/v1/executions/{identifier}/flow")).json["id"] == "daily-sales"
    assert (await client.get(f"/api/v1/executions/{identifier}/record")).json["record"]["commit"].startswith("ab54")
    assert (await client.get(f"/api/v1/executions/{client.world.ids['running']}/record")).json == {"record": None}
    metrics = (await client.get(f"/api/v1/metrics/{identifier}?taskId=extract")).json
    assert (metrics["total"], metrics["results"][0]["value"]) == (1, 1240)
    outputs = (await client.get(f"/api/v1/outputs/{identifier}")).json
    assert [each["rows"] for each in outputs.values() if each] == [1240]


async def test_logs(client: Client) -> None:
    identifier = client.world.ids["failed"]
    entries = (await client.get(f"/api/v1/logs/{identifier}")).json
    assert [each["level"] for each in entries] == ["DEBUG", "INFO", "WARN", "INFO", "ERROR"]
    assert len((await client.get(f"/api/v1/logs/{identifier}?minLevel=WARN")).json) == 2
    assert len((await client.get(f"/api/v1/logs/{identifier}?taskId=extract")).json) == 2
    assert len((await client.get(f"/api/v1/logs/{identifier}?afterSeq=3")).json) == 2
    download = await client.get(f"/api/v1/logs/{identifier}/download?minLevel=ERROR")
    assert download.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "attachment" in download.headers["Content-Disposition"]
    assert "ERROR load duplicate key" in download.text
    found = (await client.get("/api/v1/logs/search?q=duplicate&minLevel=ERROR")).json
    assert found["total"] == 1
    assert_error(await client.get(f"/api/v1/logs/{identifier}?minLevel=LOUD"), 422)


async def test_files(client: Client) -> None:
    identifier = client.world.ids["success"]
    uri = f"kestra:///company/analytics/daily-sales/executions/{identifier}/tasks/extract/orders.csv"
    base = f"/api/v1/executions/{identifier}/file"
    answered = await client.get(base, params={"path": uri})
    assert answered.body.startswith(b"day,region,total\n")
    assert answered.headers["Content-Disposition"].startswith('attachment; filename="orders.csv"')
    assert answered.headers["Content-Type"] == "application/octet-stream"
    assert (await client.get(f"{base}/metas", params={"path": uri})).json == {"size": len(answered.body)}
    preview = (await client.get(f"{base}/preview", params={"path": uri, "maxRows": "1"})).json
    assert preview == {"extension": "csv", "type": "LIST", "content": [{"day": "2026-01-04", "region": "north", "total": "10"}], "truncated": True}
    moved = await client.get(f"/api/v1/executions/{client.world.ids['failed']}/file", params={"path": uri})
    assert moved.status == 302
    assert (await client.get(moved.headers["Location"].removeprefix(client.url))).status == 200


@pytest.mark.parametrize(
    "uri",
    [
        "kestra:///company/analytics/_kv/key.ion", "file:///etc/passwd", "/etc/passwd", "kestra:///company/team/x/executions/{id}/../../secret",
        "kestra:///company/analytics/daily-sales/executions/{id}/%2e%2e/x", "kestra://host/company/analytics/x/executions/{id}/f", "kestra:///other/flow/executions/{id}/f", "kestra:///executions/{id}/f",
        "kestra:///company/analytics/daily-sales/executions/{id}/gone.txt", "kestra:///a/b/executions/nobody/f",
        "kestra:///company/analytics/daily-sales/executions/{id}//etc/passwd",
    ],
)
async def test_files_of_nobody_and_paths_that_climb_are_not_there(client: Client, uri: str) -> None:
    identifier = client.world.ids["success"]
    for suffix in ("", "/metas", "/preview"):
        assert_error(await client.get(f"/api/v1/executions/{identifier}/file{suffix}", params={"path": uri.replace("{id}", identifier)}), 404)
    assert_error(await client.get(f"/api/v1/executions/{identifier}/file"), 400)


# ---- actions


async def test_actions_and_their_conflicts(client: Client) -> None:
    ids = client.world.ids

    async def act(method: str, name: str, verb: str, **more: Any) -> Any:
        return await client(method, f"/api/v1/executions/{ids[name]}/{verb}", **more)

    assert_error(await act("DELETE", "success", "kill?isOnKillCascade=false"), 409, "conflict")
    assert (await act("DELETE", "success", "kill")).status == 202
    assert_error(await act("POST", "running", "unqueue"), 409)
    assert_error(await act("POST", "running", "unqueue?state=SUCCESS"), 422)
    assert_error(await act("POST", "running", "restart"), 409)
    assert_error(await act("POST", "running", "resume"), 409)
    assert_error(await act("POST", "running", "change-status?status=SUCCESS"), 409)
    assert (await act("POST", "running", "pause")).json["state"]["current"] == "PAUSED"
    assert (await act("POST", "running", "actions/resume")).status == 204
    killed = await act("DELETE", "running", "kill?isOnKillCascade=false")
    assert (killed.status, killed.json["state"]["current"]) == (202, "KILLED")
    assert (await act("POST", "failed", "change-status?status=SUCCESS")).json["state"]["current"] == "SUCCESS"
    assert_error(await act("POST", "failed", "change-status"), 400)
    assert_error(await act("POST", "failed", "change-status?status=FINE"), 422)
    assert {"key": "seen", "value": "yes"} in (await act("POST", "failed", "labels", json=[{"key": "seen", "value": "yes"}])).json["labels"]
    assert_error(await act("POST", "failed", "labels", json={"key": 1, "x": []}), 422)
    assert_error(await act("POST", "failed", "labels", json=[{"key": "system.x", "value": "y"}]), 409)
    assert (await act("POST", "failed", "restart")).json["state"]["current"] == "RESTARTED"
    assert (await act("POST", "failed", "force-run")).json["state"]["current"] == "RUNNING"
    replayed = (await act("POST", "success", "replay")).json
    assert replayed["parentId"] == ids["success"]
    name, value = next(iter(client.world.orchestrator.views[ids["success"]]["inputs"].items()))
    changed = (await act("POST", "success", "replay-with-inputs", data=aiohttp.FormData({name: str(value)}))).json
    assert (changed["parentId"], changed["inputs"][name]) == (ids["success"], value)
    assert_error(await client.post("/api/v1/executions/nope/restart"), 404)
    assert_error(await client.post(f"/api/v1/executions/{ids['success']}/explode"), 404)


async def test_a_task_run_gets_another_state(client: Client) -> None:
    identifier = client.world.ids["failed"]
    runs = (await client.get(f"/api/v1/executions/{identifier}")).json["taskRunList"]
    path = f"/api/v1/executions/{identifier}/state"
    assert (await client.post(path, json={"taskRunId": runs[-1]["id"], "state": "SUCCESS"})).json["state"]["current"] == "RESTARTED"
    assert_error(await client.post(path, json={"taskRunId": "x", "state": "SUCCESS"}), 404)
    assert_error(await client.post(path, json={"taskRunId": "x"}), 400)
    assert_error(await client.post(path, json={"taskRunId": "x", "state": "Y"}), 422)
    assert_error(await client.post(path, data=b""), 400)


async def test_resuming_gives_the_inputs_asked_for(client: Client) -> None:
    identifier = client.world.ids["paused"]
    tried = await client.post(f"/api/v1/executions/{identifier}/resume/validate", data=aiohttp.FormData({"approved": "true"}))
    assert [each["input"] for each in tried.json["inputs"]] == ["approved"]
    form = aiohttp.FormData({"approved": "true", "reason": "ok"})
    assert (await client.post(f"/api/v1/executions/{identifier}/resume", data=form)).status == 204
    assert client.world.orchestrator.views[identifier]["resumed"] == {"approved": "true", "reason": "ok"}


async def test_many_at_once(client: Client) -> None:
    ids = [client.world.ids[name] for name in ("failed", "success")]
    labelled = {"executionsId": ids, "executionLabels": [{"key": "a", "value": "b"}]}
    assert (await client.post("/api/v1/executions/labels/by-ids", json=labelled)).json == {"count": 2}
    assert (await client.post("/api/v1/executions/restart/by-ids", json=ids[:1])).json == {"count": 1}
    killed = await client("DELETE", "/api/v1/executions/kill/by-ids", json=[client.world.ids["running"], ids[1], "nope"])
    body = assert_error(killed, 400)
    assert body["message"] == "invalid bulk kill"
    assert [(each["path"], each["message"]) for each in body["invalids"]] == [
        (ids[1], "not possible while the execution is SUCCESS"), ("nope", "execution not found"),
    ]
    assert client.world.orchestrator.views[client.world.ids["running"]]["state"]["current"] == "RUNNING", "nothing is done when one is wrong"
    assert (await client("DELETE", "/api/v1/executions/kill/by-ids", json=[client.world.ids["running"]])).json == {"count": 1}
    assert (await client.post("/api/v1/executions/resume/by-query?flowId=release")).json == {"count": 1}
    assert (await client.post("/api/v1/executions/replay/by-query?labels=a:b&state=SUCCESS")).json == {"count": 1}
    assert_error(await client.post("/api/v1/executions/restart/by-ids", json="x"), 400)
    assert_error(await client.post("/api/v1/executions/change-status/by-ids?newStatus=RUNNING", json=ids), 422)


# ---- triggers, keys, inbound, system


async def test_triggers(client: Client) -> None:
    found = (await client.get("/api/v1/triggers/search")).json
    assert found["total"] == 2
    first = found["results"][0]
    assert first["abstractTrigger"]["cron"] == "0 6 * * *"
    assert first["triggerContext"]["triggerId"] == "every_morning"
    assert first["triggerContext"]["disabled"] is False
    name = {"namespace": "company.analytics", "flowId": "daily-sales", "triggerId": "every_morning"}
    assert (await client("PUT", "/api/v1/triggers", json={**name, "disabled": True})).json["disabled"] is True
    assert (await client.get("/api/v1/triggers/company.analytics/daily-sales")).json["results"][0]["disabled"] is True
    assert (await client("PUT", "/api/v1/triggers/set-disabled", json={**name, "disabled": False})).json["disabled"] is False
    made = (await client("PUT", "/api/v1/triggers", json={**name, "backfill": {"start": "2026-01-01T00:00:00Z", "inputs": {"a": 1}, "labels": [{"key": "x", "value": "y"}]}})).json
    assert made["backfill"]["inputs"] == {"a": 1}
    assert made["backfill"]["labels"] == {"x": "y"}
    assert (await client("PUT", "/api/v1/triggers/backfill/pause", json=name)).json["backfill"]["paused"] is True
    assert (await client("PUT", "/api/v1/triggers/backfill/unpause", json=name)).json["backfill"]["paused"] is False
    assert "backfill" not in (await client.post("/api/v1/triggers/backfill/delete", json=name)).json
    assert (await client.post("/api/v1/triggers/company.analytics/daily-sales/every_morning/unlock")).status == 200
    assert_error(await client("PUT", "/api/v1/triggers", json={**name, "triggerId": "nope", "disabled": True}), 404)
    assert_error(await client("PUT", "/api/v1/triggers", json={**name, "disabled": "yes"}), 400)
    assert_error(await client("PUT", "/api/v1/triggers", json={"disabled": True}), 400)
    assert_error(await client("PUT", "/api/v1/triggers/backfill/create", json={**name, "start": "soon"}), 422)
    assert_error(await client("PUT", "/api/v1/triggers/backfill/create", json={**name, "start": "2026-01-02", "end": "2026-01-01"}), 422)
    assert_error(await client("PUT", "/api/v1/triggers/backfill/pause", json=name), 409)


@pytest.mark.parametrize(
    ("sent", "kind", "value"),
    [
        ('"hello"', "STRING", "hello"), ("12", "NUMBER", 12), ("1.5", "NUMBER", 1.5), ("true", "BOOLEAN", True), ('{"a": [1]}', "JSON", {"a": [1]}),
        ("2026-01-31", "DATE", "2026-01-31"), ("2026-01-31T08:00:00Z", "DATETIME", "2026-01-31T08:00:00Z"), ("PT1H", "DURATION", "PT1H"), ('"PT1H"', "STRING", "PT1H"),
        ("[]", "JSON", []), ("null", "JSON", None),
    ],
)
async def test_keys_keep_their_type(client: Client, sent: str, kind: str, value: Any) -> None:
    path = "/api/v1/namespaces/company.team/kv/my-key"
    assert (await client("PUT", path, data=sent, headers={"Content-Type": "application/json"})).status == 200
    assert (await client.get(path)).json == {"type": kind, "value": value}


async def test_keys(client: Client) -> None:
    base = "/api/v1/namespaces/company.team/kv"
    assert (await client("PUT", f"{base}/a", data="1", headers={"ttl": "PT1H"})).status == 200
    assert (await client("PUT", f"{base}/b?type=STRING", data="12")).status == 200
    assert (await client.get(f"{base}/b")).json == {"type": "STRING", "value": "12"}
    assert (await client("PUT", f"{base}/c", data="plain words", headers={"Content-Type": "text/plain"})).status == 200
    listed = (await client.get(base)).json
    assert [each["key"] for each in listed] == ["a", "b", "c", "cursor"]
    assert listed[0]["expirationDate"] == "2026-01-05T09:00:40.000Z" or "expirationDate" in listed[0]
    assert all("value" not in each for each in listed)
    assert (await client.get("/api/v1/kv?namespace=company.team&q=cur")).json["total"] == 1
    assert (await client("DELETE", f"{base}/a")).json is True
    assert (await client("DELETE", f"{base}/a")).json is False
    assert (await client("DELETE", base, json={"keys": ["b", "x"]})).json == {"keys": ["b"]}
    for path, data, headers in (
        (f"{base}/a", "plain words", {"Content-Type": "application/json"}), (f"{base}/-bad", "1", {}), (f"{base}/a%20b", "1", {}), (f"{base}/a", "1", {"ttl": "soon"}), (f"{base}/a", "1", {"ttl": "PT-1S"}),
        (f"{base}/a?type=NUMBER", '"x"', {}), (f"{base}/a?type=ODD", "1", {}), (f"{base}/a?type=DATE", "soon", {}), (f"{base}/a?type=DURATION", "soon", {}), (f"{base}/a?type=JSON", "{", {}),
        (f"{base}/a", "2026-99-99T00:00:00Z", {}),
    ):
        assert_error(await client("PUT", path, data=data, headers=headers), 422)
    assert_error(await client("DELETE", base, json={"keys": "b"}), 400)


async def test_a_webhook_gets_the_raw_delivery(client: Client) -> None:
    path = "/api/v1/executions/webhook/company.team/hello/s3cret"
    answered = await client.post(f"{path}/deep/er?a=1&a=2", data=b"\x00raw", headers={"X-Signature": "s", "X-Two": "1", "Authorization": "Basic eDp5"})
    assert answered.status == 200
    assert answered.headers["Podium-Execution"] == answered.json["id"]
    (delivery,) = client.world.webhooks.deliveries
    assert (delivery.method, delivery.namespace, delivery.flow_id, delivery.key, delivery.path) == ("POST", "company.team", "hello", "s3cret", "deep/er")
    assert delivery.body == b"\x00raw"
    assert delivery.query == [("a", "1"), ("a", "2")]
    assert ("X-Signature", "s") in delivery.headers
    assert ("Authorization", "Basic eDp5") in delivery.headers, "a token that is not ours belongs to the sender"
    for method in ("GET", "PUT"):
        assert (await client(method, path.replace("/api/v1", "/api/v1/main"))).status == 200
    assert_error(await client.post("/api/v1/executions/webhook/company.team/hello/wrong"), 404)


async def test_a_refusal_worded_by_another_room_has_the_body_of_every_error(client: Client) -> None:
    body = assert_error(await client.post("/api/v1/executions/webhook/company.team/hello/worded"), 401, "auth")
    assert body["message"] == "the signature is wrong"


async def test_a_push_hook_is_handed_on(client: Client) -> None:
    assert (await client.post("/api/v1/hooks/main", data=b"{}")).status == 202
    assert client.world.sources.notified == [("main", b"{}", True)]
    assert_error(await client.post("/api/v1/hooks/nope"), 404)


async def test_sources_syncs_and_a_held_deployment(client: Client) -> None:
    assert [each["name"] for each in (await client.get("/api/v1/sources")).json] == ["main", "team"]
    assert (await client.get("/api/v1/sources/rejected")).json[0]["problems"][0]["line"] == 6
    assert len((await client.get("/api/v1/syncs?limit=1")).json) == 1
    assert (await client.post("/api/v1/sources/team/confirm?commit=abc")).status == 200
    assert client.world.sources.confirmed == [("team", "abc")]
    assert_error(await client.post("/api/v1/sources/team/confirm"), 409)
    assert_error(await client.post("/api/v1/sources/nope/confirm"), 404)


async def test_health(client: Client) -> None:
    up = await client.get("/health")
    assert (up.status, up.json["status"], up.json["instance"]) == (200, "UP", "test-1")
    assert (await client.get("/ping")).text == "pong"
    client.world.orchestrator.status["status"] = "DEGRADED"
    assert (await client.get("/health")).status == 200, "a remote that is away must not restart the daemon"
    client.world.orchestrator.status["status"] = "STARTING"
    assert (await client.get("/health")).status == 503
    client.world.orchestrator.fail = StoreError("disk full", hint="free some")
    assert (await client.get("/health")).json["status"] == "DOWN"


async def test_metrics(client: Client) -> None:
    await client.get("/api/v1/flows/search")
    identifier = client.world.ids["running"]
    client.world.orchestrator.move(identifier, "SUCCESS")
    client.world.orchestrator.tell(kind="execution", executionId=identifier, state="SUCCESS")
    text = ""
    for _ in range(100):
        text = (await client.get("/metrics")).text
        if 'podium_executions_total{state="SUCCESS"}' in text:
            break
    assert 'podium_executions_total{state="SUCCESS"} 1.0' in text, "an end is counted once"
    assert "podium_unpushed_records 3.0" in text
    assert "podium_unpushed_records_oldest_seconds 260.0" in text
    assert "podium_queue_depth 3.0" in text
    assert 'podium_task_runs{state="FAILED"} 1.0' in text
    assert 'podium_executions_current{state="RUNNING"} 1.0' in text
    assert 'route="/api/v1/flows/search"' in text
    assert 'podium_http_request_duration_seconds_count{method="GET",route="/api/v1/flows/search",status="200"} 1.0' in text


async def test_limits_and_failures_have_their_status(client: Client) -> None:
    orchestrator = client.world.orchestrator
    orchestrator.fail = LimitError("10000 commands are queued", hint="later", retry_after_s=7)
    answered = await client.post("/api/v1/executions/company.team/hello")
    assert_error(answered, 429, "limit-reached")
    assert answered.headers["Retry-After"] == "7"
    orchestrator.fail = StoreError("disk full", hint="free some")
    answered = await client.post("/api/v1/executions/company.team/hello")
    assert_error(answered, 503)
    assert answered.headers["Retry-After"] == "1"
    orchestrator.fail = RuntimeError("secret inside")
    answered = await client.post("/api/v1/executions/company.team/hello")
    assert "secret inside" not in str(assert_error(answered, 500))
    page = await client.page("/flows/company.team/hello?tab=run")
    assert page.status == 500
    assert "secret inside" not in page.text


async def test_every_answer_forbids_scripts_of_others(client: Client) -> None:
    for path in ("/", "/api/v1/flows/search", "/nope", "/assets/podium.css", "/health"):
        headers = (await client.page(path)).headers
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"


async def test_head_answers_like_get(client: Client) -> None:
    answered = await client("HEAD", "/api/v1/flows/search")
    assert (answered.status, answered.body) == (200, b"")


async def test_a_body_that_stops_coming_is_408(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_PAUSE_S_MAX", 0.05)
    for kind, begun in (("application/json", '{"name"'), ("multipart/form-data; boundary=b", '--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nx')):
        head = f"POST /api/v1/executions/company.team/hello HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 500\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", int(client.url.rsplit(":", 1)[1]))
        writer.write((head + begun).encode())
        assert b" 408 " in await reader.readline()
        writer.close()


async def test_a_body_packed_wrongly_is_400(client: Client) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert_error(await client.post("/api/v1/executions/company.team/hello", data=b"no gzip", headers=headers), 400, "request-invalid")


async def test_connections_that_never_ask_are_closed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SWEEP_S", 0.05)
    monkeypatch.setattr(limits, "HEAD_S_MAX", 0.1)
    async with serving(client.world) as quick:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(quick.url.rsplit(":", 1)[1]))
        writer.write(b"GET /health HTTP/1.1\r\nHost: local")
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        writer.close()
        monkeypatch.setattr(limits, "HEAD_S_MAX", 60)
        assert (await quick.get("/health")).status == 200


async def test_headers_that_are_no_utf8_are_read_all_the_same(client: Client) -> None:
    port = int(client.url.rsplit(":", 1)[1])
    for header, status in ((b"Idempotency-Key: \xe9\xff", b"200"), (b"Cookie: podium_session=\xe9.\xe9", b"200"), (b"Authorization: Bearer \xe9", b"200")):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /api/v1/executions/company.team/hello HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\nContent-Length: 0\r\n\r\n")
        assert (await reader.readline()).split()[1] == status
        writer.close()


async def test_a_flow_may_be_called_like_what_is_done_to_executions(client: Client) -> None:
    for name in ("state", "pause", "restart", "kill"):
        assert_error(await client("POST", f"/api/v1/executions/company.team/{name}", data=aiohttp.FormData()), 404)
        assert f"company.team.{name}" in (await client("POST", f"/api/v1/executions/company.team/{name}", data=aiohttp.FormData())).json["message"]


async def test_what_waits_is_shown_and_everything_can_be_paused(client: Client) -> None:
    found = (await client.get("/api/v1/executions/queue")).json
    assert (found["paused"], found["executions"]["flows"][0]["count"]) == (None, 2)
    assert (await client.post("/api/v1/system/pause?reason=new+disk&by=ada")).json["paused"]["reason"] == "new disk"
    text = (await client.get("/metrics")).text
    assert "podium_paused 1.0" in text
    assert 'podium_slots{state="taken"} 3.0' in text
    assert "podium_executions_waiting_oldest_seconds 7.5" in text
    assert "Everything is paused (new disk)" in (await client.get("/executions", headers={"Accept": "text/html"})).text
    assert (await client.post("/api/v1/system/resume")).json["paused"] is None


async def test_a_daemon_that_is_behind_refuses_before_it_does_anything(client: Client) -> None:
    orchestrator = client.world.orchestrator
    before = len(orchestrator.requests)
    orchestrator.too_much = LimitError("too much waits", hint="later", limit="limits.queued_commands_max", retry_after_s=3)
    for path in (FLOW, "/api/v1/executions/webhook/company.team/hello/s3cret"):
        answered = await client.post(path, json={"name": "Ada"})
        assert_error(answered, 429, "limit-reached")
        assert answered.headers["Retry-After"] == "3"
        assert answered.json["limit"] == "limits.queued_commands_max"
    assert len(orchestrator.requests) == before
