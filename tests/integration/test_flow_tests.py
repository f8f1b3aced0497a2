"""`podium test` as a person calls it: mocks never run, fixtures are there, cases do not see each other, results are told in every form."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = "io.kestra.plugin.core"


def podium(cwd: Path, *arguments: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "podium", *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **(env or {})},
    )
    return done.returncode, done.stdout, done.stderr


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def flow(tasks: str, more: str = "", name: str = "f") -> str:
    return f"id: {name}\nnamespace: n\n{more}tasks:\n{tasks}"


def suite(cases: str, name: str = "f") -> str:
    return f"id: {name}\nnamespace: n\nflowId: {name}\ntestCases:\n{cases}"


def results(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code, and the cases by their ids."""
    code, out, said = podium(folder, "test", "--output", "json", *arguments, env=env)
    assert out, said
    report = json.loads(out)
    return code, {case["id"]: case for each in report["suites"] for case in each["cases"]} | {"": report}


def wrong(case: Mapping[str, Any]) -> list[str]:
    return [f"{each['operator']} {each['value']}: {each['actual']} {each['message']}" for each in case["assertions"] if not each["ok"]] + (
        [case["reason"]] if case["reason"] else []
    )



def test_mocked_tasks_never_run_whatever_they_are(tmp_path: Path) -> None:
    """A real run of any of them would fail, wait for an hour, or leave a mark."""
    mark = tmp_path / "mark"
    write(tmp_path, f=flow(f"""\
  - {{id: shell, type: io.kestra.plugin.scripts.shell.Commands, taskRunner: {{type: {CORE}.runner.Process}}, commands: ["touch {mark}"]}}
  - {{id: request, type: {CORE}.http.Request, uri: "http://127.0.0.1:1/", retry: {{type: constant, interval: PT1H, maxAttempts: 9}}}}
  - {{id: pause, type: {CORE}.flow.Pause}}
  - {{id: nap, type: {CORE}.flow.Sleep, duration: PT1H}}
  - {{id: sub, type: {CORE}.flow.Subflow, namespace: n, flowId: nowhere}}
  - id: inline
    type: {CORE}.execution.Fail
  - id: seq
    type: {CORE}.flow.Sequential
    tasks: [{{id: within, type: {CORE}.execution.Fail}}]
  - id: loop
    type: {CORE}.flow.ForEach
    values: "{{{{ nonsense }}}}"
    tasks: [{{id: inner, type: {CORE}.execution.Fail}}]
  - id: dir
    type: {CORE}.flow.WorkingDirectory
    tasks: [{{id: inside, type: {CORE}.execution.Fail}}]
  - id: until
    type: {CORE}.flow.LoopUntil
    condition: "false"
    tasks: [{{id: again, type: {CORE}.execution.Fail}}]
  - {{id: end, type: {CORE}.debug.Return, format: "{{{{ outputs.sub.outputs.x }}}} {{{{ outputs.request.code }}}}"}}
"""), **{"f.test": suite("""\
  - id: a
    fixtures:
      tasks:
        - {id: shell}
        - {id: request, outputs: {code: 200}}
        - {id: pause}
        - {id: nap}
        - {id: sub, outputs: {outputs: {x: 7}}}
        - {id: inline}
        - {id: seq}
        - {id: loop}
        - {id: dir}
        - {id: until}
    assertions:
      - {value: "{{ outputs.end.value }}", equalTo: 7 200}
      - {value: "{{ tasks.within.state }}", isNull: true}
""")})
    code, found = results(tmp_path)
    assert wrong(found["a"]) == []
    assert code == 0
    assert not mark.exists()
    assert found["a"]["durationSeconds"] < 30
    assert found[""]["coverage"] == [{"flow": "n.f", "tasks": 15, "reached": 11, "missed": ["within", "inner", "inside", "again"]}]


def test_states_of_mocks_drive_the_flow(tmp_path: Path) -> None:
    write(tmp_path, f=flow(f"""\
  - {{id: first, type: {CORE}.flow.Pause, allowFailure: true, retry: {{type: constant, interval: PT1H, maxAttempts: 3}}}}
  - {{id: second, type: {CORE}.flow.Pause, runIf: "{{{{ inputs.go }}}}"}}
  - {{id: third, type: {CORE}.log.Log, message: three, runIf: "{{{{ inputs.go }}}}"}}
""", f"""inputs: [{{id: go, type: BOOL, defaults: true}}]
errors: [{{id: handler, type: {CORE}.log.Log, message: "{{{{ error.taskId }}}}: {{{{ error.message }}}}"}}]
"""), **{"f.test": suite("""\
  - id: warning
    fixtures: {tasks: [{id: first, state: FAILED, outputs: {x: kept}}, {id: second}]}
    assertions:
      - {value: "{{ execution.state }}", equalTo: WARNING}
      - {value: "{{ outputs.first.x }}", equalTo: kept}
      - {taskId: first, value: "{{ taskrun.attemptsCount }}", equalTo: 1}
  - id: failed
    fixtures: {tasks: [{id: first}, {id: second, state: FAILED, error: "boom {{ 1 + 1 }}"}]}
    assertions:
      - {value: "{{ logs.text }}", contains: "second: boom 2"}
      - {value: "{{ tasks.third.state }}", isNull: true}
  - id: skipped
    fixtures: {inputs: {go: false}, tasks: [{id: first}, {id: second, state: FAILED}, {id: third}]}
    assertions:
      - {value: "{{ tasks.second.state }} {{ tasks.third.state }}", equalTo: SKIPPED SKIPPED}
      - {value: "{{ execution.state }}", equalTo: SUCCESS}
  - id: unexpected
    fixtures: {inputs: {go: false}, tasks: [{id: first, state: WARNING}]}
    state: [FAILED, KILLED]
""")})
    code, found = results(tmp_path)
    assert {name: wrong(case) for name, case in found.items() if name} == {
        "warning": [], "failed": [], "skipped": [], "unexpected": ["state {{ execution.state }}: WARNING "],
    }
    assert code == 1


def test_iterations_are_told_apart_by_their_value(tmp_path: Path) -> None:
    write(
        tmp_path,
        f=flow(f"""\
  - id: each
    type: {CORE}.flow.ForEach
    values: ["a", "b", {{"k": 1}}]
    tasks:
      - id: sub
        type: {CORE}.flow.Subflow
        namespace: n
        flowId: nowhere
      - id: group
        type: {CORE}.flow.Sequential
        tasks: [{{id: deep, type: {CORE}.debug.Return, format: real}}]
"""),
        g=flow(f"""\
  - id: each
    type: {CORE}.flow.Loop
    values: ["a", "b"]
    tasks:
      - {{id: sub, type: {CORE}.flow.Subflow, namespace: n, flowId: nowhere}}
      - {{id: deep, type: {CORE}.debug.Return, format: real}}
""", name="g"),
        **{"f.test": suite("""\
  - id: foreach
    fixtures:
      tasks:
        - {id: sub, value: a, outputs: {x: one}}
        - {id: sub, value: '{"k":  1}', outputs: {x: "json {{ taskrun.value }}"}}
        - {id: sub, outputs: {x: other}}
        - {id: deep, value: b, outputs: {value: mocked}}
    assertions:
      - {value: "{{ outputs.sub.a.x }} {{ outputs.sub.b.x }}", equalTo: one other}
      - {value: "{{ outputs.deep.a.value }} {{ outputs.deep.b.value }}", equalTo: real mocked}
      - {value: "{{ outputs.sub | toJson }}", contains: "json {"}
""") + "---\n" + suite("""\
  - id: loop
    fixtures: {tasks: [{id: sub, value: a}, {id: sub, value: b}, {id: deep, value: b, outputs: {value: "is {{ item.value }}"}}]}
  - id: half
    state: FAILED
    fixtures: {tasks: [{id: sub, value: a}]}
""", name="g")},
    )
    _, found = results(tmp_path)
    assert {name: wrong(case) for name, case in found.items() if name} == {"foreach": [], "loop": [], "half": []}


def test_fixtures_are_there_and_cases_do_not_see_each_other(tmp_path: Path) -> None:
    (tmp_path / "tests" / "data").mkdir(parents=True)
    (tmp_path / "tests" / "data" / "a.txt").write_text("from a file")
    (tmp_path / "shared.txt").write_text("of the namespace")
    write(tmp_path, f=flow(f"""\
  - {{id: set, type: {CORE}.kv.Set, key: k, value: set, overwrite: true}}
  - {{id: say, type: {CORE}.log.Log, message: "{{{{ secret('TOKEN') }}}} {{{{ trigger.x ?? 'none' }}}} {{{{ labels.team ?? 'none' }}}}"}}
""", "inputs: [{id: file, type: FILE, required: false}]\ntriggers: [{id: t, type: io.kestra.plugin.core.trigger.Webhook, key: abc}]\n"),
        tests__f=suite("""\
  - id: all
    fixtures:
      files: {inline: "text {{ not rendered", copied: "file://data/a.txt", ns: "nsfile:///shared.txt", named: "{{ fileURI('shared.txt') }}"}
      inputs: {file: data/a.txt}
      kv: {before: {deep: [1]}}
      secrets: {token: s3cr3t-value}
      labels: {team: data}
      trigger: {id: t, variables: {x: "{{ files.inline }}"}}
    assertions:
      - {value: "{{ read(trigger.x) }}", endsWith: "{ not rendered"}
      - {value: "{{ read(files.copied) }}", equalTo: from a file}
      - {value: "{{ read(files.ns) }}", equalTo: of the namespace}
      - {value: "{{ read(files.named) }}", equalTo: of the namespace}
      - {value: "{{ read(inputs.file) }}", equalTo: from a file}
      - {value: "{{ kv('before').deep[0] }} {{ kv('k') }}", equalTo: 1 set}
      - {value: "{{ logs.text }}", contains: "******** kestra:///", endsWith: data}
  - id: alone
    fixtures: {secrets: {token: other-value}}
    assertions:
      - {value: "{{ kv('before', errorOnMissing=false) }}", isNull: true}
      - {value: "{{ logs.text }}", endsWith: none none}
      - {value: "{{ secret('TOKEN') }}", equalTo: wrong}
  - id: broken-file
    fixtures: {files: {x: file://data/missing.txt}}
"""))
    code, found = results(tmp_path)
    assert wrong(found["all"]) == []
    assert [each for each in wrong(found["alone"]) if "wrong" not in each] == ["equalTo {{ secret('TOKEN') }}: \"********\" "]
    assert "missing.txt" in found["broken-file"]["reason"]
    assert code == 1
    assert "other-value" not in json.dumps(found)


def test_ends_that_are_no_ends_are_told(tmp_path: Path) -> None:
    write(tmp_path, f=flow(f"""\
  - {{id: wait, type: {CORE}.flow.Pause, runIf: "{{{{ inputs.pause }}}}"}}
  - {{id: nap, type: {CORE}.flow.Sleep, duration: PT1H}}
""", "inputs: [{id: pause, type: BOOL, defaults: true}, {id: number, type: INT, defaults: 1, max: 9}]\n"), **{"f.test": suite("""\
  - {id: waits}
  - {id: paused, state: PAUSED, assertions: [{value: "{{ tasks.wait.state }}", equalTo: PAUSED}]}
  - {id: long, timeout: PT0.3S, fixtures: {inputs: {pause: false}}}
  - {id: refused, refused: number, fixtures: {inputs: {number: 10}}}
  - {id: other-reason, refused: "because of the weather", fixtures: {inputs: {number: 10}}}
  - {id: not-refused, refused: true, fixtures: {tasks: [{id: wait}, {id: nap}]}}
  - {id: bad-input, fixtures: {inputs: {number: many}}}
  - {id: bad-fixture, fixtures: {inputs: {number: "{{ nowhere }}"}}}
  - {id: bad-outputs, fixtures: {tasks: [{id: wait, outputs: {x: "{{ nowhere }}"}}]}}
  - {id: off, disabled: true}
""")})
    code, found = results(tmp_path, "--jobs", "4")
    said = {name: (case["outcome"], " ".join(wrong(case))) for name, case in found.items() if name}
    assert {name: outcome for name, (outcome, _) in said.items()} == {
        "waits": "error", "paused": "passed", "long": "error", "refused": "passed", "other-reason": "failed", "not-refused": "failed",
        "bad-input": "error", "bad-fixture": "error", "bad-outputs": "failed", "off": "skipped",
    }
    for name, fragment in {
        "waits": "nobody resumes it (task 'wait')", "long": "within 0.3 seconds", "other-reason": "because of the weather",
        "not-refused": "should have been refused", "bad-input": "number", "bad-fixture": "nowhere", "bad-outputs": "the fixture of task 'wait'",
    }.items():
        assert fragment in said[name][1], name
    assert code == 1


def test_a_pause_inside_of_a_subflow_or_a_loop_is_noticed(tmp_path: Path) -> None:
    write(
        tmp_path, child=flow(f"  - {{id: inner, type: {CORE}.flow.Pause}}\n", name="child"),
        sub=flow(f"  - {{id: call, type: {CORE}.flow.Subflow, namespace: n, flowId: child}}\n", name="sub"),
        loop=flow(f"""\
  - id: loop
    type: {CORE}.flow.Loop
    values: [a, b, c, d, e]
    concurrencyLimit: 2
    tasks:
      - {{id: quick, type: {CORE}.debug.Return}}
      - {{id: wait, type: {CORE}.flow.Pause, runIf: "{{{{ item.value == 'a' }}}}"}}
""", name="loop"),
        timed=flow(f"  - {{id: wait, type: {CORE}.flow.Pause, pauseDuration: PT3S}}\n", name="timed"),
        **{"all.test": "---\n".join([
            suite("  - {id: in-subflow}\n", name="sub"), suite("  - {id: in-loop}\n", name="loop"),
            suite("  - {id: by-itself}\n  - {id: expected, state: PAUSED}\n", name="timed"),
        ])},
    )
    _, found = results(tmp_path, "--timeout", "60")
    assert {name: (case["outcome"], case["reason"]) for name, case in found.items() if name} == {
        "in-subflow": ("error", "the execution is paused and nobody resumes it (task 'inner')"),
        "in-loop": ("error", "the execution is paused and nobody resumes it (task 'wait')"), "by-itself": ("passed", ""), "expected": ("passed", ""),
    }
    assert all(case["durationSeconds"] < 30 for name, case in found.items() if name)
    assert found["expected"]["state"] == "PAUSED"


def test_expected_and_actual_are_told_with_the_line_of_the_operator(tmp_path: Path) -> None:
    write(tmp_path, f=flow(f"  - {{id: r, type: {CORE}.debug.Return, format: abc}}\n"), **{"f.test": suite("""\
  - id: a
    assertions:
      - value: "{{ outputs.r.value }}"
        description: what it gives
        equalTo: xyz
        startsWith: a
      - value: "{{ outputs.r.valu }}"
        equalTo: abc
      - {value: "{{ outputs.r.value }}", greaterThan: 3}
      - {value: "{{ outputs.r.value }}", equalTo: x, errorMessage: "got {{ outputs.r.value }}"}
      - {taskId: r, value: "{{ taskrun.state }}", equalTo: "{{ 'suc' | upper }}CESS"}
""")})
    code, out, _ = podium(tmp_path, "test")
    assert code == 1
    assert "f.test.yaml:9:9: equalTo: {{ outputs.r.value }}\n        what it gives\n        expected: \"xyz\"\n        actual:   \"abc\"\n" in out
    assert "f.test.yaml:12:9: equalTo: {{ outputs.r.valu }}\n        it cannot be evaluated: Unable to find `valu`" in out
    assert "f.test.yaml:13:42: greaterThan: {{ outputs.r.value }}\n        \"abc\" is no number" in out
    assert "got abc" in out
    assert out.count("expected:") == 3
    assert "1 failed in " in out


def test_broken_files_keep_no_other_from_running(tmp_path: Path) -> None:
    write(
        tmp_path, f=flow(f"  - {{id: r, type: {CORE}.debug.Return, format: abc}}\n"), g="id: g\nnamespace: n\ntasks:\n  - {id: x, type: no.such}\n",
        **{
            "f.test": suite("  - {id: good}\n"), "typo.test": suite("  - {id: a, asserts: []}\n", name="g"), "nothing.test": "",
            "g.test": suite("  - {id: a}\n", name="g"), "h.test": suite("  - {id: a}\n", name="ff"),
        },
    )
    (tmp_path / "binary.test.yaml").write_bytes(b"\xff\xfe\x00")
    code, out, _ = podium(tmp_path, "test", "--junit", "deep/er/junit.xml")
    assert code == 2
    assert "typo.test.yaml:5:13: testCases[0].asserts: Unrecognized field" in out
    assert "did you mean 'assertions'?" in out
    assert "h.test.yaml:3:1: flowId: there is no flow 'n.ff'" in out
    assert "did you mean 'n.f'?" in out
    assert "g.yaml:4:19" in out
    assert "the flow 'n.g' has mistakes" in out
    assert "nothing.test.yaml:1:1: the file is empty" in out
    assert "binary.test.yaml:1:1: the file is not UTF-8" in out
    assert "ok  good" in out
    assert "1 passed, 6 broken files in" in out
    _, _, said = podium(tmp_path, "test", "--filter", "good", "f.test.yaml")
    assert said == "warning: flows with mistakes are left out, look at them with podium validate: g.yaml\n"
    root = ElementTree.parse(tmp_path / "deep" / "er" / "junit.xml").getroot()
    assert (root.get("tests"), root.get("errors")) == ("7", "6")
    (tmp_path / "link.xml").symlink_to("junit-target.xml")
    assert podium(tmp_path, "test", "f.test.yaml", "--junit", "link.xml")[0] == 0
    assert (tmp_path / "link.xml").is_symlink()
    assert ElementTree.parse(tmp_path / "junit-target.xml").getroot().get("tests") == "1"
    code, out, _ = podium(tmp_path, "validate", "f.test.yaml", "typo.test.yaml")
    assert code == 1
    assert "typo.test.yaml:5:13: testCases[0].asserts" in out


def test_what_is_run_can_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    write(tmp_path, flows__f=flow(f"  - {{id: r, type: {CORE}.debug.Return}}\n"), tests__f=suite("  - {id: one}\n  - {id: two}\n"))
    for arguments, names in {
        (): ["one", "two"], ("tests",): ["one", "two"], ("tests/f.yaml",): ["one", "two"], ("--flows", "flows", "tests"): ["one", "two"],
        ("--filter", "f"): ["one", "two"], ("--filter", "n.f/o*"): ["one"], ("--filter", "two"): ["two"], ("--filter", "n.f/{one,two}"): ["one", "two"],
    }.items():
        code, found = results(tmp_path, *arguments)
        assert (code, [name for name in found if name]) == (0, names), arguments
    for arguments, said in {
        ("--filter", "three"): "no case fits", ("flows",): "there are no flow tests", ("--filter", "["): "", ("nowhere",): "does not exist",
    }.items():
        code, _, error = podium(tmp_path, "test", *arguments)
        assert code in (1, 2), arguments
        assert said in error


def test_tests_are_no_flows_for_validate_and_run(tmp_path: Path) -> None:
    write(tmp_path, f=flow(f"  - {{id: r, type: {CORE}.debug.Return}}\n"), tests__f=suite("  - {id: one}\n"), **{"f.test": suite("  - {id: one}\n", name="f")})
    code, out, _ = podium(tmp_path, "validate", ".")
    assert code == 1
    assert "the test 'n.f' is also defined in" in out
    (tmp_path / "f.test.yaml").rename(tmp_path / "misplaced.yaml")
    code, out, _ = podium(tmp_path, "validate", ".")
    assert code == 1
    assert out.splitlines() == [
        "misplaced.yaml:1:1: these are flow tests, where a flow is expected",
        "    hint: name the file misplaced.test.yaml, or move it into a folder named tests",
    ]
    (tmp_path / "misplaced.yaml").unlink()
    assert podium(tmp_path, "validate", "tests")[:2] == (0, "valid: 1 test suite\n")
    assert podium(tmp_path, "validate", ".")[:2] == (0, "valid: 1 flow in 1 file, 1 test suite\n")
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m podium validate <(cat f.yaml) - < tests/f.yaml && {sys.executable} -m podium run <(cat f.yaml) --output json"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )
    assert done.stdout.splitlines()[0] == "valid: 1 flow in 1 file, 1 test suite", done.stderr
    assert json.loads(done.stdout.splitlines()[1])["state"]["current"] == "SUCCESS"
    code, _, said = podium(tmp_path, "run", "n.f", "--flows", ".", "--output", "json")
    assert code == 0
    assert "left out" not in said


def test_ctrl_c_ends_what_runs_and_keeps_what_there_is(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    write(tmp_path, f=flow(f"""\
  - {{id: quick, type: {CORE}.debug.Return}}
  - id: slow
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner: {{type: {CORE}.runner.Process}}
    commands: ["touch {mark}", "sleep 600"]
"""), **{"f.test": suite("  - {id: done, fixtures: {tasks: [{id: slow}]}}\n  - {id: runs}\n  - {id: never}\n")})
    argv = [sys.executable, "-m", "podium", "test", "--jobs", "1", "--junit", "junit.xml"]
    with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while not mark.exists() and time.monotonic() < until and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "ok  done" in out
    assert "ERROR  runs" in out
    assert "never" not in out
    assert out.splitlines()[-1].startswith("1 passed, 1 error, interrupted in")
    assert ElementTree.parse(tmp_path / "junit.xml").getroot().get("tests") == "2"
    assert subprocess.run(["pgrep", "-f", f"touch {mark}"], capture_output=True, check=False).stdout == b""


def test_the_tests_of_the_examples_pass_without_docker() -> None:
    code, found = results(ROOT, "flows", env={"DOCKER_HOST": "tcp://127.0.0.1:1"})
    assert {name: wrong(case) for name, case in found.items() if name and case["outcome"] != "passed"} == {}
    assert code == 0
    assert found[""]["problems"] == []


@pytest.mark.docker
def test_what_is_not_mocked_runs_for_real(tmp_path: Path, images: Mapping[str, str]) -> None:
    (tmp_path / "data.txt").write_text("a file of the namespace")
    write(tmp_path, f=flow(f"""\
  - id: real
    type: io.kestra.plugin.scripts.shell.Commands
    containerImage: {images["busybox"]}
    namespaceFiles: {{enabled: true, include: ["data.txt"]}}
    inputFiles: {{in.txt: "{{{{ outputs.mocked.uri }}}}"}}
    outputFiles: [out.txt]
    commands: ["cat in.txt data.txt > out.txt", 'echo "::{{\\"outputs\\":{{\\"n\\":3}}}}::"']
""".replace("  - id: real", f"  - {{id: mocked, type: {CORE}.http.Download, uri: 'http://127.0.0.1:1/'}}\n  - id: real")), **{"f.test": suite("""\
  - id: real
    fixtures:
      files: {orders.csv: "1,2,3 "}
      tasks: [{id: mocked, outputs: {uri: "{{ files['orders.csv'] }}"}}]
    assertions:
      - {value: "{{ outputs.real.vars.n }}", equalTo: 3}
      - {value: "{{ read(outputs.real.outputFiles['out.txt']) }}", equalTo: "1,2,3 a file of the namespace"}
""")})
    code, found = results(tmp_path)
    assert wrong(found["real"]) == []
    assert code == 0
