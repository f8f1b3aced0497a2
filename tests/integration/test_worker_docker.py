"""Tasks in real containers through a real worker."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from podium.base.system.clock import SystemClock
from podium.runners.docker.runner import DockerRunner

sys.path.insert(0, str(Path(__file__).parent))
from worker_bench import INSTANCE, Bench, Journal

pytestmark = pytest.mark.docker


@pytest.fixture
async def bench(tmp_path: Path, docker_engine: Any, images: Mapping[str, str]) -> AsyncIterator[Bench]:
    mapped = {"ubuntu*": images["debian"] or images["busybox"], "busybox*": images["busybox"], "python:*": images["python"]}
    runner = DockerRunner(instance=INSTANCE, clock=SystemClock())
    made = Bench(
        tmp_path / "home", runners=[runner], default="docker", images=mapped, pass_env={"PASSED_ON": "pass-value"}
    )
    yield made
    await made.close()
    assert not docker_engine.containers.list(all=True, ignore_removed=True, filters={"label": f"podium.instance={INSTANCE}"})


async def test_a_shell_task_in_the_default_image(bench: Bench, images: Mapping[str, str]) -> None:
    ended, journal = await bench.go(
        "scripts.shell.Commands", commands=["echo hello from {{ flow.id }}", "pwd", "echo $PASSED_ON; echo warn >&2"]
    )
    assert (ended.state, ended.error) == ("SUCCESS", None)
    assert journal.texts("INFO") == ["hello from flow_one", "/podium/work", "********"]
    assert journal.texts("ERROR") == ["warn"]
    assert ended.facts["image"] == images["debian"]
    assert ended.facts["imageId"].startswith("sha256:")
    assert ended.outputs["taskRunner"]["containerId"] == ended.facts["containerId"]


async def test_python_inline_with_outputs_and_files(bench: Bench) -> None:
    script = """
import json, os, pathlib
rows = {{ inputs.rows }}
pathlib.Path("out").mkdir()
for row in rows:
    pathlib.Path("out", f"{row}.json").write_text(json.dumps({"row": row, "ok": true}))
print("::" + json.dumps({"outputs": {"count": len(rows)}, "metrics": [{"name": "rows", "type": "counter", "value": len(rows)}]}) + "::")
print("dir", os.getcwd())
"""
    ended, journal = await bench.go(
        "scripts.python.Script", script=script, output_files=["out/*.json"], variables={"inputs": {"rows": [1, 2, 3]}}
    )
    assert ended.state == "SUCCESS", journal.texts()
    assert ended.outputs["vars"] == {"count": 3}
    assert bench.stored(ended.outputs["outputFiles"]["out/2.json"]) == b'{"row": 2, "ok": true}'
    assert [metric.value for metric in ended.metrics] == [3.0]
    assert journal.texts("INFO") == ["dir /podium/work"]


async def test_python_from_namespace_files(bench: Bench) -> None:
    (bench.repository / "scripts").mkdir()
    (bench.repository / "scripts/lib.py").write_text("def double(x):\n    return 2 * x\n")
    (bench.repository / "scripts/main.py").write_text("import sys\nfrom lib import double\nprint(double(int(sys.argv[1])))\n")
    ended, journal = await bench.go(
        "scripts.python.Commands", commands=["python scripts/main.py 21"], namespace_files={"enabled": True}
    )
    assert (ended.state, journal.texts("INFO")) == ("SUCCESS", ["42"]), journal.texts()


async def test_files_of_one_task_reach_the_next(bench: Bench) -> None:
    first, _ = await bench.go("scripts.shell.Commands", commands=["echo data > a.txt"], output_files=["a.txt"], container_image="busybox")
    variables = {"outputs": {"first": first.outputs}}
    ended, journal = await bench.go(
        "scripts.shell.Commands", commands=["cat b.txt", "cat {{ outputs.first.outputFiles['a.txt'] }}"], container_image="busybox",
        input_files={"b.txt": "{{ outputs.first.outputFiles['a.txt'] }}"}, variables=variables,
    )
    assert (ended.state, journal.texts("INFO")) == ("SUCCESS", ["data", "data"])


async def test_kill_timeout_and_exit_codes(bench: Bench) -> None:
    work, journal = bench.work(bench.task("scripts.shell.Commands", commands=["echo up", "sleep 300"])), Journal()
    running = asyncio.create_task(bench.worker.run(work, journal))
    await journal.until("up")
    await bench.worker.kill(work.attempt_id)
    assert (await running).state == "KILLED"
    await bench.worker.release(work.attempt_id)
    ended, _ = await bench.go("scripts.shell.Commands", commands=["sleep 300"], timeout="PT2S", container_image="busybox")
    assert (ended.state, ended.error) == ("FAILED", "Timeout after PT2S")
    ended, _ = await bench.go("scripts.shell.Commands", commands=["exit 4"], container_image="busybox")
    assert (ended.error, ended.outputs["exitCode"]) == ("Command failed with exit code 4", 4)


async def test_a_timeout_with_grace(bench: Bench) -> None:
    ended, journal = await bench.go(
        "scripts.shell.Commands", commands=["trap 'echo tidied; exit 0' TERM; echo up; while :; do sleep 0.1; done"], timeout="PT8S",
        task_runner={"type": "io.kestra.plugin.scripts.runner.docker.Docker", "killGracePeriod": "PT20S"}, container_image="busybox",
    )
    assert ended.error == "Timeout after PT8S"
    assert journal.texts("INFO") == ["up", "tidied"]


async def test_two_containers_share_a_working_directory(bench: Bench) -> None:
    work = bench.workspace(input_files={"in.txt": "one"}, output_files=["*.txt"])
    await bench.worker.open_workspace(work)

    async def step(kind: str, **properties: Any) -> list[str]:
        ended, journal = await bench.run(bench.task(kind, **properties), shared_directory=work.task_run_id)
        assert ended.state == "SUCCESS", journal.texts()
        return journal.texts("INFO")

    script = "open('made.txt', 'w').write(open('in.txt').read() + ' two')\nimport os; os.remove('in.txt'); os.mkdir('empty')"
    await step("scripts.python.Script", script=script)
    assert await step("scripts.shell.Commands", commands=["ls", "cat made.txt"], container_image="busybox") == ["empty", "made.txt", "one two"]
    process = {"type": "io.kestra.plugin.core.runner.Process"}
    assert await step("scripts.shell.Commands", commands=["cat made.txt"], task_runner=process) == ["one two"]
    outputs = await bench.worker.close_workspace(work)
    assert list(outputs["outputFiles"]) == ["made.txt"]


async def test_a_venv_made_by_one_task_works_in_the_next(bench: Bench) -> None:
    work = bench.workspace()
    await bench.worker.open_workspace(work)
    for commands in (["python -m venv --without-pip .venv"], [". .venv/bin/activate", "python -c 'import sys; print(sys.prefix)'"]):
        task = bench.task("scripts.python.Commands", commands=commands)
        ended, journal = await bench.run(task, shared_directory=work.task_run_id)
        assert ended.state == "SUCCESS", journal.texts()
    assert journal.texts("INFO") == ["/podium/work/.venv"]
    await bench.worker.close_workspace(work, collect=False)


async def test_running_out_of_memory_is_said(bench: Bench) -> None:
    ended, journal = await bench.go(
        "scripts.python.Script", script="x = bytearray(300_000_000)", container_image="python:3",
        task_runner={"type": "io.kestra.plugin.scripts.runner.docker.Docker", "memory": {"memory": "50MB"}},
    )
    assert ended.state == "FAILED"
    assert ended.facts["oomKilled"] is True
    assert any("out of memory" in text for text in journal.texts("ERROR"))


async def test_a_missing_image_is_named(bench: Bench) -> None:
    ended, journal = await bench.go("scripts.shell.Commands", commands=["true"], container_image="registry.invalid/none:1")
    assert ended.state == "FAILED"
    assert "registry.invalid/none:1" in (ended.error or "")
    assert any("runner.images" in text for text in journal.texts("ERROR"))


async def test_old_ways_to_name_a_runner(bench: Bench) -> None:
    ended, journal = await bench.go("scripts.shell.Commands", commands=["pwd"], runner="DOCKER", docker={"image": "busybox"})
    assert (ended.state, journal.texts("INFO")) == ("SUCCESS", ["/podium/work"])
    ended, journal = await bench.go("scripts.shell.Commands", commands=["pwd"], runner="PROCESS")
    assert str(bench.home) in journal.texts("INFO")[0]


async def test_packages_are_installed_in_the_container_and_kept(bench: Bench, tmp_path: Path) -> None:
    from test_worker_commands import _wheel

    _wheel(tmp_path / "wheels", "tinypkg", "1.0", "VALUE = 'tiny'\n")
    body = (tmp_path / "wheels/tinypkg-1.0-py3-none-any.whl").read_bytes()
    bench.storage.put("kestra:///company/_files/x", body)
    (bench.repository / "tinypkg-1.0-py3-none-any.whl").write_bytes(body)
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/podium/work"}
    properties = {"script": "import tinypkg; print(tinypkg.VALUE)", "dependencies": ["tinypkg"], "env": env}
    ended, journal = await bench.go("scripts.python.Script", **properties, namespace_files={"enabled": True})
    assert (ended.state, journal.texts("INFO")[-1:]) == ("SUCCESS", ["tiny"]), journal.texts()
    ended, journal = await bench.go("scripts.python.Script", **properties)
    assert (ended.state, journal.texts()) == ("SUCCESS", ["tiny"])


async def test_output_without_end_is_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from podium.workers.commands import command, output

    monkeypatch.setattr(command, "CommandOutput", lambda *a: output.CommandOutput(*a, bytes_max=100_000))
    ended, _ = await bench.go("scripts.shell.Commands", commands=["yes"], container_image="busybox")
    assert ended.state == "FAILED"
    assert "COMMAND_OUTPUT_BYTES_MAX" in (ended.error or "")
