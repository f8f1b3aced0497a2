"""The page of one flow and of triggers over HTTP: every tab, the lines for a shell, comparisons, what is written back, filters, progress of backfills."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from podium.base.system.ids import new_id
from podium.conductor.port import StartRequest
from podium.web.pages.flows.history import side_by_side
from podium.web.pages.flows.tabs import TERMINAL, bars
from podium.web.pages.text import difference
from podium.web.pages.triggers.rows import COUNTED_MAX, _count, _Dates
from web_client import Client, serving
from web_demo import EVIL, HELLO, World

FLOW = "/flows/company.analytics/daily-sales"
FORM = "/flows/company.team/everything"


@pytest.fixture
async def client(clock: Any) -> AsyncIterator[Client]:
    async with serving(await World(clock).fill()) as made:
        yield made


@pytest.mark.parametrize(
    ("tab", "words"),
    [
        ("overview", ["yesterday", "92 %", "duplicate key value", "every_morning", "How long the last"]), ("topology", ["data-topology", "per_region", "alert"]),
        ("source", ["analytics/daily-sales.yaml", "L1"]), ("revisions", ["revision 1", "git checkout", "tier: silver"]), ("executions", ["Failed", "Success"]),
        ("triggers", ["every_morning", "on_order", "Backfill"]), ("dependencies", ["It stands alone"]), ("metrics", []),
        ("logs", ["duplicate key value", "1240 rows fetched"]), ("run", ["The day to load", "podium executions start company.analytics.daily-sales", "curl -X POST"]),
    ],
)
async def test_every_tab(client: Client, tab: str, words: list[str]) -> None:
    page = await client.page(f"{FLOW}?tab={tab}")
    assert page.status == 200
    for word in words:
        assert word in page.text
    assert EVIL not in page.text


async def test_an_unknown_tab_or_flow_is_not_there(client: Client) -> None:
    assert (await client.page(f"{FLOW}?tab=nothing")).status == 404
    assert (await client.page("/flows/company.team/nothing")).status == 404


async def test_a_flow_that_never_ran_says_what_to_do(client: Client) -> None:
    client.world.orchestrator.install(HELLO.replace("id: hello", "id: fresh").replace("company.team", "company.fresh"))
    for tab, words in (("overview", "It has not run yet"), ("executions", "It has not run yet"), ("triggers", "Nothing starts this flow"), ("logs", "No line yet"), ("metrics", "no numbers")):
        assert words in (await client.page(f"/flows/company.fresh/fresh?tab={tab}")).text


async def test_dependencies_are_a_graph_and_a_table(client: Client) -> None:
    client.world.orchestrator.install(
        HELLO.replace("id: hello", "id: parent") + "  - {id: next, type: io.kestra.plugin.core.flow.Subflow, namespace: company.team, flowId: hello}\n"
        "  - {id: gone, type: io.kestra.plugin.core.flow.Subflow, namespace: company.team, flowId: not-there}\n"
    )
    page = await client.page("/flows/company.team/hello?tab=dependencies")
    assert "by the task next" in page.text
    assert 'href="/flows/company.team/parent"' in page.text
    assert "Not deployed" in (await client.page("/flows/company.team/parent?tab=dependencies&all=true")).text


async def test_a_run_begins_with_the_inputs_of_an_earlier_one(client: Client) -> None:
    orchestrator = client.world.orchestrator
    before = await orchestrator.start(StartRequest(
        namespace="company.team", flow_id="everything", labels={"team": "data"},
        inputs={"name": "Ada's", "count": 7, "tags": ["red", "blue"], "json": {"a": [1]}, "password": "hunter2", "day": "2026-02-03"},
    ))
    page = await client.page(f"{FORM}?tab=run&from={before['id']}")
    assert 'value="Ada&#39;s"' in page.text
    assert "team:data" in page.text
    assert "--form-string &#39;name=Ada&#39;&#34;&#39;&#34;&#39;s&#39;" in page.text
    assert '&#34;password=$PASSWORD&#34;' in page.text
    assert "hunter2" not in page.text
    other = await client.page(f"{FORM}?tab=run&from={client.world.ids['failed']}")
    assert other.status == 404
    assert (await client.page(f"{FORM}?tab=run")).text.count("Fill in the inputs of the last run") == 1


async def test_a_flow_is_exported_and_cannot_be_written_without_a_repository(client: Client) -> None:
    text = await client.page(f"{FLOW}/export")
    assert text.body.decode() == (await client.get("/api/v1/flows/company.analytics/daily-sales?source=true")).json["source"]
    assert "company.analytics.daily-sales.yml" in text.headers["Content-Disposition"]
    assert "tier: silver" in (await client.page(f"{FLOW}/export?revision=1")).text
    for verb in ("restore", "disable", "delete", "explode"):
        assert (await client.post(f"{FLOW}/change/{verb}", data={"_revision": "1"}, headers={"Accept": "text/html", "Origin": client.url})).status == 409


async def test_triggers_are_filtered(client: Client) -> None:
    async def rows(query: str) -> int:
        return (await client.page(f"/triggers?{query}")).text.count("data-row=")

    assert await rows("") == 2
    assert await rows("q=on_order") == 1
    assert await rows("type=io.kestra.plugin.core.trigger.Schedule") == 1
    assert await rows("namespace=company.team") == 0
    assert await rows("state=off") == 0
    await client.post("/triggers/company.analytics/daily-sales/every_morning/disable", headers={"Origin": client.url})
    assert (await rows("state=off"), await rows("state=on"), await rows("state=backfill")) == (1, 1, 0)
    assert "No trigger matches" in (await client.page("/triggers?q=zzz")).text


async def test_a_backfill_takes_inputs_and_shows_how_far_it_is(client: Client) -> None:
    base = "/triggers/company.analytics/daily-sales/every_morning"
    more = {"_start": "2026-01-01T00:00", "_end": "2026-01-11T00:00", "_inputs": "day: 2026-01-02\nregions: [north]\n", "_labels": "why:repair"}
    assert (await client.post(f"{base}/backfill", data=more, headers={"Origin": client.url})).status == 303
    state = client.world.orchestrator.states["company.analytics", "daily-sales", "every_morning"]
    assert (state["backfill"]["inputs"], state["backfill"]["labels"]) == ({"day": "2026-01-02", "regions": ["north"]}, {"why": "repair"})
    state["backfill"] |= {"currentDate": "2026-01-05T05:00:00.000Z", "id": new_id()}
    page = (await client.page("/triggers")).text
    assert "4 of 10 dates" in page
    assert "0 failed" in page
    await client.post(f"{base}/end-backfill", headers={"Origin": client.url})
    for wrong in ("a: [", "- 1", "a: 1\na: 2", "a: 1\n---\nb: 1"):
        answer = await client.post(f"{base}/backfill", data={"_start": "2026-01-01T00:00", "_inputs": wrong}, headers={"Accept": "text/html", "Origin": client.url})
        assert answer.status == 400


def test_dates_are_counted_up_to_a_bound() -> None:
    hourly = _Dates(cron="0 * * * *", with_seconds=False, zone="UTC")
    assert _count(hourly, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 23, 59, tzinfo=UTC)) == 24
    every = _Dates(cron="* * * * * *", with_seconds=True, zone="UTC")
    assert _count(every, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)) == COUNTED_MAX + 1


def test_sides_stand_beside_each_other() -> None:
    lines = difference("a\nb\nc\nd\n", "a\nB\nC\nx\nd\n")
    assert lines is not None
    rows = [(each.kind, each.old.text if each.old else None, each.new.text if each.new else None) for each in side_by_side(lines)]
    assert rows == [("same", "a", "a"), ("changed", "b", "B"), ("changed", "c", "C"), ("added", None, "x"), ("same", "d", "d")]
    gone = difference("a\nb\n", "a\n")
    assert gone is not None
    assert [each.kind for each in side_by_side(gone)] == ["same", "removed"]


def test_bars_are_as_high_as_the_executions_were_long(clock: Any) -> None:
    def view(seconds: int) -> dict[str, Any]:
        return {"id": f"e{seconds}", "state": {"current": "SUCCESS", "startDate": "2026-01-01T00:00:00.000Z", "endDate": f"2026-01-01T00:00:{seconds:02}.000Z"}}

    found = bars([view(20), view(10), view(0)], clock.now())
    assert [(each.id, each.height) for each in found] == [("e0", 3.0), ("e10", 50.0), ("e20", 100.0)]
    assert "SUCCESS" in TERMINAL
    assert bars([], clock.now()) == []
