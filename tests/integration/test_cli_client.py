"""The commands that talk to a daemon, against a served application: what they print, their exit codes, streams that break."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from podium.conductor.port import StartRequest
from podium.web.server import serve
from web_client import streaming
from web_demo import EVIL, World

TOKEN = "a-token-that-is-long-enough"


class Shell:
    """Runs `podium …` as a process against one home, without stopping the test's loop."""

    def __init__(self, world: World, home: Path) -> None:
        self.world, self.home = world, home

    async def __call__(self, *arguments: str, code: int = 0, stdin: str = "", own: bool = True, env: dict[str, str] | None = None) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "podium", *arguments, *(["--home", str(self.home)] if own else []), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**os.environ, **(env or {})}, cwd=self.home,
        )
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 60)
        self.err = err.decode()
        assert process.returncode == code, f"exit {process.returncode}\n{out.decode()}\n{self.err}"
        return out.decode()

    async def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(await self(*arguments, "--output", "json", code=code))


@pytest.fixture
async def podium(clock: Any, tmp_path: Path) -> AsyncIterator[Shell]:
    world = await World(clock).fill()
    app = world.app(token=TOKEN)
    async with serve(app, port=0, unix_socket=tmp_path / "podium.sock") as listening:
        shell = Shell(world, tmp_path)
        shell.url, shell.app = str(listening.url), app  # type: ignore[attr-defined]
        yield shell


async def test_executions_are_listed_and_shown(podium: Shell) -> None:
    ids = podium.world.ids
    text = await podium("executions", "list", "--state", "FAILED", "--namespace", "company", "--flow", "daily-sales", "--label", "run:manual")
    assert ids["failed"] in text
    assert "company.analytics.daily-sales" in text
    assert text.count("\n") == 2
    found = await podium.json("executions", "list", "--since", "PT10M", "--limit", "2")
    assert (len(found["results"]), found["total"]) == (2, 4)
    await podium("executions", "list", "--query", "nothing-like-it")
    assert "no execution matches" in podium.err
    text = await podium("executions", "show", ids["failed"])
    assert "FAILED  company.analytics.daily-sales revision 2" in text
    assert "    load" in text or "  load" in text
    assert "duplicate key" in text
    assert (await podium.json("executions", "show", ids["failed"]))["id"] == ids["failed"]


async def test_an_execution_is_started_with_inputs_and_files(podium: Shell) -> None:
    (podium.home / "data.csv").write_bytes(b"a,b\r\n1,2\r\n")
    found = await podium.json(
        "executions", "start", "company.team.everything", "--input", "name=Ada = x", "--input", "file=@data.csv", "--label", "team:x"
    )
    assert found["state"]["current"] == "CREATED"
    assert found["inputs"]["name"] == "Ada = x"
    assert podium.world.orchestrator.files[found["inputs"]["file"]] == b"a,b\r\n1,2\r\n"
    assert podium.world.orchestrator.requests[-1].labels == {"team": "x"}
    await podium("executions", "start", "company.team.everything", "--input", "count=99", code=4)
    assert "missing required input" in podium.err
    await podium("executions", "start", "company.team.everything", "--input", "file=@gone", code=2)
    await podium("executions", "start", "nonsense", code=2)
    await podium("executions", "start", "company.team.nope", code=1)
    assert "no flow" in podium.err


async def test_an_execution_is_followed_to_its_end(podium: Shell) -> None:
    orchestrator = podium.world.orchestrator
    view = await orchestrator.start(StartRequest(namespace="company.team", flow_id="hello"))

    async def run() -> None:
        await streaming(podium.app, view["id"])  # type: ignore[attr-defined]
        orchestrator.move(view["id"], "RUNNING")
        orchestrator.log(view["id"], "\x1b[2J\x1b[31mred\x1b[0m one", level="WARN")
        await asyncio.sleep(0.3)
        orchestrator.move(view["id"], "FAILED")

    task = asyncio.create_task(run())
    text = await podium("executions", "follow", view["id"], code=1)
    await task
    assert "WARN" in text
    assert "red one" in text
    assert "\x1b" not in text, "what a task wrote must not drive the terminal"
    assert f"{view['id']} FAILED" in text


async def test_logs(podium: Shell) -> None:
    identifier = podium.world.ids["failed"]
    text = await podium("executions", "logs", identifier, "--level", "warn")
    assert "duplicate key" in text
    assert "1240 rows" not in text
    entries = [json.loads(line) for line in (await podium("executions", "logs", identifier, "--output", "json")).splitlines()]
    assert [each["seq"] for each in entries] == [1, 2, 3, 4, 5]
    assert (await podium("executions", "logs", identifier, "--task", "extract", "--follow")).count("\n") == 2
    assert EVIL in await podium("executions", "logs", identifier)


async def test_actions(podium: Shell) -> None:
    ids = podium.world.ids
    assert "PAUSED" in await podium("executions", "pause", ids["running"])
    assert "RUNNING" in await podium("executions", "resume", ids["running"])
    assert "KILLED" in await podium("executions", "kill", ids["running"])
    assert "KILLED" in await podium("executions", "kill", ids["running"]), "again, for what it started"
    await podium("executions", "kill", ids["running"], "--only", code=4)
    assert "already finished" in podium.err
    assert "RESTARTED" in await podium("executions", "restart", ids["failed"])
    assert (await podium.json("executions", "replay", ids["success"]))["parentId"] == ids["success"]
    await podium("executions", "resume", ids["paused"], "--input", "approved=true")
    assert podium.world.orchestrator.views[ids["paused"]]["resumed"] == {"approved": "true"}
    await podium("executions", "show", "nope", code=1)
    assert "hint:" in podium.err


async def test_flows(podium: Shell) -> None:
    text = await podium("flows", "list", "--namespace", "company.team")
    assert "company.team.retired (disabled)" in text
    text = await podium("flows", "show", "company.analytics.daily-sales")
    assert "from analytics/daily-sales.yaml at commit 02c0ffee" in text
    assert "every_morning" in text
    assert [each["revision"] for each in await podium.json("flows", "revisions", "company.analytics/daily-sales")] == [2, 1]
    assert "tier: silver" in await podium("flows", "source", "company.analytics.daily-sales", "--revision", "1")
    text = await podium("flows", "rejected", code=1)
    assert "team/broken.yaml:6:11: Invalid type: io.kestra.plugin.core.log.Lgo" in text
    podium.world.orchestrator.refused = []
    assert await podium("flows", "rejected") == ""


async def test_triggers(podium: Shell) -> None:
    name = ("company.analytics.daily-sales", "every_morning")
    text = await podium("triggers", "list")
    assert "every_morning" in text
    assert "Schedule" in text
    assert "is off" in await podium("triggers", "disable", *name)
    assert "is on" in await podium("triggers", "enable", *name)
    made = await podium.json("triggers", "backfill", *name, "--start", "2026-01-01", "--input", "day=2026-01-01", "--label", "why=gap")
    assert made["backfill"]["inputs"] == {"day": "2026-01-01"}
    assert made["backfill"]["labels"] == {"why": "gap"}
    assert "paused" in await podium("triggers", "pause", *name)
    assert "paused" not in await podium("triggers", "resume", *name)
    assert "backfill" not in await podium("triggers", "pause", *name, "--end")
    await podium("triggers", "enable", name[0], "nope", code=1)
    await podium("triggers", "backfill", *name, "--start", "soon", code=4)


async def test_keys(podium: Shell) -> None:
    where = ("company.team", "k")
    await podium("kv", "set", *where, '{"a": [1, "é"]}')
    assert await podium.json("kv", "get", *where) == {"type": "JSON", "value": {"a": [1, "é"]}}
    assert await podium("kv", "get", *where) == '{"a": [1, "é"]}\n'
    await podium("kv", "set", *where, "plain words", "--ttl", "PT1H")
    assert await podium("kv", "get", *where) == "plain words\n"
    await podium("kv", "set", *where, "12", "--type", "string")
    assert (await podium.json("kv", "get", *where))["value"] == "12"
    await podium("kv", "set", *where, "-", stdin="from a pipe")
    assert await podium("kv", "get", *where) == "from a pipe\n"
    assert "cursor" in await podium("kv", "list", "company.team")
    await podium("kv", "delete", *where)
    await podium("kv", "delete", *where, code=1)
    await podium("kv", "get", *where, code=1)
    await podium("kv", "set", "company.team", "-bad", "1", code=2)
    await podium("kv", "set", *where, "x", "--ttl", "soon", code=4)


async def test_a_daemon_elsewhere_needs_its_token(podium: Shell, tmp_path: Path) -> None:
    url = podium.url  # type: ignore[attr-defined]
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\nsecond line\n")
    assert "hello" in await podium("flows", "list", "--url", url, "--token-file", str(token), own=False)
    await podium("flows", "list", "--url", url, "--token", "wrong", own=False, code=4)
    assert TOKEN not in podium.err
    await podium("flows", "list", "--url", "ftp://x", "--token", "x", own=False, code=2)
    await podium("flows", "list", "--url", "http://127.0.0.1:9", "--token", "x", own=False, code=3)


async def test_without_a_daemon_the_exit_code_is_3_and_says_what_to_do(clock: Any, tmp_path: Path) -> None:
    shell = Shell(World(clock), tmp_path)
    for command in (["flows", "list"], ["executions", "follow", "x"], ["kv", "get", "a", "b"]):
        await shell(*command, code=3)
        assert "no daemon answers" in shell.err
        assert "podium serve" in shell.err
    await Shell(World(clock), tmp_path)("flows", "list", "--home", str(tmp_path / "gone"), own=False, code=3)


async def test_the_home_of_the_settings_is_used(podium: Shell) -> None:
    assert "hello" in await podium("flows", "list", own=False, env={"PODIUM_HOME": str(podium.home)})


async def test_a_deep_home_is_no_problem(clock: Any, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90) / ("e" * 90)
    deep.mkdir(parents=True)
    world = await World(clock).fill()
    async with serve(world.app(), host=None, unix_socket=deep / "podium.sock"):
        assert "hello" in await Shell(world, deep)("flows", "list")


async def test_following_survives_a_restart_of_the_daemon(clock: Any, tmp_path: Path) -> None:
    world = await World(clock).fill()
    orchestrator, identifier = world.orchestrator, world.ids["running"]
    shell = Shell(world, tmp_path)
    app = world.app()
    async with serve(app, host=None, unix_socket=tmp_path / "podium.sock"):
        task = asyncio.create_task(shell("executions", "follow", identifier, "--output", "json"))
        await streaming(app, identifier)
    async with serve(world.app(), host=None, unix_socket=tmp_path / "podium.sock"):
        orchestrator.log(identifier, "after the restart")
        await asyncio.sleep(0.5)
        orchestrator.move(identifier, "SUCCESS")
        lines = [json.loads(line) for line in (await task).splitlines()]
    assert [each.get("message") for each in lines] == ["Hello", "after the restart", None], "each line once"
    assert lines[-1]["state"]["current"] == "SUCCESS"
