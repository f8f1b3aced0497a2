"""A secret that an expression used is masked wherever its value went: children, what flow triggers start, replays, after a crash too."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conductor_house import House, house

from podium.conductor.port import StartRequest
from podium.workers.work import Ended, Work

SECRET = "hunter2planted"
RUN = "{id: run, type: scripts.shell.Commands, commands: [echo]}"
CHILD = f"id: child\nnamespace: n\ninputs: [{{id: x, type: STRING, defaults: no}}]\ntasks: [{RUN}]\noutputs: [{{id: o, type: STRING, value: '{{{{ inputs.x }}}}'}}]\n"
AFTER = f"""
id: after
namespace: n
inputs: [{{id: y, type: STRING}}]
triggers: [{{id: t, type: core.trigger.Flow, inputs: {{y: '{{{{ trigger.outputs.o }}}}'}}, conditions: [
  {{type: core.condition.ExecutionFlow, namespace: n, flowId: child}}]}}]
tasks: [{RUN}]
"""
FLOWS = {
    "a Loop": f"tasks: [{{id: all, type: core.flow.Loop, values: [\"{{{{ secret('PLANT') }}}}\"], tasks: [{RUN}]}}]",
    "what an iteration gives back":
        f"tasks: [{{id: all, type: core.flow.Loop, values: [a], tasks: [{RUN}], outputs: [{{id: o, type: STRING, value: \"{{{{ secret('PLANT') }}}}\"}}]}}]",
    "a Subflow": "tasks: [{id: all, type: core.flow.Subflow, namespace: n, flowId: child, inputs: {x: \"{{ secret('PLANT') }}\"}, wait: true}]",
    "the default of an input": f"inputs: [{{id: x, type: STRING, defaults: \"{{{{ secret('PLANT') }}}}\"}}]\ntasks: [{RUN}]",
    "the values of a ForEach": f"tasks: [{{id: all, type: core.flow.ForEach, values: [\"{{{{ secret('PLANT') }}}}\"], tasks: [{RUN}]}}]",
}


async def shown(h: House, home: Path) -> str:
    """All that is kept for people: records and logs for the branch, lists, views."""
    views = [await h.podium.execution(each["id"]) for each in (await h.podium.executions(size=100))[0]]
    with sqlite3.connect(home / "journal.db") as raw:
        kept = [row for table in ("queue", "executions", "logs") for row in raw.execute(f"SELECT * FROM {table}").fetchall()]
    return f"{views}{kept}"


async def settled(h: House, count: int) -> None:
    for _ in range(5_000):
        if len(h.conductor.in_flight) == 0 and len((await h.podium.executions(size=100))[0]) >= count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("executions do not end")


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("flow", FLOWS)
async def test_a_secret_is_masked_wherever_it_went(tmp_path: Path, flow: str, crash: bool) -> None:
    """After the crash the secret's store does not have it any more: what was used stays masked."""
    begun: list[str] = []

    def tell(work: Work) -> Any:
        begun.append(work.attempt_id)
        return None if crash else "SUCCESS"

    async with house(tmp_path, tell=tell, secrets={"PLANT": SECRET}) as h:
        await h.deploy(f"id: f\nnamespace: n\n{FLOWS[flow]}\n", CHILD, AFTER)
        execution_id = str((await h.podium.start(StartRequest(namespace="n", flow_id="f")))["id"])
        while not begun:
            await asyncio.sleep(0.01)
        if not crash:
            await settled(h, 3 if flow == "a Subflow" else 1)
            assert SECRET not in await shown(h, tmp_path)
            await h.podium.replay(execution_id)
            await settled(h, 4 if flow == "a Subflow" else 2)
            assert SECRET not in await shown(h, tmp_path)
    environ = {"PLANT": SECRET} if flow == "what an iteration gives back" else {}
    async with house(tmp_path, secrets=environ) as h:
        await h.podium.wait(execution_id, timeout_s=60)
        await settled(h, 1)
        everything = await shown(h, tmp_path)
        assert SECRET not in everything
        assert "********" in everything or flow == "the values of a ForEach", "it was there to be masked"


async def test_an_output_that_holds_a_secret_is_masked_after_a_crash(tmp_path: Path) -> None:
    """The worker learns the secret, its output enters the journal, and the process is gone."""
    def tell(work: Work) -> Any:
        if work.task.id != "first":
            return None
        assert work.redactor is not None
        work.redactor.add([SECRET])
        now = h.clock.now()
        return Ended(state="SUCCESS", started_at=now, ended_at=now, outputs={"value": SECRET})

    async with house(tmp_path, tell=tell) as h:
        await h.deploy(f"id: f\nnamespace: n\ntasks:\n  - {{id: first, type: scripts.shell.Commands, commands: [x]}}\n  - {RUN}\n")
        execution_id = str((await h.podium.start(StartRequest(namespace="n", flow_id="f")))["id"])
        while len(h.worker.works) < 2:
            await asyncio.sleep(0.01)
    async with house(tmp_path) as again:
        await again.podium.wait(execution_id, timeout_s=60)
        view = await again.podium.execution(execution_id)
        assert view["taskRunList"][0]["outputs"] == {"value": "********"}
        assert SECRET not in await shown(again, tmp_path)
        stream = await again.conductor.read_back(execution_id)
        assert stream.state.outputs is not None
        assert SECRET not in str(stream.state.secrets), "it is kept encrypted"
