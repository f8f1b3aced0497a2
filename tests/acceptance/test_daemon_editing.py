"""Writing flows over the API of a real daemon: the commit in the bare repository, its deployment, its run, and what is refused."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon_house import DaemonHouse, daemon_house

YAML = {"Content-Type": "application/x-yaml"}


def flow(flow_id: str, message: str) -> bytes:
    return f"id: {flow_id}\nnamespace: company.team\ntasks:\n  - id: say\n    type: io.kestra.plugin.core.log.Log\n    message: \"{message}\"\n".encode()


@pytest.fixture
def house(tmp_path: Path, free_port: int) -> Iterator[DaemonHouse]:
    with daemon_house(tmp_path, free_port) as made:
        yield made


def refused(house: DaemonHouse, method: str, path: str, body: Any = None, headers: Any = None) -> tuple[int, dict[str, Any]]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        house.call(method, path, body, headers)
    return caught.value.code, json.loads(caught.value.read())


def test_a_flow_is_posted_committed_deployed_run_and_kept_from_a_stale_writer(house: DaemonHouse) -> None:
    project = "namespaces:\n  company:\n    variables: {region: eu-west}\n    labels: {team: data}\n"
    house.push({"podium.yaml": project, "flows/first.yaml": flow("first", "1").decode()})
    house.deployed("company.team", "first")
    made = house.call("POST", "/api/v1/flows?message=Add+hello", flow("hello", "in {{ namespace.region }}"), YAML)
    assert (made["revision"], made["git"]["path"]) == (1, "flows/hello.yaml")
    said = house.git("show", "-s", "--format=%an|%cn|%s|%P", made["git"]["commit"], cwd=house.bare).stdout.strip()
    author, committer, subject, parent = said.split("|")
    assert (author != "", committer, subject) == (True, "Podium", "Add hello")
    assert parent == house.git("rev-parse", "HEAD").stdout.strip(), "on top of what was pushed"
    assert house.git("show", "main:flows/hello.yaml", cwd=house.bare).stdout.encode() == flow("hello", "in {{ namespace.region }}")
    execution = house.execute("company.team", "hello")
    ended = house.ended(execution)
    assert ended["state"]["current"] == "SUCCESS"
    assert house.messages(execution) == ["in eu-west"]
    assert {"key": "team", "value": "data"} in ended["labels"]
    # ---- somebody pushes meanwhile: a writer who saw the old file is told
    house.git("pull", "--quiet", "--rebase", "origin", "main")
    house.push({"flows/hello.yaml": flow("hello", "theirs").decode()})
    status, body = refused(house, "PUT", "/api/v1/flows/company.team/hello", flow("hello", "mine"), {**YAML, "If-Match": f'"{made["git"]["blob"]}"'})
    assert (status, body["code"]) == (409, "edit-conflict")
    (conflict,) = body["conflicts"]
    assert ("theirs" in conflict["theirs"], "mine" in conflict["ours"]) == (True, True)
    assert house.git("show", "main:flows/hello.yaml", cwd=house.bare).stdout.encode() == flow("hello", "theirs")
    house.deployed("company.team", "hello", revision=2)
    changed = house.call("PUT", "/api/v1/flows/company.team/hello", flow("hello", "mine"), YAML)
    assert changed["revision"] == 3
    # ---- a daemon that dies keeps what it acknowledged: it is in the repository
    house.kill()
    house.start()
    assert house.deployed("company.team", "hello")["revision"] == 3
    house.call("DELETE", "/api/v1/flows/company.team/hello")
    assert refused(house, "GET", "/api/v1/flows/company.team/hello")[0] == 404
    assert house.git("ls-tree", "-r", "--name-only", "main", cwd=house.bare).stdout.split() == ["flows/first.yaml", "podium.yaml"]
    house.git("fsck", "--strict", cwd=house.bare)


def test_what_the_hook_of_the_repository_refuses_is_told_and_changes_nothing(house: DaemonHouse) -> None:
    house.push({"a.yaml": flow("a", "1").decode()})
    house.deployed("company.team", "a")
    before = house.git("rev-parse", "main", cwd=house.bare).stdout
    broken = flow("a", "1").replace(b"log.Log", b"log.Lgo")
    status, body = refused(house, "POST", "/api/v1/flows", broken.replace(b"id: a", b"id: b"), YAML)
    assert (status, body["_embedded"]["errors"][0]["line"]) == (422, 5)
    # the same past our check, as the editor can with a file: the pre-receive hook of `podium init` says it
    change = {"message": "broken", "changes": [{"path": "a.yaml", "text": broken.decode()}]}
    status, body = refused(house, "POST", "/api/v1/edits/main", change)
    assert (status, body["code"]) == (422, "push-refused")
    assert "a.yaml:5" in body["message"]
    assert house.git("rev-parse", "main", cwd=house.bare).stdout == before
    review = house.call("POST", "/api/v1/edits/main?wait=true", {"newBranch": "try", "message": "notes", "changes": [{"path": "notes.md", "text": "x"}]})
    assert review["branch"] == "try"
    assert house.git("rev-parse", "try", cwd=house.bare).stdout.strip() == review["commit"]
