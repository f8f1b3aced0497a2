"""Loop over a real database: isolated iterations, outputs from above, crashes in between, restarts, lists that leave them out."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conductor_house import House, house

from podium.base.errors import ConflictError, StoreError
from podium.conductor.port import StartRequest
from podium.workers.work import Work

COMMAND = "{id: run, type: scripts.shell.Commands, commands: [echo]}"


def flow(loop: str, before: str = "", more: str = "") -> str:
    return f"id: f\nnamespace: n\n{more}\ntasks:\n{before}  - {{id: all, type: core.flow.Loop, {loop}}}\n"


async def start(h: House, **more: Any) -> str:
    return str((await h.podium.start(StartRequest(namespace="n", flow_id="f", **more)))["id"])


def loop_run(view: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(run for run in view["taskRunList"] if run["taskId"] == "all")
    return found


async def iterations(h: House, execution_id: str) -> list[dict[str, Any]]:
    found, _ = await h.podium.executions(trigger_execution_id=execution_id, size=100, sort="id:asc")
    return sorted(found, key=lambda each: int(each["loopRun"]["index"]))


async def test_iterations_are_executions_of_their_own_that_lists_leave_out(tmp_path: Path) -> None:
    seen: list[tuple[Any, Any, Any, Any]] = []

    def tell(work: Work) -> str:
        if work.task.id == "run":
            known = work.variables
            seen.append((known["item"]["value"], known["outputs"]["first"]["value"], known["inputs"]["who"], known["labels"]["team"]))
        return "SUCCESS"

    async with house(tmp_path, tell=tell) as h:
        before = "  - {id: first, type: core.debug.Return, format: hello}\n"
        await h.deploy(flow(f"values: [a, b, c], tasks: [{COMMAND}]", before, "inputs: [{id: who, type: STRING}]\nconcurrency: {limit: 1}\n"))
        h.worker.tell = lambda work: tell(work) if work.task.id != "first" else _returned(h, work)
        execution_id = await start(h, inputs={"who": "me"}, labels={"team": "blue"})
        ended = await h.podium.wait(execution_id, timeout_s=60)
        assert ended["state"]["current"] == "SUCCESS"
        assert sorted(seen) == [(each, "hello", "me", "blue") for each in "abc"]
        assert [run["taskId"] for run in ended["taskRunList"]] == ["first", "all"]
        listed, total = await h.podium.executions(namespace="n")
        assert (total, [each["id"] for each in listed]) == (1, [execution_id])
        found = await iterations(h, execution_id)
        assert [(each["kind"], each["loopRun"]["value"], each["state"]["current"]) for each in found] == [
            ("LOOP", value, "SUCCESS") for value in "abc"
        ]
        with pytest.raises(ConflictError, match="iteration of a Loop"):
            await h.podium.replay(found[0]["id"])


def _returned(h: House, work: Work) -> Any:
    from podium.workers.work import Ended

    now = h.clock.now()
    return Ended(state="SUCCESS", started_at=now, ended_at=now, outputs={"value": "hello"})


async def test_a_crash_in_the_middle_loses_and_doubles_no_iteration(tmp_path: Path) -> None:
    text = flow("values: '{{ range(0, 39) }}', concurrencyLimit: 7, outputs: [{id: o, type: STRING, value: '{{ item.value }}'}], "
                f"tasks: [{COMMAND}]")
    begun: list[str] = []
    for crash in (5, 12, 25):
        def tell(work: Work, after: int = crash) -> str | None:
            if not work.started:
                begun.append(work.attempt_id)
            return None if len(begun) > after else "SUCCESS"

        async with house(tmp_path, tell=tell) as h:
            if crash == 5:
                await h.deploy(text)
                execution_id = await start(h)
            for _ in range(5_000):
                if len(begun) > crash + 2:
                    break
                await asyncio.sleep(0.01)
    async with house(tmp_path, tell=lambda work: "SUCCESS") as h:
        ended = await h.podium.wait(execution_id, timeout_s=60)
        outputs = loop_run(ended)["outputs"]
        assert (ended["state"]["current"], outputs["terminatedIterations"]) == ("SUCCESS", {"SUCCESS": 40})
        assert sorted(int(each["outputs"]["o"]) for each in outputs["outputs"]) == list(range(40))
        assert len(await iterations(h, execution_id)) == 40
    assert len(begun) == len(set(begun)), "no attempt began twice"


async def test_a_restart_after_the_end_restarts_the_failed_iteration_with_the_outputs_from_above(tmp_path: Path) -> None:
    bad = {"b"}
    seen: list[tuple[str, str]] = []

    def tell(work: Work) -> Any:
        if work.task.id == "first":
            return _returned(h, work)
        seen.append((work.variables["item"]["value"], work.variables["outputs"]["first"]["value"]))
        return "FAILED" if work.variables["item"]["value"] in bad else "SUCCESS"

    async with house(tmp_path, tell=tell) as h:
        before = "  - {id: first, type: scripts.shell.Commands, commands: [x]}\n"
        await h.deploy(flow(f"values: [a, b, c], concurrencyLimit: 1, tasks: [{COMMAND}]", before))
        execution_id = await start(h)
        assert (await h.podium.wait(execution_id, timeout_s=60))["state"]["current"] == "FAILED"
        first = {each["id"]: each["loopRun"]["value"] for each in await iterations(h, execution_id)}
        assert sorted(first.values()) == ["a", "b"]
        log = [each["message"] for each in await h.podium.logs(execution_id) if each["level"] == "ERROR"]
        assert [line for line in log if "Loop iteration 1 ended in FAILED in sub-execution" in line]
        bad.clear()
        await h.podium.restart(execution_id)
        ended = await h.podium.wait(execution_id, timeout_s=60)
        again = {each["id"]: each["loopRun"]["value"] for each in await iterations(h, execution_id)}
        assert ended["state"]["current"] == "SUCCESS"
        assert sorted(again.values()) == ["a", "b", "c"]
        assert first.items() <= again.items(), "the failed iteration was restarted, not made anew"
        assert seen == [("a", "hello"), ("b", "hello"), ("b", "hello"), ("c", "hello")]


async def test_lines_of_a_file_are_values_and_outputs_are_stored(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        uri = "kestra:///n/f/executions/x/values.ion"
        h.renderer.file_reader.files.put(uri, b'"one"\n2\n\n{"a": 3}\n')
        loop = f"values: '{{{{ inputs.file }}}}', outputs: [{{id: o, type: STRING, value: '{{{{ item.value }}}}'}}], tasks: [{COMMAND}]"
        await h.deploy(flow(loop, more="inputs: [{id: file, type: STRING}]"))
        ended = await h.podium.wait(await start(h, inputs={"file": uri}), timeout_s=60)
        outputs = sorted(loop_run(ended)["outputs"]["outputs"], key=lambda each: int(each["item"]["iteration"]))
        assert [each["item"]["value"] for each in outputs] == ["one", "2", '{"a":3}']
        stored = [h.renderer.file_reader.files.get(each["outputs"]["uri"]) for each in outputs]
        assert stored == [b'{"o":"one"}\n', b'{"o":"2"}\n', b'{"o":"{\\"a\\":3}"}\n']


async def test_a_kill_ends_the_iterations_too(tmp_path: Path) -> None:
    async with house(tmp_path, tell=lambda work: None) as h:
        await h.deploy(flow(f"values: [a, b], tasks: [{COMMAND}]"))
        execution_id = await start(h)
        while len(h.worker.works) < 2:
            await asyncio.sleep(0.01)
        await h.podium.kill(execution_id)
        assert (await h.podium.wait(execution_id, timeout_s=60))["state"]["current"] == "KILLED"
        assert {each["state"]["current"] for each in await iterations(h, execution_id)} == {"KILLED"}


async def test_a_review_is_checked_against_the_form(tmp_path: Path) -> None:
    from podium.base.errors import InputError

    async with house(tmp_path) as h:
        await h.deploy("id: f\nnamespace: n\ntasks:\n  - {id: all, type: core.flow.Approval, inputs: [{id: n, type: INT}]}\n")
        execution_id = await start(h)
        with pytest.raises(InputError):
            await h.podium.review(execution_id, "APPROVED", inputs={"n": "many"})
        await h.podium.review(execution_id, "APPROVED", inputs={"n": "3"}, by="ann")
        ended = await h.podium.wait(execution_id, timeout_s=60)
        assert (ended["state"]["current"], loop_run(ended)["outputs"]["inputs"]) == ("SUCCESS", {"n": 3})
        with pytest.raises(ConflictError):
            await h.podium.review(execution_id, "DENIED")


@pytest.mark.parametrize("retry", ["", "retry: {type: constant, interval: PT0.01S, maxAttempts: 2, behavior: CREATE_NEW_EXECUTION}"])
async def test_a_loop_is_restarted_from_the_records_alone(tmp_path: Path, retry: str) -> None:
    bad, tries = {"b"}, []

    def tell(work: Work) -> Any:
        if work.task.id == "first":
            return _returned(h, work)
        tries.append((work.variables["item"]["value"], work.variables["outputs"]["first"]["value"]))
        return "FAILED" if work.variables["item"]["value"] in bad else "SUCCESS"

    async with house(tmp_path, tell=tell) as h:
        before = "  - {id: first, type: scripts.shell.Commands, commands: [x]}\n"
        outputs = "outputs: [{id: o, type: STRING, value: '{{ item.value }}{{ item.index }}'}]"
        await h.deploy(flow(f"values: [a, b, c], concurrencyLimit: 1, {outputs}, tasks: [{COMMAND}]", before, retry))
        execution_id = await start(h)
        ended = await h.podium.wait(execution_id, timeout_s=60)
        if retry:
            assert ended["state"]["current"] == "RETRIED", "a new execution is one of the whole flow"
            execution_id = next(each["id"] for each in (await h.podium.executions(namespace="n"))[0] if each.get("parentId") == execution_id)
            ended = await h.podium.wait(execution_id, timeout_s=60)
        assert ended["state"]["current"] == "FAILED"
        assert tries.count(("b", "hello")) == (2 if retry else 1)
        with sqlite3.connect(tmp_path / "journal.db") as raw:
            raw.execute("DELETE FROM events")
        bad.clear()
        await h.podium.restart(execution_id)
        ended = await h.podium.wait(execution_id, timeout_s=60)
        assert ended["state"]["current"] == "SUCCESS"
        assert [each["outputs"]["o"] for each in loop_run(ended)["outputs"]["outputs"]] == ["a0", "b1", "c2"]
        assert tries[-2:] == [("b", "hello"), ("c", "hello")]


async def test_a_loop_that_stores_its_outputs_is_restarted_from_the_records_alone(tmp_path: Path) -> None:
    bad = {"b"}
    async with house(tmp_path, tell=lambda work: "FAILED" if work.variables["item"]["value"] in bad else "SUCCESS") as h:
        outputs = "outputs: [{id: o, type: STRING, value: '{{ item.value }}'}]"
        await h.deploy(flow(f"values: [a, b], concurrencyLimit: 1, fetchType: STORE, {outputs}, tasks: [{COMMAND}]"))
        execution_id = await start(h)
        assert (await h.podium.wait(execution_id, timeout_s=60))["state"]["current"] == "FAILED"
        with sqlite3.connect(tmp_path / "journal.db") as raw:
            raw.execute("DELETE FROM events")
        bad.clear()
        await h.podium.restart(execution_id)
        ended = await h.podium.wait(execution_id, timeout_s=60)
        assert ended["state"]["current"] == "SUCCESS"
        stored = [h.renderer.file_reader.files.get(each["outputs"]["uri"]) for each in loop_run(ended)["outputs"]["outputs"]]
        assert stored == [b'{"o":"a"}\n', b'{"o":"b"}\n']


async def test_a_decision_sent_twice_does_not_decide_about_the_next_approval(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        await h.deploy("id: f\nnamespace: n\ntasks:\n  - {id: one, type: core.flow.Approval}\n  - {id: two, type: core.flow.Approval}\n")
        execution_id = await start(h)
        first = (await h.podium.execution(execution_id))["taskRunList"][0]["id"]
        await h.podium.review(execution_id, "APPROVED", task_run_id=first)
        with pytest.raises(ConflictError, match="waits for a decision"):
            await h.podium.review(execution_id, "APPROVED", task_run_id=first)
        assert [run["state"]["current"] for run in (await h.podium.execution(execution_id))["taskRunList"]] == ["SUCCESS", "PAUSED"]
        await h.podium.review(execution_id, "DENIED")
        assert (await h.podium.wait(execution_id, timeout_s=60))["state"]["current"] == "CANCELLED"


async def test_an_iteration_tried_again_as_a_new_execution_waits_for_its_time(tmp_path: Path) -> None:
    tries: list[float] = []

    def tell(_: Work) -> str:
        tries.append(asyncio.get_running_loop().time())
        return "FAILED" if len(tries) == 1 else "SUCCESS"

    retry = "retry: {type: constant, interval: PT0.5S, maxAttempts: 2, behavior: CREATE_NEW_EXECUTION}"
    async with house(tmp_path, tell=tell) as h:
        await h.deploy(flow(f"values: [a], tasks: [{{id: run, type: scripts.shell.Commands, commands: [x], {retry}}}]"))
        ended = await h.podium.wait(await start(h), timeout_s=60)
        assert ended["state"]["current"] == "SUCCESS"
        assert len(tries) == 2
        assert tries[1] - tries[0] > 0.4


async def test_a_full_disk_in_the_moment_of_a_launch_only_delays_it(tmp_path: Path) -> None:
    async with house(tmp_path, tell=lambda work: "SUCCESS") as h:
        await h.deploy(flow(f"values: [a, b, c], concurrencyLimit: 1, tasks: [{COMMAND}]"))
        commit, refused = h.journal.commit, []

        async def full(batch: Any, now: Any) -> int:
            made = (json.loads(body) for _, _, body in batch.events)
            if any(each["kind"] == "execution_created" and each.get("loop") for each in made) and len(refused) < 2:
                refused.append(now)
                raise StoreError("database or disk is full", hint="free some space")
            return await commit(batch, now)

        h.journal.commit = full  # type: ignore[method-assign]
        ended = await h.podium.wait(await start(h), timeout_s=60)
        assert (ended["state"]["current"], len(refused)) == ("SUCCESS", 2)
        assert loop_run(ended)["outputs"]["terminatedIterations"] == {"SUCCESS": 3}


async def test_a_task_before_an_approval_is_run_again_after_the_record_was_written(tmp_path: Path) -> None:
    async with house(tmp_path, tell=lambda work: "SUCCESS") as h:
        wait = "{id: tell, type: scripts.shell.Commands, commands: [x]}"
        await h.deploy(f"id: f\nnamespace: n\ntasks:\n  - {{id: ask, type: core.flow.Approval, denyBehavior: FAIL, onWait: [{wait}]}}\n")
        execution_id = await start(h)
        await _paused(h, execution_id)
        await h.podium.kill(execution_id)
        await h.podium.wait(execution_id, timeout_s=60)
        told = next(run["id"] for run in (await h.podium.execution(execution_id))["taskRunList"] if run["taskId"] == "tell")
        await h.podium.change_task_run_state(execution_id, told, "SUCCESS")
        await _paused(h, execution_id)
        await h.podium.review(execution_id, "DENIED", by="me")
        ended = await h.podium.wait(execution_id, timeout_s=60)
        assert [(run["taskId"], run["state"]["current"]) for run in ended["taskRunList"]] == [("ask", "FAILED"), ("tell", "SUCCESS")]


async def _paused(h: House, execution_id: str) -> None:
    async with asyncio.timeout(60):
        while (await h.podium.execution(execution_id))["state"]["current"] != "PAUSED":
            await asyncio.sleep(0.02)


async def test_a_paused_iteration_pauses_what_holds_it(tmp_path: Path) -> None:
    waits = "{id: outer, type: core.flow.Loop, values: [x], tasks: [{id: wait, type: core.flow.Pause}]}"
    async with house(tmp_path, tell=lambda work: "SUCCESS") as h:
        await h.deploy(flow(f"values: [a], tasks: [{waits}]"))
        execution_id = await start(h)
        await _paused(h, execution_id)
        assert loop_run(await h.podium.execution(execution_id))["state"]["current"] == "PAUSED"
        with pytest.raises(ConflictError, match="no paused task"):
            await h.podium.resume(execution_id)
        with pytest.raises(ConflictError, match="tasks inside it run"):
            await h.podium.change_task_run_state(execution_id, loop_run(await h.podium.execution(execution_id))["id"], "SUCCESS")
    async with house(tmp_path, tell=lambda work: "SUCCESS") as h:  # what holds it is told again after a crash
        await _paused(h, execution_id)
        inner = (await iterations(h, (await iterations(h, execution_id))[0]["id"]))[0]["id"]
        await h.podium.resume(inner)
        ended = await h.podium.wait(execution_id, timeout_s=60)
        states = [each["state"] for each in loop_run(ended)["state"]["histories"]]
        assert (ended["state"]["current"], "PAUSED" in states, states[-1]) == ("SUCCESS", True, "SUCCESS")
        assert "PAUSED" in [each["state"] for each in ended["state"]["histories"]]


async def test_an_exit_beside_a_loop_does_not_wait_for_its_paused_iteration(tmp_path: Path) -> None:
    async with house(tmp_path, tell=lambda work: "SUCCESS") as h:
        loop = "{id: all, type: core.flow.Loop, values: [a], tasks: [{id: wait, type: core.flow.Pause}]}"
        both = f"{{id: both, type: core.flow.Parallel, tasks: [{loop}, {{id: ask, type: core.flow.Approval}}]}}"
        await h.deploy(f"id: f\nnamespace: n\ntasks: [{both}]\n")
        execution_id = await start(h)
        async with asyncio.timeout(60):
            while [run["state"]["current"] for run in (await h.podium.execution(execution_id))["taskRunList"][1:]] != ["PAUSED", "PAUSED"]:
                await asyncio.sleep(0.02)
        await h.podium.review(execution_id, "DENIED", by="me")
        ended = await h.podium.wait(execution_id, timeout_s=60)
        assert (ended["state"]["current"], (await iterations(h, execution_id))[0]["state"]["current"]) == ("CANCELLED", "KILLED")
