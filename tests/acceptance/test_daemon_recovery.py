"""Disaster recovery, drilled: the home is lost, a new machine has clones of the repositories and the key, and everything is there."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from daemon_house import PODIUM, DaemonHouse, daemon_house, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PROCESS = '[runner]\ntype = "process"\n'
PLAIN = "id: plain\nnamespace: dr\ntasks: [{id: say, type: core.log.Log, message: plain %s}]\n"
SECRETS = """\
id: secretive
namespace: dr
inputs: [{id: password, type: SECRET}, {id: mark, type: STRING}]
tasks:
  - id: use
    type: scripts.shell.Commands
    commands: ["test -e {{ inputs.mark }} || exit 3", "echo length $(printf '{{ inputs.password }}' | wc -c)"]
"""
TICK = """\
id: tick
namespace: dr
tasks: [{id: say, type: core.log.Log, message: "{{ trigger.date }}"}]
triggers: [{id: every, type: core.trigger.Schedule, cron: "*/2 * * * * *", withSeconds: true, recoverMissedSchedules: ALL}]
"""
MONTHS = """\
id: months
namespace: dr
tasks: [{id: nap, type: core.flow.Sleep, duration: PT1.2S}]
triggers: [{id: monthly, type: core.trigger.Schedule, cron: "0 0 1 * *"}]
"""
HOOK = """\
id: hook
namespace: dr
tasks: [{id: say, type: core.log.Log, message: "{{ trigger.body }}"}]
triggers: [{id: in, type: core.trigger.Webhook, key: sesame}]
"""
COUNT = """\
id: count
namespace: dr
tasks:
  - {id: up, type: core.kv.Set, key: counter, value: "{{ (kv('counter', errorOnMissing=false) ?? 0) + 1 }}", kvType: NUMBER}
"""
WORD = "open-sesame-4711"


def search(house: DaemonHouse, flow: str) -> list[dict[str, Any]]:
    """Executions of a flow."""
    found: list[dict[str, Any]] = house.call("GET", f"/api/v1/executions/search?namespace=dr&flowId={flow}&size=1000")["results"]
    return found


def pushed(house: DaemonHouse) -> None:
    """Wait until the remote has everything."""
    wait_for(lambda: not house.call("GET", "/api/v1/executions/search?state=RUNNING&state=CREATED&state=QUEUED&size=1")["total"], "quiet")
    time.sleep(1.5)  # state files follow a second later
    wait_for(lambda: house.call("GET", "/health")["unpushed"]["count"] == 0, "everything to be pushed")


def new_machine(house: DaemonHouse, *, key: bytes | None) -> None:
    """The old machine is gone: the repository is a clone of the clone's, the home has the key and nothing else."""
    clone = house.root / "elsewhere.git"
    house.git("clone", "--quiet", "--mirror", str(house.bare), str(clone), cwd=house.root)
    shutil.rmtree(house.bare)
    house.git("clone", "--quiet", "--mirror", str(clone), str(house.bare), cwd=house.root)
    shutil.rmtree(house.home)
    house.home.mkdir()
    if key is not None:
        (house.home / "instance.key").write_bytes(key)


def dates_of(found: list[dict[str, Any]]) -> list[datetime]:
    return sorted(datetime.fromisoformat(each["trigger"]["variables"]["date"]) for each in found)


def secretive(house: DaemonHouse, mark: Path) -> str:
    """Start that flow; it fails while there is no `mark`."""
    parts = "".join(f'--X\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in (("password", WORD), ("mark", mark)))
    headers = {"Content-Type": "multipart/form-data; boundary=X"}
    return str(house.call("POST", "/api/v1/executions/dr/secretive", f"{parts}--X--\r\n".encode(), headers)["id"])


def again(house: DaemonHouse, execution_id: str, state: str = "SUCCESS") -> None:
    """Restart, and wait for the end."""
    assert house.call("POST", f"/api/v1/executions/{execution_id}/restart")["id"] == execution_id
    wait_for(lambda: house.execution(execution_id)["state"]["current"] == state, "the restarted execution to end")


def key_value(house: DaemonHouse, name: str) -> str:
    return house.podium("kv", "get", "dr", name, "--home", str(house.home)).stdout.strip()


def test_a_lost_home_comes_back_from_clones_and_the_key(tmp_path: Path, free_port: int) -> None:
    """Flows and revisions, executions with their logs, keys, trigger positions, a backfill half way, secret inputs of a failed execution."""
    with daemon_house(tmp_path, free_port, PROCESS) as house:
        mark = tmp_path / "mark"
        gone = PLAIN.replace("id: plain", "id: gone") % "gone"
        flows = {"plain": PLAIN % "one", "gone": gone, "secretive": SECRETS, "months": MONTHS, "hook": HOOK, "count": COUNT}
        house.push({f"{name}.yaml": text for name, text in flows.items()})
        house.deployed("dr", "secretive")
        house.push({"plain.yaml": PLAIN % "two", "gone.yaml": None, "tick.yaml": TICK})
        house.deployed("dr", "plain", 2)
        plain, counted, failed, restarted = house.execute("dr", "plain"), house.execute("dr", "count"), secretive(house, mark), secretive(house, mark)
        assert [house.ended(each)["state"]["current"] for each in (plain, counted, failed, restarted)] == ["SUCCESS", "SUCCESS", "FAILED", "FAILED"]
        mark.touch()
        again(house, restarted)
        mark.unlink()
        hooked = str(house.call("POST", "/api/v1/executions/webhook/dr/hook/sesame", b'{"n": 1}')["id"])
        house.podium("kv", "set", "dr", "word", "kept", "--home", str(house.home))
        place = {"namespace": "dr", "flowId": "months", "triggerId": "monthly"}
        house.call("PUT", "/api/v1/triggers/backfill/create", {**place, "backfill": {"start": "2025-01-01T00:00:00Z", "end": "2025-08-15T00:00:00Z"}})
        wait_for(lambda: len(search(house, "months")) >= 3, "a part of the backfill")
        house.call("PUT", "/api/v1/triggers/backfill/pause", place)
        wait_for(lambda: len(search(house, "tick")) >= 2, "the schedule")
        house.ended(hooked)
        pushed(house)
        assert house.stop() == 0
        new_machine(house, key=(house.home / "instance.key").read_bytes())
        house.start()
        house.deployed("dr", "plain", 2)
        assert WORD not in house.git("log", "-p", "results", cwd=house.bare).stdout
        assert [each["revision"] for each in house.call("GET", "/api/v1/flows/dr/plain/revisions")] == [1, 2]
        ended = {plain: "SUCCESS", counted: "SUCCESS", failed: "FAILED", restarted: "SUCCESS", hooked: "SUCCESS"}
        for execution_id, state in ended.items():
            found = house.execution(execution_id)
            assert (found["state"]["current"], bool(found["taskRunList"])) == (state, True)
        assert house.messages(plain) == ["plain two"]
        assert f"length {len(WORD)}" in house.messages(restarted)
        assert key_value(house, "word") == "kept"
        house.ended(house.execute("dr", "count"))
        assert key_value(house, "counter") == "2"
        mark.touch()
        again(house, failed)
        assert f"length {len(WORD)}" in house.messages(failed)
        house.call("PUT", "/api/v1/triggers/backfill/unpause", place)
        wait_for(lambda: len(search(house, "months")) == 8, "the rest of the backfill")
        assert [f"{each:%m}" for each in dates_of(search(house, "months"))] == [f"0{month}" for month in range(1, 9)]
        wait_for(lambda: len(search(house, "tick")) >= 6, "the schedule to go on")
        dates = dates_of(search(house, "tick"))
        assert {(after - earlier).total_seconds() for earlier, after in pairwise(dates)} == {2.0}, "a schedule date is missing, or there twice"
        house.push({"gone.yaml": gone})
        assert house.deployed("dr", "gone")["revision"] == 3
        pushed(house)
        assert house.podium("results", "--repo", str(house.bare), "verify").returncode == 0


@pytest.mark.parametrize("key", [None, b"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\n"], ids=["lost", "wrong"])
def test_without_the_key_all_is_there_but_what_it_opens(key: bytes | None, tmp_path: Path, free_port: int) -> None:
    """Said at the start, with a number. The right key, put back later, opens what it had closed."""
    with daemon_house(tmp_path, free_port, PROCESS) as house:
        mark = tmp_path / "mark"
        house.push({"secretive.yaml": SECRETS, "count.yaml": COUNT})
        house.deployed("dr", "secretive")
        failed = secretive(house, mark)
        house.ended(failed)
        house.ended(house.execute("dr", "count"))
        pushed(house)
        house.stop()
        right = (house.home / "instance.key").read_bytes()
        new_machine(house, key=key)
        house.start()
        log = wait_for(lambda: [line for line in house.log.read_text().splitlines() if "instance_key_is_another" in line], "the word about the key")[0]
        assert "executions=1" in log
        assert str(house.home / "instance.key") in log
        house.deployed("dr", "count")
        house.ended(house.execute("dr", "count"))
        assert key_value(house, "counter") == "2"
        mark.touch()
        with pytest.raises(urllib.error.HTTPError) as refused:
            house.call("POST", f"/api/v1/executions/{failed}/restart")
        assert "cannot be decrypted" in refused.value.read().decode()
        assert house.execution(failed)["state"]["current"] == "FAILED"
        house.stop()
        (house.home / "instance.key").write_bytes(right)
        house.start()
        again(house, failed)


def test_with_the_flows_alone_a_home_begins_anew(tmp_path: Path, free_port: int) -> None:
    """The results branch is lost too: flows are deployed as new ones and run."""
    with daemon_house(tmp_path, free_port, PROCESS) as house:
        house.push({"plain.yaml": PLAIN % "one"})
        house.deployed("dr", "plain")
        house.ended(house.execute("dr", "plain"))
        pushed(house)
        house.stop()
        new_machine(house, key=None)
        house.git("update-ref", "-d", "refs/heads/results", cwd=house.bare)
        house.start()
        assert house.deployed("dr", "plain")["revision"] == 1
        made = house.execute("dr", "plain")
        house.ended(made)
        wait_for(lambda: made in house.records(), "its record")


def test_with_the_results_alone_the_history_is_there(tmp_path: Path, free_port: int) -> None:
    """The flow repository is lost: what ran can be read; it is told that the source cannot be."""
    records = tmp_path / "records.git"
    (tmp_path / "house").mkdir()
    with daemon_house(tmp_path / "house", free_port, f'[results]\nurl = "{records}"\n{PROCESS}', start=False) as house:
        house.git("init", "--quiet", "--bare", str(records), cwd=tmp_path)
        house.start()
        house.push({"plain.yaml": PLAIN % "one"})
        house.deployed("dr", "plain")
        made = house.execute("dr", "plain")
        house.ended(made)
        pushed(house)
        house.stop()
        shutil.rmtree(house.home)
        shutil.rmtree(house.bare)
        house.start()
        assert house.execution(made)["state"]["current"] == "SUCCESS"
        assert house.messages(made) == ["plain one"]
        source = wait_for(lambda: next((each for each in house.call("GET", "/health")["sources"] if each.get("error")), None), "the source's error")
        assert source["name"] == "main"
        assert house.call("GET", "/health")["status"] == "DEGRADED"


@contextlib.contextmanager
def mute_server() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(16)
        yield mute.getsockname()[1]


def remote_of(house: DaemonHouse, url: str, more: str = "") -> None:
    """Have records go there."""
    text = house.config.read_text().split("[results]")[0]
    house.config.write_text(f'{text}[results]\nurl = "{url}"\n{more}')


def test_an_empty_home_waits_for_a_mute_remote_and_deploys_nothing(tmp_path: Path, free_port: int) -> None:
    """It serves meanwhile and says what it waits for; once the remote answers all is there: no revision is given twice, no key is lost."""
    with daemon_house(tmp_path, free_port, PROCESS) as house, mute_server() as port:
        house.push({"plain.yaml": PLAIN % "one", "count.yaml": COUNT})
        house.deployed("dr", "count")
        house.push({"plain.yaml": PLAIN % "two"})
        house.deployed("dr", "plain", 2)
        house.ended(house.execute("dr", "count"))
        pushed(house)
        house.stop()
        shutil.rmtree(house.home)
        remote_of(house, f"http://127.0.0.1:{port}/x.git")
        began = time.monotonic()
        house.start()
        assert time.monotonic() - began < 30
        health = house.call("GET", "/health")
        assert (health["status"], health["flows"]) == ("DEGRADED", 0)
        house.process.send_signal(signal.SIGHUP) if house.process else None
        wait_for(lambda: "waits for the results repository" in str(house.call("GET", "/health")["sources"]), "the source to say why")
        assert house.call("GET", "/health")["flows"] == 0
        began = time.monotonic()
        assert house.stop() == 0
        assert time.monotonic() - began < 20, "a mute remote held up the end"
        remote_of(house, str(house.bare))
        house.start()
        assert house.deployed("dr", "plain")["revision"] == 2
        house.ended(house.execute("dr", "count"))
        assert key_value(house, "counter") == "2"


def test_a_home_that_began_without_its_history_never_writes_over_it(tmp_path: Path, free_port: int) -> None:
    """`first_wait_s` lets it begin. It runs flows; its records wait; a branch that turns out to be there is left as it is."""
    with daemon_house(tmp_path, free_port, PROCESS) as house, mute_server() as port:
        house.push({"count.yaml": COUNT})
        house.deployed("dr", "count")
        house.ended(house.execute("dr", "count"))
        pushed(house)
        house.stop()
        tip = house.git("rev-parse", "results", cwd=house.bare).stdout
        shutil.rmtree(house.home)
        remote_of(house, f"http://127.0.0.1:{port}/x.git", "first_wait_s = 3\n")
        house.start()
        house.deployed("dr", "count")
        made = house.execute("dr", "count")
        house.ended(made)
        house.kill()
        remote_of(house, str(house.bare), "first_wait_s = 3\n")
        house.start()
        results = wait_for(lambda: (found := house.call("GET", "/health")["results"])["error"] and found, "the reason")
        assert "this home began without it" in results["error"]
        assert house.execution(made)["state"]["current"] == "SUCCESS"
        assert house.stop() == 0
        assert house.git("rev-parse", "results", cwd=house.bare).stdout == tip
        house.config.write_text(house.config.read_text() + 'branch = "results-2"\n')
        house.start()
        wait_for(lambda: house.call("GET", "/health")["unpushed"]["count"] == 0, "the records to reach a branch of their own")
        assert made in house.git("ls-tree", "-r", "--name-only", "results-2", cwd=house.bare).stdout
        assert house.git("rev-parse", "results", cwd=house.bare).stdout == tip


def test_a_rebuild_that_was_cut_off_begins_again(tmp_path: Path, free_port: int) -> None:
    """kill -9 at moments of the first start: the next one has all of it."""
    with daemon_house(tmp_path, free_port, PROCESS) as house:
        house.push({"count.yaml": COUNT, "plain.yaml": PLAIN % "one"})
        house.deployed("dr", "plain")
        made = [house.execute("dr", "plain") for _ in range(20)]
        for each in made:
            house.ended(each)
        house.ended(house.execute("dr", "count"))
        pushed(house)
        house.stop()
        shutil.rmtree(house.home)
        for number in range(6):
            process = subprocess.Popen(
                [*PODIUM, "serve", "--config", str(house.config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
            time.sleep(0.6 + 0.12 * number)
            process.kill()
            process.wait()
        house.start()
        house.deployed("dr", "plain")
        assert {each["id"] for each in search(house, "plain")} == set(made)
        assert key_value(house, "counter") == "1"
