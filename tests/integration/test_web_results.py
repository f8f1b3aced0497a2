"""Pages of the results branch over a real one: what is on it, folders down to a record, what waits, checking it, and that it stays quick when it is large."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from records_driver import execution

from podium.base.ports import QueuedFile
from podium.base.system import base62
from podium.base.system.clock import SystemClock
from podium.git.repo import Repository
from podium.records.branch import Branch
from podium.records.browsing.browser import ResultsBrowser
from podium.records.layout import record_path
from podium.records.read import ResultsReader
from web_client import Client, serving
from web_demo import World

AT = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


def id_at(at: datetime, number: int = 0) -> str:
    return base62.encode((int(at.timestamp() * 1000) << base62.TAIL_BITS) | (number + 1))


class Filled:
    """A branch and its browser."""

    def __init__(self, home: Path, key: Path | None = None) -> None:
        self.repository = Repository.init_bare(home / "results.git")
        self.branch = Branch(self.repository, branch="results", url=None, credentials=None, instance="test", signing_key=key)
        self.branch.continue_after(0)
        self.status: dict[str, Any] = {"unpushed": 0, "oldest_s": None, "error": None, "hint": None, "pushed_at": AT}
        self.pushed = 0
        self.browser = ResultsBrowser(
            self.repository, ResultsReader(self.repository), branch="results", remote="https://me:word@git.example.org/a/results.git", rotate="never",
            sign_key=key, home=home, clock=SystemClock(), status=self._status, push=self._push,
        )

    async def _status(self) -> Mapping[str, Any]:
        return self.status

    def _push(self) -> None:
        self.pushed += 1

    def add(self, count: int, *, at: datetime = AT, namespace: str = "etl", state: str = "SUCCESS") -> list[str]:
        """One commit of so many records."""
        made = [id_at(at, number) for number in range(count)]
        files = []
        for number, each in enumerate(made):
            body, _ = execution(each, "daily", state)
            body = body.replace(b'"namespace": "etl"', f'"namespace": "{namespace}"'.encode())
            summary = {"id": each, "namespace": namespace, "flowId": "daily", "state": state}
            files.append(QueuedFile(seq=number + 1, path=record_path(each, namespace, "daily"), body=body, kind="execution", summary=summary))
        self.branch.commit(files, at)
        return made


async def serve_with(filled: Filled, clock: Any, act: Any) -> None:
    async with serving(await World(clock).fill(), results=filled.browser) as client:
        await act(client)
    await filled.browser.close()
    filled.repository.close()


async def test_the_branch_is_read_from_its_commits_down_to_a_record(tmp_path: Path, clock: Any) -> None:
    filled = Filled(tmp_path)
    first = filled.add(2)[0]
    filled.add(1, at=AT + timedelta(hours=1), state="FAILED")

    async def act(client: Client) -> None:
        page = (await client.page("/results")).text
        assert "git.example.org" in page
        assert "word" not in page.split("<main")[1], "a password of the remote is not shown"
        assert "1 FAILED (etl.daily)" in page
        assert "Everything is on the remote" in page
        assert first in page, "what a commit holds leads to the executions"
        assert "git clone --branch results" in page
        for path, wanted in (("", "executions"), ("executions/2026/01/05", "09"), ("executions/2026/01/05/08/etl/daily", f"{first}.json")):
            assert wanted in (await client.page(f"/results/browse?branch=results&path={path}")).text
        record = (await client.page(f"/results/browse?branch=results&path=executions/2026/01/05/08/etl/daily/{first}.json")).text
        assert "&#34;schema&#34;" in record
        assert f'href="/executions/{first}"' in record
        assert "08" in (await client.page("/results/browse?branch=results&day=2026-01-05")).text
        for wrong in ("branch=results&path=nope", "branch=nope", "branch=results&day=x", "branch=results&path=../..", "branch=results&path=a%0Ab", "branch=results&path=-x", "branch=results&path=executions/x.json"):
            assert (await client.page(f"/results/browse?{wrong}")).status == 404, wrong
        assert (await client.page("/results?branch=nope&start=" + "0" * 40)).status == 404

    await serve_with(filled, clock, act)


async def test_what_waits_is_said_and_pushed_again(tmp_path: Path, clock: Any) -> None:
    filled = Filled(tmp_path)
    filled.add(1)
    filled.status |= {"unpushed": 3, "oldest_s": 65.0, "error": "<b>the remote is away</b>", "hint": "wait"}

    async def act(client: Client) -> None:
        page = (await client.page("/results")).text
        assert "3 files wait, the oldest for 1 min 5 s" in page
        assert "&lt;b&gt;the remote is away" in page
        assert (await client.post("/results/push", headers={"Origin": client.url})).headers["Location"] == "/results"
        assert filled.pushed == 1

    await serve_with(filled, clock, act)


async def test_the_branch_is_checked_behind_the_page(tmp_path: Path, clock: Any) -> None:
    filled = Filled(tmp_path)
    filled.add(3)

    async def checked(client: Client) -> str:
        assert (await client.post("/results/verify", headers={"Origin": client.url})).status == 303
        async with asyncio.timeout(60):
            while (text := (await client.page("/results")).text).find("All is well") < 0 and "problems in" not in text:
                await asyncio.sleep(0.05)
        return text

    async def act(client: Client) -> None:
        assert "Not verified" in (await client.page("/results")).text
        assert "3 records in" in await checked(client)
        tip = filled.branch.tip("results")
        filled.repository.commit(ref="refs/heads/results", parent=tip, changes={"executions/stray.txt": b"x"}, message="mine\n", at=AT)
        filled.branch.forget()
        text = await checked(client)
        assert "1 problems in" in text
        assert "does not belong in executions/" in text

    await serve_with(filled, clock, act)


async def test_a_signed_record_says_by_whom(tmp_path: Path, clock: Any) -> None:
    import subprocess

    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    key.with_name("key.pub").unlink()
    filled = Filled(tmp_path, key)
    made = filled.add(1)[0]
    path, tip = f"executions/2026/01/05/08/etl/daily/{made}.json", str(filled.branch.tip("results"))
    found = await filled.browser.origin(path, tip)
    assert found is not None
    assert found["signature"] == {"state": "good", "by": "this daemon's key"}
    assert found["executions"] == "1"

    async def act(client: Client) -> None:
        orchestrator = client.world.orchestrator
        identifier = client.world.ids["success"]
        orchestrator.records[identifier] |= {"path": path, "commit": tip}
        page = (await client.page(f"/executions/{identifier}?tab=record")).text
        assert "signed and verified" in page
        assert f"https://git.example.org/a/results/commit/{found['commit']}" in page

    await serve_with(filled, clock, act)


@pytest.mark.slow
async def test_pages_stay_quick_with_a_hundred_thousand_records(tmp_path: Path, clock: Any) -> None:
    """A page reads a bounded part: it may take three times what it takes with a hundredth of that."""
    filled = Filled(tmp_path)

    async def took(client: Client, path: str) -> float:
        times = []
        for _ in range(7):
            started = time.perf_counter()
            assert (await client.page(path)).status == 200
            times.append(time.perf_counter() - started)
        return statistics.median(times)

    async def act(client: Client) -> None:
        paths = ("/results", "/results/browse?branch=results&path=executions/2026/01/05/08/etl/daily", "/results/browse?branch=results&path=executions")
        filled.add(1_000)
        await asyncio.to_thread(lambda: None)
        few = {path: await took(client, path) for path in paths}
        for number in range(99):
            await asyncio.to_thread(filled.add, 1_000, at=AT + timedelta(minutes=number // 8, seconds=number + 1))
        for path in paths:
            assert await took(client, path) < max(3 * few[path], 0.1), path

    await serve_with(filled, clock, act)
