"""The pages of syncs: what each deployed commit changed, what was refused, and looking for commits by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from web_client import Client, serving
from web_demo import World

COMMIT = "3f8a" * 10
BEFORE = "91ce" * 10


@pytest.fixture
async def client(clock: Any) -> AsyncIterator[Client]:
    world = await World(clock).fill()
    flows = [
        {"namespace": "company.team", "id": "hello", "revision": 4, "path": "team/hello.yaml", "verdict": "accepted"},
        {"namespace": "company.team", "id": "<b>old</b>", "revision": 2, "path": "team/old.yaml", "verdict": "deleted"},
    ]
    problem = {"file": "team/bad.yaml", "line": 3, "column": 7, "message": "Invalid type: <script>", "hint": "did you mean Log?"}
    world.orchestrator.sync_records = [
        {"source": "team", "url": "https://github.com/company/flows", "branch": "main", "commit": COMMIT, "previousCommit": BEFORE, "at": "2026-01-05T08:00:00.000Z",
         "flows": flows, "rejected": [{"path": "team/bad.yaml", "problems": [problem]}], "warnings": [{"file": "a.yaml", "line": 2, "message": "deprecated"}]},
        *({"source": "other", "commit": f"{number:040x}", "at": "2026-01-04T08:00:00.000Z", "flows": []} for number in range(70)),
    ]
    async with serving(world) as made:
        yield made


async def test_one_sync_says_what_its_commit_changed(client: Client) -> None:
    page = (await client.page(f"/syncs/team/{COMMIT}")).text
    for part in (f"https://github.com/company/flows/commit/{COMMIT}", f"/syncs/team/{BEFORE}", "team/bad.yaml:3:7", "did you mean Log?", "git revert 3f8a3f8a", "deprecated",
                 "/flows/company.team/hello?tab=revisions&amp;left=3&amp;right=4", "&lt;b&gt;old&lt;/b&gt;", "Invalid type: &lt;script&gt;"):
        assert part in page, part
    for path in (f"/syncs/team/{BEFORE}", f"/syncs/nope/{COMMIT}"):
        assert (await client.page(path)).status == 404


async def test_syncs_are_paged_and_filtered_by_source(client: Client) -> None:
    everything = (await client.page("/syncs")).text
    assert "Page 1 of 3 · 71 in all" in everything
    assert "1 refused" in everything
    assert "Page 3 of 3 · 70 in all" in (await client.page("/syncs?source=other&page=3")).text
    only = (await client.page("/syncs?source=team")).text
    assert COMMIT[:8] in only
    assert "/syncs/other/" not in only


async def test_a_person_has_a_source_looked_at(client: Client) -> None:
    assert (await client.post("/syncs/team/look")).headers["Location"] == "/syncs"
    assert client.world.sources.notified[-1] == ("team", b"", True)
    assert (await client.post("/syncs/nope/look", headers={"Accept": "text/html"})).status == 404
