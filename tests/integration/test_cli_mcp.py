"""`podium mcp` with the protocol's own client over standard input and output, against a real daemon and without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client

sys.path.insert(0, str(Path(__file__).parents[1] / "acceptance"))
from daemon_house import DaemonHouse, daemon_house

GREET = """\
id: greet
namespace: company.team
description: Greets
inputs:
  - {id: name, type: STRING, defaults: world}
  - {id: count, type: INT, defaults: 1}
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: "Hello {{ inputs.name }} \\e[31m"}
outputs:
  - {id: said, type: STRING, value: "Hello {{ inputs.name }} {{ inputs.count }}"}
"""
BROKEN = "id: broken\nnamespace: company.team\ntasks:\n  - {id: a, type: io.kestra.plugin.core.execution.Fail}\n"
READING = {"list_flows", "get_flow", "validate", "plan", "list_executions", "execution", "logs"}


@pytest.fixture
def house(tmp_path: Path, free_port: int) -> Iterator[DaemonHouse]:
    with daemon_house(tmp_path, free_port) as found:
        found.push({"flows/greet.yaml": GREET, "flows/broken.yaml": BROKEN})
        found.deployed("company.team", "greet")
        found.deployed("company.team", "broken")
        yield found


@asynccontextmanager
async def session(*arguments: str, cwd: Path | None = None) -> AsyncIterator[ClientSession]:
    program = str(Path(sys.executable).parent / "podium")
    server = StdioServerParameters(command=program, args=["mcp", *arguments], env=dict(os.environ), cwd=cwd)
    async with stdio_client(server) as (reading, writing), ClientSession(reading, writing) as found:
        await found.initialize()
        yield found


async def call(found: ClientSession, tool: str, **arguments: Any) -> Any:
    answer = await found.call_tool(tool, arguments)
    text = "".join(each.text for each in answer.content if each.type == "text")
    assert not answer.is_error, text
    return json.loads(text)


async def refused(found: ClientSession, tool: str, **arguments: Any) -> str:
    answer = await found.call_tool(tool, arguments)
    assert answer.is_error
    return "".join(each.text for each in answer.content if each.type == "text")


async def test_an_assistant_finds_runs_and_reads_a_flow(house: DaemonHouse) -> None:
    async with session("--home", str(house.home), "--repo", str(house.work)) as found:
        tools = {each.name: each for each in (await found.list_tools()).tools}
        assert set(tools) == READING | {"run"}
        assert all(tools[name].annotations.read_only_hint for name in READING)
        assert not tools["run"].annotations.read_only_hint
        listed = await call(found, "list_flows", query="greet")
        assert [(each["flow"], each["file"]) for each in listed["flows"]] == [("company.team.greet", "flows/greet.yaml")]
        assert (await call(found, "get_flow", flow="company.team.greet"))["source"] == GREET
        ran = await call(found, "run", flow="company.team.greet", inputs={"name": "Ada \"\r\nx", "count": 3}, labels={"by": "assistant"}, wait_s=60)
        assert (ran["state"], ran["ended"], ran["outputs"]["said"]) == ("SUCCESS", True, "Hello Ada \"\r\nx 3")
        log = await call(found, "logs", execution_id=ran["id"])
        assert "INFO say: Hello Ada" in log["log"]
        assert "\x1b" not in log["log"]
        failed = await call(found, "run", flow="company.team/broken")
        assert failed["state"] == "FAILED"
        assert failed["taskRuns"][0]["state"] == "FAILED"
        assert (await call(found, "execution", execution_id=failed["id"]))["state"] == "FAILED"
        some = await call(found, "list_executions", flow="company.team.broken", state="failed,killed")
        assert [each["id"] for each in some["executions"]] == [failed["id"]]
        planned = await call(found, "plan", ref="HEAD", base="HEAD")
        assert planned["changes"] == []


async def test_mistakes_are_said_in_the_words_of_the_daemon(house: DaemonHouse) -> None:
    async with session("--home", str(house.home)) as found:
        assert "there is no flow 'company.team.none'" in await refused(found, "get_flow", flow="company.team.none")
        assert "names no flow" in await refused(found, "run", flow="nonsense")
        assert "count" in await refused(found, "run", flow="company.team.greet", inputs={"count": "many"})
        assert "there is no execution" in await refused(found, "logs", execution_id="x" * 22)
        assert "no log level" in await refused(found, "logs", execution_id=house.execute("company.team", "greet"), min_level="LOUD")
        assert "'LIKE' is no state" in await refused(found, "list_executions", state="like")


async def test_read_only_offers_nothing_that_starts_something(house: DaemonHouse) -> None:
    async with session("--home", str(house.home), "--read-only") as found:
        assert {each.name for each in (await found.list_tools()).tools} == READING
        before = (await call(found, "list_executions"))["total"]
        await refused(found, "run", flow="company.team.greet")
        assert (await call(found, "list_executions"))["total"] == before


async def test_validate_and_plan_need_no_daemon(tmp_path: Path) -> None:
    for command in (["init", "-q", "-b", "main"], ["config", "user.email", "a@b.c"], ["config", "user.name", "a"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "greet.yaml").write_text(GREET, "utf-8")
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    subprocess.run(["git", "commit", "-qm", "one"], cwd=tmp_path, check=True)
    async with session("--home", str(tmp_path / "nowhere"), "--repo", str(tmp_path)) as found:
        assert await call(found, "validate", text=GREET) == {"valid": True, "problems": []}
        bad = await call(found, "validate", text=GREET.replace("core.log.Log", "core.log.Logg"))
        assert "did you mean" in bad["problems"][0]["hint"]
        assert not (await call(found, "validate", text="title: x\ncharts: []\n", file="dashboards/x.yaml"))["valid"]
        assert not (await call(found, "validate", text=""))["valid"]
        planned = await call(found, "plan")
        assert [(each["kind"], each["id"]) for each in planned["changes"]] == [("added", "greet")]
        assert "no daemon answers" in await refused(found, "list_flows")
        assert "there is no commit 'nope'" in await refused(found, "plan", ref="nope")
