"""The main job, by git, CLI and HTTP alone: push, run, record; bad pushes; crashes; a remote that is away."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from daemon_house import PODIUM, daemon_house, wait_for

HELLO = """\
id: hello
namespace: demo
tasks:
  - id: say
    type: core.log.Log
    message: Hello
"""
PROCESS = '[runner]\ntype = "process"\n'


def docker(images: Mapping[str, str]) -> str:
    return f'[runner]\ntype = "docker"\n[runner.images]\n"busybox*" = "{images["busybox"]}"\n"python*" = "{images["python"]}"\n'


@pytest.mark.docker
def test_a_push_runs_a_docker_task_and_its_record_is_on_the_branch(tmp_path: Path, free_port: int, images: Mapping[str, str]) -> None:
    text = """\
id: once
namespace: demo
tasks:
  - id: say
    type: scripts.shell.Commands
    containerImage: busybox:latest
    commands: [echo hello from $HOSTNAME, "echo '::{\\"outputs\\":{\\"x\\":42}}::'"]
outputs:
  - {id: x, type: INT, value: "{{ outputs.say.vars.x }}"}
triggers:
  - {id: hook, type: core.trigger.Webhook, key: sesame}
"""
    with daemon_house(tmp_path, free_port, docker(images)) as house:
        house.push({"flows/once.yaml": text})
        house.deployed("demo", "once")
        started = house.call("POST", "/api/v1/executions/webhook/demo/once/sesame", {"a": 1})
        ended = house.ended(started["id"])
        assert ended["state"]["current"] == "SUCCESS", house.messages(started["id"])
        assert ended["outputs"] == {"x": 42}
        assert ended["trigger"]["variables"]["body"] == {"a": 1}
        path = wait_for(lambda: house.records().get(started["id"]), "the record")
        record = json.loads(house.git("show", f"results:{path}", cwd=house.bare).stdout)
        assert record["execution"]["state"]["current"] == "SUCCESS"
        assert record["flow"]["commit"] == house.git("rev-parse", "HEAD").stdout.strip()
        assert record["images"]
        assert "1 execution" in house.git("log", "--format=%s", "results", cwd=house.bare).stdout
        assert house.podium("results", "--repo", str(house.bare), "verify").returncode == 0


@pytest.mark.docker
@pytest.mark.slow
def test_kill_9_during_a_container_task_loses_and_doubles_nothing(tmp_path: Path, free_port: int, images: Mapping[str, str]) -> None:
    text = """\
id: long
namespace: demo
tasks:
  - id: count
    type: scripts.shell.Commands
    containerImage: busybox:latest
    commands: ["for i in 1 2 3 4 5 6 7 8 9 10; do echo line $i; sleep 1; done"]
"""
    with daemon_house(tmp_path, free_port, docker(images)) as house:
        house.push({"long.yaml": text})
        house.deployed("demo", "long")
        execution_id = house.execute("demo", "long")
        wait_for(lambda: "line 3" in house.messages(execution_id), "the third line")
        house.kill()
        time.sleep(2)
        house.start()
        ended = house.ended(execution_id)
        assert ended["state"]["current"] == "SUCCESS"
        assert [line for line in house.messages(execution_id) if line.startswith("line")] == [f"line {i}" for i in range(1, 11)]
        assert len(ended["taskRunList"]) == 1
        assert len(ended["taskRunList"][0]["attempts"]) == 1
        wait_for(lambda: execution_id in house.records(), "the record")
        assert list(house.records()) == [execution_id]


@pytest.mark.slow
def test_a_process_task_survives_kill_9_and_sigterm_hands_over(tmp_path: Path, free_port: int) -> None:
    text = """\
id: long
namespace: demo
tasks:
  - id: count
    type: scripts.shell.Commands
    commands: ["for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; sleep 0.5; done"]
"""
    with daemon_house(tmp_path, free_port, PROCESS) as house:
        house.push({"long.yaml": text})
        house.deployed("demo", "long")
        first = house.execute("demo", "long")
        wait_for(lambda: "line 2" in house.messages(first), "a line")
        house.kill()
        house.start()
        second = house.execute("demo", "long")
        wait_for(lambda: "line 1" in house.messages(second), "a line")
        assert house.stop() == 0
        house.start()
        for each in (first, second):
            ended = house.ended(each)
            assert ended["state"]["current"] == "SUCCESS"
            assert [line for line in house.messages(each) if line.startswith("line")] == [f"line {i}" for i in range(1, 13)]
            assert len(ended["taskRunList"][0]["attempts"]) == 1


def test_an_invalid_push_is_refused_and_says_where(tmp_path: Path, free_port: int) -> None:
    with daemon_house(tmp_path, free_port, PROCESS) as house:
        good = house.push({"hello.yaml": HELLO})
        assert "hello" in good.stderr
        house.deployed("demo", "hello")
        bad = house.push({"hello.yaml": HELLO.replace("message:", "mesage:")}, check=False)
        assert bad.returncode != 0
        assert "hello.yaml:6:5" in bad.stderr
        assert "mesage" in bad.stderr
        assert "message" in bad.stderr
        assert house.call("GET", "/api/v1/flows/demo/hello")["revision"] == 1


def test_a_bad_flow_that_gets_in_harms_only_itself(tmp_path: Path, free_port: int) -> None:
    """Pushed where there are no hooks, it is rejected by the daemon; its last good revision runs on, the others deploy."""
    with daemon_house(tmp_path, free_port, PROCESS) as house:
        house.push({"hello.yaml": HELLO})
        house.deployed("demo", "hello")
        shutil.rmtree(house.bare / "hooks")
        house.push({"hello.yaml": "id: hello\nnamespace: demo\ntasks: []\n", "other.yaml": HELLO.replace("hello", "other")})
        house.deployed("demo", "other")
        rejected = wait_for(lambda: house.call("GET", "/api/v1/sources/rejected"), "the rejected file")
        assert "hello.yaml" in json.dumps(rejected)
        assert house.ended(house.execute("demo", "hello"))["state"]["current"] == "SUCCESS"
        shown = house.podium("flows", "rejected", "--home", str(house.home), check=False)
        assert shown.returncode == 1
        assert "hello.yaml:3" in shown.stdout


def test_records_wait_for_a_remote_that_is_away(tmp_path: Path, free_port: int) -> None:
    """Twenty executions while the remote is gone, the daemon killed meanwhile, a foreign commit on the branch: all records arrive."""
    with daemon_house(tmp_path, free_port, PROCESS) as house:
        house.push({"hello.yaml": HELLO})
        house.deployed("demo", "hello")
        first = house.execute("demo", "hello")
        wait_for(lambda: first in house.records(), "the first record")
        away = house.bare.with_name("away.git")
        house.bare.rename(away)
        ids = [house.execute("demo", "hello") for _ in range(20)]
        for each in ids:
            house.ended(each)
        wait_for(lambda: house.call("GET", "/health")["unpushed"]["count"] >= 20, "the health to say so")
        house.kill()
        blob = house.git("hash-object", "-w", "--stdin", cwd=away).stdout.strip()
        tree = house.git("rev-parse", "results^{tree}", cwd=away).stdout.strip()
        assert blob
        foreign = house.git("commit-tree", tree, "-p", "results", "-m", "a foreign commit", cwd=away).stdout.strip()
        house.git("update-ref", "refs/heads/results", foreign, cwd=away)
        house.start()
        away.rename(house.bare)
        wait_for(lambda: set(ids) <= set(house.records()), "all twenty records", 90)
        assert len(house.records()) == 21
        assert foreign in house.git("log", "--format=%H", "results", cwd=house.bare).stdout
        assert "error" not in house.git("fsck", cwd=house.bare).stderr
        wait_for(lambda: house.call("GET", "/health")["unpushed"]["count"] == 0, "nothing unpushed")


def test_revert_rolls_back_delete_removes_and_a_running_execution_keeps_its_commit(tmp_path: Path, free_port: int) -> None:
    sleeper = HELLO.replace("  - id: say", "  - {id: wait, type: core.flow.Sleep, duration: PT3S}\n  - id: say")
    with daemon_house(tmp_path, free_port, PROCESS) as house:
        house.push({"hello.yaml": sleeper})
        house.deployed("demo", "hello", 1)
        running = house.execute("demo", "hello")
        house.push({"hello.yaml": HELLO.replace("Hello", "Changed")})
        house.deployed("demo", "hello", 2)
        assert house.ended(running)["flowRevision"] == 1
        assert house.messages(running) == ["Waiting for PT3S", "Hello"]
        house.git("revert", "--no-edit", "HEAD")
        house.git("push", "origin", "main")
        house.deployed("demo", "hello", 3)
        house.push({"hello.yaml": None})
        def gone() -> bool:
            from urllib.error import HTTPError

            try:
                house.call("GET", "/api/v1/flows/demo/hello")
            except HTTPError as error:
                return error.code == 404
            return False

        wait_for(gone, "the flow to be gone")


def test_a_second_daemon_on_the_same_home_refuses(tmp_path: Path, free_port: int) -> None:
    with daemon_house(tmp_path, free_port, PROCESS) as house:
        done = house.podium("serve", "--config", str(house.config), "--port", "0", check=False)
        assert done.returncode == 4
        assert "another daemon" in done.stderr


def test_a_daemon_whose_home_was_deleted_ends(tmp_path: Path, free_port: int) -> None:
    with daemon_house(tmp_path, free_port, PROCESS) as house:
        def gone() -> bool:
            shutil.rmtree(house.home, ignore_errors=True)  # the daemon may be about to write a file there
            return not house.home.exists()

        wait_for(gone, "the home to be gone")
        assert house.process is not None
        assert house.process.wait(60) != 0
        assert "home_gone" in house.log.read_text()


def test_a_daemon_whose_lock_was_deleted_ends(tmp_path: Path, free_port: int) -> None:
    with daemon_house(tmp_path, free_port, PROCESS) as house:
        (house.home / "lock").unlink()
        assert house.process is not None
        assert house.process.wait(60) != 0
        assert "home_gone" in house.log.read_text()


def test_a_home_that_cannot_be_used_is_told_without_a_trace() -> None:
    done = subprocess.run([*PODIUM, "serve", "--home", "/proc/nowhere", "--port", "0"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "error: the home /proc/nowhere cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_daemon_takes_the_open_files_it_may_have(tmp_path: Path, free_port: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        with daemon_house(tmp_path, free_port, PROCESS) as house:
            assert house.process is not None
            line = next(each for each in Path(f"/proc/{house.process.pid}/limits").read_text().splitlines() if each.startswith("Max open files"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert int(line.split()[3]) > 512


def test_a_work_tree_is_deployed_as_it_changes(tmp_path: Path, free_port: int) -> None:
    import subprocess

    from daemon_house import DaemonHouse

    flows = tmp_path / "tree"
    flows.mkdir()
    (flows / "hello.yaml").write_text(HELLO)
    house = DaemonHouse(tmp_path, free_port)
    process = subprocess.Popen(
        [*PODIUM, "serve", "--dir", str(flows), "--home", str(tmp_path / "home2"), "--port", str(free_port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        house.deployed("demo", "hello", 1)
        (flows / "hello.yaml").write_text(HELLO.replace("Hello", "Changed"))
        house.deployed("demo", "hello", 2)
        assert house.ended(house.execute("demo", "hello"))["state"]["current"] == "SUCCESS"
    finally:
        process.terminate()
        process.wait(30)


def test_the_command_line_talks_to_the_daemon(tmp_path: Path, free_port: int) -> None:
    with daemon_house(tmp_path, free_port, PROCESS) as house:
        house.push({"hello.yaml": HELLO})
        house.deployed("demo", "hello")
        execution_id = house.execute("demo", "hello")
        house.ended(execution_id)

        def cli(*arguments: str) -> Any:
            return json.loads(house.podium(*arguments, "--home", str(house.home), "--output", "json").stdout)

        assert cli("executions", "show", execution_id)["state"]["current"] == "SUCCESS"
        logs = house.podium("executions", "logs", execution_id, "--home", str(house.home), "--output", "json").stdout
        assert [json.loads(line)["message"] for line in logs.splitlines()] == ["Hello"]
        house.podium("kv", "set", "demo", "k", "42", "--home", str(house.home))
        assert "42" in house.podium("kv", "get", "demo", "k", "--home", str(house.home)).stdout
        assert house.podium("flows", "list", "--home", str(tmp_path / "nowhere"), check=False).returncode == 3


def test_a_new_home_is_made_again_from_git(tmp_path: Path, free_port: int) -> None:
    """Delete the home, keep the key, start: executions, keys, revisions and triggers are there again."""
    with daemon_house(tmp_path, free_port, PROCESS) as house:
        house.push({"hello.yaml": HELLO, "gone.yaml": HELLO.replace("hello", "gone")})
        house.deployed("demo", "gone")
        house.push({"hello.yaml": HELLO.replace("Hello", "Changed"), "gone.yaml": None})
        house.deployed("demo", "hello", 2)
        execution_id = house.execute("demo", "hello")
        house.ended(execution_id)
        house.podium("kv", "set", "demo", "k", "42", "--home", str(house.home))
        wait_for(lambda: "state/kv/demo.json" in house.git("ls-tree", "-r", "--name-only", "results", cwd=house.bare).stdout, "the keys on the branch")
        wait_for(lambda: execution_id in house.records(), "the record")
        house.stop()
        key = (house.home / "instance.key").read_bytes()
        shutil.rmtree(house.home)
        house.home.mkdir()
        (house.home / "instance.key").write_bytes(key)
        house.start()
        assert house.deployed("demo", "hello")["revision"] == 2
        assert house.execution(execution_id)["state"]["current"] == "SUCCESS"
        assert house.execution(execution_id)["taskRunList"][0]["taskId"] == "say"
        assert house.call("GET", "/api/v1/executions/search?namespace=demo")["total"] == 1
        assert "42" in house.podium("kv", "get", "demo", "k", "--home", str(house.home)).stdout
        revisions = house.call("GET", "/api/v1/flows/demo/hello/revisions")
        assert [each["revision"] for each in revisions] == [1, 2]
        again = house.execute("demo", "hello")
        assert house.ended(again)["flowRevision"] == 2
        house.push({"hello.yaml": HELLO, "gone.yaml": HELLO.replace("hello", "gone")})
        assert house.deployed("demo", "hello", 3)
        assert house.deployed("demo", "gone")["revision"] == 3
