"""Tasks of kind process (in a forked child), inline and delegate, through a real worker."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from podium.plugin import Metric, Request
from podium.storage.crypto import Cipher
from podium.workers.work import Ended

sys.path.insert(0, str(Path(__file__).parent))
import worker_bench
import worker_tasks
from worker_bench import Bench, Journal


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setenv("SECRET_OTHER", "eA==")
    types = worker_bench.Types.build([*worker_bench.core.TASKS, *worker_bench.scripts.TASKS, *worker_tasks.TASKS], [], [], [])
    monkeypatch.setattr(worker_bench, "TYPES", types)
    made = Bench(tmp_path / "home")
    yield made
    await made.close()


async def probe(bench: Bench, does: str, value: Any = None, *, kind: str = "test.Probe", **more: Any) -> tuple[Ended, Journal]:
    return await bench.go(kind, does=does, value=value, **more)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


async def test_a_task_runs_in_a_process_of_its_own(bench: Bench) -> None:
    first, _ = await probe(bench, "echo", {"a": [1, "{{ inputs.x }}"]}, variables={"inputs": {"x": "y"}})
    second, _ = await probe(bench, "echo")
    assert first.outputs["value"] == {"a": [1, "y"]}
    assert len({first.outputs["pid"], second.outputs["pid"], os.getpid()}) == 3
    assert first.outputs["session"] != os.getsid(0)


async def test_a_task_starts_in_milliseconds(bench: Bench) -> None:
    """About 10 on a quiet machine; starting an interpreter and its modules takes 500. Both wait for others alike."""
    await probe(bench, "echo")
    took, anew = [], []
    for _ in range(10):
        began = time.perf_counter()
        await probe(bench, "echo")
        took.append(time.perf_counter() - began)
        if len(took) % 3 == 0:
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", "import podium.workers.worker, podium.plugins.core"], check=True)
            anew.append(time.perf_counter() - began)
    assert sorted(took)[2] < min(anew) / 3, (took, anew)


async def test_the_context_is_whole(bench: Bench) -> None:
    ended, journal = await probe(bench, "facts", variables={"inputs": {"x": 7}})
    assert ended.state == "SUCCESS", journal.texts()
    assert ended.outputs["rendered"] == {"key": ["7"]}
    assert ended.outputs["input"] == 7
    assert (ended.outputs["namespace"], ended.outputs["flow"], ended.outputs["attempt"]) == ("company.team", "flow_one", 1)
    assert ended.outputs["directory"] is True
    assert ended.outputs["secret"] == "s3cr3t-token"


async def test_everything_a_result_holds_arrives(bench: Bench) -> None:
    ended, journal = await probe(bench, "kinds")
    assert ended.state == "WARNING", journal.texts()
    outputs = dict(ended.outputs)
    assert Cipher(b"k" * 32).unseal(outputs.pop("span")) == "PT1H30M"
    assert outputs == {
        "moment": "2026-01-05T08:00:00.000Z", "number": 1.5, "whole": 3, "path": "/x", "set": [1], "tuple": [1, 2], "3": "key", "big": 2**80,
        "bytes": "b", "half": "?", "none": None,
    }
    assert list(ended.metrics) == [Metric(name="m", type="counter", value=1, tags={"a": "b"})]
    assert list(ended.requests) == [Request(kind="set_labels", body={"labels": {"a": "b"}})]
    assert ended.facts == {"fact": 1}


async def test_files_come_from_the_daemon(bench: Bench) -> None:
    (bench.repository / "lib.txt").write_text("library")
    ended, journal = await probe(bench, "files")
    assert ended.state == "SUCCESS", journal.texts()
    outputs = ended.outputs
    assert (outputs["again"], outputs["lib"], outputs["size"], outputs["exists"]) == ("made", "library", 4, True)
    assert outputs["own"] == [outputs["uri"]]
    assert outputs["names"] == ["lib.txt", "up.txt"]
    assert (outputs["gone"], outputs["removed"]) == (True, True)


async def test_what_the_daemon_refuses_is_an_error_of_the_task(bench: Bench) -> None:
    ended, _ = await probe(bench, "missing")
    assert ended.state == "FAILED"
    assert "none.txt" in (ended.error or "")
    ended, _ = await probe(bench, "query")
    assert "cannot query" in (ended.error or "")


async def test_logs_prints_and_output_of_children_reach_the_log(bench: Bench) -> None:
    ended, journal = await probe(bench, "log", "{{ secret('TOKEN') }}")
    assert ended.state == "SUCCESS"
    assert journal.texts("ERROR") == ["at ERROR ********"]
    assert journal.texts("DEBUG") == ["at DEBUG ********"]
    assert sorted(journal.texts("INFO")) == ["at INFO ********", "end", "from a child", "printed"]
    assert sorted(journal.texts("WARN")) == ["at WARN ********", "complained"]


async def test_many_lines_keep_their_order(bench: Bench) -> None:
    _, journal = await probe(bench, "many")
    assert journal.texts() == [str(number) for number in range(20_000)]


async def test_threads_may_use_the_context(bench: Bench) -> None:
    ended, _ = await probe(bench, "threads")
    assert ended.outputs["found"] == list(range(20))


async def test_failures_are_told_with_their_reason(bench: Bench) -> None:
    ended, journal = await probe(bench, "fail")
    assert (ended.state, ended.error, ended.outputs) == ("FAILED", "on purpose", {"kept": 1})
    assert journal.texts("ERROR") == ["on purpose"]
    ended, journal = await probe(bench, "crash")
    assert ended.error == "ZeroDivisionError: division by zero"
    assert "about to crash" in "".join(journal.texts("WARN"))
    assert any("Traceback" in text for text in journal.texts("DEBUG"))
    ended, _ = await probe(bench, "no_result")
    assert ended.state == "FAILED"


async def test_a_child_that_dies_is_a_failure_that_names_the_cause(bench: Bench) -> None:
    assert "SIGSEGV" in ((await probe(bench, "segfault"))[0].error or "")
    assert "status 3" in ((await probe(bench, "exit"))[0].error or "")
    assert "SystemExit" in ((await probe(bench, "system_exit"))[0].error or "")
    assert (await probe(bench, "echo"))[0].state == "SUCCESS"


async def test_a_timeout_kills_the_child_and_its_descendants(bench: Bench) -> None:
    await probe(bench, "echo")
    ended, journal = await probe(bench, "hang", str(bench.home), timeout="PT4S")
    assert (ended.state, ended.error) == ("FAILED", "Timeout after PT4S")
    assert "up" in journal.texts()
    assert gone(int((bench.home / "pid").read_text()))
    assert not _sleepers()


async def test_a_kill_does_too(bench: Bench) -> None:
    work, journal = bench.work(bench.task("test.Probe", does="hang", value=str(bench.home))), Journal()
    running = asyncio.create_task(bench.worker.run(work, journal))
    await journal.until("up")
    await bench.worker.kill(work.attempt_id)
    ended = await running
    assert (ended.state, ended.error) == ("KILLED", None)
    assert not _sleepers()
    await bench.worker.release(work.attempt_id)


def _sleepers() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "cmdline").read_bytes() == b"sleep\x00300\x00" and b"worker_tasks" in (path / "environ").read_bytes():
                found.append(path.name)
        except OSError:
            continue
    return found


async def test_what_a_task_leaves_running_ends_with_it(bench: Bench) -> None:
    ended, _ = await probe(bench, "leave")
    assert gone(ended.outputs["left"])


async def test_outputs_have_a_limit(bench: Bench) -> None:
    ended, _ = await probe(bench, "big")
    assert (ended.state, ended.outputs) == ("FAILED", {})
    assert "OUTPUT_BYTES_MAX" in (ended.error or "")


async def test_the_daemons_own_environment_is_not_shown(bench: Bench) -> None:
    ended, _ = await probe(bench, "environment")
    assert "SECRET_OTHER" not in ended.outputs["names"]
    assert "PATH" in ended.outputs["names"]


async def test_a_lost_fork_server_is_started_again(bench: Bench) -> None:
    await probe(bench, "echo")
    server = bench.worker._forkery._process
    assert server is not None
    server.kill()
    server.wait()
    assert (await probe(bench, "echo"))[0].state == "SUCCESS"


async def test_after_a_crash_an_attempt_is_lost_unless_it_may_run_twice(bench: Bench) -> None:
    """Ruling 5: nobody knows whether the charge was made, so it is not made again."""
    for kind, state in (("test.Probe", "FAILED"), ("test.SafeProbe", "SUCCESS")):
        work = bench.work(bench.task(kind, does="echo"), started=True)
        folder = bench.home / "attempts" / work.attempt_id
        folder.mkdir(parents=True)
        (folder / "began").touch()
        ended = await bench.worker.run(work, Journal())
        assert (ended.state, ended.lost) == (state, state == "FAILED")
        await bench.worker.release(work.attempt_id)
    assert not bench.worker.may_start_twice(bench.task("test.Probe", does="echo"))
    assert bench.worker.may_start_twice(bench.task("test.SafeProbe", does="echo"))
    assert bench.worker.may_start_twice(bench.task("scripts.shell.Commands", commands=["x"]))


async def test_an_attempt_that_never_began_just_runs(bench: Bench) -> None:
    work = bench.work(bench.task("test.Probe", does="echo"), started=True)
    ended = await bench.worker.run(work, Journal())
    assert (ended.state, ended.lost) == ("SUCCESS", False)
    await bench.worker.release(work.attempt_id)


async def test_inline_tasks_run_without_leaving_the_loop(bench: Bench) -> None:
    """The conductor runs them inside of its own turn: they must not wait for anything."""
    work, journal = bench.work(bench.task("test.Inline", value="{{ inputs.x }}"), variables={"inputs": {"x": 5}}, at_once=True), Journal()
    step = bench.worker.run(work, journal).__await__()
    with pytest.raises(StopIteration) as done:
        next(step)
    ended = done.value.value
    assert ended.outputs == {"value": 5, "rendered": "5"}
    assert journal.texts("WARN") == ["inline 5"]


async def test_inline_tasks_fail_query_and_keep_secrets(bench: Bench) -> None:
    ended, _ = await bench.go("test.Inline", does="fail")
    assert (ended.state, ended.error, ended.outputs) == ("FAILED", "no", {"kept": 2})
    ended, _ = await bench.go("test.Inline", does="query")
    assert ended.outputs["kv"]["value"] == "company.team/known"
    ended, _ = await bench.go("test.Inline", does="secret")
    assert ended.outputs["open"] == 1
    assert Cipher(b"k" * 32).unseal(ended.outputs["pw"]) == "hidden-value"


async def test_core_tasks_work(bench: Bench) -> None:
    ended, _ = await bench.go("core.debug.Return", format="{{ inputs.x }}", variables={"inputs": {"x": "hello"}})
    assert ended.outputs == {"value": "hello"}
    ended, journal = await bench.go("core.log.Log", message=["a", "{{ secret('TOKEN') }}"])
    assert (ended.state, journal.texts("INFO")) == ("SUCCESS", ["a", "********"])
    ended, _ = await bench.go("core.storage.Write", content="text", extension=".md")
    assert bench.stored(ended.outputs["uri"]) == b"text"


async def test_a_templated_task_becomes_what_it_describes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = "id: x\ntype: io.kestra.plugin.core.debug.Return\nformat: '{{ inputs.x }}'\n"
    ended, _ = await bench.go("core.templating.TemplatedTask", spec=spec, variables={"inputs": {"x": "delegated"}})
    assert ended.outputs == {"value": "delegated"}
    spec = "id: x\ntype: io.kestra.plugin.scripts.shell.Commands\ncommands: [echo {{ inputs.x }}]\n"
    ended, journal = await bench.go("core.templating.TemplatedTask", spec=spec, variables={"inputs": {"x": "shell"}})
    assert (ended.state, journal.texts("INFO")) == ("SUCCESS", ["shell"])
    ended, _ = await bench.go("core.templating.TemplatedTask", spec="id: x\ntype: none\n")
    assert ended.state == "FAILED"
