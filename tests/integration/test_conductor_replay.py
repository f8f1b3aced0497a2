"""New executions in the place of ended ones: what is taken over, what runs again, what another revision changes (flow-language 9.4, 9.5)."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conductor_house import House, house

from podium.base.errors import ConflictError, InputError, NothingToDo
from podium.conductor.port import StartRequest
from podium.workers.work import Work


def log(name: str) -> str:
    return f"{{id: {name}, type: core.log.Log, message: x}}"


def flow(*tasks: str, more: str = "") -> str:
    return f"id: f\nnamespace: n\n{more}\ntasks:\n" + "\n".join(f"  - {each}" for each in tasks)


class Failing:
    def __init__(self, *tasks: str) -> None:
        self.tasks = set(tasks)
        self.ran: list[str] = []

    def __call__(self, work: Work) -> str:
        value = (work.variables.get("taskrun") or {}).get("value")
        name = work.task.id if value is None else f"{work.task.id}[{value}]"
        self.ran.append(name)
        return "FAILED" if name in self.tasks else "SUCCESS"


async def ended(h: House, view: dict[str, Any]) -> dict[str, Any]:
    return await h.podium.wait(view["id"], timeout_s=60)


def states(view: dict[str, Any]) -> dict[str, str]:
    return {run["taskId"] + (f"[{run['value']}]" if "value" in run else ""): run["state"]["current"] for run in view["taskRunList"]}


async def first(h: House) -> dict[str, Any]:
    return await ended(h, await h.podium.start(StartRequest(namespace="n", flow_id="f")))


async def test_a_restart_on_a_new_revision_goes_on_from_what_failed(tmp_path: Path) -> None:
    tell = Failing("b")
    async with house(tmp_path, tell=tell) as h:
        await h.deploy(flow(log("a"), log("gone"), log("b"), log("c")))
        failed = await first(h)
        await h.deploy(flow(log("new"), log("a"), log("b"), log("c"), log("d")), revision=2)
        tell.tasks.clear()
        tell.ran.clear()
        again = await ended(h, await h.podium.restart(failed["id"], revision=2))
        assert again["id"] != failed["id"]
        assert (again["parentId"], again["flowRevision"], again["state"]["current"]) == (failed["id"], 2, "SUCCESS")
        assert tell.ran == ["b", "c", "d"]
        assert states(again) == {"new": "SKIPPED", "a": "SUCCESS", "b": "SUCCESS", "c": "SUCCESS", "d": "SUCCESS"}
        assert not {run["id"] for run in again["taskRunList"]} & {run["id"] for run in failed["taskRunList"]}


async def test_a_restart_on_a_revision_without_the_failed_task_is_refused(tmp_path: Path) -> None:
    async with house(tmp_path, tell=Failing("b")) as h:
        await h.deploy(flow(log("a"), log("b")))
        failed = await first(h)
        await h.deploy(flow(log("a"), "{id: s, type: core.flow.Sequential, tasks: [" + log("b") + "]}"), revision=2)
        with pytest.raises(ConflictError, match="No task found"):
            await h.podium.restart(failed["id"], revision=2)
        assert dict(h.conductor.in_flight) == {}


NESTED = flow(
    "{id: par, type: core.flow.Parallel, tasks: ["
    f"{{id: left, type: core.flow.Sequential, tasks: [{log('a')}, {log('b')}]}}, "
    f"{{id: right, type: core.flow.Sequential, tasks: [{log('c')}, {log('d')}]}}]}}",
    log("z"),
)


async def test_a_replay_from_one_branch_keeps_the_other(tmp_path: Path) -> None:
    tell = Failing()
    async with house(tmp_path, tell=tell) as h:
        await h.deploy(NESTED)
        done = await first(h)
        tell.ran.clear()
        run = next(each for each in done["taskRunList"] if each["taskId"] == "b")
        again = await ended(h, await h.podium.replay(done["id"], task_run_id=run["id"]))
        assert (again["state"]["current"], tell.ran) == ("SUCCESS", ["b", "z"])
        assert set(states(again).values()) == {"SUCCESS"}
        assert len(again["taskRunList"]) == len(done["taskRunList"])


async def test_a_replay_runs_what_broke_beside_it_again(tmp_path: Path) -> None:
    tell = Failing("d")
    async with house(tmp_path, tell=tell) as h:
        await h.deploy(NESTED)
        failed = await first(h)
        tell.tasks.clear()
        tell.ran.clear()
        run = next(each for each in failed["taskRunList"] if each["taskId"] == "b")
        again = await ended(h, await h.podium.replay(failed["id"], task_run_id=run["id"]))
        assert (again["state"]["current"], sorted(tell.ran)) == ("SUCCESS", ["b", "d", "z"])


@pytest.mark.parametrize(("limit", "ran"), [(1, ["b[1]", "a[2]", "b[2]"]), (0, ["b[1]"])])
async def test_a_replay_inside_a_loop_follows_its_order(tmp_path: Path, limit: int, ran: list[str]) -> None:
    tell = Failing()
    async with house(tmp_path, tell=tell) as h:
        await h.deploy(flow(f"{{id: each, type: core.flow.ForEach, values: ['1', '2'], concurrencyLimit: {limit}, tasks: [{log('a')}, {log('b')}]}}"))
        done = await first(h)
        tell.ran.clear()
        run = next(each for each in done["taskRunList"] if each["taskId"] == "b" and each["value"] == "1")
        again = await ended(h, await h.podium.replay(done["id"], task_run_id=run["id"]))
        assert (again["state"]["current"], tell.ran) == ("SUCCESS", ran)


async def test_a_replay_does_handlers_over_and_a_directory_as_a_whole(tmp_path: Path) -> None:
    tell = Failing()
    async with house(tmp_path, tell=tell) as h:
        await h.deploy(flow(
            log("a"), "{id: w, type: core.flow.WorkingDirectory, tasks: [" + log("b") + ", " + log("c") + "]}", more=f"finally: [{log('f')}]",
        ))
        done = await first(h)
        tell.ran.clear()
        run = next(each for each in done["taskRunList"] if each["taskId"] == "c")
        again = await ended(h, await h.podium.replay(done["id"], task_run_id=run["id"]))
        assert (again["state"]["current"], tell.ran) == ("SUCCESS", ["b", "c", "f"])


INPUTS = """inputs:
  - {id: name, type: STRING}
  - {id: token, type: SECRET, defaults: hush}
  - {id: data, type: JSON, defaults: '"text"'}
  - {id: at.day, type: DATE, defaults: 2026-01-31}"""


async def test_a_replay_takes_other_inputs_and_keeps_those_not_given(tmp_path: Path) -> None:
    async with house(tmp_path, tell=Failing()) as h:
        await h.deploy(flow(log("a"), log("b"), more=INPUTS))
        done = await ended(h, await h.podium.start(StartRequest(namespace="n", flow_id="f", inputs={"name": "one", "token": "quiet"})))
        again = await ended(h, await h.podium.replay(done["id"], inputs={"name": "two"}))
        assert again["inputs"] == {**done["inputs"], "name": "two", "token": again["inputs"]["token"]}
        assert again["parentId"] == done["id"]
        before = len((await h.podium.executions(namespace="n"))[0])
        with pytest.raises(InputError, match=r"Invalid input for `at\.day`"):
            await h.podium.replay(done["id"], inputs={"at.day": "never"}, task_run_id=done["taskRunList"][1]["id"])
        assert len((await h.podium.executions(namespace="n"))[0]) == before


async def test_what_has_nothing_to_work_on_says_so(tmp_path: Path) -> None:
    async with house(tmp_path, tell=Failing()) as h:
        await h.deploy(flow(log("a")))
        done = await first(h)
        for attempt in (h.podium.restart(done["id"]), h.podium.replay(done["id"], task_run_id="nope"), h.podium.force_run(done["id"]),
                        h.podium.unqueue(done["id"])):
            with pytest.raises(NothingToDo):
                await attempt


async def test_one_that_is_queued_begins_or_ends_without_having_run(tmp_path: Path) -> None:
    async with house(tmp_path, tell=Failing()) as h:
        await h.deploy(flow("{id: wait, type: core.flow.Pause}", more="concurrency: {limit: 1}"))
        holder = await h.podium.start(StartRequest(namespace="n", flow_id="f"))
        await paused(h, holder["id"])
        queued = [await h.podium.start(StartRequest(namespace="n", flow_id="f")) for _ in range(3)]
        assert {(await h.podium.execution(each["id"]))["state"]["current"] for each in queued} == {"QUEUED"}
        for each, state in zip(queued, ("CANCELLED", "FAILED"), strict=False):
            assert (await h.podium.unqueue(each["id"], state=state))["state"]["current"] == state  # type: ignore[arg-type]
            assert not (await ended(h, each)).get("taskRunList")
        await h.podium.unqueue(queued[2]["id"])
        await paused(h, queued[2]["id"])


async def paused(h: House, execution_id: str) -> None:
    for _ in range(5_000):
        if (await h.podium.execution(execution_id))["state"]["current"] == "PAUSED":
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never paused")


async def test_killing_one_that_ended_kills_what_it_left_running(tmp_path: Path) -> None:
    async with house(tmp_path, tell=Failing()) as h:
        child = flow("{id: wait, type: core.flow.Pause}").replace("id: f", "id: child", 1)
        await h.deploy(flow("{id: sub, type: core.flow.Subflow, namespace: n, flowId: child, wait: false}"), child)
        done = await first(h)
        child_id = done["taskRunList"][0]["outputs"]["executionId"]
        await paused(h, child_id)
        with pytest.raises(ConflictError, match="already finished"):
            await h.podium.kill(done["id"], cascade=False)
        assert (await h.podium.kill(done["id"]))["state"]["current"] == "SUCCESS"
        assert (await h.podium.wait(child_id, timeout_s=60))["state"]["current"] == "KILLED"
