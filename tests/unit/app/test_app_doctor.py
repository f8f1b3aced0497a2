"""`podium doctor`: what it finds wrong, and that it says what to do."""

from __future__ import annotations

import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from podium.app import doctor, machine
from podium.app.doctor import Finding, examine
from podium.app.settings import load_settings
from podium.cli.main import cli


def findings(clock: Any, **settings: Any) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(load_settings(None, {}, settings), clock)}


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


def test_everything_that_is_not_ok_says_what_to_do(clock: Any, tmp_path: Path) -> None:
    found = findings(clock, home=str(tmp_path / "new" / "home"))
    assert all(bool(each.todo) == (each.status != "ok") for each in found.values())
    assert found["git"].status == "ok"
    assert found["home"].status == "ok"


def test_a_missing_engine_is_an_error_only_for_the_docker_runner(clock: Any, tmp_path: Path) -> None:
    home = str(tmp_path)
    assert findings(clock, home=home)["docker"].status == "error"
    relaxed = findings(clock, home=home, **{"runner.type": "process"})["docker"]
    assert relaxed.status == "warning"
    assert 'runner.type = "process"' in relaxed.todo


def test_a_swarm_is_looked_at_where_the_settings_ask_for_one(clock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = str(tmp_path)
    assert "swarm" not in findings(clock, home=home)
    monkeypatch.setattr("podium.runners.native.programs.transfer", lambda: tmp_path)
    wanted = {"home": home, "runner.type": "swarm", "runner.remote_url": "http://10.0.0.1:8080", "runner.swarm_host": f"unix://{tmp_path}/none.sock"}
    found = findings(clock, **wanted)["swarm"]
    assert (found.status, "docker swarm init" in found.todo) == ("error", True)
    monkeypatch.setattr("podium.runners.native.programs.transfer", lambda: None)
    assert "podium-transfer" in findings(clock, **wanted)["swarm"].found


def test_scripts_that_were_not_built_are_told(clock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.web.pages.render.HERE", tmp_path)
    found = findings(clock, home=str(tmp_path))["scripts"]
    assert found.status == "warning"
    assert "islands/build.py" in found.todo
    (tmp_path / "assets" / "built").mkdir(parents=True)
    (tmp_path / "assets" / "built" / "shell.js").touch()
    assert findings(clock, home=str(tmp_path))["scripts"].status == "ok"


def test_a_supervisor_that_was_not_built_is_told_to_who_wants_it(clock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.runners.native.programs.supervise", lambda arch=None: None)
    assert "supervisor" not in findings(clock, home=str(tmp_path), **{"runner.supervise": False})
    found = findings(clock, home=str(tmp_path))["supervisor"]
    assert (found.status, "ziglang" in found.todo) == ("warning", True)


def test_a_home_that_cannot_be_written_is_an_error(clock: Any) -> None:
    assert findings(clock, home="/proc/podium")["home"].status == "error"


def test_a_taken_port_is_named(clock: Any, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        finding = findings(clock, home=str(tmp_path), **{"server.port": port})["port"]
    assert finding.status == "warning"
    assert str(port) in finding.found


def test_a_wrong_clock_is_an_error(clock: Any, tmp_path: Path) -> None:
    clock.set(datetime(1970, 1, 1, tzinfo=UTC))
    assert findings(clock, home=str(tmp_path))["clock"].status == "error"


def test_keys_of_sources_are_checked(clock: Any, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("x")
    token.chmod(0o644)
    source = {"url": "https://git.example/x", "token_file": str(token)}
    assert findings(clock, home=str(tmp_path), sources={"main": source})["source main"].todo == f"chmod 600 {token}"
    source["token_file"] = str(tmp_path / "none")
    assert findings(clock, home=str(tmp_path), sources={"main": source})["source main"].status == "error"
    assert "no Git repository" in findings(clock, home=str(tmp_path), sources={"main": {"url": str(tmp_path)}})["source main"].found


def test_little_inotify_is_a_warning(clock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "max_user_watches").write_text("8192\n")
    (tmp_path / "max_user_instances").write_text("128\n")
    monkeypatch.setattr(doctor, "_INOTIFY", tmp_path)
    assert "sysctl" in findings(clock, home=str(tmp_path))["inotify"].todo


def test_a_full_disk_is_an_error(clock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FREE_BYTES_MIN", 2**80)
    assert findings(clock, home=str(tmp_path))["disk"].status == "error"


def test_exit_code_and_json_agree_with_the_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODIUM_HOME", str(tmp_path))
    done = CliRunner().invoke(cli, ["doctor", "--output", "json"])
    assert done.exit_code == 1
    assert json.loads(done.output)["healthy"] is False
    monkeypatch.setenv("PODIUM_RUNNER__TYPE", "process")
    assert CliRunner().invoke(cli, ["doctor"]).exit_code == 0


@pytest.mark.docker
def test_an_engine_that_answers_is_ok(clock: Any, tmp_path: Path, docker_engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    found = findings(clock, home=str(tmp_path), **{"runner.images": {"python:*": "podium.local/never-made"}})
    assert found["docker"].found.startswith("Docker Engine")
    assert "podium.local/never-made" in found["images"].found


def test_asking_a_program_that_is_missing_or_hangs_is_an_answer() -> None:
    assert machine.ask(["podium-no-such-program"], timeout_s=1).exit_code is None
    assert machine.ask(["cat", os.devnull], timeout_s=60).ok
    assert machine.ask(["sleep", "5"], timeout_s=0.05).exit_code is None
