"""Expressions that a person tries on an execution: what they see, that secrets stay masks, and that they are bounded; finding lines of a log."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conductor_house import house

from podium.base.errors import InputError, NotFound
from podium.conductor.port import StartRequest
from podium.workers.work import Ended

SECRET = "hunter2planted"
FLOW = """
id: f
namespace: n
inputs: [{id: who, type: STRING, defaults: me}, {id: pass, type: SECRET}]
variables: {table: sales}
tasks:
  - {id: all, type: core.flow.ForEach, values: [a, b], tasks: [{id: say, type: core.debug.Return, format: "{{ taskrun.value }}!"}]}
  - {id: run, type: scripts.shell.Commands, commands: [echo]}
"""


async def test_an_expression_is_tried_on_an_execution_while_it_runs_and_after(tmp_path: Path) -> None:
    """An ended one is read from its events, or what is kept of it."""

    def tell(work: Any) -> Any:
        if work.task.id == "run":
            return None
        now = h.clock.now()
        return Ended(state="SUCCESS", started_at=now, ended_at=now, outputs={"value": f"{work.variables['taskrun']['value']}!"})

    async with house(tmp_path, tell=tell, secrets={"PLANT": SECRET}) as h:
        await h.deploy(FLOW)
        view = await h.podium.start(StartRequest(namespace="n", flow_id="f", inputs={"pass": SECRET}))
        identifier = view["id"]
        while all(work.task.id != "run" for work in h.worker.works):
            await asyncio.sleep(0.01)
        for ended in (False, True):
            if ended:
                await h.podium.kill(identifier)
                view = await h.podium.wait(identifier)
            async def tried(expression: str, run: str | None = None) -> dict[str, str]:
                return await h.podium.evaluate(identifier, expression, task_run_id=run)

            assert await tried("{{ inputs.who }} {{ vars.table }}") == {"result": "me sales"}
            assert await tried("{{ outputs.say.a.value }}") == {"result": "a!"}
            assert await tried("{{ execution.id }}") == {"result": identifier}
            for leak in ("{{ inputs.pass }}", "{{ secret('PLANT') }}", "{{ secret('PLANT') | base64encode }}", "{{ inputs }}"):
                told = str(await tried(leak))
                assert (SECRET not in told and "aGVudGVyM" not in told and "*" in told) or "base64" in leak
            assert (await tried("{{ secret('PLANT') | base64encode }}"))["result"] == "KioqKioqKio=", "the mask is what is encoded"
            run = next(each for each in (await h.podium.execution(identifier))["taskRunList"] if each.get("value") == "b")
            assert await tried("{{ taskrun.value }}", run["id"]) == {"result": "b"}
            failed = await tried("{{ outputs.nothing.there }}")
            assert "nothing" in failed["error"]
            assert failed["stackTrace"]
            assert "calls nothing" in (await tried("{{ http(uri='http://127.0.0.1:1/') }}"))["error"]
            assert "steps" in (await tried("{% for i in range(1, 900000) %}{{ i }}{% endfor %}"))["error"]
            assert "characters" in (await tried("{{ 'x' | replace({'x': 'y'}) }}{% for i in range(1, 9000) %}" + "z" * 200 + "{% endfor %}"))["error"]
        with pytest.raises(NotFound):
            await h.podium.evaluate(identifier, "{{ 1 }}", task_run_id="none")
        with pytest.raises(NotFound):
            await h.podium.evaluate("none", "{{ 1 }}")
        with pytest.raises(InputError):
            await h.podium.evaluate(identifier, "x" * 100_000)


async def test_pages_of_a_log_are_known_and_lines_are_found(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.deploy("id: f\nnamespace: n\ntasks: [{id: a, type: scripts.shell.Commands, commands: [echo]}, {id: b, type: scripts.shell.Commands, commands: [echo]}]")
        ids = [(await h.podium.start(StartRequest(namespace="n", flow_id="f")))["id"] for _ in range(2)]
        for each in ids:
            await h.podium.wait(each)
        lines = await h.podium.logs(ids[0])
        total, after = await h.podium.log_index(ids[0], every=1)
        assert total == len(lines) == len(after)
        pages = [await h.podium.logs(ids[0], after_seq=seq, limit=1) for seq in after]
        assert [page[0] for page in pages] == lines
        assert await h.podium.log_index(ids[0], every=total) == (total, [0]), "a page that is just full begins no other"
        assert await h.podium.log_index(ids[0], every=10, task_id="b") == (1, [0])
        assert await h.podium.log_index(ids[0], every=10, min_level="ERROR") == (0, [0])
        found = await h.podium.log_find(ids[0], "RAN B", limit=10)
        assert [lines[number]["seq"] for number, _ in found] == [seq for _, seq in found] == [lines[1]["seq"]]
        assert await h.podium.log_find(ids[0], "ran", limit=1, task_id="b") == [(0, lines[1]["seq"])]
