"""The rest of Kestra's API: operators of filters, names, statistics, metrics over time, triggers and keys in bulk, removing, ranges of files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from web_client import Client, serving
from web_demo import World

API = "/api/v1"


@pytest.fixture
async def client(clock: Any) -> AsyncIterator[Client]:
    async with serving(await World(clock).fill()) as made:
        yield made


async def test_executions_are_removed(client: Client) -> None:
    ids, views = client.world.ids, client.world.orchestrator.views
    assert (await client("DELETE", f"{API}/executions/{ids['running']}")).status == 409
    assert (await client("DELETE", f"{API}/executions/{ids['failed']}")).status == 204
    assert (await client.get(f"{API}/executions/{ids['failed']}")).status == 404
    assert (await client("DELETE", f"{API}/executions/{ids['failed']}")).status == 404
    refused = await client("DELETE", f"{API}/executions/by-ids", json=[ids["success"], ids["running"]])
    assert (refused.status, [each["path"] for each in refused.json["invalids"]]) == (400, [ids["running"]])
    assert ids["success"] in views
    done = await client("DELETE", f"{API}/executions/by-ids?includeNonTerminated=true", json=[ids["success"], ids["running"]])
    assert (done.status, done.json) == (200, {"count": 2})
    done = await client("DELETE", f"{API}/main/executions/by-query?flowId=hello&state=SUCCESS&deleteLogs=false")
    assert done.json["count"] > 10
    assert client.world.orchestrator.entries, "the logs stay"


async def test_logs_are_removed(client: Client) -> None:
    identifier = client.world.ids["failed"]
    assert (await client("DELETE", f"{API}/logs/{identifier}")).status == 204
    assert (await client.get(f"{API}/logs/{identifier}")).json == []
    assert (await client("DELETE", f"{API}/logs/company.team/hello")).json["count"] > 10
    assert (await client("DELETE", f"{API}/logs/company.team/nope")).status == 404


async def test_names(client: Client) -> None:
    found = (await client.get(f"{API}/namespaces/search")).json
    assert [(each["id"], each["disabled"]) for each in found["results"]] == [("company", True), ("company.analytics", False), ("company.team", False)]
    assert (await client.get(f"{API}/namespaces/search?q=TEAM&sort=id:desc")).json["total"] == 1
    assert (await client.get(f"{API}/namespaces/company")).json == {"id": "company", "deleted": False, "disabled": True}
    assert (await client.get(f"{API}/namespaces/nowhere")).status == 404
    assert (await client.post(f"{API}/namespaces/autocomplete", json={"q": "ana"})).json == ["company.analytics"]
    assert (await client.get(f"{API}/executions/namespaces")).json == ["company.analytics", "company.team"]
    assert {"id": "hello", "namespace": "company.team", "revision": 1} in (await client.get(f"{API}/executions/namespaces/company.team/flows")).json
    assert (await client.get(f"{API}/executions/flows/company.analytics/daily-sales")).json["inputs"][0]["id"] == "day"
    latest = (await client.post(f"{API}/executions/latest", json=[{"namespace": "company.analytics", "id": "daily-sales"}, {"namespace": "x", "id": "y"}])).json
    assert [(each["id"], each["status"]) for each in latest] == [(client.world.ids["success"], "SUCCESS")]
    assert (await client.post(f"{API}/executions/latest", json=[1])).status == 400
    assert (await client.get(f"{API}/executions/distinct-field-values?field=flowId&q=REL")).json == ["release"]


async def test_statistics(client: Client) -> None:
    days = (await client.post(f"{API}/stats/executions/daily", json={})).json
    assert len(days) in {30, 31}
    assert days[0]["groupBy"] == "DAY"
    assert sum(sum(day["executionCounts"].values()) for day in days) == 34
    assert sum(day["duration"]["count"] for day in days) == 34
    by_flow = (await client.post(f"{API}/stats/executions/daily/group-by-flow", json={"namespace": "company"})).json
    assert set(by_flow) == {"company.analytics", "company.team"}
    assert set(by_flow["company.team"]) == {"hello", "release"}
    by_namespace = (await client.post(f"{API}/stats/executions/daily/group-by-namespace")).json
    assert sum(sum(day["executionCounts"].values()) for day in by_namespace["company.analytics"]) == 12
    latest = await client.post(f"{API}/stats/executions/latest/group-by-flow", json={"flows": [{"namespace": "company.team", "id": "release"}]})
    assert [each["id"] for each in latest.json] == [client.world.ids["paused"]]
    logs = (await client.post(f"{API}/stats/logs/daily", json={"startDate": "2025-12-20T00:00:00Z"})).json
    assert sum(day["counts"]["ERROR"] for day in logs) == 1
    summary = (await client.post(f"{API}/stats/summary", json={})).json
    assert (summary["flows"], summary["triggers"]) == (5, 2)
    assert (await client.get(f"{API}/usages/all")).json["flows"]["namespacesCount"] == 2
    for wrong in ([], {"startDate": "soon"}, {"startDate": 5}, {"startDate": "2026-01-02", "endDate": "2026-01-01"}, {"startDate": "0001-01-01"}, {"namespace": []}):
        assert (await client.post(f"{API}/stats/executions/daily", json=wrong)).status in {400, 422}, wrong


async def test_metrics_over_time(client: Client) -> None:
    base = f"{API}/metrics"
    assert (await client.get(f"{base}/names/company.analytics/daily-sales")).json == ["rows", "write"]
    assert (await client.get(f"{base}/names/company.analytics/daily-sales/load")).json == ["write"]
    assert (await client.get(f"{base}/tasks/company.analytics/daily-sales")).json == ["extract", "load"]
    found = (await client.get(f"{base}/aggregates/company.analytics/daily-sales/rows?aggregation=sum")).json
    assert found["groupBy"] == "day"
    assert sum(each["value"] for each in found["aggregations"]) == 1240
    assert (await client.get(f"{base}/aggregates/company.analytics/daily-sales/load/write?aggregation=AVG")).status == 200
    assert (await client.get(f"{base}/aggregates/company.analytics/daily-sales/rows?aggregation=median")).status == 422


async def test_task_runs_are_searched_and_have_outputs(client: Client) -> None:
    found = (await client.get(f"{API}/taskruns/search?flowId=daily-sales&state=FAILED&taskId=load&size=5")).json
    assert {(each["taskId"], each["state"]["current"]) for each in found["results"]} == {("load", "FAILED")}
    identifier = client.world.ids["success"]
    run = next(each for each in client.world.orchestrator.views[identifier]["taskRunList"] if each["taskId"] == "extract")
    assert (await client.get(f"{API}/outputs/{identifier}/{run['id']}")).json["rows"] == 1240
    assert (await client.get(f"{API}/outputs/{identifier}/nope")).status == 404


async def test_triggers_in_bulk(client: Client) -> None:
    name = {"namespace": "company.analytics", "flowId": "daily-sales", "triggerId": "every_morning"}
    state = client.world.orchestrator.states["company.analytics", "daily-sales", "every_morning"]
    assert (await client.post(f"{API}/triggers/set-disabled/by-triggers", json={"triggers": [name], "disabled": True})).json == {"count": 1}
    assert state["disabled"] is True
    assert (await client.post(f"{API}/triggers/set-disabled/by-query?triggerId=every_morning&disabled=false")).json == {"count": 1}
    assert state["disabled"] is False
    assert (await client.post(f"{API}/triggers/unlock/by-query?namespace=company")).json == {"count": 2}
    refused = await client.post(f"{API}/triggers/unlock/by-triggers", json=[name, {**name, "triggerId": "nope"}])
    assert (refused.status, [each["path"] for each in refused.json["invalids"]]) == (400, ["company.analytics/daily-sales/nope"])
    assert (await client("PUT", f"{API}/triggers/backfill/create", json={**name, "backfill": {"start": "2026-01-01"}})).status == 200
    for verb in ("pause", "unpause", "delete"):
        assert (await client.post(f"{API}/triggers/backfill/{verb}/by-query")).json == {"count": 1}
    assert (await client.post(f"{API}/triggers/company.analytics/daily-sales/every_morning/restart")).status == 200
    assert [each["abstractTrigger"]["id"] for each in (await client.get(f"{API}/triggers/search?sort=triggerId:desc")).json["results"]] == ["on_order", "every_morning"]
    assert (await client.get(f"{API}/triggers/search?filters[triggerId][STARTS_WITH]=every&filters[namespace][NOT_EQUALS]=x")).json["total"] == 1


async def test_keys_are_searched_inherited_and_expire(client: Client) -> None:
    await client("PUT", f"{API}/namespaces/company/kv/shared", data='"x"')
    await client("PUT", f"{API}/namespaces/company.team/kv/own", data="2")
    found = (await client.get(f"{API}/kv?q=O")).json
    assert {each["key"] for each in found["results"]} == {"cursor", "own"}
    assert all("value" not in each and each["namespace"] == "company.team" for each in found["results"])
    assert (await client.get(f"{API}/kv?namespace=company&size=1")).json["total"] == 3
    assert [(each["namespace"], each["key"]) for each in (await client.get(f"{API}/namespaces/company.team/kv/inheritance")).json] == [("company", "shared")]
    client.world.orchestrator.expired.add(("company.team", "old"))
    assert (await client.get(f"{API}/namespaces/company.team/kv/old")).status == 410


async def test_flows_are_filtered_and_ordered(client: Client) -> None:
    async def ids(query: str) -> list[str]:
        return [each["id"] for each in (await client.get(f"{API}/flows/search?{query}")).json["results"]]

    assert await ids("sort=id:desc") == ["retired", "release", "hello", "everything", "daily-sales"]
    assert await ids("sort=namespace:desc&sort=id:asc") == ["everything", "hello", "release", "retired", "daily-sales"]
    assert await ids("filters[labels][NOT_EQUALS][team]=data") == ["everything", "hello", "release", "retired"]
    assert await ids("filters[labels][CONTAINS][tier]=ol&filters[namespace][ENDS_WITH]=analytics") == ["daily-sales"]
    assert await ids("filters[flowId][IN]=hello,release") == ["hello", "release"]
    assert await ids("scope=SYSTEM") == []


@pytest.mark.parametrize("kind", ["application/x-yaml", "application/json"])
async def test_a_task_or_trigger_is_checked_by_itself(client: Client, kind: str) -> None:
    headers = {"Content-Type": kind}
    good = '{"id": "a", "type": "io.kestra.plugin.core.log.Log", "message": "x"}' if kind.endswith("json") else "id: a\ntype: io.kestra.plugin.core.log.Log\nmessage: x\n"
    verdict = (await client.post(f"{API}/flows/validate/task", data=good, headers=headers)).json
    assert "constraints" not in verdict
    assert verdict["problems"] == []
    bad = (await client.post(f"{API}/flows/validate/task", data=good.replace("log.Log", "log.Lgo"), headers=headers)).json
    assert bad["constraints"] == "Invalid type: io.kestra.plugin.core.log.Lgo"
    assert bad["problems"][0]["line"] == (1 if kind.endswith("json") else 2)
    good = '{"id": "a", "type": "io.kestra.plugin.core.trigger.Schedule", "cron": "@daily"}'
    assert "constraints" not in (await client.post(f"{API}/flows/validate/trigger", data=good, headers=headers)).json
    assert "constraints" in (await client.post(f"{API}/flows/validate/trigger", data=good.replace("@daily", "never"), headers=headers)).json


async def test_files_come_in_ranges(client: Client) -> None:
    identifier = client.world.ids["success"]
    uri = f"kestra:///company/analytics/daily-sales/executions/{identifier}/tasks/extract/orders.csv"
    path, whole = f"{API}/executions/{identifier}/file?path={uri}", client.world.orchestrator.files[uri]
    first = await client.get(path)
    assert (first.status, first.headers["Accept-Ranges"], first.body) == (200, "bytes", whole)

    async def part(asked: str, **more: str) -> tuple[int, bytes, str | None]:
        answered = await client.get(path, headers={"Range": asked, **more})
        return answered.status, answered.body, answered.headers.get("Content-Range")

    size = len(whole)
    assert await part("bytes=0-3") == (206, whole[:4], f"bytes 0-3/{size}")
    assert await part("bytes=4-") == (206, whole[4:], f"bytes 4-{size - 1}/{size}")
    assert await part("bytes=-5") == (206, whole[-5:], f"bytes {size - 5}-{size - 1}/{size}")
    assert await part(f"bytes=2-{size * 9}") == (206, whole[2:], f"bytes 2-{size - 1}/{size}")
    assert (await part(f"bytes={size}-"))[0] == 416
    for odd in ("bytes=0-1,3-4", "lines=1-2", "bytes=5-2", "bytes=-", "bytes=a-b"):
        assert (await part(odd))[:2] == (200, whole), odd
    assert (await part("bytes=0-3", **{"If-Range": '"other"'}))[0] == 200
    assert (await part("bytes=0-3", **{"If-Range": first.headers["ETag"]}))[0] == 206


async def test_executions_that_belong_together_are_followed(client: Client) -> None:
    identifier = client.world.ids["success"]
    answered = await client.get(f"{API}/executions/{identifier}/follow-dependencies")
    assert answered.text.count("id: progress") == 1
    assert f'"executionId":"{identifier}"' in answered.text
    assert answered.text.rstrip().endswith("id: end-all\ndata: {}")


async def test_clients_of_kestra_2_get_problems(client: Client) -> None:
    answered = await client.get(f"{API}/executions/{'x' * 22}", headers={"Accept": "application/problem+json, application/json"})
    assert (answered.status, answered.headers["Content-Type"].partition(";")[0]) == (404, "application/problem+json")
    assert answered.json["type"].endswith("/not-found")
    assert (answered.json["status"], answered.json["instance"]) == (404, f"{API}/executions/{'x' * 22}")
    plain = await client.get(f"{API}/executions/{'x' * 22}")
    assert (plain.json["message"], plain.json["_links"]["self"]["href"]) == (answered.json["detail"], answered.json["instance"])


async def test_plugins_by_group(client: Client) -> None:
    groups = {each["name"]: each for each in (await client.get(f"{API}/plugins/groups/subgroups")).json}
    assert [each["cls"] for each in groups["core.log"]["tasks"]] == ["io.kestra.plugin.core.log.Log"]
    assert "STRING" in {each["type"] for each in (await client.get(f"{API}/plugins/inputs")).json}
    assert (await client.get(f"{API}/plugins/inputs/string")).json["type"] == "STRING"
    assert (await client.get(f"{API}/plugins/inputs/nope")).status == 404
    icons = (await client.get(f"{API}/plugins/icons")).json
    assert icons["io.kestra.plugin.core.log.Log"]["name"] == "Log"
    assert "core.log" in (await client.get(f"{API}/plugins/icons/groups")).json
    assert (await client.get(f"{API}/plugins/schemas/plugindefault?arrayOf=true")).json["type"] == "array"
    dashboard = (await client.get(f"{API}/plugins/schemas/dashboard")).json
    assert {"title", "charts"} <= set(dashboard["properties"])
    assert "$defs" not in str(dashboard)
    configs = (await client.get(f"{API}/configs")).json
    assert (configs["systemNamespace"], configs["preview"]["initial"]) == ("system", 100)
