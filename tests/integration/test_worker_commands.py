"""Command tasks through a real worker on the process runner: properties, outputs, files, the protocol, ends of every kind."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from podium.base.limits import LOG_LINE_CHARS_MAX
from podium.plugin import Metric
from podium.runners.scripted import Script, ScriptedRunner
from podium.storage.crypto import Cipher
from podium.storage.task_files import TaskFiles
from podium.workers.work import Work

sys.path.insert(0, str(Path(__file__).parent))
from worker_bench import Bench, Journal  # type: ignore[import-not-found]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path / "home")
    yield made
    await made.close()
    assert not list((tmp_path / "home" / "attempts").glob("*"))


def shell(*commands: str, **more: Any) -> dict[str, Any]:
    return {"kind": "scripts.shell.Commands", "commands": list(commands), **more}


async def test_commands_give_exit_code_and_logs(bench: Bench) -> None:
    ended, journal = await bench.go(**shell("echo {{ inputs.who }}", "echo careful >&2", variables={"inputs": {"who": "world"}}))
    assert (ended.state, ended.error) == ("SUCCESS", None)
    assert ended.outputs == {"exitCode": 0, "vars": {}, "outputFiles": {}}
    assert ended.facts["exitCode"] == 0
    assert journal.texts("INFO") == ["world"]
    assert journal.texts("ERROR") == ["careful"]


async def test_a_failing_command_fails_and_keeps_what_it_gave(bench: Bench) -> None:
    ended, journal = await bench.go(**shell('echo \'::{"outputs":{"a":1}}::\'', "echo x > out.txt", "exit 7", output_files=["*.txt"]))
    assert (ended.state, ended.error) == ("FAILED", "Command failed with exit code 7")
    assert ended.outputs["exitCode"] == 7
    assert ended.outputs["vars"] == {"a": 1}
    assert bench.stored(ended.outputs["outputFiles"]["out.txt"]) == b"x\n"
    assert journal.texts("ERROR") == ["Command failed with exit code 7"]


async def test_the_first_failing_line_ends_the_task_unless_told_otherwise(bench: Bench) -> None:
    ended, journal = await bench.go(**shell("false", "echo on"))
    assert (ended.outputs["exitCode"], journal.texts("INFO")) == (1, [])
    ended, journal = await bench.go(**shell("false", "echo on", fail_fast=False))
    assert (ended.outputs["exitCode"], journal.texts("INFO")) == (0, ["on"])


async def test_before_commands_share_the_shell(bench: Bench) -> None:
    ended, journal = await bench.go(**shell("echo $SET", before_commands=["SET={{ 1 + 1 }}"]))
    assert (ended.state, journal.texts("INFO")) == ("SUCCESS", ["2"])


async def test_another_interpreter_is_used_as_written(bench: Bench) -> None:
    _, journal = await bench.go(**shell("[[ a == a* ]] && echo bash", interpreter=["/bin/bash", "-c"]))
    assert journal.texts("INFO") == ["bash"]
    _, journal = await bench.go(**shell("print('py')", interpreter=["python3", "-c"], fail_fast=False))
    assert journal.texts("INFO") == ["py"]


async def test_a_shell_script_and_environment(bench: Bench) -> None:
    script = 'for i in 1 2; do\n  echo "$NAME $i"\ndone\n'
    _, journal = await bench.go("scripts.shell.Script", script=script, env={"NAME": "{{ flow.id }}"})
    assert journal.texts("INFO") == ["flow_one 1", "flow_one 2"]


async def test_working_directory_is_known_to_expression_and_command(bench: Bench) -> None:
    _, journal = await bench.go(**shell("pwd", "echo {{ workingDir }}", "echo $WORKING_DIR"))
    assert len(set(journal.texts("INFO"))) == 1


async def test_the_output_directory_comes_back(bench: Bench) -> None:
    ended, _ = await bench.go(**shell("echo 1 > {{ outputDir }}/a.csv", "echo 2 > $OUTPUT_DIR/b.csv", output_directory=True))
    assert sorted(ended.outputs["outputFiles"]) == ["a.csv", "b.csv"]
    ended, _ = await bench.go(**shell("echo 1 > {{ outputDir }}/a.csv", runner="PROCESS"))
    assert sorted(ended.outputs["outputFiles"]) == ["a.csv"]


async def test_input_files_are_texts_or_stored_files(bench: Bench) -> None:
    work = bench.work(bench.task("scripts.shell.Commands", commands=["cat a.txt sub/b.bin c.json"]))
    files = TaskFiles(
        bench.renderer.file_reader, bench.renderer.file_scope(_scope(bench, work), {}), task_id="other", task_run_id="r"
    )
    source = bench.home / "b.bin"
    source.write_bytes(b"stored\n")
    uri = files.put(source, "b.bin")
    ended, journal = await bench.run(
        bench.task(
            "scripts.shell.Commands", commands=["cat {{ inputs.name }}.txt sub/b.bin c.json"],
            input_files={"{{ inputs.name }}.txt": "hi {{ inputs.name }}\n", "sub/b.bin": uri, "c.json": {"k": [1]}, "none.txt": None},
        ),
        variables={"inputs": {"name": "a", "handed": uri}}, execution_id=work.execution_id,
    )
    assert ended.state == "SUCCESS", journal.texts()
    assert journal.texts("INFO") == ["hi a", "stored", '{"k":[1]}']
    as_json = json.dumps({"x.txt": "from json"})
    _, journal = await bench.go(**shell("cat x.txt", input_files="{{ inputs.files }}", variables={"inputs": {"files": as_json}}))
    assert journal.texts("INFO") == ["from json"]


def _scope(bench: Bench, work: Work) -> Any:
    from podium.rendering.renderer import Scope

    return Scope(namespace=work.namespace, flow_id=work.flow_id, execution_id=work.execution_id)


@pytest.mark.parametrize("name", ["../out.txt", "/../out.txt", "a/../../out.txt"])
async def test_input_files_stay_in_the_directory(bench: Bench, name: str) -> None:
    ended, _ = await bench.go(**shell("true", input_files={name: "x"}))
    assert ended.state == "FAILED"
    assert not list(bench.home.rglob("out.txt"))


async def test_a_literal_uri_becomes_a_local_copy(bench: Bench) -> None:
    first, _ = await bench.go(**shell("printf 'a,b\\n1,2\\n' > 'data (1).csv'", output_files=["*.csv"]))
    uri = first.outputs["outputFiles"]["data (1).csv"]
    variables = {"outputs": {"first": first.outputs}}
    ended, journal = await bench.go(**shell(f"cat '{uri}'; wc -l <{uri}; echo {uri}.", variables=variables))
    assert journal.texts("INFO")[:3] == ["a,b", "1,2", "2"], journal.texts()
    assert journal.texts("INFO")[3].endswith(".csv.")
    script = "import csv\nprint(list(csv.reader(open('{{ outputs.first.outputFiles['data (1).csv'] }}'))))"
    _, journal = await bench.go("scripts.python.Script", script=script, variables=variables)
    assert journal.texts("INFO") == ["[['a', 'b'], ['1', '2']]"]
    ended, _ = await bench.go(**shell("cat kestra:///company/team/flow-one/executions/x/tasks/t/r/none.csv"))
    assert ended.state == "FAILED"


async def test_namespace_files_are_there_when_asked_for(bench: Bench) -> None:
    (bench.repository / "scripts").mkdir()
    (bench.repository / "scripts/helper.py").write_text("def hello():\n    return 'from a namespace file'\n")
    (bench.repository / "secret.txt").write_text("not wanted")
    ended, journal = await bench.go(
        "scripts.python.Script", script="from scripts.helper import hello\nprint(hello())", namespace_files={"exclude": ["secret.txt"]},
        output_files=["secret.txt"],
    )
    assert journal.texts("INFO") == ["from a namespace file"], journal.texts()
    assert ended.outputs["outputFiles"] == {}
    ended, _ = await bench.go("scripts.python.Script", script="import scripts", namespace_files={"enabled": False})
    assert ended.state == "FAILED"
    ended, _ = await bench.go(
        **shell("cat secret.txt", namespace_files={"include": ["secret.txt"]}, input_files={"secret.txt": "input wins"})
    )
    assert ended.state == "SUCCESS"


async def test_python_scripts_know_the_names_of_json(bench: Bench) -> None:
    script = 'data = {{ outputs.x | json }}\nprint(data[0], data[1])\nraise ValueError("line 3")'
    ended, journal = await bench.go("scripts.python.Script", script=script, variables={"outputs": {"x": [True, None]}})
    assert journal.texts("INFO") == ["True None"], journal.texts()
    assert ended.outputs["exitCode"] == 1
    assert any("line 3, in <module>" in text for text in journal.texts("ERROR"))


async def test_the_script_itself_is_no_output(bench: Bench) -> None:
    ended, _ = await bench.go("scripts.python.Script", script="open('made.py','w').write('x')", output_files=["**"])
    assert list(ended.outputs["outputFiles"]) == ["made.py"]


async def test_python_packages_are_installed_and_kept(bench: Bench) -> None:
    """From a directory of wheels, so without a network."""
    wheels = bench.home / "wheels"
    _wheel(wheels, "tinypkg", "1.0", "VALUE = 'tiny'\n")
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(wheels)}
    task = bench.task(
        "scripts.python.Script", script="import tinypkg\nprint(tinypkg.VALUE)", dependencies=["tinypkg==1.0"], env=env, package_manager="PIP",
    )
    ended, journal = await bench.run(task)
    assert (ended.state, journal.texts("INFO")[-1:]) == ("SUCCESS", ["tiny"]), journal.texts()
    shutil.rmtree(wheels)
    ended, journal = await bench.run(task)
    assert (ended.state, journal.texts()) == ("SUCCESS", ["tiny"]), "the second run needs no installation"


def _wheel(folder: Path, name: str, version: str, body: str) -> None:
    import zipfile

    folder.mkdir(parents=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", body)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


async def test_the_protocol_gives_outputs_metrics_and_logs(bench: Bench) -> None:
    said = [
        {"outputs": {"rows": 3, "nested": {"x": [1, None, "é"]}, "twice": 1}},
        {"outputs": {"twice": 2}, "metrics": [{"name": "n", "type": "counter", "value": 4, "tags": {"t": 1}}]},
        {"metrics": [{"name": "d", "type": "timer", "value": "PT1.5S"}, {"name": "g", "type": "gauge", "value": 0.5}], "unknown": 1},
        {"logs": [{"level": "WARN", "message": "look"}, {"message": "plain"}]},
    ]
    lines = [f"::{json.dumps(each)}::" for each in said]
    lines += ["::{not json}::", "x ::{\"outputs\":{\"no\":1}}::", '::{"metrics":[{"name":"bad","type":"histogram","value":1}]}::', "end"]
    ended, journal = await bench.go(**shell("cat lines.txt", input_files={"lines.txt": "\n".join(lines)}))
    assert ended.outputs["vars"] == {"rows": 3, "nested": {"x": [1, None, "é"]}, "twice": 2}
    assert list(ended.metrics) == [
        Metric(name="n", type="counter", value=4.0, tags={"t": "1"}), Metric(name="d", type="timer", value=1.5),
        Metric(name="g", type="gauge", value=0.5),
    ]
    warnings = journal.texts("WARN")
    assert warnings[0] == "look"
    assert warnings[1] == "Invalid outputs '{not json}'"
    assert "histogram" in warnings[2]
    assert journal.texts("INFO") == ["plain", 'x ::{"outputs":{"no":1}}::', "end"]


async def test_encrypted_outputs_are_sealed_and_masked(bench: Bench) -> None:
    ended, _ = await bench.go(**shell('echo \'::{"encryptedOutputs":{"pw":"hunter22"}}::\''))
    sealed = ended.outputs["vars"]["pw"]
    assert Cipher(b"k" * 32).unseal(sealed) == "hunter22"


async def test_secrets_are_masked_everywhere(bench: Bench) -> None:
    ended, journal = await bench.go(**shell("echo token={{ secret('TOKEN') }}", "ls /{{ secret('TOKEN') }}"))
    assert ended.state == "FAILED"
    assert "s3cr3t-token" not in "".join(journal.texts())
    assert journal.texts("INFO") == ["token=********"]


async def test_secrets_are_not_in_the_process_list(bench: Bench) -> None:
    """Every user of the machine may read it."""
    task = bench.task("scripts.shell.Commands", commands=["x={{ secret('TOKEN') }}; echo up; sleep 60; echo $x"])
    work, journal = bench.work(task), Journal()
    running = asyncio.create_task(bench.worker.run(work, journal))
    await journal.until("up")
    seen = b"".join(_read(path) for path in Path("/proc").glob("[0-9]*/cmdline"))
    assert b"s3cr3t-token" not in seen
    await bench.worker.kill(work.attempt_id)
    await running
    await bench.worker.release(work.attempt_id)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def test_a_long_script_is_no_problem(bench: Bench) -> None:
    script = "# " + "x" * 300_000 + "\necho done"
    ended, journal = await bench.go("scripts.shell.Script", script=script)
    assert (ended.state, journal.texts("INFO")) == ("SUCCESS", ["done"])


async def test_long_lines_are_split_and_levels_filtered(bench: Bench) -> None:
    _, journal = await bench.go(**shell("head -c 25000 /dev/zero | tr '\\0' x"))
    assert [len(text) for text in journal.texts("INFO")] == [LOG_LINE_CHARS_MAX, LOG_LINE_CHARS_MAX, 25_000 - 2 * LOG_LINE_CHARS_MAX]
    _, journal = await bench.go(**shell("echo quiet", "echo loud >&2", log_level="ERROR"))
    assert journal.texts() == ["loud"]


async def test_logs_can_go_to_a_file(bench: Bench) -> None:
    ended, journal = await bench.go(**shell("echo one", "echo two >&2", log_to_file=True))
    assert journal.texts() == []
    lines = bench.stored(ended.facts["logFile"]).decode().splitlines()
    assert sorted(line.split(" ", 1)[1] for line in lines) == ["ERROR two", "INFO one"]


@pytest.mark.parametrize("how", ["timeout", "kill"])
async def test_a_flood_of_output_does_not_hold_up_the_end(bench: Bench, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """What was printed until then would take minutes to be stored."""
    monkeypatch.setattr("podium.workers.commands.command.ENDED_OUTPUT_S_MAX", 0.3)
    more = {"timeout": "PT3S"} if how == "timeout" else {}
    made = shell("yes | head -c 60000000; sleep 600", **more)
    work, journal = bench.work(bench.task(made.pop("kind"), **made)), Journal()
    running = asyncio.create_task(bench.worker.run(work, journal))
    if how == "kill":
        await journal.until("y")
        await asyncio.sleep(1.5)
        await bench.worker.kill(work.attempt_id)
    async with asyncio.timeout(60):
        ended = await running
    assert (ended.state, ended.error) == (("FAILED", "Timeout after PT3S") if how == "timeout" else ("KILLED", None))
    assert "y" in journal.texts("INFO")
    await bench.worker.release(work.attempt_id)


async def test_a_timeout_ends_the_command(bench: Bench) -> None:
    ended, journal = await bench.go(**shell("echo up", "sleep 60", timeout="PT3S"))
    assert (ended.state, ended.error) == ("FAILED", "Timeout after PT3S")
    assert journal.texts("INFO") == ["up"]


async def test_a_kill_ends_the_command(bench: Bench) -> None:
    work, journal = bench.work(bench.task("scripts.shell.Commands", commands=["echo up", "sleep 60"])), Journal()
    running = asyncio.create_task(bench.worker.run(work, journal))
    await journal.until("up")
    await bench.worker.kill(work.attempt_id)
    ended = await running
    assert (ended.state, ended.error) == ("KILLED", None)
    await bench.worker.release(work.attempt_id)


async def test_killed_before_its_turn_it_never_runs(bench: Bench) -> None:
    work, journal = bench.work(bench.task("scripts.shell.Commands", commands=["echo never"])), Journal()
    await bench.worker.kill(work.attempt_id)
    ended = await bench.worker.run(work, journal)
    assert (ended.state, journal.texts()) == ("KILLED", [])
    await bench.worker.release(work.attempt_id)


async def test_run_if_false_skips_and_a_bad_one_fails(bench: Bench) -> None:
    ended, journal = await bench.go(**shell("echo x", run_if="{{ inputs.go }}", variables={"inputs": {"go": False}}))
    assert (ended.state, ended.outputs, journal.texts()) == ("SKIPPED", {}, [])
    ended, journal = await bench.go(**shell("echo x", run_if="{{ inputs.none }}"))
    assert ended.state == "FAILED"
    assert journal.texts("ERROR")


async def test_outputs_beyond_the_limit_fail_the_task(bench: Bench) -> None:
    """One line of 1.2 MB of outputs."""
    make = "import json; print('::' + json.dumps({'outputs': {'big': 'x' * 1_200_000}}) + '::')"
    ended, _ = await bench.go("scripts.python.Script", script=make)
    assert (ended.state, ended.outputs) == ("FAILED", {})
    assert "OUTPUT_BYTES_MAX" in (ended.error or "")


async def test_output_without_end_is_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.workers.commands.output.COMMAND_OUTPUT_BYTES_MAX", 100_000)
    from podium.workers.commands import command, output

    monkeypatch.setattr(command, "CommandOutput", lambda *a: output.CommandOutput(*a, bytes_max=100_000))
    ended, _ = await bench.go(**shell("yes"))
    assert ended.state == "FAILED"
    assert "COMMAND_OUTPUT_BYTES_MAX" in (ended.error or "")


async def test_what_cannot_be_rendered_fails_with_the_property_named(bench: Bench) -> None:
    ended, journal = await bench.go(**shell("echo {{ nothing.here }}"))
    assert ended.state == "FAILED"
    assert "commands" in (ended.error or "")
    assert journal.texts("ERROR")


async def test_an_unknown_runner_is_refused(bench: Bench) -> None:
    task = bench.task("scripts.shell.Commands", commands=["x"], task_runner={"type": "io.kestra.plugin.scripts.runner.docker.Docker"})
    ended, _ = await bench.run(task)
    assert ended.state == "FAILED"
    assert "docker" in (ended.error or "").lower()


async def test_the_scripted_runner_stands_in_for_any_other(tmp_path: Path) -> None:
    runner = ScriptedRunner(lambda job: Script(lines=[("stdout", f"image {job.image}")], files={"out/x.txt": b"made"}, exit_code=0))
    bench = Bench(tmp_path, runners=[runner], default=runner.TYPE, images={"ubun*": "podium.local/debian"})
    ended, journal = await bench.go(**shell("anything", output_files=["out/*"]))
    assert journal.texts("INFO") == ["image podium.local/debian"]
    tagged = Bench(tmp_path, runners=[runner], default=runner.TYPE, images={"ubuntu:*": "podium.local/tagged"})
    assert (await tagged.go(**shell("x")))[1].texts("INFO") == ["image podium.local/tagged"]
    assert bench.stored(ended.outputs["outputFiles"]["out/x.txt"]) == b"made"
    await bench.close()


async def test_shared_directories_and_script_files(bench: Bench) -> None:
    workspace = bench.workspace(input_files={"in.txt": "first"})
    await bench.worker.open_workspace(workspace)
    script = bench.task("scripts.python.Script", script="print(open('in.txt').read()); open('made.txt','w').write('made')")
    _, journal = await bench.run(script, shared_directory=workspace.task_run_id)
    assert journal.texts("INFO") == ["first"]
    _, journal = await bench.run(bench.task("scripts.shell.Commands", commands=["ls"]), shared_directory=workspace.task_run_id)
    assert journal.texts("INFO") == ["in.txt", "made.txt"]
    await bench.worker.close_workspace(workspace, collect=False)


async def test_an_attempt_that_was_prepared_and_never_started_runs(tmp_path: Path) -> None:
    """The daemon died after everything was laid out and before the command began."""
    first = Bench(tmp_path, runners=[ScriptedRunner(lambda _: Script(takes_s=None))], default="podium.runner.Scripted")
    work = first.work(first.task("scripts.shell.Commands", commands=["x"], input_files={"a.txt": "a"}))
    running = asyncio.create_task(first.worker.run(work, Journal()))
    async with asyncio.timeout(60):
        while not (tmp_path / "attempts" / work.attempt_id / "launch.json").exists():
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    second = Bench(tmp_path, runners=[ScriptedRunner(lambda _: Script(lines=[("stdout", "ran")]))], default="podium.runner.Scripted")
    journal = Journal()
    ended = await second.worker.run(dataclasses.replace(work, started=True), journal)
    assert (ended.state, ended.lost, journal.texts()) == ("SUCCESS", False, ["ran"])
    await second.worker.release(work.attempt_id)
    await second.close()


async def test_reaping_spares_what_runs_here(bench: Bench) -> None:
    """Whoever reaps may have counted the living before this attempt began."""
    work, journal = bench.work(bench.task("scripts.shell.Commands", commands=["echo up", "sleep 1"])), Journal()
    running = asyncio.create_task(bench.worker.run(work, journal))
    await journal.until("up")
    await bench.worker.reap(set())
    assert (await running).state == "SUCCESS"
    await bench.worker.release(work.attempt_id)


async def test_a_throw_away_home_is_left_empty(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    work, journal = bench.work(bench.task("scripts.shell.Commands", commands=["echo up", "sleep 300"])), Journal()
    running = asyncio.create_task(bench.worker.run(work, journal))
    await journal.until("up")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await bench.worker.close(abandon=True)
    assert not list((tmp_path / "attempts").iterdir())
    assert not [path for path in Path("/proc").glob("[0-9]*/environ") if work.attempt_id.encode() in _read(path)]


async def test_a_home_with_an_odd_name_works(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "it's a $HOME")
    ended, journal = await bench.go("scripts.python.Script", script="import os; print(os.path.basename(os.getcwd()))", output_files=["*"])
    assert (ended.state, journal.texts("INFO")) == ("SUCCESS", ["work"]), journal.texts()
    await bench.close()


async def test_a_crash_while_the_start_is_noted_leaves_a_command_that_was_not_started(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def power_cut(*_: object) -> None:
        raise OSError("the power is cut")

    work = bench.work(bench.task(**shell("echo once")))
    with monkeypatch.context() as cut:
        cut.setattr("pathlib.Path.replace", power_cut)
        first = await bench.worker.run(work, Journal())
    assert first.state == "FAILED"
    journal = Journal()
    again = await bench.worker.run(dataclasses.replace(work, started=True), journal)
    assert (again.state, journal.texts("INFO")) == ("SUCCESS", ["once"])
    await bench.worker.release(work.attempt_id)
